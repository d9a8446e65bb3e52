#include "bureau/work/run.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "work/run_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

Result<std::int64_t> number(std::int64_t value) { return value; }

}  // namespace

TEST_CASE("A finished step gives its result again, and is not executed again") {
  int first = 0, second = 0;
  RunDesk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    BUREAU_TRY(auto a, run.step("first", [&] { return number(sum.a + ++first); }));
    BUREAU_TRY(auto b, run.step("second", [&]() -> Result<std::int64_t> {
      if (++second < 3) return fail(Code::unavailable, "not yet");
      return sum.b;
    }));
    return Total{a + b};
  });
  const auto id = desk.enqueue({10, 5});
  for (int i = 0; i < 3; ++i) desk.after(10s);
  CHECK(desk.status(id) == TaskStatus::completed);
  CHECK(desk.value(id) == 16);
  CHECK(first == 1);
  CHECK(second == 3);
  const auto steps = must(desk.runs().steps(id));
  REQUIRE(steps.size() == 2);
  CHECK(steps[0].name == "first");
  CHECK(steps[0].attempt == 1);
  CHECK(steps[1].attempt == 3);
}

TEST_CASE("What a step can give: nothing, columns, records, lists and what may be absent") {
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    const bool again = run.task().attempt > 1;
    BUREAU_TRY_VOID(run.step("nothing", []() -> Result<void> { return {}; }));
    BUREAU_TRY(auto text, run.step("text", [&]() -> Result<std::string> { return "caf\u00e9"; }));
    BUREAU_TRY(auto moment, run.step("moment", [&]() -> Result<Timestamp> {
      return Timestamp::from_micros(1'700'000'000'000'123);
    }));
    BUREAU_TRY(auto money, run.step("list", [&]() -> Result<std::vector<double>> {
      return std::vector{0.1, 3.0};
    }));
    BUREAU_TRY(auto status,
               run.step("enum", []() -> Result<Priority> { return Priority::urgent; }));
    BUREAU_TRY(auto record, run.step("record", []() -> Result<Sum> { return Sum{1, 2}; }));
    BUREAU_TRY(auto none, run.step("none", []() -> Result<std::optional<Json>> {
      return std::optional<Json>();
    }));
    BUREAU_TRY(auto null, run.step("null", []() -> Result<std::optional<Json>> {
      return std::optional<Json>(Json());
    }));
    CHECK(text == "caf\u00e9");
    CHECK(moment.micros() == 1'700'000'000'000'123);
    CHECK(money == std::vector{0.1, 3.0});
    CHECK(status == Priority::urgent);
    CHECK(record.b == 2);
    CHECK_FALSE(none.has_value());
    CHECK(null.has_value());
    if (!again) return fail(Code::unavailable, "once more, from what is recorded");
    return Total{1};
  });
  const auto id = desk.enqueue();
  desk.after(0s);
  desk.after(10s);
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("A step with a unit: its changes and its record are one commit") {
  int ran = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY(auto made, run.step("team", [&](Unit& unit) -> Result<std::int64_t> {
      ++ran;
      BUREAU_TRY_VOID(add_team(unit, "north"));
      return 7;
    }));
    if (run.task().attempt == 1) return fail(Code::unavailable, "after the step");
    return Total{made};
  });
  const auto id = desk.enqueue();
  desk.after(0s);
  desk.after(10s);
  CHECK(desk.value(id) == 7);
  CHECK(ran == 1);
  CHECK(teams(desk.office) == 1);
}

TEST_CASE("An error that the run goes on after is history, one that it returns is not") {
  int asked = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    auto price = run.step("price", [&]() -> Result<std::int64_t> {
      ++asked;
      return fail(Code::unavailable, "the shop is shut");
    });
    if (price) return Total{*price};
    CHECK(price.error().code == Code::unavailable);
    CHECK(price.error().message == "the shop is shut");
    BUREAU_TRY(auto fallback, run.step("fallback", [] { return number(3); }));
    if (run.task().attempt < 3) return fail(Code::busy, "later");
    return Total{fallback};
  });
  const auto id = desk.enqueue();
  for (int i = 0; i < 3; ++i) desk.after(10s);
  CHECK(desk.status(id) == TaskStatus::completed);
  CHECK(asked == 1);
  CHECK(must(desk.runs().steps(id))[0].status == StepStatus::failed);
}

TEST_CASE("Attempts count from the last finished step") {
  int failures = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    for (int i = 0; i < 5; ++i) {
      BUREAU_TRY_VOID(run.step("part " + std::to_string(i), [&]() -> Result<void> {
        if (failures++ % 3 < 2) return fail(Code::unavailable, "twice each");
        return {};
      }));
    }
    return Total{1};
  });
  const auto id = desk.enqueue();  // 3 attempts
  for (int i = 0; i < 20; ++i) desk.after(10s);
  CHECK(desk.status(id) == TaskStatus::completed);
  CHECK(desk.find(id).attempt == 11);
}

