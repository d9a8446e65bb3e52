#include <doctest/doctest.h>

#include "bureau/work/flow.hpp"
#include "bureau/work/why.hpp"
#include "work/run_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

/// A run that waits for `paid`, an hour, and gives what came with it; -1 when nothing did.
Result<Total> wait_for_payment(Run& run, const Sum&) {
  BUREAU_TRY(auto payment, run.wait_for(paid, 1h));
  return payment ? *payment : Total{-1};
}

}  // namespace

TEST_CASE("A signal wakes the run that waits for it") {
  RunDesk desk(wait_for_payment);
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::waiting);
  CHECK(must(desk.runs().signal(id, paid, Total{40})));
  desk.run_all();
  CHECK(desk.value(id) == 40);
  const auto said = must(desk.runs().signals_of(id));
  REQUIRE(said.size() == 1);
  CHECK(said[0].status == SignalStatus::taken);
  CHECK(said[0].position == 0);
}

TEST_CASE("A signal that comes before the run waits, or before it begins, is kept") {
  RunDesk* at = nullptr;
  bool early = false;
  RunDesk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("work", [&]() -> Result<void> {
      if (early) must(at->runs().signal(run.task().id, paid, Total{5}));
      return {};
    }));
    return wait_for_payment(run, sum);
  });
  at = &desk;
  SUBCASE("while it runs") { early = true; }
  SUBCASE("before it begins") {}
  const auto id = desk.enqueue();
  if (!early) must(desk.runs().signal(id, paid, Total{5}));
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::completed);
  CHECK(desk.value(id) == 5);
}

TEST_CASE("A wait that times out is none, durably: what comes later does not change it") {
  int after = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY(auto payment, run.wait_for(paid, 1h));
    CHECK_FALSE(payment.has_value());
    ++after;
    BUREAU_TRY_VOID(run.sleep(1h));
    BUREAU_TRY(auto second, run.wait_for(paid, 1h));
    return second ? *second : Total{-1};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  desk.after(1h);
  CHECK(after == 1);
  CHECK(must(desk.runs().steps(id))[0].status == StepStatus::timed_out);
  must(desk.runs().signal(id, paid, Total{9}));
  desk.after(1h);
  CHECK(after == 2);  // replayed
  CHECK(desk.value(id) == 9);
}

TEST_CASE("The moment at which a wait times out is fixed when it begins") {
  RunDesk desk(
      [&](Run& run, const Sum& sum) -> Result<Total> { return wait_for_payment(run, sum); });
  const auto id = desk.enqueue();
  desk.run_all();
  desk.after(59min);
  // Something else wakes it: the hour is not begun anew.
  must(desk.runs().signal_json(id, "something else", Json()));
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::waiting);
  desk.after(1min);
  CHECK(desk.value(id) == -1);
}

TEST_CASE("A value that is null is not a time-out") {
  static constexpr Signal<Json> anything{"anything"};
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY(auto came, run.wait_for(anything, 1h));
    REQUIRE(came.has_value());
    CHECK(came->is_null());
    BUREAU_TRY_VOID(run.sleep(1h));
    return Total{1};
  });
  const auto id = desk.enqueue();
  must(desk.runs().signal(id, anything, Json()));
  desk.run_all();
  desk.after(1h);
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("Signals are taken in their order, each once; of those with one key the first") {
  std::vector<std::int64_t> came;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    came.clear();
    for (int i = 0; i < 3; ++i) {
      BUREAU_TRY(auto payment, run.wait_for(paid, 1h));
      came.push_back(payment ? payment->value : -1);
    }
    return Total{1};
  });
  const auto id = desk.enqueue();
  CHECK(must(desk.runs().signal(id, paid, Total{1}, "k1")));
  CHECK_FALSE(must(desk.runs().signal(id, paid, Total{7}, "k1")));
  CHECK(must(desk.runs().signal(id, paid, Total{2}, "k2")));
  desk.run_all();
  CHECK_FALSE(must(desk.runs().signal(id, paid, Total{8}, "k2")));
  desk.after(1h);
  CHECK(came == std::vector<std::int64_t>{1, 2, -1});
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("A payload that is not what the run waits for is rejected, and says why") {
  RunDesk desk(wait_for_payment);
  const auto id = desk.enqueue();
  must(desk.runs().signal_json(id, "paid", Json::object({{"value", "a lot"}})));
  must(desk.runs().signal(id, paid, Total{3}));
  desk.run_all();
  CHECK(desk.value(id) == 3);
  const auto said = must(desk.runs().signals_of(id));
  CHECK(said[0].status == SignalStatus::rejected);
  CHECK(said[0].error->find("value") != std::string::npos);
}

