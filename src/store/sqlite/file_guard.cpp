#include "store/sqlite/file_guard.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "bureau/core/random.hpp"
#include "core/forks.hpp"
#include "store/sqlite/failure.hpp"
#include "store/sqlite/log_repair.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

/// Where SQLite's VFS for Unix keeps a connection's lock on the database: shared while the file is
/// open in WAL mode; exclusive while a copy of SQLite that believes itself alone removes the log.
constexpr off_t sqlite_lock_start = 0x40000002;
constexpr off_t sqlite_lock_length = 510;
/// Ours are far behind the end of any database, one byte for each process.
constexpr off_t first_place = off_t{1} << 42;
constexpr std::uint64_t places = std::uint64_t{1} << 40;

/// In the upper half of the mark; so a later SQLite that uses the field is told from us.
constexpr std::uint32_t mark_sign = 0xB0EA0000;
constexpr std::uint32_t mark_sign_bits = 0xFFFF0000;

}  // namespace

/// What the storages of this process share for one file. Its descriptor is closed only when nobody
/// in this process has a lock on the file: closing it would drop that.
struct FileGuard::File {
  dev_t device = 0;
  ino_t inode = 0;
  FileHandle handle;
  off_t place = 0;  ///< of our lock
  int users = 0;    ///< guarded by the registry's mutex
  std::uint32_t forks = 0;
  std::atomic<bool> lost{false};
  std::mutex mutex;  ///< guards why
  Error why;
};

namespace {

struct Registry {
  std::mutex mutex;
  std::vector<std::shared_ptr<FileGuard::File>> files;

  [[nodiscard]] std::shared_ptr<FileGuard::File> find(const struct stat& status) const {
    for (const auto& file : files) {
      if (file->device == status.st_dev && file->inode == status.st_ino) return file;
    }
    return nullptr;
  }
};

/// Never destroyed: storages may be, at the end of the program.
Registry& registry() {
  static auto* const made = new Registry;
  return *made;
}

/// A lock that goes when this process's locks on the file go.
Result<void> take_place(FileGuard::File& file, const std::string& path) {
  int number = 0;
  for (int i = 0; i < 16; ++i) {
    file.place = first_place + static_cast<off_t>(Random::system().below(places));
    auto lock = lock_range(F_WRLCK, file.place, 1);
    number = control_lock(file.handle.get(), F_SETLK, lock);
    if (number == 0) return {};
  }
  return fail(system_error(number, path, "locking it"));
}

/// Asks for nothing but the links. Once a file's times were asked for, a kernel that keeps fine
/// ones (Linux 6.13 on) gives it a new time at the next write instead of at the next tick, and on
/// some file systems every sync then writes the inode as well: half as long again for each commit.
bool is_removed(int descriptor) {
  struct statx links {};
  if (::statx(descriptor, "", AT_EMPTY_PATH, STATX_NLINK, &links) == 0) return links.stx_nlink == 0;
  // A sandbox may refuse a call that it does not know.
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && status.st_nlink == 0;
}

/// Forgets files that nobody uses. One on which somebody still has a lock stays: whether it is
/// another process or a connection of the host's own through the same SQLite, closing ours would
/// cost the latter its lock.
void close_unused(Registry& all) {
  std::erase_if(all.files, [](const std::shared_ptr<FileGuard::File>& file) {
    if (file->users > 0 || file->forks != forks()) return false;
    auto lock = lock_range(F_WRLCK, sqlite_lock_start - 2, sqlite_lock_length + 2);
    return control_lock(file->handle.get(), F_OFD_GETLK, lock) == 0 && lock.l_type == F_UNLCK;
  });
}

tl::unexpected<Error> forked(const std::string& path) {
  return fail(
      Code::invalid,
      fmt::format("{}: it was open when this process was forked, and belongs to the parent; "
                  "fork first and open then, or call exec()",
                  path));
}

Result<std::shared_ptr<FileGuard::File>> attach(const std::string& path) {
  Registry& all = registry();
  const std::lock_guard guard(all.mutex);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail(system_error(errno, path, "looking at it"));
  auto file = all.find(status);
  if (file && file->users > 0) {
    ++file->users;
    return file;
  }
  if (!file) {
    file = std::make_shared<FileGuard::File>();
    file->handle = FileHandle(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!file->handle.is_open()) return fail(system_error(errno, path, "opening it"));
    struct stat opened {};
    ::fstat(file->handle.get(), &opened);
    file->device = opened.st_dev;
    file->inode = opened.st_ino;
    all.files.push_back(file);
    if (opened.st_ino != status.st_ino || opened.st_dev != status.st_dev) {
      return fail(Code::unavailable, path + ": it was replaced while it was being opened");
    }
  }
  file->forks = forks();
  file->lost = false;
  BUREAU_TRY_VOID(take_place(*file, path));
  ++file->users;
  return file;
}

void detach(FileGuard::File& file) {
  Registry& all = registry();
  const std::lock_guard guard(all.mutex);
  if (--file.users == 0) {
    auto lock = lock_range(F_UNLCK, file.place, 1);
    control_lock(file.handle.get(), F_SETLK, lock);
  }
  close_unused(all);
}

}  // namespace

