#include <fmt/format.h>

#include <algorithm>

#include "work/attempt_spans.hpp"
#include "work/orchestrator_impl.hpp"
#include "work/settlement.hpp"
#include "work/task_columns.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// When it is tried again to commit what could not be.
constexpr Duration put_off_for = std::chrono::seconds(1);

/// Whether the same write may succeed later: the storage's trouble, not the task's.
bool is_storage_trouble(Code code) {
  return code == Code::busy || code == Code::deadline || code == Code::unavailable ||
         code == Code::unknown_outcome || code == Code::upgraded;
}

}  // namespace

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

/// The attempt is over, whatever became of it.
void Orchestrator::Impl::ended(const Run& run, AgentEntry& agent, Monotonic began,
                               detail::AttemptEnd how, std::optional<Code> error) {
  using detail::AttemptEnd;
  if (how == AttemptEnd::handed_back) {
    metrics.attempt_ended(run.task().kind, how, Duration(0));
  } else {
    attempt_ended(run, began, how, error);
  }
  std::lock_guard lock(mutex);
  const auto entry = running.find(&run);
  if (entry->second.returned) --returned;
  running.erase(entry);
  --agent.running;
  if (how == AttemptEnd::completed) ++agent.completed;
  if (how != AttemptEnd::completed && how != AttemptEnd::rested && how != AttemptEnd::handed_back) {
    ++agent.failed;
  }
  if (running.empty()) idle.notify_all();
}

/// How long its thread was busy with it.
void Orchestrator::Impl::note_pace(const Task& task, Duration took) {
  std::lock_guard lock(mutex);
  if (const auto kind = by_kind.find(task.kind); kind != by_kind.end()) {
    kind->second.pace.add(took);
  }
  for (auto& from : queues) {
    if (from.claim.queue == task.queue) from.pace.add(took);
  }
}

// At once ----------------------------------------------------------------------------------------

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
      const auto again = [this, run, kind, outcome, &agent] {
        conclude(run, kind, outcome, agent);
      };
      if (owe(run->task(), recorded.error(), again, run.get())) return;
      // The task stays leased; when this process ends or falls silent it is rescued.
      log(database.log(), LogLevel::error, "orchestrator", "an attempt's outcome was not recorded",
          {{"task", run->task().id.value}, {"error", std::string_view(recorded.error().message)}});
    }
  }
  ended(*run, agent, began, end, why_of(*run, outcome));
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
    const Code why = written.error().code;
    if (why == Code::conflict || is_storage_trouble(why)) return bureau::fail(written.error());
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

// Later, with others -----------------------------------------------------------------------------

/// Leaves the outcome to the next commit, if it is one that can wait for it.
bool Orchestrator::Impl::finish_later(const std::shared_ptr<Run>& run, const KindInfo& kind,
                                      const Result<Json>& outcome, AgentEntry& agent) {
  const bool effects = run->later_ != nullptr;
  if (!effects && (!outcome || !run->has_only_result())) return false;
  Json result;
  if (!effects) {
    auto sealed = queue.sealed(run->task(), *outcome);
    if (!sealed) return false;
    result = *std::move(sealed);
  }
  std::lock_guard lock(mutex);
  Running& entry = running.find(run.get())->second;
  if (entry.expired) return false;
  entry.returned = true;
  ++returned;
  if (finished.empty()) finished_since = clock().monotonic();
  finished.push_back({run, &agent, kind.retry, entry.began, std::move(result), effects});
  return true;
}

/// Whether what has ended should not wait for one more task, of this kind.
bool Orchestrator::Impl::should_settle(std::string_view next_kind) const {
  std::lock_guard lock(mutex);
  if (finished.empty()) return false;
  if (clock().monotonic() - finished_since >= options.gather) return true;
  const auto kind = by_kind.find(next_kind);
  return kind != by_kind.end() && kind->second.pace.mean() >= options.gather;
}

/// What has ended, and what could not be committed before when its time has come.
std::vector<detail::Finished> Orchestrator::Impl::take_finished() {
  std::vector<Finished> some;
  std::lock_guard lock(mutex);
  some.swap(finished);
  if (!undecided.empty() && clock().monotonic() >= next_try) {
    std::move(undecided.begin(), undecided.end(), std::back_inserter(some));
    undecided.clear();
  }
  return some;
}

void Orchestrator::Impl::settle() {
  Settlement settlement(*this, take_finished());
  if (settlement.writes().empty()) return;
  database.write_all(settlement.writes());
  settlement.finish();
}

/// `lost`: the task is not this attempt's any more, or is to be cancelled. `failed`: the error is
/// the effects' own, and so the attempt's.
void Orchestrator::Impl::settle_one(Finished& one, Result<void> outcome,
                                    const std::optional<Error>& lost, bool failed) {
  using detail::AttemptEnd;
  const Run& run = *one.run;
  if (outcome) {
    return ended(run, *one.agent, one.began, AttemptEnd::completed, std::nullopt);
  }
  Error error = std::move(outcome).error();
  if (!lost && !failed && is_storage_trouble(error.code)) return put_off(std::move(one), error);
  if (!lost && error.code == Code::forbidden && is_suspended(run.task())) {
    return hand_back(one.run, *one.agent, one.began, detail::suspended_pause);
  }
  // Cancelled meanwhile, or fenced; fail() tells them apart.
  if (lost) error = Error(Code::cancelled, "cancelled");
  auto became = queue.fail(run.task(), error, one.retry);
  if (!became && is_storage_trouble(became.error().code)) {
    return put_off(std::move(one), became.error());
  }
  if (!became && became.error().code != Code::conflict) {
    log(database.log(), LogLevel::error, "orchestrator", "an attempt's outcome was not recorded",
        {{"task", run.task().id.value}, {"error", std::string_view(became.error().message)}});
  }
  const Code why = lost ? lost->code : error.code;
  ended(run, *one.agent, one.began, became ? detail::end_of(*became) : AttemptEnd::lost, why);
}

