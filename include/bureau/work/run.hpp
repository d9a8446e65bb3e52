#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "bureau/access/session.hpp"
#include "bureau/core/log.hpp"
#include "bureau/work/approval.hpp"
#include "bureau/work/budget.hpp"
#include "bureau/work/run_step.hpp"
#include "bureau/work/run_value.hpp"
#include "bureau/work/task_queue.hpp"
#include "bureau/work/tasks.hpp"

BUREAU_BEGIN_NAMESPACE

struct OutsideCall;
class PendingCall;

/// What can be said to a run while it waits: a name and the type of what comes with it.
///   inline constexpr Signal<Payment> paid{"paid"};
template <class T>
struct Signal {
  std::string_view name;
};

/// A task that a run has spawned. A plain value.
template <class Output>
struct Child {
  Id<Task> task;
};

namespace detail {

template <class R>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;

template <class F>
struct WorkOutcome {
  using type = std::invoke_result_t<F&>;
};
template <class F>
requires std::is_invocable_v<F&, Unit&>
struct WorkOutcome<F> {
  using type = std::invoke_result_t<F&, Unit&>;
};
/// What a step's work returns: a Result.
template <class F>
using StepOutcome = typename WorkOutcome<F>::type;

/// How a child ended.
struct ChildEnd {
  Json result;
  std::optional<Error> error;
};

}  // namespace detail

/// One attempt at a task, as its handler sees it. Belongs to the handler's call; thread-safe.
/// Once it is suspended, cancelled, fenced or completed, every further call returns the same error,
/// and what the handler returns is ignored.
///
/// With step() and the calls below it a handler is durable: what they did is recorded, and an
/// attempt after a crash, a failure or a wait runs the handler from its beginning, while each call
/// that is recorded gives what it gave then. So between these calls a handler must do the same
/// every time: what depends on time, randomness or the outside belongs into a step. They are made
/// one at a time. The pattern is known from Temporal and DBOS; docs/runs.md has the rules.
class Run {
 public:
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  [[nodiscard]] const Task& task() const { return task_; }
  /// Stable over all attempts: the idempotency key of an outside call. Inside a step it is that
  /// step's own.
  [[nodiscard]] std::string idempotency_key() const;

  /// True once somebody wants the handler to return: cancellation, time limit, shutdown.
  [[nodiscard]] bool stop_requested() const { return stop_.load(std::memory_order_acquire); }

  /// With whose rights it reads and completes: the agent's own, or the enqueuer's.
  [[nodiscard]] const Principal& principal() const { return session_.principal(); }

  /// A snapshot with those rights. Reading is all that it is for.
  template <class F>
  auto read(F&& f) const -> std::invoke_result_t<F&, View&> {
    return session_.read(std::forward<F>(f));
  }

  /// Runs `effects(Unit&)`, which returns the task's result, and ends the task: one commit, both or
  /// neither. May run `effects` more than once; they are judged by the rights of that moment.
  /// `conflict` when the lease is gone, `cancelled` when that was asked for; nothing was written
  /// then.
  template <class F>
  auto complete(F&& effects) -> std::invoke_result_t<F&, Unit&> {
    BUREAU_TRY_VOID(may_complete());
    std::optional<Error> lost;
    return settle(session_.write(ending_with(effects, lost)), lost);
  }
  /// The same where `effects` may run on another thread: what an office with many agents that write
  /// little is fastest with (session.hpp, docs/tasks.md).
  template <class F>
  auto complete(AnyThread, F&& effects) -> std::invoke_result_t<F&, Unit&> {
    BUREAU_TRY_VOID(may_complete());
    std::optional<Error> lost;
    return settle(session_.write(any_thread, ending_with(effects, lost)), lost);
  }

  /// The same once the handler has returned, in a commit that it shares with other tasks of this
  /// process: the fastest end for short tasks by the thousand. `effects` runs on any thread, and
  /// owns what it uses: the handler's own variables are gone by then. Its error is the attempt's,
  /// as if the handler had returned it. Always returns an error: `return run.complete_later(...)`.
  template <class F>
  Unexpected complete_later(F effects) {
    static_assert(detail::is_result<std::invoke_result_t<F&, Unit&>>,
                  "effects return a bureau::Result");
    return end_later([effects = std::move(effects)](Unit& unit) mutable -> Result<Json> {
      auto made = effects(unit);
      if (!made) return fail(std::move(made).error());
      return record_to_json(*made);
    });
  }

