#pragma once

// What tests of budgets begin with.

#include <optional>
#include <string>
#include <string_view>

#include "bureau/work/budget.hpp"
#include "work/run_office.hpp"

namespace bureau::work_test {

inline const Currency eur = *Currency::parse("EUR");

/// A run under a budget: `body` is what it does.
struct BudgetDesk {
  explicit BudgetDesk(Body body) : desk(std::move(body)) {}
  [[nodiscard]] Budgets budgets() { return Budgets(desk.office.system()); }
  Budget budget(const NewBudget& of) { return must(budgets().create(of)); }
  Id<Task> enqueue(const Budget& of) {
    EnqueueOptions options;
    options.budget = of.id;
    return must(desk.office.tasks().enqueue(plan, {1, 2}, options)).id;
  }
  [[nodiscard]] BudgetState state(const Budget& of) { return must(budgets().state(of.id)); }
  std::vector<Spending> spendings(Id<Task> task) { return must(budgets().spendings_of(task)); }
  RunDesk desk;
};

inline bool contains(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

inline NewBudget tokens(std::string name, std::int64_t limit,
                        std::optional<Id<Budget>> parent = {}) {
  NewBudget out;
  out.name = std::move(name);
  out.limits.tokens = limit;
  out.parent = parent;
  return out;
}

inline Spend most_tokens(std::int64_t most, Spend::Exhausted exhausted = Spend::Exhausted::fail) {
  Spend spend;
  spend.most.tokens = most;
  spend.exhausted = exhausted;
  return spend;
}

/// Reserves `most` and uses `use`.
inline Result<Total> spend_tokens(Run& run, std::int64_t most, std::int64_t use,
                                  Spend::Exhausted exhausted = Spend::Exhausted::fail) {
  BUREAU_TRY_VOID(
      run.spend("ask", most_tokens(most, exhausted), [&](Amounts& used) -> Result<void> {
        used.tokens = use;
        return {};
      }));
  return Total{use};
}

}  // namespace bureau::work_test
