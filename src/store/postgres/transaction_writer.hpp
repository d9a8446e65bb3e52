#pragma once

#include <optional>
#include <vector>

#include "store/postgres/journal_order.hpp"
#include "store/postgres/number_stock.hpp"
#include "store/postgres/rows.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// How a transaction is made.
struct WriteMode {
  std::string_view commits;  ///< what synchronous_commit is to be; empty: as it is
  /// Each statement has a savepoint. Without, an error of the server's ends the transaction.
  bool careful = false;
  std::uint32_t lane = 0;  ///< WriteOptions::lane
  bool alone = false;      ///< nobody else is to write meanwhile, in any process
};

/// What one closure writes through. The transaction begins with the first statement, in one round
/// trip. Results are whole and in memory, so a sink may write: it does not meet its own changes.
///
/// Inserts and updates by rows are not waited for: they travel with the next statement that is, or
/// with the commit. When the server refuses one, the closure is run again with a savepoint for each
/// statement, and is told then. Journal records are refused only because of another transaction.
class TransactionWriter final : public Writer {
 public:
  TransactionWriter(Connection& connection, const JournalOrder& order, Monotonic deadline,
                    WriteMode mode)
      : connection_(connection), order_(order), deadline_(deadline), mode_(std::move(mode)) {}

  Result<void> scan(const Select& select, RowSink sink) override;
  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override;
  Result<void> scan_all(std::span<const Scan> scans) override;
  Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink) override;
  Result<void> insert(const TableInfo& table, std::span<const Value> rows) override;
  Result<std::uint64_t> update(const Update& update, RowSink returning) override;
  Result<std::uint64_t> update(const Update& update) override;
  Result<std::uint64_t> remove(const Select& which, RowSink removed) override;
  Result<std::int64_t> draw_sequence(std::int64_t count) override;
  Result<void> find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                        RowSink sink) override;
  Result<void> update_rows(const TableInfo& table, std::span<const ColumnInfo* const> columns,
                           std::span<const Value> rows) override;
  Result<void> insert_numbered(const TableInfo& table, std::span<const Value> rows,
                               std::int64_t count) override;
  Result<void> alter(const Alteration& alteration) override;

  /// Waits for what was not waited for.
  Result<void> flush();
  /// Takes in what the exchange with the commit has answered.
  void end(const Answers& answers) { static_cast<void>(take_in(answers)); }

  [[nodiscard]] bool has_begun() const { return begun_; }
  [[nodiscard]] bool drew() const { return stock_.drew(); }
  /// Whether anything was to be changed.
  [[nodiscard]] bool wrote() const { return wrote_; }
  /// The transaction's number on the server, once it has answered.
  [[nodiscard]] std::optional<std::int64_t> xid() const { return xid_; }
  /// Undone because of another transaction: the closure must be run again, whatever it answered.
  [[nodiscard]] bool met_conflict() const { return met_conflict_; }
  /// The first error that leaves nothing of the transaction to be relied upon.
  [[nodiscard]] const std::optional<Error>& doom() const { return doom_; }
  /// An error has ended the transaction, or a sink's has not undone its change: unless the closure
  /// answers with just that error and asked for nothing more, it must be run again carefully.
  [[nodiscard]] bool wants_care(const Result<void>& answer) const;

 private:
  /// One statement's place between a savepoint and its release.
  enum class Savepoint { none, released, open };
  Result<ResultPtr> run(const Sql& sql, const Doing& doing, Savepoint savepoint, bool writes);
  Result<void> defer(const Sql& sql, bool draws);
  Result<void> copy(const TableInfo& table, std::span<const Value> rows);
  void begin();
  bool take_in(const Answers& answers);
  void undo_statement();
  void release();
  Unexpected failed(const Failure& failure, const Doing& doing);
  Result<void> check_usable();
  Result<std::uint64_t> change_shown(const Sql& sql, const Doing& doing, RowSink sink);
  template <class T>
  Result<T> watch(Result<T> result);
  [[nodiscard]] const Clock& clock() const { return *connection_.settings().clock; }
  [[nodiscard]] Sql new_sql() const { return Sql(connection_.settings().schema); }

  Connection& connection_;
  const JournalOrder& order_;
  Monotonic deadline_;
  WriteMode mode_;
  NumberStock stock_;
  std::optional<std::int64_t> xid_;
  std::optional<std::size_t> xid_at_;  ///< the place of its answer in the next exchange
  std::vector<std::size_t> draws_at_;  ///< the places of those that draw in it
  std::size_t deferred_end_ = 0;  ///< behind the last of the next exchange that was not waited for
  std::optional<Error> doom_;
  std::optional<Error> spoilt_by_;  ///< the error that calls for care
  bool used_since_ = false;         ///< something was asked for after it
  bool begun_ = false;
  bool wrote_ = false;
  bool met_conflict_ = false;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
