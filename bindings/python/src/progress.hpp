#pragma once

#include "bridge.hpp"
#include "bureau/store/progress.hpp"

namespace bureau_python {

/// Tells a function of Python how far a long call has come. The call ends when the function says
/// False or raises, and on the main thread when somebody presses Ctrl-C.
class PyProgress {
 public:
  /// None: nobody is told. Outlives the call.
  explicit PyProgress(py::object callback) : callback_(std::move(callback)) {}

  [[nodiscard]] ProgressSink sink() {
    return [this](const Progress& at) {
      const Gil gil;
      if (!gil) return false;
      try {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (callback_.is_none()) return true;
        return !callback_(std::string(at.what), at.done, at.all).is(py::bool_(false));
      } catch (py::error_already_set& raised) {
        static_cast<void>(raised_.keep(raised));
        return false;
      }
    };
  }
  /// What `f` returns, called without the GIL; raises what the function of Python has raised.
  template <class F>
  auto run(F&& f) {
    auto result = unlocked(std::forward<F>(f));
    if (!result) raised_.rethrow();
    return unwrap(std::move(result));
  }

 private:
  py::object callback_;
  Raised raised_;
};

}  // namespace bureau_python
