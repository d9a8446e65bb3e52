#include "bureau/work/housekeeping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "access/rights.hpp"
#include "bureau/work/task.hpp"
#include "work/agent_lookup.hpp"
#include "work/housekeeping_jobs.hpp"
#include "work/manager_policies.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

Result<Activities> look_at_agents(Database& database, Id<Tenant> tenant) {
  Activities activities;
  BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    activities.clear();
    AgentMap agents;
    BUREAU_TRY_VOID(add_presences(database, reader, agents));
    BUREAU_TRY_VOID(add_configured(reader, tenant, agents));
    std::map<std::string, std::string, std::less<>> does;  // who does a kind
    for (const auto& [name, agent] : agents) {
      if (!agent.configured && !agent.operational()) continue;  // ran here once
      activities[name] = agent.operational() ? AgentActivity::idle : AgentActivity::offline;
      if (!agent.operational()) continue;
      for (const std::string& kind : agent.kinds) does[kind] = name;
    }
    const Select running = select<Task>().where(
        col(&Task::status) == TaskStatus::running && col(&Task::tenant) == tenant &&
        col(&Task::queue) != std::string(agent_heartbeat.queue));
    const ColumnInfo* kind = table_of<Task>().find("kind");
    return reader.scan(running, [&](std::span<const Value> row) -> Result<bool> {
      const auto who = does.find(row[kind->index].as_text());
      if (who != does.end()) activities[who->second] = AgentActivity::busy;
      return true;
    });
  }));
  return activities;
}

namespace {

/// The last stretch of each agent that was looked at since.
Result<std::map<std::string, AgentHeartbeat, std::less<>>> last_stretches(Unit& unit,
                                                                          Timestamp since) {
  std::map<std::string, AgentHeartbeat, std::less<>> last;
  const Select recent =
      select<AgentHeartbeat>()
          .where(col(&AgentHeartbeat::tenant) == unit.session().principal().tenant &&
                 col(&AgentHeartbeat::seen_until) >= since)
          .order_by(col(&AgentHeartbeat::seen_until));
  BUREAU_TRY_VOID(
      unit.transaction().reader().scan(recent, [&](std::span<const Value> row) -> Result<bool> {
        AgentHeartbeat stretch;
        from_values(row, stretch);
        last[stretch.agent] = std::move(stretch);
        return true;
      }));
  return last;
}

void count(AgentActivity activity, HeartbeatResult& result) {
  switch (activity) {
    case AgentActivity::offline:
      ++result.offline;
      break;
    case AgentActivity::idle:
      ++result.idle;
      break;
    case AgentActivity::busy:
      ++result.busy;
      break;
  }
}

Result<void> go_on(Unit& unit, const std::vector<Id<AgentHeartbeat>>& stretches) {
  if (stretches.empty()) return {};
  const TableInfo& table = table_of<AgentHeartbeat>();
  Update seen{select<AgentHeartbeat>().where(col(&AgentHeartbeat::id).in(stretches)),
              {{table.find("seen_until"), Value::integer(unit.now().micros()), false},
               {table.find("looks"), Value::integer(1), true}}};
  BUREAU_TRY_VOID(unit.transaction().unjournalled().update(seen));
  return {};
}

}  // namespace

Result<HeartbeatResult> note_activities(Unit& unit, const Activities& activities, Duration gap) {
  BUREAU_TRY(const auto last, last_stretches(unit, unit.now() - gap));
  HeartbeatResult result;
  std::vector<AgentHeartbeat> begun;
  std::vector<Id<AgentHeartbeat>> continued;
  for (const auto& [agent, activity] : activities) {
    count(activity, result);
    const auto before = last.find(agent);
    if (before != last.end() && before->second.activity == activity &&
        before->second.seen_until <= unit.now()) {
      continued.push_back(before->second.id);
      continue;
    }
    ++result.changed;
    AgentHeartbeat& stretch = begun.emplace_back();
    stretch.agent = agent;
    stretch.activity = activity;
    stretch.seen_from = stretch.seen_until = unit.now();
  }
  BUREAU_TRY_VOID(go_on(unit, continued));
  if (begun.empty()) return result;
  BUREAU_TRY_VOID(Repository<AgentHeartbeat>{Scope(unit)}.insert_all(std::move(begun)));
  return result;
}

}  // namespace detail

