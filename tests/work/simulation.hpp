#pragma once

// A simulation of durable work: several processes on one storage whose calls fail at random, that
// are killed, fall silent and come back, in virtual time, from a seed. Each task is a run of random
// operations; at the end everything must have happened once and come to the right sum.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "work/run_office.hpp"

namespace bureau::work_test {

/// A payload is the seed of what the run does, and how deep its children may go.
inline constexpr auto simulated = task_kind<Sum, Total>(
    "simulated", Effect::database, retry::fixed(100'000, std::chrono::seconds(1)));

/// What a program does wrong on purpose: a simulation that does not notice is worth nothing.
enum class Canary {
  none,
  effect_beside_the_step,  ///< a step's change in a commit of its own
  step_without_record,     ///< work between the steps
  forgets_early_signals,   ///< what comes before the run waits is dropped
};

class Simulation {
 public:
  using MakeStorage = std::function<std::shared_ptr<Storage>(Clock&)>;
  Simulation(std::uint64_t seed, Canary canary, const MakeStorage& make = new_storage)
      : canary_(canary), random_(seed), ids_(seed + 1), storage_(make(clock_)) {}

  /// What does not hold; empty when all does.
  std::string run() {
    for (int i = 0; i < 2; ++i) start_process();
    std::vector<Id<Task>> tasks;
    const int count = 1 + static_cast<int>(random_.below(4));
    for (int i = 0; i < count; ++i) {
      const Sum payload{static_cast<std::int64_t>(random_.below(1'000'000)), 2};
      tasks.push_back(must(Tasks(system()).enqueue(simulated, payload)).id);
      expected_ += value_of(payload);
    }
    for (int turn = 0; turn < 4000 && broken_.empty(); ++turn) {
      act();
      if (turn % 16 == 0 && all_ended()) break;
    }
    faults_ = false;
    for (int turn = 0; turn < 400 && broken_.empty() && !all_ended(); ++turn) settle();
    return broken_.empty() ? judge(tasks) : broken_;
  }

  /// All rows of all tables as they are now, the journal's without their numbers, which a storage
  /// need not draw without gaps.
  std::string trace() {
    std::string all;
    must(home_.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      for (const TableInfo* table : home_.database->catalog().tables()) {
        const bool numbered = table->name == "bureau_journal";
        const auto add = [&](std::span<const Value> row) -> Result<bool> {
          all += table->name;
          for (const ColumnInfo& column : table->columns) {
            if (numbered && column.index == 0) continue;
            all += ' ' + to_text(column, row[column.index]);
          }
          all += '\n';
          return true;
        };
        BUREAU_TRY_VOID(reader.scan(Select{table}, add));
      }
      return {};
    }));
    return all;
  }

 private:
  enum class Op { step, unit_step, sleep, wait, children, flaky };
  struct Node {
    std::unique_ptr<Process> process;
    std::unique_ptr<Orchestrator> orchestrator;
    std::shared_ptr<bool> dead = std::make_shared<bool>(false);
  };

  static std::vector<Op> ops_of(const Sum& payload) {
    SeededRandom random(static_cast<std::uint64_t>(payload.a));
    std::vector<Op> ops;
    const std::uint64_t count = 1 + random.below(5);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto op = static_cast<Op>(random.below(6));
      ops.push_back(op == Op::children && payload.b == 0 ? Op::step : op);
    }
    return ops;
  }
  static Sum child_of(const Sum& payload, std::int64_t place) {
    return {(payload.a * 31 + place * 7 + 1) % 1'000'000, payload.b - 1};
  }
  static std::int64_t value_of(const Sum& payload) {
    std::int64_t value = 0;
    std::int64_t place = 0;
    for (const Op op : ops_of(payload)) {
      ++place;
      value += 1;
      if (op != Op::children) continue;
      for (int i = 0; i < 2; ++i) value += value_of(child_of(payload, place * 2 + i));
    }
    return value;
  }
  static std::uint64_t effects_of(const Sum& payload) {
    std::uint64_t effects = ends_later(payload) ? 1 : 0;
    std::int64_t place = 0;
    for (const Op op : ops_of(payload)) {
      ++place;
      if (op == Op::unit_step) ++effects;
      if (op != Op::children) continue;
      for (int i = 0; i < 2; ++i) effects += effects_of(child_of(payload, place * 2 + i));
    }
    return effects;
  }

