#include "bureau/work/orchestrator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>

#include "bureau/access/repository.hpp"
#include "bureau/work/agent_registry.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

struct AgentEntry {
  std::shared_ptr<Agent> agent;
  std::vector<KindInfo> kinds;
  bool operational = false;
  std::size_t running = 0;
  std::uint64_t completed = 0, failed = 0;
};

struct Running {
  std::shared_ptr<Run> run;
  AgentEntry* agent = nullptr;
  Monotonic limit;
  Monotonic began;
  bool expired = false;  // past its limit: its attempt has been ended in the database
};

/// How long a task that its agent does not take waits before it is offered again.
constexpr Duration refused_pause = std::chrono::seconds(5);
/// How long agents are not told of further commits.
constexpr Duration telling_pause = std::chrono::milliseconds(100);
/// And one of a tenant that is suspended.
constexpr Duration suspended_pause = std::chrono::minutes(1);

}  // namespace

struct Orchestrator::Impl {
  Impl(Database& db, Access& acc, OrchestratorOptions opts)
      : database(db), access(acc), options(opts), queue(db, {opts.heartbeat}) {}

  Database& database;
  Access& access;
  OrchestratorOptions options;
  TaskQueue queue;

  mutable std::mutex mutex;
  std::condition_variable idle;  // the last handler has returned
  std::vector<std::unique_ptr<AgentEntry>> agents;
  std::map<std::string, std::pair<AgentEntry*, KindInfo>, std::less<>> by_kind;
  std::vector<TaskQueue::ClaimOptions> claims;  // one a queue, taken in turn
  std::size_t next_claim = 0;
  std::deque<Task> buffer;    // leased, not begun
  std::size_t beginning = 0;  // taken from the buffer, not yet among `running`
  std::unordered_map<std::int64_t, Running> running;
  bool started = false, stopping = false;
  std::function<void()> stuck_callback;

  std::mutex claim_mutex;          // one thread claims at a time; the others wait for what it gets
  std::atomic<bool> works{false};  // some agent has started, and stop() has not
  std::atomic<bool> noticed{true};
  std::atomic<bool> look_for_interrupts{false};
  std::atomic<std::int64_t> next_scheduled{INT64_MAX};  // micros; when one becomes due

  std::atomic<bool> committed{false};  // since agents were told of commits

  std::mutex duty_mutex;
  Monotonic next_heartbeat{};
  std::atomic<std::int64_t> last_heartbeat{-1};  // micros of the monotonic clock
  std::atomic<bool> upgraded{false};  // the file is a newer program's now: nothing more to do here
  Monotonic next_telling{};
  Monotonic next_rescue{};

  [[nodiscard]] Clock& clock() const { return database.clock(); }

  /// Takes the first of the buffer, if it leaves at least so many behind.
  bool take_buffered(Task& out, std::size_t left = 0) {
    std::lock_guard lock(mutex);
    if (buffer.size() <= left || stopping) return false;
    out = std::move(buffer.front());
    buffer.pop_front();
    ++beginning;
    return true;
  }
  Result<bool> fill();
  Result<bool> next(Task& out);
  Result<void> look();
  void execute(Task task);
  Result<Session> session_for(const Task& task, const Agent& agent) const;
  bool is_suspended(const Task& task) const;
  void hand_back(const std::shared_ptr<Run>& run, AgentEntry& agent, Duration pause);
  void conclude(const std::shared_ptr<Run>& run, const KindInfo& kind, const Result<Json>& outcome,
                AgentEntry& agent);
  void retire(const Error& error);
  void expire_overdue(Monotonic now);
  void see_interrupts();
  void tell_of_commits(Monotonic now);
  Monotonic next_limit() const;
};

Orchestrator::Orchestrator(Database& database, Access& access, OrchestratorOptions options)
    : impl_(std::make_unique<Impl>(database, access, options)) {}
Orchestrator::~Orchestrator() = default;

