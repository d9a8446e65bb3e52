#include "bureau/engine.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "bureau/notify/notifications.hpp"
#include "bureau/rewards/rewards.hpp"
#include "bureau/sales/deals.hpp"
#include "bureau/support/tickets.hpp"
#include "bureau/work/agent_network.hpp"
#include "bureau/work/agent_registry.hpp"
#include "bureau/work/housekeeping.hpp"
#include "bureau/work/task_policies.hpp"
#include "bureau/work/workflow_agent.hpp"
#include "core/forks.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a commit's hint touches: it may come from any thread until the subscription has ended.
struct Engine::Wake {
  std::mutex mutex;
  Scheduler* scheduler = nullptr;
  Orchestrator* orchestrator = nullptr;
  int fd = -1;      ///< rung
  int handle = -1;  ///< of the host: what rings, and the storage's own descriptor
  /// A poll was asked for and has not begun yet: asking again would only cost the writer.
  std::atomic<bool> rung{false};
  std::atomic<std::uint64_t> commits{0};  ///< that were heard of
  /// The storage wants no maintenance before the next commit.
  std::atomic<bool> quiet{false};
  /// A stop() has left something running: the next one goes on with it.
  std::atomic<bool> unfinished{false};

  ~Wake() {
    if (handle >= 0) ::close(handle);
    if (fd >= 0) ::close(fd);
  }
  /// Something may be due.
  void ring() {
    if (rung.exchange(true)) return;
    std::lock_guard lock(mutex);
    if (scheduler != nullptr) scheduler->wake();
    if (fd >= 0) {
      const std::uint64_t one = 1;
      (void)!::write(fd, &one, sizeof one);
    }
  }
  /// Somebody has committed: a writer waits for this, so it wakes only who has something to do.
  void committed() {
    commits.fetch_add(1);
    bool due = quiet.load() && quiet.exchange(false);
    {
      std::lock_guard lock(mutex);
      if (orchestrator != nullptr && orchestrator->notice()) due = true;
    }
    if (due) ring();
  }
};

