// Budgets and calls that are answered later, through a death at every commit.

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "bureau/ai/model_run.hpp"
#include "bureau/testing/crash_everywhere.hpp"
#include "bureau/testing/scripted_model.hpp"
#include "bureau/work/budget.hpp"
#include "bureau/work/runs.hpp"
#include "counts.hpp"

using namespace bureau;
using namespace std::chrono_literals;

namespace {

constexpr auto research = task_kind<Nothing, Nothing>("research", Effect::external_idempotent,
                                                      retry::fixed(5, std::chrono::minutes(1)));
constexpr auto detail_work = task_kind<Nothing, Nothing>("detail_work", Effect::external_idempotent,
                                                         retry::fixed(5, std::chrono::minutes(1)));

struct World {
  Id<Tenant> tenant;
  std::map<std::string, int> calls;     // of the outside, which no crash undoes
  std::map<std::string, int> happened;  // unsafe effects
  std::shared_ptr<testing::ScriptedModel> model;
};

Spend tokens(std::int64_t most) {
  Spend spend;
  spend.most.tokens = most;
  return spend;
}

/// Asks the outside, which uses 4 of the 10 tokens that are reserved.
Result<void> ask(World& world, Run& run, const char* name) {
  return run.spend(name, tokens(10), [&world, name](Amounts& used) -> Result<void> {
    ++world.calls[name];
    used.tokens = 4;
    return {};
  });
}

class Researcher final : public AgentOf<research> {
 public:
  explicit Researcher(World& world) : world_(world) {}
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    BUREAU_TRY_VOID(ask(world_, run, "look"));
    BUREAU_TRY(const Id<Budget> purse, run.budget("details", {.tokens = 20}));
    EnqueueOptions options;
    options.budget = purse;
    BUREAU_TRY_VOID(run.call(detail_work, {}, options));
    BUREAU_TRY_VOID(run.spend(
        "pay", Effect::external_unsafe, tokens(10),
        [&](Amounts&) -> Result<void> {
          ++world_.calls["pay"];
          ++world_.happened["pay"];
          return {};
        },
        [&]() -> Result<bool> { return world_.happened["pay"] > 0; }));
    return Nothing{};
  }

 private:
  World& world_;
};

class Detailer final : public AgentOf<detail_work> {
 public:
  explicit Detailer(World& world) : world_(world) {}
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    BUREAU_TRY_VOID(ask(world_, run, "detail"));
    return Nothing{};
  }

 private:
  World& world_;
};

Result<void> check_all_completed(const Session& system) {
  BUREAU_TRY(const auto open,
             Tasks(system).list({.where = col(&Task::status) != TaskStatus::completed}));
  if (open.empty()) return {};
  return fail(Code::internal,
              "a task was not completed: " + open[0].kind + " is " +
                  std::string(names<TaskStatus>[static_cast<std::size_t>(open[0].status)]) + ", " +
                  open[0].error.value_or("no error"));
}

std::string said(const BudgetState& state) {
  return state.budget.name + ": " + state.spent.to_string() + " spent, " +
         state.reserved.to_string() + " reserved";
}

}  // namespace

