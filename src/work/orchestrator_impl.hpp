#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>

#include "bureau/access/repository.hpp"
#include "bureau/work/orchestrator.hpp"
#include "work/work_metrics.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

struct AgentEntry {
  std::shared_ptr<Agent> agent;
  std::vector<KindInfo> kinds;
  bool operational = false;
  std::size_t running = 0;
  std::uint64_t completed = 0, failed = 0;
};

struct Running {
  std::shared_ptr<Run> run;
  AgentEntry* agent = nullptr;
  Monotonic limit;
  Monotonic began;
  bool expired = false;  // past its limit: its attempt has been ended in the database
};

}  // namespace detail

/// What orchestrator.cpp (its life), orchestrator_runs.cpp (claiming and running) and
/// orchestrator_duties.cpp (what recurs) share.
struct Orchestrator::Impl {
  using AgentEntry = detail::AgentEntry;
  using Running = detail::Running;

  Impl(Database& db, Access& acc, OrchestratorOptions opts)
      : database(db), access(acc), options(opts), queue(db, {opts.heartbeat}) {}

  Database& database;
  Access& access;
  OrchestratorOptions options;
  TaskQueue queue;
  detail::WorkMetrics metrics;

  mutable std::mutex mutex;
  std::condition_variable idle;  // the last handler has returned
  std::vector<std::unique_ptr<AgentEntry>> agents;
  std::map<std::string, std::pair<AgentEntry*, KindInfo>, std::less<>> by_kind;
  std::vector<TaskQueue::ClaimOptions> claims;  // one a queue, taken in turn
  std::size_t next_claim = 0;
  std::deque<Task> buffer;    // leased, not begun
  std::size_t beginning = 0;  // taken from the buffer, not yet among `running`
  /// By run, not by task: an attempt that was resumed or retried here may meet the one before it,
  /// whose handler has not returned.
  std::unordered_map<const Run*, Running> running;
  bool started = false, stopping = false;
  std::function<void()> stuck_callback;

  std::mutex claim_mutex;          // one thread claims at a time; the others wait for what it gets
  std::atomic<bool> works{false};  // some agent has started, and stop() has not
  std::atomic<bool> noticed{true};
  std::atomic<bool> look_for_interrupts{false};
  std::atomic<std::int64_t> next_scheduled{INT64_MAX};  // micros; when one becomes due

  std::atomic<bool> committed{false};  // since agents were told of commits

  std::mutex duty_mutex;
  Monotonic next_heartbeat{};
  std::atomic<std::int64_t> last_heartbeat{-1};  // micros of the monotonic clock
  std::atomic<bool> upgraded{false};  // the file is a newer program's now: nothing more to do here
  Monotonic next_telling{};
  std::atomic<bool> schedules_changed{true};  // perhaps: something was committed
  Monotonic next_schedule_look{};
  Timestamp next_schedule = Timestamp::never();
  Monotonic next_rescue{};

  [[nodiscard]] Clock& clock() const { return database.clock(); }

  /// No further handler may begin. REQUIRES: mutex.
  [[nodiscard]] bool is_full() const {
    return options.max_running > 0 && running.size() + beginning >= options.max_running;
  }

  /// Takes the first of the buffer, if it leaves at least so many behind.
  bool take_buffered(Task& out, std::size_t left = 0) {
    std::lock_guard lock(mutex);
    if (buffer.size() <= left || stopping || is_full()) return false;
    out = std::move(buffer.front());
    buffer.pop_front();
    ++beginning;
    return true;
  }
  Result<bool> fill();
  Result<bool> next(Task& out);
  Result<void> look();
  void execute(Task task);
  Result<Session> session_for(const Task& task, const Agent& agent) const;
  bool is_suspended(const Task& task) const;
  void hand_back(const std::shared_ptr<Run>& run, AgentEntry& agent, Duration pause);
  void conclude(const std::shared_ptr<Run>& run, const KindInfo& kind, const Result<Json>& outcome,
                AgentEntry& agent);
  static std::optional<Code> why_of(const Run& run, const Result<Json>& outcome);
  Result<detail::AttemptEnd> record(Run& run, const KindInfo& kind, const Result<Json>& outcome);
  Result<std::optional<std::string>> rehearse(const Task& task, Agent& agent);
  void retire(const Error& error);
  void expire_overdue(Monotonic now);
  void see_interrupts();
  void tell_of_commits(Monotonic now);
  Monotonic see_to_schedules(Monotonic now);
  void attempt_ended(const Run& run, Monotonic began, detail::AttemptEnd how,
                     std::optional<Code> error);
  Monotonic next_limit() const;
};

BUREAU_END_NAMESPACE
