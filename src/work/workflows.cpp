#include "bureau/work/workflows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "access/library_rows.hpp"
#include "access/rights.hpp"
#include "bureau/work/runs.hpp"
#include "bureau/work/schedule.hpp"
#include "core/text.hpp"
#include "work/new_task.hpp"
#include "work/workflow_changes.hpp"
#include "work/workflow_offers.hpp"

BUREAU_BEGIN_NAMESPACE

// The document ---------------------------------------------------------------------------------

Result<NewWorkflow> workflow_from_json(const Json& document) {
  if (document.as_object() == nullptr) {
    return fail(Code::invalid, "workflow: expected an object", "workflow");
  }
  NewWorkflow out;
  out.definition = Json::object();
  for (const auto& [name, value] : *document.as_object()) {
    if (name == "name" && value.as_string() != nullptr) {
      out.name = *value.as_string();
    } else if (name == "trigger") {
      out.trigger = value;
    } else if (name == "input" || name == "start" || name == "nodes") {
      out.definition.set(name, value);
    } else if (name == "starters" && value.as_array() != nullptr) {
      for (const Json& role : *value.as_array()) {
        if (role.as_string() == nullptr) {
          return fail(Code::invalid, "starters: expected a list of names of roles", "starters");
        }
        out.starters.push_back(*role.as_string());
      }
    } else if (name == "name" || name == "starters") {
      return fail(Code::invalid,
                  fmt::format("{}: expected a {}", name,
                              name == "name" ? "text" : "list of names of roles"),
                  name);
    } else {
      return fail(Code::invalid,
                  fmt::format("{}: is not known here; a workflow has name, trigger, starters, "
                              "input, start and nodes",
                              detail::shortened(name)),
                  name);
    }
  }
  return out;
}

Json to_json(const Workflow& workflow) {
  Json out = Json::object({{"name", workflow.name}, {"trigger", workflow.trigger}});
  if (!workflow.starters.empty()) {
    Json starters = Json::array();
    for (const std::string& role : workflow.starters) starters.push_back(role);
    out.set("starters", std::move(starters));
  }
  if (workflow.definition.as_object() != nullptr) {
    for (const auto& [name, value] : *workflow.definition.as_object()) out.set(name, value);
  }
  return out;
}

// Judging --------------------------------------------------------------------------------------

