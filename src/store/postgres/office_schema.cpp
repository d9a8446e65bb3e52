#include "store/postgres/office_schema.hpp"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "bureau/core/random.hpp"
#include "core/stable_hash.hpp"
#include "store/postgres/functions.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

constexpr std::string_view opening = "opening the office";

std::int64_t lock_of(std::string_view schema) {
  return static_cast<std::int64_t>(stable_hash(schema));
}

class Preparation {
 public:
  Preparation(Connection& connection, Monotonic deadline)
      : connection_(connection), deadline_(deadline) {}

  Result<Office> run() {
    BUREAU_TRY_VOID(begin_alone(connection_, deadline_));
    auto office = prepare();
    connection_.add_once(office ? "COMMIT" : "ROLLBACK");
    const Answers ended = connection_.exchange(deadline_);
    if (office && !ended.good()) return error(*ended.failure);
    return office;
  }

 private:
  Unexpected error(const Failure& failure) const {
    return fail(to_error(failure, connection_.where(), {opening}));
  }
  Result<Answers> ask(std::string_view text, std::vector<Parameter> parameters = {}) {
    connection_.add_once(text, parameters);
    Answers answers = connection_.exchange(deadline_);
    if (!answers.good()) return error(*answers.failure);
    return answers;
  }
  static bool is_empty(const Answers& answers) {
    return PQntuples(answers.results.back().get()) == 0;
  }

  Result<Office> prepare() {
    const std::string& name = connection_.settings().schema_name;
    constexpr std::string_view find_schema =
        "SELECT oid,current_setting('synchronous_commit') FROM pg_namespace WHERE nspname=$1";
    BUREAU_TRY(Answers found, ask(find_schema, {text_parameter(name)}));
    if (is_empty(found)) {
      BUREAU_TRY_VOID(ask("CREATE SCHEMA " + connection_.settings().schema));
      BUREAU_TRY(found, ask(find_schema, {text_parameter(name)}));
    }
    Office office;
    office.id = found.value(0).as_integer();
    office.synchronous_commit = found.value(1).as_text();
    BUREAU_TRY(const bool ours, is_ours(name));
    if (!ours) BUREAU_TRY_VOID(make_ours());
    BUREAU_TRY_VOID(check_meta());
    return office;
  }

  /// False: there is nothing in it yet.
  Result<bool> is_ours(const std::string& name) {
    BUREAU_TRY(const Answers meta,
               ask("SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace"
                   " WHERE n.nspname=$1 ORDER BY c.relname<>'bureau_meta',c.relname LIMIT 1",
                   {text_parameter(name)}));
    if (is_empty(meta)) return false;
    const std::string_view first = meta.value().as_text();
    if (first == "bureau_meta") return true;
    return fail(Code::corrupt,
                fmt::format("{}: schema {} is another program's: it has a '{}' and no bureau_meta; "
                            "name another schema",
                            connection_.where(), name, first));
  }

  Result<void> make_ours() {
    const std::string& schema = connection_.settings().schema;
    connection_.add_once(fmt::format(
        "CREATE TABLE {}.bureau_meta(key text PRIMARY KEY, value text NOT NULL)", schema));
    connection_.add_once(fmt::format(
        "CREATE TABLE {}.bureau_catalog(name text PRIMARY KEY, definition text NOT NULL)", schema));
    connection_.add_once(
        fmt::format("CREATE UNLOGGED TABLE {}.bureau_incarnation(one boolean PRIMARY KEY,"
                    " id int8 NOT NULL)",
                    schema));
    connection_.add_once(fmt::format("CREATE SEQUENCE {}.bureau_sequence AS int8", schema));
    for (const auto& [key, value] :
         {std::pair<std::string_view, std::uint64_t>{"format", format_version},
          {"oldest_reader", format_version},
          {"functions", 0},
          {"identity", Random::system().next()}}) {
      const std::string text = std::to_string(value);
      connection_.add_once(fmt::format("INSERT INTO {}.bureau_meta VALUES($1,$2)", schema),
                           std::vector<Parameter>{text_parameter(key), text_parameter(text)});
    }
    const Answers made = connection_.exchange(deadline_);
    if (!made.good()) return error(*made.failure);
    return {};
  }

  Result<void> check_meta() {
    const std::string& schema = connection_.settings().schema;
    BUREAU_TRY(const Answers rows,
               ask(fmt::format("SELECT key,value FROM {}.bureau_meta", schema)));
    std::map<std::string, std::int64_t, std::less<>> meta;
    const PGresult* const result = rows.results.back().get();
    for (int row = 0; row < PQntuples(result); ++row) {
      const std::string_view text = value_at(result, row, 1).as_text();
      std::int64_t& number = meta[std::string(value_at(result, row, 0).as_text())];
      std::from_chars(text.data(), text.data() + text.size(), number);
    }
    if (meta["format"] > format_version && meta["oldest_reader"] > format_version) {
      return fail(Code::upgraded,
                  fmt::format("{}: made by a newer bureau: its format is {}, this one reads up to "
                              "{}; update the program",
                              connection_.where(), meta["format"], format_version),
                  "format");
    }
    if (meta["functions"] >= functions_version) return {};
    for (const std::string& text : function_statements(schema)) connection_.add_once(text);
    const std::string version = std::to_string(functions_version);
    connection_.add_once(
        fmt::format("UPDATE {}.bureau_meta SET value=$1 WHERE key='functions'", schema),
        std::vector<Parameter>{text_parameter(version)});
    const Answers made = connection_.exchange(deadline_);
    if (!made.good()) return error(*made.failure);
    return {};
  }

  Connection& connection_;
  Monotonic deadline_;
};

}  // namespace

Result<void> begin_alone(Connection& connection, Monotonic deadline) {
  const Value lock = Value::integer(lock_of(connection.settings().schema_name));
  connection.add_once("BEGIN");
  // Whoever opens an office is told what holds him up.
  connection.add_once("SET LOCAL lock_timeout='10s'");
  connection.add_once("SELECT pg_advisory_xact_lock($1)",
                      std::vector<Parameter>{{ParameterType::integer, false, lock, {}}});
  const Answers begun = connection.exchange(deadline);
  if (begun.good()) return {};
  connection.add_once("ROLLBACK");
  static_cast<void>(connection.exchange(deadline));
  return fail(to_error(*begun.failure, connection.where(), {opening}));
}

Result<Office> prepare_office(Connection& connection, Monotonic deadline) {
  return Preparation(connection, deadline).run();
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
