// What steps reserve, use and wait for, and what a budget may be.

#include <doctest/doctest.h>

#include "bureau/work/why.hpp"
#include "work/budget_desk.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;
using Desk = BudgetDesk;

TEST_CASE("What a step may cost is reserved before its work, and what it used settled with it") {
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    Spend spend;
    spend.most = {.tokens = 100, .calls = 1, .money = {5, eur}};
    BUREAU_TRY(const auto sum, run.spend("ask", spend, [&](Amounts& used) -> Result<std::int64_t> {
      CHECK(used.tokens == 100);
      used.tokens = 40;
      used.money = {1, eur};
      used.money_micros = 250'000;
      return 7;
    }));
    return Total{sum};
  });
  NewBudget of = tokens("project", 1000);
  of.limits.money = Money{100, eur};
  const Budget project = it.budget(of);
  const Budget below = it.budget(tokens("part", 200, project.id));
  const auto id = it.enqueue(below);
  it.desk.run_all();
  CHECK(it.desk.value(id) == 7);
  for (const Budget& one : {project, below}) {
    const BudgetState state = it.state(one);
    CHECK(state.spent.tokens == 40);
    CHECK(state.spent.calls == 1);
    CHECK(state.reserved.tokens == 0);
    CHECK(state.reserved.calls == 0);
  }
  CHECK(it.state(project).spent.money == Money{1, eur});
  CHECK(it.state(project).spent.money_micros == 250'000);
  CHECK(it.state(project).spent.to_string() == "40 tokens, 1 call, 0.02 EUR");
  CHECK(it.state(below).spent.money.minor == 0);  // it counts none
  const auto spendings = it.spendings(id);
  REQUIRE(spendings.size() == 1);
  CHECK(spendings[0].status == SpendingStatus::settled);
  CHECK(spendings[0].budget == below.id);
  CHECK(spendings[0].step == "ask");
  CHECK(spendings[0].reserved().tokens == 100);
  CHECK_FALSE(spendings[0].overrun);
}

TEST_CASE("While the work is at it its reservation holds at every level") {
  std::optional<Budget> project;
  Desk* desk = nullptr;
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    const auto look = [&](Amounts&) -> Result<void> {
      CHECK(desk->state(*project).reserved.tokens == 60);
      CHECK(desk->state(*project).spent.tokens == 0);
      return {};
    };
    BUREAU_TRY_VOID(run.spend("ask", most_tokens(60), look));
    return Total{1};
  });
  desk = &it;
  project = it.budget(tokens("project", 100));
  it.enqueue(it.budget(tokens("part", 100, project->id)));
  it.desk.run_all();
  CHECK(it.state(*project).spent.tokens == 60);  // it did not say less
}

TEST_CASE("Without room at any level nothing is begun and nothing reserved; the error says where") {
  int worked = 0;
  std::optional<Error> error;
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    const auto outcome = run.spend("ask", most_tokens(60), [&](Amounts&) -> Result<void> {
      ++worked;
      return {};
    });
    if (!outcome) error = outcome.error();
    return Total{outcome ? 1 : 2};
  });
  const Budget tenant = it.budget({.name = "all", .limits = {.tokens = 50}, .whole_tenant = true});
  const Budget below = it.budget(tokens("part", 100));
  const auto id = it.enqueue(below);
  it.desk.run_all();
  CHECK(it.desk.value(id) == 2);  // it went on without
  CHECK(worked == 0);
  REQUIRE(error);
  CHECK(error->code == Code::exhausted);
  CHECK(error->field == "budget");
  CHECK(contains(error->message,
                 "\"all\" has no room for 60 tokens: of 50 tokens 0 tokens are spent"));
  CHECK(it.state(below).reserved.tokens == 0);
  CHECK(it.spendings(id).empty());
  CHECK(it.state(tenant).waiting == 0);
}

TEST_CASE("The tenant's own budget is above tasks that name none") {
  Desk it([&](Run& run, const Sum&) { return spend_tokens(run, 60, 60); });
  const auto before = must(it.desk.office.tasks().enqueue(plan, {1, 2})).id;
  it.desk.run_all();
  CHECK(it.desk.value(before) == 60);
  CHECK(it.spendings(before).empty());  // nothing counted it
  const Budget tenant = it.budget({.name = "all", .limits = {.tokens = 100}, .whole_tenant = true});
  CHECK(code_of(it.budgets().create({.name = "twice", .whole_tenant = true})) == Code::exists);
  const auto first = must(it.desk.office.tasks().enqueue(plan, {1, 2})).id;
  it.desk.run_all();
  CHECK(it.desk.value(first) == 60);
  const auto second = must(it.desk.office.tasks().enqueue(plan, {1, 2})).id;
  for (int i = 0; i < 4; ++i) it.desk.after(10s);
  CHECK(it.desk.status(second) == TaskStatus::dead);
  CHECK(it.state(tenant).spent.tokens == 60);
}