TEST_CASE("G14_signals_that_cannot_be_change_nothing") {
  RunDesk desk(wait_for_payment);
  const auto id = desk.enqueue();
  CHECK(code_of(desk.runs().signal_json(id, "", Json())) == Code::invalid);
  CHECK(code_of(desk.runs().signal_json(id, std::string(101, 'n'), Json())) == Code::invalid);
  const auto large = desk.runs().signal_json(id, "paid", Json(std::string(max_payload_bytes, 'x')));
  CHECK(code_of(large) == Code::invalid);
  CHECK(large.error().field == "payload");
  CHECK(code_of(desk.runs().signal(Id<Task>(12345), paid, Total{1})) == Code::not_found);
  CHECK(code_of(desk.runs().signal(id, paid, Total{1}, std::string(201, 'k'))) == Code::invalid);
  CHECK(must(desk.runs().signals_of(id)).empty());
  must(desk.office.tasks().cancel(id, "not wanted"));
  CHECK(code_of(desk.runs().signal(id, paid, Total{1})) == Code::conflict);
  CHECK(must(desk.runs().signals_of(id)).empty());
}

// Children -------------------------------------------------------------------------------------

TEST_CASE("A run spawns children and waits for all of them") {
  int bodies = 0;
  RunDesk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    ++bodies;
    std::vector<Child<Total>> children;
    for (std::int64_t i = 0; i < sum.a; ++i) {
      BUREAU_TRY(auto child, run.spawn(part, {i, 1}));
      children.push_back(child);
    }
    BUREAU_TRY(auto ends, run.join_all(children));
    Total total;
    for (const auto& end : ends) total.value += end ? end->value : 1000;
    return total;
  });
  const auto id = desk.enqueue({5, 0});
  desk.run_all();
  CHECK(desk.value(id) == 15);
  CHECK(bodies == 2);  // woken once, by the last
  CHECK(must(desk.runs().children(id)).size() == 5);
}

TEST_CASE("A child's failure is an error of the join; it is the same in every attempt") {
  RunDesk desk(
      [&](Run& run, const Sum&) -> Result<Total> {
        BUREAU_TRY(auto child, run.spawn(part, {1, 2}));
        auto end = run.join(child);
        if (!end && end.error().code == Code::suspended) return end;
        CHECK(code_of(end) == Code::unavailable);
        CHECK(end.error().message == "no paper");
        BUREAU_TRY_VOID(run.sleep(1h));
        return Total{0};
      },
      [](Run&, const Sum&) -> Result<Total> { return fail(Code::unavailable, "no paper"); });
  const auto id = desk.enqueue();
  for (int i = 0; i < 3; ++i) desk.after(10s);
  CHECK(desk.status(id) == TaskStatus::waiting);
  desk.after(1h);
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("The first of several children to end wakes the run, the others go on") {
  std::int64_t slow_until = 1;
  std::size_t first = 9;
  RunDesk desk(
      [&](Run& run, const Sum&) -> Result<Total> {
        BUREAU_TRY(auto slow, run.spawn(part, {1, 0}));
        BUREAU_TRY(auto quick, run.spawn(part, {2, 0}));
        BUREAU_TRY(first, run.join_any(std::vector{slow, quick}));
        BUREAU_TRY(auto both, run.join_all(std::vector{slow, quick}));
        return Total{both[0]->value + both[1]->value};
      },
      [&](Run& run, const Sum& sum) -> Result<Total> {
        if (sum.a == slow_until) BUREAU_TRY_VOID(run.sleep(1h));
        return Total{sum.a};
      });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(first == 1);
  CHECK(desk.status(id) == TaskStatus::waiting);
  desk.after(1h);
  CHECK(desk.value(id) == 3);
}

TEST_CASE("call() is a child that returns") {
  RunDesk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    BUREAU_TRY(auto once, run.call(part, {sum.a, 1}));
    BUREAU_TRY(auto twice, run.call(part, {once.value, 1}));
    return twice;
  });
  const auto id = desk.enqueue({10, 0});
  desk.run_all();
  CHECK(desk.value(id) == 12);
}