// The agent ------------------------------------------------------------------------------------

namespace {

/// Looks at the machine that lie closer together than this are one: tenants that have it measured
/// at the same moment shall not divide the ten minutes between them.
constexpr Duration one_look = std::chrono::minutes(1);

Result<void> check_looks(const HeartbeatPayload& payload) {
  if (payload.gap_minutes >= 1 && payload.gap_minutes <= 1440) return {};
  return fail(Code::invalid,
              fmt::format("gap_minutes: {} is not from 1 to 1440", payload.gap_minutes),
              "gap_minutes");
}

/// Whoever may have the jobs recur may have them done.
Result<void> may_be_done(const Run& run) {
  return run.read([&](View& view) -> Result<void> {
    BUREAU_TRY(const Predicate rule,
               view.session().rule(view.reader(), table_of<Schedule>(), Command::update));
    if (!rule.is_never()) return {};
    return fail(
        Code::forbidden,
        fmt::format("{}: denied to who may not change the tenant's schedules", run.task().kind));
  });
}

/// Runs `effects(Unit&)` with the system's rights, in the commit that completes the run.
template <class F>
auto complete_as_system(Run& run, F&& effects) {
  return run.complete(any_thread, [&](Unit& unit) {
    const Session system = detail::system_beside(unit.session());
    Unit of_system(system, unit.transaction());
    return effects(of_system);
  });
}

struct MetricKind {
  std::optional<double> MetricsResult::*value;
  const char* name;
  const char* unit;
  MetricCategory category;
};
constexpr std::array metric_kinds{
    MetricKind{&MetricsResult::cpu, "cpu", "ratio", MetricCategory::performance},
    MetricKind{&MetricsResult::memory, "memory", "ratio", MetricCategory::performance},
    MetricKind{&MetricsResult::disk, "disk", "ratio", MetricCategory::performance},
    MetricKind{&MetricsResult::network_received, "network_received", "bytes_per_second",
               MetricCategory::network},
    MetricKind{&MetricsResult::network_sent, "network_sent", "bytes_per_second",
               MetricCategory::network},
    MetricKind{&MetricsResult::health_score, "health_score", "points", MetricCategory::general},
};

Result<void> note_metrics(Unit& unit, const MetricsResult& measured) {
  std::vector<SystemMetric> rows;
  for (const MetricKind& kind : metric_kinds) {
    const std::optional<double> value = measured.*kind.value;
    if (!value) continue;
    SystemMetric& row = rows.emplace_back();
    row.name = kind.name;
    row.category = kind.category;
    row.value = *value;
    row.unit = kind.unit;
    row.at = unit.now();
  }
  if (rows.empty()) return {};
  BUREAU_TRY_VOID(Repository<SystemMetric>{Scope(unit)}.insert_all(std::move(rows)));
  return {};
}

}  // namespace

HousekeepingAgent::HousekeepingAgent(Access& access, HousekeepingOptions options)
    : access_(access), options_(std::move(options)) {}

std::vector<KindInfo> HousekeepingAgent::capabilities() const {
  return {agent_heartbeat, system_metrics, task_processor, cleanup_logs};
}

Result<void> HousekeepingAgent::validate(const Task& task) const {
  if (task.kind == agent_heartbeat.name) {
    BUREAU_TRY(const auto payload, record_from_json<HeartbeatPayload>(task.payload));
    return check_looks(payload);
  }
  if (task.kind == cleanup_logs.name) {
    BUREAU_TRY(const auto payload, record_from_json<CleanupPayload>(task.payload));
    return detail::check_cleanup(payload);
  }
  BUREAU_TRY_VOID(record_from_json<Nothing>(task.payload));
  return {};
}

