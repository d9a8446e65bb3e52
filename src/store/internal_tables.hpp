#pragma once

// The library's own tables. Their names and columns are frozen: they are in every file.

#include "bureau/store/migration.hpp"
#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// One journal record; the id is the number of its last change, so that the changes of a record are
/// numbered id - count + 1 to id.
struct JournalRow {
  Id<JournalRow> id;
  std::int64_t tenant = 0, actor = 0, task = 0;
  std::int64_t shape = 0;  ///< which columns the images have: a row of bureau_shapes
  int kind = 0;
  std::int64_t count = 0;
  Timestamp at;
  Bytes body;
};

/// The columns that a table had when journal records were written, and what the journal kept of it;
/// the id is a hash of all three.
struct ShapeRow {
  Id<ShapeRow> id;
  std::string table_name;
  std::int64_t mode = 0;  ///< a journal::Mode
  Json columns;           ///< [["subject", "text"], ...]
};

/// A place that issues ids; the id is the node's number + 1.
struct NodeRow {
  Id<NodeRow> id;
  std::int64_t generation = 0;         ///< +1 each time that a process takes the place
  std::int64_t reserved_until_ms = 0;  ///< no id at or beyond was issued
  std::int64_t beats = 0;              ///< counts up while the node holds leases
};

/// The key under which personal journal values about one row are sealed; the id is that row's.
struct KeyRow {
  Id<KeyRow> id;
  Bytes key;
  bool erased = false;
};

struct SettingRow {
  Id<SettingRow> id;
  std::string name;
  Bytes value;
};
inline constexpr std::int64_t cursor_key_setting = 1;
/// There while an office is being moved in (bureau/store/move.hpp): it is no office yet.
inline constexpr std::int64_t moving_setting = 2;
/// When somebody last took his turn at the journal's retention, in microseconds.
inline constexpr std::int64_t journal_turn_setting = 3;
/// The migrations that were taken back, one after the other (migration_records.hpp).
inline constexpr std::int64_t taken_back_setting = 4;

/// Counts changes of what rights depend on; the id is the tenant's, or 1 for no tenant.
struct RightsRow {
  Id<RightsRow> id;
  std::int64_t epoch = 0;
};
[[nodiscard]] constexpr std::int64_t rights_row_of(std::int64_t tenant) {
  return tenant == 0 ? 1 : tenant;
}
/// The row that counts erasures of keys instead, so that no process goes on using one.
inline constexpr std::int64_t erasures_row = 2;

/// A migration that was applied; the id is its number.
struct MigrationRow {
  Id<MigrationRow> id;
  std::string name, checksum;
  MigrationState state = MigrationState::expanding;
  Json operations;            ///< {"operations": [...], "added": [...]}: what it says, and what the
                              ///< catalog brought beside it
  std::int64_t done = 0;      ///< steps of this state that are behind it
  std::int64_t position = 0;  ///< the last row that the step after them has seen
  Timestamp applied_at;
  std::optional<Timestamp> finalized_at;
  std::string applied_by;
};

/// Which version of a program holds a node's place; the id is the node's number + 1.
struct ProgramRow {
  Id<ProgramRow> id;
  std::int64_t generation = 0;  ///< as the node's: another one is somebody else's
  std::int64_t version = 0;     ///< the number of its newest migration; 0: it has none
};

}  // namespace detail

template <>
inline constexpr auto schema<detail::JournalRow> = table(
    "bureau_journal", "jrn", journal::none, column("id", &detail::JournalRow::id),
    column("tenant_id", &detail::JournalRow::tenant), column("actor", &detail::JournalRow::actor),
    column("task", &detail::JournalRow::task), column("shape", &detail::JournalRow::shape),
    column("kind", &detail::JournalRow::kind), column("count", &detail::JournalRow::count),
    column("at", &detail::JournalRow::at), column("body", &detail::JournalRow::body));
template <>
inline constexpr auto schema<detail::ShapeRow> =
    table("bureau_shapes", "shp", journal::none, column("id", &detail::ShapeRow::id),
          column("table_name", &detail::ShapeRow::table_name),
          column("mode", &detail::ShapeRow::mode), column("columns", &detail::ShapeRow::columns));
template <>
inline constexpr auto schema<detail::NodeRow> =
    table("bureau_nodes", "nod", journal::none, column("id", &detail::NodeRow::id),
          column("generation", &detail::NodeRow::generation),
          column("reserved_until_ms", &detail::NodeRow::reserved_until_ms),
          column("beats", &detail::NodeRow::beats));
template <>
inline constexpr auto schema<detail::KeyRow> = table("bureau_keys", "key", journal::none,
                                                     column("id", &detail::KeyRow::id),
                                                     column("key", &detail::KeyRow::key, secret),
                                                     column("erased", &detail::KeyRow::erased));
template <>
inline constexpr auto schema<detail::SettingRow> = table(
    "bureau_settings", "set", journal::none, column("id", &detail::SettingRow::id),
    column("name", &detail::SettingRow::name), column("value", &detail::SettingRow::value, secret));
template <>
inline constexpr auto schema<detail::RightsRow> = table("bureau_rights", "rgt", journal::none,
                                                        column("id", &detail::RightsRow::id),
                                                        column("epoch", &detail::RightsRow::epoch));

template <>
inline constexpr auto schema<detail::MigrationRow> =
    table("bureau_migrations", "mig", journal::none, column("id", &detail::MigrationRow::id),
          column("name", &detail::MigrationRow::name),
          column("checksum", &detail::MigrationRow::checksum),
          column("state", &detail::MigrationRow::state),
          column("operations", &detail::MigrationRow::operations),
          column("done", &detail::MigrationRow::done),
          column("position", &detail::MigrationRow::position),
          column("applied_at", &detail::MigrationRow::applied_at),
          column("finalized_at", &detail::MigrationRow::finalized_at),
          column("applied_by", &detail::MigrationRow::applied_by));
template <>
inline constexpr auto schema<detail::ProgramRow> =
    table("bureau_programs", "prg", journal::none, column("id", &detail::ProgramRow::id),
          column("generation", &detail::ProgramRow::generation),
          column("version", &detail::ProgramRow::version));

BUREAU_END_NAMESPACE
