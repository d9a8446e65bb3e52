#include "work/spend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "bureau/core/civil.hpp"
#include "store/row_values.hpp"
#include "work/task_columns.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

constexpr std::size_t most_levels = 16;
constexpr std::int64_t micros_in_minor = 1'000'000;
/// Of sums: far from what 64 bits hold.
constexpr std::int64_t most_in_sum = 8'000'000'000'000'000'000;
/// How many of those that wait for one budget are looked at together.
constexpr std::uint64_t waiting_at_once = 20;

Predicate is_live() { return col(&Spending::status) < SpendingStatus::settled; }

Result<std::vector<Spending>> spendings(Reader& reader, const Select& which) {
  std::vector<Spending> out;
  BUREAU_TRY_VOID(reader.scan(which, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, out.emplace_back());
    return true;
  }));
  return out;
}

Units sum(Units a, const Units& b, std::int64_t times = 1) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += times * b[i];
  return a;
}

void set_reserved(Spending& spending, const Units& units) {
  spending.reserved_tokens = units[0];
  spending.reserved_calls = units[1];
  spending.reserved_time = Duration(units[2]);
  spending.reserved_money_micros = units[3];
}
void set_spent(Spending& spending, const Units& units) {
  spending.spent_tokens = units[0];
  spending.spent_calls = units[1];
  spending.spent_time = Duration(units[2]);
  spending.spent_money_micros = units[3];
}

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

