#include "bureau/work/task_queue.hpp"

#include <doctest/doctest.h>

#include <set>

#include "counts.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

Id<Task> enqueue(Office& office, const EnqueueOptions& options = {}) {
  return must(office.tasks().enqueue(add_up, {1, 2}, options)).id;
}

TaskQueue::ClaimOptions many(std::uint64_t limit = 100) { return {"default", {}, limit, "tester"}; }

}  // namespace

TEST_CASE("A task is enqueued in the caller's transaction") {
  Office office;
  auto failed = office.system().write([&](Unit& unit) -> Result<int> {
    BUREAU_TRY_VOID(Tasks(unit).enqueue(add_up, {1, 2}));
    return fail(Code::invalid, "changed my mind");
  });
  CHECK(code_of(failed) == Code::invalid);
  CHECK(must(office.tasks().count()) == 0);
  must(office.system().write([&](Unit& unit) -> Result<Task> {
    return Tasks(unit).enqueue(add_up, {1, 2});
  }));
  CHECK(must(office.tasks().count()) == 1);
}

TEST_CASE("Bad input is refused with the field, the value and the rule, and changes nothing") {
  Office office;
  auto negative = office.tasks().enqueue(add_up, {1, 2}, {.delay = -1s});
  CHECK(code_of(negative) == Code::invalid);
  CHECK(negative.error().field == "delay");
  CHECK(negative.error().message.find("-1000000") != std::string::npos);
  auto key =
      office.tasks().enqueue_json(add_up, {Json::object(), Json::object()}, {.unique_key = "x"});
  CHECK(code_of(key) == Code::invalid);
  auto large = office.tasks().enqueue_json(
      add_up, {Json::object({{"text", std::string(max_payload_bytes, 'x')}})}, {});
  CHECK(code_of(large) == Code::invalid);
  CHECK(large.error().field == "payload");
  CHECK(must(office.tasks().count()) == 0);
}

TEST_CASE("A unique key gives the task that is there, until it has ended") {
  Office office;
  TaskQueue queue(*office.process.database);
  const auto first = enqueue(office, {.unique_key = "invoice 7"});
  CHECK(enqueue(office, {.unique_key = "invoice 7"}) == first);
  CHECK(enqueue(office, {.unique_key = "invoice 8"}) != first);
  auto claimed = must(queue.claim(many()));
  CHECK(claimed.size() == 2);
  for (const Task& task : claimed) {
    const TaskQueue::Completion done{task.id, task.attempt, Json::object()};
    CHECK(must(queue.complete(std::span(&done, 1))).empty());
  }
  CHECK(enqueue(office, {.unique_key = "invoice 7"}) != first);
}

TEST_CASE("The better rank runs first, and waiting makes up for priority") {
  Office office;
  TaskQueue queue(*office.process.database);
  const auto low = enqueue(office, {.priority = Priority::low});
  office.clock.advance(11min);
  const auto normal = enqueue(office);
  const auto urgent = enqueue(office, {.priority = Priority::urgent});
  const auto claimed = must(queue.claim(many()));
  REQUIRE(claimed.size() == 3);
  CHECK(claimed[0].id == urgent);
  CHECK(claimed[1].id == low);  // 11 minutes are worth more than a normal task's 10
  CHECK(claimed[2].id == normal);
}

TEST_CASE("A delayed task is not claimed before its time") {
  Office office;
  TaskQueue queue(*office.process.database);
  const auto id = enqueue(office, {.delay = 5min});
  CHECK(office.find(id).status == TaskStatus::scheduled);
  CHECK(must(queue.claim(many())).empty());
  CHECK(must(queue.next_due()) == office.clock.now() + 5min);
  office.clock.advance(5min);
  const auto claimed = must(queue.claim(many()));
  REQUIRE(claimed.size() == 1);
  CHECK(claimed[0].attempt == 1);
  CHECK(must(queue.next_due()) == Timestamp::never());
}

