// Migrations of a program's own tables.

#include "bureau/store/migration.hpp"
#include "domains.hpp"
#include "hosted.hpp"
#include "opening.hpp"
#include "progress.hpp"

namespace bureau_python {

namespace {

// What lies between two versions ---------------------------------------------------------------

/// A row that a migration fills, for as long as its function runs.
struct PyFillRow {
  FillRow* row = nullptr;
  [[nodiscard]] FillRow& use() const {
    if (row == nullptr) raise(Code::invalid, "row: the function that was to fill it has ended");
    return *row;
  }
};

FillFunction fill_function(PyObject* object) {
  if (object == nullptr) return {};
  const auto function = kept(py::reinterpret_borrow<py::object>(object));
  return [function](FillRow& row) {
    const auto lent = std::make_shared<PyFillRow>(PyFillRow{&row});
    auto done = in_python([&]() -> Result<void> {
      py::reinterpret_borrow<py::object>(function.get())(lent);
      return {};
    });
    lent->row = nullptr;
    return done;
  };
}

void add_operation(Migration& migration, const py::dict& fields) {
  Given given("migration", fields);
  const std::string kind = given.text("kind"), table = given.text("table");
  if (kind == "add_table") {
    migration.add_table(table);
  } else if (kind == "drop_table") {
    migration.drop_table(table);
  } else if (kind == "rename_column") {
    migration.rename_column(table, given.text("column"), given.text("to"));
  } else if (kind == "add_column") {
    migration.add_column(table, given.text("column"), given.json("value"));
  } else if (kind == "drop_column") {
    migration.drop_column(table, given.text("column"), given.json("value"));
  } else if (kind == "require") {
    migration.require(table, given.text("column"), given.json("value"));
  } else {
    migration.fill(table, given.text("where"), given.text("label"), fill_function(given.at("up")),
                   fill_function(given.at("down")), given.text("down_where"));
  }
  given.done();
}

// Applying them --------------------------------------------------------------------------------

py::list told(const MigrationPlan& plan) {
  py::list out;
  for (const MigrationPlan::Step& step : plan.steps) {
    out.append(py::make_tuple(step.number, step.text, step.lost));
  }
  return out;
}

/// A migrator that Python holds; it is let go of without the GIL, because its storage may be then.
class PyMigrator {
 public:
  explicit PyMigrator(Migrator made) : migrator_(std::make_unique<Migrator>(std::move(made))) {}
  ~PyMigrator() { close(); }
  PyMigrator(const PyMigrator&) = delete;
  PyMigrator& operator=(const PyMigrator&) = delete;

  void close() {
    unlocked([&] { migrator_.reset(); });
  }
  [[nodiscard]] Migrator& use() const {
    if (migrator_ == nullptr) raise(Code::invalid, "migrator: it is closed");
    return *migrator_;
  }

 private:
  std::unique_ptr<Migrator> migrator_;
};

py::list status(const PyMigrator& self) {
  Migrator& migrator = self.use();
  py::list out;
  for (const MigrationStatus& one : unwrap(unlocked([&] { return migrator.status(); }))) {
    out.append(py::make_tuple(one.number, one.name, name_of(one.state), one.known, one.changed,
                              moment_of(one.applied_at), moment_of(one.finalized_at),
                              one.applied_by));
  }
  return out;
}

py::list plan(const PyMigrator& self, const std::string& verb) {
  Migrator& migrator = self.use();
  return told(unwrap(unlocked([&] {
    return verb == "up"     ? migrator.plan_up()
           : verb == "down" ? migrator.plan_down()
                            : migrator.plan_finalize();
  })));
}

py::list change(const PyMigrator& self, const std::string& verb, const py::dict& fields) {
  Migrator& migrator = self.use();
  Given given("migrator", fields);
  MigrateOptions options;
  options.may_lose = given.flag("may_lose");
  options.by = given.text("by");
  PyProgress progress(given.object("progress"));
  options.progress = progress.sink();
  given.done();
  return told(progress.run([&] {
    return verb == "up"     ? migrator.up(options)
           : verb == "down" ? migrator.down(options)
                            : migrator.finalize(options);
  }));
}

std::shared_ptr<PyMigrator> open_migrator(const std::string& path, const py::dict& options) {
  auto engine = migrator_options(path, options);
  return std::make_shared<PyMigrator>(unwrap(unlocked([&] {
    auto made = Engine::migrator(engine);
    engine = {};
    return made;
  })));
}

}  // namespace

std::vector<Migration> migrations_of(PyObject* list) {
  std::vector<Migration> out;
  if (list == nullptr) return out;
  for (const py::handle one : py::reinterpret_borrow<py::list>(list)) {
    const auto fields = one.cast<py::tuple>();
    Migration& made =
        out.emplace_back(fields[0].cast<std::int64_t>(), fields[1].cast<std::string>());
    for (const py::handle operation : fields[2].cast<py::list>()) {
      add_operation(made, operation.cast<py::dict>());
    }
  }
  return out;
}

void init_migrations(py::module_& module) {
  py::class_<PyFillRow, std::shared_ptr<PyFillRow>>(module, "FillRow",
                                                    "A row that a migration fills.")
      .def_property_readonly("id", [](const PyFillRow& self) { return self.use().id(); })
      .def("__getitem__",
           [](const PyFillRow& self, const std::string& column) {
             return raw_value(self.use().get(column));
           })
      .def("__setitem__",
           [](const PyFillRow& self, const std::string& column, const py::object& value) {
             self.use().set(column, raw_from_python(value).view());
           });
  py::class_<PyMigrator, std::shared_ptr<PyMigrator>>(module, "Migrator")
      .def("status", status)
      .def("plan", plan)
      .def("change", change)
      .def("close", &PyMigrator::close);
  module.def("_migrator", open_migrator);
}

}  // namespace bureau_python