TEST_CASE("A sleeping run holds no worker, and goes on at its moment, whatever happens meanwhile") {
  int before = 0, after = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("before", [&]() -> Result<void> {
      ++before;
      return {};
    }));
    BUREAU_TRY_VOID(run.sleep(24h));
    ++after;
    return Total{after};
  });
  const auto id = desk.enqueue();
  const Timestamp began = desk.office.clock.now();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::waiting);
  CHECK(desk.find(id).run_at == began + 24h);
  CHECK(desk.worker.orchestrator.held().empty());
  CHECK(must(TaskQueue(*desk.office.process.database).next_due()) == began + 24h);
  desk.after(24h - 1us);
  CHECK(desk.status(id) == TaskStatus::waiting);
  desk.after(1us);
  CHECK(desk.status(id) == TaskStatus::completed);
  CHECK(before == 1);
  CHECK(after == 1);
  CHECK(desk.worker.orchestrator.agents()[0].failed == 0);
}

TEST_CASE("What a handler returns after it was suspended is ignored, and nothing more happens") {
  bool stepped = false;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    if (auto rested = run.sleep(1h); !rested) {
      CHECK(rested.error().code == Code::suspended);
      CHECK(code_of(run.step("more", [&] {
              stepped = true;
              return number(1);
            })) == Code::suspended);
      CHECK(code_of(run.complete([](Unit&) -> Result<Total> { return Total{1}; })) ==
            Code::suspended);
    }
    return Total{9};  // swallowed, the first time
  });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::waiting);
  CHECK_FALSE(stepped);
  desk.after(1h);
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("A moment that has passed is no rest; a negative duration is refused") {
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    const auto negative = run.sleep(-1s);
    CHECK(code_of(negative) == Code::invalid);
    CHECK(negative.error().field == "duration");
    BUREAU_TRY_VOID(run.sleep(0s));
    BUREAU_TRY_VOID(run.sleep(Timestamp::from_micros(0), "long ago"));
    return Total{1};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("A run that has changed diverges, and says where") {
  std::string second = "b";
  bool ends_early = false;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("a", [] { return number(1); }));
    if (ends_early) return Total{1};
    BUREAU_TRY_VOID(run.step(second, [] { return number(2); }));
    BUREAU_TRY_VOID(run.sleep(1h));
    return Total{2};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  REQUIRE(desk.status(id) == TaskStatus::waiting);
  SUBCASE("another step") { second = "c"; }
  SUBCASE("fewer steps") { ends_early = true; }
  desk.after(1h);
  Task task = desk.find(id);
  CHECK(task.status == TaskStatus::dead);
  CHECK(task.error_code == "invalid");
  CHECK(task.error->find("step 1 was \"b\" (step) when it was recorded") != std::string::npos);
  CHECK(must(desk.runs().steps(id)).size() == 3);
  // With the program put right the run goes on where it was.
  second = "b";
  ends_early = false;
  must(desk.office.tasks().redrive(id));
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("A recorded result that is no longer what the step gives is a divergence too") {
  bool text = false;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    if (text) {
      BUREAU_TRY_VOID(run.step("a", []() -> Result<std::string> { return "one"; }));
    } else {
      BUREAU_TRY_VOID(run.step("a", [] { return number(1); }));
    }
    BUREAU_TRY_VOID(run.sleep(1h));
    return Total{2};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  text = true;
  desk.after(1h);
  CHECK(desk.status(id) == TaskStatus::dead);
  CHECK(desk.find(id).error->find("the recorded result of step 0 \"a\"") != std::string::npos);
}

TEST_CASE("patched() lets runs of both versions live") {
  bool new_code = false;
  int checks = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("a", [] { return number(1); }));
    if (new_code && run.patched("check")) {
      BUREAU_TRY_VOID(run.step("check", [&] { return number(++checks); }));
    }
    BUREAU_TRY_VOID(run.sleep(1h));
    BUREAU_TRY_VOID(run.step("b", [] { return number(2); }));
    return Total{2};
  });
  const auto old_run = desk.enqueue();
  desk.run_all();
  new_code = true;
  const auto new_run = desk.enqueue();
  desk.run_all();
  CHECK(checks == 1);
  desk.after(1h);
  CHECK(desk.status(old_run) == TaskStatus::completed);
  CHECK(desk.status(new_run) == TaskStatus::completed);
  CHECK(checks == 1);
  CHECK(must(desk.runs().steps(old_run)).size() == 3);
  CHECK(must(desk.runs().steps(new_run)).size() == 5);
}

