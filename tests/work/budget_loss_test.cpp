// Reservations of work that fails, is lost, cancelled or in doubt: nothing leaks, nothing is free.

#include <doctest/doctest.h>

#include <stdexcept>

#include "work/budget_desk.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;
using Desk = BudgetDesk;

TEST_CASE("Work that fails has used what it says; the next attempt reserves anew") {
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.spend("ask", most_tokens(60), [&](Amounts& used) -> Result<void> {
      used.tokens = run.task().attempt == 1 ? 10 : 20;
      if (run.task().attempt == 1) return fail(Code::unavailable, "no line");
      return {};
    }));
    return Total{1};
  });
  const Budget project = it.budget(tokens("project", 80));
  const auto id = it.enqueue(project);
  it.desk.run_all();
  CHECK(it.state(project).spent.tokens == 10);
  CHECK(it.state(project).reserved.tokens == 0);
  it.desk.after(10s);
  CHECK(it.desk.value(id) == 1);
  CHECK(it.state(project).spent.tokens == 30);
}

TEST_CASE("What a lost attempt had reserved counts in full, until a receipt says otherwise") {
  bool dies = true;
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.spend("ask", most_tokens(60), [&](Amounts& used) -> Result<void> {
      used.tokens = 5;
      if (dies) throw std::runtime_error("it died");
      return {};
    }));
    return Total{1};
  });
  const Budget project = it.budget(tokens("project", 100));
  const auto id = it.enqueue(project);
  it.desk.run_all();
  CHECK(it.state(project).spent.tokens == 60);  // derived: nothing is written of it
  CHECK(it.state(project).reserved.tokens == 0);
  CHECK(it.spendings(id)[0].status == SpendingStatus::reserved);
  it.desk.office.clock.advance(5s);
  must(it.desk.worker.orchestrator.duties());
  CHECK(it.spendings(id)[0].status == SpendingStatus::presumed);
  CHECK(it.state(project).spent.tokens == 60);
  dies = false;
  it.desk.after(10s);  // 60 more do not fit
  CHECK(it.desk.status(id) == TaskStatus::scheduled);
  const Spending corrected = must(it.budgets().correct(it.spendings(id)[0].id, {.tokens = 30}));
  CHECK(corrected.status == SpendingStatus::settled);
  CHECK(corrected.spent_tokens == 30);
  CHECK(code_of(it.budgets().correct(corrected.id, {})) == Code::conflict);
  it.desk.after(10s);
  CHECK(it.desk.status(id) == TaskStatus::completed);
  CHECK(it.state(project).spent.tokens == 35);
}

TEST_CASE("The next attempt does not keep the reservation of the lost one alive") {
  std::optional<BudgetState> seen;
  std::optional<Budget> project;
  Desk* desk = nullptr;
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    if (run.task().attempt > 1) seen = desk->state(*project);
    const auto ask = [&](Amounts&) -> Result<void> {
      if (run.task().attempt == 1) throw std::runtime_error("it died");
      return {};
    };
    BUREAU_TRY_VOID(run.spend("ask", most_tokens(60), ask));
    return Total{1};
  });
  desk = &it;
  project = it.budget(tokens("project", 200));
  const auto id = it.enqueue(*project);
  it.desk.run_all();
  it.desk.after(10s);
  CHECK(it.desk.value(id) == 1);
  REQUIRE(seen);
  CHECK(seen->spent.tokens == 60);
  CHECK(seen->reserved.tokens == 0);
  CHECK(it.state(*project).spent.tokens == 120);
}

