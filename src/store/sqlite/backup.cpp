// Backups of a SQLite file: making one, reading it, making an office of it.

#include "bureau/store/backup.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "bureau/store/stored_catalog.hpp"
#include "store/guarded.hpp"
#include "store/recovery.hpp"
#include "store/sqlite/backup_file.hpp"
#include "store/sqlite/failure.hpp"
#include "store/sqlite/file_place.hpp"
#include "store/sqlite/side_files.hpp"
#include "store/sqlite/transaction.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

constexpr std::string_view backing_up = "a backup";

/// A snapshot for as long as it lives.
class HeldSnapshot {
 public:
  explicit HeldSnapshot(Connection& connection) : connection_(connection) {}
  HeldSnapshot(const HeldSnapshot&) = delete;
  HeldSnapshot& operator=(const HeldSnapshot&) = delete;
  ~HeldSnapshot() {
    if (connection_.in_transaction()) connection_.run("ROLLBACK");
  }
  Result<BackupReport> begin() {
    if (const int code = connection_.run("BEGIN"); code != SQLITE_OK) {
      return fail(connection_.error(code, backing_up));
    }
    BackupReport moment;
    BUREAU_TRY(const std::int64_t has_journal,
               connection_.query_integer(
                   "SELECT COUNT(*) FROM sqlite_schema WHERE name='bureau_journal'", backing_up));
    moment.at = connection_.clock().now();
    if (has_journal == 0) return moment;
    BUREAU_TRY(moment.sequence, connection_.query_integer(
                                    "SELECT COALESCE(MAX(id),0) FROM bureau_journal", backing_up));
    return moment;
  }

 private:
  Connection& connection_;
};

/// That a name may become a backup's.
Result<void> check_destination(const std::string& path, bool replace) {
  if (path.empty()) return fail(Code::invalid, "backup: it needs a file", "backup");
  if (!is_there(path)) return {};
  if (!replace) {
    return fail(Code::exists,
                fmt::format("{}: is there already; name another file, or say that it is to be "
                            "replaced",
                            path),
                "backup");
  }
  auto known = describe_backup(path);
  if (known) return {};
  // Whatever it is, nobody asked to lose that.
  return fail(
      Code::conflict,
      fmt::format("{}: only a backup is replaced by a backup: {}", path, known.error().message),
      "backup");
}

/// What only reads, on a file that nobody writes.
class BackupStorage final : public Storage {
 public:
  explicit BackupStorage(std::string path, std::unique_ptr<Connection> first)
      : path_(std::move(path)) {
    free_.push_back(std::move(first));
  }

  [[nodiscard]] std::string_view name() const override { return "backup"; }
  [[nodiscard]] Capabilities capabilities() const override { return {.durable = true}; }

  Result<void> read(Monotonic deadline, ReadClosure closure) override {
    BUREAU_TRY(auto connection, take());
    connection->set_deadline(deadline);
    auto result = read_on(*connection, deadline, closure);
    connection->set_deadline(Monotonic::never());
    give_back(std::move(connection));
    return result;
  }
  Result<void> write(const WriteOptions&, WriteClosure) override { return refuse(); }
  Result<void> migrate(const Catalog&) override { return refuse(); }
  Result<Subscription> on_commit(std::function<void()>) override { return Subscription(); }
  Result<bool> hold_node(int) override { return refuse(); }
  void release_node(int) override {}
  Result<bool> node_is_alive(int) override { return false; }

  Result<std::vector<StoredTable>> stored_tables() override {
    BUREAU_TRY(const auto connection, open_read_only(path_));
    return read_definitions(*connection);
  }
  Result<void> check_integrity() override {
    BUREAU_TRY(const auto connection, open_read_only(path_));
    return look_for_damage(*connection);
  }

