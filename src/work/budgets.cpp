#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bureau/work/budget.hpp"
#include "store/row_values.hpp"
#include "work/spend.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// How many budgets may be above one another; a reservation reads and writes each.
constexpr std::size_t most_above = 8;
constexpr std::int64_t most_minor = 8'000'000'000'000;

Result<void> check_limit(std::string_view field, const std::optional<std::int64_t>& limit,
                         std::int64_t most) {
  if (!limit || (*limit >= 0 && *limit <= most)) return {};
  return fail(Code::invalid, fmt::format("{}: {} is not from 0 to {}", field, *limit, most),
              std::string(field));
}

void put_limits(Budget& budget, const BudgetLimits& limits) {
  budget.tokens = limits.tokens;
  budget.calls = limits.calls;
  budget.time = limits.time;
  budget.money.reset();
  if (!limits.money) return;
  budget.money = limits.money->minor;
  budget.currency = std::string(limits.money->currency.code());
}

/// Its currency is that of those above it, and they are not too many.
Result<void> check_place(Reader& reader, Id<Tenant> tenant, const Budget& budget) {
  BUREAU_TRY(const auto above, detail::budget_path(reader, tenant, budget.parent));
  if (above.size() >= most_above) {
    return fail(Code::invalid,
                fmt::format("parent: {} budgets are above one another already, the most there may "
                            "be",
                            above.size()),
                "parent");
  }
  for (const Budget& one : above) {
    if (budget.currency.empty() || one.currency.empty() || one.currency == budget.currency) {
      continue;
    }
    return fail(Code::invalid,
                fmt::format("currency: {}, but \"{}\" above it counts {}", budget.currency,
                            one.name, one.currency),
                "currency");
  }
  return {};
}

}  // namespace

std::string Amounts::to_string() const {
  const auto units = detail::units_of(*this);
  if (!units) return "no amounts: " + units.error().message;
  std::string out;
  for (std::size_t i = 0; i < units->size(); ++i) {
    if ((*units)[i] == 0) continue;
    if (!out.empty()) out += ", ";
    out += detail::unit_text(i, (*units)[i], money.currency.code());
  }
  return out.empty() ? "nothing" : out;
}

BudgetLimits Budget::limits() const {
  BudgetLimits out{tokens, calls, time, std::nullopt};
  const auto known = Currency::parse(currency);
  if (money && known) out.money = Money{*money, *known};
  return out;
}

Amounts Spending::reserved() const {
  return detail::amounts_of(detail::reserved_of(*this), currency);
}
Amounts Spending::spent() const { return detail::amounts_of(detail::spent_of(*this), currency); }

namespace detail {

Result<void> check_budget_row(std::span<const Value> before, std::span<const Value> after) {
  Budget budget;
  from_values(after, budget);
  const auto invalid = [](std::string_view field, const std::string& rule) {
    return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
  };
  if (budget.name.empty()) return invalid("name", "a budget needs one");
  BUREAU_TRY_VOID(check_limit("tokens", budget.tokens, INT64_MAX / 2));
  BUREAU_TRY_VOID(check_limit("calls", budget.calls, INT64_MAX / 2));
  BUREAU_TRY_VOID(check_limit(
      "time", budget.time ? std::optional(budget.time->count()) : std::nullopt, INT64_MAX / 2));
  BUREAU_TRY_VOID(check_limit("money", budget.money, most_minor));
  if (budget.money && budget.currency.empty()) return invalid("currency", "money needs one");
  if (!budget.currency.empty()) {
    if (auto known = Currency::parse(budget.currency); !known) {
      return invalid("currency", known.error().message);
    }
  }
  if (budget.whole_tenant && budget.parent) {
    return invalid("parent", "nothing is above the budget of the whole tenant");
  }
  if (before.empty()) return {};
  Budget was;
  from_values(before, was);
  if (!was.currency.empty() && was.currency != budget.currency) {
    return invalid("currency",
                   fmt::format("it counts {}, and what is spent stays in that; {} "
                               "would be another budget",
                               was.currency, budget.currency.empty() ? "none" : budget.currency));
  }
  return {};
}

}  // namespace detail

namespace {

void sign(Unit& unit, Budget& budget) {
  budget.made_by.reset();
  if (const Id<User> user = unit.session().principal().user) budget.made_by = user;
}

}  // namespace

