#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "bureau/work/run.hpp"

BUREAU_BEGIN_NAMESPACE

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

  /// Whether its handlers hold no thread while they wait: begin() is called instead of execute().
  /// For hosts with an event loop; OrchestratorOptions::max_running says how many there may be.
  [[nodiscard]] virtual bool holds_no_thread() const { return false; }
  using Done = std::function<void(Result<Json>)>;
  /// Begins the work and returns; must not wait. `done` is called once, from any thread, perhaps
  /// inside this call, with what execute() would have returned; a second call does nothing. Until
  /// then the run is the handler's. REQUIRES: it is called before the engine is destroyed: stop()
  /// waits for it. This default executes it at once.
  virtual void begin(const std::shared_ptr<Run>& run, Done done) {
    done(execute(*run, run->task()));
  }

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