Result<void> Orchestrator::add(std::shared_ptr<Agent> agent) {
  Impl& self = *impl_;
  if (agent == nullptr) return fail(Code::invalid, "agent: there is none", "agent");
  auto entry = std::make_unique<AgentEntry>();
  entry->kinds = agent->capabilities();
  {
    std::lock_guard lock(self.mutex);
    if (self.started) return fail(Code::conflict, "agent: the office has started", "agent");
    for (const KindInfo& kind : entry->kinds) {
      if (const auto wrong = check_kind(kind); !wrong.empty()) {
        return fail(Code::invalid, fmt::format("kind \"{}\": {}", kind.name, wrong), "kind");
      }
      if (self.by_kind.contains(kind.name)) {
        return fail(Code::invalid, fmt::format("kind \"{}\": another agent does it", kind.name),
                    "kind");
      }
    }
  }
  try {
    BUREAU_TRY_VOID(agent->on_initialize());
  } catch (const std::exception& e) {
    return fail(Code::internal,
                fmt::format("agent \"{}\": on_initialize threw: {}", agent->name(), e.what()));
  } catch (...) {
    return fail(
        Code::internal,
        fmt::format("agent \"{}\": on_initialize threw what is no std::exception", agent->name()));
  }
  std::lock_guard lock(self.mutex);
  entry->agent = std::move(agent);
  for (const KindInfo& kind : entry->kinds) {
    self.by_kind.emplace(std::string(kind.name), std::pair(entry.get(), kind));
  }
  self.agents.push_back(std::move(entry));
  return {};
}

Result<void> Orchestrator::start() {
  Impl& self = *impl_;
  std::vector<AgentEntry*> entries;
  {
    std::lock_guard lock(self.mutex);
    if (self.started) return fail(Code::conflict, "orchestrator: it has started");
    self.started = true;
    for (auto& entry : self.agents) entries.push_back(entry.get());
  }
  std::vector<AgentPresence> present;
  for (AgentEntry* entry : entries) {
    Result<void> outcome;
    try {
      outcome = entry->agent->on_start();
    } catch (const std::exception& e) {
      outcome = fail(Code::internal, fmt::format("on_start threw: {}", e.what()));
    } catch (...) {
      outcome = fail(Code::internal, "on_start threw what is no std::exception");
    }
    if (!outcome) {
      log(self.database.log(), LogLevel::error, "orchestrator", "an agent did not start",
          {{"agent", entry->agent->name()}, {"error", std::string_view(outcome.error().message)}});
      continue;
    }
    AgentPresence& presence = present.emplace_back();
    presence.name = std::string(entry->agent->name());
    for (const KindInfo& kind : entry->kinds) presence.kinds.emplace_back(kind.name);
    std::lock_guard lock(self.mutex);
    entry->operational = true;
    for (const KindInfo& kind : entry->kinds) {
      auto claim = std::find_if(self.claims.begin(), self.claims.end(),
                                [&](const auto& c) { return c.queue == kind.queue; });
      if (claim == self.claims.end()) {
        self.claims.push_back({std::string(kind.queue), {}, self.options.batch, {}});
        claim = self.claims.end() - 1;
      }
      claim->kinds.emplace_back(kind.name);
    }
  }
  BUREAU_TRY_VOID(announce_agents(self.database, present));
  self.works.store(!present.empty(), std::memory_order_release);
  notice();
  return {};
}

bool Orchestrator::notice() {
  impl_->noticed.store(true, std::memory_order_release);
  impl_->look_for_interrupts.store(true, std::memory_order_release);
  impl_->committed.store(true, std::memory_order_release);
  return impl_->works.load(std::memory_order_acquire);
}

void Orchestrator::on_stuck(std::function<void()> callback) {
  std::lock_guard lock(impl_->mutex);
  impl_->stuck_callback = std::move(callback);
}

// Claiming -------------------------------------------------------------------------------------

/// Leases a batch from the next queue that has some. REQUIRES: claim_mutex.
Result<bool> Orchestrator::Impl::fill() {
  const std::size_t queues = claims.size();
  for (std::size_t i = 0; i < queues; ++i) {
    const auto& claim = claims[next_claim];
    next_claim = (next_claim + 1) % queues;
    BUREAU_TRY(auto tasks, queue.claim(claim));
    if (tasks.empty()) continue;
    std::lock_guard lock(mutex);
    for (Task& task : tasks) buffer.push_back(std::move(task));
    return true;
  }
  return false;
}

/// A newer program has the file for itself: no task is claimed here any more, and what runs is
/// asked to end. What is leased goes to others when this process ends.
void Orchestrator::Impl::retire(const Error& error) {
  if (upgraded.exchange(true, std::memory_order_acq_rel)) return;
  works.store(false, std::memory_order_release);
  log(database.log(), LogLevel::error, "orchestrator", "this program claims no more tasks",
      {{"error", std::string_view(error.message)}});
  std::lock_guard lock(mutex);
  buffer.clear();
  for (auto& entry : agents) entry->operational = false;
  for (auto& [task_id, entry] : running) entry.run->stop_.store(true, std::memory_order_release);
}

