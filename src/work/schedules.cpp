#include <fmt/format.h>

#include "access/library_rows.hpp"
#include "access/rights.hpp"
#include "bureau/work/schedule.hpp"
#include "work/new_task.hpp"
#include "work/schedule_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

Timestamp ScheduleRule::next(Timestamp after) const {
  return expression.next(after, zone).value_or(Timestamp::never());
}

Result<ScheduleRule> rule_of(const Schedule& schedule, std::string_view tenant_zone) {
  BUREAU_TRY(auto expression, CronExpression::parse(schedule.expression, schedule.days));
  const std::string_view name = schedule.zone ? std::string_view(*schedule.zone) : tenant_zone;
  auto zone = Zone::find(name);
  if (!zone) return fail(Code::invalid, "zone: " + zone.error().message, "zone");
  std::string text =
      fmt::format("{} {} {}", expression.to_string(),
                  names<CronExpression::Days>[static_cast<std::size_t>(schedule.days)], name);
  return ScheduleRule{std::move(expression), *zone, std::move(text)};
}

KindInfo kind_of(const Schedule& schedule) {
  KindInfo kind;
  kind.name = schedule.kind;
  kind.effect = schedule.effect;
  kind.retry.max_attempts = static_cast<int>(schedule.max_attempts);
  kind.queue = schedule.queue;
  kind.time_limit = schedule.time_limit;
  kind.run_as = schedule.run_as;
  return kind;
}

namespace {

Result<void> check_schedule(const Schedule& schedule) {
  if (schedule.name.empty()) return fail(Code::invalid, "name: must not be empty", "name");
  auto rule = rule_of(schedule, "UTC");
  if (!rule) {
    Error error = std::move(rule).error();
    if (error.field == "zone") return fail(std::move(error));
    return fail(Code::invalid, "expression: " + error.message, "expression");
  }
  if (schedule.catch_up == CatchUp::all && schedule.overlap != Overlap::queue) {
    return fail(
        Code::invalid,
        "catch_up: all goes with overlap queue; with skip most of them would be passed over",
        "catch_up");
  }
  if (schedule.max_attempts < 1 || schedule.max_attempts > 1'000'000) {
    return fail(Code::invalid,
                fmt::format("max_attempts: {} is not from 1 to 1000000", schedule.max_attempts),
                "max_attempts");
  }
  if (const auto wrong = check_kind(kind_of(schedule)); !wrong.empty()) {
    return fail(Code::invalid, fmt::format("kind \"{}\": {}", schedule.kind, wrong), "kind");
  }
  return check_payload(schedule.payload);
}

}  // namespace

Result<void> check_schedule_row(std::span<const Value>, std::span<const Value> after) {
  Schedule schedule;
  from_values(after, schedule);
  return check_schedule(schedule);
}

}  // namespace detail

namespace {

/// Has it fire next after now, by what it says.
Result<void> begin_anew(Unit& unit, Schedule& schedule) {
  BUREAU_TRY(const Tenant tenant,
             detail::tenant_of(unit.transaction().reader(), unit.session().principal().tenant));
  BUREAU_TRY(const auto rule, detail::rule_of(schedule, tenant.zone));
  schedule.next_at = rule.next(unit.now());
  schedule.next_for = rule.text;
  return {};
}

Schedule described(const NewSchedule& given, const KindInfo& kind, Json payload) {
  Schedule row;
  row.name = given.name;
  row.expression = given.expression;
  row.days = given.days;
  row.zone = given.zone;
  row.catch_up = given.catch_up;
  row.overlap = given.overlap;
  row.priority = given.priority;
  row.kind = kind.name;
  row.queue = kind.queue;
  row.effect = kind.effect;
  row.run_as = kind.run_as;
  row.max_attempts = kind.retry.max_attempts;
  row.time_limit = kind.time_limit;
  row.payload = std::move(payload);
  return row;
}

void own(const Unit& unit, Schedule& schedule) {
  schedule.owner.reset();
  if (const Id<User> user = unit.session().principal().user) schedule.owner = user;
}

Result<Schedule> set_status(const Repository<Schedule>& rows, Id<Schedule> id,
                            ScheduleStatus status) {
  return rows.rows().scope().write([&](Unit& unit) -> Result<Schedule> {
    const Repository<Schedule> inside{Scope(unit)};
    BUREAU_TRY(Schedule schedule, inside.find(id));
    if (schedule.status == status) return schedule;
    schedule.status = status;
    own(unit, schedule);
    if (status == ScheduleStatus::active) BUREAU_TRY_VOID(begin_anew(unit, schedule));
    return inside.update(std::move(schedule));
  });
}

}  // namespace

