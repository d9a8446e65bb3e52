// What holds tasks back: pauses, limits and rates; and what they may spend: budgets.

#include "bureau/work/flow.hpp"

#include "bureau/work/budget.hpp"
#include "domains.hpp"

namespace bureau_python {

namespace {

// Flow control ---------------------------------------------------------------------------------

FlowScope scope_of(Given& given) {
  return {given.text("queue"), given.text("kind"), given.text("flow_key")};
}

py::object pause(const ScopePtr& scope, const py::dict& fields) {
  Given given("flow.pause", fields);
  const FlowScope which = scope_of(given);
  PauseOptions options;
  options.reason = given.text("reason");
  options.until = given.maybe_time("until");
  given.done();
  return row_of(
      in_domain<FlowRules>(scope, [&](const FlowRules& f) { return f.pause(which, options); }));
}

void resume(const ScopePtr& scope, const py::dict& fields) {
  Given given("flow.resume", fields);
  const FlowScope which = scope_of(given);
  given.done();
  unwrap(scope->with_write([&](const Scope& in, Engine&) { return FlowRules(in).resume(which); }));
}

/// What limits of how many at a time and of how many in a period share.
template <class Rule>
Rule rule_of(Given& given) {
  Rule made;
  made.scope = scope_of(given);
  made.each_key = given.flag("each_key");
  made.at_most = given.maybe_integer("at_most").value_or(0);
  return made;
}

py::object limit(const ScopePtr& scope, const py::dict& fields) {
  Given given("flow.limit", fields);
  const auto made = rule_of<ConcurrencyLimit>(given);
  given.done();
  return row_of(in_domain<FlowRules>(scope, [&](const FlowRules& f) { return f.limit(made); }));
}

py::object rate(const ScopePtr& scope, const py::dict& fields) {
  Given given("flow.rate", fields);
  auto made = rule_of<RateLimit>(given);
  made.period = given.maybe_span("period").value_or(Duration(0));
  made.burst = given.maybe_integer("burst").value_or(0);
  given.done();
  return row_of(in_domain<FlowRules>(scope, [&](const FlowRules& f) { return f.rate(made); }));
}

void set_weight(const ScopePtr& scope, const py::dict& fields) {
  Given given("flow.set_weight", fields);
  const std::int64_t weight = given.maybe_integer("weight").value_or(0);
  given.done();
  unwrap(scope->with_write(
      [&](const Scope& in, Engine&) { return FlowRules(in).set_weight(weight); }));
}

// Budgets --------------------------------------------------------------------------------------

BudgetLimits limits_of(Given& given) {
  BudgetLimits limits;
  limits.tokens = given.maybe_integer("tokens");
  limits.calls = given.maybe_integer("calls");
  limits.time = given.maybe_span("time");
  limits.money = given.maybe_money("money");
  return limits;
}

py::object create(const ScopePtr& scope, const py::dict& fields) {
  Given given("budgets.create", fields);
  NewBudget budget;
  budget.name = given.text("name");
  budget.limits = limits_of(given);
  budget.parent = given.maybe_id<Budget>("parent");
  budget.whole_tenant = given.flag("whole_tenant");
  budget.period = given.choice("period", budget.period);
  budget.unpriced = given.choice("unpriced", budget.unpriced);
  budget.currency = given.text("currency");
  given.done();
  return row_of(in_domain<Budgets>(scope, [&](const Budgets& b) { return b.create(budget); }));
}

py::object set_limits(const ScopePtr& scope, const py::object& budget, const py::dict& fields) {
  const auto id = id_of<Budget>(budget, "budget");
  Given given("budgets.set_limits", fields);
  const BudgetLimits limits = limits_of(given);
  given.done();
  return row_of(
      in_domain<Budgets>(scope, [&](const Budgets& b) { return b.set_limits(id, limits); }));
}

py::object set_unpriced(const ScopePtr& scope, const py::object& budget, const py::dict& fields) {
  const auto id = id_of<Budget>(budget, "budget");
  Given given("budgets.set_unpriced", fields);
  const Unpriced unpriced = given.choice("unpriced", Unpriced::refuse);
  given.done();
  return row_of(
      in_domain<Budgets>(scope, [&](const Budgets& b) { return b.set_unpriced(id, unpriced); }));
}

/// (tokens, calls, microseconds, minor units, millionths of one, digits, currency)
py::tuple told(const Amounts& amounts) {
  const Currency& currency = amounts.money.currency;
  return py::make_tuple(amounts.tokens, amounts.calls, amounts.time.count(), amounts.money.minor,
                        amounts.money_micros, currency.digits(), std::string(currency.code()));
}

/// The begin or the end of a period; None: it has none.
py::object bound(Timestamp moment) {
  const bool open = moment == Timestamp() || moment == Timestamp::never();
  return open ? py::object(py::none()) : moment_of(moment);
}

py::tuple state(const ScopePtr& scope, const py::object& budget) {
  const auto id = id_of<Budget>(budget, "budget");
  const BudgetState now =
      from_domain<Budgets>(scope, [&](const Budgets& b) { return b.state(id); });
  return py::make_tuple(row_of(now.budget), bound(now.begins), bound(now.ends), told(now.reserved),
                        told(now.spent), now.waiting, moment_of(now.overrun_at));
}

py::object correct(const ScopePtr& scope, const py::object& spending, const py::dict& fields) {
  const auto id = id_of<Spending>(spending, "spending");
  Given given("budgets.correct", fields);
  Amounts used;
  used.tokens = given.maybe_integer("tokens").value_or(0);
  used.calls = given.maybe_integer("calls").value_or(0);
  used.time = given.maybe_span("time").value_or(used.time);
  used.money = given.maybe_money("money").value_or(used.money);
  given.done();
  return row_of(in_domain<Budgets>(scope, [&](const Budgets& b) { return b.correct(id, used); }));
}

void init_budgets(ScopeClass& scope) {
  scope.def("budget_create", create)
      .def("budget_set_limits", set_limits)
      .def("budget_set_unpriced", set_unpriced)
      .def("budget_named",
           [](const ScopePtr& self, const std::string& name) {
             return row_of(
                 from_domain<Budgets>(self, [&](const Budgets& b) { return b.find(name); }));
           })
      .def("budget_state", state)
      .def("budget_remove",
           [](const ScopePtr& self, const py::object& budget) {
             const auto id = id_of<Budget>(budget, "budget");
             unwrap(self->with_write(
                 [&](const Scope& in, Engine&) { return Budgets(in).remove(id); }));
           })
      .def("budget_spendings",
           [](const ScopePtr& self, const py::object& task) {
             const auto id = id_of<Task>(task, "task");
             return rows_of(
                 from_domain<Budgets>(self, [&](const Budgets& b) { return b.spendings_of(id); }));
           })
      .def("budget_correct", correct);
}

}  // namespace

void init_flow(ScopeClass& scope) {
  scope.def("flow_pause", pause)
      .def("flow_resume", resume)
      .def("flow_limit", limit)
      .def("flow_rate", rate)
      .def("flow_set_weight", set_weight)
      .def("flow_remove", [](const ScopePtr& self, const py::object& rule) {
        const auto id = id_of<FlowRule>(rule, "rule");
        unwrap(
            self->with_write([&](const Scope& in, Engine&) { return FlowRules(in).remove(id); }));
      });
  init_budgets(scope);
}

}  // namespace bureau_python