Result<void> HousekeepingAgent::on_initialize() {
  for (const History& history : options_.histories) BUREAU_TRY_VOID(detail::check_history(history));
  if (options_.batch > 0) return {};
  return fail(Code::invalid, "batch: 0 rows a write remove nothing; it is at least 1", "batch");
}

Result<void> HousekeepingAgent::on_start() {
  if (!options_.machine) return {};
  std::lock_guard lock(mutex_);
  last_ = options_.machine->read();
  last_at_ = access_.database().clock().monotonic();
  return {};
}

Result<Json> HousekeepingAgent::execute(Run& run, const Task& task) {
  BUREAU_TRY_VOID(may_be_done(run));
  if (task.kind == agent_heartbeat.name) {
    BUREAU_TRY(const auto payload, record_from_json<HeartbeatPayload>(task.payload));
    return beat(run, payload);
  }
  if (task.kind == system_metrics.name) return measure(run);
  if (task.kind == task_processor.name) return process(run);
  BUREAU_TRY(const auto payload, record_from_json<CleanupPayload>(task.payload));
  return clean(run, payload);
}

Result<Json> HousekeepingAgent::beat(Run& run, const HeartbeatPayload& payload) {
  BUREAU_TRY(const auto activities, detail::look_at_agents(access_.database(), run.task().tenant));
  BUREAU_TRY(const auto noted, complete_as_system(run, [&](Unit& unit) {
               return detail::note_activities(unit, activities,
                                              std::chrono::minutes(payload.gap_minutes));
             }));
  return record_to_json(noted);
}

MachineUse HousekeepingAgent::use_since_last() {
  if (!options_.machine) return {};
  std::lock_guard lock(mutex_);
  const Monotonic now = access_.database().clock().monotonic();
  if (use_at_ && now - *use_at_ < one_look) return use_;
  const MachineReading reading = options_.machine->read();
  use_ = use_between(last_, reading, last_at_ ? now - *last_at_ : Duration(0));
  last_ = reading;
  last_at_ = use_at_ = now;
  return use_;
}

Result<Json> HousekeepingAgent::measure(Run& run) {
  const MachineUse use = use_since_last();
  const MetricsResult measured{use.cpu,           use.memory,    use.disk,
                               use.received_rate, use.sent_rate, health_score(use)};
  BUREAU_TRY_VOID(complete_as_system(run, [&](Unit& unit) -> Result<MetricsResult> {
    BUREAU_TRY_VOID(note_metrics(unit, measured));
    return measured;
  }));
  return record_to_json(measured);
}

Result<Json> HousekeepingAgent::process(Run& run) {
  BUREAU_TRY(const auto backlog, detail::look_at_backlog(access_.database(), run.task().tenant));
  for (const auto& kind : backlog.unattended) {
    log(access_.database().log(), LogLevel::warning, "housekeeping",
        "tasks of a kind that no live process does",
        {{"kind", std::string_view(kind.kind)}, {"waits_ms", kind.waits.count() / 1000}});
  }
  return record_to_json(backlog.result);
}