TEST_CASE("The children of a cancelled run are cancelled, and theirs") {
  RunDesk desk(
      [&](Run& run, const Sum&) -> Result<Total> {
        return run.call(part, {1, 0});
      },
      [&](Run& run, const Sum& sum) -> Result<Total> {
        if (sum.a < 3) return run.call(part, {sum.a + 1, 0});
        BUREAU_TRY_VOID(run.sleep(24h));
        return Total{1};
      });
  const auto id = desk.enqueue();
  desk.run_all();
  must(desk.office.tasks().cancel(id, "not wanted"));
  const auto all = must(desk.office.tasks().list({}));
  REQUIRE(all.size() == 4);
  for (const Task& task : all) CHECK(task.status == TaskStatus::cancelled);
}

TEST_CASE("Cancelling a child tells the run that waits for it") {
  RunDesk desk(
      [&](Run& run, const Sum&) -> Result<Total> {
        auto end = run.call(part, {1, 0});
        if (!end && end.error().code == Code::cancelled) return Total{-1};
        return end;
      },
      [&](Run& run, const Sum&) -> Result<Total> {
        BUREAU_TRY_VOID(run.sleep(24h));
        return Total{1};
      });
  const auto id = desk.enqueue();
  desk.run_all();
  const auto children = must(desk.runs().children(id));
  must(desk.office.tasks().cancel(children.at(0).id, "not wanted"));
  desk.run_all();
  CHECK(desk.value(id) == -1);
}

TEST_CASE("A run hands off: another task goes on in its place, for its parent too") {
  RunDesk desk(
      [&](Run& run, const Sum&) -> Result<Total> {
        return run.call(part, {3, 0});
      },
      [&](Run& run, const Sum& sum) -> Result<Total> {
        if (sum.a > 0) return run.hand_off(part, {sum.a - 1, sum.b + 10});
        return Total{sum.b};
      });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.value(id) == 30);
  const auto all = must(desk.office.tasks().list({}));
  CHECK(all.size() == 5);
  for (const Task& task : all) CHECK(task.status == TaskStatus::completed);
}

TEST_CASE("A task of the same kind takes over the unique key with the work") {
  RunDesk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    if (sum.a > 0) return run.hand_off(plan, {sum.a - 1, 0});
    BUREAU_TRY_VOID(run.sleep(1h));
    return Total{1};
  });
  EnqueueOptions keyed;
  keyed.unique_key = "customer 7";
  must(desk.office.tasks().enqueue(plan, {2, 0}, keyed));
  desk.run_all();
  const Task present = must(desk.office.tasks().enqueue(plan, {2, 0}, keyed));
  CHECK(present.status == TaskStatus::waiting);
  CHECK(must(desk.office.tasks().count()) == 3);
}

TEST_CASE("A child is joined as often as one likes, by the run that spawned it") {
  Id<Task> stranger;
  Code refused = Code::internal;
  RunDesk desk(
      [&](Run& run, const Sum& sum) -> Result<Total> {
        if (sum.a == 2) {
          refused = code_of(run.join(Child<Total>{stranger}));
          return Total{0};
        }
        BUREAU_TRY(auto child, run.spawn(part, {1, 1}));
        stranger = child.task;
        BUREAU_TRY(auto ends, run.join_all(std::vector{child, child}));
        return Total{ends[0]->value + ends[1]->value};
      },
      [](Run& run, const Sum&) -> Result<Total> {
        BUREAU_TRY_VOID(run.sleep(1h));
        return Total{2};
      });
  const auto id = desk.enqueue({1, 0});
  desk.run_all();
  desk.enqueue({2, 0});
  desk.run_all();
  CHECK(refused == Code::invalid);  // nobody would tell it
  desk.after(1h);
  CHECK(desk.value(id) == 4);
}

