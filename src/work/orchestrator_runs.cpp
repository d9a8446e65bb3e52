#include <fmt/format.h>

#include <algorithm>

#include "work/attempt_spans.hpp"
#include "work/orchestrator_impl.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// How long a task that its agent does not take waits before it is offered again.
constexpr Duration refused_pause = std::chrono::seconds(5);
/// And one of a tenant that is suspended.
constexpr Duration suspended_pause = std::chrono::minutes(1);

}  // namespace

// Claiming -------------------------------------------------------------------------------------

/// Leases a batch from the next queue that has some. REQUIRES: claim_mutex.
Result<bool> Orchestrator::Impl::fill() {
  const std::size_t queues = claims.size();
  for (std::size_t i = 0; i < queues; ++i) {
    const auto& claim = claims[next_claim];
    next_claim = (next_claim + 1) % queues;
    BUREAU_TRY(auto tasks, queue.claim(claim));
    if (tasks.empty()) continue;
    metrics.claimed.observe(static_cast<std::int64_t>(tasks.size()));
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
  for (auto& [run, entry] : running) entry.run->stop_.store(true, std::memory_order_release);
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
    if (stopping || claims.empty() || upgraded || is_full()) return {};
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
  auto payload = queue.payload(task);
  if (payload) task.payload = *payload;
  auto session = session_for(task, *agent->agent);
  // Without one the handler is not called.
  Session acting = session ? *session : access.agent(task.tenant, task.agent, "");
  const auto run = std::shared_ptr<Run>(new Run(queue, std::move(acting), std::move(task)));
  {
    std::lock_guard lock(mutex);
    const Duration limit =
        run->task().time_limit > Duration(0) ? run->task().time_limit : kind.time_limit;
    const Monotonic now = clock().monotonic();
    running[run.get()] = {run, agent, now + limit, now, false};
    --beginning;
    ++agent->running;
    if (stopping) run->stop_.store(true, std::memory_order_release);
  }
  Result<Json> outcome = bureau::fail(Code::internal, "not run");
  bool taken = true;
  try {
    if (!session) {
      outcome = bureau::fail(std::move(session).error());
    } else if (!payload && payload.error().code == Code::not_found) {
      taken = false;  // another process may have the key
      run->log(LogLevel::error, payload.error().message);
    } else if (!payload) {
      outcome = bureau::fail(std::move(payload).error());
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
  metrics.attempt_ended(task.kind, detail::AttemptEnd::handed_back, Duration(0));
  std::lock_guard lock(mutex);
  running.erase(run.get());
  --agent.running;
  if (running.empty()) idle.notify_all();
}

/// Counts it, and tells the sink of spans. `error`: why it failed.
void Orchestrator::Impl::attempt_ended(const Run& run, Monotonic began, detail::AttemptEnd how,
                                       std::optional<Code> error) {
  const Duration took = clock().monotonic() - began;
  metrics.attempt_ended(run.task().kind, how, took);
  if (!options.spans) return;
  if (how == detail::AttemptEnd::timed_out) error = Code::deadline;
  if (how == detail::AttemptEnd::completed || how == detail::AttemptEnd::rested) error.reset();
  if (how == detail::AttemptEnd::cancelled) error = Code::cancelled;
  if (how == detail::AttemptEnd::lost && !error) error = Code::conflict;
  detail::tell_of_attempt(
      options.spans, database.random(),
      {run.task(), clock().now(), took, how, error ? to_string(*error) : std::string_view()});
}

/// Records what became of an attempt, unless its completion did or the attempt is no longer ours.
void Orchestrator::Impl::conclude(const std::shared_ptr<Run>& run, const KindInfo& kind,
                                  const Result<Json>& outcome, AgentEntry& agent) {
  using detail::AttemptEnd;
  bool expired = false;
  Monotonic began;
  {
    std::lock_guard lock(mutex);
    const Running& entry = running.find(run.get())->second;
    expired = entry.expired;
    began = entry.began;
  }
  AttemptEnd end = expired ? AttemptEnd::timed_out : AttemptEnd::lost;
  if (run->completed_.load(std::memory_order_acquire)) {
    end = AttemptEnd::completed;
  } else if (!expired) {
    auto recorded = record(*run, kind, outcome);
    if (recorded) {
      end = *recorded;
    } else if (recorded.error().code != Code::conflict) {
      // The task stays leased; when this process ends or falls silent it is rescued.
      log(database.log(), LogLevel::error, "orchestrator", "an attempt's outcome was not recorded",
          {{"task", run->task().id.value}, {"error", std::string_view(recorded.error().message)}});
    }
  }
  attempt_ended(*run, began, end, why_of(*run, outcome));
  std::lock_guard lock(mutex);
  running.erase(run.get());
  --agent.running;
  if (end == AttemptEnd::completed) ++agent.completed;
  if (end != AttemptEnd::completed && end != AttemptEnd::rested) ++agent.failed;
  if (running.empty()) idle.notify_all();
}

/// The code of the error with which an attempt ended, if it ended with one.
std::optional<Code> Orchestrator::Impl::why_of(const Run& run, const Result<Json>& outcome) {
  std::lock_guard lock(run.mutex_);
  if (run.ended_) return run.ended_->code;
  if (!outcome) return outcome.error().code;
  return std::nullopt;
}

/// What the handler's return comes to. `conflict` when the task is somebody else's by now.
Result<detail::AttemptEnd> Orchestrator::Impl::record(Run& run, const KindInfo& kind,
                                                      const Result<Json>& outcome) {
  using detail::AttemptEnd;
  const Task& task = run.task();
  Result<void> whole;  // also a run that returns without complete() has done all that it did before
  if (outcome && run.may_go_on()) whole = run.may_end();
  std::optional<Error> ended;
  bool in_doubt = false;
  {
    std::lock_guard lock(run.mutex_);
    ended = run.ended_;
    in_doubt = run.in_doubt_;
  }
  if (ended && ended->code == Code::conflict) return bureau::fail(*ended);
  if (ended && ended->code == Code::suspended) return AttemptEnd::rested;
  if (ended && in_doubt) {
    BUREAU_TRY_VOID(queue.put_in_doubt(task, *ended));
    return AttemptEnd::in_doubt;
  }
  if (ended || !outcome || !whole) {
    const Error& error = ended ? *ended : !outcome ? outcome.error() : whole.error();
    BUREAU_TRY(const TaskStatus became, queue.fail(task, error, kind.retry));
    return detail::end_of(became);
  }
  if (run.owes_history()) {
    auto written = run.end_with(*outcome);
    if (written) return AttemptEnd::completed;
    if (written.error().code == Code::conflict) return bureau::fail(written.error());
    BUREAU_TRY(const TaskStatus became, queue.fail(task, written.error(), kind.retry));
    return detail::end_of(became);
  }
  BUREAU_TRY(Json result, queue.sealed(task, *outcome));
  const TaskQueue::Completion done{task.id, task.attempt, std::move(result)};
  BUREAU_TRY(const auto lost, queue.complete(std::span(&done, 1)));
  if (lost.empty()) return AttemptEnd::completed;
  // Cancelled meanwhile, or fenced; fail() tells them apart.
  BUREAU_TRY(const TaskStatus became,
             queue.fail(task, Error(Code::cancelled, "cancelled"), kind.retry));
  return detail::end_of(became);
}

BUREAU_END_NAMESPACE
