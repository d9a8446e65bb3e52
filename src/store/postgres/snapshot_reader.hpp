#pragma once

#include <optional>

#include "store/postgres/journal_order.hpp"
#include "store/postgres/pool.hpp"
#include "store/postgres/rows.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// What a closure reads through. The transaction begins with the first statement, in one round
/// trip.
class SnapshotReader final : public Reader {
 public:
  SnapshotReader(Pool::Lease& lease, JournalOrder& order, Monotonic deadline)
      : lease_(lease), order_(order), deadline_(deadline) {}

  Result<void> scan(const Select& select, RowSink sink) override;
  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override;
  Result<void> scan_all(std::span<const Scan> scans) override;
  Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink) override;
  Result<void> find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                        RowSink sink) override;

  /// Ends the transaction, if there is one. Does not wait.
  void end();

 private:
  [[nodiscard]] Connection& connection() const { return lease_.connection(); }
  [[nodiscard]] const Clock& clock() const { return *connection().settings().clock; }
  /// Writes what is to be asked; of the journal, up to that number.
  using WriteSql = FunctionRef<Result<void>(std::vector<Sql>&, Horizon)>;
  Result<std::vector<ResultPtr>> run_all(bool journal, const Doing& doing, WriteSql write);
  Result<ResultPtr> run(const TableInfo* table, const Doing& doing,
                        FunctionRef<Result<void>(Sql&, Horizon)> write);
  Result<Answers> attempt(bool journal, WriteSql write);
  Result<Horizon> ask_horizon();

  Pool::Lease& lease_;
  JournalOrder& order_;
  Monotonic deadline_;
  std::optional<Error> failed_;  ///< the server has ended the transaction: there is no snapshot now
  Horizon horizon_ = no_horizon;
  bool begun_ = false;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