  // Durable steps ------------------------------------------------------------------------------

  /// Does `work()`, or `work(Unit&)`, which returns a Result, unless it is recorded, and records
  /// its result. With a Unit the changes and the record are one commit. An error is returned and
  /// not recorded: the next attempt does the work again, unless the handler goes on with the run.
  ///
  /// `effect` says what the work touches; without it, what the task's kind says. An external_unsafe
  /// step records first that it begins; when its outcome is not known (a crash, an exception, or
  /// the error unknown_outcome), the task becomes in_doubt instead of doing it again, and
  /// Runs::resolve_step() says what happened. Inside it idempotency_key() is the step's.
  /// `invalid` when the run was another at this point when it was recorded (it has diverged).
  template <class F>
  auto step(std::string_view name, F&& work) -> detail::StepOutcome<F> {
    return step(name, task_.effect, std::forward<F>(work));
  }
  template <class F>
  auto step(std::string_view name, Effect effect, F&& work) -> detail::StepOutcome<F> {
    return step(name, effect, std::forward<F>(work), nullptr);
  }
  /// `probe()` is asked by the next attempt what became of an unsafe effect whose outcome is not
  /// known: its result, or none when it did not happen and is to be done again (a
  /// Result<std::optional<T>>, or Result<bool> for work without a result). While it returns an
  /// error it is asked again as the kind's retry says, then the task is in_doubt.
  template <class F, class Probe>
  auto step(std::string_view name, Effect effect, F&& work, Probe&& probe)
      -> detail::StepOutcome<F>;

  /// A step that costs something: before `work(Amounts& used)` begins, `spend.most` is reserved
  /// from the task's budgets (work/budget.hpp), in a commit of its own; what the work says that it
  /// used is settled in the commit of its record. `used` is `spend.most` at first, also when the
  /// work fails; its time is measured unless the work says another. Without room `exhausted` with
  /// field "budget" is returned, as an error of the work, which was not begun; or the run rests.
  ///
  /// An attempt that dies in between has spent it all, as far as anybody knows: it counts in full
  /// (SpendingStatus::presumed), and the next attempt of the step reserves anew.
  template <class F>
  auto spend(std::string_view name, const Spend& spend, F&& work)
      -> std::invoke_result_t<F&, Amounts&> {
    return this->spend(name, task_.effect, spend, std::forward<F>(work), nullptr);
  }
  template <class F>
  auto spend(std::string_view name, Effect effect, const Spend& spend, F&& work)
      -> std::invoke_result_t<F&, Amounts&> {
    return this->spend(name, effect, spend, std::forward<F>(work), nullptr);
  }
  /// With the probe of an unsafe effect, as step() has it: what happened is settled in full, what
  /// did not happen is done again with the same reservation.
  template <class F, class Probe>
  auto spend(std::string_view name, Effect effect, const Spend& spend, F&& work, Probe&& probe)
      -> std::invoke_result_t<F&, Amounts&>;

  /// Makes a budget for a part of the work, below the task's own: for what it spawns
  /// (EnqueueOptions::budget). A step; the run needs no right to it, since it only narrows.
  Result<Id<Budget>> budget(std::string_view name, const BudgetLimits& limits);

  /// Begins a call whose answer comes later (work/outside_call.hpp), and rests until it is there:
  /// no thread waits. A step; its result is the answer.
  Result<Json> request(std::string_view name, const OutsideCall& call);

  /// Rests so long, or until then: no thread and no memory is held, and a crash does not shorten
  /// it. The moment is fixed when it is reached first. `suspended` is passed on by the handler.
  Result<void> sleep(Duration duration, std::string_view name = "sleep");
  Result<void> sleep(Timestamp until, std::string_view name = "sleep");