Result<Budget> Budgets::create(const NewBudget& given) const {
  Budget budget;
  budget.name = given.name;
  budget.parent = given.parent;
  budget.whole_tenant = given.whole_tenant;
  budget.period = given.period;
  budget.unpriced = given.unpriced;
  budget.currency = given.currency;
  put_limits(budget, given.limits);
  if (given.limits.money && !given.currency.empty() && given.currency != budget.currency) {
    return fail(Code::invalid,
                fmt::format("currency: {}, but its limit is {}", given.currency,
                            given.limits.money->to_string()),
                "currency");
  }
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Budget> {
    const Repository<Budget> rows{Scope(unit)};
    Budget made = budget;
    sign(unit, made);
    if (made.parent) BUREAU_TRY_VOID(rows.find(*made.parent));
    BUREAU_TRY_VOID(
        check_place(unit.transaction().reader(), unit.session().principal().tenant, made));
    return rows.insert(std::move(made));
  });
}

namespace {

Result<Budget> change(const Repository<Budget>& rows, Id<Budget> id,
                      FunctionRef<void(Budget&)> how) {
  return rows.rows().scope().write([&](Unit& unit) -> Result<Budget> {
    const Repository<Budget> inside{Scope(unit)};
    BUREAU_TRY(Budget budget, inside.find(id));
    how(budget);
    sign(unit, budget);
    BUREAU_TRY_VOID(check_place(unit.transaction().reader(), budget.tenant, budget));
    BUREAU_TRY(budget, inside.update(std::move(budget)));
    BUREAU_TRY_VOID(detail::wake_waiting(unit.transaction(), budget.tenant));
    return budget;
  });
}

}  // namespace

Result<Budget> Budgets::set_limits(Id<Budget> id, const BudgetLimits& limits) const {
  return change(rows_, id, [&](Budget& budget) { put_limits(budget, limits); });
}

Result<Budget> Budgets::set_unpriced(Id<Budget> id, Unpriced unpriced) const {
  return change(rows_, id, [&](Budget& budget) { budget.unpriced = unpriced; });
}

Result<std::vector<Budget>> Budgets::list(const Query& query) const { return rows_.list(query); }

Result<Budget> Budgets::find(Id<Budget> id) const { return rows_.find(id); }

Result<Budget> Budgets::find(std::string_view name) const {
  BUREAU_TRY(auto found,
             rows_.list({.where = col(&Budget::name) == std::string(name), .limit = 2}));
  if (found.size() == 1) return std::move(found.front());
  return fail(
      found.empty() ? Code::not_found : Code::conflict,
      fmt::format("budget: {} is named \"{}\"", found.empty() ? "none" : "more than one", name),
      "budget");
}

Result<void> Budgets::remove(Id<Budget> id) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(Repository<Budget>{Scope(unit)}.find(id));
    bool has_children = false;
    const Select below = select<Budget>().where(col(&Budget::parent) == id).limit(1);
    BUREAU_TRY_VOID(
        unit.transaction().reader().scan(below, [&](std::span<const Value>) -> Result<bool> {
          has_children = true;
          return false;
        }));
    if (has_children) {
      return fail(Code::conflict, "budget: there are budgets below it; remove them first",
                  "budget");
    }
    return Repository<Budget>{Scope(unit)}.remove(id);
  });
}

namespace {

bool counts_in(const Spending& spending, Id<BudgetUse> use) {
  for (const std::string_view list : {"counted", "moneyless"}) {
    const Json* ids = spending.uses.find(list);
    const Json::Array* items = ids == nullptr ? nullptr : ids->as_array();
    if (items == nullptr) continue;
    for (const Json& id : *items) {
      if (id.as_int() != nullptr && *id.as_int() == use.value) return true;
    }
  }
  return false;
}

/// Runs that wait for room in this budget or one below it.
Result<std::size_t> count_waiting(Reader& reader, const Budget& budget) {
  std::map<std::int64_t, std::size_t> by_lowest;
  const Select waiting = select<Spending>().where(
      col(&Spending::status) < SpendingStatus::settled &&
      col(&Spending::status) == SpendingStatus::awaited && col(&Spending::tenant) == budget.tenant);
  BUREAU_TRY_VOID(reader.scan(waiting, [&](std::span<const Value> row) -> Result<bool> {
    Spending spending;
    from_values(row, spending);
    ++by_lowest[spending.budget.value];
    return true;
  }));
  std::size_t count = 0;
  for (const auto& [lowest, many] : by_lowest) {
    const auto path = detail::budget_path(reader, budget.tenant, Id<Budget>(lowest));
    if (!path) continue;
    const bool below = std::any_of(path->begin(), path->end(),
                                   [&](const Budget& one) { return one.id == budget.id; });
    if (below) count += many;
  }
  return count;
}

}  // namespace

