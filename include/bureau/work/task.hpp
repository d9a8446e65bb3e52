#pragma once

#include <array>
#include <optional>
#include <string>

#include "bureau/access/identity.hpp"
#include "bureau/store/schema.hpp"
#include "bureau/work/budget_row.hpp"

BUREAU_BEGIN_NAMESPACE

/// The life of a task (docs/tasks.md has the picture, made from `task_transitions`). The order is
/// frozen, and means something: from completed on, a task has ended.
enum class TaskStatus {
  scheduled,  ///< not before a moment: a delay, a retry
  ready,      ///< may run now
  running,    ///< leased, with an attempt number that fences its commit
  waiting,    ///< a run that waits for a signal, a timer, an approval or another run
  in_doubt,   ///< an unsafe effect whose outcome is unknown
  completed,
  cancelled,
  dead,  ///< gave up; may be driven again
};
template <>
inline constexpr auto names<TaskStatus> = enum_names("scheduled", "ready", "running", "waiting",
                                                     "in_doubt", "completed", "cancelled", "dead");

[[nodiscard]] constexpr bool has_ended(TaskStatus s) { return s >= TaskStatus::completed; }

struct TaskTransition {
  TaskStatus from;
  TaskStatus to;
};
/// Every legal edge; any other is `conflict`.
inline constexpr std::array task_transitions{
    TaskTransition{TaskStatus::scheduled, TaskStatus::ready},
    TaskTransition{TaskStatus::scheduled, TaskStatus::cancelled},
    TaskTransition{TaskStatus::scheduled, TaskStatus::dead},  // its deadline passed
    TaskTransition{TaskStatus::ready, TaskStatus::running},
    TaskTransition{TaskStatus::ready, TaskStatus::scheduled},  // snoozed
    TaskTransition{TaskStatus::ready, TaskStatus::cancelled},
    TaskTransition{TaskStatus::ready, TaskStatus::dead},
    TaskTransition{TaskStatus::running, TaskStatus::completed},
    TaskTransition{TaskStatus::running, TaskStatus::ready},  // handed back, or its worker died
    TaskTransition{TaskStatus::running, TaskStatus::scheduled},
    TaskTransition{TaskStatus::running, TaskStatus::waiting},
    TaskTransition{TaskStatus::running, TaskStatus::in_doubt},
    TaskTransition{TaskStatus::running, TaskStatus::cancelled},
    TaskTransition{TaskStatus::running, TaskStatus::dead},
    TaskTransition{TaskStatus::waiting, TaskStatus::ready},
    TaskTransition{TaskStatus::waiting, TaskStatus::cancelled},
    TaskTransition{TaskStatus::waiting, TaskStatus::dead},
    TaskTransition{TaskStatus::in_doubt, TaskStatus::ready},
    TaskTransition{TaskStatus::in_doubt, TaskStatus::completed},
    TaskTransition{TaskStatus::in_doubt, TaskStatus::cancelled},
    TaskTransition{TaskStatus::in_doubt, TaskStatus::dead},
    TaskTransition{TaskStatus::dead, TaskStatus::ready},
};
[[nodiscard]] constexpr bool may_become(TaskStatus from, TaskStatus to) {
  for (const auto& t : task_transitions) {
    if (t.from == from && t.to == to) return true;
  }
  return false;
}

/// What a handler may touch, and so what a crash means for it (docs/tasks.md).
enum class Effect {
  pure,                 ///< nothing: run again
  database,             ///< rows, through the completion's Unit only: all or nothing
  external_idempotent,  ///< the outside, with the task's id as idempotency key: repeated with it
  external_unsafe,      ///< the outside: in doubt after a crash, never repeated blindly
};
template <>
inline constexpr auto names<Effect> = enum_names("pure", "database", "external_idempotent",
                                                 "external_unsafe");

enum class Priority { low, normal, high, urgent };
template <>
inline constexpr auto names<Priority> = enum_names("low", "normal", "high", "urgent");

/// With whose rights the handler acts: its agent's own, or those that the user who enqueued the
/// task has when it runs (the system's, when the system enqueued it).
enum class RunAs { agent, enqueuer };
template <>
inline constexpr auto names<RunAs> = enum_names("agent", "enqueuer");

/// Whether flow control lets a ready task through. Kept by the queue; no state of the task.
enum class Gate {
  open,      ///< nothing is known to be in its way
  closed,    ///< its flow key had no room when it was looked at: no claim looks at it meanwhile
  admitted,  ///< others of its flow key wait behind it: when it ends, the next is let through
};
template <>
inline constexpr auto names<Gate> = enum_names("open", "closed", "admitted");