/// The next task to begin. A claim waits for its commit as every write does, so the next batch is
/// claimed when half of the last is left, by one thread, while the others go on with that half.
/// With 32 threads that all waited for each claim, the main job was 7 % slower.
Result<bool> Orchestrator::Impl::next(Task& out) {
  if (take_buffered(out, options.batch / 2)) return true;
  std::unique_lock claiming(claim_mutex, std::try_to_lock);
  if (!claiming) {
    if (take_buffered(out)) return true;
    claiming.lock();
    if (take_buffered(out)) return true;
  }
  auto filled = look();
  claiming.unlock();
  if (take_buffered(out)) return true;
  if (!filled) return bureau::fail(std::move(filled).error());
  return false;
}

/// Fills the buffer when there may be something to claim. REQUIRES: claim_mutex.
Result<void> Orchestrator::Impl::look() {
  {
    std::lock_guard lock(mutex);
    if (stopping || claims.empty() || upgraded) return {};
  }
  if (clock().now().micros() >= next_scheduled.load(std::memory_order_acquire)) {
    noticed.store(true, std::memory_order_release);
  }
  if (!noticed.exchange(false, std::memory_order_acq_rel)) return {};
  auto filled = fill();
  if (!filled && filled.error().code == Code::upgraded) {
    retire(filled.error());
    return {};
  }
  if (!filled) {
    noticed.store(true, std::memory_order_release);  // the wish to look has not been met
    return bureau::fail(std::move(filled).error());
  }
  if (*filled) {
    noticed.store(true, std::memory_order_release);  // there may be more
    return {};
  }
  BUREAU_TRY(auto due, queue.next_due());
  next_scheduled.store(due.micros(), std::memory_order_release);
  return {};
}

// Running --------------------------------------------------------------------------------------

Result<bool> Orchestrator::step() {
  Task task;
  BUREAU_TRY(bool got, impl_->next(task));
  if (!got) return false;
  impl_->execute(std::move(task));
  return true;
}

void Orchestrator::Impl::execute(Task task) {
  AgentEntry* agent = nullptr;
  KindInfo kind;
  {
    std::lock_guard lock(mutex);
    const auto found = by_kind.find(task.kind);
    if (found != by_kind.end()) {
      agent = found->second.first;
      kind = found->second.second;
    }
  }
  if (agent == nullptr) {  // claims name only kinds that are known
    log(database.log(), LogLevel::error, "orchestrator", "a task of a kind that nobody does",
        {{"kind", std::string_view(task.kind)}});
    std::lock_guard lock(mutex);
    if (--beginning == 0) idle.notify_all();
    return;
  }
  task.agent = std::string(agent->agent->name());
  auto session = session_for(task, *agent->agent);
  // Without one the handler is not called.
  Session acting = session ? *session : access.agent(task.tenant, task.agent, "");
  const auto run = std::shared_ptr<Run>(new Run(queue, std::move(acting), std::move(task)));
  {
    std::lock_guard lock(mutex);
    const Duration limit =
        run->task().time_limit > Duration(0) ? run->task().time_limit : kind.time_limit;
    const Monotonic now = clock().monotonic();
    running[run->task().id.value] = {run, agent, now + limit, now, false};
    --beginning;
    ++agent->running;
    if (stopping) run->stop_.store(true, std::memory_order_release);
  }
  Result<Json> outcome = bureau::fail(Code::internal, "not run");
  bool taken = true;
  try {
    if (!session) {
      outcome = bureau::fail(std::move(session).error());
    } else if (!agent->agent->can_process(run->task())) {
      taken = false;
    } else if (auto valid = agent->agent->validate(run->task()); !valid) {
      outcome = bureau::fail(Error(Code::invalid, valid.error().message, valid.error().field));
    } else {
      outcome = agent->agent->execute(*run, run->task());
    }
  } catch (const std::exception& e) {
    outcome = bureau::fail(Code::internal, fmt::format("the handler threw: {}", e.what()));
  } catch (...) {
    outcome = bureau::fail(Code::internal, "the handler threw something that is no std::exception");
  }
  if (!taken) return hand_back(run, *agent, refused_pause);
  const bool refused = !outcome && outcome.error().code == Code::forbidden;
  if (refused && is_suspended(run->task())) return hand_back(run, *agent, suspended_pause);
  conclude(run, kind, outcome, *agent);
}

