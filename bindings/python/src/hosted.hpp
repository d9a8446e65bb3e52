#pragma once

// Objects of Python's that the engine calls.

#include "bridge.hpp"

namespace bureau_python {

/// A reference that may be let go of on any thread. REQUIRES: the GIL.
inline std::shared_ptr<PyObject> kept(const py::object& object) {
  return {py::object(object).release().ptr(), [](PyObject* one) {
            const Gil gil;
            if (gil) Py_DECREF(one);
          }};
}

/// Calls `f()`, which speaks Python and returns a Result, from any thread.
template <class F>
auto in_python(F&& f) -> std::invoke_result_t<F&> {
  const Gil gil;
  if (!gil) return fail(Code::cancelled, "the interpreter ends");
  try {
    return f();
  } catch (py::error_already_set& raised) {
    return fail(take_error(raised));
  }
}

/// A manual clock, or an object of the class `bureau.Clock`. Raises `invalid`.
std::shared_ptr<Clock> clock_of(const py::object& object);
/// An object of the class `bureau.Scheduler`, which is held weakly: it may hold the office.
std::shared_ptr<Scheduler> scheduler_of(const py::object& object, Clock& clock);
void init_hosted(py::module_& module);
void init_embeddings(py::module_& module);

}  // namespace bureau_python
