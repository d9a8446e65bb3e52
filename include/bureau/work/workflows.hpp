#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/work/tasks.hpp"
#include "bureau/work/workflow.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a version is made of.
struct NewWorkflow {
  std::string name;  ///< [a-z][a-z0-9_-]*, at most 64 bytes
  Json definition;
  Json trigger = Json::object({{"on", "manual"}});
  std::vector<std::string> starters = {};
};

/// The document in which a workflow is written, exported and imported: one object with name,
/// trigger, starters, input, start and nodes.
[[nodiscard]] Result<NewWorkflow> workflow_from_json(const Json& document);
[[nodiscard]] Json to_json(const Workflow& workflow);

enum class GraphFormat { dot, mermaid };
/// A picture of the nodes and their edges, for Graphviz or Mermaid.
[[nodiscard]] Result<std::string> workflow_graph(const Workflow& workflow, GraphFormat format);

/// Where a run of a workflow rests.
struct WorkflowWait {
  Id<Task> task;  ///< the run, or the one of its branches
  std::string node;
  std::string step;  ///< what it does there
  Timestamp since;
  std::optional<Timestamp> until;  ///< when it goes on by itself
};

/// One step of a run of a workflow or of one of its branches.
struct WorkflowStep {
  Id<Task> task;
  std::string branch;  ///< where the branch began; empty: the run itself
  std::string node;
  std::string step;
  bool open = false;
  std::optional<Json> result;
  std::optional<std::string> error;
  Timestamp at;
};

/// The workflows of a tenant, with a session's rights. Managers and admins keep them; those with a
/// role among its `starters` see and start it. On a unit, what it does commits with the unit's
/// other changes.
class Workflows {
 public:
  explicit Workflows(Scope scope) : rows_(std::move(scope)) {}

  /// Whether it could be saved. `invalid` names the field, as "nodes.order.payload", and the rule;
  /// of a cycle it prints the nodes. `forbidden` for a trigger on what the session may not see.
  Result<void> check(const NewWorkflow& workflow) const;
  /// A new draft, or the draft of that name as it is now. Errors as check().
  Result<Workflow> save(const NewWorkflow& workflow) const;
  /// Makes a draft what its name means, in the caller's name; the version before is retired, and
  /// its runs go on. `conflict` unless it is a draft, `forbidden` when it enqueues what the caller
  /// may not enqueue.
  Result<Workflow> activate(Id<Workflow> id) const;
  /// Nothing starts it any more. `conflict` unless it is active.
  Result<Workflow> retire(Id<Workflow> id) const;
  /// A draft alone may be removed.
  Result<void> remove(Id<Workflow> id) const;

  /// The active version of that name, else its newest; `not_found`.
  Result<Workflow> named(std::string_view name) const;
  Result<Workflow> named(std::string_view name, std::int64_t number) const;
  Result<Workflow> find(Id<Workflow> id) const { return rows_.find(id); }
  Result<std::vector<Workflow>> list(const Query& query = {}) const { return rows_.list(query); }

  /// Starts the active version: a run with the caller's rights. `invalid` names the field of the
  /// input that is wrong; `not_found` when none is active that he may see; `forbidden` for agents,
  /// which are no users.
  Result<Task> start(std::string_view name, Json input = Json::object(),
                     const EnqueueOptions& options = {}) const;
  /// Starts each active workflow that waits for this event and that the caller may start, as
  /// start() does: all or none.
  Result<std::vector<Task>> raise(std::string_view event, const Json& input) const;

  /// Its runs that the session may see, the newest first.
  Result<std::vector<Task>> runs(std::string_view name, std::uint64_t limit = 100) const;
  /// Where a run and its branches rest now; empty when it works or has ended.
  Result<std::vector<WorkflowWait>> waits(Id<Task> run) const;
  /// What it and its branches have done, branch after branch.
  Result<std::vector<WorkflowStep>> steps(Id<Task> run) const;

 private:
  Repository<Workflow> rows_;
};

/// The forms of a tenant: one sees and answers what is addressed to oneself, to one's team or, as a
/// manager, to anybody.
class WorkflowForms {
 public:
  explicit WorkflowForms(Scope scope) : rows_(std::move(scope)) {}

  Result<WorkflowForm> find(Id<WorkflowForm> id) const { return rows_.find(id); }
  /// By default those that are open, the first first.
  Result<std::vector<WorkflowForm>> list() const;
  Result<std::vector<WorkflowForm>> list(const Query& query) const { return rows_.list(query); }
  /// Fills it in, and has the run go on. `invalid` names the field; `conflict` when it is not open
  /// any more.
  Result<WorkflowForm> answer(Id<WorkflowForm> id, const Json& answer) const;

 private:
  Repository<WorkflowForm> rows_;
};

BUREAU_END_NAMESPACE
