// Replaying the runs in flight, without effects.

#include <fmt/format.h>

#include "work/orchestrator_impl.hpp"
#include "work/run_history.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// The tasks that have steps behind them and have not ended, from `after` on; at most `limit`.
Result<std::vector<Task>> in_flight(Database& database, Id<Task> after, std::uint64_t limit) {
  std::vector<Task> tasks;
  BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    tasks.clear();
    const Select begun = select<Task>()
                             .where(col(&Task::status) < TaskStatus::completed &&
                                    col(&Task::attempt) > 0 && col(&Task::id) > after)
                             .order_by(col(&Task::id))
                             .limit(limit);
    return reader.scan(begun, [&](std::span<const Value> row) -> Result<bool> {
      from_values(row, tasks.emplace_back());
      return true;
    });
  }));
  return tasks;
}

}  // namespace

/// How the run would diverge; none when it would not.
Result<std::optional<std::string>> Orchestrator::Impl::rehearse(const Task& task, Agent& agent) {
  auto session = session_for(task, agent);
  if (!session) return std::optional<std::string>();  // it would be refused; it does not diverge
  Task replayed = task;
  ++replayed.attempt;
  auto payload = queue.payload(task);
  if (!payload) return std::optional<std::string>(payload.error().message);
  replayed.payload = std::move(*payload);
  const auto run = std::shared_ptr<Run>(new Run(queue, *session, replayed));
  run->rehearses_ = true;
  Result<Json> outcome = Json();
  try {
    if (auto valid = agent.validate(replayed); !valid) {
      return std::optional<std::string>("payload: " + valid.error().message);
    }
    outcome = agent.execute(*run, replayed);
    if (outcome && run->may_go_on()) static_cast<void>(run->may_end());
  } catch (const std::exception& e) {
    return std::optional<std::string>(fmt::format("the handler threw: {}", e.what()));
  } catch (...) {
    return std::optional<std::string>("the handler threw something that is no std::exception");
  }
  std::lock_guard lock(run->mutex_);
  if (!run->ended_ || run->ended_->code == Code::suspended) return std::optional<std::string>();
  return std::optional<std::string>(run->ended_->message);
}

Result<Rehearsal> Orchestrator::rehearse() {
  constexpr std::uint64_t at_once = 100;
  Rehearsal report;
  Id<Task> after(1);  // below every id that is issued
  for (;;) {
    BUREAU_TRY(const auto tasks, in_flight(impl_->database, after, at_once));
    for (const Task& task : tasks) {
      after = task.id;
      std::vector<RunStep> steps;
      BUREAU_TRY_VOID(impl_->database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
        BUREAU_TRY(steps, detail::steps_of(reader, task.id));
        return {};
      }));
      if (steps.empty()) continue;
      std::shared_ptr<Agent> agent;
      {
        std::lock_guard lock(impl_->mutex);
        const auto found = impl_->by_kind.find(task.kind);
        if (found != impl_->by_kind.end()) agent = found->second.agent->agent;
      }
      if (agent == nullptr) {
        ++report.unknown;
        continue;
      }
      ++report.runs;
      BUREAU_TRY(auto diverges, impl_->rehearse(task, *agent));
      if (diverges) report.diverged.push_back({task.id, task.kind, std::move(*diverges)});
    }
    if (tasks.size() < at_once) return report;
  }
}

BUREAU_END_NAMESPACE
