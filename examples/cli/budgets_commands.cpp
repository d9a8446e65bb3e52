// `bureau budgets`: what may be spent, and what was.

#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "bureau/work/budget.hpp"
#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

struct BudgetOptions {
  ListOptions list;
  Format format = Format::table;
  std::string budget, parent, period = "none", currency, task;
  // As they are typed: a number, "none", or nothing, which leaves a limit as it is.
  std::string tokens, calls, seconds, money;
  bool whole_tenant = false, allow_unpriced = false, refuse_unpriced = false;
};
using BudgetGiven = std::shared_ptr<BudgetOptions>;

constexpr std::string_view no_limit = "none";

Result<Budget> find_budget(const Office& office, const std::string& text) {
  const Budgets budgets(office.session());
  const auto id = parse_id<Budget>(text);
  if (id) return budgets.find(*id);
  return budgets.find(text);
}

Result<double> parse_number(std::string_view field, const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return fail(Code::invalid, fmt::format("{}: \"{}\" is neither a number nor none", field, text),
              std::string(field));
}

Result<void> put_count(std::string_view field, const std::string& text,
                       std::optional<std::int64_t>& limit) {
  if (text.empty()) return {};
  limit.reset();
  if (text == no_limit) return {};
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Code::invalid,
                fmt::format("{}: \"{}\" is neither a whole number nor none", field, text),
                std::string(field));
  }
  limit = value;
  return {};
}

/// What is typed, in place of what is there.
Result<BudgetLimits> limits_of(const BudgetOptions& given, BudgetLimits limits) {
  BUREAU_TRY_VOID(put_count("tokens", given.tokens, limits.tokens));
  BUREAU_TRY_VOID(put_count("calls", given.calls, limits.calls));
  if (!given.seconds.empty()) {
    limits.time.reset();
    if (given.seconds != no_limit) {
      BUREAU_TRY(const double seconds, parse_number("seconds", given.seconds));
      if (!(seconds >= 0 && seconds <= 1e12)) {
        return fail(Code::invalid, fmt::format("seconds: {} is not from 0 to 10^12", given.seconds),
                    "seconds");
      }
      limits.time = Duration(static_cast<std::int64_t>(seconds * 1e6));
    }
  }
  if (!given.money.empty()) {
    limits.money.reset();
    if (given.money != no_limit) {
      BUREAU_TRY(limits.money, Money::parse(given.money));
    }
  }
  return limits;
}

void add_limit_options(CLI::App& app, BudgetOptions& given) {
  app.add_option("--tokens", given.tokens, "at most so many tokens");
  app.add_option("--calls", given.calls, "so many calls");
  app.add_option("--seconds", given.seconds, "so much time");
  app.add_option("--money", given.money, "so much money, as \"12.50 EUR\"");
}

/// "1200 + 300 of 5000": spent, reserved, limit.
std::string used_text(const std::string& spent, const std::string& reserved, bool is_reserved,
                      const std::string& limit) {
  std::string text = spent;
  if (is_reserved) text += " + " + reserved;
  return limit.empty() ? text : text + " of " + limit;
}

std::vector<std::string> cells_of(const BudgetState& state) {
  const Budget& budget = state.budget;
  const auto count = [](std::int64_t spent, std::int64_t reserved,
                        const std::optional<std::int64_t>& limit) {
    return used_text(std::to_string(spent), std::to_string(reserved), reserved > 0,
                     limit ? std::to_string(*limit) : "");
  };
  const auto seconds = [](Duration time) {
    return fmt::format("{}", static_cast<double>(time.count()) / 1e6);
  };
  const auto money = [](const Amounts& amounts) {
    Money up = amounts.money;
    if (amounts.money_micros > 0) ++up.minor;
    return up.to_string();
  };
  const auto limits = budget.limits();
  const bool has_money = !budget.currency.empty();
  return {id::to_text(schema<Budget>.prefix, budget.id.value),
          without_controls(budget.name),
          budget.parent         ? id::to_text(schema<Budget>.prefix, budget.parent->value)
          : budget.whole_tenant ? "(the tenant's)"
                                : "",
          std::string(names<BudgetPeriod>[static_cast<std::size_t>(budget.period)]),
          count(state.spent.tokens, state.reserved.tokens, budget.tokens),
          count(state.spent.calls, state.reserved.calls, budget.calls),
          used_text(seconds(state.spent.time), seconds(state.reserved.time),
                    state.reserved.time > Duration(0), limits.time ? seconds(*limits.time) : ""),
          !has_money ? ""
                     : used_text(money(state.spent), money(state.reserved),
                                 state.reserved.money.minor + state.reserved.money_micros > 0,
                                 limits.money ? limits.money->to_string() : ""),
          std::to_string(state.waiting),
          state.overrun_at ? state.overrun_at->to_string() : ""};
}

const std::vector<std::string> budget_columns{"id",      "name",      "parent",  "period",
                                              "tokens",  "calls",     "seconds", "money",
                                              "waiting", "overrun_at"};

Result<void> list(const Office& office, BudgetOptions& given) {
  Query query;
  BUREAU_TRY(query.where, parse_where(office, table_of<Budget>(), given.list.where));
  query.order = {{table_of<Budget>().find("name"), false}};
  query.limit = given.list.limit;
  const Budgets budgets(office.session());
  BUREAU_TRY(const auto found, budgets.list(query));
  RowPrinter printer(given.list.format, budget_columns);
  for (const Budget& budget : found) {
    BUREAU_TRY(const BudgetState state, budgets.state(budget.id));
    printer.add(cells_of(state), to_json(state));
  }
  printer.finish();
  return {};
}

