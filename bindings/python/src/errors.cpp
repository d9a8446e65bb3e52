// Errors of bureau as exceptions of Python and back, and how threads enter Python.

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "bridge.hpp"

namespace bureau_python {

Hooks& hooks() {
  static Hooks it;
  return it;
}

namespace {

PyObject* class_of(const Error& error) {
  PyObject* type = nullptr;
  const auto code = static_cast<Py_ssize_t>(error.code);
  if (error.code == Code::suspended) {
    type = hooks().suspended;
  } else if (hooks().errors != nullptr && code < PyTuple_GET_SIZE(hooks().errors)) {
    type = PyTuple_GET_ITEM(hooks().errors, code);
  }
  return type == nullptr ? PyExc_RuntimeError : type;
}

}  // namespace

py::object error_object(const Error& error) {
  auto made = py::reinterpret_steal<py::object>(PyObject_CallFunction(
      class_of(error), "s#s#", error.message.data(), static_cast<Py_ssize_t>(error.message.size()),
      error.field.data(), static_cast<Py_ssize_t>(error.field.size())));
  if (!made) throw py::error_already_set();
  return made;
}

void raise(const Error& error) {
  const py::object made = error_object(error);
  PyErr_SetObject(class_of(error), made.ptr());
  throw py::error_already_set();
}

void raise(Code code, std::string message, std::string field) {
  raise(Error(code, std::move(message), std::move(field)));
}

namespace {

std::string text_of(PyObject* object) {
  if (object == nullptr) return {};
  const py::object text = py::reinterpret_steal<py::object>(PyObject_Str(object));
  if (!text) {
    PyErr_Clear();
    return {};
  }
  const py::object bytes = py::reinterpret_steal<py::object>(
      PyUnicode_AsEncodedString(text.ptr(), "utf-8", "backslashreplace"));
  if (!bytes) {
    PyErr_Clear();
    return {};
  }
  return {PyBytes_AS_STRING(bytes.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.ptr()))};
}

/// The last of the traceback: what a task's error has room for.
std::string traceback_of(const py::error_already_set& raised) {
  try {
    const py::object lines =
        py::module_::import("traceback")
            .attr("format_exception")(raised.type(), raised.value(),
                                      raised.trace() ? raised.trace() : py::none());
    return text_of(py::str("").attr("join")(lines).ptr());
  } catch (py::error_already_set&) {
    return text_of(raised.value().ptr());
  }
}

constexpr std::size_t longest_traceback = 3800;

}  // namespace

Error take_error(py::error_already_set& raised) {
  if (hooks().suspended != nullptr && raised.matches(hooks().suspended)) {
    return {Code::suspended, text_of(raised.value().ptr())};
  }
  if (hooks().base_error != nullptr && raised.matches(hooks().base_error)) {
    const py::object value = raised.value();
    const auto number = py::getattr(value, "_number", py::int_(14)).cast<int>();
    return {static_cast<Code>(number), text_of(value.ptr()),
            text_of(py::getattr(value, "field", py::str("")).ptr())};
  }
  std::string text = traceback_of(raised);
  if (text.size() > longest_traceback) {  // what was raised is at the end
    text = "...\n" + text.substr(text.size() - longest_traceback);
  }
  return {Code::internal, text};
}

Error Raised::keep(py::error_already_set& raised) {
  Error error = take_error(raised);
  error_ = std::make_shared<py::error_already_set>(raised);
  return error;
}

void Raised::rethrow() {
  if (!error_) return;
  py::error_already_set again = *error_;
  error_.reset();
  throw again;
}

void Raised::forget() { error_.reset(); }

std::string suggestion(std::string_view name, const std::vector<std::string_view>& names) {
  const auto distance = [name](std::string_view other) {
    std::vector<std::size_t> row(other.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= name.size(); ++i) {
      std::size_t corner = row[0];
      row[0] = i;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t change = corner + (name[i - 1] == other[j - 1] ? 0 : 1);
        corner = row[j];
        row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
      }
    }
    return row.back();
  };
  std::string_view best;
  std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const auto other : names) {
    if (const std::size_t now = distance(other); now < least) {
      least = now;
      best = other;
    }
  }
  return best.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", best);
}

// Threads --------------------------------------------------------------------------------------

namespace {

/// A thread that was not made by Python keeps one Python state for as long as it lives.
struct ThreadState {
  bool mine = false;
  ~ThreadState() {
    // The interpreter frees what is left when it ends.
    if (!mine || Py_IsInitialized() == 0 || _Py_IsFinalizing() != 0) return;
    static_cast<void>(PyGILState_Ensure());
    PyGILState_Release(PyGILState_LOCKED);    // this entry
    PyGILState_Release(PyGILState_UNLOCKED);  // and the first one, with the state
  }
};
thread_local ThreadState thread_state;

/// The thread that loads the module is, in all but the oddest of programs, Python's main thread.
const std::thread::id importer = std::this_thread::get_id();

}  // namespace

bool is_main_thread() { return std::this_thread::get_id() == importer; }

Gil::Gil() {
  if (Py_IsInitialized() == 0 || _Py_IsFinalizing() != 0) return;
  if (!thread_state.mine && PyGILState_GetThisThreadState() == nullptr) {
    // The first entry's count stays: the state is not made anew for each task.
    static_cast<void>(PyGILState_Ensure());
    thread_state.mine = true;
    PyEval_SaveThread();
  }
  state_ = PyGILState_Ensure();
  taken_ = true;
}

Gil::~Gil() {
  if (taken_) PyGILState_Release(state_);
}

}  // namespace bureau_python
