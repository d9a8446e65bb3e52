#include "store/sqlite/checkpointer.hpp"

#include <algorithm>

#include "store/sqlite/log_repair.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {
constexpr std::int64_t frame_bytes = 4096 + 24;
}  // namespace

Checkpointer::Checkpointer(Connection& connection, LockFile& lock_file, LogSink log)
    : connection_(connection), lock_file_(lock_file), log_(std::move(log)) {
  sqlite3_wal_hook(connection.handle(), &Checkpointer::on_commit, this);
}

int Checkpointer::on_commit(void* self, sqlite3*, const char*, int pages) {
  auto* checkpointer = static_cast<Checkpointer*>(self);
  const std::int64_t bytes = pages * frame_bytes;
  checkpointer->bytes_.store(bytes, std::memory_order_relaxed);
  checkpointer->longest_ = std::max(checkpointer->longest_, bytes);
  return SQLITE_OK;
}

Result<bool> Checkpointer::run(int mode) {
  int pages = 0;
  int moved = 0;
  // A deadline that has passed: a reader in the way is left alone, not waited for.
  connection_.set_deadline({Duration::zero()});
  const int code = sqlite3_wal_checkpoint_v2(connection_.handle(), "main", mode, &pages, &moved);
  connection_.set_deadline(Monotonic::never());
  if (code == SQLITE_BUSY) return false;
  if (code != SQLITE_OK) return fail(connection_.error(code, "a checkpoint"));
  const bool all = pages == moved;
  // All moved: the next commit begins the log anew.
  if (all) bytes_.store(0, std::memory_order_relaxed);
  return all;
}

Result<bool> Checkpointer::checkpoint(bool may_truncate) {
  if (lock_file_.is_marked()) BUREAU_TRY_VOID(repair_log(connection_, "a checkpoint"));
  lock_file_.set_mark(true);
  auto done = run_marked(may_truncate);
  // A repair that fails is tried again before the next checkpoint.
  if (done || repair_log(connection_, "a checkpoint")) lock_file_.set_mark(false);
  return done;
}

Result<bool> Checkpointer::run_marked(bool may_truncate) {
  BUREAU_TRY(const bool all, run(SQLITE_CHECKPOINT_PASSIVE));
  forced_at_ = all ? forced_bytes : std::max(forced_at_, wal_bytes() + forced_bytes / 4);
  if (!all || !may_truncate || longest_ < truncate_bytes) return all;
  // Otherwise the file keeps its length: a commit that makes it longer has more to sync than one
  // that overwrites.
  BUREAU_TRY(const bool truncated, run(SQLITE_CHECKPOINT_TRUNCATE));
  if (truncated) longest_ = 0;
  return all;
}

void Checkpointer::after_commit() {
  if (wal_bytes() < forced_at_) return;
  const auto done = checkpoint(false);
  if (done) return;
  forced_at_ = wal_bytes() + forced_bytes / 4;
  log(log_, LogLevel::error, "sqlite", "a checkpoint failed",
      {{"error", std::string_view(done.error().message)}});
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
