#pragma once

#include <algorithm>
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

/// How long the work of a tenant that is suspended rests before it is offered again.
inline constexpr Duration suspended_pause = std::chrono::minutes(1);

struct AgentEntry {
  std::shared_ptr<Agent> agent;
  std::vector<KindInfo> kinds;
  bool operational = false;
  std::size_t running = 0;
  std::uint64_t completed = 0, failed = 0;
};

/// How long tasks take, as a moving mean.
class Pace {
 public:
  void add(Duration took) {
    const Duration longer = std::max(took, Duration(1));
    mean_ = mean_ == Duration(0) ? longer : std::max(Duration(1), mean_ + (longer - mean_) / 8);
  }
  void forget() { mean_ = Duration(0); }
  [[nodiscard]] bool is_known() const { return mean_ > Duration(0); }
  [[nodiscard]] Duration mean() const { return mean_; }

 private:
  Duration mean_{0};
};

struct KindEntry {
  AgentEntry* agent = nullptr;
  KindInfo info;
  Pace pace;
};

struct QueueEntry {
  TaskQueue::ClaimOptions claim;
  Pace pace;
};

/// Leased, not begun.
struct Leased {
  Task task;
  Monotonic since;
};

struct Running {
  std::shared_ptr<Run> run;
  AgentEntry* agent = nullptr;
  Monotonic limit;
  Monotonic began;
  bool expired = false;   // past its limit: its attempt has been ended in the database
  bool returned = false;  // its handler has; the outcome is not committed yet
};

/// An attempt whose handler has returned, and whose outcome waits for a commit.
struct Finished {
  std::shared_ptr<Run> run;
  AgentEntry* agent = nullptr;
  Retry retry;
  Monotonic began;
  Json result;           // unless effects make it
  bool effects = false;  // left by Run::complete_later()
};

}  // namespace detail

/// What orchestrator.cpp (its life), orchestrator_runs.cpp (claiming and running),
/// orchestrator_ends.cpp (how attempts end) and orchestrator_duties.cpp (what recurs) share.
struct Orchestrator::Impl {
  using AgentEntry = detail::AgentEntry;
  using Running = detail::Running;
  using Finished = detail::Finished;
  using Leased = detail::Leased;

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
  std::map<std::string, detail::KindEntry, std::less<>> by_kind;
  std::vector<detail::QueueEntry> queues;  // claimed from in turn
  std::size_t next_queue = 0;
  std::uint64_t last_batch = 0;  // how many the last claim asked for
  std::deque<Leased> buffer;
  Monotonic last_taken;       // from the buffer, or when it was filled
  std::size_t beginning = 0;  // taken from the buffer, not yet among `running`
  /// By run, not by task: an attempt that was resumed or retried here may meet the one before it,
  /// whose handler has not returned.
  std::unordered_map<const Run*, Running> running;
  std::size_t returned = 0;        // of `running`
  std::size_t most_at_a_time = 1;  // handlers: how many threads there are, as far as is known
  std::vector<Finished> finished;
  Monotonic finished_since;         // the first of them
  std::vector<Finished> undecided;  // could not be committed: once more at next_try
  /// The same of what is committed by itself: each tries again, and comes back here if it must.
  std::vector<std::function<void()>> owed;
  Monotonic next_try;
  bool started = false, stopping = false;
  std::function<void()> stuck_callback;
  std::function<void()> more_callback, outcome_callback;  // set before it starts

  std::mutex claim_mutex;          // one thread claims at a time; the others wait for what it gets
  std::atomic<bool> works{false};  // some agent has started, and stop() has not
  std::atomic<bool> noticed{true};
  std::atomic<bool> look_for_interrupts{false};
  std::atomic<std::int64_t> next_scheduled{INT64_MAX};  // micros; when one becomes due

  std::atomic<bool> committed{false};  // since agents were told of commits

  std::mutex duty_mutex;
  Monotonic next_interrupt_look{};
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
    return options.max_running > 0 && running.size() - returned + beginning >= options.max_running;
  }

  bool take_buffered(Leased& out, bool ahead);
  [[nodiscard]] std::uint64_t batch_of(const detail::QueueEntry& from) const;
  Result<bool> fill(bool settles);
  Result<bool> next(Task& out);
  Result<bool> next_leased(Leased& out);
  Result<bool> still_holds(Leased& leased);
  Result<void> look();
  void execute(Task task);
  void call(const std::shared_ptr<Run>& run, const KindInfo& kind, AgentEntry& agent);
  void begin(const std::shared_ptr<Run>& run, const KindInfo& kind, AgentEntry& agent);
  void take_outcome(const std::shared_ptr<Run>& run, const KindInfo& kind,
                    const Result<Json>& outcome, AgentEntry& agent);
  void end_unbegun(const Task& task);
  /// How long a leased task waits for a thread before it is handed back.
  [[nodiscard]] Duration waits_at_most() const { return options.ahead * 20; }
  void hand_back_waiting(Monotonic now);

  // How attempts end.
  void note_pace(const Task& task, Duration took);
  bool finish_later(const std::shared_ptr<Run>& run, const KindInfo& kind,
                    const Result<Json>& outcome, AgentEntry& agent);
  bool should_settle(std::string_view next_kind) const;
  class Settlement;
  std::vector<Finished> take_finished();
  void settle();
  void settle_late(Monotonic now);
  void settle_one(Finished& one, Result<void> outcome, const std::optional<Error>& lost,
                  bool failed);
  void put_off(Finished one, const Error& error);
  bool owe(const Task& task, const Error& error, std::function<void()> again,
           const Run* run = nullptr);
  void pay();
  void ended(const Run& run, AgentEntry& agent, Monotonic began, detail::AttemptEnd how,
             std::optional<Code> error);
  Result<Session> session_for(const Task& task, const Agent& agent) const;
  bool is_suspended(const Task& task) const;
  void hand_back(const std::shared_ptr<Run>& run, AgentEntry& agent, Monotonic began,
                 Duration pause);
  void conclude(const std::shared_ptr<Run>& run, const KindInfo& kind, const Result<Json>& outcome,
                AgentEntry& agent);
  static std::optional<Code> why_of(const Run& run, const Result<Json>& outcome);
  Result<detail::AttemptEnd> record(Run& run, const KindInfo& kind, const Result<Json>& outcome);
  Result<std::optional<std::string>> rehearse(const Task& task, Agent& agent);
  void retire(const Error& error);
  void expire_overdue(Monotonic now);
  void record_expired(const std::shared_ptr<Run>& run, const KindInfo& kind, const Error& late);
  void see_interrupts();
  void tell_of_commits(Monotonic now);
  Monotonic see_to_schedules(Monotonic now);
  void attempt_ended(const Run& run, Monotonic began, detail::AttemptEnd how,
                     std::optional<Code> error);
  Monotonic next_limit() const;
};

BUREAU_END_NAMESPACE