/// With whose rights the task's handler acts. For an enqueuer they are looked up now: one who may
/// do nothing any more is `forbidden`, which is not repeated.
Result<Session> Orchestrator::Impl::session_for(const Task& task, const Agent& agent) const {
  if (task.run_as == RunAs::agent) {
    return access.agent(task.tenant, agent.name(), agent.role()).for_task(task.id.value);
  }
  if (!task.enqueued_by) return access.system(task.tenant).for_task(task.id.value);
  auto session = access.session(task.tenant, *task.enqueued_by);
  if (session) return session->for_task(task.id.value);
  Error error = std::move(session).error();
  if (error.code != Code::forbidden && error.code != Code::not_found) {
    return bureau::fail(std::move(error));
  }
  return bureau::fail(Code::forbidden, "denied to who enqueued it: " + error.message,
                      "enqueued_by");
}

/// Work of a tenant that is suspended rests; it is not given up.
bool Orchestrator::Impl::is_suspended(const Task& task) const {
  auto tenant = Repository<Tenant>(access.system(task.tenant)).find(task.tenant);
  return tenant && tenant->status == TenantStatus::suspended;
}

/// A task that is not taken now is offered again after a pause, with all its attempts.
void Orchestrator::Impl::hand_back(const std::shared_ptr<Run>& run, AgentEntry& agent,
                                   Duration pause) {
  const Task task = run->task();
  auto released = queue.release(std::span(&task, 1), pause);
  if (!released) {
    log(database.log(), LogLevel::error, "orchestrator", "a task could not be handed back",
        {{"task", task.id.value}, {"error", std::string_view(released.error().message)}});
  }
  std::lock_guard lock(mutex);
  running.erase(task.id.value);
  --agent.running;
  if (running.empty()) idle.notify_all();
}

/// Records what became of an attempt, unless its completion did or the attempt is no longer ours.
void Orchestrator::Impl::conclude(const std::shared_ptr<Run>& run, const KindInfo& kind,
                                  const Result<Json>& outcome, AgentEntry& agent) {
  bool expired = false;
  {
    std::lock_guard lock(mutex);
    expired = running[run->task().id.value].expired;
  }
  bool good = run->completed_.load(std::memory_order_acquire);
  Result<void> recorded;
  if (!good && !expired) {
    std::optional<Error> ended;
    {
      std::lock_guard lock(run->mutex_);
      ended = run->ended_;
    }
    if (ended && ended->code == Code::conflict) {
      // Fenced: somebody else has the task now. Nothing is ours to record.
    } else if (ended) {
      auto became = queue.fail(run->task(), *ended, kind.retry);
      if (!became) recorded = bureau::fail(became.error());
    } else if (outcome) {
      const TaskQueue::Completion done{run->task().id, run->task().attempt, *outcome};
      auto lost = queue.complete(std::span(&done, 1));
      if (!lost) {
        recorded = bureau::fail(lost.error());
      } else if (lost->empty()) {
        good = true;
      } else {
        // Cancelled meanwhile, or fenced; fail() tells them apart.
        auto became = queue.fail(run->task(), Error(Code::cancelled, "cancelled"), kind.retry);
        if (!became && became.error().code != Code::conflict) {
          recorded = bureau::fail(became.error());
        }
      }
    } else {
      auto became = queue.fail(run->task(), outcome.error(), kind.retry);
      if (!became) recorded = bureau::fail(became.error());
    }
  }
  if (!recorded && recorded.error().code != Code::conflict) {
    // The task stays leased; when this process ends or falls silent it is rescued.
    log(database.log(), LogLevel::error, "orchestrator", "an attempt's outcome was not recorded",
        {{"task", run->task().id.value}, {"error", std::string_view(recorded.error().message)}});
  }
  std::lock_guard lock(mutex);
  running.erase(run->task().id.value);
  --agent.running;
  ++(good ? agent.completed : agent.failed);
  if (running.empty()) idle.notify_all();
}

// Duties ---------------------------------------------------------------------------------------