Result<BudgetState> Budgets::state(Id<Budget> id) const {
  BudgetState state;
  BUREAU_TRY(state.budget, rows_.find(id));
  const Timestamp now = rows_.rows().scope().session().database().clock().now();
  BUREAU_TRY_VOID(rows_.rows().scope().read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const auto levels, detail::budget_levels(reader, state.budget.tenant, id, now));
    const BudgetUse& use = levels.front().use;
    detail::Units reserved = detail::reserved_of(use);
    detail::Units spent = detail::spent_of(use);
    BUREAU_TRY(const auto lost, detail::lost_spendings(reader, state.budget.tenant));
    for (const Spending& one : lost) {
      if (!counts_in(one, use.id)) continue;
      const detail::Units units = detail::reserved_of(one);
      const std::size_t counted = state.budget.currency.empty() ? detail::money_unit : 4;
      for (std::size_t i = 0; i < counted; ++i) {
        reserved[i] -= units[i];
        spent[i] += units[i];
      }
    }
    state.begins = use.begins;
    state.ends = use.ends;
    state.reserved = detail::amounts_of(reserved, state.budget.currency);
    state.spent = detail::amounts_of(spent, state.budget.currency);
    state.overrun_at = use.overrun_at;
    BUREAU_TRY(state.waiting, count_waiting(reader, state.budget));
    return {};
  }));
  return state;
}

Result<std::vector<Spending>> Budgets::spendings_of(Id<Task> task) const {
  return Repository<Spending>(rows_.rows().scope())
      .list({.where = col(&Spending::task) == task,
             .order = {{&col(&Spending::id).info(), false}},
             .limit = 10'000});
}

Result<Spending> Budgets::correct(Id<Spending> id, const Amounts& used) const {
  BUREAU_TRY_VOID(detail::units_of(used));
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Spending> {
    const Repository<Spending> spendings{Scope(unit)};
    const Repository<Budget> budgets{Scope(unit)};
    BUREAU_TRY(const Spending spending, spendings.find(id));
    if (spending.status != SpendingStatus::presumed) {
      return fail(Code::conflict,
                  fmt::format("status: the spending is {}; only what is presumed is put right",
                              names<SpendingStatus>[static_cast<std::size_t>(spending.status)]),
                  "status");
    }
    BUREAU_TRY(Budget budget, budgets.find(spending.budget));
    sign(unit, budget);
    BUREAU_TRY_VOID(budgets.update(std::move(budget)));  // whoever keeps it may
    BUREAU_TRY_VOID(detail::settle(unit.transaction(), id, used));
    return spendings.find(id);
  });
}

Json to_json(const BudgetState& state) {
  const auto amounts = [](const Amounts& of) {
    return Json::object({{"tokens", of.tokens},
                         {"calls", of.calls},
                         {"time_us", of.time.count()},
                         {"money_minor", of.money.minor},
                         {"money_micros", of.money_micros}});
  };
  const auto moment = [](Timestamp at) {
    return at == Timestamp::never() || at == Timestamp() ? Json() : Json(at.to_string());
  };
  const Budget& budget = state.budget;
  const auto number = [](const std::optional<std::int64_t>& of) { return of ? Json(*of) : Json(); };
  return Json::object(
      {{"budget", id::to_text(schema<Budget>.prefix, budget.id.value)},
       {"name", budget.name},
       {"parent",
        budget.parent ? Json(id::to_text(schema<Budget>.prefix, budget.parent->value)) : Json()},
       {"whole_tenant", budget.whole_tenant},
       {"currency", budget.currency},
       {"limits", Json::object({{"tokens", number(budget.tokens)},
                                {"calls", number(budget.calls)},
                                {"time_us", budget.time ? Json(budget.time->count()) : Json()},
                                {"money_minor", number(budget.money)}})},
       {"begins", moment(state.begins)},
       {"ends", moment(state.ends)},
       {"reserved", amounts(state.reserved)},
       {"spent", amounts(state.spent)},
       {"waiting", static_cast<std::int64_t>(state.waiting)},
       {"overrun_at", state.overrun_at ? Json(state.overrun_at->to_string()) : Json()}});
}

BUREAU_END_NAMESPACE