Result<Json> HousekeepingAgent::clean(Run& run, const CleanupPayload& payload) {
  Database& database = access_.database();
  const Task& task = run.task();
  const Timestamp now = database.clock().now();
  const Timestamp before = now - std::chrono::hours(24 * payload.days);
  const Attribution attribution{task.tenant.value, 0, task.id.value};
  const auto goes_on = [&] { return !run.stop_requested(); };
  CleanupResult result;
  const Timestamp made_before = now - std::chrono::hours(24 * detail::fewest_days(payload));
  BUREAU_TRY(result.tasks, detail::remove_old(database, attribution,
                                              {table_of<Task>(),
                                               detail::finished_before(payload, task.tenant, now),
                                               made_before, options_.batch},
                                              goes_on));
  std::vector<History> histories = detail::own_histories();
  histories.insert(histories.end(), options_.histories.begin(), options_.histories.end());
  result.rows = Json::object();
  for (const History& history : histories) {
    const TableInfo& table = *history.table;
    const auto is = [&](const ColumnInfo& column, Predicate::Op op, std::int64_t value) {
      std::vector<OwnedValue> operand;
      operand.emplace_back(Value::integer(value));
      return detail::compare_column(column, op, std::move(operand));
    };
    const Predicate old = is(table.columns[static_cast<std::size_t>(table.tenant)],
                             Predicate::Op::equal, task.tenant.value) &&
                          is(*table.find(history.moment), Predicate::Op::less, before.micros());
    BUREAU_TRY(
        const auto removed,
        detail::remove_old(database, attribution, {table, old, before, options_.batch}, goes_on));
    result.rows.set(table.name, removed);
  }
  return record_to_json(result);
}

// Switching on and off -------------------------------------------------------------------------

namespace {

constexpr const char* heartbeat_name = "agent-heartbeat";
constexpr const char* metrics_name = "system-metrics";
constexpr const char* processor_name = "task-processor";
constexpr const char* cleanup_name = "cleanup-logs";

template <const auto& kind, class Payload>
Result<void> recur(Unit& unit, const NewSchedule& schedule, const Payload& payload,
                   std::vector<Schedule>& made) {
  if (schedule.expression.empty()) return {};
  BUREAU_TRY(made.emplace_back(), Schedules{Scope(unit)}.save(schedule, kind, payload));
  return {};
}

}  // namespace

Result<std::vector<Schedule>> switch_on_housekeeping(const Scope& scope,
                                                     const HousekeepingPlan& plan) {
  BUREAU_TRY_VOID(check_looks(plan.looks));
  BUREAU_TRY_VOID(detail::check_cleanup(plan.keep));
  return scope.write([&](Unit& unit) -> Result<std::vector<Schedule>> {
    const auto now_or_never = [](const char* name, const std::string& expression) {
      return NewSchedule{.name = name, .expression = expression, .catch_up = CatchUp::none};
    };
    std::vector<Schedule> made;
    BUREAU_TRY_VOID(recur<agent_heartbeat>(unit, now_or_never(heartbeat_name, plan.heartbeat),
                                           plan.looks, made));
    BUREAU_TRY_VOID(
        recur<system_metrics>(unit, now_or_never(metrics_name, plan.metrics), Nothing{}, made));
    BUREAU_TRY_VOID(
        recur<task_processor>(unit, now_or_never(processor_name, plan.processor), Nothing{}, made));
    const NewSchedule nightly{.name = cleanup_name, .expression = plan.cleanup};
    BUREAU_TRY_VOID(recur<cleanup_logs>(unit, nightly, plan.keep, made));
    return made;
  });
}

Result<std::uint64_t> switch_off_housekeeping(const Scope& scope) {
  return scope.write([&](Unit& unit) -> Result<std::uint64_t> {
    const Repository<Schedule> schedules{Scope(unit)};
    BUREAU_TRY(const auto found,
               schedules.list({.where = col(&Schedule::name)
                                            .in({heartbeat_name, metrics_name, processor_name,
                                                 cleanup_name})}));
    for (const Schedule& schedule : found) BUREAU_TRY_VOID(schedules.remove(schedule.id));
    return static_cast<std::uint64_t>(found.size());
  });
}

// Tables and policies --------------------------------------------------------------------------

Result<void> add_housekeeping_tables(Catalog& catalog) {
  BUREAU_TRY_VOID(catalog.add(table_of<SystemMetric>()));
  return catalog.add(table_of<AgentHeartbeat>());
}

Result<void> add_housekeeping_policies(Policies& policies) {
  BUREAU_TRY_VOID(detail::managers_see(policies, "system_metrics"));
  return detail::managers_see(policies, "agent_heartbeats");
}

BUREAU_END_NAMESPACE
