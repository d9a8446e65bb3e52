// Firing schedules: what the orchestrator's duties call.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "bureau/access/access.hpp"
#include "bureau/core/log.hpp"
#include "store/row_values.hpp"
#include "work/new_task.hpp"
#include "work/schedule_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

using std::chrono::hours;
using std::chrono::minutes;

/// How late an occurrence may be with CatchUp::none.
constexpr Duration grace = minutes(1);
/// How long what became of occurrences is kept.
constexpr Duration kept = hours(24 * 30);
/// When a schedule that cannot fire now (a suspended tenant, a zone that this machine does not
/// have) is looked at again.
constexpr Duration later = minutes(1);

/// The last occurrence from `first`, which is one, to `now`. Looks at a minute before now, then at
/// an hour, a day, a month: after two weeks without a process a schedule of every second has a
/// million of them.
Timestamp last_until(const ScheduleRule& rule, Timestamp first, Timestamp now) {
  Timestamp last = first;
  for (const Duration span : std::array<Duration, 4>{minutes(1), hours(1), hours(24), kept}) {
    if (now - span <= first) break;
    const Timestamp at = rule.next(now - span);
    if (at > now) continue;
    last = at;
    break;
  }
  for (Timestamp at = rule.next(last); at <= now; at = rule.next(at)) last = at;
  return last;
}

std::string key_of(const Schedule& schedule) {
  return id::to_text(bureau::schema<Schedule>.prefix, schedule.id.value);
}

Result<void> note(Unit& unit, ScheduleOccurrence occurrence) {
  constexpr std::uint64_t at_once = 100;
  BUREAU_TRY_VOID(unit.transaction().remove(
      select<ScheduleOccurrence>()
          .where(col(&ScheduleOccurrence::schedule) == occurrence.schedule &&
                 col(&ScheduleOccurrence::due_at) < unit.now() - kept)
          .limit(at_once)));
  const Repository<ScheduleOccurrence> occurrences{Scope(unit)};
  BUREAU_TRY_VOID(occurrences.insert(std::move(occurrence)));
  return {};
}

/// What becomes of the occurrence that is due, and which one that is.
Result<ScheduleOccurrence> decide(Unit& unit, const Schedule& schedule, const ScheduleRule& rule) {
  ScheduleOccurrence occurrence;
  occurrence.schedule = schedule.id;
  occurrence.due_at = schedule.next_at;
  if (schedule.catch_up != CatchUp::all) {
    occurrence.due_at = last_until(rule, schedule.next_at, unit.now());
    if (occurrence.due_at != schedule.next_at) occurrence.missed_since = schedule.next_at;
  }
  if (schedule.catch_up == CatchUp::none && unit.now() - occurrence.due_at > grace) {
    occurrence.outcome = OccurrenceOutcome::missed;
    occurrence.missed_since = schedule.next_at;
    return occurrence;
  }
  BUREAU_TRY(const Enqueued enqueued, enqueue_occurrence(unit, schedule));
  if (enqueued.is_new) {
    occurrence.task = enqueued.task;
  } else {
    occurrence.outcome = OccurrenceOutcome::skipped;
  }
  return occurrence;
}

using Outcome = std::optional<OccurrenceOutcome>;

/// Fires the schedule in the system's unit, if it is due there. None: it was not.
Result<Outcome> fire(Unit& unit, Id<Schedule> id) {
  Outcome outcome;
  const Repository<Schedule> schedules{Scope(unit)};
  BUREAU_TRY(auto found, schedules.first(col(&Schedule::id) == id));
  if (!found || found->status != ScheduleStatus::active || found->next_at > unit.now()) {
    return outcome;
  }
  Schedule& schedule = *found;
  BUREAU_TRY(const Tenant tenant, tenant_of(unit.transaction().reader(), schedule.tenant));
  if (tenant.status != TenantStatus::active) return outcome;
  BUREAU_TRY(const ScheduleRule rule, rule_of(schedule, tenant.zone));
  if (schedule.next_for !=
      rule.text) {  // its rule has changed since: nothing of the old one is due
    schedule.next_for = rule.text;
    schedule.next_at = rule.next(unit.now());
  } else {
    BUREAU_TRY(ScheduleOccurrence occurrence, decide(unit, schedule, rule));
    if (occurrence.outcome == OccurrenceOutcome::fired) schedule.last_at = occurrence.due_at;
    schedule.next_at = rule.next(occurrence.due_at);
    outcome = occurrence.outcome;
    BUREAU_TRY_VOID(note(unit, std::move(occurrence)));
  }
  BUREAU_TRY_VOID(schedules.update(std::move(schedule)));
  return outcome;
}

