#include <doctest/doctest.h>

#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "bureau/work/schedule.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

/// An office whose agent does what schedules enqueue, on a clock that is set by hand.
struct Desk {
  class Adder : public AgentOf<add_up> {
   public:
    using AgentOf::execute;
    Result<Total> execute(Run&, const Sum& sum) override { return Total{sum.a + sum.b}; }
  };

  explicit Desk(std::string_view start = "2026-03-02T08:59:30Z") {
    office.clock.step(must(Timestamp::parse(start)) - office.clock.now());
    must(orchestrator.add(std::make_shared<Adder>()));
    must(orchestrator.start());
  }
  [[nodiscard]] Schedules schedules() { return Schedules(office.system()); }
  Schedule save(NewSchedule schedule) {
    return must(schedules().save(schedule, add_up, Sum{20, 22}));
  }
  /// Lets time pass and sees to what is due; tasks stay where they are.
  void pass(Duration time) {
    office.clock.advance(time);
    orchestrator.notice();  // as the engine does after commits
    for (int i = 0; i < 1000; ++i) {
      if (must(orchestrator.duties()) > office.clock.monotonic()) return;
    }
    FAIL("the duties are due for ever");
  }
  void work() {
    orchestrator.notice();
    while (must(orchestrator.step())) {
    }
  }
  [[nodiscard]] std::uint64_t tasks() { return must(office.tasks().count()); }
  [[nodiscard]] std::vector<ScheduleOccurrence> history(const Schedule& schedule) {
    return must(schedules().history(schedule.id));
  }

  Office office;
  Orchestrator orchestrator{*office.process.database, *office.process.access, {}};
};

Timestamp at(std::string_view text) { return must(Timestamp::parse(text)); }

}  // namespace

TEST_CASE("A schedule enqueues its task at its moments, and not before") {
  Desk desk;
  const Schedule schedule = desk.save({.name = "every five minutes", .expression = "*/5 * * * *"});
  CHECK(schedule.next_at == at("2026-03-02T09:00:00Z"));
  desk.pass(29s);
  CHECK(desk.tasks() == 0);
  desk.pass(1s);
  CHECK(desk.tasks() == 1);
  desk.work();
  desk.pass(299s);
  CHECK(desk.tasks() == 1);
  desk.pass(1s);
  CHECK(desk.tasks() == 2);
  const auto history = desk.history(schedule);
  REQUIRE(history.size() == 2);
  CHECK(history[0].due_at == at("2026-03-02T09:05:00Z"));
  CHECK(history[1].due_at == at("2026-03-02T09:00:00Z"));
  CHECK(history[1].outcome == OccurrenceOutcome::fired);
  const Task task = desk.office.find(*history[1].task);
  CHECK(task.status == TaskStatus::completed);
  CHECK(*task.result == Json::object({{"value", 42}}));
}

TEST_CASE("G12_an_occurrence_fires_once_however_many_processes_look") {
  Desk desk;
  const Schedule schedule = desk.save({.name = "minutely", .expression = "* * * * *"});
  Process second(desk.office.storage, desk.office.clock, desk.office.random);
  Orchestrator other(*second.database, *second.access, {});
  must(other.start());
  for (int i = 0; i < 20; ++i) {
    desk.pass(30s);
    must(other.duties());
    must(other.duties());
    desk.pass(0s);
    desk.work();
  }
  CHECK(desk.tasks() == 10);
  CHECK(desk.history(schedule).size() == 10);
}

TEST_CASE("G12_a_clock_that_is_put_forward_or_back_repeats_nothing") {
  Desk desk;
  const Schedule schedule = desk.save({.name = "hourly", .expression = "@hourly"});
  desk.office.clock.step(3h);  // 11:59:30
  desk.pass(1s);
  REQUIRE(desk.history(schedule).size() == 1);
  CHECK(desk.history(schedule)[0].due_at == at("2026-03-02T11:00:00Z"));
  desk.work();
  desk.office.clock.step(-2h);  // 9:59:31
  for (int i = 0; i < 12; ++i) {
    desk.pass(10min);
    desk.work();
  }
  CHECK(desk.history(schedule).size() == 1);  // 10:00 and 11:00 are behind it, 12:00 is to come
  desk.pass(10min);
  REQUIRE(desk.history(schedule).size() == 2);
  CHECK(desk.history(schedule)[0].due_at == at("2026-03-02T12:00:00Z"));
}