namespace {

using detail::ChangeTrigger;
using detail::SessionDoor;
using detail::WorkflowGraph;
using detail::WorkflowTrigger;

/// What must hold of a version, in an office, for one who saves it.
struct Checked {
  WorkflowTrigger trigger;
  std::shared_ptr<const WorkflowGraph> graph;
  std::shared_ptr<const WorkflowKinds> kinds;  // null: not known here
};

Result<Checked> check_version(const Session& session, const NewWorkflow& given) {
  BUREAU_TRY_VOID(detail::check_workflow_name(given.name));
  Checked out;
  BUREAU_TRY(out.trigger, detail::read_trigger(given.trigger));
  const TableInfo* row = nullptr;
  if (out.trigger.on == WorkflowTrigger::On::change) {
    BUREAU_TRY(const ChangeTrigger change,
               detail::compile_trigger(out.trigger, session.database().catalog()));
    row = change.table;
  }
  out.kinds = detail::offered_kinds(*session.state().access);
  BUREAU_TRY(out.graph, WorkflowGraph::read(given.definition, row, out.kinds.get()));
  if (out.trigger.on == WorkflowTrigger::On::schedule) {
    BUREAU_TRY_VOID(out.graph->input().check(out.trigger.input, "trigger.input"));
    if (!out.trigger.zone.empty()) {
      if (auto zone = Zone::find(out.trigger.zone); !zone) {
        return detail::refuse_at("trigger.zone", zone.error());
      }
    }
  }
  return out;
}

/// A condition on what he may not see would tell him of it.
Result<void> check_sight(const detail::Rights& rights, const Checked& checked,
                         const Catalog& catalog) {
  if (checked.trigger.on != WorkflowTrigger::On::change) return {};
  BUREAU_TRY(const ChangeTrigger change, detail::compile_trigger(checked.trigger, catalog));
  if (auto admitted = rights.admit(change.where, Timestamp()); !admitted) {
    return detail::refuse_at("trigger.where", admitted.error());
  }
  return {};
}

/// Nobody has a workflow do what he may not.
Result<void> check_kinds(Unit& unit, const Checked& checked) {
  const Session& session = unit.session();
  if (session.principal().system || checked.kinds == nullptr) return {};
  BUREAU_TRY(const detail::Rights* rights, SessionDoor::rights(unit));
  BUREAU_TRY(const auto* rule, rights->rule(table_of<Task>(), detail::RuleKind::insert));
  for (const auto& node : checked.graph->nodes()) {
    if (node.kind != detail::NodeKind::task) continue;
    const auto* entry = checked.kinds->find(node.text("task"));
    if (entry == nullptr) continue;
    Task task =
        detail::new_task(entry->kind, Json::object(), {}, unit.now(), session.principal().user);
    task.id = Id<Task>(1);
    task.tenant = session.principal().tenant;
    const detail::RowValues row(task);
    BUREAU_TRY(const bool may, detail::satisfies(*rule, unit.transaction().reader(), row.values()));
    if (may) continue;
    return fail(Code::forbidden,
                fmt::format("nodes.{}.task: you may not enqueue tasks of kind \"{}\"", node.id,
                            entry->kind.name),
                fmt::format("nodes.{}.task", node.id));
  }
  return {};
}

NewWorkflow as_given(const Workflow& row) {
  return {row.name, row.definition, row.trigger, row.starters};
}

/// The row, written over itself: `forbidden` for whoever may not change it.
Result<Workflow> rewritten(Unit& unit, const Workflow& stored) {
  Workflow row = stored;
  row.owner.reset();
  if (const Id<User> user = unit.session().principal().user) row.owner = user;
  return Repository<Workflow>{Scope(unit)}.update(std::move(row));
}

Error not_in(const Workflow& row, std::string_view wanted) {
  return {Code::conflict,
          fmt::format("status: version {} of \"{}\" is {}, not {}", row.number, row.name,
                      names<WorkflowStatus>[static_cast<std::size_t>(row.status)], wanted),
          "status"};
}

std::string schedule_name(const Workflow& row) { return "workflow:" + row.name; }

Result<void> remove_schedule(Unit& unit, const Workflow& row) {
  const Schedules schedules{Scope(unit)};
  const auto present = schedules.named(schedule_name(row));
  if (!present && present.error().code == Code::not_found) return {};
  if (!present) return fail(present.error());
  return schedules.remove(present->id);
}

Result<void> save_schedule(Unit& unit, const Workflow& row, const WorkflowTrigger& trigger) {
  NewSchedule schedule;
  schedule.name = schedule_name(row);
  schedule.expression = trigger.cron;
  if (!trigger.zone.empty()) schedule.zone = trigger.zone;
  schedule.catch_up = trigger.catch_up == "none"  ? CatchUp::none
                      : trigger.catch_up == "all" ? CatchUp::all
                                                  : CatchUp::last;
  schedule.overlap = trigger.overlap == "queue" ? Overlap::queue : Overlap::skip;
  auto saved =
      Schedules{Scope(unit)}.save(schedule, workflow_run, WorkflowStart{row.id, trigger.input, 0});
  if (saved) return {};
  return detail::refuse_at("trigger", saved.error());
}

Result<void> retire_row(Unit& unit, const Workflow& row, std::int64_t head) {
  BUREAU_TRY(const Workflow judged, rewritten(unit, row));
  Workflow retired = judged;
  retired.status = WorkflowStatus::retired;
  retired.changes_until = head;
  retired.owner = row.owner;  // what it starts yet, it starts in the name of whoever activated it
  BUREAU_TRY_VOID(detail::replace_consequence(unit, judged, std::move(retired)));
  return {};
}

}  // namespace

Result<void> Workflows::check(const NewWorkflow& workflow) const {
  const Scope& scope = rows_.rows().scope();
  BUREAU_TRY(const Checked checked, check_version(scope.session(), workflow));
  if (scope.session().principal().system) return {};
  return SessionDoor::read(scope, [&](Reader&, const detail::Rights& rights) -> Result<void> {
    return check_sight(rights, checked, scope.session().database().catalog());
  });
}

Result<Workflow> Workflows::save(const NewWorkflow& given) const {
  BUREAU_TRY_VOID(check(given));
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Workflow> {
    const Repository<Workflow> rows{Scope(unit)};
    BUREAU_TRY(const auto newest, rows.first(col(&Workflow::name) == given.name,
                                             {{&col(&Workflow::number).info(), true}}));
    Workflow row;
    row.name = given.name;
    row.trigger = given.trigger;
    row.definition = given.definition;
    row.starters = given.starters;
    if (newest && newest->status == WorkflowStatus::draft) {
      BUREAU_TRY(const Workflow judged, rewritten(unit, *newest));
      row.number = judged.number;
      row.owner = judged.owner;
      detail::succeed(judged, row);
      return detail::replace_consequence(unit, judged, std::move(row));
    }
    row.number = newest ? newest->number + 1 : 1;
    if (const Id<User> user = unit.session().principal().user) row.owner = user;
    return rows.insert(std::move(row));
  });
}

