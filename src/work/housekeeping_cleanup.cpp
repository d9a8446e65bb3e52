// What is over for long enough goes, a few rows a write.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bureau/work/approval.hpp"
#include "bureau/work/budget.hpp"
#include "bureau/work/run_step.hpp"
#include "bureau/work/task.hpp"
#include "work/housekeeping_jobs.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

constexpr std::int64_t most_days = 36'500;
constexpr std::size_t kinds_max = 100;
constexpr std::array ended{TaskStatus::completed, TaskStatus::cancelled, TaskStatus::dead};

std::string_view name_of(TaskStatus status) {
  return names<TaskStatus>[static_cast<std::size_t>(status)];
}

/// `place`: where in the field they are.
Result<void> check_days(const char* field, const std::string& place, std::int64_t days) {
  if (days >= 1 && days <= most_days) return {};
  return fail(Code::invalid,
              fmt::format("{}{}: {} is not from 1 to {}", field, place, days, most_days), field);
}

Result<void> check_kind_days(const std::string& kind, const Json& states) {
  const std::string field = fmt::format("kinds.{}", kind);
  const Json::Object* members = states.as_object();
  if (members == nullptr) {
    return fail(Code::invalid, field + ": must be an object of states and days", "kinds");
  }
  for (const auto& [state, days] : *members) {
    if (std::none_of(ended.begin(), ended.end(),
                     [&, &name = state](TaskStatus s) { return name_of(s) == name; })) {
      return fail(Code::invalid,
                  fmt::format("{}: \"{}\" is not completed, cancelled or dead", field, state),
                  "kinds");
    }
    if (days.is_null()) continue;
    if (days.as_int() == nullptr) {
      return fail(Code::invalid,
                  fmt::format("{}.{}: must be a whole number of days, or null", field, state),
                  "kinds");
    }
    BUREAU_TRY_VOID(check_days("kinds", fmt::format(".{}.{}", kind, state), *days.as_int()));
  }
  return {};
}

Timestamp days_before(Timestamp now, std::int64_t days) {
  return now - std::chrono::hours(24 * days);
}

/// The tasks of one state that are to go: by the kinds that have days of their own, and by `days`
/// for all others; none: they stay.
Predicate finished(TaskStatus status, std::optional<std::int64_t> days, const Json& kinds,
                   Timestamp now) {
  Predicate which = Predicate::never();
  std::vector<std::string> apart;
  if (const Json::Object* members = kinds.as_object()) {
    for (const auto& [kind, states] : *members) {
      const Json* own = states.find(name_of(status));
      if (own == nullptr) continue;
      apart.push_back(kind);
      if (const std::int64_t* own_days = own->as_int()) {
        which = which ||
                (col(&Task::kind) == kind && col(&Task::finished_at) < days_before(now, *own_days));
      }
    }
  }
  if (days) {
    Predicate others = col(&Task::finished_at) < days_before(now, *days);
    if (!apart.empty()) others = others && col(&Task::kind).not_in(apart);
    which = which || others;
  }
  return col(&Task::status) == status && which;
}

Predicate id_is_below(const TableInfo& table, Timestamp moment) {
  std::vector<OwnedValue> operand;
  operand.emplace_back(Value::integer(id::first_at(moment)));
  return compare_column(table.columns[0], Predicate::Op::less, std::move(operand));
}

Predicate id_is_one_of(const TableInfo& table, const std::vector<std::int64_t>& ids) {
  std::vector<OwnedValue> operands;
  operands.reserve(ids.size());
  for (const std::int64_t value : ids) operands.emplace_back(Value::integer(value));
  return compare_column(table.columns[0], Predicate::Op::in, std::move(operands));
}

}  // namespace

Result<void> check_cleanup(const CleanupPayload& payload) {
  BUREAU_TRY_VOID(check_days("days", "", payload.days));
  if (payload.dead_days) BUREAU_TRY_VOID(check_days("dead_days", "", *payload.dead_days));
  if (payload.kinds.is_null()) return {};
  const Json::Object* kinds = payload.kinds.as_object();
  if (kinds == nullptr) {
    return fail(Code::invalid, "kinds: must be an object of kinds", "kinds");
  }
  if (kinds->size() > kinds_max) {
    return fail(Code::invalid,
                fmt::format("kinds: {} of them, the limit is {}", kinds->size(), kinds_max),
                "kinds");
  }
  for (const auto& [kind, states] : *kinds) BUREAU_TRY_VOID(check_kind_days(kind, states));
  return {};
}

Result<void> check_history(const History& history) {
  if (history.table == nullptr) return fail(Code::invalid, "histories: a table is null", "table");
  const ColumnInfo* moment = history.table->find(history.moment);
  if (history.table->tenant == TableInfo::absent) {
    return fail(Code::invalid,
                fmt::format("histories: {} has no column \"tenant\"; a tenant's job cleans its "
                            "tenant's rows",
                            history.table->name),
                "table");
  }
  if (moment != nullptr && moment->type == Type::timestamp) return {};
  return fail(
      Code::invalid,
      fmt::format("histories: {} has no timestamp \"{}\"", history.table->name, history.moment),
      "moment");
}