Result<void> create(const Office& office, BudgetOptions& given) {
  NewBudget budget;
  budget.name = given.budget;
  BUREAU_TRY(budget.limits, limits_of(given, {}));
  if (!given.parent.empty()) {
    BUREAU_TRY(const Budget parent, find_budget(office, given.parent));
    budget.parent = parent.id;
  }
  budget.whole_tenant = given.whole_tenant;
  budget.period = given.period == "day"     ? BudgetPeriod::day
                  : given.period == "month" ? BudgetPeriod::month
                                            : BudgetPeriod::none;
  budget.unpriced = given.allow_unpriced ? Unpriced::allow : Unpriced::refuse;
  budget.currency = given.currency;
  BUREAU_TRY(const Budget made, Budgets(office.session()).create(budget));
  fmt::print("{}: {}\n", without_controls(made.name),
             id::to_text(schema<Budget>.prefix, made.id.value));
  return {};
}

Result<void> change(const Office& office, BudgetOptions& given) {
  BUREAU_TRY(Budget budget, find_budget(office, given.budget));
  const Budgets budgets(office.session());
  BUREAU_TRY(const BudgetLimits limits, limits_of(given, budget.limits()));
  BUREAU_TRY(budget, budgets.set_limits(budget.id, limits));
  if (given.allow_unpriced || given.refuse_unpriced) {
    BUREAU_TRY(budget, budgets.set_unpriced(
                           budget.id, given.allow_unpriced ? Unpriced::allow : Unpriced::refuse));
  }
  fmt::print("{}: changed\n", without_controls(budget.name));
  return {};
}

Result<void> show(const Office& office, BudgetOptions& given) {
  BUREAU_TRY(const Budget budget, find_budget(office, given.budget));
  BUREAU_TRY(const BudgetState state, Budgets(office.session()).state(budget.id));
  if (given.format == Format::json) {
    fmt::print("{}\n", printable(to_json(state)));
    return {};
  }
  RowPrinter printer(given.format, budget_columns);
  printer.add(cells_of(state), to_json(state));
  printer.finish();
  return {};
}

Result<void> remove(const Office& office, BudgetOptions& given) {
  BUREAU_TRY(const Budget budget, find_budget(office, given.budget));
  BUREAU_TRY_VOID(Budgets(office.session()).remove(budget.id));
  fmt::print("{}: removed\n", without_controls(budget.name));
  return {};
}

Result<void> print_spendings(const Office& office, BudgetOptions& given) {
  BUREAU_TRY(const auto task, parse_task(given.task));
  const TableInfo& table = table_of<Spending>();
  ListOptions options = given.list;
  options.where = fmt::format("task = \"{}\"", id::to_text(schema<Task>.prefix, task.value));
  return list_rows(office, table, options, {{table.find("id"), false}},
                   {"step", "attempt", "status", "reserved_tokens", "spent_tokens", "spent_calls",
                    "spent_time", "spent_money_micros", "currency", "overrun"});
}

}  // namespace

void add_budgets_commands(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<BudgetOptions>();
  auto* budgets = app.add_subcommand("budgets", "what tasks may spend, and what they have spent");
  budgets->require_subcommand(1);
  const auto add = [&](const char* name, const char* what,
                       Result<void> (*act)(const Office&, BudgetOptions&)) {
    auto* command = budgets->add_subcommand(name, what);
    command->callback(in_office([given, act](Office& office) { return act(office, *given); }));
    return command;
  };
  const auto of_one = [&](CLI::App& command, const char* what) {
    command.add_option("BUDGET", given->budget, what)->required();
  };
  add_list_options(*add("list", "spent + reserved of the limit, in this period", list), given->list,
                   "period = \"day\"");
  auto* created = add("create", "a new one", create);
  of_one(*created, "its name");
  add_limit_options(*created, *given);
  created->add_option("--parent", given->parent, "the one that it is below: an id or a name");
  created->add_flag("--whole-tenant", given->whole_tenant, "the tenant's own, above all others");
  created->add_option("--period", given->period, "after how long it begins anew")
      ->check(CLI::IsMember({"none", "day", "month"}));
  created->add_option("--currency", given->currency, "counts money without a limit");
  created->add_flag("--allow-unpriced", given->allow_unpriced,
                    "also what nobody knows the price of, where money is limited");
  auto* changed = add("change", "other limits; \"none\" takes one away", change);
  of_one(*changed, "its id or name");
  add_limit_options(*changed, *given);
  auto* allows = changed->add_flag("--allow-unpriced", given->allow_unpriced,
                                   "also what nobody knows the price of");
  changed->add_flag("--refuse-unpriced", given->refuse_unpriced, "no longer")->excludes(allows);
  auto* shown = add("show", "one of them", show);
  of_one(*shown, "its id or name");
  add_format_option(*shown, given->format);
  of_one(*add("remove", "remove one that has none below it", remove), "its id or name");
  auto* spent = add("spendings", "what a task has reserved and spent", print_spendings);
  spent->add_option("TASK", given->task, "its id")->required();
  add_format_option(*spent, given->list.format);
}

}  // namespace cli
