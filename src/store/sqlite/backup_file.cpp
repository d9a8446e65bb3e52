#include "store/sqlite/backup_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "bureau/store/stored_catalog.hpp"
#include "store/sqlite/failure.hpp"
#include "store/sqlite/file_format.hpp"
#include "store/sqlite/side_files.hpp"
#include "store/table_definition.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

constexpr std::string_view copying = "a backup";
constexpr int pages_a_step = 64;
/// What is written between two syncs. A commit of the office waits for the same disk while one is
/// made: with 4 MiB between them its p99 was 3 to 6 times that without a backup.
constexpr std::int64_t synced_bytes = 256 << 10;
constexpr Duration longest_pause = std::chrono::milliseconds(200);
/// Where SQLite's header says which journal a file has; 1 is none beside it while it rests.
constexpr off_t journal_version_at = 18;

struct CloseDatabase {
  void operator()(sqlite3* handle) const { sqlite3_close(handle); }
};
using RawDatabase = std::unique_ptr<sqlite3, CloseDatabase>;

/// A file that nobody else has: without locks, so that its folder need not know any.
Result<RawDatabase> open_alone(const std::string& path) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      "unix-none");
  RawDatabase database(handle);
  if (code != SQLITE_OK) return fail(to_error(handle, code, path, copying));
  return database;
}

Result<void> execute_alone(sqlite3* handle, const std::string& path, const std::string& sql) {
  const int code = sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(to_error(handle, code, path, copying));
  return {};
}

/// One copy on its way.
class PageCopy {
 public:
  PageCopy(Connection& from, NewFile& to, const BackupOptions& options)
      : from_(from), to_(to), options_(options), share_(std::clamp(options.share, 0.01, 1.0)) {}
  ~PageCopy() { sqlite3_backup_finish(backup_); }
  PageCopy(const PageCopy&) = delete;
  PageCopy& operator=(const PageCopy&) = delete;

