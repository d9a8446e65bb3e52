#pragma once

#include <map>

#include "bureau/store/sql.hpp"
#include "bureau/store/table.hpp"
#include "store/postgres/pool.hpp"
#include "store/postgres/query_text.hpp"
#include "store/postgres/query_tree.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// Storage::sql(): one statement of the host's. The server analyses it as a temporary view, without
/// running anything of it; what it then says the view reads and calls is judged here; and what is
/// run is that view, in a transaction that only reads and is undone.
class SqlReader {
 public:
  SqlReader(Pool::Lease& lease, const Catalog& catalog, Monotonic deadline)
      : lease_(lease), catalog_(catalog), deadline_(deadline) {}

  [[nodiscard]] Result<SqlSummary> run(const SqlQuery& query, SqlSink sink);

 private:
  struct Column {
    std::string cast;        ///< "::int8"
    bool is_number = false;  ///< of any number of digits; comes as a text
    bool is_long = false;    ///< may be too long
  };

  /// A table or view, as the server describes it.
  struct Known {
    std::string schema, name;
    bool is_table = false;
    std::map<int, std::string> columns = {};
  };
  [[nodiscard]] static Column column_of(Oid type);

  [[nodiscard]] Connection& connection() const { return lease_.connection(); }
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Result<SqlSummary> run_begun(const QueryText& text, const SqlQuery& query,
                                             SqlSink sink);
  [[nodiscard]] Result<void> describe(const QueryText& text, SqlSummary& summary);
  [[nodiscard]] Result<void> analyse(const QueryText& text);
  [[nodiscard]] Result<void> judge_relations(const QueryReads& reads);
  [[nodiscard]] Result<void> judge(const Known& one, const std::vector<int>& columns) const;
  [[nodiscard]] Result<void> judge_functions(const QueryReads& reads);
  [[nodiscard]] Result<void> fetch(const SqlQuery& query, SqlSink sink, SqlSummary& summary);
  [[nodiscard]] Result<void> explain(const SqlQuery& query, SqlSink sink, SqlSummary& summary);
  [[nodiscard]] Result<bool> give(const PGresult* rows, const SqlQuery& query, SqlSink sink,
                                  SqlSummary& summary) const;
  [[nodiscard]] Result<Answers> ask(const Doing& doing);
  [[nodiscard]] Unexpected refused(const Failure& failure) const;

  Pool::Lease& lease_;
  const Catalog& catalog_;
  Monotonic deadline_;
  std::vector<Column> columns_;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
