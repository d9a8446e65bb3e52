#include "bureau/testing/crash_everywhere.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "bureau/work/runs.hpp"
#include "bureau/work/schedule.hpp"
#include "counts.hpp"

using namespace bureau;
using namespace std::chrono_literals;

namespace {

constexpr auto refund = task_kind<Nothing, Nothing>("refund", Effect::database,
                                                    retry::fixed(5, std::chrono::minutes(1)));

/// Notes an effect in the office.
Result<void> note(Unit& unit, std::string_view what) {
  Team team;
  team.name = what;
  BUREAU_TRY_VOID(Repository<Team>(unit).insert(team));
  return {};
}

std::string described(const Task& task) {
  return std::string(names<TaskStatus>[static_cast<std::size_t>(task.status)]) + ", " +
         task.error.value_or("no error");
}

struct World {
  Access* access = nullptr;
  Id<Tenant> tenant;
  std::map<std::string, int> calls;
};

using Body = std::function<Result<void>(World&, Run&)>;

class Refunder final : public AgentOf<refund> {
 public:
  Refunder(World& world, Body body) : world_(world), body_(std::move(body)) {}
  using AgentOf::execute;
  [[nodiscard]] std::string_view role() const override { return "manager"; }
  Result<Nothing> execute(Run& run, const Nothing&) override {
    BUREAU_TRY_VOID(body_(world_, run));
    return Nothing{};
  }

 private:
  World& world_;
  Body body_;
};

testing::CrashReport crash(World& world, Body body,
                           const std::function<Result<void>(Engine&)>& more = {}) {
  testing::CrashScenario scenario;
  scenario.agents = [&world, body](Engine& engine) {
    world.access = &engine.access();
    return engine.add(std::make_shared<Refunder>(world, body));
  };
  scenario.begin = [&world, more](Engine& engine) -> Result<void> {
    world.calls.clear();
    BUREAU_TRY(const Tenant tenant, engine.access().create_tenant("Larkfield"));
    world.tenant = tenant.id;
    BUREAU_TRY_VOID(Tasks(engine.system(tenant.id)).enqueue(refund, {}));
    if (more) return more(engine);
    return {};
  };
  scenario.check = [&world](Engine& engine) -> Result<void> {
    const Session system = engine.system(world.tenant);
    BUREAU_TRY(const auto open, Tasks(system).count(col(&Task::status) != TaskStatus::completed));
    if (open != 0) {
      BUREAU_TRY(const auto first,
                 Tasks(system).list({.where = col(&Task::status) != TaskStatus::completed}));
      return fail(Code::internal, "a task was not completed: " + described(first.at(0)));
    }
    BUREAU_TRY(const auto refunds, Repository<Team>(system).count());
    if (refunds != 1) {
      return fail(Code::internal, "refunded " + std::to_string(refunds) + " times");
    }
    for (const auto& entry : world.calls) {
      if (entry.second > 2) return fail(Code::internal, entry.first + " was called too often");
    }
    return {};
  };
  auto report = testing::crash_everywhere(scenario);
  if (!report) MESSAGE(to_string(report.error()));
  REQUIRE(report.has_value());
  return *report;
}

Result<void> in_steps(World& world, Run& run) {
  BUREAU_TRY_VOID(run.step("look", [&]() -> Result<void> {
    ++world.calls["look"];
    return {};
  }));
  BUREAU_TRY_VOID(run.sleep(24h * 7));
  BUREAU_TRY_VOID(run.step("call", Effect::external_idempotent, [&]() -> Result<void> {
    ++world.calls[run.idempotency_key()];
    return {};
  }));
  return run.step("refund", [](Unit& unit) { return note(unit, "refunded"); });
}

}  // namespace

TEST_CASE("crash_everywhere: a run that keeps its effects in its steps survives every crash") {
  if (counts::sanitized) {  // opening an office for each life takes minutes there
    MESSAGE("skipped under a sanitizer");
    return;
  }
  World world;
  const auto report = crash(world, in_steps);
  INFO(report.to_string());
  CHECK(report.good());
  CHECK(report.commits >= 6);
  CHECK(report.crashes == 2 * report.commits);
}

TEST_CASE("crash_everywhere: an effect in a commit of its own is found, with where it happened") {
  World world;
  const auto report = crash(world, [](World& in, Run&) -> Result<void> {
    const std::string name = "refund " + std::to_string(++in.calls["refund"]);
    return in.access->system(in.tenant).write([&](Unit& unit) { return note(unit, name); });
  });
  REQUIRE_FALSE(report.good());
  INFO(report.to_string());
  CHECK(report.failures[0].error == "refunded 2 times");
  CHECK(report.failures[0].commit > 0);
  CHECK(report.failures[0].trace.size() > 0);
  CHECK(report.to_string().find("seed 1") != std::string::npos);
}

TEST_CASE(
    "crash_everywhere: a month of a schedule, in virtual time, beside a scenario that fails") {
  World world;
  const auto report = crash(world, in_steps, [&](Engine& engine) -> Result<void> {
    return Schedules(engine.system(world.tenant))
        .save({.name = "weekly", .expression = "@weekly"}, refund, {})
        .map([](const Schedule&) {});
  });
  INFO(report.to_string());
  REQUIRE_FALSE(report.good());  // each week's run refunds
  CHECK(report.failures[0].commit == 0);
  CHECK_FALSE(report.failures[0].error.empty());
}
