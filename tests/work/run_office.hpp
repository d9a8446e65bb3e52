#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bureau/work/runs.hpp"
#include "work/work_office.hpp"

namespace bureau::work_test {

/// Runs of this kind do what their test says.
inline constexpr auto plan =
    task_kind<Sum, Total>("plan", Effect::database, retry::fixed(3, std::chrono::seconds(10)));
/// What runs spawn: a + b.
inline constexpr auto part =
    task_kind<Sum, Total>("part", Effect::database, retry::fixed(2, std::chrono::seconds(10)));

inline constexpr Signal<Total> paid{"paid"};

using Body = Doer<plan>::Body;

inline Result<Total> add_parts(Run&, const Sum& sum) { return Total{sum.a + sum.b}; }

/// A process that does both kinds.
struct Worker {
  Worker(Process& of, Body body, Body child = add_parts)
      : orchestrator(*of.database, *of.access, {}) {
    must(orchestrator.add(std::make_shared<Doer<plan>>(std::move(body))));
    must(orchestrator.add(std::make_shared<Doer<part>>(std::move(child))));
    must(orchestrator.start());
  }
  void run_all() {
    do {
      orchestrator.notice();  // as the engine does after each commit
    } while (must(orchestrator.step()));
  }
  Orchestrator orchestrator;
};

struct RunDesk {
  explicit RunDesk(Body body, Body child = add_parts)
      : worker(office.process, std::move(body), std::move(child)) {}
  Id<Task> enqueue(Sum sum = {1, 2}) { return must(office.tasks().enqueue(plan, sum)).id; }
  [[nodiscard]] Runs runs() { return Runs(office.system()); }
  Task find(Id<Task> id) { return office.find(id); }
  TaskStatus status(Id<Task> id) { return office.find(id).status; }
  /// What a completed run came to.
  std::int64_t value(Id<Task> id) {
    const Task task = office.find(id);
    if (task.status != TaskStatus::completed) MESSAGE(task.error.value_or("no error"));
    REQUIRE(task.status == TaskStatus::completed);
    return must(record_from_json<Total>(*task.result)).value;
  }
  void run_all() { worker.run_all(); }
  void after(Duration duration) {
    office.clock.advance(duration);
    run_all();
  }
  Office office;
  Worker worker;
};

/// Adds a team, so that effects can be counted.
inline Result<void> add_team(Unit& unit, std::string_view name) {
  Team team;
  team.name = name;
  BUREAU_TRY_VOID(Repository<Team>(unit).insert(team));
  return {};
}
inline std::uint64_t teams(Office& office) {
  return must(Repository<Team>(office.system()).count());
}

}  // namespace bureau::work_test
