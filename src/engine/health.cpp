// Engine::health(): each component judged by what can be seen of it now.

#include <fmt/format.h>

#include <algorithm>

#include "bureau/engine.hpp"
#include "bureau/work/schedule.hpp"
#include "store/internal_tables.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

std::string time_text(Duration time) {
  const double seconds = static_cast<double>(time.count()) / 1e6;
  if (seconds < 120) return fmt::format("{:.3g} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

std::string bytes_text(std::int64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

/// The worse of the two that `value` has gone beyond.
template <class T>
HealthStatus beyond(T value, T degraded, T failed) {
  if (value > failed) return HealthStatus::failed;
  return value > degraded ? HealthStatus::degraded : HealthStatus::ok;
}

/// Writes this node's row as it is: the whole way to the disk, and nothing changes.
Result<void> write_nothing(Database& database, Monotonic deadline) {
  WriteOptions options;
  options.deadline = deadline;
  options.portable = true;
  const TableInfo& nodes = table_of<detail::NodeRow>();
  BUREAU_TRY(const auto node, database.node());
  return database.write(options, {}, [&](Transaction& tx) -> Result<void> {
    Update same{select<detail::NodeRow>().where(col(&detail::NodeRow::id) ==
                                                Id<detail::NodeRow>(node.number + 1)),
                {{nodes.find("beats"), Value::integer(0), true}}};
    BUREAU_TRY_VOID(tx.unjournalled().update(same));
    return {};
  });
}

HealthComponent judge_storage(Database& database, const Clock& clock, const HealthLimits& limits,
                              std::int64_t wal_bytes) {
  const Monotonic begun = clock.monotonic();
  const auto written = write_nothing(database, begun + limits.write_patience);
  const Duration took = clock.monotonic() - begun;
  if (!written) return {"storage", HealthStatus::failed, "a write: " + to_string(written.error())};
  const std::string text =
      fmt::format("a write took {}, log {}", time_text(took), bytes_text(wal_bytes));
  const bool bad = took > limits.slow_write || wal_bytes > limits.wal_bytes;
  return {"storage", bad ? HealthStatus::degraded : HealthStatus::ok, text};
}

HealthComponent judge_queues(const Snapshot& snapshot, const HealthLimits& limits) {
  const auto longest =
      std::max_element(snapshot.queues.begin(), snapshot.queues.end(),
                       [](const auto& a, const auto& b) { return a.waits < b.waits; });
  if (longest == snapshot.queues.end()) return {"queues", HealthStatus::ok, "nothing is ready"};
  return {"queues", beyond(longest->waits, limits.long_wait, limits.lost_wait),
          fmt::format("the first of {} ready in \"{}\" could have run for {}", longest->ready,
                      longest->queue, time_text(longest->waits))};
}

/// The active schedule that is due for longest, of a tenant that is active.
Result<std::optional<Schedule>> latest_schedule(Reader& reader, Timestamp now) {
  std::optional<Schedule> latest;
  std::vector<Schedule> due;
  const Select active =
      select<Schedule>()
          .where(col(&Schedule::status) == ScheduleStatus::active && col(&Schedule::next_at) <= now)
          .order_by(col(&Schedule::next_at))
          .limit(1000);
  BUREAU_TRY_VOID(reader.scan(active, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, due.emplace_back());
    return true;
  }));
  for (Schedule& schedule : due) {
    Tenant tenant;
    BUREAU_TRY_VOID(reader.find(table_of<Tenant>(), schedule.tenant.value,
                                [&](std::span<const Value> row) -> Result<bool> {
                                  from_values(row, tenant);
                                  return true;
                                }));
    if (tenant.status != TenantStatus::active) continue;
    latest = std::move(schedule);
    break;
  }
  return latest;
}

HealthComponent judge_schedules(const std::optional<Schedule>& latest, Timestamp now,
                                const HealthLimits& limits) {
  if (!latest) return {"schedules", HealthStatus::ok, "none is due"};
  const Duration late = now - latest->next_at;
  return {"schedules", late > limits.late_schedule ? HealthStatus::degraded : HealthStatus::ok,
          fmt::format("\"{}\" is due for {}", latest->name, time_text(late))};
}

Result<std::uint64_t> count_dead_since(Reader& reader, Timestamp since) {
  Aggregate dead;
  dead.table = &table_of<Task>();
  dead.where = col(&Task::status) == TaskStatus::dead && col(&Task::finished_at) > since;
  dead.measures = {{Aggregate::Function::count, nullptr}};
  std::uint64_t count = 0;
  BUREAU_TRY_VOID(reader.aggregate(dead, [&](std::span<const Value> row) -> Result<bool> {
    count = static_cast<std::uint64_t>(row[0].as_integer());
    return true;
  }));
  return count;
}

HealthComponent judge_dead(std::uint64_t recent, const Snapshot& snapshot,
                           const HealthLimits& limits) {
  std::uint64_t dead = 0, doubtful = 0;
  for (const DeadLetters& letters : snapshot.dead) {
    (letters.status == TaskStatus::dead ? dead : doubtful) += letters.count;
  }
  return {"dead_letters", recent > limits.dead_tasks ? HealthStatus::degraded : HealthStatus::ok,
          fmt::format("{} given up in the last {}, {} in all, {} in doubt", recent,
                      time_text(limits.dead_within), dead, doubtful)};
}

/// As the log does, it is told of a reader once it is beyond the patience that there is with it.
HealthComponent judge_journal(const JournalReach& reach, const JournalKeeping& keeping,
                              Timestamp now) {
  if (!reach.since) return {"journal", HealthStatus::ok, "it is empty"};
  std::string text =
      fmt::format("goes back {}, to change {}", time_text(now - *reach.since), reach.oldest);
  if (!reach.held_since) return {"journal", HealthStatus::ok, std::move(text)};
  const Duration beyond = now - *reach.held_since - keeping.keep;
  text += fmt::format("; kept {} beyond its time for \"{}\", which has read through {}",
                      time_text(beyond), reach.held_by, reach.read_through);
  return {"journal", beyond > keeping.patience ? HealthStatus::degraded : HealthStatus::ok,
          std::move(text)};
}

HealthComponent judge_scheduler(const std::vector<AgentState>& agents, Duration silence,
                                const std::vector<std::string>& stuck, const HealthLimits& limits) {
  if (silence > limits.silence) {
    return {"scheduler", HealthStatus::failed,
            fmt::format("nobody has polled the engine for {}", time_text(silence))};
  }
  const auto idle = std::count_if(agents.begin(), agents.end(),
                                  [](const AgentState& agent) { return !agent.operational; });
  if (!agents.empty() && static_cast<std::size_t>(idle) == agents.size()) {
    return {"scheduler", HealthStatus::failed, "no agent works"};
  }
  const std::string text =
      fmt::format("{} of {} agents work, {} handlers are stuck{}",
                  agents.size() - static_cast<std::size_t>(idle), agents.size(), stuck.size(),
                  stuck.empty() ? std::string() : ": " + stuck.front());
  return {"scheduler", idle > 0 || !stuck.empty() ? HealthStatus::degraded : HealthStatus::ok,
          text};
}

}  // namespace