TEST_CASE("Children that have not ended are the successor's when their run hands off") {
  RunDesk desk(
      [&](Run& run, const Sum& sum) -> Result<Total> {
        if (sum.a == 0) {
          BUREAU_TRY(auto child, run.spawn(part, {1, 1}));
          return run.hand_off(plan, {child.task.value, 0});
        }
        return run.join(Child<Total>{Id<Task>(sum.a)});
      },
      [](Run& run, const Sum&) -> Result<Total> {
        BUREAU_TRY_VOID(run.sleep(1h));
        return Total{2};
      });
  const auto id = desk.enqueue({0, 0});
  desk.run_all();
  desk.after(1h);
  CHECK(must(desk.office.tasks().wait(plan, id, 1min)).value == 2);
}

TEST_CASE("A run that a user enqueued spawns and hands off, with an agent's ordinary rights") {
  Office office;
  Process& process = office.process;
  Orchestrator orchestrator(*process.database, *process.access, {});
  class Plain final : public AgentOf<plan> {
   public:
    using AgentOf::execute;
    Result<Total> execute(Run& run, const Sum& sum) override {
      if (sum.a == 0) return run.hand_off(plan, {1, 0});
      return run.call(part, {1, 1});
    }
  };
  must(orchestrator.add(std::make_shared<Plain>()));
  must(orchestrator.add(std::make_shared<Doer<part>>(add_parts)));
  must(orchestrator.start());
  User user;
  user.tenant = office.tenant.id;
  user.email = "ann@example.com";
  user.name = "ann";
  user.role = "agent";
  user = must(Repository<User>(office.system()).insert(user));
  const Tasks desk(must(process.access->session(office.tenant.id, user.id)));
  const auto id = must(desk.enqueue(plan, {0, 0})).id;
  do {
    orchestrator.notice();
  } while (must(orchestrator.step()));
  CHECK(must(desk.wait(plan, id, 1min)).value == 2);  // he sees who goes on
}

// Again from a step ----------------------------------------------------------------------------

TEST_CASE("A run is done again from a step, and forked from one") {
  int first = 0, second = 0;
  bool broken = true;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("first", [&]() -> Result<void> {
      ++first;
      return {};
    }));
    BUREAU_TRY(auto payment, run.wait_for(paid));
    BUREAU_TRY_VOID(run.step("second", [&]() -> Result<void> {
      ++second;
      return {};
    }));
    if (broken) return fail(Code::invalid, "a step back is needed");
    return *payment;
  });
  const auto id = desk.enqueue();
  must(desk.runs().signal(id, paid, Total{4}));
  desk.run_all();
  REQUIRE(desk.status(id) == TaskStatus::dead);
  broken = false;
  SUBCASE("again") {
    must(desk.runs().retry_from(id, 1));
    desk.run_all();
    CHECK(desk.value(id) == 4);  // what was said is said again
    CHECK(first == 1);
    CHECK(second == 2);
    CHECK(code_of(desk.runs().retry_from(id, 0)) == Code::conflict);
  }
  SUBCASE("forked") {
    const auto fork = must(desk.runs().fork_from(id, 2)).id;
    desk.run_all();
    CHECK(desk.value(fork) == 4);
    CHECK(desk.status(id) == TaskStatus::dead);
    CHECK(first == 1);
    CHECK(second == 2);
  }
  SUBCASE("positions that are not there") {
    CHECK(code_of(desk.runs().retry_from(id, -1)) == Code::invalid);
    CHECK(code_of(desk.runs().retry_from(id, 4)) == Code::invalid);
    CHECK(code_of(desk.runs().fork_from(id, 4)) == Code::invalid);
    CHECK(must(desk.runs().steps(id)).size() == 3);
  }
}

// From outside ---------------------------------------------------------------------------------