  Result<void> run() {
    BUREAU_TRY(target_, open_alone(to_.path()));
    // Nothing of it counts before it is published: it needs neither a journal nor SQLite's syncs.
    BUREAU_TRY_VOID(execute_alone(target_.get(), to_.path(),
                                  "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                                  "PRAGMA cache_size=-1024"));
    BUREAU_TRY(page_bytes_, from_.query_integer("PRAGMA page_size", copying));
    backup_ = sqlite3_backup_init(target_.get(), "main", from_.handle(), "main");
    if (backup_ == nullptr) return failed(sqlite3_extended_errcode(target_.get()));
    for (bool more = true; more;) {
      BUREAU_TRY(more, step());
    }
    const int code = sqlite3_backup_finish(std::exchange(backup_, nullptr));
    if (code != SQLITE_OK) return failed(code);
    return {};
  }

 private:
  [[nodiscard]] Unexpected failed(int code) const {
    const bool of_source = code == SQLITE_IOERR_READ || code == SQLITE_IOERR_SHORT_READ ||
                           (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
    return fail(to_error(of_source ? from_.handle() : target_.get(), code,
                         of_source ? from_.path() : to_.path(), copying));
  }

  Result<bool> step() {
    const Clock& real = Clock::system();
    const Monotonic begun = real.monotonic();
    const int code = sqlite3_backup_step(backup_, pages_a_step);
    if (code != SQLITE_OK && code != SQLITE_DONE) return failed(code);
    const std::int64_t all = sqlite3_backup_pagecount(backup_) * page_bytes_;
    const std::int64_t done = all - sqlite3_backup_remaining(backup_) * page_bytes_;
    if (done - synced_ >= synced_bytes) {
      BUREAU_TRY_VOID(to_.sync());
      synced_ = done;
    }
    if (options_.progress && !options_.progress({"copy", done, all})) {
      return fail(Code::cancelled, fmt::format("{}: the copy was given up", to_.path()));
    }
    if (code == SQLITE_DONE) return false;
    const double took = static_cast<double>((real.monotonic() - begun).count());
    owed_ += Duration(static_cast<std::int64_t>(took * (1 / share_ - 1)));
    // A timer is no finer than this.
    if (owed_ >= std::chrono::milliseconds(1)) {
      wait_real_time(std::min(owed_, longest_pause));
      owed_ = {};
    }
    return true;
  }

  Connection& from_;
  NewFile& to_;
  const BackupOptions& options_;
  double share_;
  RawDatabase target_;
  sqlite3_backup* backup_ = nullptr;
  std::int64_t page_bytes_ = 0;
  std::int64_t synced_ = 0;
  Duration owed_{};
};

/// An office may have a log beside it, which reading it would write in, or make. So its header is
/// looked at before anything else; through SQLite, since whoever else closes a descriptor of a file
/// that is open drops its locks.
Result<void> refuse_office(const std::string& path) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  const RawDatabase database(handle);
  if (code != SQLITE_OK) return fail(to_error(handle, code, path, opening));
  sqlite3_file* file = nullptr;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  char version = 0;
  const bool has_log = file != nullptr && file->pMethods != nullptr &&
                       file->pMethods->xRead(file, &version, 1, journal_version_at) == SQLITE_OK &&
                       version == 2;
  if (!has_log) return {};
  return fail(Code::invalid,
              fmt::format("{}: it is an office, not a backup; `bureau backup` makes one", path),
              "backup");
}

}  // namespace

// A new file --------------------------------------------------------------------------------------

Result<NewFile> NewFile::create(const std::string& path, std::string_view suffix) {
  const std::string made = path + std::string(suffix);
  BUREAU_TRY(FileHandle file, open_side_file(made));
  // A byte that SQLite's locks are far from.
  auto lock = lock_range(F_WRLCK, 0, 1);
  if (const int number = control_lock(file.get(), F_OFD_SETLK, lock); number != 0) {
    if (number == EAGAIN || number == EACCES) {
      return fail(Code::busy, fmt::format("{}: another call is making it", made));
    }
    return fail(system_error(number, made, "locking it"));
  }
  if (::ftruncate(file.get(), 0) != 0) return fail(system_error(errno, made, "emptying it"));
  return NewFile(std::move(file), path, made);
}

NewFile::NewFile(NewFile&& other) noexcept
    : file_(std::move(other.file_)),
      path_(std::move(other.path_)),
      made_(std::exchange(other.made_, {})) {}

NewFile::~NewFile() {
  if (!made_.empty()) ::unlink(made_.c_str());
}

Result<void> NewFile::sync() {
  if (::fdatasync(file_.get()) == 0) return {};
  return fail(system_error(errno, made_, "syncing it"));
}

Result<void> NewFile::publish(bool replace) {
  if (::fsync(file_.get()) != 0) return fail(system_error(errno, made_, "syncing it"));
  int failed =
      replace ? ::rename(made_.c_str(), path_.c_str())
              : ::renameat2(AT_FDCWD, made_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE);
  // A file system that cannot see to it: looked at just before instead.
  if (failed != 0 && !replace && (errno == EINVAL || errno == ENOSYS) && !is_there(path_)) {
    failed = ::rename(made_.c_str(), path_.c_str());
  }
  if (failed != 0) {
    if (errno == EEXIST) {
      return fail(Code::exists, fmt::format("{}: is there already", path_), "path");
    }
    return fail(system_error(errno, path_, "giving the new file its name"));
  }
  made_.clear();
  return sync_folder(path_);
}

Result<void> sync_folder(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash + 1);
  const FileHandle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle.is_open() || ::fsync(handle.get()) != 0) {
    return fail(system_error(errno, folder, "syncing it"));
  }
  return {};
}

