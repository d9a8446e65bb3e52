#pragma once

// What the benchmarks of durable runs share: an agent that makes steps, and what the loop beside it
// must write.

#include <cstdint>
#include <memory>
#include <string>

#include "office.hpp"

namespace runs_bench {

using namespace bureau;
using bench::must;

inline constexpr auto steps_kind = task_kind<Nothing, Nothing>("steps", Effect::pure, retry::never);

/// Makes `count` steps and says how long one took; steps that reserve from a budget, if it
/// `spends`.
class Stepper final : public AgentOf<steps_kind> {
 public:
  int count = 0;
  bool spends = false;
  double step_us = 0;

 private:
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    const double start = bench::seconds_now();
    Spend spend;
    spend.most = {.tokens = 100, .calls = 1};
    for (int i = 0; i < count; ++i) {
      if (spends) {
        BUREAU_TRY_VOID(run.spend("step", spend, [](Amounts& used) -> Result<std::int64_t> {
          used.tokens = 60;
          return 7;
        }));
      } else {
        BUREAU_TRY_VOID(run.step("step", []() -> Result<std::int64_t> { return 7; }));
      }
    }
    step_us = (bench::seconds_now() - start) * 1e6 / count;
    return Nothing{};
  }
};

/// The newest record of the journal: what the loop must write too.
inline std::string newest_body(const bench::Office& office) {
  std::string body;
  must(office.system().read([&](View& view) -> Result<int> {
    const TableInfo* table = office.engine->database().catalog().find("bureau_journal");
    Select newest{table};
    newest.order = {{&table->columns[0], true}};
    newest.limit = 1;
    BUREAU_TRY_VOID(view.reader().scan(newest, [&](std::span<const Value> row) -> Result<bool> {
      body = row[8].as_text();
      return false;
    }));
    return 0;
  }));
  return body;
}

inline RunStep a_step(const bench::Office& office) {
  RunStep step;
  must(office.system().read([&](View& view) -> Result<int> {
    BUREAU_TRY_VOID(view.reader().scan(select<RunStep>().limit(1),
                                       [&](std::span<const Value> row) -> Result<bool> {
                                         from_values(row, step);
                                         return false;
                                       }));
    return 0;
  }));
  return step;
}

inline void work_off(Orchestrator& orchestrator) {
  orchestrator.notice();
  while (must(orchestrator.step())) {
  }
}

/// An office whose runs make steps.
class StepRuns {
 public:
  /// There is a run, and everything is prepared.
  explicit StepRuns(const bench::Office& office)
      : office_(office), orchestrator_(office.engine->database(), office.engine->access(), {}) {
    must(orchestrator_.add(stepper_));
    must(orchestrator_.start());
    step_us(50);
  }

  /// What each of so many steps of a run took.
  double step_us(int count, bool spends = false, const EnqueueOptions& options = {}) {
    must(Tasks(office_.system()).enqueue(steps_kind, {}, options));
    stepper_->count = count;
    stepper_->spends = spends;
    work_off(orchestrator_);
    return stepper_->step_us;
  }

 private:
  const bench::Office& office_;
  Orchestrator orchestrator_;
  std::shared_ptr<Stepper> stepper_ = std::make_shared<Stepper>();
};

}  // namespace runs_bench
