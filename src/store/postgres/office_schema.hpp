#pragma once

#include <cstdint>

#include "bureau/core/log.hpp"
#include "bureau/store/stored_catalog.hpp"
#include "store/postgres/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// Raised when an older library could misread the office; also the oldest format that can read it.
inline constexpr std::int64_t format_version = 1;

/// What a storage learns of its office when it opens it.
struct Office {
  std::int64_t id = 0;  ///< of the schema, within the database: the class of its advisory locks
  std::string synchronous_commit;  ///< as the server has it for us
};

/// That the schema is empty or a bureau's (`corrupt` otherwise), and of a format we know
/// (`upgraded`); makes an empty or missing one ours, and brings its functions up to date.
[[nodiscard]] Result<Office> prepare_office(Connection& connection, Monotonic deadline);

/// The tables that are stored there, by name.
[[nodiscard]] Result<std::vector<StoredTable>> read_definitions(Connection& connection,
                                                                Monotonic deadline);

/// Storage::migrate() on a connection with no transaction open. Indexes of tables that were there
/// before are built while others write, on a connection of their own that is made with `direct`.
/// True: something was changed.
[[nodiscard]] Result<bool> migrate_tables(Connection& connection, const Settings& direct,
                                          const LogSink& log, const Catalog& catalog,
                                          Monotonic deadline);

/// Begins a transaction that nobody else prepares or migrates this office beside.
[[nodiscard]] Result<void> begin_alone(Connection& connection, Monotonic deadline);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
