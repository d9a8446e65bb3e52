#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/migration_records.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// That a journal cannot be replayed onto a backup.
[[nodiscard]] Unexpected foreign_history(std::string_view why);

/// What was done to an office's rows without a journal.
struct Migrations {
  std::vector<MigrationRow> records;
  std::vector<TakenBack> taken_back;
  friend bool operator==(const Migrations& a, const Migrations& b);
};
[[nodiscard]] Result<Migrations> read_all_migrations(Reader& reader);
/// The same of a storage that may have no tables for them.
[[nodiscard]] Result<Migrations> read_all_migrations(Storage& storage);

/// The first migration in a history that its backup lacks.
struct MigrationSince {
  std::int64_t after = 0;  ///< the newest change before it
  std::string by;
};
/// Nothing: both have the same. `conflict` with field "history" when nobody knows where the first
/// began, or when it was under way as the backup was made. `backed_up`: the newest change in the
/// backup.
[[nodiscard]] Result<std::optional<MigrationSince>> first_migration_since(const Migrations& backup,
                                                                          const Migrations& history,
                                                                          std::int64_t backed_up);

}  // namespace detail
BUREAU_END_NAMESPACE