TEST_CASE("G4_two_nodes_never_hold_one_task") {
  Office office;
  Process other(office.storage, office.clock, office.random);
  TaskQueue here(*office.process.database);
  TaskQueue there(*other.database);
  for (int i = 0; i < 50; ++i) enqueue(office);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 10; ++i) {
    for (TaskQueue* queue : {&here, &there}) {
      for (const Task& task : must(queue->claim(many(7)))) CHECK(seen.insert(task.id.value).second);
    }
  }
  CHECK(seen.size() == 50);
}

TEST_CASE("G3_effects_and_completion_commit_together") {
  Office office;
  TaskQueue queue(*office.process.database);
  const auto id = enqueue(office);
  const Task task = must(queue.claim(many())).at(0);
  int calls = 0;
  auto effect = [&](bool good) {
    ++calls;
    return office.system().write([&](Unit& unit) -> Result<int> {
      Team team;
      team.name = "made by call " + std::to_string(calls);
      BUREAU_TRY_VOID(Repository<Team>(unit).insert(team));
      BUREAU_TRY_VOID(queue.complete(unit.transaction(), task, Json::object()));
      if (!good) return fail(Code::invalid, "no");
      return 1;
    });
  };
  CHECK(code_of(effect(false)) == Code::invalid);
  CHECK(office.find(id).status == TaskStatus::running);
  CHECK(must(Repository<Team>(office.system()).count()) == 0);
  must(effect(true));
  CHECK(office.find(id).status == TaskStatus::completed);
  // A second delivery of the same attempt: refused, and its effect is not there.
  CHECK(code_of(effect(true)) == Code::conflict);
  CHECK(must(Repository<Team>(office.system()).count()) == 1);
}

TEST_CASE("G4_a_stale_holder_is_fenced") {
  Office office;
  auto other = std::make_unique<Process>(office.storage, office.clock, office.random);
  TaskQueue here(*office.process.database);
  TaskQueue there(*other->database);
  const auto id = enqueue(office);
  const Task stale = must(there.claim(many())).at(0);
  // Its process lives (the lock is held) but says nothing for two heartbeats.
  CHECK(must(here.rescue()) == 0);
  office.clock.advance(10s);
  CHECK(must(here.rescue()) == 1);
  const Task fresh = must(here.claim(many())).at(0);
  CHECK(fresh.attempt == stale.attempt + 1);
  // The stale worker wakes up.
  const TaskQueue::Completion late{stale.id, stale.attempt, Json::object()};
  CHECK(must(there.complete(std::span(&late, 1))) == std::vector<Id<Task>>{id});
  CHECK(code_of(there.fail(stale, Error(Code::internal, "x"), add_up.retry)) == Code::conflict);
  const TaskQueue::Attempt of_stale{stale.id, stale.attempt};
  CHECK(must(there.interrupted(std::span(&of_stale, 1))).size() == 1);
  CHECK(office.find(id).status == TaskStatus::running);
  const TaskQueue::Completion done{fresh.id, fresh.attempt, Json::object()};
  CHECK(must(here.complete(std::span(&done, 1))).empty());
}

TEST_CASE("G8_a_node_that_renews_its_lease_keeps_its_tasks") {
  Office office;
  Process other(office.storage, office.clock, office.random);
  TaskQueue here(*office.process.database);
  TaskQueue there(*other.database);
  enqueue(office);
  const Task task = must(there.claim(many())).at(0);
  for (int i = 0; i < 200; ++i) {  // a long task, on a clock that also steps wildly
    office.clock.advance(4s);
    if (i % 3 == 0) office.clock.step(i % 2 == 0 ? 3h : -5h);
    must(there.heartbeat());
    CHECK(must(here.rescue()) == 0);
  }
  // One heartbeat late is no death; two are.
  office.clock.advance(9s);
  CHECK(must(here.rescue()) == 0);
  office.clock.advance(1s);
  CHECK(must(here.rescue()) == 1);
}

