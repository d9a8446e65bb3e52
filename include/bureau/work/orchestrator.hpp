#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bureau/access/access.hpp"
#include "bureau/work/agent.hpp"
#include "bureau/work/scheduler.hpp"
#include "bureau/work/snapshot.hpp"
#include "bureau/work/spans.hpp"

BUREAU_BEGIN_NAMESPACE

class PrometheusText;

struct OrchestratorOptions {
  std::uint64_t batch = 256;  ///< how many tasks are leased at a time, at most
  /// No more are leased than the threads here are likely to begin in this time, and those that
  /// still wait after a multiple of it are handed back: long tasks are leased one by one.
  Duration ahead = std::chrono::milliseconds(50);
  /// How long the result of a task that has ended may wait for others to share its commit.
  Duration gather = std::chrono::milliseconds(2);
  Duration heartbeat = std::chrono::seconds(5);
  SpanSink spans = {};  ///< told of each attempt of this process; none: costs nothing
  std::size_t max_running =
      0;  ///< handlers at a time in this engine; 0: as many as there are threads
};

/// What one agent has done and does, from its tasks; nothing is stored for it.
struct AgentState {
  std::string name;
  bool operational = false;  ///< started, and its node lives
  std::size_t running = 0;
  std::uint64_t completed = 0, failed = 0;  ///< attempts since the start of this process
};

/// What a rehearsal of the runs in flight has found.
struct Rehearsal {
  struct Divergence {
    Id<Task> task;
    std::string kind;
    std::string error;  ///< which step, what it was, and what the program does now
  };
  std::uint64_t runs = 0;  ///< that were replayed
  std::vector<Divergence> diverged;
  std::uint64_t unknown = 0;  ///< runs of kinds that no agent here does
};

/// Brings tasks and agents together: leases batches, runs handlers, watches time limits, keeps
/// heartbeats and rescues the tasks of the dead. Has no thread: step() and duties() are called by
/// the engine, from as many threads as there are. Thread-safe.
class Orchestrator {
 public:
  Orchestrator(Database& database, Access& access, OrchestratorOptions options);
  ~Orchestrator();

  /// `invalid` for a kind that breaks check_kind() or that another agent has, `conflict` once
  /// started. Calls on_initialize().
  Result<void> add(std::shared_ptr<Agent> agent);
  /// Calls on_start() of each; an agent whose on_start() fails does not work, and is logged.
  Result<void> start();

  /// Runs one task, if one is to be had. False: there was none.
  Result<bool> step();
  /// Runs tasks one after the other, as many as the limit allows. What they come to shares commits,
  /// and is committed when this returns. How many ran; 0: there was none.
  Result<std::size_t> step(const PollLimit& limit);
  /// Runs what is due of heartbeat, rescue, promotion, time limits. Returns when the next is due.
  Result<Monotonic> duties();
  /// A task may have come: the next step() looks. False when nobody here would do it.
  bool notice();

  /// Takes no further task, asks handlers to stop, waits for them until `deadline`, hands back what
  /// was leased but not begun, calls on_stop(). `deadline` names those that are stuck.
  Result<void> stop(Monotonic deadline);

  /// Replays every run in flight against the agents that were added, without effects: no step is
  /// done, nothing is written. For a copy of an office, before a new program gets the office.
  [[nodiscard]] Result<Rehearsal> rehearse();

  [[nodiscard]] std::vector<AgentState> agents() const;
  /// What this process has counted: attempts by kind and outcome, claims, schedules.
  void write_metrics(PrometheusText& text) const;
  /// The tasks that this process holds, and when its node's heartbeat was last written.
  [[nodiscard]] std::vector<HeldTask> held() const;
  [[nodiscard]] std::optional<Duration> heartbeat_age() const;
  /// Handlers that are past their time limit and still hold their thread.
  [[nodiscard]] std::vector<std::string> stuck() const;
  /// Called when a handler got stuck and its thread is lost for now.
  void on_stuck(std::function<void()> callback);
  /// Called when a handler that held no thread has ended, from its thread; must not block.
  void on_outcome(std::function<void()> callback);
  /// Called when a task was begun and there are more that another thread could begin; must not
  /// block.
  void on_more(std::function<void()> callback);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

BUREAU_END_NAMESPACE
