// Leasing ahead, and results that share commits.

#include <doctest/doctest.h>

#include <functional>
#include <set>

#include "bureau/testing/faulty_storage.hpp"
#include "bureau/work/orchestrator.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

using Adder = Doer<add_up>;

/// A process with an agent, whose storage fails as a test wants.
struct Worker {
  explicit Worker(Office& office, Adder::Body body, OrchestratorOptions options = {})
      : process(std::make_shared<testing::FaultyStorage>(
                    office.storage,
                    [this](bool is_write, std::uint64_t) -> std::optional<testing::Fault> {
                      if (is_write) ++writes;
                      return is_write && fault ? fault(writes) : std::nullopt;
                    }),
                office.clock, office.random),
        orchestrator(*process.database, *process.access, options) {
    must(orchestrator.add(std::make_shared<Adder>(std::move(body))));
    must(orchestrator.start());
  }
  std::size_t step(std::size_t tasks = 1) {
    orchestrator.notice();
    return must(orchestrator.step({tasks, Duration::max()}));
  }
  void run_all() {
    while (step(100) > 0) {
    }
  }
  int writes = 0;
  std::function<std::optional<testing::Fault>(int)> fault;
  Process process;
  Orchestrator orchestrator;
};

std::vector<Id<Task>> enqueue(Office& office, int count) {
  std::vector<Id<Task>> ids;
  for (int i = 0; i < count; ++i) ids.push_back(must(office.tasks().enqueue(add_up, {i, 0})).id);
  return ids;
}

std::uint64_t count(Office& office, TaskStatus status) {
  return must(office.tasks().count(col(&Task::status) == status));
}

Result<Total> plain(Run&, const Sum& sum) { return Total{sum.a}; }

Result<Total> add_team(Unit& unit, const Sum& sum) {
  Team team;
  team.name = "sum " + std::to_string(sum.a);
  BUREAU_TRY_VOID(Repository<Team>(unit).insert(team));
  return Total{sum.a};
}
Result<Total> later(Run& run, const Sum& sum) {
  return run.complete_later([sum](Unit& unit) { return add_team(unit, sum); });
}
std::uint64_t teams(Office& office) { return must(Repository<Team>(office.system()).count()); }

testing::Fault fault_at(testing::Fault::At at) { return {at, 1, Code::unavailable}; }

}  // namespace

TEST_CASE("Tasks that end one after the other are committed together, before step() returns") {
  Office office;
  Worker worker(office, plain);
  enqueue(office, 41);
  CHECK(worker.step() == 1);  // how long such a task takes is known from here on
  worker.writes = 0;
  CHECK(worker.step(40) == 40);
  CHECK(worker.writes <= 6);  // two claims, the second with what had ended by then; the rest
  CHECK(count(office, TaskStatus::completed) == 41);
  CHECK(worker.orchestrator.agents().at(0).completed == 41);
}

TEST_CASE("G3_effects_left_for_later_commit_with_the_completion_or_not_at_all") {
  Office office;
  Worker worker(office, [](Run& run, const Sum& sum) -> Result<Total> {
    return run.complete_later([sum](Unit& unit) -> Result<Total> {
      BUREAU_TRY(const Total total, add_team(unit, sum));
      if (sum.a == 2) return fail(Code::unavailable, "the belt has slipped");
      return total;
    });
  });
  const auto ids = enqueue(office, 5);
  worker.step();
  CHECK(worker.step(4) == 4);
  CHECK(count(office, TaskStatus::completed) == 4);  // the one that failed took no others with it
  CHECK(teams(office) == 4);
  CHECK(office.find(ids[2]).failures == 1);
  for (int i = 0; i < 2; ++i) {
    office.clock.advance(10s);
    worker.run_all();
  }
  CHECK(office.find(ids[2]).status == TaskStatus::dead);
  CHECK(office.find(ids[2]).error == "the belt has slipped");
  CHECK(teams(office) == 4);
}

