#include <algorithm>

#include "work/flow.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

/// How many of a group one look lets through.
constexpr std::int64_t admitted_at_once = 100;

Predicate is_held() {
  return col(&Task::status) == TaskStatus::ready && col(&Task::gate) == Gate::closed;
}

Predicate is_held_in(const HeldGroup& group) {
  return is_held() && col(&Task::tenant) == Id<Tenant>(group.tenant) &&
         col(&Task::flow_key) == group.key && col(&Task::queue) == group.queue &&
         col(&Task::kind) == group.kind;
}

HeldGroup group_of(const Task& task) {
  return {task.tenant.value, task.flow_key.value_or(""), task.queue, task.kind};
}

Result<std::optional<Task>> first_of(Reader& reader, const Predicate& where,
                                     std::vector<Order> order) {
  Select first{&table_of<Task>(), is_held() && where, std::move(order), 1};
  std::optional<Task> task;
  BUREAU_TRY_VOID(reader.scan(first, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, task.emplace());
    return false;
  }));
  return task;
}

Result<std::uint64_t> open(Writer& writer, const HeldGroup& group, std::int64_t room) {
  const ColumnInfo* gate = &col(&Task::gate).info();
  Update through{select<Task>()
                     .where(is_held_in(group))
                     .order_by(col(&Task::rank))
                     .limit(static_cast<std::uint64_t>(std::min(room, admitted_at_once))),
                 {{gate, Value::integer(static_cast<std::int64_t>(Gate::admitted)), false}}};
  return writer.update(through);
}

}  // namespace

Result<std::optional<Task>> next_held(Reader& reader, const HeldGroup& after, bool same_key) {
  const auto ascending = [](const auto&... column) {
    return std::vector<Order>{{&column.info(), false}...};
  };
  const auto rank = col(&Task::rank);
  const auto by_kind = col(&Task::kind);
  const auto by_queue = col(&Task::queue);
  const auto by_key = col(&Task::flow_key);
  const auto by_tenant = col(&Task::tenant);
  if (after.tenant > 0) {
    // From the inside out, each a step in the index whatever lies between.
    const Predicate tenant = by_tenant == Id<Tenant>(after.tenant);
    const Predicate key = tenant && by_key == after.key;
    const Predicate queue = key && by_queue == after.queue;
    BUREAU_TRY(auto found,
               first_of(reader, queue && by_kind > after.kind, ascending(by_kind, rank)));
    if (found) return found;
    BUREAU_TRY(found,
               first_of(reader, key && by_queue > after.queue, ascending(by_queue, by_kind, rank)));
    if (found || same_key) return found;
    BUREAU_TRY(found, first_of(reader, tenant && by_key > after.key,
                               ascending(by_key, by_queue, by_kind, rank)));
    if (found) return found;
  }
  return first_of(reader, by_tenant >= Id<Tenant>(after.tenant + 1),
                  ascending(by_tenant, by_key, by_queue, by_kind, rank));
}

Select any_held() {
  // The order of the index of held tasks: without it a storage may look through all tasks.
  return select<Task>()
      .where(is_held() && col(&Task::tenant) >= Id<Tenant>(1))
      .order_by(col(&Task::tenant))
      .order_by(col(&Task::flow_key))
      .limit(1);
}

Result<void> admit_next(Writer& writer, Id<Tenant> tenant, const std::string& key) {
  HeldGroup at{tenant.value, key, {}, {}};
  for (;;) {
    BUREAU_TRY(const auto task, next_held(writer, at, true));
    if (!task) return {};
    at = group_of(*task);
    BUREAU_TRY_VOID(open(writer, at, 1));
  }
}

Select tokens_come(Timestamp now, std::uint64_t limit) {
  return select<FlowBucket>()
      .where(col(&FlowBucket::awaited) == true && col(&FlowBucket::next_at) <= now)
      .order_by(col(&FlowBucket::next_at))
      .limit(limit);
}

Result<void> admit_by_rates(Writer& writer, Timestamp now) {
  const Update come{tokens_come(now, 1000),
                    {{&col(&FlowBucket::awaited).info(), Value::integer(0), false}}};
  std::vector<FlowBucket> buckets;
  BUREAU_TRY_VOID(writer.update(come, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, buckets.emplace_back());
    return true;
  }));
  for (const FlowBucket& bucket : buckets) {
    if (!bucket.flow_key.empty()) {
      BUREAU_TRY_VOID(admit_next(writer, bucket.tenant, bucket.flow_key));
    }
  }
  return {};
}

Result<std::uint64_t> admit(Writer& writer, HeldGroup& at, std::size_t groups, Timestamp now) {
  SharedFlow shared(writer);
  std::optional<TenantFlow> flow;
  std::int64_t tenant = 0;
  std::uint64_t admitted = 0;
  for (std::size_t seen = 0; seen < groups; ++seen) {
    BUREAU_TRY(const auto task, next_held(writer, at));
    at = task ? group_of(*task) : HeldGroup{};
    if (!task) break;
    if (seen == 0) BUREAU_TRY_VOID(shared.load());
    if (!flow || tenant != at.tenant) {
      tenant = at.tenant;
      flow.emplace(writer, shared, task->tenant, now);
      BUREAU_TRY_VOID(flow->load());
    }
    BUREAU_TRY_VOID(flow->load_keys({at.key}));
    const std::int64_t room = flow->key_room(at.queue, at.kind, at.key);
    if (room <= 0) continue;
    BUREAU_TRY(const std::uint64_t some, open(writer, at, room));
    admitted += some;
  }
  return admitted;
}

}  // namespace detail
BUREAU_END_NAMESPACE
