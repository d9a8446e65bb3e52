// Workflows: versions, runs, and the forms that they ask people to fill in.

#include "bureau/work/workflows.hpp"

#include "bureau/work/workflow_agent.hpp"
#include "domains.hpp"
#include "kinds.hpp"
#include "runs.hpp"

namespace bureau_python {

namespace {

// Versions -------------------------------------------------------------------------------------

NewWorkflow read(const py::object& document) {
  return unwrap(workflow_from_json(json_from_python(document.ptr())));
}

py::object change(const ScopePtr& scope, const std::string& verb, const py::object& workflow) {
  const auto id = id_of<Workflow>(workflow, "workflow");
  return row_of(in_domain<Workflows>(scope, [&](const Workflows& w) {
    return verb == "activate" ? w.activate(id) : w.retire(id);
  }));
}

/// Without a number what the name means.
py::object named(const ScopePtr& scope, const std::string& name, const py::dict& fields) {
  Given given("workflows.named", fields);
  const auto number = given.maybe_integer("number");
  given.done();
  return row_of(from_domain<Workflows>(
      scope, [&](const Workflows& w) { return number ? w.named(name, *number) : w.named(name); }));
}

py::object document(const ScopePtr& scope, const py::object& workflow) {
  const auto id = id_of<Workflow>(workflow, "workflow");
  return json_object(
      to_json(from_domain<Workflows>(scope, [&](const Workflows& w) { return w.find(id); })));
}

std::string graph(const ScopePtr& scope, const py::object& workflow, const std::string& format) {
  const auto id = id_of<Workflow>(workflow, "workflow");
  if (format != "dot" && format != "mermaid") {
    raise(Code::invalid, fmt::format("format: \"{}\" is none of dot, mermaid", format), "format");
  }
  const auto row = from_domain<Workflows>(scope, [&](const Workflows& w) { return w.find(id); });
  return unwrap(workflow_graph(row, format == "dot" ? GraphFormat::dot : GraphFormat::mermaid));
}

// Runs -----------------------------------------------------------------------------------------

std::string start(const ScopePtr& scope, const std::string& name, const py::object& input,
                  const py::dict& options) {
  const Json json = json_from_python(input.ptr());
  const EnqueueOptions enqueue = enqueue_options(options);
  return text_of(in_domain<Workflows>(scope, [&](const Workflows& w) {
                   return w.start(name, json, enqueue);
                 }).id);
}

py::list raise_event(const ScopePtr& scope, const std::string& event, const py::object& input) {
  const Json json = json_from_python(input.ptr());
  py::list out;
  for (const Task& task :
       in_domain<Workflows>(scope, [&](const Workflows& w) { return w.raise(event, json); })) {
    out.append(text_of(task.id));
  }
  return out;
}

py::list waits(const ScopePtr& scope, const py::object& run) {
  const auto id = id_of<Task>(run, "run");
  py::list out;
  for (const WorkflowWait& wait :
       from_domain<Workflows>(scope, [&](const Workflows& w) { return w.waits(id); })) {
    out.append(py::make_tuple(text_of(wait.task), wait.node, wait.step, moment_of(wait.since),
                              moment_of(wait.until)));
  }
  return out;
}

py::list steps(const ScopePtr& scope, const py::object& run) {
  const auto id = id_of<Task>(run, "run");
  py::list out;
  for (const WorkflowStep& step :
       from_domain<Workflows>(scope, [&](const Workflows& w) { return w.steps(id); })) {
    out.append(py::make_tuple(text_of(step.task), step.branch, step.node, step.step, step.open,
                              step.result ? json_object(*step.result) : py::none(),
                              step.error ? py::object(py::str(*step.error)) : py::none(),
                              moment_of(step.at)));
  }
  return out;
}

py::object answer(const ScopePtr& scope, const py::object& form, const py::object& answer) {
  const auto id = id_of<WorkflowForm>(form, "form");
  const Json json = json_from_python(answer.ptr());
  return row_of(
      in_domain<WorkflowForms>(scope, [&](const WorkflowForms& f) { return f.answer(id, json); }));
}

// Who runs them --------------------------------------------------------------------------------

/// The fields of a payload or a result; null: nobody knows them. The office keeps them.
const TableInfo* record_of(Office& office, const py::handle& columns) {
  if (columns.is_none()) return nullptr;
  const std::shared_ptr<const TableInfo> made =
      make_record(py::reinterpret_borrow<py::list>(columns));
  office.kept.push_back(std::const_pointer_cast<TableInfo>(made));
  return made.get();
}

/// `offered`: (kind, fields of its payload, fields of its result) of each.
void add_workflows(const std::shared_ptr<Office>& office, const py::list& offered) {
  WorkflowKinds kinds;
  for (const py::handle one : offered) {
    const auto tuple = one.cast<py::tuple>();
    auto kind = tuple[0].cast<std::shared_ptr<Kind>>();
    kinds.add({kind->info, record_of(*office, tuple[1]), record_of(*office, tuple[2])});
    office->kept.push_back(std::move(kind));
  }
  unwrap(unlocked([&]() -> Result<void> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office->use());
    return engine->add(std::make_shared<WorkflowAgent>(engine->access(), std::move(kinds)));
  }));
}

}  // namespace

void init_workflows(py::module_& module, ScopeClass& scope) {
  module.def("_add_workflows", add_workflows);
  scope
      .def("workflow_check",
           [](const ScopePtr& self, const py::object& given) {
             const NewWorkflow workflow = read(given);
             unwrap(self->with(
                 [&](const Scope& in, Engine&) { return Workflows(in).check(workflow); }));
           })
      .def("workflow_save",
           [](const ScopePtr& self, const py::object& given) {
             const NewWorkflow workflow = read(given);
             return row_of(
                 in_domain<Workflows>(self, [&](const Workflows& w) { return w.save(workflow); }));
           })
      .def("workflow_change", change)
      .def("workflow_remove",
           [](const ScopePtr& self, const py::object& workflow) {
             const auto id = id_of<Workflow>(workflow, "workflow");
             unwrap(self->with_write(
                 [&](const Scope& in, Engine&) { return Workflows(in).remove(id); }));
           })
      .def("workflow_named", named)
      .def("workflow_document", document)
      .def("workflow_graph", graph);
  scope.def("workflow_start", start)
      .def("workflow_raise", raise_event)
      .def("workflow_runs",
           [](const ScopePtr& self, const std::string& name, const py::dict& fields) {
             Given given("workflows.runs", fields);
             const std::uint64_t limit = given.limit("limit", 100);
             given.done();
             return rows_of(from_domain<Workflows>(
                 self, [&](const Workflows& w) { return w.runs(name, limit); }));
           })
      .def("workflow_waits", waits)
      .def("workflow_steps", steps)
      .def("workflow_forms",
           [](const ScopePtr& self) {
             return rows_of(
                 from_domain<WorkflowForms>(self, [](const WorkflowForms& f) { return f.list(); }));
           })
      .def("workflow_answer", answer);
}

}  // namespace bureau_python