TEST_CASE("Steps are made one at a time, and have names") {
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("outer", [&]() -> Result<std::int64_t> {
      CHECK(code_of(run.step("inner", [] { return number(1); })) == Code::invalid);
      CHECK(code_of(run.complete([](Unit&) -> Result<Total> { return Total{1}; })) ==
            Code::invalid);
      CHECK(run.current_step() == "outer");
      return 1;
    }));
    CHECK(code_of(run.step("", [] { return number(1); })) == Code::invalid);
    CHECK(code_of(run.step(std::string(101, 'x'), [] { return number(1); })) == Code::invalid);
    CHECK(code_of(run.step("a\xff", [] { return number(1); })) == Code::invalid);
    return Total{1};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("A step's result over the limit ends the attempt, and nothing is recorded") {
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step(
        "long", []() -> Result<std::string> { return std::string(max_payload_bytes, 'x'); }));
    return Total{1};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::dead);
  CHECK(desk.find(id).error->find("step \"long\": its result has") != std::string::npos);
  CHECK(must(desk.runs().steps(id)).empty());
}

TEST_CASE("A conflict of the handler's own is a failed attempt, not a lost lease") {
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    return run.complete([&](Unit&) -> Result<Total> {
      if (run.task().attempt == 1) return fail(Code::conflict, "the row has changed");
      return Total{1};
    });
  });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::scheduled);
  desk.after(10s);
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("A run that is cancelled while it runs records the step that it was in, and stops") {
  Id<Task> id;
  RunDesk* at = nullptr;
  bool went_on = false;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("a", [&]() -> Result<std::int64_t> {
      must(at->office.tasks().cancel(id, "not wanted"));
      return 1;
    }));
    BUREAU_TRY_VOID(run.sleep(1h));
    went_on = true;
    return Total{1};
  });
  at = &desk;
  id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::cancelled);
  CHECK_FALSE(went_on);
  CHECK(must(desk.runs().steps(id)).size() == 1);
}

TEST_CASE("A resting run is cancelled at once") {
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.sleep(1h));
    return Total{1};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  must(desk.office.tasks().cancel(id, "not wanted"));
  CHECK(desk.status(id) == TaskStatus::cancelled);
  desk.after(2h);
  CHECK(desk.find(id).attempt == 1);
}

// Unsafe steps ---------------------------------------------------------------------------------

TEST_CASE("G7_an_unsafe_step_of_unknown_outcome_is_in_doubt_and_never_repeated_blindly") {
  int sent = 0;
  bool throws = true;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("before", [] { return number(1); }));
    BUREAU_TRY(auto receipt,
               run.step("send", Effect::external_unsafe, [&]() -> Result<std::int64_t> {
                 ++sent;
                 CHECK(run.idempotency_key() ==
                       id::to_text(schema<Task>.prefix, run.task().id.value) + "-1");
                 if (throws) throw std::runtime_error("the line went dead");
                 return 5;
               }));
    return Total{receipt};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::in_doubt);
  CHECK(desk.find(id).error->find("step \"send\"") != std::string::npos);
  for (int i = 0; i < 3; ++i) desk.after(1h);
  CHECK(sent == 1);
  throws = false;
  SUBCASE("it happened: its result is said") {
    CHECK(code_of(desk.runs().retry_from(id, 7)) == Code::invalid);
    must(desk.runs().resolve_step(id, Json::object({{"value", 8}}), "the carrier says so"));
    desk.run_all();
    CHECK(sent == 1);
    CHECK(desk.value(id) == 8);
    CHECK(code_of(desk.runs().resolve_step(id, Json(), "again")) == Code::conflict);
  }
  SUBCASE("it did not happen: it is done again") {
    must(desk.office.tasks().resolve(id, TaskStatus::ready, "never arrived"));
    desk.run_all();
    CHECK(sent == 2);
    CHECK(desk.value(id) == 5);
  }
  CHECK(desk.status(id) == TaskStatus::completed);
}

TEST_CASE("An unsafe step that says that nothing happened is done again") {
  int sent = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("send", Effect::external_unsafe, [&]() -> Result<void> {
      if (++sent == 1) return fail(Code::unavailable, "no connection");
      return {};
    }));
    return Total{1};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::scheduled);
  CHECK(must(desk.runs().steps(id)).empty());
  desk.after(10s);
  CHECK(desk.status(id) == TaskStatus::completed);
  CHECK(sent == 2);
}

