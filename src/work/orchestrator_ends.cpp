#include <fmt/format.h>

#include <algorithm>

#include "work/attempt_spans.hpp"
#include "work/orchestrator_impl.hpp"
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

/// Commits what has ended, and what could not be committed before when its time has come.
void Orchestrator::Impl::settle() {
  std::vector<Finished> some;
  {
    std::lock_guard lock(mutex);
    some.swap(finished);
    if (!undecided.empty() && clock().monotonic() >= next_try) {
      std::move(undecided.begin(), undecided.end(), std::back_inserter(some));
      undecided.clear();
    }
  }
  if (!some.empty()) settle(std::move(some));
}

void Orchestrator::Impl::settle(std::vector<Finished> some) {
  // All plain results are one write: one pass over the table, one record in the journal. Effects
  // are a write each, so that those which fail take no others with them.
  std::vector<TaskQueue::Completion> results;
  std::vector<std::optional<Error>> lost(some.size());
  std::vector<std::function<Result<void>(Transaction&)>> closures;
  std::vector<std::size_t> writes_of;  // which one each further write is of
  closures.reserve(some.size() + 1);
  for (const Finished& one : some) {
    const Task& task = one.run->task();
    if (!one.effects) results.push_back({task.id, task.attempt, one.result});
  }
  std::vector<Id<Task>> gone;
  std::vector<Database::Write> writes;
  if (!results.empty()) {
    closures.emplace_back([&](Transaction& tx) -> Result<void> {
      BUREAU_TRY(gone, queue.complete(tx, results));
      return {};
    });
  }
  for (std::size_t i = 0; i < some.size(); ++i) {
    if (!some[i].effects) continue;
    writes_of.push_back(i);
    closures.emplace_back([&run = *some[i].run, &error = lost[i]](Transaction& tx) {
      return run.make_effects(tx, error);
    });
  }
  const std::size_t plain = results.empty() ? 0 : 1;
  for (std::size_t i = 0; i < closures.size(); ++i) {
    Attribution by = detail::by_system;
    if (i >= plain) by = some[writes_of[i - plain]].run->attribution();
    writes.push_back({detail::portable(), by, closures[i]});
  }
  database.write_all(writes);
  for (std::size_t i = plain; i < writes.size(); ++i) {
    const std::size_t of = writes_of[i - plain];
    settle_one(some[of], std::move(writes[i].result), lost[of]);
  }
  if (plain == 0) return;
  const Result<void> all = std::move(writes.front().result);
  const auto is_gone = [&](const Task& task) {
    return std::find(gone.begin(), gone.end(), task.id) != gone.end();
  };
  for (Finished& one : some) {
    if (one.effects) continue;
    const Task& task = one.run->task();
    Result<void> outcome = all;
    std::optional<Error> missing;
    if (all && is_gone(task)) missing.emplace(Code::conflict, "the lease is gone");
    if (!all && results.size() > 1 && !is_storage_trouble(all.error().code)) {
      // One of them is bad, and which is not known: each by itself.
      const TaskQueue::Completion done{task.id, task.attempt, one.result};
      auto left = queue.complete(std::span(&done, 1));
      outcome = left ? Result<void>() : bureau::fail(left.error());
      if (left && !left->empty()) missing.emplace(Code::conflict, "the lease is gone");
    }
    if (missing) outcome = bureau::fail(*missing);
    settle_one(one, std::move(outcome), missing);
  }
}

/// `lost`: the task is not this attempt's any more, or is to be cancelled.
void Orchestrator::Impl::settle_one(Finished& one, Result<void> outcome,
                                    const std::optional<Error>& lost) {
  using detail::AttemptEnd;
  const Run& run = *one.run;
  if (outcome) {
    return ended(run, *one.agent, one.began, AttemptEnd::completed, std::nullopt);
  }
  Error error = std::move(outcome).error();
  if (!lost && is_storage_trouble(error.code)) return put_off(std::move(one), error);
  if (!lost && error.code == Code::forbidden && is_suspended(run.task())) {
    return hand_back(run, *one.agent, one.began, detail::suspended_pause);
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
  std::lock_guard lock(mutex);
  next_try = clock().monotonic() + put_off_for;
  undecided.push_back(std::move(one));
}

BUREAU_END_NAMESPACE
