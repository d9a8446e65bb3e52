#pragma once

#include <array>
#include <optional>
#include <string>

#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a step of a run is. The order is frozen.
enum class StepKind {
  step,      ///< the host's own work
  sleep,     ///< Run::sleep()
  signal,    ///< Run::wait_for()
  spawn,     ///< a child was enqueued
  join,      ///< children have ended
  hand_off,  ///< another task goes on
  patch,     ///< Run::patched()
  approval,  ///< Run::approval()
  budget,    ///< it waited until its budgets had room for the next step
  request,   ///< Run::request()
};
template <>
inline constexpr auto names<StepKind> = enum_names("step", "sleep", "signal", "spawn", "join",
                                                   "hand_off", "patch", "approval", "budget",
                                                   "request");

enum class StepStatus {
  open,       ///< begun: a wait, or an unsafe effect whose outcome is not known
  finished,   ///< with a result
  failed,     ///< with an error, after which the run went on
  timed_out,  ///< nothing came in time
};
template <>
inline constexpr auto names<StepStatus> = enum_names("open", "finished", "failed", "timed_out");

struct StepTransition {
  StepStatus from;
  StepStatus to;
};
/// What becomes of a step that is open; the others stay as they are (docs/runs.md has the picture).
inline constexpr std::array step_transitions{
    StepTransition{StepStatus::open, StepStatus::finished},
    StepTransition{StepStatus::open, StepStatus::timed_out},
};
[[nodiscard]] constexpr bool may_become(StepStatus from, StepStatus to) {
  for (const auto& t : step_transitions) {
    if (t.from == from && t.to == to) return true;
  }
  return false;
}

/// What a run remembers of one of its steps: a finished one is not executed again, its result is
/// given instead.
struct RunStep {
  Id<RunStep> id;
  Id<Tenant> tenant;
  Id<Task> task;
  std::int64_t position = 0;  ///< from 0, in the order of the run's calls
  StepKind kind = StepKind::step;
  std::string name;
  StepStatus status = StepStatus::finished;
  std::optional<Json> result;
  std::optional<std::string> sealed_with;  ///< as Task::sealed_with, of the result
  std::optional<std::string> error_code, error;
  std::int64_t attempt = 0;         ///< the task's, that recorded it
  std::optional<Timestamp> due_at;  ///< when a wait ends without what it waits for
  Timestamp created_at;
  std::optional<Timestamp> finished_at;
};

enum class SignalStatus {
  kept,      ///< nobody has waited for it yet
  taken,     ///< by the step at `position`
  rejected,  ///< its payload is not what the run waited for
};
template <>
inline constexpr auto names<SignalStatus> = enum_names("kept", "taken", "rejected");

/// Something that was said to a run from outside; kept until the run waits for it.
struct RunSignal {
  Id<RunSignal> id;
  Id<Tenant> tenant;
  Id<Task> task;
  std::string name;
  Json payload;
  std::optional<std::string> sealed_with;  ///< as Task::sealed_with
  std::optional<std::string> key;  ///< of a task's signals with one key only the first is kept
  std::optional<Id<User>> sent_by;
  SignalStatus status = SignalStatus::kept;
  std::optional<std::int64_t> position;
  std::optional<std::string> error;
  Timestamp created_at;
};

template <>
inline constexpr auto schema<RunStep> = table(
    "run_steps", "rst", journal::after, column("id", &RunStep::id),
    column("tenant", &RunStep::tenant), column("task", &RunStep::task),
    column("position", &RunStep::position), column("kind", &RunStep::kind),
    column("name", &RunStep::name, max_length(100)), column("status", &RunStep::status),
    column("result", &RunStep::result),
    column("sealed_with", &RunStep::sealed_with, max_length(64)),
    column("error_code", &RunStep::error_code), column("error", &RunStep::error, max_length(4000)),
    column("attempt", &RunStep::attempt), column("due_at", &RunStep::due_at),
    column("created_at", &RunStep::created_at), column("finished_at", &RunStep::finished_at),
    unique_index("position", "task", "position"));

template <>
inline constexpr auto schema<RunSignal> =
    table("run_signals", "sig", journal::after, column("id", &RunSignal::id),
          column("tenant", &RunSignal::tenant), column("task", &RunSignal::task),
          column("name", &RunSignal::name, max_length(100)), column("payload", &RunSignal::payload),
          column("sealed_with", &RunSignal::sealed_with, max_length(64)),
          column("key", &RunSignal::key, max_length(200)), column("sent_by", &RunSignal::sent_by),
          column("status", &RunSignal::status), column("position", &RunSignal::position),
          column("error", &RunSignal::error, max_length(1000)),
          column("created_at", &RunSignal::created_at), index("task", "task", "name"),
          unique_index("key", "task", "key").where("key is not null"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::RunStep);
BUREAU_DECLARE_ENTITY(bureau::RunSignal);
