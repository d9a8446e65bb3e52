// Amounts, the budgets that one of them is spent from, and whether there is room in them.

#include <fmt/format.h>

#include <algorithm>

#include "bureau/core/civil.hpp"
#include "store/row_values.hpp"
#include "work/spend.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

constexpr std::size_t most_levels = 16;
constexpr std::int64_t micros_in_minor = 1'000'000;

}  // namespace

// Amounts --------------------------------------------------------------------------------------

Result<Units> units_of(const Amounts& amounts) {
  if (amounts.money.minor > most_units / micros_in_minor) {
    return fail(Code::invalid,
                fmt::format("money: {} is more than one step may cost", amounts.money.to_string()),
                "money");
  }
  const Units units{amounts.tokens, amounts.calls, amounts.time.count(),
                    amounts.money.minor * micros_in_minor + amounts.money_micros};
  const std::array given{amounts.tokens, amounts.calls, amounts.time.count(),
                         std::min(amounts.money.minor, amounts.money_micros)};
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (given[i] >= 0 && units[i] >= 0 && units[i] <= most_units) continue;
    return fail(Code::invalid,
                fmt::format("{}: {} is not from 0 to {}", unit_names[i],
                            given[i] < 0 ? given[i] : units[i], most_units),
                std::string(unit_names[i]));
  }
  if (units[money_unit] > 0 && amounts.money.currency.code().empty()) {
    return fail(Code::invalid, "money: an amount has a currency; this one has none", "money");
  }
  return units;
}

Amounts amounts_of(const Units& units, std::string_view currency) {
  Amounts out;
  out.tokens = units[0];
  out.calls = units[1];
  out.time = Duration(units[2]);
  out.money.minor = units[3] / micros_in_minor;
  out.money_micros = units[3] % micros_in_minor;
  if (auto known = Currency::parse(currency)) out.money.currency = *known;
  return out;
}

Units reserved_of(const Spending& s) {
  return {s.reserved_tokens, s.reserved_calls, s.reserved_time.count(), s.reserved_money_micros};
}
Units spent_of(const Spending& s) {
  return {s.spent_tokens, s.spent_calls, s.spent_time.count(), s.spent_money_micros};
}
Units reserved_of(const BudgetUse& u) {
  return {u.reserved_tokens, u.reserved_calls, u.reserved_time.count(), u.reserved_money_micros};
}
Units spent_of(const BudgetUse& u) {
  return {u.spent_tokens, u.spent_calls, u.spent_time.count(), u.spent_money_micros};
}

std::string unit_text(std::size_t unit, std::int64_t amount, std::string_view currency) {
  switch (unit) {
    case 0:
      return fmt::format("{} token{}", amount, amount == 1 ? "" : "s");
    case 1:
      return fmt::format("{} call{}", amount, amount == 1 ? "" : "s");
    case 2:
      return fmt::format("{} s", static_cast<double>(amount) / 1e6);
    default: {
      Money money;
      money.minor = amount / micros_in_minor + (amount % micros_in_minor > 0 ? 1 : 0);
      if (auto known = Currency::parse(currency)) money.currency = *known;
      return money.to_string();
    }
  }
}

// The tree -------------------------------------------------------------------------------------

std::optional<std::int64_t> BudgetLevel::limit(std::size_t unit) const {
  switch (unit) {
    case 0:
      return budget.tokens;
    case 1:
      return budget.calls;
    case 2:
      return budget.time ? std::optional(budget.time->count()) : std::nullopt;
    default:
      return budget.money ? std::optional(*budget.money * micros_in_minor) : std::nullopt;
  }
}

Result<std::vector<Budget>> budget_path(Reader& reader, Id<Tenant> tenant,
                                        std::optional<Id<Budget>> lowest) {
  std::vector<Budget> path;
  while (lowest) {
    BUREAU_TRY(auto budget, find_row(reader, *lowest));
    if (!budget || budget->tenant != tenant) {
      return fail(Code::not_found,
                  fmt::format("budget: {} is no more; nothing can be spent from it",
                              id::to_text(bureau::schema<Budget>.prefix, lowest->value)),
                  "budget");
    }
    if (path.size() >= most_levels) {
      return fail(Code::invalid, fmt::format("budget: more than {} above one another", most_levels),
                  "budget");
    }
    lowest = budget->parent;
    path.push_back(std::move(*budget));
  }
  if (!path.empty() && path.back().whole_tenant) return path;
  const Select own =
      select<Budget>()
          .where(col(&Budget::tenant) == tenant && col(&Budget::whole_tenant) == true)
          .limit(1);
  BUREAU_TRY_VOID(reader.scan(own, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, path.emplace_back());
    return false;
  }));
  return path;
}

namespace {

/// The period of this moment, by the calendar of the tenant's zone.
class Calendar {
 public:
  Calendar(Reader& reader, Id<Tenant> tenant, Timestamp now)
      : reader_(reader), tenant_(tenant), now_(now) {}

