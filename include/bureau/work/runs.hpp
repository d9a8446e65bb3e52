#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "bureau/work/run.hpp"

BUREAU_BEGIN_NAMESPACE

/// The runs of a tenant from outside, with a session's rights: whoever may change a task may speak
/// to its run. On a unit, what it does commits with the unit's other changes.
class Runs {
 public:
  explicit Runs(Scope scope) : tasks_(std::move(scope)) {}

  /// Says something to a run; one that waits for it goes on, and one that does not yet will find
  /// it. With a key, of a task's signals with that key only the first is kept (true: it was kept).
  /// `conflict` when the task has ended, `invalid` for a payload over max_payload_bytes.
  template <class T>
  Result<bool> signal(Id<Task> task, const Signal<T>& signal, const T& payload,
                      std::optional<std::string> key = std::nullopt) const {
    return signal_json(task, signal.name, detail::RunValue<T>::to(payload), std::move(key));
  }
  Result<bool> signal_json(Id<Task> task, std::string_view name, Json payload,
                           std::optional<std::string> key = std::nullopt) const;

  /// Answers a call that a run has begun (PendingCall::key()), from any process: its result, or the
  /// error with which it failed. Of one call the first answer counts (true: it was this).
  Result<bool> answer(std::string_view key, const Result<Json>& answer) const;

  /// What the run has recorded, in order, and what was said to it. Whoever sees the task sees them.
  Result<std::vector<RunStep>> steps(Id<Task> task) const;
  Result<std::vector<RunSignal>> signals_of(Id<Task> task) const;
  /// The tasks that it has spawned, of those that the session sees, in order.
  Result<std::vector<Task>> children(Id<Task> task) const;

  /// Says what an unsafe step came to whose outcome was unknown: its result. The run goes on.
  /// (That it did not happen says Tasks::resolve() with ready: it is done again.) `conflict` unless
  /// the task is in doubt about a step.
  Result<Task> resolve_step(Id<Task> task, Json result, std::string_view reason) const;

  /// Has the step's probe asked once more what it came to. `conflict` as above.
  Result<Task> probe_again(Id<Task> task) const;

  /// Has the run done again from that step on, with the program as it is: what was recorded from
  /// there is forgotten, what was said to it since is said again. What those steps did outside, and
  /// the children that they spawned, stay. `conflict` while it runs, or when it has completed or
  /// was cancelled.
  Result<Task> retry_from(Id<Task> task, std::int64_t position) const;
  /// A second run that has the first one's steps before `position` behind it, and the same payload.
  /// It has no parent and no key; what was said to the first is not said to it.
  Result<Task> fork_from(Id<Task> task, std::int64_t position) const;

 private:
  Repository<Task> tasks_;
};

BUREAU_END_NAMESPACE
