#include "work/workflow_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "store/duration_text.hpp"
#include "work/workflow_values.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

/// Errors that are a node's own, and would come again; others end the attempt, which is repeated.
bool is_own(Code code) {
  return code == Code::invalid || code == Code::not_found || code == Code::exists ||
         code == Code::conflict || code == Code::forbidden || code == Code::exhausted;
}

Json error_json(const Error& error) {
  return Json::object({{"code", to_string(error.code)}, {"message", error.message}});
}

/// What a run says whose node has failed. It is not repeated: what is recorded stays.
Error failure(const WorkflowNode& node, const Error& error) {
  const Code code = error.code == Code::forbidden ? Code::forbidden : Code::invalid;
  return {code, fmt::format("node \"{}\": {}: {}", node.id, to_string(error.code), error.message),
          node.id};
}

Json member_or(const Json& json, std::string_view name, Json otherwise) {
  const Json* member = json.find(name);
  return member == nullptr ? std::move(otherwise) : *member;
}

}  // namespace

std::string_view node_of_step(std::string_view step) { return step.substr(0, step.find('.')); }

Result<std::shared_ptr<const WorkflowGraph>> graph_of(const Workflow& workflow,
                                                      const Catalog& catalog,
                                                      const WorkflowKinds* kinds) {
  BUREAU_TRY(const WorkflowTrigger trigger, read_trigger(workflow.trigger));
  const TableInfo* row = nullptr;
  if (trigger.on == WorkflowTrigger::On::change) {
    BUREAU_TRY(const ChangeTrigger change, compile_trigger(trigger, catalog));
    row = change.table;
  }
  return WorkflowGraph::read(workflow.definition, row, kinds);
}

// The whole, and a branch ----------------------------------------------------------------------

Result<Json> WorkflowInterpreter::run_whole(const Json& input) {
  Json checked = input;
  if (!graph_.has_row()) {
    BUREAU_TRY(checked, graph_.input().check(input, "input"));
  }
  values_.set("input", std::move(checked));
  BUREAU_TRY(Ending ending, walk(graph_.start()));
  return record_to_json(WorkflowResult{std::move(ending.node), std::move(ending.output)});
}

Result<Json> WorkflowInterpreter::run_branch(const WorkflowBranch& branch) {
  const int first = graph_.find(branch.node);
  if (first < 0 || branch.values.as_object() == nullptr) {
    return fail(Code::invalid, fmt::format("node: there is none \"{}\"", branch.node), "node");
  }
  values_ = branch.values;
  vars_ = member_or(values_, "vars", Json::object());
  BUREAU_TRY(const Ending ending, walk(first));
  return Json::object({{"end", ending.node},
                       {"output", ending.output},
                       {"values", own_values_},
                       {"vars", own_vars_}});
}

Result<WorkflowInterpreter::Ending> WorkflowInterpreter::walk(int place) {
  Ending ending;
  while (place >= 0) {
    const WorkflowNode& node = graph_.node(place);
    ending.node = node.id;
    if (node.kind == NodeKind::end) return finish(node);
    auto outcome = perform(node);
    if (!outcome && !is_own(outcome.error().code)) return fail(std::move(outcome).error());
    if (!outcome) outcome = Outcome{"next", Json::object(), outcome.error()};
    if (outcome->failed) {
      outcome->label = "on_error";
      outcome->value.set("error", error_json(*outcome->failed));
    }
    const WorkflowNode::Edge* edge = node.edge(outcome->label);
    if (edge == nullptr) {
      const Error withdrawn(Code::cancelled, "what it asked was withdrawn");
      return fail(failure(node, outcome->failed.value_or(withdrawn)));
    }
    keep(node, std::move(outcome->value));
    place = edge->target;
  }
  return ending;
}

void WorkflowInterpreter::keep(const WorkflowNode& node, Json value) {
  own_values_.set(node.id, value);
  values_.set(node.id, std::move(value));
}

Result<WorkflowInterpreter::Ending> WorkflowInterpreter::finish(const WorkflowNode& node) {
  const Json* message = node.find("message");
  const Json* output = node.find("output");
  const auto said = run_.step(node.id, Effect::pure, [&]() -> Result<Json> {
    Json out = Json::object();
    if (message != nullptr) {
      BUREAU_TRY(const std::string filled, text(node, "message"));
      out.set("message", filled);
    }
    if (output != nullptr) {
      BUREAU_TRY(Json filled, fill(*output, values_));
      out.set("output", std::move(filled));
    }
    return out;
  });
  if (!said && is_own(said.error().code)) return fail(failure(node, said.error()));
  if (!said) return fail(said.error());
  const Json* status = node.find("status");
  if (status != nullptr && *status->as_string() == "failed") {
    return fail(Code::invalid, *said->find("message")->as_string(), node.id);
  }
  return Ending{node.id, member_or(*said, "output", Json())};
}

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::perform(const WorkflowNode& node) {
  switch (node.kind) {
    case NodeKind::condition:
    case NodeKind::branch:
      return decide(node);
    case NodeKind::set:
      return assign(node);
    case NodeKind::delay:
      return delay(node);
    case NodeKind::task:
      return enqueue(node);
    case NodeKind::call:
      return call(node);
    case NodeKind::parallel:
      return fork(node);
    case NodeKind::approval:
      return approve(node);
    case NodeKind::human_input:
      return ask(node);
    case NodeKind::end:
      break;
  }
  return fail(Code::internal, "a node of no kind");
}