TEST_CASE("G11_nothing_leaks_of_a_run_that_is_cancelled_or_given_up_while_it_spends") {
  Desk* desk = nullptr;
  Desk it([&](Run& run, const Sum& sum) -> Result<Total> {
    return run
        .spend("ask", most_tokens(10),
               [&](Amounts&) -> Result<void> {
                 if (sum.a == 1) {
                   must(desk->desk.office.tasks().cancel(run.task().id, "not wanted"));
                   return fail(Code::cancelled, "as it was told");
                 }
                 throw std::runtime_error("no");
               })
        .map([] { return Total{}; });
  });
  desk = &it;
  const Budget project = it.budget(tokens("project", 1000));
  for (const std::int64_t how : {1, 2}) {
    EnqueueOptions options;
    options.budget = project.id;
    must(it.desk.office.tasks().enqueue(plan, {how, 0}, options));
  }
  for (int i = 0; i < 5; ++i) {
    it.desk.after(10s);
    must(it.desk.worker.orchestrator.duties());
  }
  CHECK(must(it.desk.office.tasks().count(col(&Task::status) >= TaskStatus::completed)) == 2);
  CHECK(it.state(project).reserved.tokens == 0);
  CHECK(it.state(project).spent.tokens == 40);  // once, and three times
  CHECK(must(Repository<Spending>(it.desk.office.system())
                 .count(col(&Spending::status) < SpendingStatus::settled)) == 0);
}

TEST_CASE("An unsafe step in doubt keeps its reservation; that nothing happened gives it back") {
  bool dies = true;
  const auto body = [&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(
        run.spend("pay", Effect::external_unsafe, most_tokens(60), [&](Amounts&) -> Result<void> {
          if (dies) throw std::runtime_error("it died");
          return {};
        }));
    return Total{1};
  };
  Desk it(body);
  const Budget project = it.budget(tokens("project", 100));
  const auto id = it.enqueue(project);
  it.desk.run_all();
  REQUIRE(it.desk.status(id) == TaskStatus::in_doubt);
  must(it.desk.worker.orchestrator.duties());
  CHECK(it.state(project).reserved.tokens == 60);
  SUBCASE("nothing happened") {
    dies = false;
    must(it.desk.office.tasks().resolve(id, TaskStatus::ready, "it did not arrive"));
    CHECK(it.state(project).reserved.tokens == 0);
    CHECK(it.state(project).spent.tokens == 0);
    it.desk.run_all();
    CHECK(it.desk.status(id) == TaskStatus::completed);
  }
  SUBCASE("it happened") {
    must(it.desk.runs().resolve_step(id, Json(), "the bank has it"));
    it.desk.run_all();
    CHECK(it.desk.status(id) == TaskStatus::completed);
  }
  CHECK(it.state(project).reserved.tokens == 0);
  CHECK(it.state(project).spent.tokens == 60);
}

TEST_CASE("A probe says what became of it: what did not happen goes on with its reservation") {
  bool happened = false;
  int asked = 0, worked = 0;
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.spend(
        "pay", Effect::external_unsafe, most_tokens(60),
        [&](Amounts& used) -> Result<void> {
          if (++worked == 1) throw std::runtime_error("it died");
          used.tokens = 20;
          return {};
        },
        [&]() -> Result<bool> {
          ++asked;
          return happened;
        }));
    return Total{1};
  });
  const Budget project = it.budget(tokens("project", 100));
  const auto id = it.enqueue(project);
  it.desk.run_all();
  must(it.desk.worker.orchestrator.duties());  // presumed meanwhile
  SUBCASE("it happened") { happened = true; }
  SUBCASE("it did not") {}
  it.desk.after(10s);
  CHECK(it.desk.status(id) == TaskStatus::completed);
  CHECK(asked == 1);
  CHECK(worked == (happened ? 1 : 2));
  CHECK(it.state(project).spent.tokens == (happened ? 60 : 20));
  CHECK(it.state(project).reserved.tokens == 0);
  CHECK(it.spendings(id).size() == 1);
}

TEST_CASE("A wait that is cancelled or retried leaves nothing behind") {
  std::int64_t most = 60;
  Desk it(
      [&](Run& run, const Sum&) { return spend_tokens(run, most, most, Spend::Exhausted::wait); });
  const Budget project = it.budget(tokens("project", 50));
  const auto cancelled = it.enqueue(project);
  const auto retried = it.enqueue(project);
  it.desk.run_all();
  must(it.desk.office.tasks().cancel(cancelled, "enough"));
  most = 20;
  must(it.desk.runs().retry_from(retried, 0));
  it.desk.run_all();
  CHECK(it.desk.value(retried) == 20);
  it.desk.office.clock.advance(5s);
  must(it.desk.worker.orchestrator.duties());
  CHECK(it.state(project).waiting == 0);
  CHECK(it.spendings(cancelled).empty());
}