Result<void> FileGuard::may_open(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};  // it will be made
  Registry& all = registry();
  const std::lock_guard guard(all.mutex);
  const auto file = all.find(status);
  if (!file || file->users == 0) return {};
  if (file->forks != forks()) return forked(path);
  if (!file->lost) return {};
  return fail(Code::unavailable,
              fmt::format("{}: it was taken away from an office that this process still has open; "
                          "close that first",
                          path));
}

Result<std::unique_ptr<FileGuard>> FileGuard::begin(Connection& writer, bool has_own_vfs) {
  std::unique_ptr<FileGuard> guard(new FileGuard);
  guard->path_ = writer.path();
  guard->forks_ = forks();
  if (has_own_vfs) {
    guard->file_ = std::make_shared<File>();
    return guard;
  }
  BUREAU_TRY(guard->file_, attach(guard->path_));
  const char* const database = sqlite3_db_filename(writer.handle(), "main");
  guard->log_ = FileHandle(::open(sqlite3_filename_wal(database), O_PATH | O_CLOEXEC));
  BUREAU_TRY(auto* const mark, log_mark(writer, "opening it"));
  if (mark == nullptr) return guard;
  if (*mark == 0) *mark = mark_sign | static_cast<std::uint32_t>(Random::system().next() & 0xFFFF);
  if ((*mark & mark_sign_bits) != mark_sign) return guard;
  guard->mark_ = mark;
  guard->marked_ = *mark;
  return guard;
}

FileGuard::~FileGuard() {
  if (file_ && file_->handle.is_open() && !is_forked()) detach(*file_);
}

bool FileGuard::is_forked() const { return forks_ != forks(); }

std::int64_t FileGuard::log_bytes() const {
  return mark_ == nullptr || !check() ? 0 : log_bytes_in_use(mark_);
}

bool FileGuard::is_well() const {
  if (is_forked()) return false;
  return !file_->lost.load(std::memory_order_acquire) &&
         (mark_ == nullptr || __atomic_load_n(mark_, __ATOMIC_RELAXED) == marked_);
}

Result<void> FileGuard::explain() const {
  if (is_forked()) return forked(path_);
  if (file_->lost.load(std::memory_order_acquire)) {
    const std::lock_guard guard(file_->mutex);
    return fail(file_->why);
  }
  return lose("its shared memory was made anew");
}

tl::unexpected<Error> FileGuard::lose(std::string_view how) const {
  return give_up(fmt::format(
      "{}: {}: another copy of SQLite in this process, or code that opened and closed the file "
      "itself, took it away, and nothing is written any more; what was acknowledged is in the "
      "file; close this office, keep the other from the file (read-only SQL is the engine's "
      "sql()), and open it again",
      path_, how));
}

tl::unexpected<Error> FileGuard::give_up(std::string message) const {
  refuse({Code::unavailable, std::move(message)});
  const std::lock_guard guard(file_->mutex);
  return fail(file_->why);
}

void FileGuard::refuse(Error why) const {
  const std::lock_guard guard(file_->mutex);
  if (file_->lost.load(std::memory_order_relaxed)) return;
  file_->why = std::move(why);
  file_->lost.store(true, std::memory_order_release);
}

// The order matters. Who removes the log makes a checkpoint first, with the exclusive lock, which
// goes with all others when he closes the file. Found before our commit was seen by that
// checkpoint, one of the two must show.
Result<void> FileGuard::verify() const {
  BUREAU_TRY_VOID(check());
  if (!file_->handle.is_open()) return {};
  const int descriptor = file_->handle.get();
  auto lock = lock_range(F_RDLCK, sqlite_lock_start, sqlite_lock_length);
  if (control_lock(descriptor, F_OFD_GETLK, lock) == 0 && lock.l_type == F_WRLCK &&
      lock.l_pid == ::getpid()) {
    return lose("it is being closed as if nobody else had it open");
  }
  lock = lock_range(F_WRLCK, file_->place, 1);
  if (control_lock(descriptor, F_OFD_GETLK, lock) == 0 && lock.l_type == F_UNLCK) {
    return lose("its locks were dropped");
  }
  if (log_.is_open() && is_removed(log_.get())) return lose("its log was removed");
  return {};
}

Result<void> FileGuard::verify_name() const {
  BUREAU_TRY_VOID(check());
  if (!file_->handle.is_open()) return {};
  struct stat status {};
  const bool there = ::stat(path_.c_str(), &status) == 0;
  if (there && status.st_dev == file_->device && status.st_ino == file_->inode) return {};
  return give_up(fmt::format(
      "{}: {} while it was open, and nothing is written any more: it would go into the file that "
      "was there before; close this office, and open the file that you mean",
      path_, there ? "another file was put in its place" : "it was removed or renamed"));
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
