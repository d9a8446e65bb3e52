#pragma once

// What the sources of the extension module share. Rows, columns and predicates go the type-erased
// way (TableInfo, Rows, Value): there is no class of C++ per entity.

#define PY_SSIZE_T_CLEAN
#include <pybind11/pybind11.h>

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bureau/engine.hpp"
#include "bureau/store/interruption.hpp"

namespace bureau_python {

namespace py = pybind11;
using namespace bureau;  // NOLINT(google-build-using-namespace): the module speaks of nothing else

// Errors ---------------------------------------------------------------------------------------

/// What the Python half of the package gives the module when it is imported. Never freed.
struct Hooks {
  PyObject* errors = nullptr;     ///< a tuple of exception classes, by the number of their code
  PyObject* suspended = nullptr;  ///< the class that stands for Code::suspended
  PyObject* make_enum = nullptr;  ///< (name, names) -> class
  PyObject* make_row = nullptr;   ///< (table name) -> class
  PyObject* base_error = nullptr;
};
Hooks& hooks();

/// The exception that belongs to the error. REQUIRES: the GIL.
py::object error_object(const Error& error);
/// Raises it. REQUIRES: the GIL.
[[noreturn]] void raise(const Error& error);
[[noreturn]] void raise(Code code, std::string message, std::string field = {});

template <class T>
T unwrap(Result<T>&& result) {
  if (!result) raise(result.error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// The Python exception that is set, as an error of bureau: its own code and message if it is one
/// of ours, else `internal` with the traceback. Clears it. REQUIRES: the GIL.
Error take_error(py::error_already_set& raised);

/// An exception that a closure of Python raised inside a call of C++: kept, and raised again when
/// the call has returned.
class Raised {
 public:
  /// REQUIRES: the GIL.
  Error keep(py::error_already_set& raised);
  /// Raises what was kept, if anything. REQUIRES: the GIL.
  void rethrow();
  void forget();  ///< what a run of the closure raised that was followed by another run
  [[nodiscard]] bool any() const { return error_ != nullptr; }

 private:
  std::shared_ptr<py::error_already_set> error_;
};

/// The nearest of the names, as ": did you mean \"...\"?", or nothing.
std::string suggestion(std::string_view name, const std::vector<std::string_view>& names);

// Threads --------------------------------------------------------------------------------------

/// Takes the GIL on whatever thread this is; a thread of the engine keeps its Python state for the
/// next time.
class Gil {
 public:
  Gil();
  ~Gil();
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;
  /// Whether Python may still be entered.
  [[nodiscard]] explicit operator bool() const { return taken_; }

 private:
  bool taken_ = false;
  PyGILState_STATE state_{};
};

/// Runs `f` without the GIL.
template <class F>
auto unlocked(F&& f) {
  py::gil_scoped_release release;
  return f();
}

// Values ---------------------------------------------------------------------------------------

/// New references; null with an exception set.
PyObject* to_python(const ColumnInfo& column, const Value& value);
PyObject* json_to_python(const Json& json);
PyObject* timestamp_to_python(Timestamp time);
py::object to_object(const ColumnInfo& column, const Value& value);
py::object json_object(const Json& json);

/// Raise `Invalid` (or the exception that Python set), naming the column.
OwnedValue from_python(const ColumnInfo& column, PyObject* object);
Json json_from_python(PyObject* object);
Timestamp timestamp_from_python(PyObject* object, std::string_view name);
Duration duration_from_python(PyObject* object, std::string_view name);
std::string text_from_python(PyObject* object, std::string_view name);
/// The class of an enumeration: made once.
PyObject* enum_class(std::span<const std::string_view> names, std::string_view column);
/// Has a host's own class stand for an enumeration.
void adopt_enum(std::span<const std::string_view> names, PyObject* type);
void init_values();

/// The name of the C++ enumeration whose names these are; empty when no entity has it.
std::string_view enum_name(std::span<const std::string_view> names);
/// The name of the C++ struct of a table of the library's; empty for others.
std::string_view entity_name(const TableInfo& table);
/// The tables of the library, as an office has them.
const Catalog& library_catalog();

// Rows -----------------------------------------------------------------------------------------

void init_rows(py::module_& module);
/// A row of Python's class for the table, which copies the values. New reference.
py::object make_row(const TableInfo& table, std::span<const Value> values);
/// The row's values as they are to be written; they point into the row and into `kept`.
void row_values(PyObject* row, const TableInfo& table, std::vector<OwnedValue>& kept,
                std::vector<Value>& out);
/// After a write: what the library keeps.
void take_kept(PyObject* row, std::span<const Value> values);
bool is_row(PyObject* object);
/// The table and id of a row. REQUIRES: is_row().
const TableInfo& table_of_row(PyObject* row);
std::int64_t id_of_row(PyObject* row);
/// What a column object is of; null for what is none.
struct ColumnRef {
  const TableInfo* table = nullptr;
  const ColumnInfo* column = nullptr;
  std::vector<std::string> path;
  bool descending = false;
};
const ColumnRef* as_column(PyObject* object);
py::object column_object(const TableInfo& table, const ColumnInfo& column);

/// "tkt_...", a row of that table, or an int. Raises.
std::int64_t id_from_python(const TableInfo& table, PyObject* object);
std::int64_t id_from_python(std::string_view prefix, PyObject* object, std::string_view name);

// Queries --------------------------------------------------------------------------------------

void init_predicates(py::module_& module);
/// None, a Predicate or text with `bindings` (a dict or None). Raises when it is about another
/// table.
Predicate predicate_from_python(const TableInfo& table, const Catalog& catalog, PyObject* object,
                                PyObject* bindings);
const ColumnInfo& column_named(const TableInfo& table, std::string_view name);
const ColumnInfo& column_from_python(const TableInfo& table, PyObject* object);
std::vector<Order> order_from_python(const TableInfo& table, PyObject* object);

// The office -----------------------------------------------------------------------------------

/// An engine that may be closed while Python still holds what belongs to it.
class Office {
 public:
  /// The engine, or `invalid` once it is closed. To be called, and its result dropped, without the
  /// GIL.
  Result<std::shared_ptr<Engine>> use() const;
  void set(std::shared_ptr<Engine> engine);
  /// Ends it; `deadline` when handlers still run: then it stays open.
  Result<void> close(Duration timeout);
  /// At the end of the interpreter: what does not stop in time is left as it is.
  void abandon(Duration timeout);
  [[nodiscard]] bool closed() const;

  std::vector<std::shared_ptr<void>> kept;  ///< clocks, models and the like that the engine uses

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<Engine> engine_;
};

/// Opens what `bureau.open()` names. REQUIRES: the GIL.
std::shared_ptr<Office> open_office(const std::string& path, const py::dict& options);
/// Has it end before the interpreter does.
void end_with_interpreter(const std::shared_ptr<Office>& office);

/// Whether this is the thread that runs the handlers of signals.
bool is_main_thread();
/// Raises `invalid` where this thread is in a write.
void refuse_nested_write();

/// While it is there, calls of the main thread that wait for the storage hear Ctrl-C: they end, and
/// what the handler raised is kept.
class HearsSignals {
 public:
  HearsSignals() {
    if (is_main_thread()) interruption_.emplace(look_);
  }
  /// Raises what was kept, if anything. REQUIRES: the GIL.
  void rethrow() { look_.raised.rethrow(); }

 private:
  struct Look {
    Raised raised;
    bool operator()();
  } look_;
  std::optional<Interruption> interruption_;
};

/// Where rows are read and written: a session, or one transaction or snapshot while it lasts.
class PyScope {
 public:
  PyScope(std::shared_ptr<Office> office, Session session)
      : office_(std::move(office)), session_(std::move(session)) {}
  PyScope(std::shared_ptr<Office> office, Unit& unit)
      : office_(std::move(office)), session_(unit.session()), unit_(&unit), bound_(true) {}
  PyScope(std::shared_ptr<Office> office, View& view)
      : office_(std::move(office)), session_(view.session()), view_(&view), bound_(true) {}

  /// Calls `f(Scope, Engine&)`, which returns a Result, without the GIL.
  template <class F>
  auto with(F&& f) -> std::invoke_result_t<F&, Scope, Engine&> {
    HearsSignals signals;
    auto result = unlocked([&] { return with_unlocked(f); });
    signals.rethrow();
    return result;
  }
  template <class F>
  auto with_unlocked(F&& f) -> std::invoke_result_t<F&, Scope, Engine&> {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office_->use());
    if (!bound_) return f(Scope(session_), *engine);
    std::lock_guard lock(mutex_);
    if (unit_ != nullptr) return f(Scope(*unit_), *engine);
    if (view_ != nullptr) return f(Scope(*view_), *engine);
    return fail(Code::invalid, "unit: its transaction has ended; nothing more can be done in it");
  }
  /// The same for what may write: raises `invalid` where this thread has a transaction open beside
  /// it, for whose end it would wait without an end.
  template <class F>
  auto with_write(F&& f) -> std::invoke_result_t<F&, Scope, Engine&> {
    if (!bound_) refuse_nested_write();
    return with(std::forward<F>(f));
  }
  /// It is over: whatever still refers to it gets an error.
  void end() {
    std::lock_guard lock(mutex_);
    unit_ = nullptr;
    view_ = nullptr;
  }
  [[nodiscard]] const Session& session() const { return session_; }
  [[nodiscard]] const std::shared_ptr<Office>& office() const { return office_; }
  [[nodiscard]] bool bound() const { return bound_; }

 private:
  std::shared_ptr<Office> office_;
  Session session_;
  std::recursive_mutex mutex_;
  Unit* unit_ = nullptr;
  View* view_ = nullptr;
  bool bound_ = false;
};

/// The table of that name; raises `not_found`.
const TableInfo& find_table(Engine& engine, std::string_view name);

/// A table of the host's own. It lives as long as the process.
py::capsule make_table(const std::string& name, const std::string& prefix, const py::list& columns,
                       const py::list& indexes);
/// The fields of a task's payload or result.
std::unique_ptr<TableInfo> make_record(const py::list& columns);

void init_office(py::module_& module);
void init_scope(py::module_& module);
void init_verbs(py::class_<PyScope, std::shared_ptr<PyScope>>& scope);
void init_agents(py::module_& module);
void init_feed(py::module_& module);
void init_testing(py::module_& module);

/// Calls a Python closure with a scope on the unit, on the thread that holds the unit.
Result<py::object> call_with_unit(const std::shared_ptr<Office>& office, Unit& unit,
                                  const py::function& closure, Raised& raised);

}  // namespace bureau_python