  Result<void> set(BudgetPeriod period, BudgetUse& use) {
    use.begins = Timestamp();
    use.ends = Timestamp::never();
    if (period == BudgetPeriod::none) return {};
    BUREAU_TRY_VOID(find_zone());
    CivilDate first = zone_->to_civil(now_).date;
    CivilDate next = CivilDate::from_days(first.days() + 1);
    if (period == BudgetPeriod::month) {
      first.day = 1;
      next = first;
      next.month = first.month == 12 ? 1 : first.month + 1;
      if (first.month == 12) ++next.year;
    }
    use.begins = midnight(first);
    use.ends = midnight(next);
    return {};
  }

 private:
  Timestamp midnight(CivilDate date) const {
    CivilTime time;
    time.date = date;
    return zone_->from_civil(time).at;
  }
  Result<void> find_zone() {
    if (zone_) return {};
    BUREAU_TRY(const auto tenant, find_row(reader_, tenant_));
    auto zone = Zone::find(tenant ? tenant->zone : "UTC");
    if (!zone) return fail(Code::invalid, "zone: " + zone.error().message, "zone");
    zone_ = *zone;
    return {};
  }
  Reader& reader_;
  Id<Tenant> tenant_;
  Timestamp now_;
  std::optional<Zone> zone_;
};

}  // namespace

Result<std::vector<BudgetLevel>> budget_levels(Reader& reader, Id<Tenant> tenant,
                                               std::optional<Id<Budget>> lowest, Timestamp now) {
  BUREAU_TRY(auto path, budget_path(reader, tenant, lowest));
  Calendar calendar(reader, tenant, now);
  std::vector<BudgetLevel> levels;
  levels.reserve(path.size());
  for (Budget& budget : path) {
    BudgetLevel& level = levels.emplace_back();
    level.use.tenant = tenant;
    level.use.budget = budget.id;
    BUREAU_TRY_VOID(calendar.set(budget.period, level.use));
    const Select stored = select<BudgetUse>()
                              .where(col(&BudgetUse::budget) == budget.id &&
                                     col(&BudgetUse::begins) == level.use.begins)
                              .limit(1);
    BUREAU_TRY_VOID(reader.scan(stored, [&](std::span<const Value> row) -> Result<bool> {
      from_values(row, level.use);
      level.is_stored = true;
      return false;
    }));
    level.budget = std::move(budget);
  }
  return levels;
}

namespace {

/// What can never be spent there, whatever room there is.
std::optional<Error> misfit(const Budget& budget, const Units& asked, std::string_view currency,
                            bool unpriced) {
  if (unpriced && budget.money && budget.unpriced == Unpriced::refuse) {
    return Error(Code::invalid,
                 fmt::format("price: nobody knows what this costs, and the budget \"{}\" limits "
                             "money; give a price, or let the budget allow what is unpriced",
                             budget.name),
                 "price");
  }
  if (asked[money_unit] > 0 && counts_money(budget) && budget.currency != currency) {
    return Error(Code::invalid,
                 fmt::format("money: it costs {}, and the budget \"{}\" counts {}", currency,
                             budget.name, budget.currency),
                 "money");
  }
  return std::nullopt;
}

std::string refused_text(const BudgetLevel& level, std::size_t unit, std::int64_t asked) {
  const auto text = [&](std::int64_t amount) {
    return unit_text(unit, amount, level.budget.currency);
  };
  std::string out =
      fmt::format("budget: \"{}\" has no room for {}: of {} {} are spent and {} reserved",
                  level.budget.name, text(asked), text(level.limit(unit).value_or(unlimited)),
                  text(spent_of(level.use)[unit]), text(reserved_of(level.use)[unit]));
  if (level.use.ends != Timestamp::never()) out += ", until " + level.use.ends.to_string();
  return out;
}

}  // namespace

std::optional<Refusal> refusal_of(const std::vector<BudgetLevel>& levels, const Units& asked,
                                  std::string_view currency, bool unpriced,
                                  const Planned& planned) {
  std::optional<Refusal> refusal;
  for (const BudgetLevel& level : levels) {
    if (auto error = misfit(level.budget, asked, currency, unpriced)) {
      return Refusal{std::move(*error), false, level.budget.id, Timestamp::never()};
    }
    Units used = added(spent_of(level.use), reserved_of(level.use));
    if (const auto more = planned.find(level.budget.id); more != planned.end()) {
      used = added(used, more->second);
    }
    for (std::size_t unit = 0; unit < used.size(); ++unit) {
      const std::int64_t limit = level.limit(unit).value_or(unlimited);
      if (used[unit] <= limit && asked[unit] <= limit - used[unit]) continue;
      if (!refusal) {
        refusal = Refusal{Error(Code::exhausted, refused_text(level, unit, asked[unit]), "budget"),
                          true, level.budget.id, level.use.ends};
      }
      refusal->until = std::max(refusal->until, level.use.ends);
    }
  }
  return refusal;
}

}  // namespace detail
BUREAU_END_NAMESPACE