TEST_CASE("G8_an_idle_node_need_not_beat") {
  Office office;
  Process other(office.storage, office.clock, office.random);
  TaskQueue here(*office.process.database);
  TaskQueue there(*other.database);
  enqueue(office);
  const Task first = must(there.claim(many())).at(0);
  CHECK(must(here.rescue()) == 0);  // seen now
  const TaskQueue::Completion done{first.id, first.attempt, Json::object()};
  must(there.complete(std::span(&done, 1)));
  CHECK(must(here.rescue()) == 0);  // it holds nothing: no longer watched
  office.clock.advance(1h);         // without a heartbeat, rightly
  enqueue(office);
  must(there.claim(many()));
  CHECK(must(here.rescue()) == 0);  // its silence begins to count only now
}

TEST_CASE("G8_a_dead_process_is_known_at_once") {
  Office office;
  TaskQueue here(*office.process.database);
  auto other = std::make_unique<Process>(office.storage, office.clock, office.random);
  const auto id = enqueue(office);
  must(TaskQueue(*other->database).claim(many()));
  other.reset();
  CHECK(must(here.rescue()) == 1);
  CHECK(office.find(id).status == TaskStatus::ready);
}

TEST_CASE(
    "A crash uses up an attempt; without any left the task is dead, and may be driven again") {
  Office office;
  TaskQueue here(*office.process.database);
  const auto id = enqueue(office);
  for (int i = 0; i < 3; ++i) {
    Process crashing(office.storage, office.clock, office.random);
    CHECK(must(TaskQueue(*crashing.database).claim(many())).size() == 1);
    crashing.access.reset();
    crashing.database.reset();
    CHECK(must(here.rescue()) == 1);
  }
  const Task dead = office.find(id);
  CHECK(dead.status == TaskStatus::dead);
  CHECK(dead.error_code == "unknown_outcome");
  CHECK(dead.finished_at.has_value());
  CHECK(must(office.tasks().redrive(id)).status == TaskStatus::ready);
  CHECK(code_of(office.tasks().redrive(id)) == Code::conflict);
  const auto again = must(here.claim(many()));
  REQUIRE(again.size() == 1);
  CHECK(again[0].attempt == 4);  // the fence goes on
}

TEST_CASE("G7_an_unsafe_effect_is_in_doubt_after_a_crash_and_never_repeated_blindly") {
  Office office;
  TaskQueue here(*office.process.database);
  const auto id = must(office.tasks().enqueue(send_out, {1, 2})).id;
  auto other = std::make_unique<Process>(office.storage, office.clock, office.random);
  must(TaskQueue(*other->database).claim(many()));
  other.reset();
  CHECK(must(here.rescue()) == 1);
  CHECK(office.find(id).status == TaskStatus::in_doubt);
  CHECK(must(here.claim(many())).empty());
  CHECK(code_of(office.tasks().resolve(id, TaskStatus::scheduled, "no")) == Code::conflict);
  CHECK(must(office.tasks().resolve(id, TaskStatus::ready, "it was not sent")).status ==
        TaskStatus::ready);
  CHECK(must(here.claim(many())).size() == 1);
}

TEST_CASE("A failed attempt waits, is repeated, and ends among the dead letters with its reason") {
  Office office;
  TaskQueue queue(*office.process.database);
  const auto id = enqueue(office);
  const Error error(Code::unavailable, "the mill is jammed: \xFF");
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const auto claimed = must(queue.claim(many()));
    REQUIRE(claimed.size() == 1);
    CHECK(claimed[0].attempt == attempt);
    const auto became = must(queue.fail(claimed[0], error, add_up.retry));
    CHECK(became == (attempt < 3 ? TaskStatus::scheduled : TaskStatus::dead));
    CHECK(must(queue.claim(many())).empty());
    office.clock.advance(10s);
  }
  const Task dead = office.find(id);
  CHECK(dead.status == TaskStatus::dead);
  CHECK(dead.error == "the mill is jammed: \xEF\xBF\xBD");  // and no reason is lost for a byte
  CHECK(dead.error_code == "unavailable");
}

