// What a handler may do with its run: steps, waits, children, approvals, the end.

#include "runs.hpp"

#include <fmt/format.h>

#include <utility>

#include "bureau/work/approval.hpp"
#include "given.hpp"
#include "kinds.hpp"

namespace bureau_python {

/// What a completion of Python's gives: JSON already.
struct JsonResult {
  Json json;
};
Json record_to_json(const JsonResult& result) { return result.json; }

PyRun::Use PyRun::use() {
  if (over_) raise(Code::invalid, "run: its handler has returned; it is over");
  return Use(*this);
}

std::optional<Error> PyRun::end() {
  over_ = true;
  if (uses_ > 0) {
    unlocked([&] {
      std::unique_lock lock(mutex_);
      unused_.wait(lock, [&] { return idle_; });
    });
  }
  return std::move(ending_);
}

void PyRun::finish(Result<Json> outcome) {
  if (over_) return;
  over_ = true;
  outcome_ = std::move(outcome);
  if (uses_ == 0) tell();
}

void PyRun::let_go() {
  if (--uses_ > 0 || !over_) return;
  if (outcome_) return tell();
  const std::lock_guard lock(mutex_);
  idle_ = true;
  unused_.notify_all();
}

void PyRun::tell() {
  const Result<Json> what = ending_ ? Result<Json>(fail(*ending_)) : *std::exchange(outcome_, {});
  unlocked([&] {
    done_(what);
    done_ = nullptr;
    kept_.reset();
  });
}

namespace {

using RunPtr = std::shared_ptr<PyRun>;

/// The result of a call that ran a closure of Python's: its exception is raised again, as it was.
template <class T>
T settled(Result<T>&& result, Raised& raised) {
  if (!result) {
    const Code code = result.error().code;
    if (code != Code::suspended && code != Code::unknown_outcome) raised.rethrow();
  }
  return unwrap(std::move(result));
}

/// Calls a function without arguments, as a step's work.
Result<Json> do_work(const py::function& work, Raised& raised) {
  const Gil gil;
  if (!gil) return fail(Code::cancelled, "the interpreter ends");
  raised.forget();
  try {
    const py::object made = work();
    return json_from_python(made.ptr());
  } catch (py::error_already_set& e) {
    return fail(raised.keep(e));
  }
}

Result<Json> do_work(const std::shared_ptr<Office>& office, Unit& unit, const py::function& work,
                     Raised& raised) {
  auto made = call_with_unit(office, unit, work, raised);
  if (!made) return fail(std::move(made).error());
  const Gil gil;
  const py::object result = *std::move(made);
  try {
    return json_from_python(result.ptr());
  } catch (py::error_already_set& e) {
    return fail(raised.keep(e));
  }
}

py::object step(const RunPtr& self, const std::string& name, const py::object& effect,
                const py::function& work) {
  const auto run = self->use();
  Effect touched = run->task().effect;
  if (!effect.is_none()) {
    ColumnInfo column;
    column.name = "effect";
    column.type = Type::enumeration;
    column.names = names<Effect>;
    touched = static_cast<Effect>(from_python(column, effect.ptr()).view().as_integer());
  }
  Raised raised;
  auto made = unlocked([&] {
    return run->step(name, touched, [&]() -> Result<Json> { return do_work(work, raised); });
  });
  return json_object(settled(std::move(made), raised));
}

py::object write_step(const RunPtr& self, const std::string& name, const py::function& work) {
  const auto run = self->use();
  Raised raised;
  auto made = unlocked([&] {
    return run->step(name, [&](Unit& unit) -> Result<Json> {
      return do_work(self->office(), unit, work, raised);
    });
  });
  return json_object(settled(std::move(made), raised));
}

py::object complete(const RunPtr& self, const py::function& work) {
  const auto run = self->use();
  Raised raised;
  auto made = unlocked([&] {
    return run->complete([&](Unit& unit) -> Result<JsonResult> {
      BUREAU_TRY(auto json, do_work(self->office(), unit, work, raised));
      return JsonResult{std::move(json)};
    });
  });
  return json_object(settled(std::move(made), raised).json);
}

void complete_later(const RunPtr& self, const py::function& work) {
  const auto run = self->use();
  // It is called, and let go of, on another thread.
  const std::shared_ptr<py::function> kept(new py::function(work), [](py::function* function) {
    const Gil gil;
    if (gil) delete function;
  });
  self->end_with(
      run->complete_later([kept, office = self->office()](Unit& unit) -> Result<JsonResult> {
           Raised raised;
           BUREAU_TRY(auto json, do_work(office, unit, *kept, raised));
           return JsonResult{std::move(json)};
         })
          .value());
}

void sleep(const RunPtr& self, const py::object& how_long, const std::string& name) {
  const auto run = self->use();
  if (PyObject_HasAttrString(how_long.ptr(), "utcoffset") != 0) {
    const Timestamp until = timestamp_from_python(how_long.ptr(), "until");
    return unwrap(unlocked([&] { return run->sleep(until, name); }));
  }
  const Duration span = duration_from_python(how_long.ptr(), "duration");
  unwrap(unlocked([&] { return run->sleep(span, name); }));
}

/// (whether something came, what came)
py::tuple wait_for(const RunPtr& self, const std::string& name, const py::object& timeout,
                   const py::object& fits) {
  const auto run = self->use();
  std::optional<Duration> within;
  if (!timeout.is_none()) within = duration_from_python(timeout.ptr(), "timeout");
  auto made = unlocked([&] {
    return run->wait_for_json(name, within, [&](const Json& payload) -> Result<void> {
      const Gil gil;
      if (!gil) return fail(Code::cancelled, "the interpreter ends");
      if (fits.is_none()) return {};
      try {
        fits(json_object(payload));
      } catch (py::error_already_set& raised) {
        return fail(Code::invalid, take_error(raised).message);
      }
      return {};
    });
  });
  const auto payload = unwrap(std::move(made));
  return py::make_tuple(payload.has_value(), payload ? json_object(*payload) : py::none());
}

py::dict approval(const RunPtr& self, const std::string& name, const py::dict& fields) {
  const auto run = self->use();
  Given given("approval", fields);
  ApprovalRequest request;
  request.title = given.text("title");
  request.subject = given.json("subject");
  request.assignee = given.maybe_id<User>("assignee");
  request.team = given.maybe_id<Team>("team");
  request.within = given.maybe_span("within");
  request.escalate_after = given.maybe_span("escalate_after");
  request.escalate_to = given.maybe_id<User>("escalate_to");
  if (PyObject* row = given.at("about")) {
    if (!is_row(row)) raise(Code::invalid, "about: a row is wanted", "about");
    request.record_table = std::string(table_of_row(row).name);
    request.record = id_of_row(row);
    request.record_version = py::handle(row).attr("version").cast<std::int64_t>();
  }
  given.done();
  const Verdict verdict = unwrap(unlocked([&] { return run->approval(request, name); }));
  py::dict out;
  out["approval"] = id::to_text(schema<Approval>.prefix, verdict.approval.value);
  out["status"] = std::string(names<ApprovalStatus>[static_cast<std::size_t>(verdict.status)]);
  out["by"] = verdict.by ? py::object(py::str(id::to_text(schema<User>.prefix, verdict.by->value)))
                         : py::none();
  out["comment"] = verdict.comment;
  return out;
}

std::string spawn(const RunPtr& self, const std::shared_ptr<Kind>& kind, const py::object& payload,
                  const py::dict& fields, const std::string& name) {
  const auto run = self->use();
  const EnqueueOptions options = enqueue_options(fields);
  Json json = json_from_python(payload.ptr());
  const auto made =
      unwrap(unlocked([&] { return run->spawn_json(kind->info, std::move(json), options, name); }));
  return id::to_text(schema<Task>.prefix, made.value);
}

std::vector<Id<Task>> ids_of(const py::list& tasks) {
  std::vector<Id<Task>> out;
  for (const py::handle one : tasks) {
    out.emplace_back(id_from_python(schema<Task>.prefix, one.ptr(), "child"));
  }
  return out;
}

/// Each (result, None) or (None, exception).
py::list join(const RunPtr& self, const py::list& tasks, const std::string& name) {
  const auto run = self->use();
  const auto children = ids_of(tasks);
  const auto ends = unwrap(unlocked([&] { return run->join_all_json(children, name); }));
  py::list out;
  for (const auto& end : ends) {
    out.append(end ? py::make_tuple(json_object(*end), py::none())
                   : py::make_tuple(py::none(), error_object(end.error())));
  }
  return out;
}

std::size_t join_any(const RunPtr& self, const py::list& tasks, const std::string& name) {
  const auto run = self->use();
  const auto children = ids_of(tasks);
  if (children.empty()) raise(Code::invalid, "join_any: no children", "children");
  return unwrap(unlocked([&] { return run->join_any_json(children, name); }));
}

void hand_off(const RunPtr& self, const std::shared_ptr<Kind>& kind, const py::object& payload,
              const py::dict& fields) {
  const auto run = self->use();
  const EnqueueOptions options = enqueue_options(fields);
  Json json = json_from_python(payload.ptr());
  const Error error =
      unlocked([&] { return run->hand_off_json(kind->info, std::move(json), options).value(); });
  raise(error);
}

py::object task_row(const RunPtr& self) {
  const TableInfo& table = table_of<Task>();
  std::vector<Value> values(table.width());
  detail::Scratch scratch;
  to_values(self->use()->task(), values, scratch);
  return make_row(table, values);
}

py::object read(const RunPtr& self, const py::function& work) {
  const auto run = self->use();
  Raised raised;
  py::object result;
  auto outcome = unlocked([&] {
    return run->read([&](View& view) -> Result<void> {
      const Gil gil;
      auto scope = std::make_shared<PyScope>(self->office(), view);
      Result<void> done;
      try {
        result = work(scope);
      } catch (py::error_already_set& e) {
        done = fail(raised.keep(e));
      }
      unlocked([&] { scope->end(); });
      return done;
    });
  });
  settled(std::move(outcome), raised);
  return result;
}

void log(const RunPtr& self, int level, const std::string& message) {
  const auto run = self->use();
  unlocked([&] { run->log(static_cast<LogLevel>(level), message); });
}

/// What a handler that holds no thread came to: its result, or the exception that it raised.
void finish(const RunPtr& self, const py::object& result, const py::object& exception) {
  Result<Json> outcome;
  try {
    if (!exception.is_none()) {
      PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
      throw py::error_already_set();
    }
    outcome = json_from_python(result.ptr());
  } catch (py::error_already_set& raised) {
    outcome = fail(take_error(raised));
  }
  self->finish(std::move(outcome));
}

}  // namespace

EnqueueOptions enqueue_options(const py::dict& fields) {
  Given given("enqueue", fields);
  EnqueueOptions options;
  options.priority = given.choice("priority", options.priority);
  options.delay = given.maybe_span("delay").value_or(Duration(0));
  options.run_at = given.maybe_time("run_at");
  options.unique_key = given.maybe_text("unique_key");
  const auto on_conflict = given.text("on_conflict");
  if (on_conflict == "replace") {
    options.on_conflict = OnConflict::replace;
  } else if (!on_conflict.empty() && on_conflict != "ignore") {
    raise(Code::invalid, "on_conflict: it is \"ignore\" or \"replace\"", "on_conflict");
  }
  options.unique_for = given.maybe_span("unique_for").value_or(Duration(0));
  options.deadline = given.maybe_time("deadline");
  options.flow_key = given.maybe_text("flow_key");
  options.budget = given.maybe_id<Budget>("budget");
  given.done();
  return options;
}

void init_runs(py::module_& module) {
  py::class_<PyRun, RunPtr>(module, "Run")
      .def_property_readonly("task", task_row)
      .def_property_readonly("task_id",
                             [](const RunPtr& self) {
                               return id::to_text(schema<Task>.prefix,
                                                  self->use()->task().id.value);
                             })
      .def_property_readonly("attempt",
                             [](const RunPtr& self) { return self->use()->task().attempt; })
      .def_property_readonly("idempotency_key",
                             [](const RunPtr& self) { return self->use()->idempotency_key(); })
      .def_property_readonly("stop_requested",
                             [](const RunPtr& self) { return self->use()->stop_requested(); })
      .def("read", read)
      .def("step", step)
      .def("write", write_step)
      .def("complete", complete)
      .def("complete_later", complete_later)
      .def("sleep", sleep)
      .def("wait_for", wait_for)
      .def("approval", approval)
      .def("spawn", spawn)
      .def("join", join)
      .def("join_any", join_any)
      .def("hand_off", hand_off)
      .def("patched",
           [](const RunPtr& self, const std::string& name) {
             const auto run = self->use();
             return unlocked([&] { return run->patched(name); });
           })
      .def("progress",
           [](const RunPtr& self, double fraction, const std::string& note) {
             const auto run = self->use();
             unwrap(unlocked([&] { return run->progress(fraction, note); }));
           })
      .def("log", log)
      .def("finish", finish);
}

}  // namespace bureau_python