TEST_CASE("G12_whatever_fails_while_it_fires_an_occurrence_is_there_once_with_its_task") {
  using testing::Fault;
  for (const Fault::At at : {Fault::At::before, Fault::At::statement, Fault::At::commit,
                             Fault::At::unknown_kept, Fault::At::unknown_undone}) {
    for (int statement = 1; statement <= (at == Fault::At::statement ? 12 : 1); ++statement) {
      CAPTURE(static_cast<int>(at));
      CAPTURE(statement);
      Desk desk;
      const Schedule schedule = desk.save({.name = "hourly", .expression = "@hourly"});
      bool armed = false;
      auto faulty = std::make_shared<testing::FaultyStorage>(
          std::make_shared<testing::RerunStorage>(desk.office.storage),
          [&](bool is_write, std::uint64_t) -> std::optional<Fault> {
            if (!armed || !is_write) return std::nullopt;
            armed = false;
            return Fault{at, statement, Code::unavailable};
          });
      Process process(faulty, desk.office.clock, desk.office.random);
      Orchestrator orchestrator(*process.database, *process.access, {});
      must(orchestrator.start());
      desk.office.clock.advance(30min);
      armed = true;
      (void)orchestrator.duties();
      armed = false;
      CHECK((faulty->faults() == 1 || at == Fault::At::statement));
      desk.office.clock.advance(2min);
      orchestrator.notice();
      must(orchestrator.duties());
      REQUIRE(desk.history(schedule).size() == 1);
      CHECK(desk.tasks() == 1);
      CHECK(desk.history(schedule)[0].outcome == OccurrenceOutcome::fired);
    }
  }
}

TEST_CASE("Two weeks without a process: none, the last, or all of what was missed") {
  Desk desk;
  const Schedule none =
      desk.save({.name = "none", .expression = "0 2 * * *", .catch_up = CatchUp::none});
  const Schedule last = desk.save({.name = "last", .expression = "* * * * * *"});
  const Schedule all = desk.save({.name = "all",
                                  .expression = "0 2 * * *",
                                  .catch_up = CatchUp::all,
                                  .overlap = Overlap::queue});
  desk.pass(14 * 24h);
  const auto of_none = desk.history(none);
  REQUIRE(of_none.size() == 1);
  CHECK(of_none[0].outcome == OccurrenceOutcome::missed);
  CHECK(of_none[0].due_at == at("2026-03-16T02:00:00Z"));
  CHECK(*of_none[0].missed_since == at("2026-03-03T02:00:00Z"));
  CHECK_FALSE(of_none[0].task);

  const auto of_last = desk.history(last);
  REQUIRE(of_last.size() == 1);
  CHECK(of_last[0].outcome == OccurrenceOutcome::fired);
  CHECK(of_last[0].due_at == at("2026-03-16T08:59:30Z"));
  CHECK(*of_last[0].missed_since == at("2026-03-02T08:59:31Z"));

  const auto of_all = desk.history(all);
  REQUIRE(of_all.size() == 14);
  CHECK(of_all.front().due_at == at("2026-03-16T02:00:00Z"));
  CHECK(of_all.back().due_at == at("2026-03-03T02:00:00Z"));
  CHECK(desk.tasks() == 15);
  CHECK(must(desk.schedules().named("none")).next_at == at("2026-03-17T02:00:00Z"));
}

TEST_CASE("A little late is not missed") {
  Desk desk;
  const Schedule schedule =
      desk.save({.name = "strict", .expression = "0 9 * * *", .catch_up = CatchUp::none});
  desk.pass(30s + 60s);
  REQUIRE(desk.history(schedule).size() == 1);
  CHECK(desk.history(schedule)[0].outcome == OccurrenceOutcome::fired);
}

