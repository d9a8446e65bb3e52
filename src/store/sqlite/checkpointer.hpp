#pragma once

#include <atomic>

#include "store/sqlite/connection.hpp"
#include "store/sqlite/side_files.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// Moves what is in the write-ahead log into the database file. REQUIRES, but for wal_bytes(): the
/// writer's connection is the caller's, no transaction is open and the lock file is held, so that
/// no checkpoint ever runs beside a commit: SQLite up to 3.51.2 can lose committed pages then.
class Checkpointer {
 public:
  static constexpr std::int64_t forced_bytes = 16 << 20;    ///< a writer does it itself
  static constexpr std::int64_t truncate_bytes = 32 << 20;  ///< a log that grew so far is shortened

  Checkpointer(Connection& connection, LockFile& lock_file, LogSink log);
  /// The log's part in use when this connection last committed.
  [[nodiscard]] std::int64_t wal_bytes() const { return bytes_.load(std::memory_order_relaxed); }
  /// True when everything was moved; readers of old snapshots may prevent it. After one that failed
  /// the log is repaired (log_repair.hpp), at once or before the next.
  Result<bool> checkpoint(bool may_truncate);
  /// Called by a writer after its commit.
  void after_commit();

 private:
  static int on_commit(void* self, sqlite3* connection, const char* database, int pages);
  Result<bool> run(int mode);
  Result<bool> run_marked(bool may_truncate);

  Connection& connection_;
  LockFile& lock_file_;
  LogSink log_;
  std::atomic<std::int64_t> bytes_{0};
  std::int64_t longest_ = 0;  ///< the log's size in the file since it was last shortened
  std::int64_t forced_at_ = forced_bytes;
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
