#include <algorithm>

#include "work/flow.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// Rules beyond these that name a key are looked up by the keys at hand.
constexpr std::uint64_t rules_at_once = 256;

bool is_lane_rule(const FlowRule& rule) { return rule.flow_key.empty() && !rule.each_key; }

bool covers(const FlowRule& rule, std::string_view queue, std::string_view kind,
            std::string_view key) {
  if (!rule.queue.empty() && rule.queue != queue) return false;
  if (!rule.kind.empty() && rule.kind != kind) return false;
  if (rule.each_key) return !key.empty();
  return rule.flow_key.empty() || rule.flow_key == key;
}

}  // namespace

bool FlowRule::covers(const Task& task) const {
  return bureau::covers(*this, task.queue, task.kind, task.flow_key.value_or(""));
}

namespace detail {

Select SharedFlow::rules() { return select<FlowRule>().limit(rules_at_once); }

void SharedFlow::forget_rules() {
  rules_.clear();
  found_ = 0;
}

Result<bool> SharedFlow::Intake::operator()(std::span<const Value> row) const {
  FlowRule rule;
  from_values(row, rule);
  flow_.rules_[rule.tenant.value].push_back(std::move(rule));
  ++flow_.found_;
  return true;
}

Result<void> SharedFlow::load() {
  const Intake intake(*this);
  return reader_.scan(rules(), intake);
}

const std::vector<FlowRule>* SharedFlow::rules_of(Id<Tenant> tenant) const {
  static const std::vector<FlowRule> none;
  if (found_ >= rules_at_once) return nullptr;
  const auto found = rules_.find(tenant.value);
  return found == rules_.end() ? &none : &found->second;
}

/// Looks at as many rows as all workers hold leases, whatever waits.
Result<const std::vector<SharedFlow::Leases>*> SharedFlow::leases_of(Id<Tenant> tenant) {
  if (!has_leases_) {
    has_leases_ = true;
    const TableInfo& tasks = table_of<Task>();
    Aggregate leases;
    leases.table = &tasks;
    leases.where = col(&Task::status) == TaskStatus::running;
    leases.group_by = {tasks.find("tenant"), tasks.find("flow_key"), tasks.find("queue"),
                       tasks.find("kind")};
    leases.measures = {{Aggregate::Function::count, nullptr}};
    BUREAU_TRY_VOID(reader_.aggregate(leases, [&](std::span<const Value> row) -> Result<bool> {
      leases_[row[0].as_integer()].push_back(
          {std::string(row[2].as_text()), std::string(row[3].as_text()),
           row[1].is_null() ? std::string() : std::string(row[1].as_text()), row[4].as_integer()});
      return true;
    }));
  }
  return &leases_[tenant.value];
}

Result<void> TenantFlow::take_rules(std::vector<FlowRule> rows) {
  for (FlowRule& row : rows) {
    const bool known = std::any_of(rules_.begin(), rules_.end(),
                                   [&](const Rule& rule) { return rule.row.id == row.id; });
    if (!known && (!row.until || *row.until > now_)) BUREAU_TRY_VOID(add(std::move(row)));
  }
  return {};
}

Result<std::size_t> TenantFlow::scan_rules(const Predicate& which, std::uint64_t limit) {
  std::vector<FlowRule> rows;
  const Select rules = select<FlowRule>()
                           .where(col(&FlowRule::tenant) == tenant_ && which)
                           .order_by(col(&FlowRule::flow_key))
                           .limit(limit);
  BUREAU_TRY_VOID(reader_.scan(rules, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, rows.emplace_back());
    return true;
  }));
  const std::size_t found = rows.size();
  BUREAU_TRY_VOID(take_rules(std::move(rows)));
  return found;
}