TEST_CASE("Children have their run's budget, or one below it that the run makes") {
  std::optional<Id<Budget>> foreign;
  Code refused = Code::internal;
  Id<Task> heir, narrow;
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY(const auto purse, run.budget("for research", {.tokens = 30}));
    BUREAU_TRY(const auto one, run.spawn(work_test::part, {1, 1}));
    EnqueueOptions options;
    options.budget = purse;
    BUREAU_TRY(const auto two, run.spawn(work_test::part, {1, 2}, options));
    heir = one.task;
    narrow = two.task;
    BUREAU_TRY(const auto ends, run.join_all(std::vector{one, two}));
    options.budget = foreign;
    const auto wrong = run.spawn(work_test::part, {1, 3}, options);
    refused = wrong ? Code::internal : wrong.error().code;
    return Total{(ends[0] ? 10 : 0) + (ends[1] ? 1 : 0)};
  });
  RunDesk& desk = it.desk;
  const Budget project = it.budget(tokens("project", 1000));
  foreign = it.budget(tokens("another", 1000)).id;
  const auto id = it.enqueue(project);
  desk.run_all();
  CHECK(desk.value(id) == 11);
  CHECK(refused == Code::forbidden);
  CHECK(desk.find(heir).budget == project.id);
  const auto purse = desk.find(narrow).budget;
  REQUIRE(purse);
  const Budget made = must(it.budgets().find(*purse));
  CHECK(made.parent == project.id);
  CHECK(made.made_in == id);
  CHECK(made.tokens == 30);
}

TEST_CASE("What goes on in a run's place has its budget, and so has a fork") {
  Desk it([&](Run& run, const Sum& sum) -> Result<Total> {
    if (sum.a == 1) return run.hand_off(plan, {2, 2});
    return spend_tokens(run, 10, 10);
  });
  const Budget project = it.budget(tokens("project", 1000));
  const auto id = it.enqueue(project);
  it.desk.run_all();
  const Task last = must(it.desk.office.tasks().wait(id, Duration(0)));
  CHECK(last.id != id);
  CHECK(last.budget == project.id);
  const Task fork = must(it.desk.runs().fork_from(last.id, 0));
  CHECK(fork.budget == project.id);
  it.desk.run_all();
  CHECK(it.state(project).spent.tokens == 20);
}

TEST_CASE("A run that waits for room says so, and goes on when the limit is raised") {
  Desk it([&](Run& run, const Sum&) { return spend_tokens(run, 60, 60, Spend::Exhausted::wait); });
  const Budget project = it.budget(tokens("project", 50));
  const auto id = it.enqueue(project);
  it.desk.run_all();
  CHECK(it.desk.status(id) == TaskStatus::waiting);
  const Why answer = must(why(it.desk.office.system(), id));
  REQUIRE(answer.reasons.size() == 1);
  CHECK(answer.reasons[0].cause == WaitCause::budget);
  CHECK(contains(answer.reasons[0].text, "\"project\" has no room for 60 tokens"));
  CHECK(it.state(project).waiting == 1);
  it.desk.after(1h);
  CHECK(it.desk.status(id) == TaskStatus::waiting);
  must(it.budgets().set_limits(project.id, {.tokens = 55}));
  it.desk.run_all();
  CHECK(it.desk.status(id) == TaskStatus::waiting);  // that is not enough
  must(it.budgets().set_limits(project.id, {.tokens = 60}));
  it.desk.run_all();
  CHECK(it.desk.value(id) == 60);
  CHECK(it.state(project).waiting == 0);
  CHECK(must(it.desk.runs().steps(id)).size() == 2);  // the wait, and the step
  must(it.desk.runs().fork_from(id, 2));              // replays both
  it.desk.run_all();
}