TEST_CASE("While its last task has not ended, an occurrence is skipped, or waits its turn") {
  Desk desk;
  const Schedule skip = desk.save({.name = "skip", .expression = "* * * * *"});
  const Schedule queue =
      desk.save({.name = "queue", .expression = "* * * * *", .overlap = Overlap::queue});
  desk.pass(1min);
  desk.pass(1min);
  REQUIRE(desk.history(skip).size() == 2);
  CHECK(desk.history(skip)[0].outcome == OccurrenceOutcome::skipped);
  CHECK_FALSE(desk.history(skip)[0].task);
  CHECK(must(desk.schedules().named("skip")).last_at == desk.history(skip)[1].due_at);
  CHECK(desk.history(queue)[0].outcome == OccurrenceOutcome::fired);
  desk.work();
  desk.pass(1min);
  CHECK(desk.history(skip)[0].outcome == OccurrenceOutcome::fired);
}

TEST_CASE("Paused, nothing fires and nothing is made up for") {
  Desk desk;
  Schedule schedule = desk.save({.name = "hourly", .expression = "@hourly"});
  must(desk.schedules().pause(schedule.id));
  desk.pass(5h);
  CHECK(desk.tasks() == 0);
  schedule = must(desk.schedules().resume(schedule.id));
  CHECK(schedule.next_at == at("2026-03-02T14:00:00Z"));
  desk.pass(1s);
  CHECK(desk.tasks() == 0);
  desk.pass(30s);
  CHECK(desk.tasks() == 1);
}

TEST_CASE("Saved again it goes by what it says now, keeps its name and its history") {
  Desk desk;
  const Schedule before = desk.save({.name = "report", .expression = "0 9 * * *"});
  desk.pass(30s);
  const Schedule after = desk.save({.name = "report", .expression = "0 10 * * *"});
  CHECK(after.id == before.id);
  CHECK(after.next_at == at("2026-03-02T10:00:00Z"));
  CHECK(desk.history(after).size() == 1);
}

TEST_CASE(
    "A rule that was changed as a row, or with the tenant's zone, fires by the new rule only") {
  Desk desk;
  Schedule schedule = desk.save({.name = "report", .expression = "0 9 * * *"});
  const Repository<Schedule> rows(desk.office.system());
  schedule.expression = "0 12 * * *";
  schedule = must(rows.update(schedule));
  desk.pass(1h);
  CHECK(desk.tasks() == 0);
  CHECK(must(rows.find(schedule.id)).next_at == at("2026-03-02T12:00:00Z"));
  must(Repository<Tenant>(desk.office.system()).change(desk.office.tenant.id, [](Tenant& tenant) {
    tenant.zone = "America/New_York";
  }));
  desk.pass(3h);
  CHECK(desk.tasks() == 0);
  CHECK(must(rows.find(schedule.id)).next_at == at("2026-03-02T17:00:00Z"));
  desk.pass(4h);
  CHECK(desk.tasks() == 0);
  desk.pass(30s);
  CHECK(desk.tasks() == 1);
}

TEST_CASE("A suspended tenant's schedules rest, and hold up nobody else's") {
  Desk desk;
  const Schedule resting = desk.save({.name = "resting", .expression = "* * * * *"});
  auto& access = *desk.office.process.access;
  const Tenant other = must(access.create_tenant("Ashby"));
  const Schedules of_other(access.system(other.id));
  must(of_other.save({.name = "working", .expression = "* * * * *"}, add_up, Sum{1, 1}));
  const auto set = [&](TenantStatus status) {
    must(Repository<Tenant>(desk.office.system()).change(desk.office.tenant.id, [&](Tenant& t) {
      t.status = status;
    }));
  };
  set(TenantStatus::suspended);
  desk.pass(10min);
  CHECK(must(Tasks(access.system(other.id)).count()) == 1);
  set(TenantStatus::active);
  desk.pass(1min);
  REQUIRE(desk.history(resting).size() == 1);
  CHECK(desk.history(resting)[0].missed_since);
}

TEST_CASE("run_now enqueues at once, and leaves the rest as it is") {
  Desk desk;
  const Schedule schedule = desk.save({.name = "report", .expression = "0 9 * * *"});
  must(desk.schedules().pause(schedule.id));
  const Id<Task> first = must(desk.schedules().run_now(schedule.id));
  CHECK(must(desk.schedules().run_now(schedule.id)) == first);  // it has not ended
  desk.work();
  CHECK(must(desk.schedules().run_now(schedule.id)) != first);
  REQUIRE(desk.history(schedule).size() == 2);
  CHECK(desk.history(schedule)[0].by_hand);
  CHECK(must(desk.schedules().named("report")).next_at == schedule.next_at);
}