  /// A third of the runs end with an effect that is made after the handler has returned.
  static bool ends_later(const Sum& payload) { return payload.a % 3 == 0; }

  Result<Total> execute(Run& run, const Sum& payload) {
    Total total;
    std::int64_t place = 0;
    for (const Op op : ops_of(payload)) {
      ++place;
      BUREAU_TRY(const std::int64_t value, perform(run, payload, op, place));
      total.value += value;
    }
    if (!ends_later(payload)) return total;
    const std::string team = run.idempotency_key() + "end";
    return run.complete_later([team, total](Unit& unit) -> Result<Total> {
      BUREAU_TRY_VOID(add_team(unit, team));
      return total;
    });
  }

  Result<std::int64_t> perform(Run& run, const Sum& payload, Op op, std::int64_t place) {
    const std::string name = "op " + std::to_string(place);
    switch (op) {
      case Op::step:
        if (canary_ == Canary::step_without_record) {
          note_execution(run, name);
          return 1;
        }
        return run.step(name, [&]() -> Result<std::int64_t> {
          note_execution(run, name);
          return 1;
        });
      case Op::unit_step:
        return unit_step(run, name);
      case Op::sleep:
        BUREAU_TRY_VOID(run.sleep(std::chrono::seconds(place * 40)));
        return 1;
      case Op::wait: {
        BUREAU_TRY(const auto said, run.wait_for(Signal<Total>{name}));
        return said ? said->value : 0;
      }
      case Op::children: {
        std::vector<Child<Total>> children;
        for (int i = 0; i < 2; ++i) {
          BUREAU_TRY(const auto spawned, run.spawn(simulated, child_of(payload, place * 2 + i)));
          children.push_back(spawned);
        }
        BUREAU_TRY(const auto ends, run.join_all(children));
        std::int64_t value = 1;
        for (const auto& end : ends) {
          BUREAU_TRY(const Total half, end);
          value += half.value;
        }
        return value;
      }
      case Op::flaky:
        return run.step(name, [&]() -> Result<std::int64_t> {
          if (random_.below(2) == 0) return fail(Code::unavailable, "flaky");
          note_execution(run, name);
          return 1;
        });
    }
    return 0;
  }

  Result<std::int64_t> unit_step(Run& run, const std::string& name) {
    const std::string team = run.idempotency_key() + name;
    if (canary_ != Canary::effect_beside_the_step) {
      return run.step(name, [&](Unit& unit) -> Result<std::int64_t> {
        BUREAU_TRY_VOID(add_team(unit, team));
        return 1;
      });
    }
    return run.step(name, [&]() -> Result<std::int64_t> {
      const std::string numbered = team + std::to_string(++effects_beside_);
      BUREAU_TRY_VOID(system().write([&](Unit& unit) { return add_team(unit, numbered); }));
      return 1;
    });
  }

  /// G6: what is recorded is not executed again.
  void note_execution(const Run& run, const std::string& name) {
    const auto steps = must(Runs(system()).steps(run.task().id));
    for (const RunStep& step : steps) {
      if (step.name == name && step.status == StepStatus::finished) {
        broken_ = "a finished step was executed again: " + name;
      }
    }
    if (canary_ != Canary::step_without_record) return;
    if (++executions_[run.idempotency_key() + name] > 1) broken_ = "work was done twice: " + name;
  }

  // The world ------------------------------------------------------------------------------------

  void start_process() {
    Node node;
    auto storage = std::make_shared<testing::FaultyStorage>(
        std::make_shared<testing::RerunStorage>(storage_),
        [this, dead = node.dead](bool is_write, std::uint64_t) -> std::optional<testing::Fault> {
          using At = testing::Fault::At;
          if (*dead) return testing::Fault{At::before, 1, Code::unavailable};
          if (!faults_ || random_.below(40) != 0) return std::nullopt;
          constexpr At ways[] = {At::before, At::statement, At::commit, At::unknown_kept,
                                 At::unknown_undone};
          return testing::Fault{is_write ? ways[random_.below(5)] : At::before,
                                1 + static_cast<int>(random_.below(4)), Code::unavailable};
        });
    faults_ = false;
    node.process = std::make_unique<Process>(storage, clock_, ids_);
    OrchestratorOptions options;
    options.batch = 1 + random_.below(6);
    node.orchestrator =
        std::make_unique<Orchestrator>(*node.process->database, *node.process->access, options);
    must(node.orchestrator->add(std::make_shared<Doer<simulated>>(
        [this](Run& run, const Sum& payload) { return execute(run, payload); })));
    must(node.orchestrator->start());
    faults_ = true;
    nodes_.push_back(std::move(node));
  }