TEST_CASE("Snoozed, a task that has not begun rests until then") {
  Office office;
  TaskQueue queue(*office.process.database);
  const auto id = enqueue(office);
  const Timestamp until = office.clock.now() + 1h;
  CHECK(must(office.tasks().snooze(id, until)).status == TaskStatus::scheduled);
  office.clock.advance(59min);
  CHECK(must(queue.claim(many())).empty());
  CHECK(must(office.tasks().snooze(id, until + 1h)).run_at == until + 1h);
  office.clock.advance(61min);
  CHECK(must(queue.claim(many())).size() == 1);
  CHECK(code_of(office.tasks().snooze(id, until + 9h)) == Code::conflict);  // it runs
  const auto other = enqueue(office);
  CHECK(code_of(office.tasks().snooze(other, office.clock.now())) == Code::invalid);
  CHECK(office.find(other).status == TaskStatus::ready);
}

TEST_CASE("Dead letters are driven again by predicate, the oldest first") {
  Office office;
  TaskQueue queue(*office.process.database);
  std::vector<Id<Task>> dead;
  for (int i = 0; i < 5; ++i) {
    dead.push_back(enqueue(office));
    const Task task = must(queue.claim(many())).at(0);
    must(queue.fail(task, Error(i == 2 ? Code::forbidden : Code::invalid, "no"), add_up.retry));
  }
  const Predicate invalid = col(&Task::error_code) == "invalid";
  CHECK(must(office.tasks().redrive_all(invalid, 3)) == 3);
  CHECK(office.find(dead[3]).status == TaskStatus::ready);
  CHECK(office.find(dead[4]).status == TaskStatus::dead);
  CHECK(must(office.tasks().redrive_all(invalid, 3)) == 1);
  CHECK(must(office.tasks().redrive_all(invalid, 3)) == 0);
  CHECK(office.find(dead[2]).status == TaskStatus::dead);
  CHECK(must(queue.claim(many())).size() == 4);
  CHECK(must(office.tasks().redrive_all()) == 1);
}

TEST_CASE("A newer task with its key replaces one that has not begun") {
  Office office;
  TaskQueue queue(*office.process.database);
  EnqueueOptions options;
  options.unique_key = "report";
  options.on_conflict = OnConflict::replace;
  const Task first = must(office.tasks().enqueue(add_up, {1, 1}, options));
  const Task second = must(office.tasks().enqueue(add_up, {2, 2}, options));
  CHECK(second.id != first.id);
  CHECK(office.find(first.id).status == TaskStatus::cancelled);
  CHECK(office.find(first.id).error == "replaced by a newer task with its key");
  const auto claimed = must(queue.claim(many()));
  REQUIRE(claimed.size() == 1);
  CHECK(claimed[0].id == second.id);
  CHECK(must(office.tasks().enqueue(add_up, {3, 3}, options)).id == second.id);  // it has begun
}

TEST_CASE("A key may count for a while after its task was completed") {
  Office office;
  TaskQueue queue(*office.process.database);
  EnqueueOptions options;
  options.unique_key = "report";
  options.unique_for = 1h;
  const auto first = must(office.tasks().enqueue(add_up, {1, 1}, options)).id;
  const Task task = must(queue.claim(many())).at(0);
  const TaskQueue::Completion done{task.id, task.attempt, Json::object()};
  must(queue.complete(std::span(&done, 1)));
  office.clock.advance(59min);
  CHECK(must(office.tasks().enqueue(add_up, {2, 2}, options)).id == first);
  office.clock.advance(1min);
  const auto second = must(office.tasks().enqueue(add_up, {3, 3}, options)).id;
  CHECK(second != first);
  must(office.tasks().cancel(second, "no"));
  CHECK(must(office.tasks().enqueue(add_up, {4, 4}, options)).id != second);  // it did nothing

  options.unique_key.reset();
  CHECK(code_of(office.tasks().enqueue(add_up, {1, 1}, options)) == Code::invalid);
  options = {};
  options.on_conflict = OnConflict::replace;
  CHECK(code_of(office.tasks().enqueue(add_up, {1, 1}, options)) == Code::invalid);
  options = {};
  options.unique_key = "report";
  options.unique_for = -1s;
  CHECK(code_of(office.tasks().enqueue(add_up, {1, 1}, options)) == Code::invalid);
}