TEST_CASE("upcoming says when, in the zone that it names") {
  Desk desk("2026-03-28T00:00:00Z");
  const Schedule schedule =
      desk.save({.name = "early", .expression = "30 2 * * *", .zone = "Europe/Berlin"});
  const auto next = must(desk.schedules().upcoming(schedule.id, 3));
  REQUIRE(next.size() == 3);
  CHECK(next[0] == at("2026-03-28T01:30:00Z"));
  CHECK(next[1] == at("2026-03-29T01:00:00Z"));  // 2:30 does not exist: the first moment after
  CHECK(next[2] == at("2026-03-30T00:30:00Z"));
}

TEST_CASE("What became of occurrences is kept for thirty days") {
  Desk desk;
  const Schedule schedule = desk.save({.name = "daily", .expression = "0 9 * * *"});
  for (int day = 0; day < 60; ++day) {
    desk.pass(24h);
    desk.work();
  }
  CHECK(desk.history(schedule).size() == 30);
}

TEST_CASE("Bad schedules are refused and change nothing") {
  Desk desk;
  const auto refused = [&](const NewSchedule& schedule, std::string_view field) {
    CAPTURE(schedule.expression);
    const auto saved = desk.schedules().save(schedule, add_up, Sum{});
    CHECK(code_of(saved) == Code::invalid);
    if (!saved) CHECK(saved.error().field == field);
  };
  refused({.name = "", .expression = "* * * * *"}, "name");
  refused({.name = "never", .expression = "30 2 30 2 *"}, "expression");
  refused({.name = "none", .expression = ""}, "expression");
  refused({.name = "wide", .expression = "61 * * * *"}, "expression");
  refused({.name = "where", .expression = "* * * * *", .zone = "Mars/Olympus"}, "zone");
  refused({.name = "all", .expression = "* * * * *", .catch_up = CatchUp::all}, "catch_up");
  const auto big =
      desk.schedules().save_json({.name = "big", .expression = "* * * * *"}, add_up,
                                 Json::object({{"text", std::string(max_payload_bytes, 'x')}}));
  CHECK(code_of(big) == Code::invalid);
  CHECK(must(desk.schedules().list()).empty());
}

TEST_CASE("Managers schedule in their own name; others see nothing of it") {
  Desk desk;
  auto& access = *desk.office.process.access;
  const auto user = [&](const char* email, const char* role) {
    User row;
    row.email = email;
    row.role = role;
    row.status = UserStatus::active;
    return must(Repository<User>(desk.office.system()).insert(row));
  };
  const User ada = user("ada@example.org", "manager");
  const User ben = user("ben@example.org", "manager");
  const User cleo = user("cleo@example.org", "agent");
  const Session of_ada = must(access.session(desk.office.tenant.id, ada.id));
  const Session of_ben = must(access.session(desk.office.tenant.id, ben.id));
  const Session of_cleo = must(access.session(desk.office.tenant.id, cleo.id));

  const NewSchedule hourly{.name = "hourly", .expression = "@hourly"};
  CHECK(code_of(Schedules(of_cleo).save(hourly, add_up, Sum{})) == Code::forbidden);
  const Schedule schedule = must(Schedules(of_ada).save(hourly, add_up, Sum{1, 2}));
  CHECK(schedule.owner == ada.id);
  CHECK(must(Schedules(of_cleo).list()).empty());
  desk.pass(1h);
  const auto history = must(Schedules(of_ben).history(schedule.id));
  REQUIRE(history.size() == 1);
  CHECK(desk.office.find(*history[0].task).enqueued_by == ada.id);

  // Whoever changes it answers for it: what it does would otherwise be done with another's rights.
  Schedule changed = must(Schedules(of_ben).named("hourly"));
  changed.payload = Json::object({{"a", 5}, {"b", 5}});
  CHECK(code_of(Repository<Schedule>(of_ben).update(changed)) == Code::forbidden);
  changed.owner = ben.id;
  must(Repository<Schedule>(of_ben).update(changed));
  CHECK(must(Schedules(of_ada).pause(schedule.id)).owner == ada.id);
}
