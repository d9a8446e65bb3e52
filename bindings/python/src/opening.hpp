#pragma once

#include "given.hpp"

namespace bureau_python {

bool is_on_server(const std::string& path);
/// The storage of an office that is there, below any engine: a file, or a schema of a server (of
/// that name, unless it is empty). `make`: also one that is not there yet. Raises. REQUIRES: the
/// GIL.
std::shared_ptr<Storage> open_place(const std::string& place, const std::string& schema,
                                    bool make = false);
/// The library's and the host's tables, the migrations and the storage that `bureau.migrator()`
/// names. REQUIRES: the GIL.
EngineOptions migrator_options(const std::string& path, const py::dict& options);

/// What a list of Migrations of Python's says. REQUIRES: the GIL.
std::vector<Migration> migrations_of(PyObject* list);
void init_migrations(py::module_& module);
void init_operating(py::module_& module, py::class_<Office, std::shared_ptr<Office>>& office);

/// A value as a storage has it.
py::object raw_value(const Value& value);
OwnedValue raw_from_python(const py::handle& object);

/// (columns, rows, whether there are more)
py::tuple run_sql(const std::shared_ptr<Office>& office, const std::string& text,
                  const py::list& params, std::uint64_t limit, double seconds);

/// Calls `f(Engine&)` without the GIL.
template <class F>
auto in_office(const std::shared_ptr<Office>& office, F&& f) {
  using R = std::invoke_result_t<F&, Engine&>;
  return unwrap(unlocked([&]() -> R {
    std::shared_ptr<Engine> engine;
    BUREAU_TRY(engine, office->use());
    return f(*engine);
  }));
}

}  // namespace bureau_python