 private:
  [[nodiscard]] Unexpected refuse() const {
    return fail(Code::forbidden,
                fmt::format("{}: a backup is only read; restore it to go on with it", path_));
  }
  static Result<void> read_on(Connection& connection, Monotonic deadline, ReadClosure closure) {
    if (const int code = connection.run("BEGIN"); code != SQLITE_OK) {
      return fail(connection.error(code, "beginning a read"));
    }
    SnapshotReader reader(connection, deadline);
    auto result = guarded([&] { return closure(reader); });
    connection.set_deadline(Monotonic::never());
    connection.run("ROLLBACK");
    return result;
  }
  Result<std::unique_ptr<Connection>> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto taken = std::move(free_.back());
        free_.pop_back();
        return taken;
      }
    }
    return open_read_only(path_);
  }
  void give_back(std::unique_ptr<Connection> connection) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(connection));
  }

  std::string path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> free_;
};

/// The files that a storage makes beside a database.
void remove_side_files(const std::string& database) {
  for (const char* suffix : {"-wal", "-shm", "-lock", "-nodes", "-wake"}) {
    ::unlink((database + suffix).c_str());
  }
}

/// Takes the place of an office: nobody opens or writes it meanwhile.
class OfficePlace {
 public:
  explicit OfficePlace(std::string path) : path_(std::move(path)) {}

  /// `exists` when there is an office and it is not to be replaced, `busy` when it is open.
  Result<void> take(bool replace) {
    if (path_.empty()) return fail(Code::invalid, "office: it needs a file", "office");
    if (!is_there(path_)) {
      if (!is_there(path_ + "-wal")) return {};
      return fail(Code::conflict,
                  fmt::format("{0}-wal: a log is there without its office; put it beside the file "
                              "that it belongs to, or away",
                              path_),
                  "office");
    }
    if (!replace) {
      return fail(Code::exists,
                  fmt::format("{}: there is an office already; name another file, or say that it "
                              "is to be put aside",
                              path_),
                  "office");
    }
    // Whoever opens it in good order lets the log go into the file; a damaged one stays as it is.
    {
      SqliteOptions options;
      options.path = path_;
      auto opened = open_sqlite(std::move(options));
      if (!opened && opened.error().code == Code::busy) return fail(std::move(opened).error());
    }
    BUREAU_TRY(lock_, LockFile::open(path_));
    if (!lock_->try_lock()) return busy();
    BUREAU_TRY(const bool alone, lock_->join());
    if (!alone) return busy();
    lock_->set_mark(false);
    return {};
  }

  /// Renames what is there. Where it went; empty when there was nothing.
  Result<std::string> put_aside() {
    if (!is_there(path_)) return std::string();
    std::string aside;
    for (int i = 1; aside.empty() || is_there(aside); ++i) {
      aside = fmt::format("{}-replaced-{}", path_, i);
    }
    if (::rename(path_.c_str(), aside.c_str()) != 0) {
      return fail(system_error(errno, path_, "putting it aside"));
    }
    // Only one that could not be opened still has a log.
    if (is_there(path_ + "-wal") &&
        ::rename((path_ + "-wal").c_str(), (aside + "-wal").c_str()) != 0) {
      return fail(system_error(errno, path_, "putting its log aside"));
    }
    ::unlink((path_ + "-shm").c_str());
    return aside;
  }

 private:
  [[nodiscard]] Unexpected busy() const {
    return fail(Code::busy,
                fmt::format("{}: it is open in this or another process; end that first", path_),
                "office");
  }
  std::string path_;
  std::unique_ptr<LockFile> lock_;
};

/// One restore on its way.
class Restoration {
 public:
  Restoration(std::string backup, std::string office, const RestoreOptions& options)
      : backup_(std::move(backup)), office_(std::move(office)), options_(options) {}

  Result<RestoreReport> run() {
    if (options_.to_sequence && options_.to_moment) {
      return fail(Code::invalid, "restore: either to a sequence or to a moment", "moment");
    }
    if (options_.history == nullptr && (options_.to_sequence || options_.to_moment)) {
      return fail(Code::invalid,
                  "history: to come to another moment than the backup's takes a journal",
                  "history");
    }
    BUREAU_TRY(report_.backup, describe_backup(backup_));
    report_.sequence = report_.backup.sequence;
    OfficePlace place(office_);
    BUREAU_TRY_VOID(place.take(options_.replace));
    BUREAU_TRY(NewFile made, NewFile::create(office_, "-restoring"));
    remove_side_files(made.path());
    auto filled = fill(made);
    remove_side_files(made.path());
    BUREAU_TRY_VOID(std::move(filled));
    BUREAU_TRY(report_.put_aside, place.put_aside());
    BUREAU_TRY_VOID(made.publish(false));
    return std::move(report_);
  }

