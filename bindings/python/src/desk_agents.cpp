// The classifier, the help desk's own agents, and what they read: reply templates, trained models.

#include "bureau/support/desk_agents.hpp"

#include <map>

#include "domains.hpp"
#include "kinds.hpp"

namespace bureau_python {

namespace {

// The classifier -------------------------------------------------------------------------------

using ClassifierPtr = std::shared_ptr<const TextClassifier>;
/// What Python holds of one; it may be some agent's too.
struct PyClassifier {
  ClassifierPtr shared;
};

PyClassifier shared(Result<TextClassifier>&& made) {
  return {std::make_shared<const TextClassifier>(unwrap(std::move(made)))};
}

std::vector<std::pair<std::string, std::string>> examples_of(const py::iterable& examples) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const py::handle one : examples) {
    if (!PySequence_Check(one.ptr()) || PyUnicode_Check(one.ptr()) || py::len(one) != 2) {
      raise(Code::invalid,
            fmt::format("examples: {} is no pair of a text and its label", out.size()), "examples");
    }
    const auto pair = py::reinterpret_borrow<py::sequence>(one);
    const py::object text = pair[0], label = pair[1];
    out.emplace_back(text_from_python(text.ptr(), "text"), text_from_python(label.ptr(), "label"));
  }
  return out;
}

PyClassifier train(const py::iterable& examples, const py::dict& fields) {
  Given given("TextClassifier.train", fields);
  TrainingOptions options;
  options.threshold = given.maybe_real("threshold");
  options.target_accuracy = given.maybe_real("target_accuracy").value_or(options.target_accuracy);
  options.seed = given.limit("seed", options.seed);
  // What is too many for 32 bits is refused as what it is: more than there may be.
  options.threads = static_cast<unsigned>(
      std::min<std::uint64_t>(given.limit("threads", options.threads), UINT32_MAX));
  given.done();
  const auto owned = examples_of(examples);
  std::vector<LabelledText> texts;
  texts.reserve(owned.size());
  for (const auto& [text, label] : owned) texts.push_back({text, label});
  return shared(unlocked([&] { return TextClassifier::train(texts, options); }));
}

py::tuple told(const Prediction& seen) {
  return py::make_tuple(seen.label, seen.confidence, seen.unsure);
}

py::tuple predict(const PyClassifier& self, const py::object& object) {
  const std::string text = text_from_python(object.ptr(), "text");
  return told(unlocked([&] { return self.shared->predict(text); }));
}

py::list top(const PyClassifier& self, const py::object& object, std::int64_t n) {
  const std::string text = text_from_python(object.ptr(), "text");
  if (n < 0) raise(Code::invalid, "n: it is negative", "n");
  py::list out;
  for (const Prediction& seen :
       unlocked([&] { return self.shared->top(text, static_cast<std::size_t>(n)); })) {
    out.append(told(seen));
  }
  return out;
}

py::dict cross_validation(const PyClassifier& self) {
  const CrossValidation& found = self.shared->cross_validation();
  py::dict out;
  out["texts"] = found.texts;
  out["accuracy"] = found.accuracy;
  out["coverage"] = found.coverage;
  out["accuracy_at_threshold"] = found.accuracy_at_threshold;
  return out;
}

py::bytes bytes_of(const PyClassifier& self) {
  return unlocked([&] { return self.shared->serialize(); });
}

PyClassifier of_bytes(const py::bytes& bytes) {
  const auto text = bytes.cast<std::string>();
  return shared(unlocked([&] { return TextClassifier::deserialize(text); }));
}

void init_classifier(py::module_& module) {
  py::class_<PyClassifier>(module, "Classifier")
      .def_static("train", train)
      .def_static("of_bytes", of_bytes)
      .def("bytes", bytes_of)
      .def("predict", predict)
      .def("top", top)
      .def("labels",
           [](const PyClassifier& self) {
             py::list out;
             for (const std::string& label : self.shared->labels()) out.append(label);
             return out;
           })
      .def("threshold", [](const PyClassifier& self) { return self.shared->threshold(); })
      .def("cross_validation", cross_validation)
      .def("with_threshold", [](const PyClassifier& self, double threshold) {
        return shared(self.shared->with_threshold(threshold));
      });
}

// What an office keeps -------------------------------------------------------------------------

py::object template_save(const ScopePtr& scope, const std::string& category,
                         const std::string& body) {
  return row_of(unwrap(scope->with_write(
      [&](const Scope& in, Engine&) { return save_template(in.session(), category, body); })));
}

std::int64_t classifier_store(const ScopePtr& scope, const std::string& name,
                              const PyClassifier& classifier, const py::dict& fields) {
  Given given("classifiers.store", fields);
  const auto examples = given.limit("examples", 0);
  const std::string digest = given.text("digest");
  given.done();
  return unwrap(scope->with_write([&](const Scope& in, Engine&) {
    return store_model(in.session(), name, *classifier.shared, static_cast<std::int64_t>(examples),
                       digest);
  }));
}

py::tuple classifier_load(const ScopePtr& scope, const std::string& name) {
  auto stored =
      unwrap(scope->with([&](const Scope& in, Engine&) { return load_model(in.session(), name); }));
  return py::make_tuple(PyClassifier{std::move(stored.classifier)}, stored.version, stored.digest);
}

// Agents ---------------------------------------------------------------------------------------

/// A kind of the library's, as Python's kinds are.
std::shared_ptr<Kind> desk_kind(const std::string& name) {
  for (const KindInfo& info :
       {KindInfo(triage_ticket), KindInfo(route_ticket), KindInfo(draft_reply)}) {
    if (info.name != name) continue;
    auto kind = std::make_shared<Kind>();
    kind->name = info.name;
    kind->queue = info.queue;
    kind->info = info;
    return kind;
  }
  raise(Code::not_found, fmt::format("kind: the desk has no \"{}\"", name), "kind");
}

void add(const std::shared_ptr<Office>& office, std::shared_ptr<Agent> agent) {
  unwrap(unlocked([&]() -> Result<void> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office->use());
    return engine->add(std::move(agent));
  }));
}

void add_triage(const std::shared_ptr<Office>& office, const PyClassifier& classifier,
                const py::dict& fields) {
  std::map<std::string, Priority> priorities;
  for (const auto& [category, priority] : fields) {
    py::dict one;
    one["priorities"] = priority;
    priorities[text_from_python(category.ptr(), "priorities")] =
        Given("TriageAgent", one).choice("priorities", Priority::normal);
  }
  add(office, std::make_shared<TriageAgent>(classifier.shared, std::move(priorities)));
}

void add_responder(const std::shared_ptr<Office>& office, const py::object& accept) {
  if (accept.is_none()) {
    raise(Code::invalid, "accept: a condition over messages is wanted, not None", "accept");
  }
  add(office, std::make_shared<ResponderAgent>(predicate_from_python(
                  table_of<Message>(), catalog_of(office), accept.ptr(), nullptr)));
}

}  // namespace

void init_desk_agents(py::module_& module, ScopeClass& scope) {
  init_classifier(module);
  module.def("_desk_kind", desk_kind);
  module.def("_add_triage", add_triage);
  module.def("_add_routing", [](const std::shared_ptr<Office>& office) {
    add(office, std::make_shared<RoutingAgent>());
  });
  module.def("_add_responder", add_responder);
  scope.def("template_save", template_save)
      .def("classifier_store", classifier_store)
      .def("classifier_load", classifier_load);
}

}  // namespace bureau_python