void Orchestrator::Impl::expire_overdue(Monotonic now) {
  std::vector<std::pair<std::shared_ptr<Run>, KindInfo>> overdue;
  std::function<void()> callback;
  {
    std::lock_guard lock(mutex);
    for (auto& [task_id, entry] : running) {
      if (entry.expired || entry.limit > now) continue;
      entry.expired = true;
      overdue.emplace_back(entry.run, by_kind.find(entry.run->task().kind)->second.second);
    }
    callback = stuck_callback;
  }
  for (const auto& [run, kind] : overdue) {
    const Error late(Code::deadline, fmt::format("the attempt took longer than its limit of {} ms",
                                                 run->task().time_limit.count() / 1000));
    run->ended(late);
    const Error recorded = run->task().effect == Effect::external_unsafe
                               ? Error(Code::unknown_outcome, late.message)
                               : late;
    auto became = queue.fail(run->task(), recorded, kind.retry);
    log(database.log(), LogLevel::warning, "orchestrator", "an attempt is past its time limit",
        {{"task", run->task().id.value},
         {"kind", std::string_view(run->task().kind)},
         {"recorded", became.has_value()}});
    if (callback) callback();
  }
}

void Orchestrator::Impl::see_interrupts() {
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex);
    for (const auto& [task_id, entry] : running) {
      if (!entry.expired) tasks.push_back(entry.run->task());
    }
  }
  if (tasks.empty()) return;
  auto hit = queue.interrupted(tasks);
  if (!hit) return;
  std::lock_guard lock(mutex);
  for (const Id<Task> task : *hit) {
    const auto found = running.find(task.value);
    if (found != running.end()) found->second.run->stop_.store(true, std::memory_order_release);
  }
}

void Orchestrator::Impl::tell_of_commits(Monotonic now) {
  std::vector<std::shared_ptr<Agent>> told;
  {
    std::lock_guard lock(mutex);
    if (stopping) return;
    for (const auto& entry : agents) {
      if (entry->operational) told.push_back(entry->agent);
    }
  }
  next_telling = now + telling_pause;
  for (const auto& agent : told) {
    Result<void> outcome;
    try {
      outcome = agent->on_commits();
    } catch (const std::exception& e) {
      outcome = bureau::fail(Code::internal, fmt::format("on_commits threw: {}", e.what()));
    } catch (...) {
      outcome = bureau::fail(Code::internal, "on_commits threw what is no std::exception");
    }
    if (outcome) continue;
    log(database.log(), LogLevel::error, "orchestrator", "an agent could not see to commits",
        {{"agent", agent->name()}, {"error", std::string_view(outcome.error().message)}});
    next_telling = now + std::chrono::seconds(1);
    committed.store(true, std::memory_order_release);
  }
}

Monotonic Orchestrator::Impl::next_limit() const {
  Monotonic limit = Monotonic::never();
  std::lock_guard lock(mutex);
  for (const auto& [task_id, entry] : running) {
    if (!entry.expired) limit = std::min(limit, entry.limit);
  }
  return limit;
}

Result<Monotonic> Orchestrator::duties() {
  Impl& self = *impl_;
  std::unique_lock duty(self.duty_mutex, std::try_to_lock);
  const Monotonic now = self.clock().monotonic();
  if (!duty) {
    const bool due = self.committed.load(std::memory_order_acquire);
    return now + (due ? std::min(telling_pause, self.options.heartbeat) : self.options.heartbeat);
  }
  bool holds = false;
  if (self.upgraded.load(std::memory_order_acquire)) return Monotonic::never();
  {
    std::lock_guard lock(self.mutex);
    if (!self.started) return Monotonic::never();
    holds = !self.running.empty() || !self.buffer.empty() || self.beginning > 0;
  }
  self.expire_overdue(now);
  if (holds && now >= self.next_heartbeat) {
    self.next_heartbeat = now + self.options.heartbeat;
    auto beat = self.queue.heartbeat();
    if (!beat && beat.error().code == Code::upgraded) self.retire(beat.error());
    BUREAU_TRY_VOID(std::move(beat));
    self.last_heartbeat.store(now.since_start.count(), std::memory_order_release);
  }
  if (now >= self.next_rescue) {
    self.next_rescue = now + self.options.heartbeat;
    BUREAU_TRY(auto taken, self.queue.rescue());
    if (taken > 0) notice();
  }
  if (holds && self.look_for_interrupts.exchange(false, std::memory_order_acq_rel)) {
    self.see_interrupts();
  }
  if (now >= self.next_telling && self.committed.exchange(false, std::memory_order_acq_rel)) {
    self.tell_of_commits(now);
  }
  Monotonic next = std::min(self.next_rescue, self.next_limit());
  if (self.committed.load(std::memory_order_acquire)) next = std::min(next, self.next_telling);
  if (holds) next = std::min(next, self.next_heartbeat);
  const std::int64_t due = self.next_scheduled.load(std::memory_order_acquire);
  if (due != INT64_MAX) {
    const Duration wait = Timestamp::from_micros(due) - self.clock().now();
    next = std::min(next, now + std::max(Duration(0), wait));
  }
  return next;
}

