#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bureau/access/identity.hpp"
#include "bureau/work/task_kind.hpp"

BUREAU_BEGIN_NAMESPACE

/// The life of one version of a workflow. The order is frozen.
enum class WorkflowStatus {
  draft,    ///< may be changed; nothing starts it
  active,   ///< what its name means: at most one version of a name
  retired,  ///< its runs go on; no new one begins
};
template <>
inline constexpr auto names<WorkflowStatus> = enum_names("draft", "active", "retired");

struct WorkflowTransition {
  WorkflowStatus from;
  WorkflowStatus to;
};
/// Every legal edge; any other is `conflict`.
inline constexpr std::array workflow_transitions{
    WorkflowTransition{WorkflowStatus::draft, WorkflowStatus::active},
    WorkflowTransition{WorkflowStatus::active, WorkflowStatus::retired},
};

// Limits. Each is named by the error that it gives.
inline constexpr std::size_t max_workflow_nodes = 200;
inline constexpr std::size_t max_workflow_bytes = 256 * 1024;  ///< of the definition
inline constexpr std::size_t max_workflow_branches = 16;  ///< of one parallel, cases of one branch
inline constexpr std::size_t max_workflow_nesting = 8;    ///< of parallels within parallels
inline constexpr std::size_t max_workflow_fields = 64;    ///< of an input or a form
/// How deep workflows may call each other, and start each other by what they change.
inline constexpr std::int64_t max_workflow_depth = 16;

/// One version of a workflow: what starts it and what it does, as data (docs/workflows.md has the
/// language). Once active it stays as it is: a change makes a new version, and runs go on with
/// theirs. Made and changed by Workflows alone.
struct Workflow {
  Id<Workflow> id;
  Id<Tenant> tenant;
  std::string name;
  std::int64_t number = 1;  ///< of the version, from 1 within the name
  WorkflowStatus status = WorkflowStatus::draft;
  Json trigger;                               ///< {"on": "manual"}, "schedule", "change" or "event"
  Json definition;                            ///< {"input": ..., "start": ..., "nodes": [...]}
  std::vector<std::string> starters;          ///< roles that may see and start it, besides managers
  std::optional<Id<User>> owner;              ///< in whose name triggers start it; none: the system
  std::int64_t changes_after = 0;             ///< the journal number after which changes start it
  std::optional<std::int64_t> changes_until;  ///< and up to which, once it is retired
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

template <>
inline constexpr auto schema<Workflow> = table(
    "workflows", "wfl", journal::full, column("id", &Workflow::id),
    column("tenant", &Workflow::tenant), column("name", &Workflow::name, max_length(64), immutable),
    column("number", &Workflow::number, immutable), column("status", &Workflow::status, immutable),
    column("trigger", &Workflow::trigger, immutable),
    column("definition", &Workflow::definition, immutable),
    column("starters", &Workflow::starters, immutable), column("owner", &Workflow::owner),
    column("changes_after", &Workflow::changes_after, immutable),
    column("changes_until", &Workflow::changes_until, immutable),
    column("version", &Workflow::version), column("created_at", &Workflow::created_at),
    column("updated_at", &Workflow::updated_at), unique_index("number", "tenant", "name", "number"),
    unique_index("active", "tenant", "name").where("status = \"active\""),
    unique_index("draft", "tenant", "name").where("status = \"draft\""));

/// The life of a form. The order is frozen.
enum class FormStatus {
  open,
  answered,
  expired,    ///< nobody had answered in time
  withdrawn,  ///< the run that asked was cancelled
};
template <>
inline constexpr auto names<FormStatus> = enum_names("open", "answered", "expired", "withdrawn");

/// What a `human_input` asks: some fields that a person fills in. Only WorkflowForms changes it.
struct WorkflowForm {
  Id<WorkflowForm> id;
  Id<Tenant> tenant;
  Id<Task> task;     ///< the run that asked
  std::string node;  ///< at which it rests
  std::string title;
  Json fields;                       ///< as in the definition
  std::optional<Id<User>> assignee;  ///< none: the team, or else the managers
  std::optional<Id<Team>> team;
  FormStatus status = FormStatus::open;
  std::optional<Json> answer;
  std::optional<Id<User>> answered_by;
  std::optional<Timestamp> answered_at;
  std::optional<Timestamp> due_at;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

template <>
inline constexpr auto schema<WorkflowForm> = table(
    "workflow_forms", "frm", journal::full, column("id", &WorkflowForm::id),
    column("tenant", &WorkflowForm::tenant), column("task", &WorkflowForm::task, immutable),
    column("node", &WorkflowForm::node, max_length(64), immutable),
    column("title", &WorkflowForm::title, max_length(200), immutable),
    column("fields", &WorkflowForm::fields, immutable),
    column("assignee", &WorkflowForm::assignee, immutable),
    column("team", &WorkflowForm::team, immutable),
    column("status", &WorkflowForm::status, immutable),
    column("answer", &WorkflowForm::answer, immutable),
    column("answered_by", &WorkflowForm::answered_by, immutable),
    column("answered_at", &WorkflowForm::answered_at, immutable),
    column("due_at", &WorkflowForm::due_at, immutable), column("version", &WorkflowForm::version),
    column("created_at", &WorkflowForm::created_at),
    column("updated_at", &WorkflowForm::updated_at), index("task", "task"),
    index("open", "tenant", "assignee").where("status = \"open\""));

// Kinds of task
// ------------------------------------------------------------------------------------

/// What a run of a workflow is given.
struct WorkflowStart {
  Id<Workflow> workflow;  ///< the version
  Json input;
  std::int64_t depth = 0;  ///< how many runs of workflows led to this one
};
template <>
inline constexpr auto record<WorkflowStart> = fields(column("workflow", &WorkflowStart::workflow),
                                                     column("input", &WorkflowStart::input),
                                                     column("depth", &WorkflowStart::depth));

/// What it comes to; one that fails has no result but an error, which names the node.
struct WorkflowResult {
  std::string end;  ///< the node at which it ended
  Json output;      ///< what that node says
};
template <>
inline constexpr auto record<WorkflowResult> = fields(column("end", &WorkflowResult::end,
                                                             max_length(64)),
                                                      column("output", &WorkflowResult::output));

/// A run of a workflow: a durable run with the rights of whoever started it. Its steps are the
/// nodes.
inline constexpr auto workflow_run = task_kind<WorkflowStart, WorkflowResult>(
    "workflow.run", Effect::database, retry::exponential(5), "workflows", std::chrono::minutes(2),
    RunAs::enqueuer);

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Workflow);
BUREAU_DECLARE_ENTITY(bureau::WorkflowForm);
