#pragma once

#include <optional>
#include <vector>

#include "bureau/store/storage.hpp"
#include "store/internal_tables.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The migrations that were applied, by number.
[[nodiscard]] Result<std::vector<MigrationRow>> read_migrations(Reader& reader);
/// The same of a storage that may have no such table yet.
[[nodiscard]] Result<std::vector<MigrationRow>> read_migrations(Storage& storage);

/// The newest that the version before cannot work beside any more; 0: there is none.
[[nodiscard]] std::int64_t finalized_version(const std::vector<MigrationRow>& records);

/// That a program of that version may work now (`upgraded`, `unavailable`).
[[nodiscard]] Result<void> check_version(const std::vector<MigrationRow>& records,
                                         std::int64_t version);

/// Notes which version has taken a node, in the write that takes it. Errors as check_version().
[[nodiscard]] Result<void> register_program(Writer& writer, int node, std::int64_t generation,
                                            std::int64_t version);

/// A process that is alive, of a version for which `concerned` holds; nothing: there is none.
struct LiveProgram {
  int node = 0;
  std::int64_t version = 0;
};
[[nodiscard]] Result<std::optional<LiveProgram>> find_live_program(
    Storage& storage, FunctionRef<bool(std::int64_t version)> concerned);

/// The number of the newest change, in a write that brings the migration into that state: up to it
/// rows are as they were before.
[[nodiscard]] Result<void> note_newest_change(Reader& reader, MigrationState state,
                                              MigrationRow& row);
/// What was noted; nothing: the office had that state from its first day, or an older library made
/// the migration.
[[nodiscard]] std::optional<std::int64_t> newest_change_before(const MigrationRow& row,
                                                               MigrationState state);

/// A migration that was taken back, or was about to be: what it did to rows, and what taking it
/// back did, is in no journal, and its record is gone.
struct TakenBack {
  std::int64_t number = 0;
  std::string name;
  std::optional<std::int64_t> after;  ///< the newest change before it; nothing: nobody noted it
  friend bool operator==(const TakenBack&, const TakenBack&) = default;
};
[[nodiscard]] Result<void> note_taken_back(Writer& writer, const MigrationRow& row);
/// All that were, in the order in which they were.
[[nodiscard]] Result<std::vector<TakenBack>> read_taken_back(Reader& reader);

/// Names that a column of a table has had: pairs of old and new.
struct Renamed {
  std::string table, from, to;
};
[[nodiscard]] Result<std::vector<Renamed>> read_renames(Reader& reader);

/// What a column that a migration adds or drops holds in rows of programs that do not know it: of
/// the migrations beside which such programs may work.
struct UnknownColumn {
  std::string table, column;
  Json value;
  bool dropped = false;  ///< where it may be null it is null, whatever the value
};
[[nodiscard]] std::vector<UnknownColumn> unknown_columns(const std::vector<MigrationRow>& records);

}  // namespace detail
BUREAU_END_NAMESPACE
