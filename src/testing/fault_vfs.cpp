#include "bureau/testing/fault_vfs.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "testing/fault_machine.hpp"

BUREAU_BEGIN_NAMESPACE
namespace testing {
namespace {

using detail::FaultMachine;
using detail::LockLevel;
using detail::OpenFile;
using detail::Refusal;

/// What the callbacks find behind the `sqlite3_vfs` that SQLite hands them.
struct Vfs {
  sqlite3_vfs sqlite = {};  // first: a pointer to it is a pointer to this
  sqlite3_vfs* os = nullptr;
  FaultVfsOptions options = {};
  FaultMachine machine;

  explicit Vfs(FaultVfsOptions o) : options(std::move(o)), machine(options) {}
};

/// SQLite provides the bytes of this; it is constructed in them by `vfs_open`.
struct File {
  sqlite3_file sqlite = {};  // first, as above
  Vfs* vfs = nullptr;
  OpenFile* open = nullptr;
  bool persist_wal = false;
  bool powersafe_overwrite = true;

  [[nodiscard]] FaultMachine& machine() const { return vfs->machine; }
};

Vfs& vfs_of(sqlite3_vfs* vfs) { return *reinterpret_cast<Vfs*>(vfs); }
File& file_of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

int code(Refusal refusal, int io_error) {
  switch (refusal) {
    case Refusal::none:
      return SQLITE_OK;
    case Refusal::busy:
      return SQLITE_BUSY;
    case Refusal::disk_full:
      return SQLITE_FULL;
    case Refusal::missing:
    case Refusal::exists:
    case Refusal::io_error:
      return io_error;
  }
  return io_error;
}

DiskFile kind_of(int flags) {
  if (flags & SQLITE_OPEN_MAIN_DB) return DiskFile::database;
  if (flags & SQLITE_OPEN_WAL) return DiskFile::wal;
  if (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL)) return DiskFile::journal;
  return DiskFile::temporary;
}

// Removal names a file by its path alone.
DiskFile kind_of(std::string_view path) {
  if (path.ends_with("-wal")) return DiskFile::wal;
  if (path.ends_with("-journal")) return DiskFile::journal;
  return DiskFile::database;
}

// The calls on an open file. An exception (out of memory) cannot pass through SQLite: it ends the
// process, by noexcept.
// ----------------------------------------------------------------------------

int file_close(sqlite3_file* f) noexcept {
  auto& file = file_of(f);
  file.machine().close(*file.open);
  delete std::exchange(file.open, nullptr);
  return SQLITE_OK;
}

int file_read(sqlite3_file* f, void* out, int bytes, sqlite3_int64 offset) noexcept {
  auto& file = file_of(f);
  const std::span buffer(static_cast<std::byte*>(out), static_cast<std::size_t>(bytes));
  std::size_t count = 0;
  const auto refusal =
      file.machine().read(*file.open, static_cast<std::uint64_t>(offset), buffer, count);
  if (refusal != Refusal::none) return code(refusal, SQLITE_IOERR_READ);
  if (count == buffer.size()) return SQLITE_OK;
  std::ranges::fill(buffer.subspan(count), std::byte{0});
  return SQLITE_IOERR_SHORT_READ;
}

int file_write(sqlite3_file* f, const void* data, int bytes, sqlite3_int64 offset) noexcept {
  auto& file = file_of(f);
  const std::span buffer(static_cast<const std::byte*>(data), static_cast<std::size_t>(bytes));
  return code(file.machine().write(*file.open, static_cast<std::uint64_t>(offset), buffer),
              SQLITE_IOERR_WRITE);
}

int file_truncate(sqlite3_file* f, sqlite3_int64 size) noexcept {
  auto& file = file_of(f);
  return code(file.machine().truncate(*file.open, static_cast<std::uint64_t>(size)),
              SQLITE_IOERR_TRUNCATE);
}

int file_sync(sqlite3_file* f, int) noexcept {
  auto& file = file_of(f);
  return code(file.machine().sync(*file.open), SQLITE_IOERR_FSYNC);
}

int file_size(sqlite3_file* f, sqlite3_int64* out) noexcept {
  auto& file = file_of(f);
  std::uint64_t bytes = 0;
  const auto refusal = file.machine().size(*file.open, bytes);
  *out = static_cast<sqlite3_int64>(bytes);
  return code(refusal, SQLITE_IOERR_FSTAT);
}

int file_lock(sqlite3_file* f, int level) noexcept {
  auto& file = file_of(f);
  return code(file.machine().lock(*file.open, static_cast<LockLevel>(level)), SQLITE_IOERR_LOCK);
}

int file_unlock(sqlite3_file* f, int level) noexcept {
  auto& file = file_of(f);
  file.machine().unlock(*file.open, static_cast<LockLevel>(level));
  return SQLITE_OK;
}

int file_check_reserved_lock(sqlite3_file* f, int* out) noexcept {
  auto& file = file_of(f);
  *out = file.machine().reserved(*file.open) ? 1 : 0;
  return SQLITE_OK;
}

/// Sets the bit when `*argument` is 0 or 1, and asks for it when negative.
void exchange_bit(bool& bit, int* argument) {
  if (*argument >= 0) bit = *argument != 0;
  *argument = bit ? 1 : 0;
}

int file_control(sqlite3_file* f, int operation, void* argument) noexcept {
  auto& file = file_of(f);
  switch (operation) {
    case SQLITE_FCNTL_LOCKSTATE:
      *static_cast<int*>(argument) = static_cast<int>(file.open->level);
      return SQLITE_OK;
    case SQLITE_FCNTL_PERSIST_WAL:
      exchange_bit(file.persist_wal, static_cast<int*>(argument));
      return SQLITE_OK;
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
      exchange_bit(file.powersafe_overwrite, static_cast<int*>(argument));
      return SQLITE_OK;
    case SQLITE_FCNTL_VFSNAME:
      *static_cast<char**>(argument) = sqlite3_mprintf("%s", file.vfs->options.name.c_str());
      return SQLITE_OK;
    case SQLITE_FCNTL_HAS_MOVED:
      *static_cast<int*>(argument) = file.machine().is_moved(*file.open) ? 1 : 0;
      return SQLITE_OK;
    default:
      return SQLITE_NOTFOUND;
  }
}

int file_sector_size(sqlite3_file* f) noexcept {
  return static_cast<int>(file_of(f).vfs->options.sector_size);
}

int file_device_characteristics(sqlite3_file* f) noexcept {
  return file_of(f).powersafe_overwrite ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

int file_shm_map(sqlite3_file* f, int index, int bytes, int make, void volatile** out) noexcept {
  auto& file = file_of(f);
  void* region = nullptr;
  const auto refusal =
      file.machine().map_memory(*file.open, static_cast<std::size_t>(index),
                                static_cast<std::size_t>(bytes), make != 0, region);
  *out = region;
  return code(refusal, SQLITE_IOERR_SHMMAP);
}

int file_shm_lock(sqlite3_file* f, int first, int count, int flags) noexcept {
  auto& file = file_of(f);
  if (flags & SQLITE_SHM_UNLOCK) {
    file.machine().unlock_memory(*file.open, first, count);
    return SQLITE_OK;
  }
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  return code(file.machine().lock_memory(*file.open, first, count, exclusive),
              SQLITE_IOERR_SHMLOCK);
}

void file_shm_barrier(sqlite3_file* f) noexcept {
  // Both, as SQLite's own does: the thread sanitizer knows the mutex, but not the fence.
  __sync_synchronize();
  file_of(f).machine().memory_barrier();
}

int file_shm_unmap(sqlite3_file* f, int) noexcept {
  auto& file = file_of(f);
  file.machine().leave_memory(*file.open);
  return SQLITE_OK;
}

const sqlite3_io_methods file_methods = {2,
                                         file_close,
                                         file_read,
                                         file_write,
                                         file_truncate,
                                         file_sync,
                                         file_size,
                                         file_lock,
                                         file_unlock,
                                         file_check_reserved_lock,
                                         file_control,
                                         file_sector_size,
                                         file_device_characteristics,
                                         file_shm_map,
                                         file_shm_lock,
                                         file_shm_barrier,
                                         file_shm_unmap,
                                         nullptr,
                                         nullptr};

// The calls on the VFS.
// ----------------------------------------------------------------------------

int vfs_open(sqlite3_vfs* v, const char* path, sqlite3_file* f, int flags,
             int* out_flags) noexcept {
  auto& vfs = vfs_of(v);
  auto* file = new (f) File;
  auto opened = std::make_unique<OpenFile>();
  const FaultMachine::OpenMode mode = {.create = (flags & SQLITE_OPEN_CREATE) != 0,
                                       .exclusive = (flags & SQLITE_OPEN_EXCLUSIVE) != 0,
                                       .remove_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0};
  const std::string_view name = path ? path : "";
  if (vfs.machine.open(name, kind_of(flags), mode, *opened) != Refusal::none) {
    return SQLITE_CANTOPEN;  // no methods: SQLite does not close it
  }
  file->vfs = &vfs;
  file->open = opened.release();
  file->powersafe_overwrite = vfs.options.powersafe_overwrite;
  file->sqlite.pMethods = &file_methods;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

int vfs_delete(sqlite3_vfs* v, const char* path, int sync_directory) noexcept {
  const auto refusal = vfs_of(v).machine.remove(path, kind_of(path), sync_directory != 0);
  if (refusal == Refusal::missing) return SQLITE_IOERR_DELETE_NOENT;
  return code(refusal, SQLITE_IOERR_DELETE);
}

int vfs_access(sqlite3_vfs* v, const char* path, int flags, int* out) noexcept {
  bool there = false;
  std::uint64_t bytes = 0;
  const auto refusal = vfs_of(v).machine.access(path, there, bytes);
  // As on Unix, an empty file does not count as existing.
  *out = there && (flags != SQLITE_ACCESS_EXISTS || bytes > 0) ? 1 : 0;
  return code(refusal, SQLITE_IOERR_ACCESS);
}

int vfs_full_pathname(sqlite3_vfs*, const char* path, int bytes, char* out) noexcept {
  const auto length = std::strlen(path);
  if (length >= static_cast<std::size_t>(bytes)) return SQLITE_CANTOPEN;
  std::memcpy(out, path, length + 1);
  return SQLITE_OK;
}

// The rest is not the disk's: it is left to the VFS of the system.

int vfs_randomness(sqlite3_vfs* v, int bytes, char* out) noexcept {
  auto* os = vfs_of(v).os;
  return os->xRandomness(os, bytes, out);
}

int vfs_sleep(sqlite3_vfs* v, int microseconds) noexcept {
  auto* os = vfs_of(v).os;
  return os->xSleep(os, microseconds);
}

int vfs_current_time(sqlite3_vfs* v, double* out) noexcept {
  auto* os = vfs_of(v).os;
  return os->xCurrentTime(os, out);
}

int vfs_current_time_int64(sqlite3_vfs* v, sqlite3_int64* out) noexcept {
  auto* os = vfs_of(v).os;
  return os->xCurrentTimeInt64(os, out);
}

int vfs_get_last_error(sqlite3_vfs*, int, char*) noexcept { return 0; }

void* vfs_dl_open(sqlite3_vfs* v, const char* path) noexcept {
  auto* os = vfs_of(v).os;
  return os->xDlOpen(os, path);
}

void vfs_dl_error(sqlite3_vfs* v, int bytes, char* out) noexcept {
  auto* os = vfs_of(v).os;
  os->xDlError(os, bytes, out);
}

void (*vfs_dl_sym(sqlite3_vfs* v, void* library, const char* symbol) noexcept)(void) {
  auto* os = vfs_of(v).os;
  return os->xDlSym(os, library, symbol);
}

void vfs_dl_close(sqlite3_vfs* v, void* library) noexcept {
  auto* os = vfs_of(v).os;
  os->xDlClose(os, library);
}

[[noreturn]] void die(const std::string& reason) {
  fmt::print(stderr, "bureau::testing::FaultVfs: {}\n", reason);
  std::abort();
}

std::string made_up_name() {
  static std::atomic<std::uint64_t> next{1};
  return fmt::format("bureau-fault-{}", next++);
}

}  // namespace

struct FaultVfs::State : Vfs {
  using Vfs::Vfs;
};

FaultVfs::FaultVfs(FaultVfsOptions options) {
  if (sqlite3_initialize() != SQLITE_OK) die("SQLite does not start");
  if (options.name.empty()) options.name = made_up_name();
  if (sqlite3_vfs_find(options.name.c_str())) {
    die(fmt::format("a VFS is already registered as \"{}\"", options.name));
  }
  state_ = std::make_unique<State>(std::move(options));
  state_->os = sqlite3_vfs_find(nullptr);
  auto& sqlite = state_->sqlite;
  sqlite.iVersion = 2;
  sqlite.szOsFile = sizeof(File);
  sqlite.mxPathname = 4096;
  sqlite.zName = state_->options.name.c_str();
  sqlite.xOpen = vfs_open;
  sqlite.xDelete = vfs_delete;
  sqlite.xAccess = vfs_access;
  sqlite.xFullPathname = vfs_full_pathname;
  sqlite.xDlOpen = vfs_dl_open;
  sqlite.xDlError = vfs_dl_error;
  sqlite.xDlSym = vfs_dl_sym;
  sqlite.xDlClose = vfs_dl_close;
  sqlite.xRandomness = vfs_randomness;
  sqlite.xSleep = vfs_sleep;
  sqlite.xCurrentTime = vfs_current_time;
  sqlite.xGetLastError = vfs_get_last_error;
  sqlite.xCurrentTimeInt64 = vfs_current_time_int64;
  if (sqlite3_vfs_register(&sqlite, 0) != SQLITE_OK) die("SQLite does not register it");
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&state_->sqlite);
  if (const auto open = state_->machine.open_files(); open != 0) {
    die(fmt::format("\"{}\" is destroyed while {} of its files are open", name(), open));
  }
}

const std::string& FaultVfs::name() const { return state_->options.name; }
void FaultVfs::fail(FaultRule rule) { state_->machine.fail(rule); }
void FaultVfs::heal() { state_->machine.heal(); }
std::uint64_t FaultVfs::faults() const { return state_->machine.faults(); }
void FaultVfs::set_disk_capacity(std::uint64_t bytes) { state_->machine.set_disk_capacity(bytes); }
void FaultVfs::set_sync_delay(Duration delay, std::function<void(Duration)> wait) {
  state_->machine.set_sync_delay(delay, std::move(wait));
}
void FaultVfs::set_lying_syncs(bool lying) { state_->machine.set_lying_syncs(lying); }
std::uint64_t FaultVfs::steps() const { return state_->machine.steps(); }
void FaultVfs::cut_power_after(std::uint64_t steps) { state_->machine.plan_end(steps, true); }
void FaultVfs::kill_after(std::uint64_t steps) { state_->machine.plan_end(steps, false); }
bool FaultVfs::is_down() const { return state_->machine.is_down(); }
void FaultVfs::restore_power(PowerLoss loss, std::uint64_t seed) {
  state_->machine.restore_power(loss, seed);
}
void FaultVfs::restart() { state_->machine.restart(); }
std::uint64_t FaultVfs::count(DiskOperation operation) const {
  return state_->machine.count(operation);
}
std::vector<std::string> FaultVfs::files() const { return state_->machine.files(); }
std::optional<std::vector<std::byte>> FaultVfs::contents(std::string_view path) const {
  return state_->machine.contents(path);
}
void FaultVfs::set_contents(std::string_view path, std::vector<std::byte> bytes) {
  state_->machine.set_contents(path, std::move(bytes));
}

}  // namespace testing
BUREAU_END_NAMESPACE
