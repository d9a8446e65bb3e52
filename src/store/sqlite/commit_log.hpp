#pragma once

#include "store/sqlite/connection.hpp"
#include "store/sqlite/file_guard.hpp"
#include "store/sqlite/side_files.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// The write transactions of one storage, and the row that each leaves in `bureau_commits`: its
/// number, who made it, and the last journal number drawn. REQUIRES: the lock file is held from
/// begin() to the end of commit() or rollback().
class CommitLog {
 public:
  CommitLog(Connection& connection, LockFile& lock_file, const FileGuard& guard,
            std::int64_t writer, bool power_safe)
      : connection_(connection),
        lock_file_(lock_file),
        guard_(guard),
        writer_(writer),
        power_safe_(power_safe) {}

  /// Whether the file is still ours to use: FileGuard::check().
  [[nodiscard]] Result<void> check() const { return guard_.check(); }

  /// Opens a write transaction and reads what the last one left. Where a sync had failed, by
  /// whomever, the log is repaired first: a commit must not stand behind frames that may be lost.
  /// `synced`: so is its commit, where the storage is power-safe.
  Result<void> begin(bool synced = true);
  void rollback();

  enum class Outcome {
    committed,
    absent,  ///< not there, now or after a restart
    unclear  ///< it may appear after a restart: settle() before the lock file is let go
  };
  struct Ending {
    Outcome outcome = Outcome::committed;
    Error error = {};  ///< unless committed
  };
  /// Leaves the row and commits. A transaction that changed nothing leaves none. Committed is only
  /// what the file's guard has nothing against, now that it is made.
  Ending commit();
  /// Says what became of a commit whose outcome is unclear. When its frames may be in the log
  /// although it was not acknowledged, the next commit overwrites them; so one is made here.
  Ending settle(Ending ending);

  /// Whether the outcome of every commit so far is known.
  [[nodiscard]] bool is_settled() const { return unclear_ == 0; }
  [[nodiscard]] bool is_open() const { return connection_.in_transaction(); }
  /// Whether the open transaction's commit is synced, as far as this storage syncs any.
  [[nodiscard]] bool is_synced() const { return synced_; }
  /// Whether the open transaction is to leave anything.
  [[nodiscard]] bool changed() const;
  /// Whether the open transaction has drawn journal numbers.
  [[nodiscard]] bool has_drawn() const { return sequence_ != sequence_begun_; }
  /// The last journal number drawn; to be moved by whoever draws.
  [[nodiscard]] std::int64_t& sequence() { return sequence_; }
  /// The number of the last commit that left a row.
  [[nodiscard]] std::int64_t last_commit() const { return last_; }
  /// The number of the last commit that begin() found and another storage had made; 0: none.
  [[nodiscard]] std::int64_t others_commit() const { return others_; }

 private:
  [[nodiscard]] std::uint32_t data_version() const;
  Result<void> look_for_upgrade();
  int set_synced(bool synced);
  int append_row();
  [[nodiscard]] Outcome judge(int code) const;
  Ending settle_once();

  Connection& connection_;
  LockFile& lock_file_;
  const FileGuard& guard_;
  std::int64_t writer_;
  bool power_safe_;
  bool synced_ = true;
  std::int64_t last_ = 0;         ///< number of the newest row
  std::int64_t last_writer_ = 0;  ///< who made it
  std::int64_t sequence_ = 0;
  std::int64_t sequence_begun_ = 0;
  std::int64_t changes_begun_ = 0;
  std::int64_t unclear_ = 0;  ///< the number of a commit that is not settled; 0: none
  std::int64_t others_ = 0;
  std::uint32_t data_version_ = 0;  ///< after the last commit here; another since then changes it
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
