// Clocks and schedulers that are classes of Python's.

#include "hosted.hpp"

#include <fmt/format.h>

#include <condition_variable>

#include "bureau/core/clock.hpp"
#include "bureau/work/scheduler.hpp"

namespace bureau_python {

namespace {

Duration micros_of(double seconds) {
  constexpr double most = 9e12;  // a Duration has room for
  return Duration(static_cast<std::int64_t>(std::clamp(seconds, -most, most) * 1e6));
}
double seconds_of(Duration span) { return static_cast<double>(span.count()) / 1e6; }

// Clocks ---------------------------------------------------------------------------------------

/// What an object says of the time. One that raises, or that cannot be asked any more, is told of
/// as unraisable; then it is as late as when it was asked last.
class PyClock final : public Clock {
 public:
  explicit PyClock(const py::object& clock) : clock_(kept(clock)) {
    now_ = ask_now().micros();
    monotonic_ = ask_monotonic().count();
  }

  [[nodiscard]] Timestamp now() const override {
    asked([&] { now_ = ask_now().micros(); });
    return Timestamp::from_micros(now_);
  }
  [[nodiscard]] Monotonic monotonic() const override {
    asked([&] {
      const std::int64_t found = ask_monotonic().count();
      std::int64_t last = monotonic_.load();
      while (last < found && !monotonic_.compare_exchange_weak(last, found)) continue;
    });
    return {Duration(monotonic_.load())};
  }
  bool wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                  Monotonic deadline) override {
    if (deadline == Monotonic::never()) {
      condition.wait(lock);
      return true;
    }
    const Duration left = deadline - monotonic();
    if (left <= Duration(0)) return false;
    double pause = 0.05;
    asked([&] { pause = py::handle(clock_.get()).attr("pause")(seconds_of(left)).cast<double>(); });
    condition.wait_for(lock, std::max(micros_of(pause), Duration(1)));
    return monotonic() < deadline;
  }

 private:
  Timestamp ask_now() const {
    return timestamp_from_python(py::object(py::handle(clock_.get()).attr("now")()).ptr(), "now");
  }
  Duration ask_monotonic() const {
    return micros_of(py::handle(clock_.get()).attr("monotonic")().cast<double>());
  }
  template <class F>
  static void asked(F&& ask) {
    const Gil gil;
    if (!gil) return;
    try {
      ask();
    } catch (py::error_already_set& raised) {
      raised.discard_as_unraisable("bureau: the clock");
    } catch (const py::cast_error&) {
      PyErr_SetString(PyExc_TypeError, "clock: a number of seconds is wanted");
      PyErr_WriteUnraisable(nullptr);
    }
  }

  std::shared_ptr<PyObject> clock_;
  mutable std::atomic<std::int64_t> now_{0}, monotonic_{0};
};

// Schedulers -----------------------------------------------------------------------------------

/// What a scheduler of Python's drives. Once the office has stopped, its calls are `cancelled`.
class PyRunner {
 public:
  PyRunner(Runner& runner, Clock& clock) : runner_(&runner), clock_(clock) {}

  /// (how much was done, in how many seconds there is more or None)
  py::tuple poll(std::size_t tasks, double seconds) {
    PollLimit limit;
    limit.tasks = tasks;
    if (seconds >= 0) limit.time = micros_of(seconds);
    PollResult result;
    const bool lives = unlocked([&] {
      if (!enter()) return false;
      rung_ = false;
      result = runner_->poll(limit);
      leave();
      return true;
    });
    if (!lives) raise(Code::cancelled, "runner: the office has stopped");
    if (result.next_due == Monotonic::never()) return py::make_tuple(result.ran, py::none());
    const Duration left = unlocked([&] { return result.next_due - clock_.monotonic(); });
    return py::make_tuple(result.ran, std::max(0.0, seconds_of(left)));
  }
  [[nodiscard]] int wake_fd() {
    int handle = -1;
    unlocked([&] {
      if (!enter()) return;
      handle = runner_->wake_fd();
      leave();
    });
    return handle;
  }
  void on_wake() {
    unlocked([&] {
      if (!enter()) return;
      runner_->on_wake_fd();
      leave();
    });
  }

