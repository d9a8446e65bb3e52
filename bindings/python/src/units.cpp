// Transactions and snapshots, and whose turn it is.

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <thread>

#include "domains.hpp"

namespace bureau_python {

namespace {

/// The thread's own write: another one inside it would wait for itself.
thread_local int writes_of_thread = 0;

}  // namespace

void refuse_nested_write() {
  if (writes_of_thread > 0) {
    raise(Code::invalid,
          "write: this thread is in a write; use its unit, which commits with the rest");
  }
}

bool HearsSignals::Look::operator()() {
  const Gil gil;
  if (!gil || PyErr_CheckSignals() == 0) return false;
  py::error_already_set error;
  static_cast<void>(raised.keep(error));
  return true;
}

namespace {

py::object write(const ScopePtr& scope, const py::function& closure) {
  if (scope->bound()) raise(Code::invalid, "write: this is a transaction already: use it");
  refuse_nested_write();
  Raised raised;
  HearsSignals signals;
  py::object result;
  auto outcome = unlocked([&]() -> Result<void> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, scope->office()->use());
    return scope->session().write([&](Unit& unit) -> Result<void> {
      auto made = call_with_unit(scope->office(), unit, closure, raised);
      if (!made) return fail(std::move(made).error());
      const Gil gil;
      result = *std::move(made);
      made->release();
      return {};
    });
  });
  signals.rethrow();
  if (!outcome) {
    raised.rethrow();
    raise(outcome.error());
  }
  return result;
}

py::object read(const ScopePtr& scope, const py::function& closure) {
  if (scope->bound()) return closure(scope);
  Raised raised;
  HearsSignals signals;
  py::object result;
  auto outcome = unlocked([&]() -> Result<void> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, scope->office()->use());
    return scope->session().read([&](View& view) -> Result<void> {
      const Gil gil;
      auto inner = std::make_shared<PyScope>(scope->office(), view);
      Result<void> done;
      try {
        result = closure(inner);
      } catch (py::error_already_set& e) {
        done = fail(raised.keep(e));
      }
      unlocked([&] { inner->end(); });
      return done;
    });
  });
  signals.rethrow();
  if (!outcome) {
    raised.rethrow();
    raise(outcome.error());
  }
  return result;
}

/// A transaction between two calls of Python. A thread of its own holds it: a closure of the
/// engine's is not left before the transaction ends.
class OpenUnit {
 public:
  explicit OpenUnit(ScopePtr scope) : scope_(std::move(scope)) {}
  ~OpenUnit() {
    if (thread_.joinable()) unlocked([&] { finish(false); });
  }

  ScopePtr enter() {
    if (scope_->bound()) raise(Code::invalid, "unit: this is a transaction already: use it");
    if (thread_.joinable() || ended_) raise(Code::invalid, "unit: it is entered once");
    refuse_nested_write();
    thread_ = std::thread([this] { run(); });
    while (!unlocked([&] { return has_begun(); })) {
      if (!is_main_thread() || PyErr_CheckSignals() == 0) continue;
      py::error_already_set error;
      gives_up_ = true;
      unlocked([&] { finish(false); });
      throw error;
    }
    if (unit_ == nullptr) {
      unlocked([&] { thread_.join(); });
      ended_ = true;
      raise(outcome_->error());
    }
    ++writes_of_thread;
    return unit_;
  }

  void exit(bool commit) {
    if (!thread_.joinable()) return;
    --writes_of_thread;
    unlocked([&] { finish(commit); });
    if (commit && !*outcome_) raise(outcome_->error());
  }

 private:
  /// Looks again after a while: Ctrl-C may have come.
  bool has_begun() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(50),
                             [&] { return unit_ != nullptr || outcome_; });
  }
  void run() {
    const auto asked = [this] { return gives_up_.load(); };
    const Interruption interruption(asked);
    std::shared_ptr<Engine> engine;
    Result<void> outcome;
    if (auto used = scope_->office()->use()) {
      engine = *std::move(used);
      outcome = scope_->session().write([&](Unit& unit) { return hold(unit); });
    } else {
      outcome = fail(used.error());
    }
    engine.reset();
    std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
    changed_.notify_all();
  }
  Result<void> hold(Unit& unit) {
    std::unique_lock lock(mutex_);
    if (held_) {
      return fail(Code::conflict,
                  "unit: somebody else's write came in between, and what was done in the block is "
                  "not done again; use write(), which runs its function again");
    }
    held_ = true;
    unit_ = std::make_shared<PyScope>(scope_->office(), unit);
    changed_.notify_all();
    changed_.wait(lock, [&] { return decision_.has_value(); });
    unit_->end();
    if (!*decision_) return fail(Code::cancelled, "unit: the block was left by an exception");
    return {};
  }
  void finish(bool commit) {
    {
      std::lock_guard lock(mutex_);
      decision_ = commit;
      changed_.notify_all();
    }
    thread_.join();
    ended_ = true;
  }

  ScopePtr scope_, unit_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<bool> decision_;
  std::optional<Result<void>> outcome_;
  std::atomic<bool> gives_up_{false};
  bool held_ = false, ended_ = false;
};

}  // namespace

Result<py::object> call_with_unit(const std::shared_ptr<Office>& office, Unit& unit,
                                  const py::function& closure, Raised& raised) {
  const Gil gil;
  if (!gil) return fail(Code::cancelled, "the interpreter ends");
  raised.forget();
  auto scope = std::make_shared<PyScope>(office, unit);
  Result<py::object> result;
  ++writes_of_thread;
  try {
    result = closure(scope);
  } catch (py::error_already_set& e) {
    result = fail(raised.keep(e));
  }
  --writes_of_thread;
  unlocked([&] { scope->end(); });
  return result;
}

void init_units(py::module_& module, ScopeClass& scope) {
  scope.def("write", write).def("read", read);
  py::class_<OpenUnit>(module, "OpenUnit")
      .def(py::init<ScopePtr>())
      .def("enter", &OpenUnit::enter)
      .def("exit", &OpenUnit::exit);
}

}  // namespace bureau_python
