#pragma once

#include <deque>
#include <string_view>
#include <vector>

#include "bureau/store/storage.hpp"
#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// Hands the rows of one statement to a sink. While it runs it stands in `active` (when there is
/// one), so that a write in the sink can have the rest read first.
class RowRun {
 public:
  RowRun(Connection& connection, Statement statement, std::vector<RowRun*>* active);
  /// The rows are whole ones of that table, out of a RETURNING: which gives a real number that is
  /// whole as an integer, as SQLite stores it.
  void set_returning(const TableInfo& table) { returning_ = &table; }
  ~RowRun();
  RowRun(const RowRun&) = delete;
  RowRun& operator=(const RowRun&) = delete;

  Result<void> run(RowSink sink);
  /// Reads what is left into memory and ends the statement.
  Result<void> read_rest();
  /// How many rows the statement answered, the sink's stop notwithstanding.
  [[nodiscard]] std::uint64_t rows() const { return rows_; }
  /// Runs the statement to its end without a sink.
  Result<void> finish();

 private:
  /// A row and, where it must outlive the statement's next step, its texts.
  struct Row {
    std::vector<Value> values;
    std::vector<char> texts;
  };
  Result<bool> next(Row& row);
  void keep_texts(Row& row) const;
  void make_reals(Row& row) const;

  Connection& connection_;
  Statement statement_;
  std::vector<RowRun*>* active_;
  const TableInfo* returning_ = nullptr;
  Row row_;
  std::deque<Row> rest_;
  std::uint64_t rows_ = 0;
  bool done_ = false;
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