TEST_CASE("It goes on when what others had reserved is settled for less, the first first") {
  std::optional<Id<Task>> second, third;
  Desk* desk = nullptr;
  Desk it([&](Run& run, const Sum& sum) -> Result<Total> {
    if (sum.a == 0) {  // holds all, while the others come to wait
      const auto hold = [&](Amounts& used) -> Result<void> {
        desk->desk.run_all();
        CHECK(desk->desk.status(*second) == TaskStatus::waiting);
        CHECK(desk->desk.status(*third) == TaskStatus::waiting);
        used.tokens = 40;
        return {};
      };
      BUREAU_TRY_VOID(run.spend("hold", most_tokens(100), hold));
      return Total{0};
    }
    return spend_tokens(run, sum.a, sum.a, Spend::Exhausted::wait);
  });
  desk = &it;
  const Budget project = it.budget(tokens("project", 100));
  EnqueueOptions options;
  options.budget = project.id;
  const auto enqueue = [&](std::int64_t most) {
    return must(it.desk.office.tasks().enqueue(plan, {most, 0}, options)).id;
  };
  const auto first = enqueue(0);
  second = enqueue(50);
  third = enqueue(30);
  it.desk.run_all();
  it.desk.run_all();
  CHECK(it.desk.status(first) == TaskStatus::completed);
  CHECK(it.desk.status(*second) == TaskStatus::completed);
  CHECK(it.desk.status(*third) == TaskStatus::waiting);
  CHECK(it.state(project).spent.tokens == 90);
}

TEST_CASE(
    "However many wait for one budget, they do not stand before those that wait for another") {
  Desk it([&](Run& run, const Sum&) { return spend_tokens(run, 60, 60, Spend::Exhausted::wait); });
  const Budget full = it.budget(tokens("full", 0));
  const Budget other = it.budget(tokens("other", 0));
  for (int i = 0; i < 150; ++i) it.enqueue(full);
  const auto last = it.enqueue(other);
  it.desk.run_all();
  CHECK(it.state(full).waiting == 150);
  must(it.budgets().set_limits(other.id, {.tokens = 60}));
  it.desk.run_all();
  CHECK(it.desk.status(last) == TaskStatus::completed);
  must(it.budgets().set_limits(full.id, {.tokens = 60 * 150}));
  for (int i = 0; i < 10; ++i) {  // those behind the first are woken by the duties
    it.desk.after(5s);
    must(it.desk.worker.orchestrator.duties());
  }
  it.desk.run_all();
  CHECK(it.state(full).spent.tokens == 60 * 150);
}

TEST_CASE("A period turns at midnight of the tenant's zone, and gives room again") {
  Desk it([&](Run& run, const Sum&) { return spend_tokens(run, 60, 60, Spend::Exhausted::wait); });
  Tenant tenant = it.desk.office.tenant;
  tenant.zone = "Australia/Sydney";  // UTC+11 in November
  must(Repository<Tenant>(it.desk.office.system()).update(tenant));
  it.desk.office.clock.advance(*Timestamp::parse("2026-11-21T11:30:00Z") -
                               it.desk.office.clock.now());
  NewBudget of = tokens("daily", 100);
  of.period = BudgetPeriod::day;
  const Budget daily = it.budget(of);
  const auto first = it.enqueue(daily);
  const auto second = it.enqueue(daily);
  it.desk.run_all();
  CHECK(it.desk.status(first) == TaskStatus::completed);
  CHECK(it.desk.status(second) == TaskStatus::waiting);
  CHECK(it.state(daily).ends == *Timestamp::parse("2026-11-21T13:00:00Z"));
  CHECK(it.desk.find(second).run_at == *Timestamp::parse("2026-11-21T13:00:00Z"));
  it.desk.after(89min);
  CHECK(it.desk.status(second) == TaskStatus::waiting);
  it.desk.after(1min);
  CHECK(it.desk.status(second) == TaskStatus::completed);
  CHECK(it.state(daily).spent.tokens == 60);  // of this day
}

TEST_CASE("G11_an_overrun_found_at_settlement_is_recorded_and_blocks_further_reservations") {
  std::int64_t use = 90;
  Desk it([&](Run& run, const Sum&) { return spend_tokens(run, 60, use); });
  const Budget top = it.budget(tokens("top", 80));
  const Budget project = it.budget(tokens("project", 1000, top.id));
  const auto id = it.enqueue(project);
  it.desk.run_all();
  CHECK(it.desk.value(id) == 90);  // the work was done
  CHECK(it.state(top).overrun_at.has_value());
  CHECK_FALSE(it.state(project).overrun_at.has_value());
  CHECK(it.spendings(id)[0].overrun);
  use = 0;
  const auto next = it.enqueue(project);
  for (int i = 0; i < 4; ++i) it.desk.after(10s);
  CHECK(it.desk.status(next) == TaskStatus::dead);
  CHECK(it.state(top).spent.tokens == 90);
  // Nor does one that asks for nothing of that unit get through.
  const Budget calls = it.budget({.name = "calls", .parent = top.id});
  use = 0;
  const auto free = it.enqueue(calls);
  for (int i = 0; i < 4; ++i) it.desk.after(10s);
  CHECK(it.desk.status(free) == TaskStatus::dead);
  must(it.budgets().set_limits(top.id, {.tokens = 150}));
  const auto again = it.enqueue(project);
  it.desk.run_all();
  CHECK(it.desk.status(again) == TaskStatus::completed);
}