TEST_CASE("Retries wait longer each time, within the cap, and jitter takes at most half off") {
  SeededRandom random(3);
  const Retry retry = retry::exponential(10, 1s, 1min);
  Duration before{0};
  for (int attempt = 1; attempt < 10; ++attempt) {
    const auto full = std::min<Duration>(1s * (1 << (attempt - 1)), 1min);
    for (int i = 0; i < 50; ++i) {
      const Duration pause = retry_pause(retry, attempt, random);
      CHECK(pause <= full);
      CHECK(pause >= full / 2 - 1us);
    }
    CHECK(full >= before);
    before = full;
  }
  CHECK(retry_pause(retry::fixed(3, 10s), 2, random) == 10s);
}

TEST_CASE("Cancelling: at once while queued, after the handler while running, never when ended") {
  Office office;
  TaskQueue queue(*office.process.database);
  const auto queued = enqueue(office);
  CHECK(must(office.tasks().cancel(queued, "not needed")).status == TaskStatus::cancelled);
  CHECK(must(queue.claim(many())).empty());
  CHECK(code_of(office.tasks().cancel(queued, "again")) == Code::conflict);

  const auto running = enqueue(office);
  const Task task = must(queue.claim(many())).at(0);
  CHECK(must(office.tasks().cancel(running, "stop it")).status == TaskStatus::running);
  const TaskQueue::Attempt attempt{task.id, task.attempt};
  CHECK(must(queue.interrupted(std::span(&attempt, 1))).size() == 1);
  auto complete = office.system().write([&](Unit& unit) -> Result<int> {
    BUREAU_TRY_VOID(queue.complete(unit.transaction(), task, Json::object()));
    return 1;
  });
  CHECK(code_of(complete) == Code::cancelled);
  CHECK(must(queue.fail(task, Error(Code::cancelled, "cancelled"), add_up.retry)) ==
        TaskStatus::cancelled);
  CHECK(office.find(running).status == TaskStatus::cancelled);
}

TEST_CASE("G7_cancelling_hides_no_doubt_and_does_not_outlive_it") {
  for (const bool dies : {false, true}) {
    Office office;
    auto other = std::make_unique<Process>(office.storage, office.clock, office.random);
    TaskQueue here(*office.process.database);
    const auto id = must(office.tasks().enqueue(send_out, {1, 2})).id;
    const Task task = must(TaskQueue(*other->database).claim(many())).at(0);
    must(office.tasks().cancel(id, "stop it"));
    if (dies) {
      other.reset();
      CHECK(must(here.rescue()) == 1);
    } else {
      const Error lost(Code::unknown_outcome, "no answer");
      must(TaskQueue(*other->database).fail(task, lost, send_out.retry));
    }
    CHECK(office.find(id).status == TaskStatus::in_doubt);
    must(office.tasks().resolve(id, TaskStatus::ready, "it never arrived"));
    const Task again = must(here.claim(many())).at(0);
    CHECK(again.attempt == 2);
    const TaskQueue::Completion done{again.id, again.attempt, Json::object()};
    CHECK(must(here.complete(std::span(&done, 1))).empty());
    CHECK(office.find(id).status == TaskStatus::completed);
  }
}

TEST_CASE("What is handed back unbegun has all its attempts") {
  Office office;
  TaskQueue queue(*office.process.database);
  const auto id = enqueue(office);
  for (int i = 0; i < 5; ++i) {
    const auto claimed = must(queue.claim(many()));
    REQUIRE(claimed.size() == 1);
    must(queue.release(claimed));
  }
  const Task task = office.find(id);
  CHECK(task.status == TaskStatus::ready);
  CHECK(task.failures == 0);
  CHECK(task.max_attempts == 3);
}