namespace {
/// While there are commits the storage is asked this often whether it wants maintenance.
constexpr Duration maintenance_while_busy = std::chrono::milliseconds(100);
/// And it looks this often whether a write holds everybody up.
constexpr Duration between_looks = std::chrono::seconds(1);
/// So many tasks are run before callbacks of the feed have their turn.
constexpr std::size_t tasks_between_pumps = 256;

Result<std::shared_ptr<Storage>> open_file(const EngineOptions& options) {
  SqliteOptions sqlite;
  sqlite.path = options.path;
  sqlite.durability = options.durability;
  sqlite.clock = options.clock;
  sqlite.log = options.log;
  return open_sqlite(std::move(sqlite));
}

/// Whether the set is readable from now on when the descriptor is.
bool adds(int set, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  return ::epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

/// The library's tables and the host's.
Result<Catalog> catalog_of(const std::vector<const TableInfo*>& tables) {
  Catalog catalog;
  BUREAU_TRY_VOID(Access::add_tables(catalog));
  BUREAU_TRY_VOID(add_task_tables(catalog));
  BUREAU_TRY_VOID(add_network_tables(catalog));
  BUREAU_TRY_VOID(add_housekeeping_tables(catalog));
  BUREAU_TRY_VOID(support::add_tables(catalog));
  BUREAU_TRY_VOID(sales::add_tables(catalog));
  BUREAU_TRY_VOID(notify::add_tables(catalog));
  BUREAU_TRY_VOID(rewards::add_tables(catalog));
  for (const TableInfo* table : tables) {
    if (table == nullptr) return fail(Code::invalid, "tables: one of them is null", "tables");
    BUREAU_TRY_VOID(catalog.add(*table));
  }
  return catalog;
}
}  // namespace

Engine::Engine(EngineOptions options)
    : options_(std::move(options)), wake_(std::make_shared<Wake>()) {
  if (options_.clock == nullptr) options_.clock = &Clock::system();
  forks_ = detail::forks();
}

Result<std::unique_ptr<Engine>> Engine::open(EngineOptions options) {
  std::unique_ptr<Engine> engine(new Engine(std::move(options)));
  EngineOptions& o = engine->options_;
  const bool given = o.storage != nullptr;
  if (!given) {
    BUREAU_TRY(o.storage, open_file(o));
  }
  if (!o.machine) o.machine = make_machine(given ? std::string() : o.path);
  DatabaseOptions database;
  database.storage = o.storage;
  database.clock = o.clock;
  database.random = o.random;
  database.log = o.log;
  database.keys = o.keys;
  database.migrations = o.migrations;
  database.on_open = o.on_open;
  BUREAU_TRY(database.catalog, catalog_of(o.tables));
  BUREAU_TRY(engine->database_, Database::open(std::move(database)));

  Policies policies = o.policies;
  BUREAU_TRY_VOID(add_task_policies(policies));
  BUREAU_TRY_VOID(add_network_policies(policies));
  BUREAU_TRY_VOID(add_housekeeping_policies(policies));
  BUREAU_TRY_VOID(support::add_policies(policies));
  BUREAU_TRY_VOID(sales::add_policies(policies));
  BUREAU_TRY_VOID(notify::add_policies(policies));
  BUREAU_TRY_VOID(rewards::add_policies(policies));
  BUREAU_TRY(engine->access_, Access::open(*engine->database_, policies));
  engine->database_->on_async_write([wake = engine->wake_] { wake->ring(); });
  engine->feed_ =
      std::make_unique<Feed>(*engine->access_, [wake = engine->wake_] { wake->ring(); });
  engine->orchestrator_ =
      std::make_unique<Orchestrator>(*engine->database_, *engine->access_, o.work);
  engine->journal_keeper_ = std::make_unique<JournalKeeper>(*engine->database_, o.journal);
  BUREAU_TRY_VOID(engine->add(rewards::journal_reader(*engine->database_)));
  BUREAU_TRY_VOID(engine->add(workflow_journal_reader(*engine->database_)));
  engine->wake_->orchestrator = engine->orchestrator_.get();
  engine->orchestrator_->on_outcome([wake = engine->wake_] { wake->ring(); });
  BUREAU_TRY(engine->commits_, o.storage->on_commit([wake = engine->wake_] { wake->committed(); }));
  return engine;
}

Result<Migrator> Engine::migrator(const EngineOptions& options) {
  std::shared_ptr<Storage> storage = options.storage;
  if (storage == nullptr) {
    BUREAU_TRY(storage, open_file(options));
  }
  BUREAU_TRY(Catalog catalog, catalog_of(options.tables));
  return Migrator::make(std::move(storage), std::move(catalog), options.migrations,
                        options.clock != nullptr ? *options.clock : Clock::system());
}

Engine::~Engine() {
  if (forks_ != detail::forks()) {
    // The threads are the parent's, and a lock that one of them held is held for good here: nothing
    // is ended, nothing given back.
    // NOLINTBEGIN(bugprone-unhandled-exception-at-new): without memory, a forked child may end.
    static_cast<void>(new EngineOptions(std::move(options_)));
    static_cast<void>(new Subscription(std::move(commits_)));
    static_cast<void>(new std::shared_ptr<Wake>(std::move(wake_)));
    // NOLINTEND(bugprone-unhandled-exception-at-new)
    static_cast<void>(journal_keeper_.release());
    static_cast<void>(orchestrator_.release());
    static_cast<void>(feed_.release());
    static_cast<void>(access_.release());
    static_cast<void>(database_.release());
    return;
  }
  if (started_) (void)stop();  // the scheduler's threads are in here until then
  if (database_) database_->drop_async_writes();
  std::lock_guard lock(wake_->mutex);
  wake_->scheduler = nullptr;
  wake_->orchestrator = nullptr;
}

Result<Session> Engine::session(Id<Tenant> tenant, Id<User> user) {
  return access_->session(tenant, user);
}
Session Engine::system(Id<Tenant> tenant) { return access_->system(tenant); }

Result<SqlSummary> Engine::sql(const SqlQuery& query, SqlSink sink) {
  return database_->storage().sql(database_->catalog(), query, sink);
}

Result<void> Engine::add(JournalReader reader) { return journal_keeper_->add(std::move(reader)); }

Result<void> Engine::add(std::shared_ptr<Agent> agent) {
  return orchestrator_->add(std::move(agent));
}

Result<void> Engine::start_polled() {
  if (started_) return fail(Code::conflict, "engine: it has started");
  started_ = true;
  last_poll_.store(options_.clock->monotonic().since_start.count(), std::memory_order_relaxed);
  return orchestrator_->start();
}

Result<void> Engine::start() {
  orchestrator_->on_more([wake = wake_] { wake->ring(); });
  BUREAU_TRY_VOID(start_polled());
  if (!options_.scheduler) {
    options_.scheduler = make_thread_scheduler(options_.threads, *options_.clock, options_.log);
  }
  orchestrator_->on_stuck([scheduler = options_.scheduler] { scheduler->replace_thread(); });
  {
    std::lock_guard lock(wake_->mutex);
    wake_->scheduler = options_.scheduler.get();
  }
  return options_.scheduler->start(*this);
}

Result<int> Engine::wake_handle() {
  const int of_storage = wake_fd();
  const std::lock_guard lock(wake_->mutex);
  if (wake_->handle >= 0) return wake_->handle;
  if (wake_->fd < 0) wake_->fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int both = ::epoll_create1(EPOLL_CLOEXEC);
  if (wake_->fd < 0 || both < 0 || !adds(both, wake_->fd) ||
      (of_storage >= 0 && !adds(both, of_storage))) {
    if (both >= 0) ::close(both);
    return fail(Code::unavailable, "engine: no event descriptor to be had");
  }
  wake_->handle = both;
  if (wake_->rung.load()) {  // what rang before there was a descriptor
    const std::uint64_t one = 1;
    (void)!::write(wake_->fd, &one, sizeof one);
  }
  return both;
}

int Engine::wake_fd() const { return database_->storage().wake_fd(); }

void Engine::on_wake_fd() { database_->storage().drain_wake(); }

Result<Monotonic> Engine::maintain(Monotonic now) {
  std::unique_lock lock(maintenance_mutex_, std::try_to_lock);
  if (!lock) return now + maintenance_while_busy;
  if (maintenance_rests_ && !wake_->quiet.load()) {  // there was a commit
    maintenance_rests_ = false;
    next_maintenance_ = std::min(next_maintenance_, now + maintenance_while_busy);
  }
  if (now < next_maintenance_) return next_maintenance_;
  const std::uint64_t commits = wake_->commits.load();
  BUREAU_TRY(const Duration pause, database_->storage().maintain());
  next_maintenance_ = now + pause;
  if (pause == Duration::max()) return next_maintenance_;
  if (commits != maintained_commits_) {
    maintained_commits_ = commits;
    next_maintenance_ = std::min(next_maintenance_, now + maintenance_while_busy);
    return next_maintenance_;
  }
  // Nothing was committed meanwhile: the next commit rings.
  maintenance_rests_ = true;
  wake_->quiet.store(true);
  if (wake_->commits.load() != commits) wake_->quiet.store(false);
  return wake_->quiet.load() ? next_maintenance_
                             : std::min(next_maintenance_, now + maintenance_while_busy);
}

PollResult Engine::poll(const PollLimit& limit) {
  const Clock& clock = *options_.clock;
  const Monotonic begun = clock.monotonic();
  const Monotonic end = begun + limit.time;
  last_poll_.store(begun.since_start.count(), std::memory_order_relaxed);
  // What others have committed rings first: it is for this call to see to.
  if (wake_fd() >= 0) on_wake_fd();
  {
    std::lock_guard lock(wake_->mutex);
    if (wake_->fd >= 0) {
      std::uint64_t count = 0;
      (void)!::read(wake_->fd, &count, sizeof count);
    }
    wake_->rung.store(false);  // what rings from here on may come too late for this call
  }
  PollResult result;
  auto note = [&](std::string_view what, const Error& error) {
    log(options_.log, LogLevel::error, "engine", "work could not be done",
        {{"what", what}, {"error", std::string_view(error.message)}});
    result.next_due = std::min(result.next_due, clock.monotonic() + std::chrono::seconds(1));
  };
  const std::int64_t now = clock.monotonic().since_start.count();
  if (now >= next_look_.load(std::memory_order_relaxed)) {
    next_look_.store(now + between_looks.count(), std::memory_order_relaxed);
    database_->storage().observe();
  }
  auto duties = orchestrator_->duties();
  if (duties) {
    result.next_due = std::min(result.next_due, *duties);
  } else {
    note("duties", duties.error());
  }
  auto maintained = maintain(clock.monotonic());
  if (maintained) {
    result.next_due = std::min(result.next_due, *maintained);
  } else {
    note("maintenance", maintained.error());
  }
  if (auto pause = journal_keeper_->step()) {
    result.next_due = std::min(result.next_due, clock.monotonic() + *pause);
  } else {
    note("journal", pause.error());
  }
  if (database_->run_async_writes()) ++result.ran;
  if (feed_->pump()) ++result.ran;
  for (std::size_t tasks = 0; tasks < limit.tasks;) {
    const Duration left = end - clock.monotonic();
    auto ran = orchestrator_->step({std::min(limit.tasks - tasks, tasks_between_pumps), left});
    if (!ran) {
      note("tasks", ran.error());
      break;
    }
    if (*ran == 0) break;
    tasks += *ran;
    result.ran += *ran;
    if (feed_->pending() && feed_->pump()) ++result.ran;
  }
  if (result.ran > 0) {
    if (auto again = orchestrator_->duties()) result.next_due = std::min(result.next_due, *again);
  }
  return result;
}

Result<void> Engine::stop(Duration timeout) {
  if (!started_ && !wake_->unfinished.exchange(false)) return {};
  if (forks_ != detail::forks()) {
    return fail(Code::invalid, "engine: it is the parent's; this process was forked from it");
  }
  started_ = false;
  const Monotonic deadline = options_.clock->monotonic() + timeout;
  auto stopped = orchestrator_->stop(deadline);
  {
    std::lock_guard lock(wake_->mutex);
    wake_->scheduler = nullptr;
  }
  if (options_.scheduler) {
    auto threads = options_.scheduler->stop(deadline);
    if (stopped && !threads) stopped = std::move(threads);
  }
  auto written = database_->finish_async_writes(deadline);
  if (stopped && !written) stopped = std::move(written);
  wake_->unfinished.store(!stopped && stopped.error().code == Code::deadline);
  return stopped;
}

BUREAU_END_NAMESPACE
