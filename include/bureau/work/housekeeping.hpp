#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bureau/access/access.hpp"
#include "bureau/work/agent.hpp"
#include "bureau/work/agent_heartbeat.hpp"
#include "bureau/work/machine.hpp"
#include "bureau/work/schedule.hpp"
#include "bureau/work/system_metric.hpp"

BUREAU_BEGIN_NAMESPACE

// Four jobs that an office does for itself: kinds of task, which HousekeepingAgent does and
// switch_on_housekeeping() has recur (docs/cron.md).

/// Looks at each agent of the tenant, and notes what it does.
struct HeartbeatPayload {
  /// Looks that lie further apart than this begin a new stretch of AgentHeartbeat; 1 to 1,440.
  std::int64_t gap_minutes = 15;
};
struct HeartbeatResult {
  std::int64_t offline = 0, idle = 0, busy = 0;  ///< agents
  std::int64_t changed = 0;                      ///< since the look before, or not seen by it
};

/// Measures the machine. What could not be measured is null, and has no SystemMetric.
struct MetricsResult {
  std::optional<double> cpu, memory, disk, network_received, network_sent, health_score;
};

/// What stands in the queues. Of all ready tasks, and of each kind in `kinds`:
/// [{"queue", "kind", "ready", "scheduled", "late", "running", "oldest_ready_seconds", "workers"}],
/// the most ready first, at most 100; `late` is due and not yet offered, `workers` are the live
/// nodes that do the kind.
struct ProcessorResult {
  std::int64_t ready = 0, scheduled = 0, late = 0, running = 0;
  std::int64_t overdue = 0;     ///< running past the limit of its attempt
  std::int64_t in_doubt = 0;    ///< waiting for somebody to say what became of them
  std::int64_t dead = 0;        ///< given up
  std::int64_t unattended = 0;  ///< kinds with tasks that wait for over a minute, and no worker
  Json kinds;
};

/// What is removed, and when: so many days after it ended (tasks) or was noted (everything else).
struct CleanupPayload {
  std::int64_t days = 30;  ///< 1 to 36,500
  /// Of tasks that were given up: they are work that was not done, so nobody but you removes them.
  std::optional<std::int64_t> dead_days = {};
  /// Of tasks of one kind and state, where it is another time: {"send_out": {"completed": 7,
  /// "cancelled": 7, "dead": 365}}; null keeps them. Null: none.
  Json kinds = {};
};
struct CleanupResult {
  std::int64_t tasks = 0;
  Json rows;  ///< of other tables: {"schedule_occurrences": 12, ...}
};

template <>
inline constexpr auto record<HeartbeatPayload> = fields(column("gap_minutes",
                                                               &HeartbeatPayload::gap_minutes));
template <>
inline constexpr auto record<HeartbeatResult> =
    fields(column("offline", &HeartbeatResult::offline), column("idle", &HeartbeatResult::idle),
           column("busy", &HeartbeatResult::busy), column("changed", &HeartbeatResult::changed));
template <>
inline constexpr auto record<MetricsResult> =
    fields(column("cpu", &MetricsResult::cpu), column("memory", &MetricsResult::memory),
           column("disk", &MetricsResult::disk),
           column("network_received", &MetricsResult::network_received),
           column("network_sent", &MetricsResult::network_sent),
           column("health_score", &MetricsResult::health_score));
template <>
inline constexpr auto record<ProcessorResult> = fields(
    column("ready", &ProcessorResult::ready), column("scheduled", &ProcessorResult::scheduled),
    column("late", &ProcessorResult::late), column("running", &ProcessorResult::running),
    column("overdue", &ProcessorResult::overdue), column("in_doubt", &ProcessorResult::in_doubt),
    column("dead", &ProcessorResult::dead), column("unattended", &ProcessorResult::unattended),
    column("kinds", &ProcessorResult::kinds));
template <>
inline constexpr auto record<CleanupPayload> = fields(column("days", &CleanupPayload::days),
                                                      column("dead_days",
                                                             &CleanupPayload::dead_days),
                                                      column("kinds", &CleanupPayload::kinds));
template <>
inline constexpr auto record<CleanupResult> = fields(column("tasks", &CleanupResult::tasks),
                                                     column("rows", &CleanupResult::rows));