  void kill(std::size_t i) {
    *nodes_[i].dead = true;
    nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  /// A process that is not chosen for a while has fallen silent: others take its tasks, and what it
  /// does when it comes back must leave nothing.
  void act() {
    const std::uint64_t what = random_.below(100);
    const std::size_t i = random_.below(nodes_.size());
    if (what < 60) {
      nodes_[i].orchestrator->notice();
      (void)nodes_[i].orchestrator->step({1 + random_.below(6), Duration::max()});
    } else if (what < 75) {
      (void)nodes_[i].orchestrator->duties();
    } else if (what < 88) {
      clock_.advance(std::chrono::milliseconds(random_.below(20'000)));
    } else if (what < 96) {
      send_signals();
    } else if (what < 98 && nodes_.size() > 1) {
      kill(i);
    } else if (nodes_.size() < 4) {
      start_process();
    }
  }

  /// Without faults, everything comes to its end.
  void settle() {
    send_signals();
    for (Node& node : nodes_) {
      (void)node.orchestrator->duties();
      do {
        node.orchestrator->notice();
      } while (node.orchestrator->step().value_or(false));
    }
    clock_.advance(std::chrono::seconds(20));
  }

  /// Says to runs what they will wait for, whether they do yet or not, once each.
  void send_signals() {
    const bool faults = std::exchange(faults_, false);
    Query open;
    open.where = col(&Task::status) < TaskStatus::completed;
    for (const Task& task : must(Tasks(system()).list(open))) {
      const Sum payload = must(record_from_json<Sum>(task.payload));
      std::int64_t place = 0;
      for (const Op op : ops_of(payload)) {
        ++place;
        if (op != Op::wait || (faults && random_.below(2) == 0)) continue;
        const std::string name = "op " + std::to_string(place);
        if (canary_ == Canary::forgets_early_signals && task.status != TaskStatus::waiting) {
          said_.insert({task.id.value, place});
        }
        if (said_.contains({task.id.value, place})) continue;
        must(Runs(system()).signal(task.id, Signal<Total>{name}, Total{1}, name));
      }
    }
    faults_ = faults;
  }

  bool all_ended() {
    return must(Tasks(system()).count(col(&Task::status) < TaskStatus::completed)) == 0;
  }

  std::string judge(const std::vector<Id<Task>>& tasks) {
    std::int64_t value = 0;
    std::uint64_t effects = 0;
    for (const Id<Task> id : tasks) {
      const Task task = must(Tasks(system()).find(id));
      if (task.status != TaskStatus::completed) {
        return "a task did not complete: " + task.error.value_or("it still waits");
      }
      value += must(record_from_json<Total>(*task.result)).value;
      effects += effects_of(must(record_from_json<Sum>(task.payload)));
    }
    if (value != expected_) return "the results are wrong";
    const auto there = must(Repository<Team>(system()).count());
    if (there != effects) {
      return "effects: " + std::to_string(there) + " instead of " + std::to_string(effects);
    }
    if (must(Repository<RunStep>(system()).count(col(&RunStep::status) == StepStatus::open)) != 0) {
      return "a step is still open in a run that has ended";
    }
    return {};
  }

  Session system() { return home_.access->system(tenant_.id); }

  Canary canary_;
  SeededRandom random_, ids_;
  ManualClock clock_;
  std::shared_ptr<Storage> storage_;
  Process home_{storage_, clock_, ids_};  // whose calls never fail: who looks at it all
  Tenant tenant_ = must(home_.access->create_tenant("Larkfield"));
  std::vector<Node> nodes_;
  bool faults_ = false;
  std::int64_t expected_ = 0;
  std::int64_t effects_beside_ = 0;
  std::map<std::string, int> executions_;
  std::set<std::pair<std::int64_t, std::int64_t>> said_;
  std::string broken_;
};

}  // namespace bureau::work_test