TEST_CASE(
    "After complete_later() the run does nothing more, and what the handler returns is ignored") {
  Office office;
  Worker worker(office, [](Run& run, const Sum& sum) -> Result<Total> {
    CHECK_FALSE(later(run, sum).has_value());
    CHECK(code_of(run.progress(0.5)) == Code::suspended);
    CHECK(code_of(run.step("more", []() -> Result<std::int64_t> { return 1; })) == Code::suspended);
    CHECK(code_of(later(run, sum)) == Code::suspended);
    return Total{-1};
  });
  const auto ids = enqueue(office, 1);
  worker.run_all();
  CHECK(*office.find(ids[0]).result == Json::object({{"value", 0}}));
  CHECK(teams(office) == 1);
}

TEST_CASE("G3_an_outcome_that_could_not_be_committed_is_told_to_nobody_and_tried_again") {
  using At = testing::Fault::At;
  for (const At at : {At::before, At::commit, At::unknown_kept, At::unknown_undone}) {
    for (const bool effects : {false, true}) {
      CAPTURE(static_cast<int>(at));
      CAPTURE(effects);
      Office office;
      int begun = 0;
      Worker worker(office, [&](Run& run, const Sum& sum) -> Result<Total> {
        ++begun;
        return effects ? later(run, sum) : plain(run, sum);
      });
      const auto ids = enqueue(office, 1);
      worker.fault = [&](int) {  // all writes once the handler has returned
        return begun > 0 ? std::optional(fault_at(at)) : std::nullopt;
      };
      worker.orchestrator.notice();
      (void)worker.orchestrator.step({1, Duration::max()});
      CHECK(worker.orchestrator.agents().at(0).completed == 0);
      const bool made = at == At::unknown_kept;
      CHECK(office.find(ids[0]).status == (made ? TaskStatus::completed : TaskStatus::running));
      CHECK(worker.orchestrator.held().size() == 1);
      worker.fault = nullptr;
      office.clock.advance(1s);
      must(worker.orchestrator.duties());
      CHECK(office.find(ids[0]).status == TaskStatus::completed);
      CHECK(office.find(ids[0]).attempt == 1);
      CHECK(worker.orchestrator.held().empty());
      CHECK(begun == 1);
      CHECK(teams(office) == (effects ? 1 : 0));
    }
  }
}

TEST_CASE("G5_how_an_attempt_failed_is_recorded_when_the_storage_is_there_again") {
  using At = testing::Fault::At;
  for (const At at : {At::before, At::commit, At::unknown_kept, At::unknown_undone}) {
    CAPTURE(static_cast<int>(at));
    Office office;
    int begun = 0;
    Worker worker(office, [&](Run&, const Sum&) -> Result<Total> {
      ++begun;
      return fail(Code::invalid, "no such belt");
    });
    const auto ids = enqueue(office, 1);
    worker.fault = [&](int) { return begun > 0 ? std::optional(fault_at(at)) : std::nullopt; };
    worker.step();
    const bool made = at == At::unknown_kept;
    CHECK(office.find(ids[0]).status == (made ? TaskStatus::dead : TaskStatus::running));
    CHECK(worker.orchestrator.held().size() == 1);
    worker.fault = nullptr;
    office.clock.advance(1s);
    must(worker.orchestrator.duties());
    CHECK(office.find(ids[0]).status == TaskStatus::dead);
    CHECK(office.find(ids[0]).error == "no such belt");
    CHECK(worker.orchestrator.held().empty());
    CHECK(begun == 1);
  }
}