TEST_CASE("The time of a step is measured on the office's clock") {
  Desk* desk = nullptr;
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    Spend spend;
    spend.most.time = 1min;
    BUREAU_TRY_VOID(run.spend("ask", spend, [&](Amounts&) -> Result<void> {
      desk->desk.office.clock.advance(2s);
      return {};
    }));
    return Total{1};
  });
  desk = &it;
  const Budget project = it.budget({.name = "project", .limits = {.time = 1min}});
  it.enqueue(project);
  it.desk.run_all();
  CHECK(it.state(project).spent.time == 2s);
}

TEST_CASE(
    "What nobody knows the price of is refused where money is limited, unless it is allowed") {
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    Spend spend;
    spend.most.calls = 1;
    spend.unpriced = true;
    BUREAU_TRY_VOID(run.spend("ask", spend, [](Amounts&) -> Result<void> { return {}; }));
    return Total{1};
  });
  const Budget free = it.budget({.name = "calls", .limits = {.calls = 10}});
  const Budget money = it.budget({.name = "money", .limits = {.money = Money{100, eur}}});
  const auto one = it.enqueue(free);
  const auto two = it.enqueue(money);
  it.desk.run_all();
  CHECK(it.desk.status(one) == TaskStatus::completed);
  CHECK(it.desk.status(two) == TaskStatus::dead);  // it would be refused again
  CHECK(contains(*it.desk.find(two).error, "the budget \"money\" limits money"));
  must(it.budgets().set_unpriced(money.id, Unpriced::allow));
  const auto three = it.enqueue(money);
  it.desk.run_all();
  CHECK(it.desk.status(three) == TaskStatus::completed);
  CHECK(it.spendings(three)[0].unpriced);
}

TEST_CASE("G14_a_budget_that_cannot_be_is_refused_and_changes_nothing") {
  Office office;
  const Budgets budgets{office.system()};
  const auto refused = [&](const NewBudget& of) {
    const auto made = budgets.create(of);
    REQUIRE_FALSE(made.has_value());
    CHECK(made.error().code == Code::invalid);
    return made.error().field;
  };
  CHECK(refused({.name = ""}) == "name");
  CHECK(refused({.name = "b", .limits = {.tokens = -1}}) == "tokens");
  CHECK(refused({.name = "b", .limits = {.calls = -1}}) == "calls");
  CHECK(refused({.name = "b", .limits = {.time = -1s}}) == "time");
  CHECK(refused({.name = "b", .limits = {.money = Money{-5, eur}}}) == "money");
  CHECK(refused({.name = "b", .limits = {.money = Money{5, {}}}}) == "currency");
  CHECK(refused({.name = "b", .currency = "EURO"}) != "");
  CHECK(refused({.name = "b", .limits = {.money = Money{5, eur}}, .currency = "USD"}) ==
        "currency");
  const auto negative = budgets.create({.name = "b", .limits = {.tokens = -1}});
  CHECK(negative.error().message == "tokens: -1 is not from 0 to 4611686018427387903");
  CHECK(must(budgets.list()).empty());

  Budget last = must(budgets.create({.name = "0", .limits = {.money = Money{5, eur}}}));
  CHECK(refused({.name = "b", .parent = last.id, .currency = "USD"}) == "currency");
  CHECK(refused({.name = "b", .parent = last.id, .whole_tenant = true}) == "parent");
  for (int i = 1; i < 8; ++i) {
    last = must(budgets.create({.name = std::to_string(i), .parent = last.id}));
  }
  CHECK(refused({.name = "9", .parent = last.id}) == "parent");
  CHECK(code_of(budgets.create({.name = "b", .parent = Id<Budget>(77)})) == Code::not_found);
  CHECK(code_of(budgets.set_limits(last.id, {.tokens = -1})) == Code::invalid);
  const Budget first = must(budgets.find("0"));
  CHECK(code_of(budgets.set_limits(first.id, {.money = Money{5, *Currency::parse("USD")}})) ==
        Code::invalid);
  CHECK(code_of(budgets.remove(first.id)) == Code::conflict);
  must(budgets.remove(last.id));
  CHECK(code_of(budgets.find("no such")) == Code::not_found);
  EnqueueOptions options;
  options.budget = Id<Budget>(77);
  CHECK(code_of(office.tasks().enqueue(plan, {1, 2}, options)) == Code::not_found);
}