// Values ---------------------------------------------------------------------------------------

Result<std::string> WorkflowInterpreter::text(const WorkflowNode& node,
                                              std::string_view member) const {
  BUREAU_TRY(const Json filled, fill(*node.find(member), values_));
  if (const std::string* value = filled.as_string()) return *value;
  return fail(Code::invalid, fmt::format("{}: expected a text, it is {}", member, filled.dump()),
              std::string(member));
}

Result<Duration> WorkflowInterpreter::duration(const WorkflowNode& node,
                                               std::string_view member) const {
  BUREAU_TRY(const std::string filled, text(node, member));
  const auto micros = duration_from_text(filled);
  if (micros && *micros > 0) return Duration(*micros);
  return fail(Code::invalid,
              fmt::format("{}: \"{}\" is no positive duration, as \"2d\"", member, filled),
              std::string(member));
}

Json WorkflowInterpreter::pruned(const std::set<std::string>& roots) const {
  Json out = Json::object();
  for (const auto& [name, value] : *values_.as_object()) {
    if (roots.contains(name)) out.set(name, value);
  }
  return out;
}

// Nodes that do no more than think
// -----------------------------------------------------------------

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::decide(const WorkflowNode& node) {
  const bool is_condition = node.kind == NodeKind::condition;
  BUREAU_TRY(const std::string taken,
             run_.step(node.id, Effect::pure, [&]() -> Result<std::string> {
               for (std::size_t i = 0; i < node.conditions.size(); ++i) {
                 BUREAU_TRY(const bool yes, graph_.holds(node.conditions[i], values_));
                 if (yes) return is_condition ? std::string("then") : fmt::format("cases.{}", i);
               }
               return std::string("else");
             }));
  return Outcome{taken, Json::object({{"taken", taken}}), {}};
}

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::assign(const WorkflowNode& node) {
  BUREAU_TRY(Json values, run_.step(node.id, Effect::pure, [&]() -> Result<Json> {
    return fill(*node.find("values"), values_);
  }));
  for (const auto& [name, value] : *values.as_object()) {
    vars_.set(name, value);
    own_vars_.set(name, value);
  }
  values_.set("vars", vars_);
  return Outcome{"next", std::move(values), {}};
}

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::delay(const WorkflowNode& node) {
  if (node.find("for") != nullptr) {
    BUREAU_TRY(const Duration duration, this->duration(node, "for"));
    BUREAU_TRY_VOID(run_.sleep(duration, node.id));
    return Outcome{};
  }
  BUREAU_TRY(const std::string moment, text(node, "until"));
  BUREAU_TRY(const Timestamp until, Timestamp::parse(moment));
  BUREAU_TRY_VOID(run_.sleep(until, node.id));
  return Outcome{};
}

// Tasks and workflows
// ------------------------------------------------------------------------------

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::enqueue(const WorkflowNode& node) {
  const auto* entry = kinds_.find(node.text("task"));
  if (entry == nullptr) {
    return fail(Code::not_found,
                fmt::format("task: \"{}\" is no kind that this program lets "
                            "workflows enqueue",
                            node.text("task")),
                "task");
  }
  KindInfo kind = entry->kind;
  if (const Json* attempts = node.find("attempts")) {
    kind.retry.max_attempts = static_cast<int>(*attempts->as_int());
  }
  EnqueueOptions options;
  if (const Json* priority = node.find("priority")) {
    const auto& all = names<Priority>;
    options.priority = static_cast<Priority>(
        std::find(all.begin(), all.end(), *priority->as_string()) - all.begin());
  }
  const Json* given = node.find("payload");
  BUREAU_TRY(Json payload, fill(given == nullptr ? Json::object() : *given, values_));
  if (entry->payload != nullptr) BUREAU_TRY_VOID(json_to_values(*entry->payload, payload));
  return await_child(node, run_.spawn_json(kind, std::move(payload), options, node.id));
}

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::await_child(
    const WorkflowNode& node, const Result<Id<Task>>& child) {
  if (!child) return fail(child.error());
  BUREAU_TRY(auto ends, run_.join_all_json({*child}, node.id + ".join"));
  auto& end = ends.front();
  if (!end) return Outcome{"next", Json::object(), end.error()};
  Json value = *std::move(end);
  if (node.kind == NodeKind::call) {
    return Outcome{"next", Json::object({{"output", member_or(value, "output", Json())}}), {}};
  }
  // A result is a record; what is not one is no value that has members.
  if (value.as_object() == nullptr) value = Json::object({{"result", std::move(value)}});
  return Outcome{"next", std::move(value), {}};
}

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::call(const WorkflowNode& node) {
  if (depth_ >= max_workflow_depth) {
    return fail(Code::exhausted,
                fmt::format("workflows call each other, the limit is {} deep", max_workflow_depth));
  }
  const Json* given = node.find("input");
  BUREAU_TRY(Json input, fill(given == nullptr ? Json::object() : *given, values_));
  // Which version its name means is decided once.
  const auto find_version = [&]() -> Result<Id<Workflow>> {
    return run_.read([&](View& view) -> Result<Id<Workflow>> {
      BUREAU_TRY(const auto found, Repository<Workflow>(view).first(
                                       col(&Workflow::name) == node.text("workflow") &&
                                       col(&Workflow::status) == WorkflowStatus::active));
      if (found) return found->id;
      return fail(
          Code::not_found,
          fmt::format("workflow: none is active under the name \"{}\"", node.text("workflow")),
          "workflow");
    });
  };
  BUREAU_TRY(const Id<Workflow> version,
             run_.step(node.id + ".version", Effect::pure, find_version));
  const WorkflowStart start{version, std::move(input), depth_ + 1};
  return await_child(node, run_.spawn_json(workflow_run, record_to_json(start), {}, node.id));
}

