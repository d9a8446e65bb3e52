#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bureau/store/postgres_storage.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// libpq's keywords and values.
using Keywords = std::vector<std::pair<std::string, std::string>>;

/// What every connection of a storage is made with.
struct Settings {
  Keywords connection;  ///< but for those of `hosts`
  /// Where the server may be, in the order in which it is looked for; what differs between them.
  /// Never empty.
  std::vector<Keywords> hosts;
  /// Of the hosts, where it was found last. Shared by the copies.
  std::shared_ptr<std::atomic<std::size_t>> host = std::make_shared<std::atomic<std::size_t>>(0);
  std::string where;   ///< names the database in messages; without a password
  std::string schema;  ///< in quotes, as generated SQL has it
  std::string schema_name;
  bool prepared = true;
  bool pooler_keeps_sessions = false;
  /// Tells a session's server to look whether we are still there, as we look for it. May be empty.
  std::string keepalive;
  /// Asks for a write's number, and tells how long it may stand still: others wait for it.
  std::string ask_number;
  Duration connect_timeout{};
  Clock* clock = nullptr;
};

/// Reads the options. `invalid` names the option; no part of the connection string is repeated,
/// because a password may be in any.
[[nodiscard]] Result<Settings> read_settings(const PostgresOptions& options);
/// The same for what needs a session of the server's: PostgresOptions::direct.
[[nodiscard]] Result<Settings> read_direct_settings(PostgresOptions options);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