/// One durable unit of work. What the queue keeps of it (all that is declared immutable below) is
/// changed by Tasks, Runs and the queue alone, never by a principal's plain update.
struct Task {
  Id<Task> id;
  Id<Tenant> tenant;
  std::string queue = "default";
  std::string kind;
  TaskStatus status = TaskStatus::ready;
  Priority priority = Priority::normal;
  Effect effect = Effect::pure;
  RunAs run_as = RunAs::agent;
  Json payload;                ///< sealed when sealed_with is set: Tasks::payload() opens it
  std::optional<Json> result;  ///< the same
  std::optional<std::string> sealed_with;  ///< the name of a key of the program's KeyRing
  std::int64_t attempt = 0;  ///< of the run now, or of the last; the fence of its commit
  std::int64_t max_attempts = 1;
  /// Attempts that failed, or whose worker died, since it was enqueued or driven again, or since a
  /// step of it was finished; it gives up when they are max_attempts.
  std::int64_t failures = 0;
  Timestamp run_at;                   ///< not before
  std::optional<Timestamp> deadline;  ///< no attempt begins from then on: it is dead instead
  std::int64_t rank = 0;   ///< the order among ready ones: run_at minus the priority's boost
  Duration time_limit{0};  ///< of one attempt
  std::optional<std::string> unique_key;
  std::optional<std::string> flow_key;  ///< what FlowRules may count it by, as "customer:42"
  std::optional<Id<Budget>> budget;     ///< what its steps spend from, beside the tenant's own
  Gate gate = Gate::open;
  std::optional<Id<User>> enqueued_by;
  std::optional<Id<Task>> parent;         ///< the run that spawned it
  bool awaited = false;                   ///< the parent waits for its end
  std::int64_t pending = 0;               ///< how many ends of children it waits for
  std::optional<std::string> error_code;  ///< why the last attempt failed: a Code's name
  std::optional<std::string> error;
  bool cancel_requested = false;
  double progress = 0;  ///< 0 to 1, as the handler says
  std::string progress_note;
  std::int64_t node = -1;  ///< who runs it: the node's number and generation
  std::int64_t generation = 0;
  std::string agent;  ///< the name of the agent that ran it last
  std::optional<Timestamp> started_at, finished_at;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// Whether it gives up when this attempt fails.
[[nodiscard]] inline bool is_last_attempt(const Task& task) {
  return task.failures + 1 >= task.max_attempts;
}

inline constexpr std::uint32_t max_payload_bytes = 1 << 20;

template <>
inline constexpr auto schema<Task> = table(
    "tasks", "tsk", journal::after, column("id", &Task::id), column("tenant", &Task::tenant),
    column("queue", &Task::queue, max_length(64)),
    column("kind", &Task::kind, max_length(64), immutable),
    column("status", &Task::status, immutable), column("priority", &Task::priority, immutable),
    column("effect", &Task::effect, immutable), column("run_as", &Task::run_as, immutable),
    column("payload", &Task::payload, immutable), column("result", &Task::result, immutable),
    column("sealed_with", &Task::sealed_with, max_length(64), immutable),
    column("attempt", &Task::attempt, immutable), column("max_attempts", &Task::max_attempts),
    column("failures", &Task::failures, immutable), column("run_at", &Task::run_at, immutable),
    column("deadline", &Task::deadline), column("rank", &Task::rank, immutable),
    column("time_limit", &Task::time_limit),
    column("unique_key", &Task::unique_key, max_length(200)),
    column("flow_key", &Task::flow_key, max_length(200), immutable),
    column("budget", &Task::budget, immutable), column("gate", &Task::gate, immutable),
    column("enqueued_by", &Task::enqueued_by, immutable),
    column("parent", &Task::parent, immutable), column("awaited", &Task::awaited, immutable),
    column("pending", &Task::pending, immutable),
    column("error_code", &Task::error_code, immutable),
    column("error", &Task::error, max_length(4000), immutable),
    column("cancel_requested", &Task::cancel_requested, immutable),
    column("progress", &Task::progress, immutable),
    column("progress_note", &Task::progress_note, max_length(500), immutable),
    column("node", &Task::node, immutable), column("generation", &Task::generation, immutable),
    column("agent", &Task::agent, max_length(100), immutable),
    column("started_at", &Task::started_at, immutable),
    column("finished_at", &Task::finished_at, immutable), column("version", &Task::version),
    column("created_at", &Task::created_at), column("updated_at", &Task::updated_at),
    index("ready", "queue", "tenant", "kind", "rank")
        .where("status = \"ready\" and gate != \"closed\""),
    index("held", "tenant", "flow_key", "queue", "kind", "rank")
        .where("status = \"ready\" and gate = \"closed\""),
    index("deadline", "deadline").where("deadline is not null and status <= \"ready\""),
    index("scheduled", "run_at").where("status = \"scheduled\""),
    index("waiting", "run_at").where("status = \"waiting\""),
    index("children", "parent").where("parent is not null and status < \"completed\""),
    index("running", "tenant", "flow_key", "queue", "kind").where("status = \"running\""),
    index("in_doubt", "kind", "error_code").where("status = \"in_doubt\""),
    index("dead", "kind", "error_code").where("status = \"dead\""),
    unique_index("unique_key", "tenant", "kind", "unique_key")
        .where("unique_key is not null and status < \"completed\""),
    index("completed_key", "tenant", "kind", "unique_key")
        .where("unique_key is not null and status = \"completed\""));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Task);