TEST_CASE("G11_no_crash_makes_a_budget_leak_or_forget_what_was_spent") {
  if (counts::sanitized) {  // opening an office for each life takes minutes there
    MESSAGE("skipped under a sanitizer");
    return;
  }
  World world;
  testing::CrashScenario scenario;
  scenario.agents = [&](Engine& engine) -> Result<void> {
    BUREAU_TRY_VOID(engine.add(std::make_shared<Researcher>(world)));
    return engine.add(std::make_shared<Detailer>(world));
  };
  scenario.begin = [&](Engine& engine) -> Result<void> {
    world.calls.clear();
    world.happened.clear();
    BUREAU_TRY(const Tenant tenant, engine.access().create_tenant("Larkfield"));
    world.tenant = tenant.id;
    const Session system = engine.system(tenant.id);
    BUREAU_TRY(const Budget project,
               Budgets(system).create({.name = "project", .limits = {.tokens = 60}}));
    EnqueueOptions options;
    options.budget = project.id;
    return Tasks(system).enqueue(research, {}, options).map([](const Task&) {});
  };
  scenario.check = [&](Engine& engine) -> Result<void> {
    const Session system = engine.system(world.tenant);
    BUREAU_TRY_VOID(check_all_completed(system));
    BUREAU_TRY(const auto budgets, Budgets(system).list());
    if (budgets.size() != 2) return fail(Code::internal, "there are not two budgets");
    for (const Budget& budget : budgets) {
      BUREAU_TRY(const BudgetState state, Budgets(system).state(budget.id));
      const bool is_project = budget.name == "project";
      const std::int64_t used = is_project ? 4 * (world.calls["look"] + world.calls["detail"]) + 10
                                           : 4 * world.calls["detail"];
      if (state.reserved.tokens != 0) return fail(Code::internal, "it leaks: " + said(state));
      if (state.spent.tokens < used) return fail(Code::internal, "forgotten: " + said(state));
      if (state.spent.tokens > *budget.tokens) return fail(Code::internal, "over: " + said(state));
    }
    if (world.calls["pay"] != 1) return fail(Code::internal, "paid more than once");
    return {};
  };
  const auto report = testing::crash_everywhere(scenario);
  if (!report) MESSAGE(to_string(report.error()));
  REQUIRE(report.has_value());
  INFO(report->to_string());
  CHECK(report->good());
  CHECK(report->commits >= 14);
}

namespace {

class Asker final : public AgentOf<research> {
 public:
  explicit Asker(World& world) : world_(world) {}
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    ModelRequest request;
    request.messages = {{ModelRole::user, "How many beans?", {}, {}}};
    BUREAU_TRY_VOID(converse(run, *world_.model, request));
    return Nothing{};
  }

 private:
  World& world_;
};

}  // namespace

TEST_CASE("G7_a_call_that_is_answered_later_is_begun_once_through_any_crash") {
  if (counts::sanitized) {
    MESSAGE("skipped under a sanitizer");
    return;
  }
  World world;
  testing::CrashScenario scenario;
  scenario.begin = [&](Engine& engine) -> Result<void> {
    world.model = std::make_shared<testing::ScriptedModel>();
    world.model->says("41", {10, 2}).answers_later(engine.database().clock(), 10min, true);
    BUREAU_TRY(const Tenant tenant, engine.access().create_tenant("Larkfield"));
    world.tenant = tenant.id;
    const Session system = engine.system(tenant.id);
    BUREAU_TRY(const Budget project,
               Budgets(system).create({.name = "project", .limits = {.tokens = 5000}}));
    EnqueueOptions options;
    options.budget = project.id;
    return Tasks(system).enqueue(research, {}, options).map([](const Task&) {});
  };
  scenario.agents = [&](Engine& engine) { return engine.add(std::make_shared<Asker>(world)); };
  scenario.check = [&](Engine& engine) -> Result<void> {
    const Session system = engine.system(world.tenant);
    BUREAU_TRY_VOID(check_all_completed(system));
    BUREAU_TRY(const auto project, Budgets(system).find("project"));
    BUREAU_TRY(const BudgetState state, Budgets(system).state(project.id));
    if (state.reserved != Amounts{}) return fail(Code::internal, "it leaks: " + said(state));
    if (state.spent.tokens != 12) return fail(Code::internal, "wrong: " + said(state));
    if (world.model->requests().size() != 1) return fail(Code::internal, "it was asked twice");
    return {};
  };
  const auto report = testing::crash_everywhere(scenario);
  if (!report) MESSAGE(to_string(report.error()));
  REQUIRE(report.has_value());
  INFO(report->to_string());
  CHECK(report->good());
  CHECK(report->commits >= 6);
}
