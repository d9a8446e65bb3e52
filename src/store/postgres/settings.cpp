#include "store/postgres/settings.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "store/postgres/sql.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

const std::string* value_of(const Pairs& pairs, std::string_view key) {
  const auto found =
      std::find_if(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == key; });
  return found == pairs.end() ? nullptr : &found->second;
}

Result<Pairs> parse_connection(const std::string& text) {
  char* said = nullptr;
  PQconninfoOption* const options = PQconninfoParse(text.c_str(), &said);
  PQfreemem(said);  // it may quote a password
  if (options == nullptr) {
    return fail(Code::invalid,
                "connection: libpq cannot read it; expected \"host=... dbname=...\" or "
                "\"postgresql://user@host/database\"",
                "connection");
  }
  Pairs pairs;
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) pairs.emplace_back(option->keyword, option->val);
  }
  PQconninfoFree(options);
  return pairs;
}

/// A host that went away without a word is noticed within half a minute, by writes too.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> defaults = {{
    {"fallback_application_name", "bureau"},
    {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "20000"},
}};

std::string name_of(const Pairs& pairs) {
  const auto part = [&](std::string_view key, std::string_view otherwise) {
    const std::string* found = value_of(pairs, key);
    return found == nullptr ? std::string(otherwise) : *found;
  };
  std::string host = part("host", part("hostaddr", "local"));
  if (const std::string* port = value_of(pairs, "port")) host += ":" + *port;
  const std::string* const user = value_of(pairs, "user");
  return fmt::format("postgres {}{}/{}", user == nullptr ? std::string() : *user + "@", host,
                     part("dbname", user == nullptr ? "" : *user));
}

}  // namespace

Result<Settings> read_settings(const PostgresOptions& options) {
  if (!is_plain_name(options.schema) || options.schema.starts_with("pg_")) {
    return fail(Code::invalid,
                "schema: must be [a-z][a-z0-9_]*, at most 48 bytes, not beginning with pg_",
                "schema");
  }
  if (options.connections < 2) {
    return fail(Code::invalid,
                fmt::format("connections: {} is too few; at least 2, so that a closure that writes "
                            "can read",
                            options.connections),
                "connections");
  }
  Settings settings;
  BUREAU_TRY(settings.connection, parse_connection(options.connection));
  settings.where = name_of(settings.connection);
  for (const auto& [key, value] : defaults) {
    if (value_of(settings.connection, key) == nullptr) settings.connection.emplace_back(key, value);
  }
  // All our text is UTF-8, whatever the environment says.
  std::erase_if(settings.connection,
                [](const auto& pair) { return pair.first == "client_encoding"; });
  settings.connection.emplace_back("client_encoding", "UTF8");
  settings.schema_name = options.schema;
  settings.schema = quoted(options.schema);
  settings.prepared = options.prepared;
  settings.pooler_keeps_sessions = options.pooler_keeps_sessions;
  settings.connect_timeout = options.connect_timeout;
  settings.clock = options.clock != nullptr ? options.clock : &Clock::system();
  return settings;
}

Result<Settings> read_direct_settings(PostgresOptions options) {
  const bool given = !options.direct.empty();
  if (given) options.connection = std::exchange(options.direct, {});
  auto settings = read_settings(options);
  if (settings || !given || settings.error().field != "connection") return settings;
  Error error = std::move(settings).error();
  error.message.replace(0, std::string_view("connection").size(), "direct");
  error.field = "direct";
  return fail(std::move(error));
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
