#include "bureau/store/sqlite_storage.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "bureau/core/random.hpp"
#include "bureau/store/backup.hpp"
#include "bureau/store/stored_catalog.hpp"
#include "store/commit_hints.hpp"
#include "store/sqlite/backup_file.hpp"
#include "store/sqlite/checkpointer.hpp"
#include "store/sqlite/failure.hpp"
#include "store/sqlite/file_format.hpp"
#include "store/sqlite/file_guard.hpp"
#include "store/sqlite/file_identity.hpp"
#include "store/sqlite/file_place.hpp"
#include "store/sqlite/log_repair.hpp"
#include "store/sqlite/reader_pool.hpp"
#include "store/sqlite/side_files.hpp"
#include "store/sqlite/sql_reader.hpp"
#include "store/sqlite/write_queue.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

/// How long open() waits for writers of other processes.
constexpr Duration open_patience = std::chrono::seconds(10);
constexpr Duration maintenance_patience = std::chrono::seconds(1);
/// After a checkpoint that a reader stood in the way of.
constexpr Duration maintenance_later = std::chrono::seconds(1);
/// When there is nothing to do; after commits the engine asks much sooner.
constexpr Duration maintenance_idle = std::chrono::minutes(1);

Result<void> check_path(const SqliteOptions& options) {
  if (options.path.empty()) return fail(Code::invalid, "path: a database needs a file", "path");
  if (options.path == ":memory:") {
    return fail(Code::invalid,
                ":memory:: an office is a file; rows in memory are make_memory_storage()'s",
                "path");
  }
  struct stat status {};
  if (options.vfs.empty() && ::stat(options.path.c_str(), &status) == 0 &&
      S_ISDIR(status.st_mode)) {
    return fail(Code::unavailable,
                fmt::format("{}: it is a folder; name a file in it", options.path), "path");
  }
  return {};
}