TEST_CASE("G14_amounts_that_cannot_be_are_refused_before_anything_is_spent") {
  std::optional<Error> error;
  Spend spend;
  Desk it([&](Run& run, const Sum&) -> Result<Total> {
    const auto outcome = run.spend("ask", spend, [](Amounts&) -> Result<void> { return {}; });
    if (!outcome) error = outcome.error();
    return outcome.map([] { return Total{}; });
  });
  const Budget project = it.budget(tokens("project", 100));
  const auto refused = [&](const Amounts& most) {
    spend.most = most;
    error.reset();
    it.enqueue(project);
    it.desk.run_all();
    REQUIRE(error);
    CHECK(error->code == Code::invalid);
    return error->field;
  };
  CHECK(refused({.tokens = -1}) == "tokens");
  CHECK(refused({.calls = -1}) == "calls");
  CHECK(refused({.time = -1s}) == "time");
  CHECK(refused({.money = Money{-1, eur}}) == "money");
  CHECK(refused({.money = Money{1, {}}}) == "money");
  CHECK(refused({.tokens = INT64_MAX}) == "tokens");
  CHECK(refused({.money = Money{INT64_MAX, eur}}) == "money");
  CHECK(it.state(project).reserved.tokens == 0);
}

TEST_CASE("A budget that was removed gives nothing more") {
  Desk it([&](Run& run, const Sum&) { return spend_tokens(run, 10, 10); });
  const Budget project = it.budget(tokens("project", 100));
  const auto id = it.enqueue(project);
  must(it.budgets().remove(project.id));
  for (int i = 0; i < 4; ++i) it.desk.after(10s);
  CHECK(it.desk.status(id) == TaskStatus::dead);
  CHECK(contains(*it.desk.find(id).error, "is no more"));
}

TEST_CASE("G10_managers_keep_budgets_and_nobody_writes_what_is_spent") {
  Desk it([&](Run& run, const Sum&) { return spend_tokens(run, 10, 10); });
  Office& office = it.desk.office;
  const auto user = [&](const char* name, const char* role) {
    User made;
    made.email = std::string(name) + "@example.com";
    made.name = name;
    made.role = role;
    made.status = UserStatus::active;
    return must(Repository<User>(office.system()).insert(made)).id;
  };
  const Session ada =
      must(office.process.access->session(office.tenant.id, user("ada", "manager")));
  const Session cleo =
      must(office.process.access->session(office.tenant.id, user("cleo", "agent")));
  const Budget tenant = it.budget({.name = "all", .limits = {.tokens = 50}, .whole_tenant = true});
  const Budget project = must(Budgets(ada).create(tokens("project", 100)));
  CHECK(project.made_by == ada.principal().user);
  must(Budgets(ada).set_limits(project.id, {.tokens = 200}));
  CHECK(code_of(Budgets(ada).set_limits(tenant.id, {.tokens = 1000})) == Code::forbidden);
  CHECK(code_of(Budgets(ada).remove(tenant.id)) == Code::forbidden);
  must(Budgets(office.system()).remove(tenant.id));
  CHECK(code_of(Budgets(ada).create({.name = "all", .whole_tenant = true})) == Code::forbidden);

  CHECK(code_of(Budgets(cleo).create(tokens("hers", 5))) == Code::forbidden);
  CHECK(must(Budgets(cleo).list()).empty());
  CHECK(code_of(Budgets(cleo).set_limits(project.id, {})) == Code::not_found);
  CHECK(code_of(Budgets(cleo).state(project.id)) == Code::not_found);
  EnqueueOptions options;
  options.budget = project.id;
  CHECK(code_of(Tasks(cleo).enqueue(plan, {1, 2}, options)) == Code::not_found);

  const auto id = it.enqueue(project);
  it.desk.run_all();
  auto spending = must(Budgets(ada).spendings_of(id)).at(0);
  auto use = must(Repository<BudgetUse>(ada).first({})).value();
  spending.spent_tokens = use.spent_tokens = 0;
  CHECK(code_of(Repository<Spending>(ada).update(spending)) == Code::forbidden);
  CHECK(code_of(Repository<BudgetUse>(ada).update(use)) == Code::forbidden);
  CHECK(code_of(Repository<BudgetUse>(ada).remove(use.id)) == Code::forbidden);
  CHECK(must(Budgets(cleo).spendings_of(id)).empty());
}