Result<Workflow> Workflows::activate(Id<Workflow> id) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Workflow> {
    const Repository<Workflow> rows{Scope(unit)};
    Transaction& tx = unit.transaction();
    BUREAU_TRY(const Workflow draft, rows.find(id));
    if (draft.status != WorkflowStatus::draft) return fail(not_in(draft, "a draft"));
    BUREAU_TRY(const Checked checked, check_version(unit.session(), as_given(draft)));
    BUREAU_TRY(const detail::Rights* rights, SessionDoor::rights(unit));
    BUREAU_TRY_VOID(check_sight(*rights, checked, tx.database().catalog()));
    BUREAU_TRY_VOID(check_kinds(unit, checked));
    BUREAU_TRY(const std::int64_t head, tx.database().journal_head(tx.reader()));
    BUREAU_TRY(const auto before, rows.first(col(&Workflow::name) == draft.name &&
                                             col(&Workflow::status) == WorkflowStatus::active));
    if (before) BUREAU_TRY_VOID(retire_row(unit, *before, head));
    BUREAU_TRY(const Workflow judged, rewritten(unit, draft));
    Workflow active = judged;
    active.status = WorkflowStatus::active;
    active.changes_after = head;
    BUREAU_TRY(active, detail::replace_consequence(unit, judged, std::move(active)));
    if (checked.trigger.on == WorkflowTrigger::On::change) {
      BUREAU_TRY_VOID(detail::begin_cursor(unit, head));
    }
    if (checked.trigger.on == WorkflowTrigger::On::schedule) {
      BUREAU_TRY_VOID(save_schedule(unit, active, checked.trigger));
    } else {
      BUREAU_TRY_VOID(remove_schedule(unit, active));
    }
    return active;
  });
}

Result<Workflow> Workflows::retire(Id<Workflow> id) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Workflow> {
    const Repository<Workflow> rows{Scope(unit)};
    Transaction& tx = unit.transaction();
    BUREAU_TRY(const Workflow active, rows.find(id));
    if (active.status != WorkflowStatus::active) return fail(not_in(active, "active"));
    BUREAU_TRY(const std::int64_t head, tx.database().journal_head(tx.reader()));
    BUREAU_TRY_VOID(retire_row(unit, active, head));
    BUREAU_TRY_VOID(remove_schedule(unit, active));
    return rows.find(id);
  });
}

Result<void> Workflows::remove(Id<Workflow> id) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<void> {
    const Repository<Workflow> rows{Scope(unit)};
    BUREAU_TRY(const Workflow row, rows.find(id));
    if (row.status != WorkflowStatus::draft) return fail(not_in(row, "a draft"));
    return rows.remove(id);
  });
}

Result<Workflow> Workflows::named(std::string_view name) const {
  const Predicate of_name = col(&Workflow::name) == std::string(name);
  BUREAU_TRY(auto active, rows_.first(of_name && col(&Workflow::status) == WorkflowStatus::active));
  if (active) return *std::move(active);
  BUREAU_TRY(auto newest, rows_.first(of_name, {{&col(&Workflow::number).info(), true}}));
  if (newest) return *std::move(newest);
  return fail(Code::not_found, fmt::format("name: there is no workflow \"{}\"", name), "name");
}

Result<Workflow> Workflows::named(std::string_view name, std::int64_t number) const {
  BUREAU_TRY(auto found, rows_.first(col(&Workflow::name) == std::string(name) &&
                                     col(&Workflow::number) == number));
  if (found) return *std::move(found);
  return fail(Code::not_found,
              fmt::format("number: there is no version {} of the workflow \"{}\"", number, name),
              "number");
}

// Runs -----------------------------------------------------------------------------------------

namespace {

Result<Task> start_version(Unit& unit, const Workflow& row, const Json& input,
                           const EnqueueOptions& options) {
  BUREAU_TRY(const WorkflowTrigger trigger, detail::read_trigger(row.trigger));
  if (trigger.on == WorkflowTrigger::On::change) {
    return fail(Code::invalid,
                fmt::format("name: \"{}\" is started by changes, not by hand", row.name), "name");
  }
  // The rest was judged when it was activated.
  const Json* declared = row.definition.find("input");
  BUREAU_TRY(const auto fields,
             detail::WorkflowFields::read(declared == nullptr ? Json() : *declared, "input"));
  BUREAU_TRY(Json checked, fields.check(input, "input"));
  return Tasks{Scope(unit)}.enqueue(workflow_run, WorkflowStart{row.id, std::move(checked), 0},
                                    detail::options_for(row.name, options));
}

}  // namespace