 private:
  Result<void> fill(NewFile& made) {
    {
      BUREAU_TRY(const auto connection, open_read_only(backup_));
      BUREAU_TRY_VOID(copy_pages(*connection, made, {.share = 1, .progress = options_.progress}));
    }
    // Marked anew: what was copied may come from an office that kept its old name.
    BUREAU_TRY_VOID(write_moment(made.path(), report_.backup));
    if (options_.progress && !options_.progress({"check", 0, 0})) {
      return fail(Code::cancelled, fmt::format("{}: the restore was given up", office_));
    }
    {
      BUREAU_TRY(const auto connection, open_read_only(made.path()));
      BUREAU_TRY_VOID(look_for_damage(*connection));
    }
    if (options_.history == nullptr) return {};
    BUREAU_TRY_VOID(replay(made.path()));
    struct stat log {};
    if (::stat((made.path() + "-wal").c_str(), &log) != 0 || log.st_size == 0) return {};
    return fail(Code::unavailable,
                fmt::format("{}: what was replayed could not be moved into the file; is the disk "
                            "full?",
                            made.path()));
  }

  Result<void> replay(const std::string& path) {
    BUREAU_TRY(const auto base, open_backup(backup_));
    SqliteOptions sqlite;
    sqlite.path = path;
    sqlite.durability = Durability::relaxed;  // the whole is synced at the end
    sqlite.log = options_.log;
    BUREAU_TRY(const auto office, open_sqlite(std::move(sqlite)));
    BUREAU_TRY(const ReplayReport replayed, replay_journal(*options_.history, *office,
                                                           {.after = report_.backup.sequence,
                                                            .to_sequence = options_.to_sequence,
                                                            .to_moment = options_.to_moment,
                                                            .progress = options_.progress}));
    report_.sequence = replayed.sequence;
    report_.replayed = replayed.changes;
    report_.erased_since = replayed.erased;
    return {};
  }

  std::string backup_, office_;
  const RestoreOptions& options_;
  RestoreReport report_;
};

}  // namespace

Result<BackupReport> make_backup(Connection& from, const std::string& path,
                                 const BackupOptions& options) {
  const std::string target = resolve(path);
  BUREAU_TRY_VOID(check_destination(target, options.replace));
  BUREAU_TRY(NewFile made, NewFile::create(target, "-partial"));
  HeldSnapshot snapshot(from);
  BUREAU_TRY(BackupReport moment, snapshot.begin());
  BUREAU_TRY_VOID(copy_pages(from, made, options));
  BUREAU_TRY_VOID(write_moment(made.path(), moment));
  BUREAU_TRY_VOID(made.publish(options.replace));
  struct stat status {};
  if (::stat(target.c_str(), &status) == 0) moment.bytes = status.st_size;
  return moment;
}

}  // namespace detail::sqlite

Result<BackupReport> describe_backup(const std::string& path) {
  BUREAU_TRY(const auto connection, detail::sqlite::open_read_only(path));
  BUREAU_TRY(const auto moment, detail::sqlite::read_moment(*connection));
  if (moment) return *moment;
  return fail(Code::invalid, fmt::format("{}: it is an office, not a backup", path), "backup");
}

Result<std::shared_ptr<Storage>> open_backup(const std::string& path) {
  BUREAU_TRY_VOID(describe_backup(path));
  BUREAU_TRY(auto connection, detail::sqlite::open_read_only(path));
  return std::make_shared<detail::sqlite::BackupStorage>(path, std::move(connection));
}

Result<RestoreReport> restore_backup(const std::string& backup, const std::string& office,
                                     const RestoreOptions& options) {
  return detail::sqlite::Restoration(backup, detail::sqlite::resolve(office), options).run();
}

BUREAU_END_NAMESPACE