  /// Waits for a signal of that name, resting as sleep() does; one that came before is taken, the
  /// first first. None when nothing has come within `timeout`. A payload that is no T is rejected
  /// and stays with the signal.
  template <class T>
  Result<std::optional<T>> wait_for(const Signal<T>& signal,
                                    std::optional<Duration> timeout = std::nullopt) {
    const auto fits = [](const Json& payload) -> Result<void> {
      BUREAU_TRY_VOID(detail::RunValue<T>::from(payload));
      return {};
    };
    BUREAU_TRY(auto payload, wait_for_json(signal.name, timeout, fits));
    if (!payload) return std::optional<T>();
    BUREAU_TRY(T value, detail::RunValue<T>::from(*payload));
    return std::optional<T>(std::move(value));
  }
  Result<std::optional<Json>> wait_for_json(std::string_view name, std::optional<Duration> timeout,
                                            FunctionRef<Result<void>(const Json&)> fits);

  /// Asks a person, and rests until the approval is decided, expires or is void
  /// (work/approval.hpp). The effect that it is for uses it: Approvals::use().
  Result<Verdict> approval(const ApprovalRequest& request, std::string_view name = "approval");

  /// Enqueues a child, as Tasks::enqueue() would with this run's rights. Children of a run that is
  /// cancelled are cancelled.
  template <class Payload, class Output>
  Result<Child<Output>> spawn(const TaskKind<Payload, Output>& kind, const Payload& payload,
                              const EnqueueOptions& options = {}) {
    BUREAU_TRY(auto made, spawn_json(kind, record_to_json(payload), options));
    return Child<Output>{made};
  }
  /// The same with a payload that is JSON already; `name` is the step's, the kind's when empty.
  Result<Id<Task>> spawn_json(const KindInfo& kind, Json payload,
                              const EnqueueOptions& options = {}, std::string_view name = {});

  /// Waits for a child's end, resting as sleep() does. Its result, or the error with which it was
  /// cancelled or given up.
  template <class Output>
  Result<Output> join(const Child<Output>& child) {
    BUREAU_TRY(auto ends, await_all(std::span(&child.task, 1)));
    return result_of<Output>(ends.front());
  }
  /// The same for all of them, in their order; it goes on when the last has ended.
  template <class Output>
  Result<std::vector<Result<Output>>> join_all(const std::vector<Child<Output>>& children) {
    BUREAU_TRY(auto ends, await_all(ids_of(children)));
    std::vector<Result<Output>> out;
    for (auto& end : ends) out.push_back(result_of<Output>(end));
    return out;
  }
  /// Waits for the first of them to end, and says which it was (its place in `children`). REQUIRES:
  /// at least one.
  template <class Output>
  Result<std::size_t> join_any(const std::vector<Child<Output>>& children) {
    return await_any(ids_of(children));
  }

  /// join_all() and join_any() of children whose results stay JSON, whatever their kinds; `name` is
  /// the step's.
  Result<std::vector<Result<Json>>> join_all_json(const std::vector<Id<Task>>& children,
                                                  std::string_view name = "join");
  Result<std::size_t> join_any_json(const std::vector<Id<Task>>& children,
                                    std::string_view name = "join") {
    return await_any(children, name);
  }

  /// A child that does a part of the work: spawn() and join().
  template <class Payload, class Output>
  Result<Output> call(const TaskKind<Payload, Output>& kind, const Payload& payload,
                      const EnqueueOptions& options = {}) {
    BUREAU_TRY(auto child, spawn(kind, payload, options));
    return join(child);
  }

  /// Ends this task and lets a new one go on in its place, which then has this one's parent: one
  /// commit. For another agent's turn, and for a run that would otherwise never end. Returns an
  /// error, whatever happened: `return run.hand_off(...)`.
  template <class Payload, class Output>
  Unexpected hand_off(const TaskKind<Payload, Output>& kind, const Payload& payload,
                      const EnqueueOptions& options = {}) {
    return hand_off_json(kind, record_to_json(payload), options);
  }
  Unexpected hand_off_json(const KindInfo& kind, Json payload, const EnqueueOptions& options = {});

  /// For code that has changed under runs in flight: false for a run that has passed this point
  /// without it, true for all others, in every attempt.
  [[nodiscard]] bool patched(std::string_view name);

  // ----------------------------------------------------------------------------------------------

  /// How far the handler is (0 to 1), for those who watch. Liveness, not a change: not journalled.
  Result<void> progress(double fraction, std::string_view note = {});
  void log(LogLevel level, std::string_view message) const;
  /// The step that it is in, or the last one that it was in; empty before the first.
  [[nodiscard]] std::string current_step() const;