TEST_CASE("Progress is kept for the holder of the lease only, and is no change") {
  Office office;
  TaskQueue queue(*office.process.database);
  const auto id = enqueue(office);
  const Task task = must(queue.claim(many())).at(0);
  std::int64_t before = 0;
  auto head = [&] {
    std::int64_t at = 0;
    must(office.process.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(at, office.process.database->journal_head(reader));
      return {};
    }));
    return at;
  };
  before = head();
  must(queue.progress(task, 0.5, "half of it"));
  CHECK(head() == before);
  CHECK(office.find(id).progress == 0.5);
  CHECK(code_of(queue.progress(task, 1.5, "")) == Code::invalid);
  Task stale = task;
  stale.attempt += 1;
  CHECK(code_of(queue.progress(stale, 0.6, "")) == Code::conflict);
}

TEST_CASE("G5_no_task_is_lost_and_every_step_is_a_legal_edge") {
  // Random histories of three processes that claim, complete, fail, crash, cancel and redrive:
  // after each step every task is in a status that its status before may become.
  for (int seed = 1; seed <= tests::fewer(counts::cases(30, 300)); ++seed) {
    CAPTURE(seed);
    Office office;
    SeededRandom dice(static_cast<std::uint64_t>(seed));
    std::vector<std::unique_ptr<Process>> processes;
    std::vector<std::vector<Task>> held(3);
    for (int i = 0; i < 3; ++i) {
      processes.push_back(std::make_unique<Process>(office.storage, office.clock, office.random));
    }
    std::map<std::int64_t, TaskStatus> known;
    for (int step = 0; step < 150; ++step) {
      const auto p = dice.below(3);
      TaskQueue queue(*processes[p]->database);
      auto pick = [&]() -> std::optional<Task> {
        if (held[p].empty()) return {};
        const auto at = dice.below(held[p].size());
        Task task = held[p][at];
        held[p].erase(held[p].begin() + static_cast<std::ptrdiff_t>(at));
        return task;
      };
      switch (dice.below(9)) {
        case 0:
        case 1: {
          const auto id = dice.below(4) == 0
                              ? must(office.tasks().enqueue(send_out, {1, 2})).id
                              : enqueue(office, {.delay = Duration(dice.below(2) * 20'000'000)});
          known[id.value] = office.find(id).status;
          break;
        }
        case 2:
        case 3:
          for (Task& task : must(queue.claim(many(1 + dice.below(4))))) {
            held[p].push_back(std::move(task));
          }
          break;
        case 4:
          if (auto task = pick()) {
            const TaskQueue::Completion done{task->id, task->attempt, Json::object()};
            must(queue.complete(std::span(&done, 1)));
          }
          break;
        case 5:
          if (auto task = pick()) {
            (void)queue.fail(*task, Error(Code::unavailable, "x"), add_up.retry);
          }
          break;
        case 6:  // the process dies; another takes its place
          processes[p] = nullptr;
          processes[p] = std::make_unique<Process>(office.storage, office.clock, office.random);
          break;
        case 7:
          must(queue.rescue());
          break;
        case 8:
          if (!known.empty()) {
            auto at = known.begin();
            std::advance(at, static_cast<std::ptrdiff_t>(dice.below(known.size())));
            const Id<Task> id(at->first);
            if (dice.below(2) == 0) {
              (void)office.tasks().cancel(id, "x");
            } else {
              (void)office.tasks().redrive(id);
            }
          }
          break;
      }
      office.clock.advance(Duration(dice.below(5'000'000)));
      const auto all = must(office.tasks().list({.limit = 1000}));
      CHECK(all.size() == known.size());
      for (const Task& task : all) {
        TaskStatus& before = known[task.id.value];
        // A claim promotes and leases in one step, a rescue may take and another claim follow.
        const bool legal = before == task.status || may_become(before, task.status) ||
                           (before == TaskStatus::scheduled && task.status == TaskStatus::running);
        CHECK(legal);
        CHECK(has_ended(task.status) == task.finished_at.has_value());
        before = task.status;
      }
    }
  }
}
