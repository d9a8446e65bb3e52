#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bureau/access/access.hpp"
#include "bureau/access/feed.hpp"
#include "bureau/core/key_ring.hpp"
#include "bureau/store/retention.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "bureau/work/health.hpp"
#include "bureau/work/machine.hpp"
#include "bureau/work/orchestrator.hpp"
#include "bureau/work/scheduler.hpp"
#include "bureau/work/snapshot.hpp"
#include "bureau/work/tasks.hpp"

BUREAU_BEGIN_NAMESPACE

struct EngineOptions {
  std::string path = "office.db";         ///< a SQLite file, unless `storage` is given
  std::shared_ptr<Storage> storage = {};  ///< a storage of the host's choice
  Durability durability = Durability::power_safe;
  std::vector<const TableInfo*> tables = {};  ///< the host's own entities: table_of<T>()
  std::vector<Migration> migrations = {};     ///< and how they became what they are
  OnOpen on_open = OnOpen::expand;            ///< what becomes of migrations not applied yet
  Policies policies = {};                     ///< and who may do what with them
  std::size_t threads = 4;                    ///< of the default scheduler
  std::shared_ptr<Scheduler> scheduler = {};  ///< the host's own; null: threads
  Clock* clock = nullptr;                     ///< not owned; null: Clock::system()
  Random* random = nullptr;                   ///< not owned; null: Random::system()
  LogSink log = {};
  /// Keys for the kinds of tasks that rest encrypted (docs/tasks.md); null: there are none.
  std::shared_ptr<const KeyRing> keys = {};
  /// What metrics and health measure; null: the machine that this runs on, and the file's volume.
  std::shared_ptr<HostMachine> machine = {};
  OrchestratorOptions work = {};
  JournalKeeping journal = {};  ///< how long changes are kept; done by whoever runs the office
};

/// An office: one storage, its rules, its agents. Thread-safe. Nothing runs but in the caller's own
/// calls until start(), and after that only on the scheduler's threads; a host with its own loop
/// calls poll() instead. Does not go through a fork: in the child its calls are `invalid`, and its
/// destructor leaves everything to the parent.
class Engine final : private Runner {
 public:
  /// Opens the storage and brings its tables up to date. Errors as open_sqlite() and
  /// Storage::migrate().
  [[nodiscard]] static Result<std::unique_ptr<Engine>> open(EngineOptions options);
  /// The migrations of `options.tables` and the library's own, for what opens the storage alone:
  /// `storage`, else the file at `path`, which need not be opened as an office. Errors as
  /// Migrator::make().
  [[nodiscard]] static Result<Migrator> migrator(const EngineOptions& options);
  /// Stops as stop() does, with its timeout. REQUIRES: no handler returns later than that: it would
  /// return into what is gone. Call stop() to know.
  ~Engine() override;

  [[nodiscard]] Database& database() { return *database_; }
  [[nodiscard]] Access& access() { return *access_; }
  /// Live changes: see Feed::subscribe.
  [[nodiscard]] Feed& feed() { return *feed_; }
  /// A user's view of a tenant. Errors as Access::session.
  [[nodiscard]] Result<Session> session(Id<Tenant> tenant, Id<User> user);
  /// The host's own view of a tenant: no policies apply.
  [[nodiscard]] Session system(Id<Tenant> tenant);

  /// Read-only SQL for the host itself: past all policies, over all tenants, but never of a secret
  /// column; what a program would otherwise open the file for. The timeout ends a statement that
  /// runs too long (`deadline`). More, and its errors: Storage::sql().
  Result<SqlSummary> sql(const SqlQuery& query, SqlSink sink);

  /// What is going on, and what is stuck.
  [[nodiscard]] Result<Snapshot> snapshot();

  /// Whether all is well, component by component; the worst decides. Reads, and makes one write
  /// that changes nothing, to see that writes are made. A storage that does not answer is no error:
  /// it is `failed`.
  [[nodiscard]] Result<Health> health(const HealthLimits& limits = {});
  /// What this process has counted and what the office holds, for a monitoring system: Prometheus's
  /// text format, version 0.0.4 (docs/operating.md lists the names). Costs what snapshot() costs.
  [[nodiscard]] Result<std::string> metrics_text();

  /// The journal keeps what this reader has still to read, however old it is. Before start().
  /// Errors as JournalKeeper::add().
  Result<void> add(JournalReader reader);
  /// Registers an agent. Errors as Orchestrator::add.
  Result<void> add(std::shared_ptr<Agent> agent);
  [[nodiscard]] std::vector<AgentState> agents() const { return orchestrator_->agents(); }
  [[nodiscard]] const Orchestrator& orchestrator() const { return *orchestrator_; }

  /// Replays every run in flight against the agents that were added, without effects
  /// (docs/runs.md). On an engine that has not started, of a copy of the office.
  [[nodiscard]] Result<Rehearsal> rehearse() { return orchestrator_->rehearse(); }

  /// Starts the agents and the scheduler. Without start() there is no thread.
  Result<void> start();
  /// Starts the agents for a host that calls poll() itself.
  Result<void> start_polled();
  /// Runs what is due on the caller's thread, within the limit, and says when the next is due.
  PollResult poll(const PollLimit& limit) override;
  /// A descriptor that becomes readable when something is due earlier than the last poll() said,
  /// because of this process or another; poll() makes it unreadable again. Belongs to the engine.
  [[nodiscard]] Result<int> wake_handle();

  /// Takes no new work and returns when what runs has ended, and what write_async() began is made
  /// and told of. `deadline` when something still ran then; the message names it. Not an error: an
  /// engine that was never started (its writes that were begun are dropped with it). A stopped
  /// engine does not start again. Called by a handler, it does not wait for that handler; called by
  /// a feed's callback, it waits its whole timeout, because that callback is what still runs.
  Result<void> stop(Duration timeout = std::chrono::seconds(10));

 private:
  struct Wake;
  explicit Engine(EngineOptions options);
  [[nodiscard]] int wake_fd() const override;
  void on_wake_fd() override;
  Result<Monotonic> maintain(Monotonic now);

  EngineOptions options_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Access> access_;
  std::unique_ptr<Feed> feed_;
  std::unique_ptr<Orchestrator> orchestrator_;
  std::unique_ptr<JournalKeeper> journal_keeper_;
  std::shared_ptr<Wake> wake_;
  Subscription commits_;
  std::mutex maintenance_mutex_;
  Monotonic next_maintenance_{};
  std::uint64_t maintained_commits_ = 0;
  bool maintenance_rests_ = false;
  std::atomic<std::int64_t> next_look_{0};  ///< of the storage's observe(), in microseconds
  std::atomic<std::int64_t> last_poll_{0};  ///< when poll() was last called, in microseconds
  std::atomic<bool> started_{false};
  std::uint32_t forks_ = 0;
};

BUREAU_END_NAMESPACE
