// A run whose process dies at every commit, one after the other.

#include <doctest/doctest.h>

#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "counts.hpp"
#include "work/run_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;
using bureau::testing::Fault;

namespace {

/// What happened outside the database, which no crash undoes.
struct World {
  std::map<std::string, int> done;
  std::map<std::string, int> keys;  // of the idempotent calls
};

Result<Total> work(World& world, Run& run, const Sum& sum) {
  const auto does = [&](const char* name) {
    return [&world, name]() -> Result<std::int64_t> {
      ++world.done[name];
      return 1;
    };
  };
  BUREAU_TRY(auto a, run.step("look", does("look")));
  BUREAU_TRY(auto b, run.step("order", Effect::external_idempotent, [&]() -> Result<std::int64_t> {
    ++world.keys[run.idempotency_key()];
    return 10;
  }));
  BUREAU_TRY_VOID(run.sleep(1h));
  BUREAU_TRY(auto c, run.step("note", [&](Unit& unit) -> Result<std::int64_t> {
    BUREAU_TRY_VOID(add_team(unit, "noted"));
    return 100;
  }));
  BUREAU_TRY(auto payment, run.wait_for(paid, 1h));
  BUREAU_TRY(auto one, run.spawn(part, {1, sum.a}));
  BUREAU_TRY(auto two, run.spawn(part, {2, sum.b}));
  BUREAU_TRY(auto ends, run.join_all(std::vector{one, two}));
  BUREAU_TRY_VOID(run.step("thank", does("thank")));
  return run.complete([&](Unit& unit) -> Result<Total> {
    BUREAU_TRY_VOID(add_team(unit, "done"));
    return Total{a + b + c + (payment ? payment->value : 0) + ends[0]->value + ends[1]->value};
  });
}

/// The office's processes die when `plan` says so: from then on nothing reaches the storage.
struct Mortal {
  explicit Mortal(Office& of) : office(of) {}
  Office& office;
  bool dead = false;
  bool armed = false;  // once the process is up
  std::uint64_t writes = 0;
  std::uint64_t dies_at = 0;  // the write; 0: never
  Fault::At how = Fault::At::before;

  std::shared_ptr<Storage> storage() {
    return std::make_shared<testing::FaultyStorage>(
        std::make_shared<testing::RerunStorage>(office.storage),
        [this](bool is_write, std::uint64_t) -> std::optional<Fault> {
          if (dead) return Fault{Fault::At::before, 1, Code::unavailable};
          if (!is_write || !armed || ++writes != dies_at) return std::nullopt;
          dead = true;
          return Fault{how, 1, Code::unavailable};
        });
  }
};

/// Works until the process dies or there is nothing to do now.
void live(Worker& worker) {
  worker.orchestrator.notice();
  (void)worker.orchestrator.duties();
  for (;;) {
    worker.orchestrator.notice();
    auto stepped = worker.orchestrator.step();
    if (!stepped || !*stepped) return;
  }
}

struct Outcome {
  std::uint64_t writes = 0;
  World world;
  Task task;
  std::uint64_t teams = 0;
};

Outcome run_with_death(std::uint64_t dies_at, Fault::At how) {
  Office office;
  Outcome out;
  const auto body = [&](Run& run, const Sum& sum) { return work(out.world, run, sum); };
  const auto id = must(office.tasks().enqueue(plan, {20, 22})).id;
  must(Runs(office.system()).signal(id, paid, Total{1000}));
  Mortal mortal(office);
  mortal.dies_at = dies_at;
  mortal.how = how;
  int lives = 0;
  for (int turn = 0; turn < 40 && !has_ended(office.find(id).status); ++turn) {
    mortal.dead = mortal.armed = false;
    ++lives;
    auto process = std::make_unique<Process>(mortal.storage(), office.clock, office.random);
    auto worker = std::make_unique<Worker>(*process, body);
    mortal.armed = true;
    while (!mortal.dead && !has_ended(office.find(id).status)) {
      live(*worker);
      if (!mortal.dead) office.clock.advance(10min);
      REQUIRE(++turn < 40);
    }
  }
  CHECK(lives <= 2);
  out.writes = mortal.writes;
  out.task = office.find(id);
  out.teams = teams(office);
  return out;
}

}  // namespace

TEST_CASE("G6_a_run_that_dies_at_any_commit_repeats_at_most_the_step_in_flight") {
  const Outcome whole = run_with_death(0, Fault::At::before);
  REQUIRE(whole.task.status == TaskStatus::completed);
  REQUIRE(*whole.task.result == Json::object({{"value", 1156}}));
  REQUIRE(whole.writes > 10);
  int repeated = 0;
  for (const Fault::At how :
       {Fault::At::before, Fault::At::commit, Fault::At::unknown_kept, Fault::At::unknown_undone}) {
    const std::uint64_t stride = counts::sanitized || tests::slowness > 1 ? 7 : 1;
    for (std::uint64_t at = 1; at <= whole.writes; at += stride) {
      CAPTURE(at);
      CAPTURE(static_cast<int>(how));
      const Outcome out = run_with_death(at, how);
      CHECK(out.task.status == TaskStatus::completed);
      CHECK(*out.task.result == *whole.task.result);
      CHECK(out.teams == 2);  // what a unit writes is there once
      CHECK(out.world.keys.size() == 1);
      int twice = 0;
      for (const auto& entry : out.world.done) twice += entry.second - 1;
      for (const auto& entry : out.world.keys) twice += entry.second - 1;
      CHECK(twice <= 1);
      repeated += twice;
    }
  }
  CHECK(repeated > 0);  // a death in flight does repeat its step: the test sees deaths
}