TEST_CASE("A caller waits for a result, of a task that hands off too") {
  RunDesk* at = nullptr;
  RunDesk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    if (sum.a > 0) return run.hand_off(plan, {sum.a - 1, sum.b});
    if (sum.b < 0) return fail(Code::forbidden, "not below zero");
    return Total{sum.b};
  });
  at = &desk;
  const auto good = desk.enqueue({2, 7});
  const auto bad = desk.enqueue({1, -1});
  const Tasks& tasks = desk.office.tasks();
  CHECK(code_of(tasks.wait(good, 0s)) == Code::deadline);
  at->run_all();
  CHECK(must(tasks.wait(plan, good, 1min)).value == 7);
  const auto failed = tasks.wait(plan, bad, 1min);
  CHECK(code_of(failed) == Code::forbidden);
  CHECK(failed.error().message == "not below zero");
  CHECK(code_of(tasks.wait(Id<Task>(77), 0s)) == Code::not_found);
  const auto inside = desk.office.system().read(
      [&](View& view) -> Result<Task> { return Tasks{view}.wait(good, 1min); });
  CHECK(code_of(inside) == Code::invalid);
}

TEST_CASE("why() says at which step a run rests, and until when") {
  RunDesk desk(wait_for_payment);
  const auto id = desk.enqueue();
  desk.run_all();
  const Why why = must(bureau::why(desk.office.system(), id));
  REQUIRE(why.reasons.size() == 1);
  CHECK(why.reasons[0].cause == WaitCause::waiting);
  CHECK(why.reasons[0].text == "its run rests at step 0 \"paid\" (signal)");
  CHECK(why.reasons[0].until == desk.office.clock.now() + 1h);
}

TEST_CASE("G11_a_run_that_rests_gives_its_slot_to_another_and_takes_one_again") {
  RunDesk desk([](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.sleep(1h));
    return Total{1};
  });
  FlowRule one;
  one.type = FlowRuleType::concurrency;
  one.kind = "plan";
  one.each_key = true;
  one.at_most = 1;
  must(Repository<FlowRule>(desk.office.system()).insert(one));
  EnqueueOptions keyed;
  keyed.flow_key = "customer 7";
  std::vector<Id<Task>> tasks;
  for (int i = 0; i < 5; ++i) {
    tasks.push_back(must(desk.office.tasks().enqueue(plan, {1, 1}, keyed)).id);
  }
  for (int i = 0; i < 10; ++i) desk.after(1s);
  for (const auto id : tasks) CHECK(desk.status(id) == TaskStatus::waiting);
  desk.after(1h);
  for (int i = 0; i < 10; ++i) desk.after(1s);
  for (const auto id : tasks) CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("A rehearsal finds the runs that a new program would not go on with, and does nothing") {
  int executed = 0;
  bool renamed = false;
  RunDesk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    BUREAU_TRY_VOID(run.step(renamed && sum.a == 1 ? "b" : "a", [&]() -> Result<void> {
      ++executed;
      return {};
    }));
    BUREAU_TRY(auto child, run.spawn(part, {1, 1}));
    BUREAU_TRY_VOID(run.join(child));
    BUREAU_TRY_VOID(run.wait_for(paid, 1h));
    BUREAU_TRY_VOID(run.step("late", [&]() -> Result<void> {
      ++executed;
      return {};
    }));
    return run.complete([&](Unit& unit) -> Result<Total> {
      ++executed;
      BUREAU_TRY_VOID(add_team(unit, "done"));
      return Total{1};
    });
  });
  const auto keeps = desk.enqueue({0, 0});
  const auto changes = desk.enqueue({1, 0});
  desk.run_all();
  desk.enqueue({1, 0});  // has nothing behind it
  CHECK(executed == 2);
  renamed = true;
  const auto before = must(desk.office.tasks().list({}));
  const Rehearsal found = must(desk.worker.orchestrator.rehearse());
  CHECK(found.runs == 2);
  CHECK(found.unknown == 0);
  REQUIRE(found.diverged.size() == 1);
  CHECK(found.diverged[0].task == changes);
  CHECK(found.diverged[0].error.find("step 0 was \"a\"") != std::string::npos);
  CHECK(executed == 2);
  const auto after = must(desk.office.tasks().list({}));
  REQUIRE(after.size() == before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    CHECK(after[i].status == before[i].status);
    CHECK(after[i].version == before[i].version);
  }
  renamed = false;
  must(desk.runs().signal(keeps, paid, Total{1}));
  CHECK(must(desk.worker.orchestrator.rehearse()).diverged.empty());
  desk.run_all();
  CHECK(desk.value(keeps) == 1);
}