/// The schedules that are due, the earliest first, and when to look again for the others.
struct Due {
  std::vector<std::pair<Id<Tenant>, Id<Schedule>>> schedules;
  Timestamp next = Timestamp::never();
};

/// Those of suspended tenants wait, and hold up nobody.
class Look {
 public:
  Look(Reader& reader, Timestamp now, std::size_t limit, Due& due)
      : reader_(reader), now_(now), limit_(limit), due_(due) {}

  Result<bool> operator()(std::span<const Value> row) {
    Schedule schedule;
    from_values(row, schedule);
    if (schedule.next_at > now_ || due_.schedules.size() == limit_) {
      due_.next = std::min(due_.next, std::max(now_, schedule.next_at));
      return false;
    }
    auto [known, is_new] = works_.try_emplace(schedule.tenant, false);
    if (is_new) {
      BUREAU_TRY(const Tenant tenant, tenant_of(reader_, schedule.tenant));
      known->second = tenant.status == TenantStatus::active;
    }
    if (known->second) {
      due_.schedules.emplace_back(schedule.tenant, schedule.id);
    } else {
      due_.next = std::min(due_.next, now_ + later);
    }
    return true;
  }

 private:
  Reader& reader_;
  Timestamp now_;
  std::size_t limit_;
  Due& due_;
  std::map<Id<Tenant>, bool> works_;
};

Result<Due> look(Database& database, std::size_t limit) {
  Due due;
  const Timestamp now = database.clock().now();
  const Select active = select<Schedule>()
                            .where(col(&Schedule::status) == ScheduleStatus::active)
                            .order_by(col(&Schedule::next_at));
  BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    due = {};
    Look look(reader, now, limit, due);
    return reader.scan(active, look);
  }));
  return due;
}

}  // namespace

Result<Tenant> tenant_of(Reader& reader, Id<Tenant> id) {
  BUREAU_TRY(auto tenant, find_row(reader, id));
  return std::move(tenant).value_or(Tenant());
}

Result<Enqueued> enqueue_occurrence(Unit& unit, const Schedule& schedule) {
  EnqueueOptions options;
  options.priority = schedule.priority;
  const Repository<Task> tasks{Scope(unit)};
  if (schedule.overlap == Overlap::skip) {
    options.unique_key = key_of(schedule);
    BUREAU_TRY(const auto before, tasks.first(holds_key(schedule.kind, *options.unique_key)));
    if (before) return Enqueued{before->id, false};
  }
  BUREAU_TRY(const Task task, tasks.insert(new_task(kind_of(schedule), schedule.payload, options,
                                                    unit.now(), schedule.owner)));
  return Enqueued{task.id};
}

Result<Timestamp> fire_schedules(Access& access, std::size_t limit, WorkMetrics& metrics) {
  Database& database = access.database();
  BUREAU_TRY(Due due, look(database, limit));
  for (const auto& entry : due.schedules) {
    const Id<Schedule> id = entry.second;
    const auto fired =
        access.system(entry.first).write([id](Unit& unit) { return fire(unit, id); });
    if (fired) {
      if (*fired) metrics.occurrences[static_cast<std::size_t>(**fired)].add();
      due.next = std::min(due.next, database.clock().now());  // when it is next, the next look says
      continue;
    }
    metrics.schedule_failures.add();
    log(database.log(), LogLevel::error, "schedules", "a schedule could not be fired",
        {{"schedule", id.value}, {"error", std::string_view(fired.error().message)}});
    due.next = std::min(due.next, database.clock().now() + later);
  }
  return due.next;
}

}  // namespace detail
BUREAU_END_NAMESPACE