bool counts_money(const Budget& budget) { return !budget.currency.empty(); }

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
                  level.budget.name, text(asked), text(level.limit(unit).value_or(most_in_sum)),
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
    Units used = sum(spent_of(level.use), reserved_of(level.use));
    if (const auto more = planned.find(level.budget.id); more != planned.end()) {
      used = sum(used, more->second);
    }
    for (std::size_t unit = 0; unit < used.size(); ++unit) {
      const std::int64_t limit = level.limit(unit).value_or(most_in_sum);
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

// Reserving ------------------------------------------------------------------------------------

namespace {

struct UseColumns {
  const TableInfo& table = table_of<BudgetUse>();
  std::array<const ColumnInfo*, 4> reserved{
      table.find("reserved_tokens"), table.find("reserved_calls"), table.find("reserved_time"),
      table.find("reserved_money_micros")};
  std::array<const ColumnInfo*, 4> spent{table.find("spent_tokens"), table.find("spent_calls"),
                                         table.find("spent_time"),
                                         table.find("spent_money_micros")};
};
const UseColumns& use_columns() {
  static const UseColumns columns;
  return columns;
}

/// Which uses a spending counts in, and in which of them only without its money.
struct UseIds {
  std::vector<Id<BudgetUse>> counted, moneyless;
};

Json to_json(const UseIds& ids) {
  const auto list = [](const std::vector<Id<BudgetUse>>& from) {
    Json out = Json::array();
    for (const Id<BudgetUse> id : from) out.push_back(id.value);
    return out;
  };
  return Json::object({{"counted", list(ids.counted)}, {"moneyless", list(ids.moneyless)}});
}

UseIds use_ids(const Json& json) {
  UseIds out;
  const auto read = [&](std::string_view name, std::vector<Id<BudgetUse>>& to) {
    const Json* list = json.find(name);
    const Json::Array* items = list == nullptr ? nullptr : list->as_array();
    if (items == nullptr) return;
    for (const Json& item : *items) {
      if (const std::int64_t* id = item.as_int()) to.emplace_back(*id);
    }
  };
  read("counted", out.counted);
  read("moneyless", out.moneyless);
  return out;
}

/// One statement for all of them that count alike.
Result<void> add_to_uses(Transaction& tx, const UseIds& ids, const Units& reserved,
                         const Units& spent, bool is_change,
                         FunctionRef<Result<void>(const BudgetUse&)> each) {
  for (const auto* group : {&ids.counted, &ids.moneyless}) {
    if (group->empty()) continue;
    Update update;
    update.which.table = &use_columns().table;
    update.which.where =
        group->size() == 1 ? col(&BudgetUse::id) == group->front() : col(&BudgetUse::id).in(*group);
    const std::size_t units = group == &ids.counted ? 4 : money_unit;
    for (std::size_t i = 0; i < units; ++i) {
      if (reserved[i] != 0) update.set.push_back(add(use_columns().reserved[i], reserved[i]));
      if (spent[i] != 0) update.set.push_back(add(use_columns().spent[i], spent[i]));
    }
    if (update.set.empty()) continue;
    const auto changed = [&](std::span<const Value> row) -> Result<bool> {
      BudgetUse use;
      from_values(row, use);
      BUREAU_TRY_VOID(each(use));
      return true;
    };
    BUREAU_TRY_VOID(is_change ? tx.update(update, changed)
                              : tx.unjournalled().update(update, changed));
  }
  return {};
}

Result<UseIds> stored_uses(Transaction& tx, std::vector<BudgetLevel>& levels) {
  UseIds ids;
  for (BudgetLevel& level : levels) {
    if (!level.is_stored) {
      BUREAU_TRY(level.use.id.value, tx.next_id());
      BUREAU_TRY_VOID(tx.insert(table_of<BudgetUse>(), RowValues(level.use).values()));
      level.is_stored = true;
    }
    (counts_money(level.budget) ? ids.counted : ids.moneyless).push_back(level.use.id);
  }
  return ids;
}

Result<void> replace(Transaction& tx, const Spending& before, const Spending& after) {
  return tx.replace(table_of<Spending>(), RowValues(before).values(), RowValues(after).values());
}

Result<void> remove(Transaction& tx, Id<Spending> id) {
  BUREAU_TRY_VOID(tx.remove(select<Spending>().where(col(&Spending::id) == id)));
  return {};
}

/// What was reserved by an attempt that is lost, in full.
Result<void> presume(Transaction& tx, const Spending& lost) {
  if (lost.status == SpendingStatus::awaited) return remove(tx, lost.id);
  return settle(tx, lost.id, lost.reserved(), SpendingStatus::presumed);
}

Spending new_spending(const Task& task, std::int64_t position, std::string_view step,
                      const Spend& spend, const Units& units, Timestamp now) {
  Spending spending;
  spending.tenant = task.tenant;
  spending.task = task.id;
  spending.position = position;
  spending.attempt = task.attempt;
  spending.step = step;
  spending.currency = units[money_unit] > 0 ? spend.most.money.currency.code() : "";
  spending.unpriced = spend.unpriced;
  spending.uses = Json::object();
  spending.created_at = now;
  set_reserved(spending, units);
  return spending;
}

Result<void> insert(Transaction& tx, Spending& spending) {
  BUREAU_TRY(spending.id.value, tx.next_id());
  return tx.insert(table_of<Spending>(), RowValues(spending).values());
}

}  // namespace

Result<Reservation> reserve(Transaction& tx, const Task& task, std::int64_t position,
                            std::string_view step, const Spend& spend, SpendingStatus as) {
  BUREAU_TRY(const Units units, units_of(spend.most));
  Reservation out;
  auto found = budget_levels(tx.reader(), task.tenant, task.budget, tx.now());
  if (!found && found.error().code == Code::not_found) {
    out.refusal = Refusal{found.error(), false, {}, Timestamp::never()};
    return out;
  }
  if (!found) return fail(std::move(found).error());
  if (found->empty()) return out;
  Spending made = new_spending(task, position, step, spend, units, tx.now());
  made.budget = found->front().budget.id;
  made.status = as;
  BUREAU_TRY(const auto live,
             spendings(tx.reader(),
                       select<Spending>().where(col(&Spending::task) == task.id && is_live())));
  std::optional<Spending> awaited;
  for (const Spending& other : live) {
    if (other.status == SpendingStatus::awaited) {
      awaited = other;
    } else {
      BUREAU_TRY_VOID(presume(tx, other));
    }
  }
  if (live.size() > (awaited ? 1U : 0U)) {
    BUREAU_TRY(*found, budget_levels(tx.reader(), task.tenant, task.budget, tx.now()));
  }
  out.refusal = refusal_of(*found, units, made.currency, spend.unpriced);
  if (out.refusal) {
    const bool waits = out.refusal->may_wait && spend.exhausted == Spend::Exhausted::wait;
    if (!waits && awaited) BUREAU_TRY_VOID(remove(tx, awaited->id));
    if (!waits || awaited) return out;
    made.status = SpendingStatus::awaited;
    BUREAU_TRY_VOID(insert(tx, made));
    return out;
  }
  if (awaited) BUREAU_TRY_VOID(remove(tx, awaited->id));
  BUREAU_TRY(const UseIds ids, stored_uses(tx, *found));
  made.uses = to_json(ids);
  BUREAU_TRY_VOID(
      add_to_uses(tx, ids, units, {}, false, [](const BudgetUse&) -> Result<void> { return {}; }));
  BUREAU_TRY_VOID(insert(tx, made));
  out.spending = std::move(made);
  return out;
}

// Settling -------------------------------------------------------------------------------------

namespace {

/// Notes that more is spent than the budget allows; it takes no further reservation then.
Result<bool> note_overrun(Transaction& tx, const BudgetUse& use) {
  BUREAU_TRY(auto budget, find_row(tx.reader(), use.budget));
  if (!budget) return false;
  const BudgetLevel level{std::move(*budget), use, true};
  const Units spent = spent_of(use);
  bool over = false;
  for (std::size_t unit = 0; unit < spent.size(); ++unit) {
    over = over || spent[unit] > level.limit(unit).value_or(most_in_sum);
  }
  if (!over || use.overrun_at) return over;
  BudgetUse noted = use;
  noted.overrun_at = tx.now();
  BUREAU_TRY_VOID(
      tx.replace(table_of<BudgetUse>(), RowValues(use).values(), RowValues(noted).values()));
  return true;
}

}  // namespace

Result<void> settle(Transaction& tx, Id<Spending> id, const Amounts& used, SpendingStatus as) {
  BUREAU_TRY(const auto found, find_row(tx.reader(), id));
  if (!found || found->status == SpendingStatus::settled ||
      found->status == SpendingStatus::released) {
    return {};
  }
  const Spending& before = *found;
  if (before.status == SpendingStatus::awaited) return remove(tx, id);
  BUREAU_TRY(const Units units, units_of(used));
  const bool was_presumed = before.status == SpendingStatus::presumed;
  if (was_presumed && as == SpendingStatus::presumed) return {};
  const std::string currency(used.money.currency.code());
  if (units[money_unit] > 0 && !before.currency.empty() && before.currency != currency) {
    return fail(
        Code::invalid,
        fmt::format("money: {} were reserved, {} cannot be settled", before.currency, currency),
        "money");
  }
  const Units held = reserved_of(before);
  Spending after = before;
  after.status = as;
  after.settled_at = tx.now();
  if (after.currency.empty() && units[money_unit] > 0) after.currency = currency;
  set_spent(after, units);
  const Units off = was_presumed ? Units{} : sum({}, held, -1);
  const Units on = was_presumed ? sum(units, spent_of(before), -1) : units;
  bool more = false, less = false;
  for (std::size_t i = 0; i < units.size(); ++i) {
    more = more || on[i] > (was_presumed ? 0 : held[i]);
    less = less || on[i] < (was_presumed ? 0 : held[i]);
  }
  std::vector<BudgetUse> grown;
  BUREAU_TRY_VOID(add_to_uses(tx, use_ids(before.uses), off, on, true,
                              [&](const BudgetUse& use) -> Result<void> {
                                if (more) grown.push_back(use);
                                return {};
                              }));
  for (const BudgetUse& use : grown) {
    BUREAU_TRY(const bool over, note_overrun(tx, use));
    after.overrun = after.overrun || over;
  }
  BUREAU_TRY_VOID(replace(tx, before, after));
  if (less) BUREAU_TRY_VOID(wake_waiting(tx, before.tenant));
  return {};
}

Result<void> take_over(Transaction& tx, Id<Spending> id, std::int64_t attempt) {
  BUREAU_TRY(const auto before, find_row(tx.reader(), id));
  if (!before) return {};
  Spending after = *before;
  after.attempt = attempt;
  if (before->status == SpendingStatus::presumed) {
    after.status = SpendingStatus::reserved;
    after.settled_at.reset();
    set_spent(after, {});
    const Units held = reserved_of(*before);
    BUREAU_TRY_VOID(add_to_uses(tx, use_ids(before->uses), held, sum({}, held, -1), true,
                                [](const BudgetUse&) -> Result<void> { return {}; }));
  }
  return replace(tx, *before, after);
}

Result<void> release_spendings(Transaction& tx, Id<Task> task, std::int64_t position) {
  BUREAU_TRY(const auto last, spending_at(tx.reader(), task, position));
  if (!last) return {};
  return settle(tx, last->id, {}, SpendingStatus::released);
}

Result<std::optional<Spending>> spending_at(Reader& reader, Id<Task> task, std::int64_t position) {
  BUREAU_TRY(auto all, spendings(reader, select<Spending>()
                                             .where(col(&Spending::task) == task &&
                                                    col(&Spending::position) == position)
                                             .order_by(col(&Spending::id))));
  if (all.empty()) return std::optional<Spending>();
  return std::optional<Spending>(std::move(all.back()));
}

// What nobody is at any more -------------------------------------------------------------------

bool is_lost(const Spending& spending, const std::optional<Task>& task) {
  if (!task || has_ended(task->status)) return true;
  if (spending.status != SpendingStatus::reserved) return false;
  const bool at_it = task->status == TaskStatus::running || task->status == TaskStatus::in_doubt;
  return !at_it || task->attempt != spending.attempt;
}

Result<std::vector<Spending>> lost_spendings(Reader& reader, std::optional<Id<Tenant>> tenant) {
  std::vector<Spending> lost;
  for (const auto status : {SpendingStatus::reserved, SpendingStatus::begun}) {
    Predicate which = is_live() && col(&Spending::status) == status;
    if (tenant) which = which && col(&Spending::tenant) == *tenant;
    BUREAU_TRY(auto live, spendings(reader, select<Spending>().where(which)));
    for (Spending& one : live) {
      BUREAU_TRY(const auto task, find_row(reader, one.task));
      if (is_lost(one, task)) lost.push_back(std::move(one));
    }
  }
  return lost;
}

namespace {

struct Waiting {
  std::vector<Spending> over;  // their runs have ended
  std::vector<Id<Task>> may_go_on;
};

/// The first of those that wait for each budget, in the order in which they came: however many wait
/// for one, they do not stand before those that wait for another.
Result<std::vector<Spending>> first_waiting(Reader& reader, Id<Tenant> tenant) {
  const Predicate waits = is_live() && col(&Spending::tenant) == tenant &&
                          col(&Spending::status) == SpendingStatus::awaited;
  std::vector<Spending> out;
  for (Id<Budget> budget(1);;) {  // below every id that is issued
    BUREAU_TRY(const auto next,
               spendings(reader, select<Spending>()
                                     .where(waits && col(&Spending::budget) > budget)
                                     .order_by(col(&Spending::budget))
                                     .limit(1)));
    if (next.empty()) break;
    budget = next.front().budget;
    BUREAU_TRY(auto some, spendings(reader, select<Spending>()
                                                .where(waits && col(&Spending::budget) == budget)
                                                .order_by(col(&Spending::id))
                                                .limit(waiting_at_once)));
    std::move(some.begin(), some.end(), std::back_inserter(out));
  }
  std::sort(out.begin(), out.end(),
            [](const Spending& a, const Spending& b) { return a.id < b.id; });
  return out;
}

Result<Waiting> look_at_waiting(Reader& reader, Id<Tenant> tenant, Timestamp now) {
  Waiting out;
  Planned planned;
  BUREAU_TRY(const auto waiting, first_waiting(reader, tenant));
  for (const Spending& one : waiting) {
    BUREAU_TRY(const auto task, find_row(reader, one.task));
    if (is_lost(one, task)) {
      out.over.push_back(one);
      continue;
    }
    const auto levels = budget_levels(reader, tenant, task->budget, now);
    const Units asked = reserved_of(one);
    if (levels) {
      const auto refusal = refusal_of(*levels, asked, one.currency, one.unpriced, planned);
      if (refusal && refusal->may_wait) continue;
      for (const BudgetLevel& level : *levels) {
        Units& more = planned[level.budget.id];
        more = sum(more, asked);
      }
    }
    if (task->status == TaskStatus::waiting) out.may_go_on.push_back(one.task);
  }
  return out;
}

}  // namespace

Result<std::uint64_t> wake_waiting(Transaction& tx, Id<Tenant> tenant) {
  BUREAU_TRY(const Waiting waiting, look_at_waiting(tx.reader(), tenant, tx.now()));
  for (const Spending& one : waiting.over) BUREAU_TRY_VOID(remove(tx, one.id));
  for (const Id<Task> task : waiting.may_go_on) BUREAU_TRY_VOID(wake(tx, task));
  return waiting.over.size() + waiting.may_go_on.size();
}

Result<std::uint64_t> see_to_spendings(Database& database) {
  bool any = false;
  std::vector<Id<Tenant>> tenants;
  BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    tenants.clear();
    BUREAU_TRY(const auto lost, lost_spendings(reader, std::nullopt));
    any = !lost.empty();
    Aggregate waiting;
    waiting.table = &table_of<Spending>();
    waiting.where = is_live() && col(&Spending::status) == SpendingStatus::awaited;
    waiting.group_by = {table_of<Spending>().find("tenant")};
    waiting.measures = {{Aggregate::Function::count, nullptr}};
    BUREAU_TRY_VOID(reader.aggregate(waiting, [&](std::span<const Value> row) -> Result<bool> {
      tenants.emplace_back(row[0].as_integer());
      return true;
    }));
    for (const Id<Tenant> tenant : tenants) {
      BUREAU_TRY(const Waiting found, look_at_waiting(reader, tenant, database.clock().now()));
      any = any || !found.over.empty() || !found.may_go_on.empty();
    }
    return {};
  }));
  if (!any) return 0;
  std::uint64_t done = 0;
  BUREAU_TRY_VOID(database.write(portable(), by_system, [&](Transaction& tx) -> Result<void> {
    done = 0;
    BUREAU_TRY(const auto lost, lost_spendings(tx.reader(), std::nullopt));
    for (const Spending& one : lost) BUREAU_TRY_VOID(presume(tx, one));
    done += lost.size();
    for (const Id<Tenant> tenant : tenants) {
      BUREAU_TRY(const auto woken, wake_waiting(tx, tenant));
      done += woken;
    }
    return {};
  }));
  return done;
}

}  // namespace detail
BUREAU_END_NAMESPACE
