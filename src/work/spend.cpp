#include "work/spend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "store/row_values.hpp"
#include "work/task_columns.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

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
    over = over || spent[unit] > level.limit(unit).value_or(unlimited);
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
  const Units off = was_presumed ? Units{} : added({}, held, -1);
  const Units on = was_presumed ? added(units, spent_of(before), -1) : units;
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
    BUREAU_TRY_VOID(add_to_uses(tx, use_ids(before->uses), held, added({}, held, -1), true,
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
        more = added(more, asked);
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