  /// Whether the scheduler is to be told, which it was not since its last poll.
  [[nodiscard]] bool ring() { return !rung_.exchange(true); }
  /// No poll begins any more. Whether none runs by then.
  bool end(Clock& clock, Monotonic deadline) {
    std::unique_lock lock(mutex_);
    ended_ = true;
    while (inside_ > 0) {
      if (!clock.wait_until(lock, changed_, deadline)) return inside_ == 0;
    }
    return true;
  }

 private:
  bool enter() {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    ++inside_;
    return true;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--inside_ == 0) changed_.notify_all();
  }

  Runner* runner_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  bool ended_ = false;
  std::atomic<bool> rung_{false};
};

class PyScheduler final : public Scheduler {
 public:
  PyScheduler(const py::object& scheduler, Clock& clock)
      : clock_(clock), scheduler_(kept(py::weakref(scheduler))) {}

  Result<void> start(Runner& runner) override {
    runner_ = std::make_shared<PyRunner>(runner, clock_);
    return tell("start", [&](const py::object& scheduler) { scheduler.attr("start")(runner_); });
  }
  void wake() override {
    if (runner_ == nullptr || !runner_->ring()) return;
    const auto told = tell("wake", [](const py::object& scheduler) { scheduler.attr("wake")(); });
    if (!told && told.error().code != Code::cancelled) complain(told.error());
  }
  Result<void> stop(Monotonic deadline) override {
    if (runner_ == nullptr) return {};
    const double seconds = seconds_of(deadline - clock_.monotonic());
    auto told = tell("stop", [&](const py::object& scheduler) {
      scheduler.attr("stop")(std::max(0.0, seconds));
    });
    // Whatever it says: what it polls is gone soon.
    if (!runner_->end(clock_, deadline)) {
      return fail(Code::deadline, "scheduler: a poll still runs");
    }
    if (!told && told.error().code == Code::cancelled) return {};  // there is nobody to tell
    return told;
  }

 private:
  template <class F>
  Result<void> tell(const char* what, F&& f) {
    return in_python([&]() -> Result<void> {
      const auto scheduler =
          py::reinterpret_borrow<py::object>(PyWeakref_GetObject(scheduler_.get()));
      if (scheduler.is_none()) {
        return fail(Code::cancelled, fmt::format("scheduler: it is gone before {}()", what));
      }
      f(scheduler);
      return {};
    });
  }
  static void complain(const Error& error) {
    const Gil gil;
    if (!gil) return;
    PyErr_SetString(PyExc_RuntimeError, error.message.c_str());
    PyErr_WriteUnraisable(nullptr);
  }

  Clock& clock_;
  std::shared_ptr<PyObject> scheduler_;
  std::shared_ptr<PyRunner> runner_;
};

}  // namespace

std::shared_ptr<Clock> clock_of(const py::object& object) {
  if (py::isinstance<ManualClock>(object)) return object.cast<std::shared_ptr<ManualClock>>();
  for (const char* name : {"now", "monotonic", "pause"}) {
    if (py::hasattr(object, name)) continue;
    raise(Code::invalid,
          fmt::format("clock: a bureau.Clock is wanted, not {}", Py_TYPE(object.ptr())->tp_name),
          "clock");
  }
  return std::make_shared<PyClock>(object);
}

std::shared_ptr<Scheduler> scheduler_of(const py::object& object, Clock& clock) {
  for (const char* name : {"start", "wake", "stop"}) {
    if (py::hasattr(object, name)) continue;
    raise(Code::invalid,
          fmt::format("scheduler: a bureau.Scheduler is wanted, not {}",
                      Py_TYPE(object.ptr())->tp_name),
          "scheduler");
  }
  return std::make_shared<PyScheduler>(object, clock);
}

void init_hosted(py::module_& module) {
  py::class_<PyRunner, std::shared_ptr<PyRunner>>(module, "Runner",
                                                  "The office, as a Scheduler drives it.")
      .def("poll", &PyRunner::poll, py::arg("tasks") = 1, py::arg("seconds") = -1.0,
           "Does what is due, on this thread: (how much, seconds until there is more or None).")
      .def("wake_handle", &PyRunner::wake_fd,
           "A file descriptor that is readable when another process has made work, or -1.")
      .def("on_wake", &PyRunner::on_wake, "To be called when wake_handle() is readable.");
}

}  // namespace bureau_python