/// Its lease is kept meanwhile. That it may have been committed after all does no harm: the lease
/// is gone then.
void Orchestrator::Impl::put_off(Finished one, const Error& error) {
  log(database.log(), LogLevel::error, "orchestrator", "an outcome could not be committed yet",
      {{"task", one.run->task().id.value}, {"error", std::string_view(error.message)}});
  {
    std::lock_guard lock(mutex);
    if (!stopping) {
      next_try = clock().monotonic() + put_off_for;
      undecided.push_back(std::move(one));
      return;
    }
  }
  // Nobody is left to try again: the task goes to others when this process ends.
  ended(*one.run, *one.agent, one.began, detail::AttemptEnd::lost, error.code);
}

/// Leaves it to pay() to try again what could not be written. `run`: its attempt, whose handler has
/// returned, and whose lease is kept meanwhile. False: it could never be, or nobody is left to try.
bool Orchestrator::Impl::owe(const Task& task, const Error& error, std::function<void()> again,
                             const Run* run) {
  if (!is_storage_trouble(error.code)) return false;
  {
    std::lock_guard lock(mutex);
    if (stopping) return false;
    if (run != nullptr && !std::exchange(running.find(run)->second.returned, true)) ++returned;
    next_try = clock().monotonic() + put_off_for;
    owed.push_back(std::move(again));
  }
  log(database.log(), LogLevel::error, "orchestrator", "an outcome could not be committed yet",
      {{"task", task.id.value}, {"error", std::string_view(error.message)}});
  return true;
}

void Orchestrator::Impl::pay() {
  std::vector<std::function<void()>> some;
  {
    std::lock_guard lock(mutex);
    if (owed.empty() || clock().monotonic() < next_try) return;
    some.swap(owed);
  }
  for (const auto& again : some) again();
}

// A settlement -----------------------------------------------------------------------------------

Orchestrator::Impl::Settlement::Settlement(Impl& impl, std::vector<Finished> some)
    : impl_(impl),
      some_(std::move(some)),
      lost_(some_.size()),
      failed_(some_.size(), 0),
      write_of_(some_.size(), 0) {
  closures_.reserve(some_.size() + 1);
  // The journal has a record for each run of changes of one tenant.
  std::stable_sort(some_.begin(), some_.end(), [](const Finished& a, const Finished& b) {
    return a.run->task().tenant < b.run->task().tenant;
  });
  for (const Finished& one : some_) {
    const Task& task = one.run->task();
    if (!one.effects) results_.push_back({task.id, task.attempt, one.result});
  }
  if (!results_.empty()) {
    add(detail::by_system, [this](Transaction& tx) -> Result<void> {
      BUREAU_TRY(gone_, impl_.queue.complete(tx, results_));
      return {};
    });
  }
  for (std::size_t i = 0; i < some_.size(); ++i) {
    if (!some_[i].effects) continue;
    Run& run = *some_[i].run;
    write_of_[i] = writes_.size();
    add(run.attribution(),
        [&run, &error = lost_[i], &failed = failed_[i]](Transaction& tx) -> Result<void> {
          auto made = run.make_effects(tx, error);
          failed = made ? 0 : 1;
          return made;
        });
  }
}

void Orchestrator::Impl::Settlement::add(const Attribution& by, Closure closure) {
  closures_.push_back(std::move(closure));
  const Error not_begun(Code::unavailable, "the write was not begun");
  writes_.push_back({detail::portable(), by, closures_.back(), bureau::fail(not_begun)});
}

void Orchestrator::Impl::Settlement::finish() {
  for (std::size_t i = 0; i < some_.size(); ++i) {
    Finished& one = some_[i];
    Result<void> outcome = writes_[write_of_[i]].result;
    if (!one.effects) outcome = outcome_of_result(one, std::move(outcome), lost_[i]);
    impl_.settle_one(one, std::move(outcome), lost_[i], failed_[i] != 0);
  }
}

Result<void> Orchestrator::Impl::Settlement::outcome_of_result(const Finished& one,
                                                               Result<void> all,
                                                               std::optional<Error>& lost) {
  const Task& task = one.run->task();
  bool gone = std::find(gone_.begin(), gone_.end(), task.id) != gone_.end();
  if (!all) {
    if (results_.size() == 1 || is_storage_trouble(all.error().code)) return all;
    // One of them is bad, and which is not known: each by itself.
    const TaskQueue::Completion done{task.id, task.attempt, one.result};
    BUREAU_TRY(const auto left, impl_.queue.complete(std::span(&done, 1)));
    gone = !left.empty();
  }
  if (!gone) return {};
  lost.emplace(Code::conflict, "the lease is gone");
  return bureau::fail(*lost);
}

BUREAU_END_NAMESPACE
