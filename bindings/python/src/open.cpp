// How an office is opened: where it is, and what it is given.

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "bureau/core/key_ring.hpp"
#include "bureau/core/random.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "given.hpp"
#include "hosted.hpp"
#include "opening.hpp"
#include "server.hpp"
#ifdef BUREAU_WITH_POSTGRES
#include "bureau/store/postgres_storage.hpp"
#endif

namespace bureau_python {

namespace {

LogSink log_sink(PyObject* callback) {
  if (callback == nullptr) return {};
  // Kept for good: a record may come from any thread until the engine is gone.
  PyObject* function = Py_NewRef(callback);
  return [function](const LogRecord& record) {
    const Gil gil;
    if (!gil) return;
    PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
    PyErr_Fetch(&type, &value, &trace);
    try {
      py::dict fields;
      for (const LogField& field : record.fields) {
        fields[py::str(field.name.data(), field.name.size())] =
            std::visit([](const auto& one) -> py::object { return py::cast(one); }, field.value);
      }
      const py::handle sink(function);
      sink(static_cast<int>(record.level), std::string(record.source), std::string(record.message),
           fields);
    } catch (py::error_already_set& raised) {
      raised.discard_as_unraisable("bureau: the log sink");
    }
    PyErr_Restore(type, value, trace);
  };
}

Durability durability_of(Given& given) {
  const auto name = given.maybe_text("durability").value_or("power_safe");
  if (name != "power_safe" && name != "relaxed") {
    raise(Code::invalid, fmt::format("durability: \"{}\" is neither power_safe nor relaxed", name),
          "durability");
  }
  return name == "relaxed" ? Durability::relaxed : Durability::power_safe;
}

/// A number of at least 1.
template <class T>
T count_of(Given& given, const char* name, T otherwise, std::int64_t most) {
  const auto value = given.maybe_integer(name);
  if (value && (*value < 1 || *value > most)) {
    raise(Code::invalid, fmt::format("{}: 1 to {} are possible", name, most), name);
  }
  return value ? static_cast<T>(*value) : otherwise;
}

#ifdef BUREAU_WITH_POSTGRES
Result<std::shared_ptr<Storage>> open_server(const std::string& url, Given& given,
                                             const EngineOptions& engine) {
  PostgresOptions options;
  options.connection = url;
  options.durability = engine.durability;
  options.clock = engine.clock;
  options.log = engine.log;
  options.schema = given.maybe_text("schema").value_or(options.schema);
  options.direct = given.text("direct");
  options.connections = count_of(given, "connections", options.connections, 10'000);
  options.connect_timeout = given.maybe_span("connect_timeout").value_or(options.connect_timeout);
  options.idle_in_transaction =
      given.maybe_span("idle_in_transaction").value_or(options.idle_in_transaction);
  options.pooler_keeps_sessions = given.flag("pooler_keeps_sessions");
  given.done();
  BUREAU_TRY_VOID(find_libpq());
  return unlocked([&] { return open_postgres(std::move(options)); });
}
#else
Result<std::shared_ptr<Storage>> open_server(const std::string&, Given&, const EngineOptions&) {
  return fail(Code::invalid, "path: this package was built without PostgreSQL", "path");
}
#endif

/// Where the rows are; null: in the file that the path names.
std::shared_ptr<Storage> storage_of(const std::string& path, Given& given,
                                    const EngineOptions& engine) {
  if (is_on_server(path)) return unwrap(open_server(path, given, engine));
  for (const char* name :
       {"schema", "connections", "direct", "connect_timeout", "idle_in_transaction",
        "pooler_keeps_sessions"}) {
    if (given.at(name) == nullptr) continue;
    raise(
        Code::invalid,
        fmt::format("{}: it is of an office on a server (postgresql://...), not of {}", name, path),
        name);
  }
  given.done();
  if (path != ":memory:") return nullptr;
  return make_memory_storage(engine.clock == nullptr ? Clock::system() : *engine.clock);
}

/// None, a condition on columns, or its text.
Rule rule_of(Given& given, const char* name) {
  PyObject* const object = given.at(name);
  if (object == nullptr) return {};
  if (object == Py_True) return Rule::always();
  if (py::isinstance<Predicate>(object)) return Rule(py::cast<Predicate>(py::handle(object)));
  return Rule(text_from_python(object, name));
}

template <class E, std::size_t n>
std::optional<E> named(Given& given, const char* name,
                       const std::array<std::pair<std::string_view, E>, n>& known) {
  const auto text = given.maybe_text(name);
  if (!text) return std::nullopt;
  std::string all;
  for (const auto& [word, value] : known) {
    if (*text == word) return value;
    all += (all.empty() ? "" : ", ") + std::string(word);
  }
  raise(Code::invalid, fmt::format("{}: \"{}\" is none of {}", name, *text, all), name);
}

constexpr std::array opens{std::pair{std::string_view("expand"), OnOpen::expand},
                           std::pair{std::string_view("finalize"), OnOpen::finalize},
                           std::pair{std::string_view("refuse"), OnOpen::refuse}};

Policy policy_of(Given& given) {
  using enum Command;
  static constexpr std::array commands{
      std::pair{std::string_view("select"), select}, std::pair{std::string_view("insert"), insert},
      std::pair{std::string_view("update"), update}, std::pair{std::string_view("delete"), remove}};
  static constexpr std::array modes{
      std::pair{std::string_view("permissive"), PolicyMode::permissive},
      std::pair{std::string_view("restrictive"), PolicyMode::restrictive}};
  static constexpr std::array kinds{std::pair{std::string_view("user"), PrincipalKind::user},
                                    std::pair{std::string_view("agent"), PrincipalKind::agent}};
  Policy policy;
  policy.name = given.text("name");
  policy.table = given.text("table");
  policy.command = named(given, "command", commands);
  policy.mode = named(given, "mode", modes).value_or(PolicyMode::permissive);
  policy.using_rule = rule_of(given, "using");
  policy.check_rule = rule_of(given, "check");
  policy.roles = given.texts("roles");
  policy.of = named(given, "of", kinds);
  given.done();
  return policy;
}

HiddenColumns hidden_of(Given& given) {
  HiddenColumns hidden;
  hidden.name = given.text("name");
  hidden.table = given.text("table");
  hidden.columns = given.texts("columns");
  hidden.personal = given.flag("personal");
  hidden.roles = given.texts("roles");
  hidden.except = given.texts("excepted");
  given.done();
  return hidden;
}

void add_policies(Policies& policies, PyObject* list) {
  if (list == nullptr) return;
  for (const py::handle one : py::reinterpret_borrow<py::list>(list)) {
    const auto fields = one.cast<py::dict>();
    Given given("policy", fields);
    if (fields.contains("columns")) {
      unwrap(policies.hide(hidden_of(given)));
    } else {
      unwrap(policies.add(policy_of(given)));
    }
  }
}

std::shared_ptr<const KeyRing> keys_of(PyObject* given) {
  if (given == nullptr) return nullptr;
  auto keys = std::make_shared<KeyRing>();
  for (const auto& [name, key] : py::reinterpret_borrow<py::dict>(given)) {
    const auto bytes = key.cast<std::string>();
    unwrap(keys->add(name.cast<std::string>(), std::as_bytes(std::span(bytes))));
  }
  return keys;
}

/// Durations: how long changes are kept, and how often that is looked at. None: for ever.
JournalKeeping journal_of(Given& given) {
  JournalKeeping keeping;
  if (given.flag("journal_for_ever")) keeping.keep = Duration::max();
  keeping.keep = given.maybe_span("journal").value_or(keeping.keep);
  if (keeping.keep < Duration(0)) raise(Code::invalid, "journal: it is negative", "journal");
  return keeping;
}

/// The host's own tables, and how they became what they are.
void take_tables(Given& given, EngineOptions& engine) {
  if (PyObject* const tables = given.at("tables")) {
    for (const py::handle capsule : py::reinterpret_borrow<py::list>(tables)) {
      engine.tables.push_back(
          static_cast<const TableInfo*>(PyCapsule_GetPointer(capsule.ptr(), "bureau.table")));
    }
  }
  engine.migrations = migrations_of(given.at("migrations"));
}

}  // namespace

bool is_on_server(const std::string& path) {
  return path.starts_with("postgresql://") || path.starts_with("postgres://");
}

std::shared_ptr<Storage> open_place(const std::string& place, const std::string& schema,
                                    bool make) {
  if (is_on_server(place)) {
    py::dict options;
    if (!schema.empty()) options["schema"] = schema;
    Given given("place", options);
    return unwrap(open_server(place, given, {}));
  }
  if (!schema.empty()) {
    raise(Code::invalid, fmt::format("schema: it is of an office on a server, not of {}", place),
          "schema");
  }
  std::error_code ignored;
  if (!make && !std::filesystem::exists(place, ignored)) {
    raise(Code::not_found, fmt::format("{}: there is no such office", place), "office");
  }
  SqliteOptions options;
  options.path = place;
  return unwrap(unlocked([&] { return open_sqlite(std::move(options)); }));
}

EngineOptions migrator_options(const std::string& path, const py::dict& options) {
  Given given("migrator", options);
  EngineOptions engine;
  take_tables(given, engine);
  const std::string schema = given.text("schema");
  given.done();
  engine.storage = open_place(path, schema);
  return engine;
}

std::shared_ptr<Office> open_office(const std::string& path, const py::dict& options) {
  Given given("open", options);
  EngineOptions engine;
  engine.path = path;
  engine.threads = count_of(given, "threads", engine.threads, 1024);
  engine.durability = durability_of(given);
  engine.work.batch = count_of(given, "batch", engine.work.batch, 100'000);
  engine.log = log_sink(given.at("log"));
  engine.keys = keys_of(given.at("keys"));
  auto office = std::make_shared<Office>();
  if (PyObject* const object = given.at("clock")) {
    auto clock = clock_of(py::reinterpret_borrow<py::object>(object));
    engine.clock = clock.get();
    office->kept.push_back(std::move(clock));
  }
  if (PyObject* const object = given.at("scheduler")) {
    engine.scheduler = scheduler_of(py::reinterpret_borrow<py::object>(object),
                                    engine.clock == nullptr ? Clock::system() : *engine.clock);
  }
  if (const auto seed = given.maybe_integer("seed")) {
    auto random = std::make_shared<SeededRandom>(static_cast<std::uint64_t>(*seed));
    engine.random = random.get();
    office->kept.push_back(std::move(random));
  }
  engine.work.heartbeat = given.maybe_span("heartbeat").value_or(engine.work.heartbeat);
  add_policies(engine.policies, given.at("policies"));
  take_tables(given, engine);
  engine.on_open = named(given, "on_open", opens).value_or(engine.on_open);
  engine.journal = journal_of(given);
  engine.storage = storage_of(path, given, engine);
  auto opened = unlocked([&] { return Engine::open(std::move(engine)); });
  office->set(unwrap(std::move(opened)));
  end_with_interpreter(office);
  return office;
}

}  // namespace bureau_python
