#pragma once

// What the types of rows and columns share.

#include "bridge.hpp"

namespace bureau_python {

/// Calls `f`; an exception of C++ becomes one of Python, and the result `bad`.
template <class R, class F>
R guarded(R bad, F&& f) {
  try {
    return f();
  } catch (py::error_already_set& raised) {
    raised.restore();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
  return bad;
}

/// A function as an entry of a table of slots.
template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

/// A row's value of a column, as a new reference; null with Python's error set.
PyObject* cell(PyObject* row, const ColumnInfo& column);
/// Throws where the column may not hold it.
void set_cell(PyObject* row, const ColumnInfo& column, PyObject* object);

void init_columns(py::module_& module);

}  // namespace bureau_python