Result<void> TenantFlow::add(FlowRule row) {
  Rule& rule = rules_.emplace_back();
  rule.row = std::move(row);
  switch (rule.row.type) {
    case FlowRuleType::pause:
      return {};
    case FlowRuleType::rate:
      has_key_rates_ = has_key_rates_ || rule.row.each_key;
      return rule.row.each_key ? Result<void>() : load_buckets(rule, {});
    case FlowRuleType::concurrency:
      break;
  }
  BUREAU_TRY(const auto* leases, shared_.leases_of(tenant_));
  for (const SharedFlow::Leases& held : *leases) {
    if (!covers(rule.row, held.queue, held.kind, held.key)) continue;
    (rule.row.each_key ? rule.by_key[held.key] : rule.counter).used += held.count;
  }
  return {};
}

Result<void> TenantFlow::load_buckets(Rule& rule, const Predicate& which) {
  const Select buckets = select<FlowBucket>().where(col(&FlowBucket::rule) == rule.row.id && which);
  return reader_.scan(buckets, [&](std::span<const Value> row) -> Result<bool> {
    FlowBucket bucket;
    from_values(row, bucket);
    Counter& counter = rule.row.each_key ? rule.by_key[bucket.flow_key] : rule.counter;
    counter.full_at = bucket.full_at;
    counter.bucket = bucket.id;
    return true;
  });
}

Result<void> TenantFlow::load() {
  if (const auto* all = shared_.rules_of(tenant_)) return take_rules(*all);
  BUREAU_TRY(const std::size_t found, scan_rules({}, rules_at_once));
  if (found < rules_at_once) return {};
  complete_ = false;
  // Those without a key come first; there may be more of them.
  return scan_rules(col(&FlowRule::flow_key) == std::string(), UINT64_MAX).map([](std::size_t) {});
}

Result<void> TenantFlow::load_keys(const std::vector<std::string>& keys) {
  if (!wants_keys()) return {};
  std::vector<std::string> unknown;
  for (const std::string& key : keys) {
    if (keys_.insert(key).second) unknown.push_back(key);
  }
  if (unknown.empty()) return {};
  unknown = padded(std::move(unknown));
  if (!complete_) {
    BUREAU_TRY_VOID(scan_rules(col(&FlowRule::flow_key).in(unknown), UINT64_MAX));
  }
  for (Rule& rule : rules_) {
    if (rule.row.type != FlowRuleType::rate || !rule.row.each_key) continue;
    BUREAU_TRY_VOID(load_buckets(rule, col(&FlowBucket::flow_key).in(unknown)));
  }
  return {};
}

