// Tasks, runs and approvals from outside.

#include "bureau/work/tasks.hpp"

#include "bureau/work/approval.hpp"
#include "bureau/work/runs.hpp"
#include "domains.hpp"
#include "kinds.hpp"
#include "runs.hpp"

namespace bureau_python {

namespace {

/// The ids of the new tasks, in the order of their payloads.
py::list enqueue(const ScopePtr& scope, const std::shared_ptr<Kind>& kind, const py::list& payloads,
                 const py::dict& fields) {
  const EnqueueOptions options = enqueue_options(fields);
  std::vector<Json> texts;
  texts.reserve(payloads.size());
  for (const py::handle one : payloads) texts.push_back(json_from_python(one.ptr()));
  const auto made = in_domain<Tasks>(scope, [&](const Tasks& tasks) {
    return tasks.enqueue_json(kind->info, std::move(texts), options);
  });
  py::list out(made.size());
  for (std::size_t i = 0; i < made.size(); ++i) {
    const std::string text = id::to_text(schema<Task>.prefix, made[i].id.value);
    out[i] = py::str(text);
  }
  return out;
}

/// Waits a little; the caller looks after signals and calls again. None: it has not ended.
py::object wait_task(const ScopePtr& scope, const py::object& task, double seconds) {
  const auto id = id_of<Task>(task, "task");
  auto made = scope->with([&](const Scope& in, Engine&) {
    return Tasks(in).wait(id, Duration(static_cast<std::int64_t>(seconds * 1e6)));
  });
  if (!made && made.error().code == Code::deadline) return py::none();
  return row_of(unwrap(std::move(made)));
}

py::object task_change(const ScopePtr& scope, const std::string& verb, const py::object& task,
                       const py::dict& fields) {
  const auto id = id_of<Task>(task, "task");
  Given given("tasks", fields);
  std::function<Result<Task>(const Tasks&)> call;
  if (verb == "cancel") {
    call = [id, reason = given.text("reason")](const Tasks& t) { return t.cancel(id, reason); };
  } else if (verb == "snooze") {
    const auto until = given.maybe_time("until");
    if (!until) raise(Code::invalid, "until: it is required", "until");
    call = [id, until = *until](const Tasks& t) { return t.snooze(id, until); };
  } else if (verb == "prioritize") {
    call = [id, priority = given.choice("priority", Priority::normal)](const Tasks& t) {
      return t.set_priority(id, priority);
    };
  } else if (verb == "redrive") {
    call = [id](const Tasks& t) { return t.redrive(id); };
  } else {
    call = [id, outcome = given.choice("outcome", TaskStatus::dead), reason = given.text("reason")](
               const Tasks& t) { return t.resolve(id, outcome, reason); };
  }
  given.done();
  return row_of(in_domain<Tasks>(scope, call));
}

bool signal(const ScopePtr& scope, const py::object& task, const std::string& name,
            const py::object& payload, const py::object& key) {
  const auto id = id_of<Task>(task, "task");
  const Json json = json_from_python(payload.ptr());
  std::optional<std::string> once;
  if (!key.is_none()) once = text_from_python(key.ptr(), "key");
  return in_domain<Runs>(scope,
                         [&](const Runs& runs) { return runs.signal_json(id, name, json, once); });
}

std::uint64_t redrive_all(const ScopePtr& scope, const py::object& where, const py::dict& values,
                          const py::dict& fields) {
  const Predicate which =
      predicate_from_python(table_of<Task>(), catalog_of(scope), where.ptr(), values.ptr());
  Given given("tasks.redrive_all", fields);
  const std::uint64_t limit = given.limit("limit", 1000);
  given.done();
  return in_domain<Tasks>(scope, [&](const Tasks& t) { return t.redrive_all(which, limit); });
}

/// What somebody says or has done to a run that is in trouble.
py::object run_change(const ScopePtr& scope, const std::string& verb, const py::object& task,
                      const py::dict& fields) {
  const auto id = id_of<Task>(task, "task");
  Given given("tasks", fields);
  std::function<Result<Task>(const Runs&)> call;
  if (verb == "resolve_step") {
    call = [id, result = given.json("result"), reason = given.text("reason")](const Runs& r) {
      return r.resolve_step(id, result, reason);
    };
  } else if (verb == "probe_again") {
    call = [id](const Runs& r) { return r.probe_again(id); };
  } else {
    const auto position = given.maybe_integer("position");
    if (!position) raise(Code::invalid, "position: it is required", "position");
    call = [id, position = *position, again = verb == "retry_from"](const Runs& r) {
      return again ? r.retry_from(id, position) : r.fork_from(id, position);
    };
  }
  given.done();
  return row_of(in_domain<Runs>(scope, call));
}

py::object hold_approval(const ScopePtr& scope, const std::string& verb,
                         const py::object& approval) {
  const auto id = id_of<Approval>(approval, "approval");
  return row_of(in_domain<Approvals>(
      scope, [&](const Approvals& a) { return verb == "claim" ? a.claim(id) : a.release(id); }));
}

py::object decide(const ScopePtr& scope, const py::object& approval, bool approve,
                  const std::string& comment) {
  const auto id = id_of<Approval>(approval, "approval");
  return row_of(in_domain<Approvals>(
      scope, [&](const Approvals& a) { return a.decide(id, approve, comment); }));
}

void use_approval(const ScopePtr& scope, const py::object& approval, const py::object& subject) {
  const auto id = id_of<Approval>(approval, "approval");
  const Json json = json_from_python(subject.ptr());
  unwrap(scope->with_write([&](const Scope& in, Engine&) -> Result<void> {
    if (in.unit() == nullptr) {
      return fail(Code::invalid, "approval: it is used in a unit, with the effect that it is for");
    }
    return Approvals::use(*in.unit(), id, json);
  }));
}

void init_runs_outside(ScopeClass& scope) {
  scope.def("signal", signal)
      .def("steps",
           [](const ScopePtr& self, const py::object& task) {
             const auto id = id_of<Task>(task, "task");
             return rows_of(from_domain<Runs>(self, [&](const Runs& r) { return r.steps(id); }));
           })
      .def("children",
           [](const ScopePtr& self, const py::object& task) {
             const auto id = id_of<Task>(task, "task");
             return rows_of(from_domain<Runs>(self, [&](const Runs& r) { return r.children(id); }));
           })
      .def("run_signals",
           [](const ScopePtr& self, const py::object& task) {
             const auto id = id_of<Task>(task, "task");
             return rows_of(
                 from_domain<Runs>(self, [&](const Runs& r) { return r.signals_of(id); }));
           })
      .def("run_change", run_change);
}

}  // namespace

void init_tasks(ScopeClass& scope) {
  scope.def("enqueue", enqueue)
      .def("wait_task", wait_task)
      .def("task_change", task_change)
      .def("task_remove",
           [](const ScopePtr& self, const py::object& task) {
             const auto id = id_of<Task>(task, "task");
             unwrap(
                 self->with_write([&](const Scope& in, Engine&) { return Tasks(in).remove(id); }));
           })
      .def("task_redrive_all", redrive_all)
      .def("approvals",
           [](const ScopePtr& self) {
             return rows_of(
                 from_domain<Approvals>(self, [](const Approvals& a) { return a.list(); }));
           })
      .def("hold_approval", hold_approval)
      .def("decide", decide)
      .def("use_approval", use_approval);
  init_runs_outside(scope);
}

}  // namespace bureau_python
