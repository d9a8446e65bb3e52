// Steps that cost something: what is reserved before, and settled with the record.

#include <fmt/format.h>

#include <algorithm>

#include "store/row_values.hpp"
#include "work/run_history.hpp"
#include "work/spend.hpp"

BUREAU_BEGIN_NAMESPACE

/// Waits for room that are over are passed; one that is open is where the run stands.
void Run::Turn::find_wait(std::string_view name) {
  History& history = *run_.history_;
  while (!history.at_end()) {
    const RunStep& next = history.steps[history.position];
    if (next.kind != StepKind::budget || next.name != name) return;
    if (next.status == StepStatus::open) {
      if (spend_ != nullptr) wait_ = next;
      return;
    }
    ++history.position;
  }
}

/// The wait is over, in the database too.
void Run::Turn::pass_wait() {
  if (!wait_) return;
  History& history = *run_.history_;
  history.steps[history.position].status = StepStatus::finished;
  ++history.position;
  wait_.reset();
}

/// Reserves what the step may cost, with its intent where it has one; or rests until there is room.
Result<void> Run::Turn::reserve(bool intends) {
  if (!wait_ && !run_.task_.budget) {  // where nothing counts, it costs no commit
    bool counts = false;
    BUREAU_TRY_VOID(run_.look([&](Reader& reader) -> Result<void> {
      BUREAU_TRY(const auto path, detail::budget_path(reader, run_.task_.tenant, std::nullopt));
      counts = !path.empty();
      return {};
    }));
    if (!counts) return intends ? intend() : Result<void>();
  }
  const SpendingStatus as =
      step_.kind == StepKind::request ? SpendingStatus::begun : SpendingStatus::reserved;
  std::optional<Spending> made;
  std::optional<Error> refused;
  RunStep row, wait;
  bool rests = false;
  const auto write = [&](Transaction& tx) -> Result<void> {
    refused.reset();
    rests = false;
    BUREAU_TRY(auto outcome,
               detail::reserve(tx, run_.task_, step_.position, step_.name, *spend_, as));
    made = std::move(outcome.spending);
    if (outcome.refusal && outcome.refusal->may_wait &&
        spend_->exhausted == Spend::Exhausted::wait) {
      rests = true;
      wait = wait_ ? *wait_ : run_.new_step(StepKind::budget, step_.name);
      is_recorded_ = wait_.has_value();
      return rest(tx, wait, outcome.refusal->until, 0);
    }
    if (wait_) {
      wait = *wait_;
      wait.status = StepStatus::finished;
      wait.finished_at = tx.now();
      BUREAU_TRY_VOID(detail::replace_step(tx, *wait_, wait));
    }
    if (outcome.refusal) {
      refused = std::move(outcome.refusal->error);
      return {};
    }
    row = step_;
    row.status = StepStatus::open;
    return intends ? put(tx, row) : Result<void>();
  };
  is_recorded_ = false;
  BUREAU_TRY_VOID(run_.commit(write, WhenCancelled::refuse));
  if (rests) return rested();
  is_recorded_ = false;
  pass_wait();
  if (refused) return fail(failed(std::move(*refused)));
  spending_ = std::move(made);
  used_ = spend_->most;
  spent_from_ = run_.queue_.database().clock().monotonic();
  if (!intends) return {};
  keep(std::move(row));
  intended_ = true;
  return {};
}

Result<void> Run::Turn::load_spending() {
  used_ = spend_->most;
  spent_from_ = run_.queue_.database().clock().monotonic();
  return run_.look([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(spending_, detail::spending_at(reader, run_.task_.id, step_.position));
    if (spending_) used_ = spending_->reserved();
    return {};
  });
}

Result<void> Run::Turn::take_over() {
  if (!spending_) return {};
  return run_.commit(
      [&](Transaction& tx) { return detail::take_over(tx, spending_->id, run_.task_.attempt); });
}

void Run::Turn::used(const Amounts& amounts) {
  used_ = amounts;
  if (spend_ == nullptr || amounts.time != spend_->most.time) return;
  used_.time = run_.queue_.database().clock().monotonic() - spent_from_;
}

Result<void> Run::Turn::settle(Transaction& transaction) const {
  return detail::settle(transaction, spending_->id, used_);
}

// Budgets of its own ---------------------------------------------------------------------------

Result<Id<Budget>> Run::budget(std::string_view name, const BudgetLimits& limits) {
  return step(name, [&](Unit& unit) -> Result<Id<Budget>> {
    Transaction& tx = unit.transaction();
    Budget budget;
    budget.tenant = task_.tenant;
    budget.name = name;
    budget.parent = task_.budget;
    budget.tokens = limits.tokens;
    budget.calls = limits.calls;
    budget.time = limits.time;
    if (limits.money) {
      budget.money = limits.money->minor;
      budget.currency = std::string(limits.money->currency.code());
    }
    budget.made_in = task_.id;
    budget.version = 1;
    budget.created_at = budget.updated_at = tx.now();
    BUREAU_TRY_VOID(detail::check_budget_row({}, detail::RowValues(budget).values()));
    BUREAU_TRY(const auto above, detail::budget_path(tx.reader(), task_.tenant, budget.parent));
    for (const Budget& one : above) {
      if (budget.currency.empty() || one.currency.empty() || one.currency == budget.currency) {
        continue;
      }
      return fail(Code::invalid,
                  fmt::format("money: {}, but the budget \"{}\" above it counts {}",
                              limits.money->to_string(), one.name, one.currency),
                  "money");
    }
    BUREAU_TRY(budget.id.value, tx.next_id());
    BUREAU_TRY_VOID(tx.insert(table_of<Budget>(), detail::RowValues(budget).values()));
    return budget.id;
  });
}

Result<EnqueueOptions> Run::with_budget(Reader& reader, EnqueueOptions options) const {
  if (!options.budget) {
    options.budget = task_.budget;
    return options;
  }
  BUREAU_TRY(const auto path, detail::budget_path(reader, task_.tenant, options.budget));
  const bool is_below = std::any_of(path.begin(), path.end(), [&](const Budget& one) {
    return one.id == task_.budget || (!task_.budget && one.made_in == task_.id);
  });
  if (is_below) return options;
  return fail(Code::forbidden,
              fmt::format("budget: {} is not below the run's own, nor made by it",
                          id::to_text(schema<Budget>.prefix, options.budget->value)),
              "budget");
}

BUREAU_END_NAMESPACE