// Branches that run at once
// ------------------------------------------------------------------------

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::fork(const WorkflowNode& node) {
  std::vector<Id<Task>> branches;
  for (const int first : node.branches) {
    const std::string& id = graph_.node(first).id;
    const WorkflowBranch branch{workflow_.row.id, id, pruned(graph_.roots_of(first)), depth_};
    BUREAU_TRY(const Id<Task> child, run_.spawn_json(workflow_branch_kind, record_to_json(branch),
                                                     {}, fmt::format("{}.{}", node.id, id)));
    branches.push_back(child);
  }
  const Json* wait = node.find("wait");
  const bool any = wait != nullptr && *wait->as_string() == "any";
  return any ? join_any(node, branches) : join_all(node, branches);
}

/// A branch's values and variables are the run's from here on.
void WorkflowInterpreter::merge(const Json& done) {
  const Json* values = done.find("values");
  const Json* vars = done.find("vars");
  if (values != nullptr && values->as_object() != nullptr) {
    for (const auto& [name, value] : *values->as_object()) {
      values_.set(name, value);
      own_values_.set(name, value);
    }
  }
  if (vars != nullptr && vars->as_object() != nullptr) {
    for (const auto& [name, value] : *vars->as_object()) {
      vars_.set(name, value);
      own_vars_.set(name, value);
    }
    values_.set("vars", vars_);
  }
}

namespace {

Json ended_json(const Result<Json>& end) {
  if (!end) return Json::object({{"status", "failed"}, {"error", error_json(end.error())}});
  return Json::object({{"status", "completed"}, {"output", member_or(*end, "output", Json())}});
}

}  // namespace

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::join_all(
    const WorkflowNode& node, const std::vector<Id<Task>>& branches) {
  BUREAU_TRY(const auto ends, run_.join_all_json(branches, node.id + ".join"));
  Outcome outcome;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    outcome.value.set(graph_.node(node.branches[i]).id, ended_json(ends[i]));
    if (!ends[i] && !outcome.failed) outcome.failed = ends[i].error();
  }
  if (outcome.failed) return outcome;
  for (const auto& end : ends) merge(*end);
  return outcome;
}

Result<WorkflowInterpreter::Outcome> WorkflowInterpreter::join_any(
    const WorkflowNode& node, const std::vector<Id<Task>>& branches) {
  Outcome outcome;
  std::vector<Id<Task>> left = branches;
  std::vector<int> places = node.branches;
  while (!left.empty()) {
    BUREAU_TRY(const std::size_t first, run_.join_any_json(left, node.id + ".join"));
    BUREAU_TRY(const auto ends, run_.join_all_json({left[first]}, node.id + ".join"));
    const std::string& id = graph_.node(places[first]).id;
    outcome.value.set(id, ended_json(ends.front()));
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(first));
    places.erase(places.begin() + static_cast<std::ptrdiff_t>(first));
    if (!ends.front()) {
      if (!outcome.failed) outcome.failed = ends.front().error();
      continue;
    }
    outcome.failed.reset();
    outcome.value.set("first", id);
    for (const int place : places) {
      outcome.value.set(graph_.node(place).id, Json::object({{"status", "cancelled"}}));
    }
    BUREAU_TRY_VOID(cancel_rest(node, left));
    break;
  }
  return outcome;
}

Result<void> WorkflowInterpreter::cancel_rest(const WorkflowNode& node,
                                              const std::vector<Id<Task>>& rest) {
  if (rest.empty()) return {};
  return run_.step(node.id + ".cancel", [&](Unit& unit) -> Result<void> {
    const Tasks tasks{Scope(unit)};
    for (const Id<Task> branch : rest) {
      const auto ended = tasks.cancel(branch, "another branch was first");
      if (!ended && ended.error().code != Code::conflict) return fail(ended.error());
    }
    return {};
  });
}

}  // namespace detail
BUREAU_END_NAMESPACE
