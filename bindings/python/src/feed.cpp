// Live changes: a callback, or a reader that asks and waits.

#include <fmt/format.h>

#include <condition_variable>

#include "bridge.hpp"
#include "bureau/store/storage.hpp"

namespace bureau_python {

namespace {

using ScopePtr = std::shared_ptr<PyScope>;

py::object row_or_none(const TableInfo* table, std::span<const Value> values) {
  if (table == nullptr || values.empty()) return py::none();
  return make_row(*table, values);
}

py::tuple changed_names(const TableInfo* table, std::span<const std::uint16_t> changed) {
  std::vector<std::string_view> names;
  for (const auto at : changed) {
    if (table != nullptr && !table->columns[at].hidden) names.push_back(table->columns[at].name);
  }
  py::tuple out(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) out[i] = py::str(names[i].data(), names[i].size());
  return out;
}

py::object moment(Timestamp at) {
  auto made = py::reinterpret_steal<py::object>(timestamp_to_python(at));
  if (!made) throw py::error_already_set();
  return made;
}

py::tuple event_of(FeedKind kind, std::int64_t sequence, const TableInfo* table, std::int64_t id,
                   std::span<const Value> before, std::span<const Value> after,
                   std::span<const std::uint16_t> changed, Timestamp at) {
  return py::make_tuple(std::string(to_string(kind)), sequence,
                        table == nullptr || id == 0
                            ? py::object(py::none())
                            : py::object(py::str(id::to_text(table->prefix, id))),
                        row_or_none(table, before), row_or_none(table, after),
                        changed_names(table, changed), moment(at));
}

/// A subscription that calls Python back. `target` is held weakly: what it refers to may hold this.
class Subscribed {
 public:
  Subscribed(const ScopePtr& scope, const std::string& name, const py::object& where,
             const py::object& bindings, const py::object& after, const py::object& target)
      : office_(scope->office()) {
    std::shared_ptr<Engine> engine = unwrap(office_->use());
    const TableInfo& table = find_table(*engine, name);
    SubscribeOptions options;
    options.where =
        predicate_from_python(table, engine->database().catalog(), where.ptr(), bindings.ptr());
    if (!after.is_none()) options.after = after.cast<std::int64_t>();
    const std::shared_ptr<PyObject> weak(py::weakref(target).release().ptr(), [](PyObject* object) {
      const Gil gil;
      if (gil) Py_DECREF(object);
    });
    auto made = unlocked([&] {
      auto subscribed =
          engine->feed().subscribe(scope->session(), table, std::move(options),
                                   [weak](const FeedEvent& event) { deliver(weak.get(), event); });
      engine.reset();
      return subscribed;
    });
    subscription_ = unwrap(std::move(made));
  }
  ~Subscribed() { end(); }
  void end() {
    if (ended_) return;
    ended_ = true;
    unlocked([&] {
      // Where the engine is gone there is nobody left to call.
      if (office_->use()) subscription_.end();
    });
  }
  [[nodiscard]] bool active() const { return !ended_ && subscription_.active(); }
  [[nodiscard]] std::int64_t position() const { return subscription_.position(); }

 private:
  static void deliver(PyObject* weak, const FeedEvent& event) {
    const Gil gil;
    if (!gil) return;
    try {
      const py::object target = py::reinterpret_borrow<py::object>(PyWeakref_GetObject(weak));
      if (target.is_none()) return;
      target.attr("_deliver")(event_of(event.kind, event.sequence, event.table, event.id,
                                       event.before, event.after, event.changed, event.at));
    } catch (py::error_already_set& raised) {
      const std::string text = take_error(raised).message;
      throw std::runtime_error(text);  // it ends the subscription, and is logged
    }
  }
  std::shared_ptr<Office> office_;
  FeedSubscription subscription_;
  bool ended_ = false;
};

/// Asks for changes, and waits for commits.
class FeedReader {
 public:
  FeedReader(ScopePtr scope, const std::string& name, const py::object& where,
             const py::object& bindings, const py::object& after)
      : scope_(std::move(scope)), bell_(std::make_shared<Bell>()) {
    std::shared_ptr<Engine> engine = unwrap(scope_->office()->use());
    table_ = &find_table(*engine, name);
    where_ =
        predicate_from_python(*table_, engine->database().catalog(), where.ptr(), bindings.ptr());
    std::optional<std::int64_t> from;
    if (!after.is_none()) from = after.cast<std::int64_t>();
    unwrap(unlocked([&]() -> Result<void> {
      if (!from) {
        BUREAU_TRY(from, engine->feed().head());
      }
      auto heard = engine->database().storage().on_commit([bell = bell_] { bell->ring(); });
      engine.reset();
      BUREAU_TRY(commits_, std::move(heard));
      return {};
    }));
    after_ = *from;
  }
  ~FeedReader() {
    unlocked([&] { commits_ = Subscription(); });
  }

  py::list next(std::size_t limit) {
    auto page = unlocked([&]() -> Result<ChangePage> {
      std::shared_ptr<Engine> engine;
      BUREAU_TRY(engine, scope_->office()->use());
      return engine->feed().poll_changes(scope_->session(), *table_, where_, after_, limit);
    });
    const ChangePage changes = unwrap(std::move(page));
    py::list out;
    for (const OwnedFeedEvent& event : changes.events) {
      const auto before = views(event.before), after = views(event.after);
      const bool of_row = event.kind != FeedKind::resync && event.kind != FeedKind::gone;
      out.append(event_of(event.kind, event.sequence, of_row ? table_ : nullptr, event.id, before,
                          after, event.changed, event.at));
    }
    after_ = changes.next;
    return out;
  }
  /// Whether something was committed; false when the time is over.
  bool wait(double seconds) {
    return unlocked([&] { return bell_->wait(seconds); });
  }
  [[nodiscard]] std::int64_t position() const { return after_; }

 private:
  struct Bell {
    std::mutex mutex;
    std::condition_variable changed;
    bool rung = false;
    void ring() {
      std::lock_guard lock(mutex);
      rung = true;
      changed.notify_all();
    }
    bool wait(double seconds) {
      std::unique_lock lock(mutex);
      const bool heard =
          changed.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return rung; });
      rung = false;
      return heard;
    }
  };
  static std::vector<Value> views(const std::vector<OwnedValue>& row) {
    std::vector<Value> out;
    out.reserve(row.size());
    for (const OwnedValue& value : row) out.push_back(value.view());
    return out;
  }
  ScopePtr scope_;
  std::shared_ptr<Bell> bell_;
  const TableInfo* table_ = nullptr;
  Predicate where_;
  std::int64_t after_ = 0;
  Subscription commits_;
};

}  // namespace

void init_feed(py::module_& module) {
  py::class_<Subscribed>(module, "Subscribed")
      .def(py::init<const ScopePtr&, const std::string&, const py::object&, const py::object&,
                    const py::object&, const py::object&>())
      .def("end", &Subscribed::end)
      .def_property_readonly("active", &Subscribed::active)
      .def_property_readonly("position", &Subscribed::position);
  py::class_<FeedReader>(module, "FeedReader")
      .def(py::init<ScopePtr, const std::string&, const py::object&, const py::object&,
                    const py::object&>())
      .def("next", &FeedReader::next)
      .def("wait", &FeedReader::wait)
      .def_property_readonly("position", &FeedReader::position);
}

}  // namespace bureau_python