Result<Schedule> Schedules::save_json(const NewSchedule& given, const KindInfo& kind,
                                      Json payload) const {
  if (kind.is_encrypted) {
    return fail(Code::invalid,
                fmt::format("kind \"{}\": its payloads are encrypted, and a schedule shows what it "
                            "enqueues; schedule a kind whose handler enqueues it",
                            kind.name),
                "kind");
  }
  const Schedule wanted = described(given, kind, std::move(payload));
  BUREAU_TRY_VOID(detail::check_schedule(wanted));
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Schedule> {
    const Repository<Schedule> rows{Scope(unit)};
    BUREAU_TRY(const auto present, rows.first(col(&Schedule::name) == given.name));
    Schedule row = wanted;
    own(unit, row);
    BUREAU_TRY_VOID(begin_anew(unit, row));
    if (!present) return rows.insert(std::move(row));
    detail::succeed(*present, row);
    row.status = present->status;
    row.last_at = present->last_at;
    return rows.update(std::move(row));
  });
}

Result<Schedule> Schedules::named(std::string_view name) const {
  BUREAU_TRY(auto found, rows_.first(col(&Schedule::name) == std::string(name)));
  if (found) return std::move(*found);
  return fail(Code::not_found, fmt::format("name: there is no schedule \"{}\"", name), "name");
}

Result<std::vector<Schedule>> Schedules::list(const Query& query) const {
  return rows_.list(query);
}

Result<std::vector<ScheduleOccurrence>> Schedules::history(Id<Schedule> id,
                                                           std::uint64_t limit) const {
  Query query;
  query.where = col(&ScheduleOccurrence::schedule) == id;
  query.order = {{&col(&ScheduleOccurrence::due_at).info(), true}};
  query.limit = limit;
  return Repository<ScheduleOccurrence>(rows_.rows().scope()).list(query);
}

Result<std::vector<Timestamp>> Schedules::upcoming(Id<Schedule> id, std::size_t count) const {
  const Scope& scope = rows_.rows().scope();
  BUREAU_TRY(const Schedule schedule, rows_.find(id));
  Tenant tenant;
  BUREAU_TRY_VOID(scope.read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(tenant, detail::tenant_of(reader, schedule.tenant));
    return {};
  }));
  BUREAU_TRY(const auto rule, detail::rule_of(schedule, tenant.zone));
  std::vector<Timestamp> out;
  Timestamp at = scope.session().database().clock().now();
  while (out.size() < count && (at = rule.next(at)) != Timestamp::never()) out.push_back(at);
  return out;
}

Result<Schedule> Schedules::pause(Id<Schedule> id) const {
  return set_status(rows_, id, ScheduleStatus::paused);
}

Result<Schedule> Schedules::resume(Id<Schedule> id) const {
  return set_status(rows_, id, ScheduleStatus::active);
}

Result<Id<Task>> Schedules::run_now(Id<Schedule> id) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Id<Task>> {
    BUREAU_TRY(Schedule schedule, Repository<Schedule>{Scope(unit)}.find(id));
    own(unit, schedule);
    BUREAU_TRY(const auto enqueued, detail::enqueue_occurrence(unit, schedule));
    if (!enqueued.is_new) return enqueued.task;
    ScheduleOccurrence occurrence;
    occurrence.task = enqueued.task;
    occurrence.schedule = id;
    occurrence.due_at = unit.now();
    occurrence.by_hand = true;
    const Session system = detail::system_beside(unit.session());
    Unit of_system(system, unit.transaction());
    BUREAU_TRY_VOID(Repository<ScheduleOccurrence>{Scope(of_system)}.insert(occurrence));
    return enqueued.task;
  });
}

Result<void> Schedules::remove(Id<Schedule> id) const { return rows_.remove(id); }

BUREAU_END_NAMESPACE