Result<void> Orchestrator::stop(Monotonic deadline) {
  Impl& self = *impl_;
  std::vector<Task> unbegun;
  {
    std::lock_guard claiming(self.claim_mutex);  // a claim in progress ends first
    std::lock_guard lock(self.mutex);
    self.stopping = true;
    unbegun.assign(std::make_move_iterator(self.buffer.begin()),
                   std::make_move_iterator(self.buffer.end()));
    self.buffer.clear();
    for (auto& [task_id, entry] : self.running) entry.run->stop_.store(true);
  }
  auto released = self.queue.release(unbegun);
  std::string names_of_stuck;
  {
    std::unique_lock lock(self.mutex);
    while (!self.running.empty() || self.beginning > 0) {
      if (!self.clock().wait_until(lock, self.idle, deadline)) break;
    }
    for (const auto& [task_id, entry] : self.running) {
      names_of_stuck += fmt::format("{}{} ({})", names_of_stuck.empty() ? "" : ", ",
                                    entry.agent->agent->name(), entry.run->idempotency_key());
    }
  }
  if (!names_of_stuck.empty()) {
    return fail(Code::deadline, fmt::format("stop: still running: {}", names_of_stuck));
  }
  for (auto& entry : self.agents) {
    if (!entry->operational) continue;
    Result<void> outcome;
    try {
      outcome = entry->agent->on_stop();
    } catch (const std::exception& e) {
      outcome = fail(Code::internal, e.what());
    } catch (...) {
      outcome = fail(Code::internal, "on_stop threw what is no std::exception");
    }
    entry->operational = false;
    if (!outcome) {
      log(self.database.log(), LogLevel::warning, "orchestrator", "an agent's on_stop failed",
          {{"agent", entry->agent->name()}, {"error", std::string_view(outcome.error().message)}});
    }
  }
  return released;
}

std::vector<AgentState> Orchestrator::agents() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<AgentState> out;
  for (const auto& entry : impl_->agents) {
    out.push_back({std::string(entry->agent->name()), entry->operational, entry->running,
                   entry->completed, entry->failed});
  }
  return out;
}

std::vector<HeldTask> Orchestrator::held() const {
  const Monotonic now = impl_->clock().monotonic();
  const Timestamp today = impl_->clock().now();
  const auto describe = [](const Task& task) {
    HeldTask held;
    held.task = task.id;
    held.tenant = task.tenant;
    held.kind = task.kind;
    held.queue = task.queue;
    held.agent = task.agent;
    held.attempt = task.attempt;
    held.node = task.node;
    held.here = true;
    held.limit = task.time_limit;
    return held;
  };
  std::lock_guard lock(impl_->mutex);
  std::vector<HeldTask> out;
  for (const auto& [task_id, entry] : impl_->running) {
    HeldTask& held = out.emplace_back(describe(entry.run->task()));
    held.age = now - entry.began;
    held.limit = entry.limit - entry.began;
  }
  for (const Task& task : impl_->buffer) {
    HeldTask& held = out.emplace_back(describe(task));
    held.begun = false;
    if (task.started_at) held.age = today - *task.started_at;
  }
  return out;
}

std::optional<Duration> Orchestrator::heartbeat_age() const {
  const std::int64_t last = impl_->last_heartbeat.load(std::memory_order_acquire);
  if (last < 0) return std::nullopt;
  return impl_->clock().monotonic() - Monotonic{Duration(last)};
}

std::vector<std::string> Orchestrator::stuck() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<std::string> out;
  for (const auto& [task_id, entry] : impl_->running) {
    if (entry.expired)
      out.push_back(
          fmt::format("{} ({})", entry.agent->agent->name(), entry.run->idempotency_key()));
  }
  return out;
}

BUREAU_END_NAMESPACE
