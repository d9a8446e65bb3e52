// Agents whose handlers are Python's: kinds, runs as handlers see them, and the way between the
// engine's threads and the interpreter.

#include <cxxabi.h>
#include <fmt/format.h>
#include <unistd.h>

#include "bridge.hpp"
#include "bureau/work/agent.hpp"
#include "bureau/work/approval.hpp"
#include "given.hpp"
#include "kinds.hpp"
#include "runs.hpp"

namespace bureau_python {

namespace {

// Kinds ----------------------------------------------------------------------------------------

Retry retry_of(Given& given) {
  Retry retry;
  retry.max_attempts = static_cast<int>(given.maybe_integer("attempts").value_or(1));
  retry.base = given.maybe_span("pause").value_or(Duration(0));
  retry.cap = given.maybe_span("pause_max").value_or(retry.base);
  retry.factor = given.maybe_real("factor").value_or(1);
  retry.jitter = given.flag("jitter", retry.jitter);
  return retry;
}

std::shared_ptr<Kind> make_kind(const std::string& name, const py::dict& fields) {
  Given given("kind", fields);
  auto kind = std::make_shared<Kind>();
  kind->name = name;
  kind->queue = given.maybe_text("queue").value_or("default");
  KindInfo& info = kind->info;
  info.effect = given.choice("effect", Effect::pure);
  info.run_as = given.choice("run_as", RunAs::agent);
  info.time_limit = given.maybe_span("timeout").value_or(info.time_limit);
  info.retry = retry_of(given);
  info.is_encrypted = given.flag("encrypted", info.is_encrypted);
  given.done();
  info.name = kind->name;
  info.queue = kind->queue;
  if (const auto wrong = check_kind(info); !wrong.empty()) {
    raise(Code::invalid, fmt::format("kind \"{}\": {}", name, wrong), "kind");
  }
  return kind;
}

// Entering Python ------------------------------------------------------------------------------

/// Calls a function of Python. A thread that is inside one when the interpreter ends is ended by
/// it, past all that C++ has on the stack: it stays here instead, until the process is gone.
PyObject* call_or_stay(PyObject* function, PyObject* a, PyObject* b) {
  try {
    return PyObject_CallFunctionObjArgs(function, a, b, nullptr);
  } catch (abi::__forced_unwind&) {
    for (;;) ::pause();
  }
}

class PyAgent final : public Agent {
 public:
  /// `handler` is a weak reference: what Python holds may hold the office, and is to be collected.
  PyAgent(std::weak_ptr<Office> office, std::string name, std::string role,
          std::vector<std::shared_ptr<Kind>> kinds, const py::weakref& handler, bool is_async)
      : office_(std::move(office)),
        name_(std::move(name)),
        role_(std::move(role)),
        kinds_(std::move(kinds)),
        handler_(handler.inc_ref().ptr()),
        is_async_(is_async) {}
  ~PyAgent() override {
    const Gil gil;
    if (gil) Py_XDECREF(handler_);
  }

  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] std::string_view role() const override { return role_; }
  [[nodiscard]] std::vector<KindInfo> capabilities() const override {
    std::vector<KindInfo> out;
    for (const auto& kind : kinds_) out.push_back(kind->info);
    return out;
  }
  /// The handler's dataclass says whether a payload is good.
  [[nodiscard]] Result<void> validate(const Task&) const override { return {}; }

  Result<Json> execute(Run& run, const Task& task) override {
    const auto office = office_.lock();
    if (!office) return fail(Code::cancelled, "the office is closed");
    auto handle = std::make_shared<PyRun>(office, run);
    return call(handle, task, "_handle");
  }

  [[nodiscard]] bool holds_no_thread() const override { return is_async_; }
  void begin(const std::shared_ptr<Run>& run, Done done) override {
    const auto office = office_.lock();
    if (!office) return done(fail(Code::cancelled, "the office is closed"));
    auto handle = std::make_shared<PyRun>(office, run, done);
    auto begun = call(handle, run->task(), "_begin");
    if (!begun) done(fail(std::move(begun).error()));
  }

  Result<void> on_start() override { return tell("_on_start"); }
  Result<void> on_stop() override { return tell("_on_stop"); }

 private:
  /// The outcome of a handler; drops the handle with the GIL.
  Result<Json> call(std::shared_ptr<PyRun>& handle, const Task& task, const char* method) {
    const Gil gil;
    if (!gil) return fail(Code::cancelled, "the interpreter ends");
    Result<Json> outcome;
    try {
      const py::object target = py::reinterpret_borrow<py::object>(PyWeakref_GetObject(handler_));
      if (target.is_none()) {
        outcome = fail(Code::cancelled, "the office is gone");
      } else {
        const py::object function = target.attr(method);
        const py::object payload = json_object(task.payload);
        const py::object run = py::cast(handle);
        const auto made = py::reinterpret_steal<py::object>(
            call_or_stay(function.ptr(), run.ptr(), payload.ptr()));
        if (!made) throw py::error_already_set();
        outcome = json_from_python(made.ptr());
      }
    } catch (py::error_already_set& raised) {
      outcome = fail(take_error(raised));
    }
    if (!is_async_) {
      if (auto ending = handle->end()) outcome = fail(*std::move(ending));
    }
    handle.reset();
    return outcome;
  }
  Result<void> tell(const char* method) {
    const Gil gil;
    if (!gil) return {};
    try {
      const py::object target = py::reinterpret_borrow<py::object>(PyWeakref_GetObject(handler_));
      if (!target.is_none()) target.attr(method)();
    } catch (py::error_already_set& raised) {
      return fail(take_error(raised));
    }
    return {};
  }

  std::weak_ptr<Office> office_;
  std::string name_, role_;
  std::vector<std::shared_ptr<Kind>> kinds_;
  PyObject* handler_;
  bool is_async_;
};

void add_agent(const std::shared_ptr<Office>& office, const std::string& name,
               const std::string& role, const std::shared_ptr<Kind>& kind,
               const py::object& handler, bool is_async) {
  auto agent = std::make_shared<PyAgent>(office, name, role, std::vector{kind},
                                         py::weakref(handler), is_async);
  unwrap(unlocked([&]() -> Result<void> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office->use());
    const auto added = engine->add(std::move(agent));
    agent.reset();
    return added;
  }));
}

}  // namespace

void init_agents(py::module_& module) {
  py::class_<Kind, std::shared_ptr<Kind>>(module, "Kind")
      .def(py::init(&make_kind))
      .def_property_readonly("name", [](const Kind& kind) { return kind.name; })
      .def_property_readonly("attempts",
                             [](const Kind& kind) { return kind.info.retry.max_attempts; });
  module.def("_add_agent", add_agent);
  init_runs(module);
}

}  // namespace bureau_python
