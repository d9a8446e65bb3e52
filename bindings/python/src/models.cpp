// Models that are classes of Python's, conversations with them, and what tests need.

#include <fmt/format.h>

#include "bureau/ai/model_run.hpp"
#include "bureau/notify/delivery_agent.hpp"
#include "given.hpp"
#include "hosted.hpp"
#include "opening.hpp"
#include "runs.hpp"
#ifdef BUREAU_PYTHON_TESTING
#include "bureau/store/memory_storage.hpp"
#include "bureau/testing/crash_everywhere.hpp"
#include "bureau/testing/exercise_notifier.hpp"
#include "bureau/testing/exercise_storage.hpp"
#endif

namespace bureau_python {

namespace {

// Models ---------------------------------------------------------------------------------------

/// An object with `complete(request)`, which takes and gives dicts.
class PyModel final : public LanguageModel {
 public:
  explicit PyModel(const py::object& model)
      : identity_(py::str(py::getattr(model, "identity", py::str("python"))).cast<std::string>()),
        model_(kept(model)) {}
  [[nodiscard]] std::string_view identity() const override { return identity_; }
  Result<ModelReply> complete(const ModelRequest& request, const ModelCall& call) override {
    return in_python([&]() -> Result<ModelReply> {
      py::object asked = json_object(to_json(request));
      asked["key"] = call.key;
      const py::object made = py::handle(model_.get()).attr("_complete")(asked);
      return model_reply_from_json(json_from_python(made.ptr()));
    });
  }

 private:
  std::string identity_;
  std::shared_ptr<PyObject> model_;
};

std::vector<py::dict> dicts(PyObject* list) {
  std::vector<py::dict> out;
  if (list == nullptr) return out;
  for (const py::handle one : py::iterable(py::reinterpret_borrow<py::object>(list))) {
    out.push_back(one.cast<py::dict>());
  }
  return out;
}

ModelMessage message_of(const py::dict& fields) {
  Given given("message", fields);
  ModelMessage message;
  message.role = given.choice("role", ModelRole::user);
  message.text = given.text("text");
  message.call_id = given.text("call_id");
  for (const py::dict& one : dicts(given.at("calls"))) {
    Given of_call("call", one);
    message.calls.push_back({of_call.text("id"), of_call.text("name"), of_call.json("arguments")});
    of_call.done();
  }
  given.done();
  return message;
}

ToolSpec spec_of(const py::dict& fields) {
  Given given("tool", fields);
  ToolSpec spec;
  spec.name = given.text("name");
  spec.description = given.text("description");
  if (PyObject* parameters = given.at("parameters")) spec.parameters = json_from_python(parameters);
  spec.effect = given.choice("effect", spec.effect);
  given.at("work");
  given.at("in_unit");
  given.done();
  return spec;
}

Toolbox toolbox_of(const std::shared_ptr<Office>& office, PyObject* list) {
  Toolbox box;
  for (const py::dict& one : dicts(list)) {
    const auto work = kept(one["work"]);
    if (one.contains("in_unit") && one["in_unit"].ptr() == Py_True) {
      box.add(spec_of(one), [work, office](Unit& unit, const Json& arguments) -> Result<Json> {
        Raised raised;
        return in_python([&]() -> Result<Json> {
          const py::object given = json_object(arguments);
          const py::cpp_function call(
              [&](const py::object& scope) { return py::handle(work.get())(scope, given); });
          auto made = call_with_unit(office, unit, call, raised);
          if (!made) return fail(std::move(made).error());
          return json_from_python(made->ptr());
        });
      });
      continue;
    }
    box.add(spec_of(one), [work](const Json& arguments) -> Result<Json> {
      return in_python([&]() -> Result<Json> {
        const py::object made = py::handle(work.get())(json_object(arguments));
        return json_from_python(made.ptr());
      });
    });
  }
  return box;
}

py::dict converse_with(const std::shared_ptr<PyRun>& self, const py::object& model,
                       const py::dict& fields) {
  const auto run = self->use();
  Given given("converse", fields);
  ModelRequest request;
  for (const py::dict& one : dicts(given.at("messages")))
    request.messages.push_back(message_of(one));
  if (given.at("output") != nullptr) request.output = given.json("output");
  request.max_output_tokens = given.maybe_integer("max_output_tokens").value_or(1024);
  request.temperature = given.maybe_real("temperature").value_or(0);
  request.model = given.text("model");
  const Toolbox tools = toolbox_of(self->office(), given.at("tools"));
  ModelOptions options;
  options.max_turns = static_cast<int>(given.maybe_integer("max_turns").value_or(10));
  options.repairs = static_cast<int>(given.maybe_integer("repairs").value_or(2));
  options.effect = given.choice("effect", options.effect);
  if (const auto input = given.maybe_money("price_input")) {
    options.price =
        ModelPrice{*input, given.maybe_money("price_output").value_or(Money{0, input->currency}),
                   given.maybe_integer("price_per").value_or(1'000'000)};
  }
  const auto exhausted = given.text("exhausted");
  if (exhausted == "wait") options.exhausted = Spend::Exhausted::wait;
  given.at("price_output");
  given.at("price_per");
  given.done();
  PyModel adapter(model);
  const Conversed made =
      unwrap(unlocked([&] { return converse(*run, adapter, std::move(request), tools, options); }));
  py::dict out;
  out["reply"] = json_object(to_json(made.reply));
  out["text"] = made.reply.message.text;
  out["output"] = json_object(made.output);
  out["turns"] = made.turns;
  out["input_tokens"] =
      made.usage.input_tokens ? py::object(py::int_(*made.usage.input_tokens)) : py::none();
  out["output_tokens"] =
      made.usage.output_tokens ? py::object(py::int_(*made.usage.output_tokens)) : py::none();
  return out;
}

// Notifiers ------------------------------------------------------------------------------------

template <class T>
py::object id_or_none(const std::optional<Id<T>>& id) {
  if (!id) return py::none();
  return py::str(id::to_text(schema<T>.prefix, id->value));
}

class PyNotifier final : public Notifier {
 public:
  explicit PyNotifier(const py::object& notifier)
      : channel_(notifier.attr("channel").cast<std::string>()),
        identity_(notifier.attr("identity").cast<std::string>()),
        takes_key_(notifier.attr("takes_key").cast<bool>()),
        notifier_(kept(notifier)) {}
  [[nodiscard]] std::string_view channel() const override { return channel_; }
  [[nodiscard]] std::string_view identity() const override { return identity_; }
  [[nodiscard]] bool takes_key() const override { return takes_key_; }
  Result<Receipt> deliver(const Delivery& delivery) override {
    return in_python([&]() -> Result<Receipt> {
      py::dict given;
      given["key"] = delivery.key;
      given["attempt"] = delivery.attempt;
      given["notification"] = id::to_text(schema<Notification>.prefix, delivery.notification.value);
      given["event"] = delivery.event;
      given["user"] = id_or_none(delivery.user);
      given["webhook"] = id_or_none(delivery.webhook);
      given["name"] = delivery.name;
      given["email"] = delivery.email;
      given["title"] = delivery.title;
      given["body"] = delivery.body;
      given["data"] = json_object(delivery.data);
      const py::object made = py::handle(notifier_.get()).attr("_deliver")(given);
      const auto fields = made.cast<py::dict>();
      Given answer("receipt", fields);
      Receipt receipt;
      receipt.status = answer.choice("status", ReceiptStatus::none);
      receipt.external_id = answer.text("external_id");
      receipt.reason = answer.text("reason");
      answer.done();
      return receipt;
    });
  }

