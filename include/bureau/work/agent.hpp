#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "bureau/access/session.hpp"
#include "bureau/core/log.hpp"
#include "bureau/work/task_queue.hpp"

BUREAU_BEGIN_NAMESPACE

/// One attempt at a task, as its handler sees it. Belongs to the handler's call; thread-safe.
/// Once it is cancelled, fenced or completed, every further call returns the same error, and what
/// the handler returns is ignored.
class Run {
 public:
  [[nodiscard]] const Task& task() const { return task_; }
  /// Stable over all attempts: the idempotency key of an outside call.
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
    BUREAU_TRY_VOID(may_go_on());
    return settle(session_.write(ending_with(effects)));
  }
  /// The same where `effects` may run on another thread: what an office with many agents that write
  /// little is fastest with (session.hpp, docs/tasks.md).
  template <class F>
  auto complete(AnyThread, F&& effects) -> std::invoke_result_t<F&, Unit&> {
    BUREAU_TRY_VOID(may_go_on());
    return settle(session_.write(any_thread, ending_with(effects)));
  }

  /// How far the handler is (0 to 1), for those who watch. Liveness, not a change: not journalled.
  Result<void> progress(double fraction, std::string_view note = {});
  void log(LogLevel level, std::string_view message) const;

 private:
  friend class Orchestrator;
  Run(TaskQueue& queue, Session session, Task task)
      : queue_(queue), session_(std::move(session)), task_(std::move(task)) {}
  Result<void> may_go_on() const;
  void ended(Error error);
  template <class F>
  auto ending_with(F& effects) {
    return [this, &effects](Unit& unit) {
      auto made = effects(unit);
      if (!made) return made;
      auto done = queue_.complete(unit.transaction(), task_, record_to_json(*made));
      if (!done) made = fail(std::move(done).error());
      return made;
    };
  }
  template <class R>
  R settle(R outcome) {
    if (outcome) {
      completed_.store(true, std::memory_order_release);
    } else if (outcome.error().code == Code::conflict || outcome.error().code == Code::cancelled ||
               outcome.error().code == Code::unknown_outcome) {
      ended(outcome.error());
    }
    return outcome;
  }

  TaskQueue& queue_;
  Session session_;
  Task task_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> completed_{false};
  mutable std::mutex mutex_;
  std::optional<Error> ended_;
};

/// Does tasks of some kinds. Its calls come from the scheduler's threads, execute() from several at
/// a time. Exceptions that escape count as a failed attempt.
class Agent {
 public:
  virtual ~Agent() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// The name of the role that it has in each tenant, as a principal of kind `agent`: what the
  /// role permits and policies allow is what its handlers may read and change (docs/tasks.md).
  [[nodiscard]] virtual std::string_view role() const { return "agent"; }
  /// The kinds that it does.
  [[nodiscard]] virtual std::vector<KindInfo> capabilities() const = 0;
  /// Whether it takes this task, of a kind that it does; false leaves it to others.
  [[nodiscard]] virtual bool can_process(const Task&) const { return true; }
  /// Whether the payload is good; a task for which it is not goes straight to the dead letters.
  [[nodiscard]] virtual Result<void> validate(const Task& task) const = 0;
  virtual Result<Json> execute(Run& run, const Task& task) = 0;

  // Its life. An error keeps the agent from working, and is logged.
  virtual Result<void> on_initialize() { return {}; }  ///< once, when it is registered
  virtual Result<void> on_start() { return {}; }       ///< before its first task
  virtual Result<void> on_stop() { return {}; }        ///< after its last
  /// Soon after on_start(), and after commits of this process or another, at most ten times a
  /// second and never two at a time: for agents that make tasks of what has changed. It must be
  /// quick; an error is logged, and it is called again.
  virtual Result<void> on_commits() { return {}; }
};

/// An agent of one kind with typed payload and result:
///   class Triage : public AgentOf<triage> { Result<TriageResult> execute(Run&, const
///   TriagePayload&) override; };
template <const auto& kind>
class AgentOf : public Agent {
 public:
  using Payload = typename std::remove_cvref_t<decltype(kind)>::PayloadType;
  using Output = typename std::remove_cvref_t<decltype(kind)>::ResultType;

  [[nodiscard]] std::string_view name() const override { return kind.name; }
  [[nodiscard]] std::vector<KindInfo> capabilities() const override { return {kind}; }
  [[nodiscard]] Result<void> validate(const Task& task) const override {
    BUREAU_TRY(Payload payload, record_from_json<Payload>(task.payload));
    return validate(payload);
  }
  /// Rules beyond those that the record's fields state.
  [[nodiscard]] virtual Result<void> validate(const Payload&) const { return {}; }
  virtual Result<Output> execute(Run& run, const Payload& payload) = 0;

  Result<Json> execute(Run& run, const Task& task) final {
    BUREAU_TRY(Payload payload, record_from_json<Payload>(task.payload));
    BUREAU_TRY(Output output, execute(run, payload));
    return record_to_json(output);
  }
};

BUREAU_END_NAMESPACE
