#include <fmt/format.h>

#include "access/library_rows.hpp"
#include "bureau/work/flow.hpp"
#include "work/flow.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

Predicate of_scope(const FlowScope& scope, FlowRuleType type, bool each_key) {
  return col(&FlowRule::flow_key) == scope.flow_key && col(&FlowRule::queue) == scope.queue &&
         col(&FlowRule::kind) == scope.kind && col(&FlowRule::type) == type &&
         col(&FlowRule::each_key) == each_key;
}

Result<void> check_rate(const FlowRule& rule) {
  using std::chrono::hours;
  if (rule.type != FlowRuleType::rate) {
    if (rule.period == Duration(0) && rule.burst == 0) return {};
    return fail(Code::invalid, "period: only a rate has a period and a burst", "period");
  }
  if (rule.at_most < 1 || rule.at_most > rule.period.count()) {
    return fail(Code::invalid,
                fmt::format("at_most: {} in {} us; a rate is at least 1 in a period, and at most 1 "
                            "a microsecond",
                            rule.at_most, rule.period.count()),
                "at_most");
  }
  if (rule.period > hours(24 * 366)) {
    return fail(Code::invalid,
                fmt::format("period: {} us is longer than a year", rule.period.count()), "period");
  }
  if (rule.burst < 0 || rule.burst > 100'000) {
    return fail(Code::invalid, fmt::format("burst: {} is not from 0 to 100000", rule.burst),
                "burst");
  }
  return {};
}

Result<void> check_rule(const FlowRule& rule) {
  BUREAU_TRY_VOID(check_rate(rule));
  if (rule.type == FlowRuleType::pause) {
    if (rule.queue.empty() && rule.kind.empty() && rule.flow_key.empty()) {
      return fail(Code::invalid, "queue: a pause names a queue, a kind or a flow key", "queue");
    }
    if (rule.each_key || rule.at_most != 0) {
      return fail(Code::invalid, "at_most: a pause lets none through, whatever the key", "at_most");
    }
    return {};
  }
  if (rule.at_most < 0) {
    return fail(Code::invalid, fmt::format("at_most: {} is negative", rule.at_most), "at_most");
  }
  if (rule.each_key && !rule.flow_key.empty()) {
    return fail(Code::invalid,
                fmt::format("flow_key: a rule of each key names none; this one names \"{}\"",
                            rule.flow_key),
                "flow_key");
  }
  return {};
}

}  // namespace

namespace detail {

Result<void> check_flow_row(std::span<const Value>, std::span<const Value> after) {
  FlowRule rule;
  from_values(after, rule);
  return check_rule(rule);
}

Result<void> check_share_row(std::span<const Value>, std::span<const Value> after) {
  TenantShare share;
  from_values(after, share);
  if (share.weight >= 1 && share.weight <= 1000) return {};
  return fail(Code::invalid, fmt::format("weight: {} is not from 1 to 1000", share.weight),
              "weight");
}

}  // namespace detail

namespace {

/// A new row, or the one of its scope as it is described now.
Result<FlowRule> save(const Repository<FlowRule>& rows, FlowRule rule) {
  BUREAU_TRY_VOID(check_rule(rule));
  return rows.rows().scope().write([&](Unit& unit) -> Result<FlowRule> {
    const Repository<FlowRule> inside{Scope(unit)};
    if (rule.until && *rule.until <= unit.now()) {
      return fail(Code::invalid, fmt::format("until: {} is not to come", rule.until->to_string()),
                  "until");
    }
    FlowRule row = rule;
    if (const Id<User> user = unit.session().principal().user) row.made_by = user;
    BUREAU_TRY(const auto present, inside.first(of_scope(rule.scope(), rule.type, rule.each_key)));
    const bool over = present && present->until && *present->until <= unit.now();
    if (over) BUREAU_TRY_VOID(inside.remove(present->id));
    if (!present || over) return inside.insert(std::move(row));
    detail::succeed(*present, row);
    return inside.update(std::move(row));
  });
}

FlowRule rule_of(const FlowScope& scope, FlowRuleType type) {
  FlowRule rule;
  rule.type = type;
  rule.queue = scope.queue;
  rule.kind = scope.kind;
  rule.flow_key = scope.flow_key;
  return rule;
}

}  // namespace

Result<FlowRule> FlowRules::pause(const FlowScope& scope, const PauseOptions& options) const {
  FlowRule rule = rule_of(scope, FlowRuleType::pause);
  rule.reason = options.reason;
  rule.until = options.until;
  return save(rows_, std::move(rule));
}

Result<void> FlowRules::resume(const FlowScope& scope) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<void> {
    const Repository<FlowRule> inside{Scope(unit)};
    BUREAU_TRY(const auto present, inside.first(of_scope(scope, FlowRuleType::pause, false)));
    if (present) return inside.remove(present->id);
    return fail(Code::not_found,
                fmt::format("queue: nothing with queue \"{}\", kind \"{}\", key \"{}\" is paused",
                            scope.queue, scope.kind, scope.flow_key),
                "queue");
  });
}

Result<FlowRule> FlowRules::limit(const ConcurrencyLimit& limit) const {
  FlowRule rule = rule_of(limit.scope, FlowRuleType::concurrency);
  rule.each_key = limit.each_key;
  rule.at_most = limit.at_most;
  return save(rows_, std::move(rule));
}

Result<void> FlowRules::set_weight(std::int64_t weight) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<void> {
    const Repository<TenantShare> shares{Scope(unit)};
    BUREAU_TRY(auto present, shares.first({}));
    TenantShare share = present.value_or(TenantShare{});
    share.weight = weight;
    return (present ? shares.update(share) : shares.insert(share)).map([](const TenantShare&) {});
  });
}

Result<FlowRule> FlowRules::rate(const RateLimit& limit) const {
  FlowRule rule = rule_of(limit.scope, FlowRuleType::rate);
  rule.each_key = limit.each_key;
  rule.at_most = limit.at_most;
  rule.period = limit.period;
  rule.burst = limit.burst;
  return save(rows_, std::move(rule));
}

Result<std::vector<FlowRule>> FlowRules::list(const Query& query) const {
  return rows_.list(query);
}

Result<void> FlowRules::remove(Id<FlowRule> id) const { return rows_.remove(id); }

BUREAU_END_NAMESPACE