 private:
  std::string channel_, identity_;
  bool takes_key_;
  std::shared_ptr<PyObject> notifier_;
};

void add_notifiers(const std::shared_ptr<Office>& office, const py::list& notifiers) {
  std::vector<std::shared_ptr<Notifier>> made;
  for (const py::handle one : notifiers) {
    made.push_back(std::make_shared<PyNotifier>(py::reinterpret_borrow<py::object>(one)));
  }
  unwrap(unlocked([&]() -> Result<void> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office->use());
    return engine->add(std::make_shared<DeliveryAgent>(engine->access(), std::move(made)));
  }));
}

// Tests ----------------------------------------------------------------------------------------

#ifdef BUREAU_PYTHON_TESTING
/// An office on an engine that somebody else owns, for one call after the other.
class Lent {
 public:
  explicit Lent(py::function wrap) : wrap_(std::move(wrap)) {}
  Result<void> call(Engine& engine, const py::function& function, bool fresh) {
    const Gil gil;
    try {
      if (fresh || !office_) {
        give_back();
        office_ = std::make_shared<Office>();
        office_->set(std::shared_ptr<Engine>(&engine, [](Engine*) {}));
        python_ = wrap_(office_);
      }
      office_->set(std::shared_ptr<Engine>(&engine, [](Engine*) {}));
      function(python_);
    } catch (py::error_already_set& raised) {
      return fail(take_error(raised));
    }
    return {};
  }
  void give_back() {
    if (office_) office_->set(nullptr);
    python_ = py::object();
  }