Result<Health> Engine::health(const HealthLimits& limits) {
  Health health;
  health.at = options_.clock->now();
  const auto add = [&](HealthComponent component) {
    health.status = std::max(health.status, component.status);
    health.components.push_back(std::move(component));
  };
  auto seen = snapshot();
  if (!seen) {
    add({"storage", HealthStatus::failed, "a read: " + to_string(seen.error())});
    return health;
  }
  const Snapshot& snapshot = *seen;
  std::optional<Schedule> latest;
  std::uint64_t recent = 0;
  const Monotonic patience = options_.clock->monotonic() + limits.write_patience;
  const auto look = [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(latest, latest_schedule(reader, health.at));
    BUREAU_TRY(recent, count_dead_since(reader, health.at - limits.dead_within));
    return {};
  };
  const auto looked = database_->read(patience, look);
  const auto reach = journal_keeper_->reach(patience);
  if (!looked || !reach) {
    const Error& error = looked ? reach.error() : looked.error();
    add({"storage", HealthStatus::failed, "a read: " + to_string(error)});
    return health;
  }
  add(judge_storage(*database_, *options_.clock, limits, snapshot.storage.log_bytes));
  if (const auto free = options_.machine->read().disk_available_bytes) {
    add({"disk", beyond(-*free, -limits.little_space_bytes, -limits.no_space_bytes),
         bytes_text(*free) + " free"});
  }
  const Monotonic now = options_.clock->monotonic();
  if (started_) {
    const Duration silence(now.since_start.count() - last_poll_.load(std::memory_order_relaxed));
    add(judge_scheduler(agents(), silence, snapshot.stuck, limits));
    const auto heartbeat = orchestrator_->heartbeat_age();
    if (heartbeat && !orchestrator_->held().empty()) {
      add({"node", *heartbeat > limits.silence ? HealthStatus::failed : HealthStatus::ok,
           fmt::format("its last heartbeat is {} old", time_text(*heartbeat))});
    }
  }
  add(judge_queues(snapshot, limits));
  add(judge_schedules(latest, health.at, limits));
  add(judge_dead(recent, snapshot, limits));
  add(judge_journal(*reach, journal_keeper_->keeping(), health.at));
  if (snapshot.subscriptions > 0) {
    add({"feed", snapshot.feed_lag > limits.feed_lag ? HealthStatus::degraded : HealthStatus::ok,
         fmt::format("the slowest of {} subscriptions is {} changes behind", snapshot.subscriptions,
                     snapshot.feed_lag)});
  }
  return health;
}

BUREAU_END_NAMESPACE
