#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bureau/store/postgres_storage.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// What every connection of a storage is made with.
struct Settings {
  std::vector<std::pair<std::string, std::string>> connection;  ///< libpq's keywords and values
  std::string where;   ///< names the database in messages; without a password
  std::string schema;  ///< in quotes, as generated SQL has it
  std::string schema_name;
  bool prepared = true;
  bool pooler_keeps_sessions = false;
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
