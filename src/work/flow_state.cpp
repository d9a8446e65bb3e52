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

Result<std::size_t> TenantFlow::scan_rules(const Predicate& which, std::uint64_t limit) {
  std::size_t found = 0;
  std::vector<FlowRule> rows;
  const Select rules = select<FlowRule>()
                           .where(col(&FlowRule::tenant) == tenant_ && which)
                           .order_by(col(&FlowRule::flow_key))
                           .limit(limit);
  BUREAU_TRY_VOID(reader_.scan(rules, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, rows.emplace_back());
    return true;
  }));
  found = rows.size();
  for (FlowRule& row : rows) {
    const bool known = std::any_of(rules_.begin(), rules_.end(),
                                   [&](const Rule& rule) { return rule.row.id == row.id; });
    if (!known && (!row.until || *row.until > now_)) add(std::move(row));
  }
  if (!has_running_ && std::any_of(rules_.begin(), rules_.end(), [](const Rule& rule) {
        return rule.row.type == FlowRuleType::concurrency;
      })) {
    BUREAU_TRY_VOID(load_running());
  }
  return found;
}

void TenantFlow::add(FlowRule row) {
  Rule& rule = rules_.emplace_back();
  rule.row = std::move(row);
  for (const Running& running : running_) {
    if (!covers(rule.row, running.queue, running.kind, running.key)) continue;
    (rule.row.each_key ? rule.used_by_key[running.key] : rule.used) += running.count;
  }
}

/// All leases of the tenant, from an index alone: as many as its workers hold, whatever waits.
Result<void> TenantFlow::load_running() {
  has_running_ = true;
  const TableInfo& tasks = table_of<Task>();
  Aggregate leases;
  leases.table = &tasks;
  leases.where = col(&Task::status) == TaskStatus::running && col(&Task::tenant) == tenant_;
  leases.group_by = {tasks.find("flow_key"), tasks.find("queue"), tasks.find("kind")};
  leases.measures = {{Aggregate::Function::count, nullptr}};
  BUREAU_TRY_VOID(reader_.aggregate(leases, [&](std::span<const Value> row) -> Result<bool> {
    running_.push_back({std::string(row[1].as_text()), std::string(row[2].as_text()),
                        row[0].is_null() ? std::string() : std::string(row[0].as_text()),
                        row[3].as_integer()});
    return true;
  }));
  std::vector<Rule> loaded = std::move(rules_);
  rules_.clear();
  for (Rule& rule : loaded) add(std::move(rule.row));
  return {};
}

Result<void> TenantFlow::load() {
  BUREAU_TRY(const std::size_t found, scan_rules({}, rules_at_once));
  if (found < rules_at_once) return {};
  complete_ = false;
  // Those without a key come first; there may be more of them.
  return scan_rules(col(&FlowRule::flow_key) == std::string(), UINT64_MAX).map([](std::size_t) {});
}

Result<void> TenantFlow::load_keys(const std::vector<std::string>& keys) {
  if (complete_) return {};
  std::vector<std::string> unknown;
  for (const std::string& key : keys) {
    if (keys_.insert(key).second) unknown.push_back(key);
  }
  if (unknown.empty()) return {};
  return scan_rules(col(&FlowRule::flow_key).in(unknown), UINT64_MAX).map([](std::size_t) {});
}

namespace {

std::int64_t left(const FlowRule& rule, std::int64_t used) {
  return std::max<std::int64_t>(0, rule.at_most - used);
}

}  // namespace

std::int64_t TenantFlow::lane_room(std::string_view queue, std::string_view kind) const {
  std::int64_t room = no_limit;
  for (const Rule& rule : rules_) {
    if (!is_lane_rule(rule.row) || !covers(rule.row, queue, kind, {})) continue;
    room = std::min(room, left(rule.row, rule.used));
  }
  return room;
}

std::int64_t TenantFlow::key_room(std::string_view queue, std::string_view kind,
                                  std::string_view key) const {
  std::int64_t room = no_limit;
  for (const Rule& rule : rules_) {
    if (is_lane_rule(rule.row) || !covers(rule.row, queue, kind, key)) continue;
    std::int64_t used = rule.used;
    if (rule.row.each_key) {
      const auto of_key = rule.used_by_key.find(key);
      used = of_key == rule.used_by_key.end() ? 0 : of_key->second;
    }
    room = std::min(room, left(rule.row, used));
  }
  return room;
}

void TenantFlow::count(std::string_view queue, std::string_view kind, std::string_view key) {
  for (Rule& rule : rules_) {
    if (!covers(rule.row, queue, kind, key)) continue;
    if (rule.row.each_key) {
      ++rule.used_by_key[std::string(key)];
    } else {
      ++rule.used;
    }
  }
}

std::vector<TenantFlow::Room> TenantFlow::rooms(const Task& task) const {
  std::vector<Room> rooms;
  const std::string key = task.flow_key.value_or("");
  for (const Rule& rule : rules_) {
    if (!rule.row.covers(task)) continue;
    std::int64_t used = rule.used;
    if (rule.row.each_key) {
      const auto of_key = rule.used_by_key.find(key);
      used = of_key == rule.used_by_key.end() ? 0 : of_key->second;
    }
    rooms.push_back({&rule.row, left(rule.row, used)});
  }
  return rooms;
}

}  // namespace detail
BUREAU_END_NAMESPACE