 private:
  friend class Orchestrator;
  class Turn;
  struct History;
  Run(TaskQueue& queue, Session session, Task task);
  Result<void> may_go_on() const;
  Result<void> may_complete();
  void ended(Error error);
  Error diverged(std::string message);
  Error rehearsed();
  Result<std::vector<detail::ChildEnd>> await_all(std::span<const Id<Task>> children,
                                                  std::string_view name = "join");
  Result<std::size_t> await_any(std::span<const Id<Task>> children, std::string_view name = "join");
  Result<Json> await(
      std::string_view name,
      FunctionRef<Result<std::optional<Json>>(Transaction&, RunStep&, std::int64_t& pending)> look);
  Result<void> hand_over(const KindInfo& kind, const Json& payload, const EnqueueOptions& options);

  Result<void> load();
  Result<void> look(FunctionRef<Result<void>(Reader&)> read);
  enum class WhenCancelled { write, refuse };
  Result<void> commit(FunctionRef<Result<void>(Transaction&)> write,
                      WhenCancelled when = WhenCancelled::write);
  Result<void> catch_up(Transaction& transaction, std::vector<RunStep>& written);
  void caught_up(std::vector<RunStep> written);
  Result<void> forgive(Transaction& transaction) const;
  RunStep new_step(StepKind kind, std::string_view name) const;
  /// What a task that this run makes spends from; `forbidden` when that is not below its own.
  Result<EnqueueOptions> with_budget(Reader& reader, EnqueueOptions options) const;
  Result<bool> holder_lives(const RunStep& row);
  /// What a task that ends here leaves behind, in the transaction that ends it.
  Result<void> before_end(Transaction& transaction);
  Result<void> check_end();
  /// Ends a task whose handler has returned its result, when something of the history is not
  /// written yet.
  [[nodiscard]] bool owes_history() const;
  /// Whether nothing but the result is left to be written.
  [[nodiscard]] bool has_only_result();
  [[nodiscard]] Attribution attribution() const {
    return {task_.tenant.value, session_.principal().user.value, task_.id.value};
  }
  Unexpected end_later(std::function<Result<Json>(Unit&)> effects);
  /// What complete_later() left, in the transaction that ends the task. `lost`: as of settle().
  Result<void> make_effects(Transaction& transaction, std::optional<Error>& lost);
  Result<void> end_with(const Json& result);
  Result<void> may_end();

  template <class F>
  auto ending_with(F& effects, std::optional<Error>& lost) {
    return [this, &effects, &lost](Unit& unit) {
      lost.reset();
      auto made = effects(unit);
      if (!made) return made;
      auto done = before_end(unit.transaction());
      if (done) done = queue_.complete(unit.transaction(), task_, record_to_json(*made));
      if (!done) {
        lost = done.error();
        made = fail(std::move(done).error());
      }
      return made;
    };
  }
  /// `lost`: the task is not this attempt's any more, or is to be cancelled.
  template <class R>
  R settle(R outcome, const std::optional<Error>& lost) {
    if (outcome) {
      completed_.store(true, std::memory_order_release);
    } else if (lost) {
      ended(*lost);
    } else if (outcome.error().code == Code::unknown_outcome) {
      ended(outcome.error());
    }
    return outcome;
  }
  template <class Output>
  static std::vector<Id<Task>> ids_of(const std::vector<Child<Output>>& children) {
    std::vector<Id<Task>> out;
    for (const auto& child : children) out.push_back(child.task);
    return out;
  }
  template <class Output>
  static Result<Output> result_of(const detail::ChildEnd& end) {
    if (end.error) return fail(*end.error);
    return record_from_json<Output>(end.result);
  }

  TaskQueue& queue_;
  Session session_;
  Task task_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> completed_{false};
  mutable std::mutex mutex_;
  std::optional<Error> ended_;
  std::function<Result<Json>(Unit&)> later_;  // of complete_later()
  bool in_doubt_ = false;                     // the error that ended it is of an unsafe step
  bool rehearses_ = false;                    // nothing is written
  std::unique_ptr<History> history_;          // once a durable call was made
  Monotonic leased_at_;                       // when it last was sure to hold the lease
  std::atomic<bool> in_turn_{false};
  std::string step_;  // the current one
  std::int64_t step_position_ = -1;
};

BUREAU_END_NAMESPACE

#include "bureau/work/run_turn.hpp"  // what step() and spend() are made of