bool is_there(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

// Its content
// ---------------------------------------------------------------------------------------

Result<void> copy_pages(Connection& from, NewFile& to, const BackupOptions& options) {
  return PageCopy(from, to, options).run();
}

Result<void> write_moment(const std::string& path, const BackupReport& moment) {
  {
    const FileHandle file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    // The file's writer's and reader's version: as SQLite has it where there is no log.
    if (!file.is_open() || ::pwrite(file.get(), "\x01\x01", 2, journal_version_at) != 2) {
      return fail(system_error(errno, path, "writing its header"));
    }
  }
  BUREAU_TRY(const RawDatabase database, open_alone(path));
  return execute_alone(
      database.get(), path,
      fmt::format("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;"
                  "BEGIN; INSERT OR REPLACE INTO bureau_meta VALUES('device','0'),('inode','0'),"
                  "('backup_sequence','{}'),('backup_at','{}'); COMMIT",
                  moment.sequence, moment.at.micros()));
}

Result<std::optional<BackupReport>> read_moment(Connection& connection) {
  const auto meta = [&](std::string_view key) {
    return connection.query_integer(
        fmt::format("SELECT COALESCE((SELECT CAST(value AS INTEGER) FROM bureau_meta WHERE "
                    "key='{}'),-1)",
                    key),
        opening);
  };
  BUREAU_TRY(const std::int64_t sequence, meta("backup_sequence"));
  BUREAU_TRY(const std::int64_t at, meta("backup_at"));
  if (sequence < 0) return std::nullopt;
  BackupReport moment{sequence, Timestamp::from_micros(at), 0};
  BUREAU_TRY(const std::int64_t pages, connection.query_integer("PRAGMA page_count", opening));
  BUREAU_TRY(const std::int64_t size, connection.query_integer("PRAGMA page_size", opening));
  moment.bytes = pages * size;
  return moment;
}

Result<std::vector<StoredTable>> read_definitions(Connection& connection) {
  std::vector<StoredTable> tables;
  BUREAU_TRY(const Statement statement,
             connection.prepare("SELECT name,definition FROM bureau_catalog ORDER BY name"));
  int code = statement.step();
  for (; code == SQLITE_ROW; code = statement.step()) {
    const std::string name(column_value(statement.get(), 0).as_text());
    BUREAU_TRY(Json definition,
               detail::read_definition(connection.path(), name,
                                       column_value(statement.get(), 1).as_text()));
    tables.push_back({name, std::move(definition)});
  }
  if (code != SQLITE_DONE) return fail(connection.error(code, "reading what it holds"));
  return tables;
}

Result<void> look_for_damage(Connection& connection) {
  sqlite3_stmt* handle = nullptr;
  int code =
      sqlite3_prepare_v2(connection.handle(), "PRAGMA integrity_check(3)", -1, &handle, nullptr);
  if (code != SQLITE_OK) return fail(connection.error(code, "a check"));
  const Statement statement(handle, nullptr);
  std::string found;
  for (code = statement.step(); code == SQLITE_ROW; code = statement.step()) {
    const std::string_view text = column_value(handle, 0).as_text();
    if (text == "ok") continue;
    if (!found.empty()) found += "; ";
    found += text;
  }
  if (code != SQLITE_DONE) return fail(connection.error(code, "a check"));
  if (found.empty()) return {};
  return fail(Code::corrupt,
              fmt::format("{}: it is damaged; restore a backup ({})", connection.path(), found));
}

Result<std::unique_ptr<Connection>> open_read_only(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) {
      return fail(Code::not_found, fmt::format("{}: there is no such backup", path), "backup");
    }
    return fail(system_error(errno, path, "looking at it"));
  }
  if (S_ISDIR(status.st_mode)) {
    return fail(Code::invalid, fmt::format("{}: it is a folder; name a file in it", path),
                "backup");
  }
  BUREAU_TRY_VOID(refuse_office(path));
  SqliteOptions options;
  options.path = path;
  BUREAU_TRY(auto connection, Connection::open(options, Connection::Role::sql));
  BUREAU_TRY(const bool empty, check_file(*connection));
  if (!empty) return connection;
  return fail(Code::invalid, fmt::format("{}: the file is empty", path), "backup");
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