Result<Task> Workflows::start(std::string_view name, Json input,
                              const EnqueueOptions& options) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<Task> {
    BUREAU_TRY(const auto row, Repository<Workflow>{Scope(unit)}.first(
                                   col(&Workflow::name) == std::string(name) &&
                                   col(&Workflow::status) == WorkflowStatus::active));
    if (row) return start_version(unit, *row, input, options);
    return fail(Code::not_found,
                fmt::format("name: no workflow is active under the name \"{}\"", name), "name");
  });
}

Result<std::vector<Task>> Workflows::raise(std::string_view event, const Json& input) const {
  return rows_.rows().scope().write([&](Unit& unit) -> Result<std::vector<Task>> {
    Query active;
    active.where = col(&Workflow::status) == WorkflowStatus::active;
    active.order = {{&col(&Workflow::id).info(), false}};
    active.limit = 10'000;
    BUREAU_TRY(const auto rows, Repository<Workflow>{Scope(unit)}.list(active));
    std::vector<Task> started;
    for (const Workflow& row : rows) {
      const auto trigger = detail::read_trigger(row.trigger);
      if (!trigger || trigger->on != WorkflowTrigger::On::event || trigger->event != event)
        continue;
      BUREAU_TRY(Task task, start_version(unit, row, input, {}));
      started.push_back(std::move(task));
    }
    return started;
  });
}

Result<std::vector<Task>> Workflows::runs(std::string_view name, std::uint64_t limit) const {
  BUREAU_TRY_VOID(named(name));
  Query of_name;
  of_name.where = col(&Task::kind) == std::string(workflow_run.name) &&
                  col(&Task::flow_key) == "workflow:" + std::string(name);
  of_name.order = {{&col(&Task::id).info(), true}};
  of_name.limit = limit;
  return Repository<Task>(rows_.rows().scope()).list(of_name);
}

namespace {

/// Visits a run and its branches, in the order of their making.
Result<void> each_part(
    const Scope& scope, Id<Task> run, const std::string& branch,
    FunctionRef<Result<void>(const Task&, const std::string& branch, const std::vector<RunStep>&)>
        f) {
  const Runs runs{scope};
  BUREAU_TRY(const Task task, Repository<Task>(scope).find(run));
  BUREAU_TRY(const auto steps, runs.steps(run));
  BUREAU_TRY_VOID(f(task, branch, steps));
  BUREAU_TRY(const auto children, runs.children(run));
  for (const Task& child : children) {
    if (child.kind != detail::workflow_branch_kind.name) continue;
    const Json* first = child.payload.find("node");
    BUREAU_TRY_VOID(each_part(scope, child.id, first == nullptr ? "" : *first->as_string(), f));
  }
  return {};
}

}  // namespace

Result<std::vector<WorkflowWait>> Workflows::waits(Id<Task> run) const {
  std::vector<WorkflowWait> out;
  BUREAU_TRY_VOID(each_part(
      rows_.rows().scope(), run, "",
      [&](const Task& task, const std::string&, const std::vector<RunStep>& steps) -> Result<void> {
        if (task.status != TaskStatus::waiting || steps.empty()) return {};
        const RunStep& step = steps.back();
        WorkflowWait wait{task.id, std::string(detail::node_of_step(step.name)),
                          std::string(names<StepKind>[static_cast<std::size_t>(step.kind)]),
                          step.created_at, std::nullopt};
        if (task.run_at != Timestamp::never()) wait.until = task.run_at;
        out.push_back(std::move(wait));
        return {};
      }));
  return out;
}

Result<std::vector<WorkflowStep>> Workflows::steps(Id<Task> run) const {
  std::vector<WorkflowStep> out;
  BUREAU_TRY_VOID(each_part(rows_.rows().scope(), run, "",
                            [&](const Task& task, const std::string& branch,
                                const std::vector<RunStep>& steps) -> Result<void> {
                              for (const RunStep& step : steps) {
                                out.push_back({task.id, branch,
                                               std::string(detail::node_of_step(step.name)),
                                               step.name, step.status == StepStatus::open,
                                               step.result, step.error, step.created_at});
                              }
                              return {};
                            }));
  return out;
}

BUREAU_END_NAMESPACE
