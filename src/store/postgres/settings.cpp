#include "store/postgres/settings.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "store/postgres/sql.hpp"
#include "store/sql_text.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// The server has milliseconds of 32 bits.
constexpr Duration longest_idle_in_transaction = std::chrono::days(24);

const std::string* value_of(const Keywords& pairs, std::string_view key) {
  const auto found =
      std::find_if(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == key; });
  return found == pairs.end() ? nullptr : &found->second;
}

Result<Keywords> parse_connection(const std::string& text) {
  char* said = nullptr;
  PQconninfoOption* const options = PQconninfoParse(text.c_str(), &said);
  PQfreemem(said);  // it may quote a password
  if (options == nullptr) {
    return fail(Code::invalid,
                "connection: libpq cannot read it; expected \"host=... dbname=...\" or "
                "\"postgresql://user@host/database\"",
                "connection");
  }
  Keywords pairs;
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) pairs.emplace_back(option->keyword, option->val);
  }
  PQconninfoFree(options);
  return pairs;
}

/// What the environment says of hosts, where there are several: libpq would take it for each of
/// them. And that it says which of them is wanted.
void add_hosts_of_environment(Keywords& pairs) {
  if (value_of(pairs, "service") != nullptr) return;
  PQconninfoOption* const options = PQconndefaults();
  if (options == nullptr) return;
  Keywords all = pairs;
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    const std::string_view key = option->keyword;
    const bool counts = key == "host" || key == "hostaddr" || key == "port" ||
                        (key == "target_session_attrs" && option->val != nullptr &&
                         std::string_view(option->val) != "any");
    if (option->val == nullptr || !counts || value_of(pairs, key) != nullptr) continue;
    all.emplace_back(key, option->val);
  }
  PQconninfoFree(options);
  const auto is_list = [&](std::string_view key) {
    const std::string* const value = value_of(all, key);
    return value != nullptr && value->find(',') != std::string::npos;
  };
  if (is_list("host") || is_list("hostaddr")) pairs = std::move(all);
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts(1);
  for (const char c : list) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// Takes the hosts out of the rest. libpq by itself would wait for the first that does not answer
/// for as long as it is let, and never come to the next.
std::vector<Keywords> take_hosts(Keywords& pairs) {
  std::vector<std::pair<std::string, std::vector<std::string>>> lists;
  std::size_t count = 1;
  for (const char* key : {"host", "hostaddr", "port"}) {
    const std::string* const list = value_of(pairs, key);
    if (list == nullptr) continue;
    lists.emplace_back(key, split(*list));
    if (std::string_view(key) != "port") count = std::max(count, lists.back().second.size());
  }
  const auto fits = [&](const auto& one) {
    return one.second.size() == count || (one.first == "port" && one.second.size() == 1);
  };
  if (count == 1 || !std::all_of(lists.begin(), lists.end(), fits)) return {Keywords()};
  std::vector<Keywords> hosts(count);
  for (const auto& [key, values] : lists) {
    std::erase_if(pairs,
                  [&, key = std::string_view(key)](const auto& pair) { return pair.first == key; });
    for (std::size_t i = 0; i < count; ++i) {
      const std::string& value = values[values.size() == 1 ? 0 : i];
      if (!value.empty()) hosts[i].emplace_back(key, value);
    }
  }
  return hosts;
}

/// A host that went away without a word is noticed within half a minute, by writes too.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> defaults = {{
    {"fallback_application_name", "bureau"},
    {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "20000"},
}};

/// By itself a server notices after two hours that a machine has lost its power, and holds the
/// locks of what that was doing for as long.
std::string keepalive_of(const Keywords& pairs) {
  const std::string* const wanted = value_of(pairs, "keepalives");
  if (wanted != nullptr && *wanted == "0") return {};
  const auto set = [&](std::string_view key, std::string_view parameter) {
    return fmt::format("set_config({},{},FALSE)", text_literal(parameter),
                       text_literal(*value_of(pairs, key)));
  };
  return fmt::format("SELECT {},{},{},{}", set("keepalives_idle", "tcp_keepalives_idle"),
                     set("keepalives_interval", "tcp_keepalives_interval"),
                     set("keepalives_count", "tcp_keepalives_count"),
                     set("tcp_user_timeout", "tcp_user_timeout"));
}

std::string ask_number(Duration idle_in_transaction) {
  const std::string number = "SELECT pg_current_xact_id()";
  if (idle_in_transaction == Duration::zero()) return number;
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(idle_in_transaction);
  return number + fmt::format(",set_config('idle_in_transaction_session_timeout','{}',TRUE)",
                              milliseconds.count());
}

std::string name_of(const Keywords& pairs) {
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
  if (options.idle_in_transaction < Duration::zero() ||
      options.idle_in_transaction > longest_idle_in_transaction) {
    return fail(Code::invalid, "idle_in_transaction: must be from 0 (never) to 24 days",
                "idle_in_transaction");
  }
  Settings settings;
  BUREAU_TRY(settings.connection, parse_connection(options.connection));
  add_hosts_of_environment(settings.connection);
  settings.where = name_of(settings.connection);
  settings.hosts = take_hosts(settings.connection);
  // Of several, who only follows another can hold no office.
  if (settings.hosts.size() > 1 &&
      value_of(settings.connection, "target_session_attrs") == nullptr) {
    settings.connection.emplace_back("target_session_attrs", "read-write");
  }
  for (const auto& [key, value] : defaults) {
    if (value_of(settings.connection, key) == nullptr) settings.connection.emplace_back(key, value);
  }
  // All our text is UTF-8, whatever the environment says.
  std::erase_if(settings.connection,
                [](const auto& pair) { return pair.first == "client_encoding"; });
  settings.connection.emplace_back("client_encoding", "UTF8");
  settings.keepalive = keepalive_of(settings.connection);
  settings.schema_name = options.schema;
  settings.schema = quoted(options.schema);
  settings.prepared = options.prepared;
  settings.pooler_keeps_sessions = options.pooler_keeps_sessions;
  settings.connect_timeout = options.connect_timeout;
  settings.ask_number = ask_number(options.idle_in_transaction);
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
