// An office: opened, closed, asked; its tenants and sessions.

#include <fmt/format.h>

#include <algorithm>
#include <list>

#include "bridge.hpp"
#include "bureau/core/money.hpp"
#include "bureau/notify/notifications.hpp"
#include "bureau/rewards/rewards.hpp"
#include "bureau/sales/deals.hpp"
#include "bureau/support/tickets.hpp"
#include "bureau/work/agent_network.hpp"
#include "bureau/work/agent_registry.hpp"
#include "bureau/work/housekeeping.hpp"
#include "bureau/work/task_policies.hpp"
#include "bureau/work/why.hpp"
#include "opening.hpp"

namespace bureau_python {

const Catalog& library_catalog() {
  static const Catalog* made = [] {
    auto* catalog = new Catalog;
    // Of tables that never change: what could fail has failed in a test.
    static_cast<void>(Access::add_tables(*catalog));
    static_cast<void>(add_task_tables(*catalog));
    static_cast<void>(add_network_tables(*catalog));
    static_cast<void>(add_housekeeping_tables(*catalog));
    static_cast<void>(support::add_tables(*catalog));
    static_cast<void>(sales::add_tables(*catalog));
    static_cast<void>(notify::add_tables(*catalog));
    static_cast<void>(rewards::add_tables(*catalog));
    return catalog;
  }();
  return *made;
}

const TableInfo& find_table(Engine& engine, std::string_view name) {
  const Catalog& catalog = engine.database().catalog();
  if (const TableInfo* table = catalog.find(name); table && !name.starts_with("bureau_")) {
    return *table;
  }
  std::vector<std::string_view> names;
  for (const TableInfo* table : catalog.tables()) {
    if (!table->name.starts_with("bureau_")) names.push_back(table->name);
  }
  raise(Code::not_found,
        fmt::format("table: the office has no \"{}\"{}", name, suggestion(name, names)), "table");
}

// Life -----------------------------------------------------------------------------------------

namespace {

std::mutex open_mutex;
std::list<std::weak_ptr<Office>>& open_offices() {
  static auto* all = new std::list<std::weak_ptr<Office>>;
  return *all;
}

}  // namespace

void end_with_interpreter(const std::shared_ptr<Office>& office) {
  std::lock_guard lock(open_mutex);
  open_offices().remove_if([](const auto& one) { return one.expired(); });
  open_offices().push_back(office);
}

Result<std::shared_ptr<Engine>> Office::use() const {
  std::lock_guard lock(mutex_);
  if (!engine_) return fail(Code::invalid, "office: it is closed");
  return engine_;
}
void Office::set(std::shared_ptr<Engine> engine) {
  std::lock_guard lock(mutex_);
  engine_ = std::move(engine);
}
bool Office::closed() const {
  std::lock_guard lock(mutex_);
  return engine_ == nullptr;
}

Result<void> Office::close(Duration timeout) {
  std::shared_ptr<Engine> engine;
  {
    std::lock_guard lock(mutex_);
    engine = engine_;
  }
  if (!engine) return {};
  if (auto stopped = engine->stop(timeout); !stopped && stopped.error().code == Code::deadline) {
    return stopped;
  }
  {
    std::lock_guard lock(mutex_);
    engine_.reset();
  }
  return {};  // the last to let go ends it, without the lock
}

void Office::abandon(Duration timeout) {
  if (close(timeout)) return;
  std::lock_guard lock(mutex_);
  // A handler would return into what is gone.
  static_cast<void>(new std::shared_ptr<Engine>(std::move(engine_)));
  static_cast<void>(new std::vector<std::shared_ptr<void>>(std::move(kept)));
}

namespace {

/// Before the interpreter ends: no thread of an engine may be in Python then.
void end_all() {
  std::vector<std::shared_ptr<Office>> offices;
  {
    std::lock_guard lock(open_mutex);
    for (const auto& one : open_offices()) {
      if (auto office = one.lock()) offices.push_back(std::move(office));
    }
  }
  for (const auto& office : offices) {
    unlocked([&] { office->abandon(std::chrono::seconds(10)); });
  }
}

std::shared_ptr<PyScope> scope_of(const std::shared_ptr<Office>& office, Session session) {
  return std::make_shared<PyScope>(office, std::move(session));
}

py::list list_tenants(const std::shared_ptr<Office>& office) {
  const auto tenants = in_office(office, [](Engine& e) { return e.access().tenants(); });
  py::list out;
  for (const Tenant& tenant : tenants) {
    std::vector<Value> values(table_of<Tenant>().width());
    detail::Scratch scratch;
    to_values(tenant, values, scratch);
    out.append(make_row(table_of<Tenant>(), values));
  }
  return out;
}

/// The system's session of a tenant by its name or id; "" is the only one.
std::shared_ptr<PyScope> system_session(const std::shared_ptr<Office>& office,
                                        const std::string& name, bool create) {
  const auto id = in_office(office, [&](Engine& engine) -> Result<Id<Tenant>> {
    BUREAU_TRY(const auto tenants, engine.access().tenants());
    if (name.starts_with("ten_") || name.starts_with(std::string(schema<Tenant>.prefix) + "_")) {
      BUREAU_TRY(const auto value, id::from_text(schema<Tenant>.prefix, name));
      return Id<Tenant>(value);
    }
    if (name.empty() && tenants.size() == 1) return tenants.front().id;
    if (name.empty()) {
      return fail(Code::invalid,
                  fmt::format("tenant: the office has {} of them; name one", tenants.size()),
                  "tenant");
    }
    for (const Tenant& tenant : tenants) {
      if (tenant.name == name) return tenant.id;
    }
    if (!create) {
      return fail(Code::not_found, fmt::format("tenant: there is no \"{}\"", name), "tenant");
    }
    BUREAU_TRY(const auto made, engine.access().create_tenant(name));
    BUREAU_TRY_VOID(support::create_default_statuses(engine.system(made.id)));
    return made.id;
  });
  return scope_of(office, in_office(office, [&](Engine& engine) -> Result<Session> {
                    return engine.system(id);
                  }));
}

std::shared_ptr<PyScope> user_session(const std::shared_ptr<PyScope>& scope,
                                      const py::object& user) {
  const Id<User> id(id_from_python(table_of<User>(), user.ptr()));
  const Id<Tenant> tenant = scope->session().principal().tenant;
  return scope_of(scope->office(), in_office(scope->office(), [&](Engine& engine) {
                    return engine.session(tenant, id);
                  }));
}

py::list table_list() {
  py::list out;
  for (const TableInfo* table : library_catalog().tables()) {
    if (!table->name.starts_with("bureau_")) out.append(std::string(table->name));
  }
  return out;
}

/// What a class of Python is made of.
py::dict describe(const TableInfo& table) {
  py::dict out;
  out["table"] = std::string(table.name);
  out["prefix"] = std::string(table.prefix);
  out["entity"] = std::string(entity_name(table));
  out["capsule"] = py::capsule(&table, "bureau.table");
  py::dict columns;
  py::list details;
  for (const ColumnInfo& column : table.columns) {
    if (column.hidden) continue;
    columns[py::str(column.name.data(), column.name.size())] = column_object(table, column);
    details.append(py::make_tuple(
        std::string(column.name), std::string(to_string(column.type)), column.nullable,
        column.secret,
        std::string(column.names.empty() ? std::string_view() : enum_name(column.names)),
        std::string(column.references)));
  }
  out["columns"] = columns;
  out["details"] = details;
  return out;
}

/// The class of an enumeration by the name that C++ has for it; None: there is none.
py::object find_enum(const std::string& name) {
  for (const TableInfo* table : library_catalog().tables()) {
    for (const ColumnInfo& column : table->columns) {
      if (column.names.empty() || enum_name(column.names) != name) continue;
      return py::reinterpret_borrow<py::object>(enum_class(column.names, column.name));
    }
  }
  return py::none();
}

PollLimit poll_limit(std::size_t tasks, double seconds) {
  PollLimit limit;
  limit.tasks = tasks;
  if (seconds >= 0) limit.time = Duration(static_cast<std::int64_t>(seconds * 1e6));
  return limit;
}

Duration seconds_of(double seconds) {
  if (!(seconds >= 0 && seconds < 1e12)) raise(Code::invalid, "timeout: not a span of time");
  return Duration(static_cast<std::int64_t>(seconds * 1e6));
}

}  // namespace

void init_office(py::module_& module) {
  module.def("_table_names", table_list);
  module.def("_describe", [](const std::string& name) -> py::object {
    const TableInfo* table = library_catalog().find(name);
    if (table == nullptr) return py::none();
    return describe(*table);
  });
  module.def("_enum", find_enum);
  module.def("_make_table", make_table);
  module.def("_describe_table", [](const py::capsule& table) {
    return describe(
        *static_cast<const TableInfo*>(PyCapsule_GetPointer(table.ptr(), "bureau.table")));
  });
  module.def("_entities", [] {
    py::list out;
    for (const TableInfo* table : library_catalog().tables()) {
      if (table->name.starts_with("bureau_")) continue;  // kept by the library for itself
      out.append(py::make_tuple(std::string(table->name), std::string(entity_name(*table))));
    }
    return out;
  });
  module.def("_enum_names", [] {
    py::set out;
    for (const TableInfo* table : library_catalog().tables()) {
      for (const ColumnInfo& column : table->columns) {
        if (!column.names.empty()) out.add(py::str(std::string(enum_name(column.names))));
      }
    }
    return out;
  });
  module.def("_digits",
             [](const std::string& code) { return unwrap(Currency::parse(code)).digits(); });
  module.def("_table_of_id", [](const std::string& text) {
    const std::string_view prefix = std::string_view(text).substr(0, text.find('_'));
    for (const TableInfo* table : library_catalog().tables()) {
      if (table->prefix == prefix && !table->name.starts_with("bureau_")) {
        return std::string(table->name);
      }
    }
    raise(Code::invalid, fmt::format("id: \"{}\" is of no table", text), "id");
  });
  module.def("_end_all", end_all);
  py::class_<Office, std::shared_ptr<Office>> type(module, "Office");
  init_operating(module, type);
  init_migrations(module);
  type.def_static("open", open_office)
      .def_property_readonly("closed", &Office::closed)
      .def("close",
           [](const std::shared_ptr<Office>& office, double seconds) {
             const Duration timeout = seconds_of(seconds);
             unwrap(unlocked([&] { return office->close(timeout); }));
           })
      .def("abandon",
           [](const std::shared_ptr<Office>& office, double seconds) {
             const Duration timeout = seconds_of(seconds);
             unlocked([&] { office->abandon(timeout); });
           })
      .def("tenants", list_tenants)
      .def("system", system_session)
      .def("tables",
           [](const std::shared_ptr<Office>& office) {
             py::list out;
             const auto names = in_office(office, [](Engine& engine) {
               std::vector<std::string> found;
               for (const TableInfo* table : engine.database().catalog().tables()) {
                 if (!table->name.starts_with("bureau_")) found.emplace_back(table->name);
               }
               return Result<std::vector<std::string>>(std::move(found));
             });
             for (const auto& name : names) out.append(name);
             return out;
           })
      .def("sql", run_sql)
      .def("snapshot",
           [](const std::shared_ptr<Office>& office) {
             return json_object(in_office(office, [](Engine& engine) -> Result<Json> {
               BUREAU_TRY(const auto snapshot, engine.snapshot());
               return to_json(snapshot);
             }));
           })
      .def("metrics",
           [](const std::shared_ptr<Office>& office) {
             return in_office(office, [](Engine& engine) { return engine.metrics_text(); });
           })
      .def("agents",
           [](const std::shared_ptr<Office>& office) {
             py::list out;
             for (const AgentState& state : in_office(office, [](Engine& engine) {
                    return Result<std::vector<AgentState>>(engine.agents());
                  })) {
               py::dict one;
               one["name"] = state.name;
               one["operational"] = state.operational;
               one["running"] = state.running;
               one["completed"] = state.completed;
               one["failed"] = state.failed;
               out.append(one);
             }
             return out;
           })
      .def("start",
           [](const std::shared_ptr<Office>& office, bool polled) {
             in_office(office, [&](Engine& engine) {
               return polled ? engine.start_polled() : engine.start();
             });
           })
      .def("stop",
           [](const std::shared_ptr<Office>& office, double seconds) {
             const Duration timeout = seconds_of(seconds);
             in_office(office, [&](Engine& engine) { return engine.stop(timeout); });
           })
      .def("poll",
           [](const std::shared_ptr<Office>& office, std::size_t tasks, double seconds) {
             double due = -1;
             const std::size_t ran = in_office(office, [&](Engine& engine) -> Result<std::size_t> {
               const PollResult result = engine.poll(poll_limit(tasks, seconds));
               if (result.next_due != Monotonic::never()) {
                 const Duration left = result.next_due - engine.database().clock().monotonic();
                 due = std::max(0.0, static_cast<double>(left.count()) / 1e6);
               }
               return result.ran;
             });
             return py::make_tuple(ran,
                                   due < 0 ? py::object(py::none()) : py::object(py::float_(due)));
           })
      .def("wake_handle",
           [](const std::shared_ptr<Office>& office) {
             return in_office(office, [](Engine& engine) { return engine.wake_handle(); });
           })
      .def("now", [](const std::shared_ptr<Office>& office) {
        const Timestamp now = in_office(office, [](Engine& engine) {
          return Result<Timestamp>(engine.database().clock().now());
        });
        auto made = py::reinterpret_steal<py::object>(timestamp_to_python(now));
        if (!made) throw py::error_already_set();
        return made;
      });
  module.def("_user_session", user_session);
}

}  // namespace bureau_python