// They run as who had them recur, in a queue of their own, so that no backlog holds them up. What
// was missed is not measured later: only the clean-up is repeated.
inline constexpr auto agent_heartbeat = task_kind<HeartbeatPayload, HeartbeatResult>(
    "agent_heartbeat", Effect::database, retry::never, "housekeeping", std::chrono::minutes(2),
    RunAs::enqueuer);
inline constexpr auto system_metrics =
    task_kind<Nothing, MetricsResult>("system_metrics", Effect::database, retry::never,
                                      "housekeeping", std::chrono::minutes(2), RunAs::enqueuer);
inline constexpr auto task_processor =
    task_kind<Nothing, ProcessorResult>("task_processor", Effect::database, retry::never,
                                        "housekeeping", std::chrono::minutes(2), RunAs::enqueuer);
inline constexpr auto cleanup_logs = task_kind<CleanupPayload, CleanupResult>(
    "cleanup_logs", Effect::database, retry::fixed(3, std::chrono::minutes(1)), "housekeeping",
    std::chrono::hours(1), RunAs::enqueuer);

/// Rows that a host has cleaned too: those of a tenant whose `moment` is older than the days.
struct History {
  const TableInfo* table = nullptr;  ///< has a tenant; its rows are named by nothing that is kept
  std::string moment;                ///< a column of type timestamp, never before the row was made
};

struct HousekeepingOptions {
  std::shared_ptr<HostMachine> machine = {};  ///< what is measured; null: nothing is
  std::vector<History> histories = {};        ///< of the host, besides the library's own
  /// How many rows one write of the clean-up removes: short enough that no other writer waits.
  std::uint64_t batch = 200;
};

/// Does the four kinds, in any tenant. One for a process: CPU and network are measured from one
/// look to the next. Whoever may not change the tenant's schedules is `forbidden`.
class HousekeepingAgent final : public Agent {
 public:
  /// `access` outlives it.
  HousekeepingAgent(Access& access, HousekeepingOptions options);
  [[nodiscard]] std::string_view name() const override { return "housekeeping"; }
  [[nodiscard]] std::vector<KindInfo> capabilities() const override;
  [[nodiscard]] Result<void> validate(const Task& task) const override;
  /// `invalid` for a history whose table or column is not as it must be, and for a batch of 0.
  Result<void> on_initialize() override;
  Result<void> on_start() override;
  Result<Json> execute(Run& run, const Task& task) override;

 private:
  Result<Json> beat(Run& run, const HeartbeatPayload& payload);
  Result<Json> measure(Run& run);
  Result<Json> process(Run& run);
  Result<Json> clean(Run& run, const CleanupPayload& payload);
  [[nodiscard]] MachineUse use_since_last();

  Access& access_;
  HousekeepingOptions options_;
  std::mutex mutex_;
  MachineReading last_;
  MachineUse use_;
  std::optional<Monotonic> last_at_, use_at_;
};

/// Which of the jobs recur, and when; an empty expression leaves that job alone.
struct HousekeepingPlan {
  std::string heartbeat = "*/5 * * * *";
  std::string metrics = "*/10 * * * *";
  std::string processor = "*/3 * * * *";
  std::string cleanup = "0 2 * * *";  ///< by the tenant's clock
  HeartbeatPayload looks = {};
  CleanupPayload keep = {};
};

/// Has the jobs recur in the session's tenant, from now on and in whichever process works: makes
/// the schedules agent-heartbeat, system-metrics, task-processor and cleanup-logs, or changes them
/// to this plan (one that is paused stays paused). All or none. Errors as Schedules::save(), and
/// `invalid` for days out of range.
Result<std::vector<Schedule>> switch_on_housekeeping(const Scope& scope,
                                                     const HousekeepingPlan& plan = {});
/// Removes those schedules; what they noted stays. Returns how many there were.
Result<std::uint64_t> switch_off_housekeeping(const Scope& scope);

/// The tables of SystemMetric and AgentHeartbeat, for a catalog, and who may see them: admins and
/// managers. Nobody but the library writes them.
Result<void> add_housekeeping_tables(Catalog& catalog);
Result<void> add_housekeeping_policies(Policies& policies);

BUREAU_END_NAMESPACE