TEST_CASE("G5_a_time_limit_is_kept_when_the_storage_is_there_again") {
  Office office;
  Worker* at = nullptr;
  Worker worker(office, [&](Run& run, const Sum&) -> Result<Total> {
    at->fault = [](int) { return std::optional(fault_at(testing::Fault::At::before)); };
    office.clock.advance(run.task().time_limit + 1s);
    (void)at->orchestrator.duties();  // as another thread would
    at->fault = nullptr;
    CHECK(office.find(run.task().id).status == TaskStatus::running);
    office.clock.advance(1s);
    must(at->orchestrator.duties());
    CHECK(office.find(run.task().id).error_code == "deadline");
    return Total{1};
  });
  at = &worker;
  const auto ids = enqueue(office, 1);
  CHECK(worker.step() == 1);
  CHECK(office.find(ids[0]).status == TaskStatus::scheduled);
  CHECK(office.find(ids[0]).failures == 1);
  CHECK(worker.orchestrator.held().empty());
}

TEST_CASE("G5_what_is_cancelled_unbegun_ends_when_the_storage_is_there_again") {
  const auto away = [](int) { return std::optional(fault_at(testing::Fault::At::before)); };
  Office office;
  Worker* at = nullptr;
  std::vector<Id<Task>> ids;
  Worker worker(office, [&](Run& run, const Sum& sum) -> Result<Total> {
    if (sum.a != 1) return plain(run, sum);
    must(
        at->orchestrator.duties());  // as another thread would; nothing but what follows is due now
    must(office.tasks().cancel(ids[3], "changed our mind"));  // it waits in the buffer
    at->fault = away;
    at->orchestrator.notice();
    must(at->orchestrator.duties());
    at->fault = nullptr;
    CHECK(office.find(ids[3]).status == TaskStatus::running);
    office.clock.advance(1s);
    must(at->orchestrator.duties());
    CHECK(office.find(ids[3]).status == TaskStatus::cancelled);
    return plain(run, sum);
  });
  at = &worker;
  ids = enqueue(office, 6);
  worker.run_all();
  CHECK(count(office, TaskStatus::completed) == 5);
}

TEST_CASE("G5_a_lease_that_a_process_was_not_told_of_is_given_back") {
  using At = testing::Fault::At;
  for (const At at : {At::unknown_kept, At::unknown_undone}) {
    CAPTURE(static_cast<int>(at));
    const bool made = at == At::unknown_kept;
    Office office;
    int begun = 0;
    Worker worker(office, [&](Run& run, const Sum& sum) -> Result<Total> {
      ++begun;
      return plain(run, sum);
    });
    const auto ids = enqueue(office, 1);
    worker.fault = [&](int) { return std::optional(fault_at(at)); };
    worker.orchestrator.notice();
    CHECK(code_of(worker.orchestrator.step({1, Duration::max()})) == Code::unknown_outcome);
    worker.fault = nullptr;
    CHECK(office.find(ids[0]).status == (made ? TaskStatus::running : TaskStatus::ready));
    CHECK(worker.step() == (made ? 0 : 1));  // leased, but by whom?
    office.clock.advance(5s);
    must(worker.orchestrator.duties());
    worker.run_all();
    CHECK(office.find(ids[0]).status == TaskStatus::completed);
    CHECK(office.find(ids[0]).failures == 0);
    CHECK(begun == 1);
  }
}

TEST_CASE("G4_a_lease_of_a_later_claim_is_not_taken_for_one_that_was_not_told_of") {
  Office office;
  Worker* at = nullptr;
  int begun = 0;
  Worker worker(office, [&](Run& run, const Sum& sum) -> Result<Total> {
    ++begun;
    office.clock.advance(5s);
    must(at->orchestrator.duties());  // as another thread would
    CHECK(office.find(run.task().id).status == TaskStatus::running);
    return plain(run, sum);
  });
  at = &worker;
  const auto ids = enqueue(office, 1);
  worker.fault = [](int) { return std::optional(fault_at(testing::Fault::At::unknown_undone)); };
  worker.orchestrator.notice();
  (void)worker.orchestrator.step({1, Duration::max()});
  worker.fault = nullptr;
  CHECK(worker.step() == 1);  // the same attempt, at the same moment
  CHECK(office.find(ids[0]).status == TaskStatus::completed);
  CHECK(begun == 1);
}

