#include <fmt/format.h>

#include <algorithm>

#include "work/attempt_spans.hpp"
#include "work/orchestrator_impl.hpp"
#include "work/settlement.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// How long a task that its agent does not take waits before it is offered again.
constexpr Duration refused_pause = std::chrono::seconds(5);

}  // namespace

// Claiming -------------------------------------------------------------------------------------

/// How many tasks the threads here are likely to begin soon. One where that is not known: nobody
/// else should wait behind a long task.
std::uint64_t Orchestrator::Impl::batch_of(const detail::QueueEntry& from) const {
  if (!from.pace.is_known()) return 1;
  const auto each = static_cast<std::uint64_t>(options.ahead / from.pace.mean());
  return std::clamp<std::uint64_t>(each * most_at_a_time, 1, options.batch);
}

/// Leases a batch from the next queue that has some; `settles`: and commits what has ended, in one
/// commit. REQUIRES: claim_mutex.
Result<bool> Orchestrator::Impl::fill(bool settles) {
  std::optional<Settlement> settlement;
  if (settles) settlement.emplace(*this, take_finished());
  for (std::size_t i = 0; i < queues.size(); ++i) {
    TaskQueue::ClaimOptions* claim = nullptr;
    {
      std::lock_guard lock(mutex);
      detail::QueueEntry& from = queues[next_queue];
      next_queue = (next_queue + 1) % queues.size();
      from.claim.limit = batch_of(from);
      claim = &from.claim;
    }
    const Monotonic now = clock().monotonic();
    std::span<Database::Write> before;
    if (settlement) before = settlement->writes();
    auto claimed = queue.claim(*claim, before);
    if (settlement) settlement->finish();
    settlement.reset();
    BUREAU_TRY(auto tasks, std::move(claimed));
    if (tasks.empty()) continue;
    metrics.claimed.observe(static_cast<std::int64_t>(tasks.size()));
    std::lock_guard lock(mutex);
    if (buffer.empty()) last_taken = now;
    last_batch = claim->limit;
    for (Task& task : tasks) buffer.push_back({std::move(task), now});
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
  for (auto& [run, entry] : running) entry.run->stop_.store(true, std::memory_order_release);
}

/// Takes the first of the buffer; `ahead`: only while more than half of a batch is there.
bool Orchestrator::Impl::take_buffered(Leased& out, bool ahead) {
  bool more = false;
  {
    std::lock_guard lock(mutex);
    if (buffer.size() <= (ahead ? last_batch / 2 : 0) || stopping || is_full()) return false;
    out = std::move(buffer.front());
    buffer.pop_front();
    ++beginning;
    last_taken = clock().monotonic();
    more = !buffer.empty() && !is_full();
  }
  if (more && more_callback) more_callback();
  return true;
}

/// The next task to begin. A claim waits for its commit as every write does, so the next batch is
/// claimed when half of the last is left, by one thread, while the others go on with that half.
/// With 32 threads that all waited for each claim, the main job was 7 % slower.
Result<bool> Orchestrator::Impl::next_leased(Leased& out) {
  if (take_buffered(out, true)) return true;
  std::unique_lock claiming(claim_mutex, std::try_to_lock);
  if (!claiming) {
    if (take_buffered(out, false)) return true;
    settle();  // what this thread has done need not wait for another's claim
    claiming.lock();
    if (take_buffered(out, false)) return true;
  }
  auto filled = look();
  claiming.unlock();
  if (take_buffered(out, false)) return true;
  if (!filled) return bureau::fail(std::move(filled).error());
  return false;
}

/// Whether a task of the buffer is this node's still. A process that stood still for long may have
/// lost it without a word.
Result<bool> Orchestrator::Impl::still_holds(Leased& leased) {
  const Monotonic now = clock().monotonic();
  const Monotonic beaten{Duration(last_heartbeat.load(std::memory_order_acquire))};
  if (now - std::max(leased.since, beaten) < options.heartbeat) return true;
  const TaskQueue::Attempt attempt{leased.task.id, leased.task.attempt};
  auto hit = queue.interrupted(std::span(&attempt, 1));
  if (hit && hit->empty()) return true;
  if (hit) end_unbegun(leased.task);
  std::lock_guard lock(mutex);
  if (!hit) buffer.push_front(std::move(leased));
  if (--beginning == 0) idle.notify_all();
  if (!hit) return bureau::fail(std::move(hit).error());
  return false;
}

Result<bool> Orchestrator::Impl::next(Task& out) {
  for (;;) {
    Leased leased;
    BUREAU_TRY(const bool got, next_leased(leased));
    if (!got) return false;
    BUREAU_TRY(const bool holds, still_holds(leased));
    if (!holds) continue;
    out = std::move(leased.task);
    return true;
  }
}

/// A task of the buffer whose cancellation was asked for ends by that; one that is another's by now
/// is left alone.
void Orchestrator::Impl::end_unbegun(const Task& task) {
  auto became =
      queue.fail(task, Error(Code::cancelled, "cancelled before it was begun"), retry::never);
  if (became) {
    metrics.attempt_ended(task.kind, detail::end_of(*became), Duration(0));
  } else if (became.error().code != Code::conflict) {
    if (owe(task, became.error(), [this, task] { end_unbegun(task); })) return;
    log(database.log(), LogLevel::error, "orchestrator", "a cancelled task could not be ended",
        {{"task", task.id.value}, {"error", std::string_view(became.error().message)}});
  }
}

/// Fills the buffer when there may be something to claim. REQUIRES: claim_mutex.
Result<void> Orchestrator::Impl::look() {
  {
    std::lock_guard lock(mutex);
    if (stopping || queues.empty() || upgraded || is_full()) return {};
  }
  if (clock().now().micros() >= next_scheduled.load(std::memory_order_acquire)) {
    noticed.store(true, std::memory_order_release);
  }
  if (!noticed.exchange(false, std::memory_order_acq_rel)) return {};
  auto filled = fill(true);
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
  BUREAU_TRY(const std::size_t ran, step({1, Duration::max()}));
  return ran > 0;
}

Result<std::size_t> Orchestrator::step(const PollLimit& limit) {
  Impl& self = *impl_;
  Monotonic end = self.clock().monotonic() + limit.time;
  std::size_t ran = 0;
  Result<bool> got = true;
  while (ran < limit.tasks && self.clock().monotonic() < end) {
    Task task;
    got = self.next(task);
    if (!got || !*got) break;
    // What shares a commit is what handlers do in this time, however long the claim took.
    if (ran == 0) end = std::min(end, self.clock().monotonic() + self.options.gather);
    if (self.should_settle(task.kind)) self.settle();
    self.execute(std::move(task));
    ++ran;
  }
  self.settle();
  if (!got && ran == 0) return bureau::fail(std::move(got).error());
  return ran;
}

void Orchestrator::Impl::execute(Task task) {
  AgentEntry* agent = nullptr;
  KindInfo kind;
  {
    std::lock_guard lock(mutex);
    const auto found = by_kind.find(task.kind);
    if (found != by_kind.end()) {
      agent = found->second.agent;
      kind = found->second.info;
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
  auto payload = queue.payload(task);
  if (payload) task.payload = *payload;
  auto session = session_for(task, *agent->agent);
  // Without one the handler is not called.
  Session acting = session ? *session : access.agent(task.tenant, task.agent, "");
  const auto run = std::shared_ptr<Run>(new Run(queue, std::move(acting), std::move(task)));
  const Monotonic began = clock().monotonic();
  {
    std::lock_guard lock(mutex);
    const Duration limit =
        run->task().time_limit > Duration(0) ? run->task().time_limit : kind.time_limit;
    running[run.get()] = {run, agent, began + limit, began};
    --beginning;
    ++agent->running;
    most_at_a_time = std::max(most_at_a_time, running.size() - returned + beginning);
    if (stopping) run->stop_.store(true, std::memory_order_release);
  }
  if (!session) {
    conclude(run, kind, bureau::fail(std::move(session).error()), *agent);
  } else if (!payload && payload.error().code == Code::not_found) {
    run->log(LogLevel::error, payload.error().message);
    hand_back(run, *agent, began, refused_pause);  // another process may have the key
  } else if (!payload) {
    conclude(run, kind, bureau::fail(std::move(payload).error()), *agent);
  } else {
    call(run, kind, *agent);
  }
  note_pace(run->task(), clock().monotonic() - began);
}

/// The handler, and what it comes to.
void Orchestrator::Impl::call(const std::shared_ptr<Run>& run, const KindInfo& kind,
                              AgentEntry& agent) {
  Result<Json> outcome = bureau::fail(Code::internal, "not run");
  bool taken = true;
  try {
    if (!agent.agent->can_process(run->task())) {
      taken = false;
    } else if (auto valid = agent.agent->validate(run->task()); !valid) {
      outcome = bureau::fail(Error(Code::invalid, valid.error().message, valid.error().field));
    } else if (agent.agent->holds_no_thread()) {
      return begin(run, kind, agent);
    } else {
      outcome = agent.agent->execute(*run, run->task());
    }
  } catch (const std::exception& e) {
    outcome = bureau::fail(Code::internal, fmt::format("the handler threw: {}", e.what()));
  } catch (...) {
    outcome = bureau::fail(Code::internal, "the handler threw something that is no std::exception");
  }
  if (!taken) return hand_back(run, agent, clock().monotonic(), refused_pause);
  take_outcome(run, kind, outcome, agent);
}

/// A handler that holds no thread.
void Orchestrator::Impl::begin(const std::shared_ptr<Run>& run, const KindInfo& kind,
                               AgentEntry& agent) {
  const auto told = std::make_shared<std::atomic<bool>>(false);
  const auto done = [this, run, kind, &agent, told](const Result<Json>& outcome) {
    if (told->exchange(true)) return;
    take_outcome(run, kind, outcome, agent);
    if (outcome_callback) outcome_callback();  // it waits for a commit, or others waited for room
  };
  try {
    agent.agent->begin(run, done);
  } catch (const std::exception& e) {
    done(bureau::fail(Code::internal, fmt::format("the handler threw: {}", e.what())));
  } catch (...) {
    done(bureau::fail(Code::internal, "the handler threw something that is no std::exception"));
  }
}

void Orchestrator::Impl::take_outcome(const std::shared_ptr<Run>& run, const KindInfo& kind,
                                      const Result<Json>& outcome, AgentEntry& agent) {
  const bool refused = !outcome && outcome.error().code == Code::forbidden;
  if (refused && is_suspended(run->task())) {
    return hand_back(run, agent, clock().monotonic(), detail::suspended_pause);
  }
  if (!finish_later(run, kind, outcome, agent)) conclude(run, kind, outcome, agent);
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
                                   Monotonic began, Duration pause) {
  const Task& task = run->task();
  auto released = queue.release(std::span(&task, 1), pause);
  if (!released) {
    const auto again = [this, run, &agent, began, pause] { hand_back(run, agent, began, pause); };
    if (owe(task, released.error(), again, run.get())) return;
    log(database.log(), LogLevel::error, "orchestrator", "a task could not be handed back",
        {{"task", task.id.value}, {"error", std::string_view(released.error().message)}});
  }
  ended(*run, agent, began, detail::AttemptEnd::handed_back, std::nullopt);
}

/// Hands back what nobody here has begun for so long that others should have it.
void Orchestrator::Impl::hand_back_waiting(Monotonic now) {
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex);
    if (buffer.empty() || now < last_taken + waits_at_most()) return;
    for (Leased& leased : buffer) tasks.push_back(std::move(leased.task));
    buffer.clear();
    for (auto& from : queues) from.pace.forget();
  }
  auto released = queue.release(tasks);
  if (released) return;
  log(database.log(), LogLevel::error, "orchestrator", "tasks could not be handed back",
      {{"tasks", static_cast<std::int64_t>(tasks.size())},
       {"error", std::string_view(released.error().message)}});
  std::lock_guard lock(mutex);
  for (Task& task : tasks) buffer.push_back({std::move(task), now});
  last_taken = now;
}

BUREAU_END_NAMESPACE