TEST_CASE("A probe says what became of an unsafe step") {
  enum class Answer { happened, did_not, unknown };
  Answer answer = Answer::unknown;
  int sent = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    const auto send = [&]() -> Result<std::int64_t> {
      if (++sent == 1) return fail(Code::unknown_outcome, "no answer came");
      return 5;
    };
    const auto probe = [&]() -> Result<std::optional<std::int64_t>> {
      if (answer == Answer::unknown) return fail(Code::unavailable, "the carrier does not answer");
      if (answer == Answer::did_not) return std::optional<std::int64_t>();
      return std::optional<std::int64_t>(6);
    };
    BUREAU_TRY(auto receipt, run.step("send", Effect::external_unsafe, send, probe));
    return Total{receipt};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::scheduled);  // the probe is asked later
  for (int i = 0; i < 2; ++i) desk.after(10s);
  REQUIRE(desk.status(id) == TaskStatus::in_doubt);
  std::int64_t expected = 0;
  SUBCASE("it happened") {
    answer = Answer::happened;
    expected = 6;
  }
  SUBCASE("it did not") {
    answer = Answer::did_not;
    expected = 5;
  }
  SUBCASE("it cannot say") { expected = 0; }
  must(desk.runs().probe_again(id));
  desk.run_all();
  if (expected == 0) {
    CHECK(desk.status(id) == TaskStatus::in_doubt);
    CHECK(desk.find(id).error->find("the carrier does not answer") != std::string::npos);
  } else {
    CHECK(desk.value(id) == expected);
  }
  CHECK(sent == (expected == 5 ? 2 : 1));
}

TEST_CASE("An unsafe step that fails cleanly gives up after the kind's attempts") {
  int sent = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("send", Effect::external_unsafe, [&]() -> Result<void> {
      ++sent;
      return fail(Code::unavailable, "no connection");
    }));
    return Total{1};
  });
  const auto id = desk.enqueue();
  for (int i = 0; i < 10; ++i) desk.after(10s);
  CHECK(desk.status(id) == TaskStatus::dead);
  CHECK(sent == 3);
}

TEST_CASE("Long errors and such that are no text are kept shortened, and the run goes on") {
  for (const std::string& said :
       {std::string(5000, 'x'), std::string("a\xff") + std::string(5000, 'y')}) {
    RunDesk desk([&](Run& run, const Sum& sum) -> Result<Total> {
      const auto failed = run.step("say", [&]() -> Result<void> { return fail(Code::busy, said); });
      CHECK(failed.error().message.size() > 3000);
      if (sum.a == 1) BUREAU_TRY_VOID(run.sleep(1h));
      return fail(Code::invalid, said);
    });
    const auto rests = desk.enqueue({1, 0});
    const auto ends = desk.enqueue({2, 0});
    desk.run_all();
    CHECK(desk.status(rests) == TaskStatus::waiting);
    CHECK(desk.status(ends) == TaskStatus::dead);
    desk.after(1h);
    CHECK(desk.status(rests) == TaskStatus::dead);
  }
}

TEST_CASE("An attempt that is resumed before the one that rested has returned is its own") {
  // The handler swallows that it rests, and works on; meanwhile a signal wakes the run.
  RunDesk* at = nullptr;
  bool inner = false;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    const auto said = run.wait_for(paid);
    if (!said && said.error().code == Code::suspended) {
      must(at->runs().signal(run.task().id, paid, Total{7}));
      inner = true;
      at->worker.orchestrator.notice();
      CHECK(must(at->worker.orchestrator.step()));  // the second attempt, in the first one's frames
      must(at->worker.orchestrator.duties());
      inner = false;
      return Total{0};
    }
    if (inner) CHECK(at->worker.orchestrator.held().size() == 2);
    return *said ? **said : Total{-1};
  });
  at = &desk;
  const auto id = desk.enqueue();
  desk.run_all();
  must(desk.worker.orchestrator.duties());
  CHECK(desk.value(id) == 7);
  CHECK(desk.worker.orchestrator.held().empty());
}

TEST_CASE("G7_an_open_unsafe_step_is_in_doubt_however_the_attempt_ends") {
  RunDesk* at = nullptr;
  bool cancels = false;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY_VOID(run.step("send", Effect::external_unsafe, [&]() -> Result<void> {
      if (cancels) must(at->office.tasks().cancel(run.task().id, "not wanted"));
      at->office.clock.advance(3min);  // longer than the limit of two minutes
      must(at->worker.orchestrator.duties());
      return {};
    }));
    return Total{1};
  });
  at = &desk;
  SUBCASE("past its time limit") {}
  SUBCASE("past its time limit, and to be cancelled") { cancels = true; }
  const auto id = desk.enqueue();
  desk.run_all();
  for (int i = 0; i < 5 && desk.status(id) != TaskStatus::in_doubt; ++i) desk.after(10s);
  CHECK(desk.status(id) == TaskStatus::in_doubt);
}

TEST_CASE("A spawn that failed and was gone past is the same in the next attempt") {
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    EnqueueOptions wrong;
    wrong.delay = -1s;
    const auto refused = run.spawn(part, {1, 1}, wrong);
    CHECK(code_of(refused) == Code::invalid);
    BUREAU_TRY_VOID(run.sleep(1h));
    return Total{1};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  desk.after(1h);
  CHECK(desk.value(id) == 1);
}