TEST_CASE("A cancelled task of the buffer is not begun, one that has ended leaves no effect") {
  Office office;
  std::set<std::int64_t> begun;
  Id<Task> cancelled_late;
  Worker worker(office, [&](Run& run, const Sum& sum) -> Result<Total> {
    begun.insert(sum.a);
    if (run.task().id == cancelled_late) must(office.tasks().cancel(cancelled_late, "too late"));
    return later(run, sum);
  });
  const auto ids = enqueue(office, 6);
  worker.step();
  worker.step();
  REQUIRE(office.find(ids[4]).status == TaskStatus::running);
  must(office.tasks().cancel(ids[4], "changed our mind"));
  cancelled_late = ids[5];
  worker.orchestrator.notice();
  must(worker.orchestrator.duties());
  CHECK(office.find(ids[4]).status == TaskStatus::cancelled);
  worker.run_all();
  CHECK_FALSE(begun.contains(4));
  CHECK(begun.contains(5));
  CHECK(office.find(ids[5]).status == TaskStatus::cancelled);
  CHECK(count(office, TaskStatus::completed) == 4);
  CHECK(teams(office) == 4);
}

TEST_CASE("G8_what_waits_behind_a_task_that_takes_long_goes_to_others") {
  Office office;
  Worker* at = nullptr;
  std::size_t by_other = 0;
  Worker other(office, plain);
  Worker worker(office, [&](Run& run, const Sum& sum) -> Result<Total> {
    if (sum.a == 1) {
      CHECK(other.step(10) == 0);  // all are leased
      office.clock.advance(2s);
      must(at->orchestrator.duties());  // as another thread would
      by_other = other.step(10);
    }
    return plain(run, sum);
  });
  at = &worker;
  enqueue(office, 6);
  worker.step();
  worker.run_all();
  CHECK(by_other == 4);
  CHECK(count(office, TaskStatus::completed) == 6);
}

TEST_CASE("Tasks that take long are leased one by one") {
  Office office;
  Worker worker(office, [&](Run&, const Sum& sum) -> Result<Total> {
    office.clock.advance(1s);
    return Total{sum.a};
  });
  enqueue(office, 5);
  for (int i = 0; i < 5; ++i) {
    CHECK(worker.step() == 1);
    CHECK(count(office, TaskStatus::running) == 0);
  }
  CHECK(count(office, TaskStatus::completed) == 5);
}

TEST_CASE("G4_a_process_that_stood_still_begins_nothing_that_is_another's_by_now") {
  Office office;
  int begun = 0;
  Worker worker(office, [&](Run& run, const Sum& sum) -> Result<Total> {
    ++begun;
    return plain(run, sum);
  });
  const auto ids = enqueue(office, 6);
  worker.step();
  worker.step();
  REQUIRE(count(office, TaskStatus::running) == 4);
  TaskQueue other(*office.process.database);
  must(other.rescue());
  office.clock.advance(10s);
  CHECK(must(other.rescue()) == 4);
  const auto taken = must(other.claim({"default", {}, 10, "other"}));
  REQUIRE(taken.size() == 4);
  CHECK(worker.step(10) == 0);
  CHECK(begun == 2);
  std::vector<TaskQueue::Completion> done;
  for (const Task& task : taken) done.push_back({task.id, task.attempt, Json::object()});
  CHECK(must(other.complete(done)).empty());
}

TEST_CASE("Stopping commits what has ended and hands back the buffer") {
  Office office;
  Worker worker(office, plain);
  enqueue(office, 10);
  worker.step();
  worker.step();
  REQUIRE(count(office, TaskStatus::running) == 8);
  must(worker.orchestrator.stop(Monotonic::never()));
  CHECK(count(office, TaskStatus::ready) == 8);
  CHECK(count(office, TaskStatus::completed) == 2);
}
