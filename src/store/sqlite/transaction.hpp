#pragma once

#include <optional>
#include <vector>

#include "bureau/store/storage.hpp"
#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

class RowRun;

/// What a closure reads through: a connection on which a transaction is open.
class SnapshotReader final : public Reader {
 public:
  SnapshotReader(Connection& connection, Monotonic deadline)
      : connection_(connection), deadline_(deadline) {}
  Result<void> scan(const Select& select, RowSink sink) override;
  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override;
  Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink) override;
  Result<void> find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                        RowSink sink) override;

 private:
  Connection& connection_;
  Monotonic deadline_;
};

/// What one closure writes through. A sink may write: what the scan has not read yet is then read
/// first, so that it does not meet its own changes.
class TransactionWriter final : public Writer {
 public:
  /// `sequence` is the last journal number drawn; it moves with draw_sequence(). `careful`: changes
  /// with a sink have savepoints.
  TransactionWriter(Connection& connection, std::int64_t& sequence, Monotonic deadline,
                    bool careful)
      : connection_(connection), sequence_(sequence), deadline_(deadline), careful_(careful) {}

  Result<void> scan(const Select& select, RowSink sink) override;
  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override;
  Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink) override;
  Result<void> find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                        RowSink sink) override;
  Result<void> insert(const TableInfo& table, std::span<const Value> rows) override;
  Result<std::uint64_t> update(const Update& update, RowSink returning) override;
  Result<std::uint64_t> update(const Update& update) override;
  Result<void> update_rows(const TableInfo& table, std::span<const ColumnInfo* const> columns,
                           std::span<const Value> rows) override;
  Result<std::uint64_t> remove(const Select& which, RowSink removed) override;
  Result<std::int64_t> draw_sequence(std::int64_t count) override;
  Result<void> alter(const Alteration& alteration) override;

  /// The first error that leaves nothing of the transaction to be relied upon.
  [[nodiscard]] const std::optional<Error>& doom() const { return doom_; }
  /// A sink has failed in a change that had no savepoint: the closure must be undone, whatever it
  /// answered, and run again with a careful writer.
  [[nodiscard]] bool wants_care() const { return wants_care_; }

 private:
  template <class T>
  Result<T> watch(Result<T> result);
  Result<void> prepare_to_write();
  Result<void> insert_rows(const TableInfo& table, std::span<const Value> rows);
  Result<void> insert_row(const TableInfo& table, TablePlan& plan, std::span<const Value> row);
  Result<void> change_rows(const TableInfo& table, std::span<const ColumnInfo* const> columns,
                           std::span<const Value> rows);
  Result<std::uint64_t> change(const std::string& sql, std::span<const Value> values,
                               const TableInfo& table, const RowSink* sink);
  Result<std::uint64_t> change_shown(const std::string& sql, std::span<const Value> values,
                                     const TableInfo& table, RowSink sink);

  Connection& connection_;
  std::int64_t& sequence_;
  Monotonic deadline_;
  bool careful_;
  bool wants_care_ = false;
  std::optional<Error> doom_;
  std::vector<RowRun*> runs_;
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