 private:
  py::function wrap_;
  std::shared_ptr<Office> office_;
  py::object python_;
};

py::dict crash_everywhere(const py::function& agents, const py::function& begin,
                          const py::function& check, std::uint64_t seed, const py::function& wrap,
                          const py::list& tables) {
  Lent lent(wrap);
  testing::CrashScenario scenario;
  for (const py::handle capsule : tables) {
    scenario.tables.push_back(
        static_cast<const TableInfo*>(PyCapsule_GetPointer(capsule.ptr(), "bureau.table")));
  }
  scenario.seed = seed;
  scenario.agents = [&](Engine& engine) { return lent.call(engine, agents, true); };
  scenario.begin = [&](Engine& engine) { return lent.call(engine, begin, false); };
  scenario.check = [&](Engine& engine) { return lent.call(engine, check, false); };
  auto done = unlocked([&] { return testing::crash_everywhere(scenario); });
  lent.give_back();
  const auto report = unwrap(std::move(done));
  py::dict out;
  out["commits"] = report.commits;
  out["crashes"] = report.crashes;
  out["good"] = report.good();
  out["text"] = report.to_string();
  return out;
}

/// A list of (check, outcome, message).
py::list checks_of(const testing::Report& report) {
  py::list out;
  for (const testing::Check& check : report.checks) {
    using Outcome = testing::Check::Outcome;
    const char* const outcome = check.outcome == Outcome::passed    ? "passed"
                                : check.outcome == Outcome::skipped ? "skipped"
                                                                    : "failed";
    out.append(py::make_tuple(check.name, outcome, check.message));
  }
  return out;
}

py::list exercise_notifier(const py::function& fresh) {
  const auto report = unlocked([&] {
    return testing::exercise_notifier([&]() -> Result<std::shared_ptr<Notifier>> {
      return in_python([&]() -> Result<std::shared_ptr<Notifier>> {
        return std::shared_ptr<Notifier>(std::make_shared<PyNotifier>(fresh()));
      });
    });
  });
  return checks_of(report);
}

/// `fresh`: names a place each time, as (path or URL, schema); null: memory.
py::list exercise_storage(const py::object& fresh, std::uint64_t seed, const py::list& only) {
  std::string place, schema;
  const auto open = [&] {
    return in_python(
        [&]() -> Result<std::shared_ptr<Storage>> { return open_place(place, schema, true); });
  };
  testing::StorageFactory factory;
  if (fresh.is_none()) {
    factory.fresh = []() -> Result<std::shared_ptr<Storage>> { return make_memory_storage(); };
  } else {
    factory.reopen = open;
    factory.fresh = [&]() -> Result<std::shared_ptr<Storage>> {
      BUREAU_TRY_VOID(in_python([&]() -> Result<void> {
        const py::tuple named = fresh();
        place = text_from_python(named[0].ptr(), "place");
        schema = text_from_python(named[1].ptr(), "schema");
        return {};
      }));
      return open();
    };
  }
  testing::ExerciseOptions options;
  options.seed = seed;
  for (const py::handle name : only) {
    options.only.push_back(text_from_python(name.ptr(), "only"));
  }
  return checks_of(unlocked([&] { return testing::exercise_storage(factory, options); }));
}
#endif

}  // namespace

void init_testing(py::module_& module) {
  module.def("_converse", converse_with);
  module.def("_add_notifiers", add_notifiers);
  py::class_<ManualClock, std::shared_ptr<ManualClock>>(module, "ManualClock")
      .def(py::init([](const py::object& start) {
        if (start.is_none()) return std::make_shared<ManualClock>();
        return std::make_shared<ManualClock>(timestamp_from_python(start.ptr(), "start"));
      }))
      .def("now",
           [](const ManualClock& clock) {
             auto made = py::reinterpret_steal<py::object>(timestamp_to_python(clock.now()));
             if (!made) throw py::error_already_set();
             return made;
           })
      .def("advance",
           [](ManualClock& clock, const py::object& by) {
             const Duration span = duration_from_python(by.ptr(), "by");
             if (span < Duration(0)) raise(Code::invalid, "by: time goes forward", "by");
             unlocked([&] { clock.advance(span); });
           })
      .def("step", [](ManualClock& clock, const py::object& by) {
        const Duration span = duration_from_python(by.ptr(), "by");
        unlocked([&] { clock.step(span); });
      });
#ifdef BUREAU_PYTHON_TESTING
  module.def("_crash_everywhere", crash_everywhere);
  module.def("_exercise_notifier", exercise_notifier);
  module.def("_exercise_storage", exercise_storage);
#endif
}

}  // namespace bureau_python