namespace {

/// A rate as a bucket of `depth` microseconds, of which each begin takes `each` and each
/// microsecond gives one back. Rounded so that the rate is never more than was asked for.
struct Rate {
  std::int64_t each = 0, depth = 0;
  explicit Rate(const FlowRule& rule)
      : each((rule.period.count() + rule.at_most - 1) / rule.at_most),
        depth(each *
              (rule.burst > 0 ? rule.burst : std::min<std::int64_t>(rule.at_most, 100'000))) {}
  /// When the bucket is full, as the rule now has it: also after a clock that stepped back.
  [[nodiscard]] std::int64_t full_at(Timestamp kept, Timestamp now) const {
    return std::clamp(kept.micros(), now.micros(), now.micros() + depth);
  }
  [[nodiscard]] std::int64_t tokens(Timestamp kept, Timestamp now) const {
    return (now.micros() + depth - full_at(kept, now)) / each;
  }
  [[nodiscard]] Timestamp taken(Timestamp kept, Timestamp now) const {
    return Timestamp::from_micros(full_at(kept, now) + each);
  }
  [[nodiscard]] Timestamp next(Timestamp kept, Timestamp now) const {
    return Timestamp::from_micros(full_at(kept, now) - depth + each);
  }
};

}  // namespace

const TenantFlow::Counter& TenantFlow::counter_of(const Rule& rule, std::string_view key) const {
  static const Counter none;
  if (!rule.row.each_key) return rule.counter;
  const auto of_key = rule.by_key.find(key);
  return of_key == rule.by_key.end() ? none : of_key->second;
}

std::int64_t TenantFlow::room_of(const Rule& rule, const Counter& counter) const {
  switch (rule.row.type) {
    case FlowRuleType::pause:
      return 0;
    case FlowRuleType::rate:
      return Rate(rule.row).tokens(counter.full_at, now_);
    case FlowRuleType::concurrency:
      break;
  }
  return std::max<std::int64_t>(0, rule.row.at_most - counter.used);
}

std::int64_t TenantFlow::lane_room(std::string_view queue, std::string_view kind) const {
  std::int64_t room = no_limit;
  for (const Rule& rule : rules_) {
    if (!is_lane_rule(rule.row) || !covers(rule.row, queue, kind, {})) continue;
    room = std::min(room, room_of(rule, rule.counter));
  }
  return room;
}

std::int64_t TenantFlow::key_room(std::string_view queue, std::string_view kind,
                                  std::string_view key) const {
  std::int64_t room = no_limit;
  for (const Rule& rule : rules_) {
    if (is_lane_rule(rule.row) || !covers(rule.row, queue, kind, key)) continue;
    room = std::min(room, room_of(rule, counter_of(rule, key)));
  }
  return room;
}

void TenantFlow::count(std::string_view queue, std::string_view kind, std::string_view key) {
  for (Rule& rule : rules_) {
    if (!covers(rule.row, queue, kind, key)) continue;
    Counter& counter = rule.row.each_key ? rule.by_key[std::string(key)] : rule.counter;
    ++counter.used;
    if (rule.row.type != FlowRuleType::rate) continue;
    counter.full_at = Rate(rule.row).taken(counter.full_at, now_);
    counter.changed = true;
  }
}

std::vector<TenantFlow::Room> TenantFlow::rooms(const Task& task) const {
  std::vector<Room> rooms;
  for (const Rule& rule : rules_) {
    if (!rule.row.covers(task)) continue;
    const Counter& counter = counter_of(rule, task.flow_key.value_or(""));
    Room& room = rooms.emplace_back();
    room.rule = &rule.row;
    room.room = room_of(rule, counter);
    if (rule.row.type == FlowRuleType::rate && room.room <= 0) {
      room.more_at = Rate(rule.row).next(counter.full_at, now_);
    }
  }
  return rooms;
}

Result<void> TenantFlow::write_buckets(Transaction& tx) {
  for (Rule& rule : rules_) {
    if (rule.row.type != FlowRuleType::rate) continue;
    BUREAU_TRY_VOID(write_bucket(tx, rule, rule.row.flow_key, rule.counter));
    for (auto& [key, counter] : rule.by_key) {
      BUREAU_TRY_VOID(write_bucket(tx, rule, key, counter));
    }
  }
  return {};
}

Result<void> TenantFlow::write_bucket(Transaction& tx, const Rule& rule, const std::string& key,
                                      Counter& counter) {
  if (!counter.changed) return {};
  const Rate rate(rule.row);
  FlowBucket bucket;
  bucket.id = counter.bucket;
  bucket.tenant = tenant_;
  bucket.rule = rule.row.id;
  bucket.flow_key = key;
  bucket.full_at = counter.full_at;
  bucket.awaited = rate.tokens(counter.full_at, now_) <= 0;
  bucket.next_at = rate.next(counter.full_at, now_);
  counter.changed = false;
  Scratch scratch;
  std::vector<Value> values(table_of<FlowBucket>().width());
  if (!bucket.id) {
    BUREAU_TRY(bucket.id.value, tx.next_id());
    counter.bucket = bucket.id;
    to_values(bucket, values, scratch);
    return tx.unjournalled().insert(table_of<FlowBucket>(), values);
  }
  const auto integer = [](const auto& column, std::int64_t value) {
    return Assignment{&column.info(), Value::integer(value), false};
  };
  return tx.unjournalled()
      .update({select<FlowBucket>().where(col(&FlowBucket::id) == bucket.id),
               {integer(col(&FlowBucket::full_at), bucket.full_at.micros()),
                integer(col(&FlowBucket::awaited), bucket.awaited ? 1 : 0),
                integer(col(&FlowBucket::next_at), bucket.next_at.micros())}})
      .map([](std::uint64_t) {});
}

}  // namespace detail
BUREAU_END_NAMESPACE
