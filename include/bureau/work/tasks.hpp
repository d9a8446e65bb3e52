#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/work/task_kind.hpp"

BUREAU_BEGIN_NAMESPACE

/// What enqueue does while a task of the kind with that key has not ended.
enum class OnConflict {
  ignore,   ///< nothing: it returns the one that is there
  replace,  ///< cancels it and makes the new one, unless it has begun: then as ignore
};

struct EnqueueOptions {
  Priority priority = Priority::normal;
  Duration delay{0};                     ///< from now; not negative
  std::optional<Timestamp> run_at = {};  ///< instead of delay
  /// While a task of this kind with this key has not ended, a further one is not made: enqueue
  /// returns the one that is there.
  std::optional<std::string> unique_key = {};
  OnConflict on_conflict = OnConflict::ignore;
  /// Also one that is completed counts, until so long after it was enqueued; not negative.
  Duration unique_for{0};
  /// No attempt begins from then on: the task ends dead, with error_code `deadline`. After run_at.
  std::optional<Timestamp> deadline = {};
  /// What FlowRules count and hold back together with others that have it: "customer:42".
  std::optional<std::string> flow_key = {};
  /// What its steps spend from (work/budget.hpp). What a run spawns, and what goes on in its place,
  /// has the run's own, or one below it that is named here.
  std::optional<Id<Budget>> budget = {};
};

/// The tasks of a tenant, with a session's rights. On a unit, what it does commits with the unit's
/// other changes.
class Tasks {
 public:
  explicit Tasks(Scope scope) : repository_(std::move(scope)) {}

  /// `invalid` when the payload is over max_payload_bytes or the delay is negative; `forbidden`
  /// when the principal may not insert tasks, or is an agent and the kind runs as its enqueuer.
  template <class Payload, class Output>
  Result<Task> enqueue(const TaskKind<Payload, Output>& kind, const Payload& payload,
                       const EnqueueOptions& options = {}) const {
    BUREAU_TRY(auto made, enqueue_json(kind, {record_to_json(payload)}, options));
    return std::move(made.front());
  }
  /// Many of one kind in one statement. unique_key must not be set.
  template <class Payload, class Output>
  Result<std::vector<Task>> enqueue_all(const TaskKind<Payload, Output>& kind,
                                        const std::vector<Payload>& payloads,
                                        const EnqueueOptions& options = {}) const {
    std::vector<Json> texts;
    texts.reserve(payloads.size());
    for (const Payload& p : payloads) texts.push_back(record_to_json(p));
    return enqueue_json(kind, std::move(texts), options);
  }
  Result<std::vector<Task>> enqueue_json(const KindInfo& kind, std::vector<Json> payloads,
                                         const EnqueueOptions& options) const;

  Result<Task> find(Id<Task> id) const;
  Result<std::vector<Task>> list(const Query& query) const;
  Result<std::uint64_t> count(const Predicate& where = {}) const;

  /// Waits until the task has ended, or the one to which it has handed off, and returns it.
  /// `deadline` when it has not by then, `invalid` on a unit or a view. Blocks its thread: not for
  /// a handler (Run::join() rests instead), nor for the thread that calls poll().
  Result<Task> wait(Id<Task> id, Duration timeout) const;
  /// The same, and what it came to: its result, or the error with which it was cancelled or given
  /// up.
  template <class Payload, class Output>
  Result<Output> wait(const TaskKind<Payload, Output>&, Id<Task> id, Duration timeout) const {
    BUREAU_TRY(const Json result, result_of(id, timeout));
    return record_from_json<Output>(result);
  }

  /// The payload of a task of that kind; what rests encrypted is opened. `invalid` when it is of
  /// another kind, `not_found` when this program lacks the key, `corrupt` when it does not open.
  template <class Payload, class Output>
  Result<Payload> payload(const TaskKind<Payload, Output>& kind, const Task& task) const {
    BUREAU_TRY(const Json opened, payload_of(kind.name, task));
    return record_from_json<Payload>(opened);
  }

  /// Ends a task that has not ended. One that runs is asked to stop: it is cancelled when its
  /// handler returns, and its effects are not made. `conflict` when it has ended.
  Result<Task> cancel(Id<Task> id, std::string_view reason) const;
  /// Lets a task that has not begun rest until then. `conflict` when it has begun or ended,
  /// `invalid` for a moment that is not to come.
  Result<Task> snooze(Id<Task> id, Timestamp until) const;
  /// Gives a task that has not ended another priority, from its next attempt on. `conflict` when it
  /// has ended.
  Result<Task> set_priority(Id<Task> id, Priority priority) const;
  /// Drives a dead task again, with its attempts counted anew. `conflict` unless it is dead.
  Result<Task> redrive(Id<Task> id) const;
  /// The same for the dead ones for which `where` holds, the oldest first, all or none; returns how
  /// many. More than `limit` are left for the next call.
  Result<std::uint64_t> redrive_all(const Predicate& where = {}, std::uint64_t limit = 1000) const;
  /// Removes a task that has ended, with its steps, signals and approvals. Otherwise clean-up does
  /// it after a time (work/housekeeping.hpp). `conflict` while it has not ended, or a run that has
  /// not may still ask what it came to.
  Result<void> remove(Id<Task> id) const;
  /// Says what became of an unsafe effect whose outcome was unknown: completed, ready (do it
  /// again), cancelled or dead. `conflict` unless the task is in doubt.
  Result<Task> resolve(Id<Task> id, TaskStatus outcome, std::string_view reason) const;

  [[nodiscard]] const Repository<Task>& repository() const { return repository_; }

 private:
  Result<Json> result_of(Id<Task> id, Duration timeout) const;
  Result<Json> payload_of(std::string_view kind, const Task& task) const;
  Repository<Task> repository_;
};

/// The order in which ready tasks run: earlier is better; a higher priority is worth a head start
/// (normal 10 minutes, high 40, urgent 4 hours), so that nothing waits forever.
[[nodiscard]] std::int64_t task_rank(Timestamp run_at, Priority priority);

BUREAU_END_NAMESPACE