std::vector<History> own_histories() {
  return {{&table_of<ScheduleOccurrence>(), "created_at"},
          {&table_of<AgentHeartbeat>(), "seen_until"},
          {&table_of<SystemMetric>(), "at"},
          {&table_of<Spending>(), "settled_at"}};
}

Predicate finished_before(const CleanupPayload& payload, Id<Tenant> tenant, Timestamp now) {
  return col(&Task::tenant) == tenant &&
         (finished(TaskStatus::completed, payload.days, payload.kinds, now) ||
          finished(TaskStatus::cancelled, payload.days, payload.kinds, now) ||
          finished(TaskStatus::dead, payload.dead_days, payload.kinds, now));
}

namespace {

/// Of the rows with these ids, those that are to go: what a run in flight may still ask for, a
/// child's end, stays as long as it.
Result<std::vector<std::int64_t>> going(Reader& reader, const Removal& removal,
                                        const std::vector<std::int64_t>& ids) {
  std::vector<std::int64_t> out;
  std::vector<std::pair<std::int64_t, Id<Task>>> children;
  const bool tasks = &removal.table == &table_of<Task>();
  BUREAU_TRY_VOID(reader.scan(
      {&removal.table, removal.where && id_is_one_of(removal.table, ids)},
      [&](std::span<const Value> row) -> Result<bool> {
        static const std::size_t parent = table_of<Task>().find("parent")->index;
        if (tasks && !row[parent].is_null()) {
          children.emplace_back(row[0].as_integer(), Id<Task>(row[parent].as_integer()));
        } else {
          out.push_back(row[0].as_integer());
        }
        return true;
      }));
  for (const auto& child : children) {
    bool in_flight = false;
    BUREAU_TRY_VOID(reader.find(
        table_of<Task>(), child.second.value, [&](std::span<const Value> row) -> Result<bool> {
          static const std::size_t status = table_of<Task>().find("status")->index;
          in_flight = !has_ended(static_cast<TaskStatus>(row[status].as_integer()));
          return true;
        }));
    if (!in_flight) out.push_back(child.first);
  }
  return out;
}

}  // namespace

std::int64_t fewest_days(const CleanupPayload& payload) {
  std::int64_t fewest = std::min(payload.days, payload.dead_days.value_or(payload.days));
  const Json::Object* kinds = payload.kinds.as_object();
  if (kinds == nullptr) return fewest;
  for (const auto& [kind, states] : *kinds) {
    for (const auto& [state, days] : *states.as_object()) {
      if (const std::int64_t* own = days.as_int()) fewest = std::min(fewest, *own);
    }
  }
  return fewest;
}

/// In the order of ids, which is that of their making: what is old enough to go lies at the front,
/// and no index of its own is kept for it, which every task would pay for. What is read is read
/// beside all writers; a write names its rows, and asks again whether they are to go, because a
/// dead task may have been driven again meanwhile.
Result<std::int64_t> remove_old(Database& database, const Attribution& attribution,
                                const Removal& removal, FunctionRef<bool()> goes_on) {
  Select next{&removal.table, removal.where && id_is_below(removal.table, removal.before)};
  next.limit = removal.batch;
  WriteOptions options;
  options.portable = true;
  std::int64_t removed = 0;
  if (removal.table.by_month) {
    BUREAU_TRY(
        const std::uint64_t dropped,
        database.storage().drop_months(removal.table, id::first_at(removal.before), removal.where));
    removed = static_cast<std::int64_t>(dropped);
  }
  while (goes_on()) {
    std::vector<std::int64_t> ids;
    BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      ids.clear();
      return reader.scan(next, [&](std::span<const Value> row) -> Result<bool> {
        ids.push_back(row[0].as_integer());
        return true;
      });
    }));
    if (ids.empty()) return removed;
    std::uint64_t went = 0;
    BUREAU_TRY_VOID(database.write(options, attribution, [&](Transaction& tx) -> Result<void> {
      BUREAU_TRY(const auto gone, going(tx.reader(), removal, ids));
      went = 0;
      if (gone.empty()) return {};
      if (&removal.table == &table_of<Task>()) {
        BUREAU_TRY_VOID(remove_parts(tx, std::vector<Id<Task>>(gone.begin(), gone.end())));
      }
      BUREAU_TRY(went, tx.remove({&removal.table, id_is_one_of(removal.table, gone)}));
      return {};
    }));
    removed += static_cast<std::int64_t>(went);
    if (ids.size() < removal.batch) return removed;
    next.after.assign(1, OwnedValue(Value::integer(ids.back())));
  }
  return fail(Code::cancelled, fmt::format("clean-up: it was to stop after {} rows", removed));
}

}  // namespace detail
BUREAU_END_NAMESPACE