/// Readable by nobody but its owner from the first moment on; SQLite would ask the umask.
void create_private(const SqliteOptions& options) {
  if (!options.vfs.empty()) return;  // whose paths need not be those of this file system
  const int made = ::open(options.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (made >= 0) ::close(made);
}

Result<std::unique_ptr<Connection>> open_writer(const SqliteOptions& options) {
  // Closing any descriptor of a file drops this process's POSIX locks on it, SQLite's among them;
  // so no other thread may open a file that is being created here.
  static std::mutex creating;
  const std::lock_guard guard(creating);
  create_private(options);
  return Connection::open(options, Connection::Role::writer);
}

class SqliteStorage final : public Storage {
 public:
  static Result<std::shared_ptr<Storage>> open(SqliteOptions options);
  ~SqliteStorage() override;

  [[nodiscard]] std::string_view name() const override { return "sqlite"; }
  [[nodiscard]] Capabilities capabilities() const override {
    return {.durable = true, .shared = true, .concurrent_writers = false, .sql = true};
  }

  Result<void> read(Monotonic deadline, ReadClosure closure) override;
  Result<void> write(const WriteOptions& options, WriteClosure closure) override {
    BUREAU_TRY_VOID(guard_->check());
    return queue_->write(options, closure);
  }
  Result<SqlSummary> sql(const Catalog& catalog, const SqlQuery& query, SqlSink sink) override {
    BUREAU_TRY_VOID(guard_->check());
    return sql_->run(catalog, query, sink);
  }
  [[nodiscard]] Result<StorageState> state() override;
  void observe() override;
  void write_all(std::span<BatchedWrite> writes) override {
    if (auto well = guard_->check(); !well) {
      for (BatchedWrite& one : writes) one.result = well;
      return;
    }
    queue_->write_all(writes);
  }
  Result<void> migrate(const Catalog& catalog) override;
  Result<std::vector<StoredTable>> stored_tables() override;
  Result<BackupReport> back_up(const std::string& path, const BackupOptions& options) override;
  Result<void> check_integrity() override;
  Result<Subscription> on_commit(std::function<void()> hint) override {
    return hints_->subscribe(std::move(hint));
  }
  [[nodiscard]] NodeRange node_range() const override { return range_; }
  Result<bool> hold_node(int node) override {
    BUREAU_TRY_VOID(guard_->check());
    return nodes_->hold(node);
  }
  void release_node(int node) override {
    // A child shares the parent's locks of this kind: they are not its to give back.
    if (!guard_->is_forked()) nodes_->release(node);
  }
  Result<bool> node_is_alive(int node) override { return nodes_->is_alive(node); }
  Result<Duration> maintain() override;
  [[nodiscard]] int wake_fd() const override { return wake_->watch(); }
  bool drain_wake() override {
    // Our own commit may have overwritten the number of one that came just before it; but then its
    // transaction has met that one.
    return tell_of(std::max(wake_->drain(), queue_->others_commit()));
  }

 private:
  explicit SqliteStorage(SqliteOptions options) : options_(std::move(options)) {}
  Result<void> open_files();
  bool tell_of(std::int64_t others_commit);
  void look_for_untold();
  void abandon();
  void leave_to_parent();
  Result<void> prepare();
  Result<void> settle(Monotonic deadline);
  Result<std::unique_ptr<Connection>> open_apart();

  SqliteOptions options_;
  NodeRange range_;
  std::shared_ptr<CommitHints> hints_ = std::make_shared<CommitHints>();
  std::unique_ptr<LockFile> lock_file_;
  std::unique_ptr<NodeFile> nodes_;
  std::unique_ptr<WakeFile> wake_;
  std::unique_ptr<FileGuard> guard_;   ///< ends when the connections have
  std::int64_t identity_ = 0;          ///< as its commits name it
  std::atomic<std::int64_t> told_{0};  ///< the newest commit of others that hints told of
  std::unique_ptr<Connection> writer_;
  std::unique_ptr<CommitLog> commits_;
  std::unique_ptr<Checkpointer> checkpointer_;
  std::unique_ptr<WriteQueue> queue_;
  std::unique_ptr<ReaderPool> readers_;
  std::unique_ptr<SqlReader> sql_;
};

Result<std::shared_ptr<Storage>> SqliteStorage::open(SqliteOptions options) {
  BUREAU_TRY_VOID(check_path(options));
  if (options.clock == nullptr) options.clock = &Clock::system();
  std::shared_ptr<SqliteStorage> storage(new SqliteStorage(std::move(options)));
  if (auto opened = storage->open_files(); !opened) {
    storage->abandon();
    return fail(std::move(opened).error());
  }
  return std::shared_ptr<Storage>(std::move(storage));
}

Result<void> SqliteStorage::open_files() {
  const bool own_vfs = !options_.vfs.empty();
  if (!own_vfs) {
    options_.path = resolve(options_.path);
    BUREAU_TRY_VOID(check_file_system(options_));
    BUREAU_TRY_VOID(FileGuard::may_open(options_.path));
  }
  BUREAU_TRY(writer_, open_writer(options_));
  // Before anything is made beside a file that is not ours.
  BUREAU_TRY_VOID(check_file(*writer_));
  BUREAU_TRY(lock_file_, LockFile::open(options_.path));
  BUREAU_TRY(nodes_, NodeFile::open(options_.path));
  BUREAU_TRY(wake_, WakeFile::open(options_.path));

  Clock& real = Clock::system();
  auto locked = lock_file_->lock(real, real.monotonic() + open_patience);
  if (!locked && locked.error().code == Code::deadline) locked.error().code = Code::busy;
  BUREAU_TRY_VOID(std::move(locked));
  auto prepared = prepare();
  if (prepared) {
    auto guard = FileGuard::begin(*writer_, own_vfs);
    if (guard) guard_ = std::move(*guard);
    if (!guard) prepared = fail(std::move(guard).error());
  }
  lock_file_->unlock();
  BUREAU_TRY_VOID(std::move(prepared));

  identity_ = static_cast<std::int64_t>(Random::system().next());
  commits_ = std::make_unique<CommitLog>(*writer_, *lock_file_, *guard_, identity_,
                                         options_.durability == Durability::power_safe);
  checkpointer_ = std::make_unique<Checkpointer>(*writer_, *lock_file_, options_.log);
  readers_ = std::make_unique<ReaderPool>(options_);
  sql_ = std::make_unique<SqlReader>(options_);
  queue_ = std::make_unique<WriteQueue>(
      *writer_, *commits_, *lock_file_,
      WriteQueue::Settings{.clock = options_.clock,
                           .log = options_.log,
                           .slow_write = options_.slow_write,
                           .path = options_.path,
                           .before_unlock = [this] { checkpointer_->after_commit(); },
                           .committed =
                               [this](std::int64_t commit) {
                                 wake_->announce(commit);
                                 hints_->call();
                               }});
  return {};
}

/// Leaves nothing beside a file that was refused: an empty log is removed.
void SqliteStorage::abandon() {
  if (writer_ && log_is_empty(*writer_)) writer_->checkpoint_on_close();
}

/// REQUIRES: the lock file is held.
Result<void> SqliteStorage::prepare() {
  BUREAU_TRY(const bool first, lock_file_->join());
  BUREAU_TRY_VOID(prepare_file(*writer_, first));
  if (first) lock_file_->set_mark(false);
  if (!options_.vfs.empty()) return {};
  look_at_mode(options_);
  BUREAU_TRY(const FileIdentity identity, settle_identity(*writer_, first));
  range_ = {identity.home * home_size, home_size};
  if (identity.copied) {
    log(options_.log, LogLevel::warning, "sqlite",
        "the office is a copy of another file: its leases were made void, and its ids differ from "
        "that one's from now on",
        {{"path", std::string_view(options_.path)}});
  }
  return {};
}

SqliteStorage::~SqliteStorage() {
  if (guard_ && guard_->is_forked()) {
    leave_to_parent();
    return;
  }
  sql_.reset();
  readers_.reset();
  if (queue_ && guard_->verify() && lock_file_->try_lock() && !lock_file_->is_marked()) {
    writer_->checkpoint_on_close();
  }
  queue_.reset();
  commits_.reset();
  writer_.reset();
}

/// In a forked child: whatever is closed or unlocked here would be the parent's.
void SqliteStorage::leave_to_parent() {
  static_cast<void>(queue_.release());
  static_cast<void>(readers_.release());
  static_cast<void>(sql_.release());
  static_cast<void>(commits_.release());
  static_cast<void>(checkpointer_.release());
  static_cast<void>(writer_.release());
  static_cast<void>(guard_.release());
  static_cast<void>(lock_file_.release());
  static_cast<void>(nodes_.release());
  static_cast<void>(wake_.release());
}

/// What a snapshot shows might be undone by a restart: finds out first.
Result<void> SqliteStorage::settle(Monotonic deadline) {
  BUREAU_TRY_VOID(guard_->check());
  if (!queue_->is_unsettled()) return {};
  return queue_->run_alone(deadline, []() -> Result<void> { return {}; });
}

Result<void> SqliteStorage::read(Monotonic deadline, ReadClosure closure) {
  BUREAU_TRY_VOID(settle(deadline));
  return readers_->read(deadline, closure);
}

/// For what reads for long, so that it takes no reader of the pool.
Result<std::unique_ptr<Connection>> SqliteStorage::open_apart() {
  BUREAU_TRY_VOID(settle(Monotonic::never()));
  SqliteOptions options = options_;
  options.cache_kib = 1024;
  return Connection::open(options, Connection::Role::reader);
}

Result<std::vector<StoredTable>> SqliteStorage::stored_tables() {
  BUREAU_TRY(const auto connection, open_apart());
  return read_definitions(*connection);
}

Result<void> SqliteStorage::check_integrity() {
  BUREAU_TRY(const auto connection, open_apart());
  return look_for_damage(*connection);
}

Result<BackupReport> SqliteStorage::back_up(const std::string& path, const BackupOptions& options) {
  BUREAU_TRY(const auto connection, open_apart());
  return make_backup(*connection, path, options);
}

Result<void> SqliteStorage::migrate(const Catalog& catalog) {
  BUREAU_TRY_VOID(guard_->check());
  std::int64_t commit = 0;
  // As open() does: whoever opens an office is told what holds him up.
  const Monotonic deadline = options_.clock->monotonic() + open_patience;
  auto done = queue_->run_alone(deadline, [&]() -> Result<void> {
    BUREAU_TRY_VOID(commits_->begin());
    const std::int64_t before = commits_->last_commit();
    BUREAU_TRY_VOID(migrate_tables(*writer_, catalog));
    CommitLog::Ending ending = commits_->commit();
    if (ending.outcome == CommitLog::Outcome::unclear) {
      ending = commits_->settle(std::move(ending));
    }
    if (ending.outcome != CommitLog::Outcome::committed) return fail(std::move(ending.error));
    if (commits_->last_commit() != before) commit = commits_->last_commit();
    return {};
  });
  if (!done && done.error().code == Code::deadline) done.error().code = Code::busy;
  if (done && commit != 0) {
    wake_->announce(commit);
    hints_->call();
  }
  return done;
}

Result<StorageState> SqliteStorage::state() {
  BUREAU_TRY_VOID(guard_->check());
  StorageState state;
  const Clock& clock = *options_.clock;
  if (const auto holder = queue_->holder(); holder.any) {
    StorageState::Writer writer;
    writer.pid = ::getpid();
    writer.file = holder.where.file;
    writer.line = holder.where.line;
    writer.function = holder.where.function;
    writer.held = clock.monotonic() - holder.since;
    state.writer = std::move(writer);
  } else if (const auto word = lock_file_->other_holder()) {
    StorageState::Writer writer;
    writer.here = word->pid == ::getpid();
    writer.pid = word->pid;
    writer.file = word->file;
    writer.line = word->line;
    writer.function = word->function;
    if (word->since != 0) writer.held = clock.now() - Timestamp::from_micros(word->since);
    state.writer = std::move(writer);
  }
  state.waiting_writers = queue_->waiting();
  state.readers = static_cast<std::size_t>(readers_->running());
  state.longest_reader = readers_->longest();
  state.log_bytes = guard_->log_bytes();
  struct stat status {};
  if (::stat(options_.path.c_str(), &status) == 0) state.file_bytes = status.st_size;
  if (::stat((options_.path + "-wal").c_str(), &status) == 0) state.log_file_bytes = status.st_size;
  return state;
}

/// Whether that was news.
bool SqliteStorage::tell_of(std::int64_t others_commit) {
  std::int64_t told = told_.load();
  while (told < others_commit && !told_.compare_exchange_weak(told, others_commit)) {
  }
  if (told >= others_commit) return false;
  hints_->call();
  return true;
}

/// Of commits whose maker died before it could write their number into the wake file.
void SqliteStorage::look_for_untold() {
  const auto newest = readers_->newest_commit(options_.clock->monotonic());
  if (newest && newest->writer != identity_) tell_of(newest->number);
}

void SqliteStorage::observe() {
  if (!guard_->check()) return;
  look_for_untold();
  const auto holder = queue_->holder();
  const Clock& clock = *options_.clock;
  if (!holder.any) return;
  const Duration held = clock.monotonic() - holder.since;
  if (held < options_.slow_write) return;
  lock_file_->leave_word({::getpid(), (clock.now() - held).micros(), holder.where.line,
                          holder.where.file, holder.where.function});
  // It may have come to its end meanwhile.
  if (queue_->holder().since != holder.since) lock_file_->take_word_away();
}

Result<Duration> SqliteStorage::maintain() {
  BUREAU_TRY_VOID(guard_->verify_name());
  if (checkpointer_->wal_bytes() < options_.checkpoint_bytes) return maintenance_idle;
  bool all = false;
  const Monotonic deadline = options_.clock->monotonic() + maintenance_patience;
  auto done = queue_->run_alone(deadline, [&]() -> Result<void> {
    BUREAU_TRY(all, checkpointer_->checkpoint(readers_->running() == 0));
    return {};
  });
  if (!done && done.error().code != Code::deadline) return fail(std::move(done).error());
  return all ? maintenance_idle : maintenance_later;
}

}  // namespace

}  // namespace detail::sqlite

Result<std::shared_ptr<Storage>> open_sqlite(SqliteOptions options) {
  return detail::sqlite::SqliteStorage::open(std::move(options));
}

BUREAU_END_NAMESPACE
