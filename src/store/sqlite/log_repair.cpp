#include "store/sqlite/log_repair.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

// The shared memory beside the log, as https://www.sqlite.org/walformat.html fixes it (section 2):
// all connections of the machine map the same bytes, in the machine's byte order.
constexpr int index_region_bytes = 32768;
constexpr std::size_t page_size_at = 14;  // 16 bits; 1 stands for 65,536
constexpr std::size_t frame_count_at = 16;
constexpr std::size_t moved_count_at = 96;
constexpr std::size_t unused_at = 132;
constexpr int checkpoint_lock = 1;
// The log itself: a header, then frames of a header and a page each.
constexpr std::int64_t log_header_bytes = 32;
constexpr std::int64_t frame_header_bytes = 24;
/// SQLite's VFS for Unix takes less than 128 KiB at a time.
constexpr std::int64_t chunk_bytes = 64 << 10;

sqlite3_file* file_of(const Connection& connection, int which) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection.handle(), "main", which, &file);
  return file != nullptr && file->pMethods != nullptr ? file : nullptr;
}

/// The first region of the shared memory; null when there is none.
Result<unsigned char*> index_of(const Connection& connection, std::string_view doing) {
  sqlite3_file* const file = file_of(connection, SQLITE_FCNTL_FILE_POINTER);
  if (file == nullptr || file->pMethods->iVersion < 2) return nullptr;
  void volatile* region = nullptr;
  const int code = file->pMethods->xShmMap(file, 0, index_region_bytes, 0, &region);
  if (code != SQLITE_OK) return fail(connection.error(code, doing));
  return static_cast<unsigned char*>(const_cast<void*>(region));
}

/// How many bytes of the log are in use.
std::int64_t log_bytes(const unsigned char* index) {
  std::uint16_t page_size = 0;
  std::uint32_t frames = 0;
  std::memcpy(&page_size, index + page_size_at, sizeof page_size);
  std::memcpy(&frames, index + frame_count_at, sizeof frames);
  const std::int64_t page = page_size == 1 ? 65536 : page_size;
  return frames == 0 ? 0 : log_header_bytes + std::int64_t{frames} * (frame_header_bytes + page);
}

int rewrite(sqlite3_file* log, std::int64_t bytes) {
  std::vector<char> chunk(static_cast<std::size_t>(std::min(bytes, chunk_bytes)));
  for (std::int64_t at = 0; at < bytes; at += chunk_bytes) {
    const int size = static_cast<int>(std::min(bytes - at, chunk_bytes));
    int code = log->pMethods->xRead(log, chunk.data(), size, at);
    if (code == SQLITE_OK) code = log->pMethods->xWrite(log, chunk.data(), size, at);
    if (code != SQLITE_OK) return code;
  }
  return log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
}

/// Keeps checkpoints of other programs out as long as it lives; ours are kept out by the lock file.
class CheckpointLock {
 public:
  explicit CheckpointLock(sqlite3_file* file)
      : file_(file), code_(change(SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE)) {}
  ~CheckpointLock() {
    if (code_ == SQLITE_OK) change(SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
  }
  CheckpointLock(const CheckpointLock&) = delete;
  CheckpointLock& operator=(const CheckpointLock&) = delete;
  [[nodiscard]] int code() const { return code_; }

 private:
  int change(int flags) { return file_->pMethods->xShmLock(file_, checkpoint_lock, 1, flags); }
  sqlite3_file* file_;
  int code_;
};

Result<void> forget_moved(const Connection& connection, unsigned char* index,
                          std::string_view doing) {
  CheckpointLock lock(file_of(connection, SQLITE_FCNTL_FILE_POINTER));
  if (lock.code() != SQLITE_OK) return fail(connection.error(lock.code(), doing));
  // SQLite reads and writes it atomically, as 32 bits in place. A reader that counts on what was
  // moved holds a lock that keeps the next checkpoint from the database until it is done.
  __atomic_store_n(reinterpret_cast<std::uint32_t*>(index + moved_count_at), 0U, __ATOMIC_SEQ_CST);
  return {};
}

/// REQUIRES: a write transaction is open.
Result<void> repair(const Connection& connection, std::string_view doing) {
  BUREAU_TRY(unsigned char* const index, index_of(connection, doing));
  if (index == nullptr) return {};
  sqlite3_file* const log = file_of(connection, SQLITE_FCNTL_JOURNAL_POINTER);
  const std::int64_t bytes = log_bytes(index);
  const int code = log == nullptr ? SQLITE_IOERR : bytes == 0 ? SQLITE_OK : rewrite(log, bytes);
  if (code != SQLITE_OK) return fail(connection.error(code, doing));
  return forget_moved(connection, index, doing);
}

}  // namespace

Result<void> repair_log(Connection& connection, std::string_view doing) {
  if (const int code = connection.run("BEGIN IMMEDIATE"); code != SQLITE_OK) {
    return fail(connection.error(code, doing));
  }
  Result<void> result = repair(connection, doing);
  if (connection.in_transaction()) connection.run("ROLLBACK");
  return result;
}

Result<std::uint32_t*> log_mark(Connection& connection, std::string_view doing) {
  BUREAU_TRY(unsigned char* const index, index_of(connection, doing));
  if (index == nullptr) return nullptr;
  return reinterpret_cast<std::uint32_t*>(index + unused_at);
}

std::int64_t log_bytes_in_use(const std::uint32_t* mark) {
  return log_bytes(reinterpret_cast<const unsigned char*>(mark) - unused_at);
}

bool log_is_empty(Connection& connection) {
  const auto mode = connection.prepare("PRAGMA journal_mode");
  if (!mode || mode->step() != SQLITE_ROW) return false;
  // Without a log, asking for its shared memory would make the file of that.
  if (column_value(mode->get(), 0).as_text() != "wal") return true;
  const auto index = index_of(connection, "looking at the log");
  return index && (*index == nullptr || log_bytes(*index) == 0);
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
