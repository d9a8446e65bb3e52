// How a program finds an office's tables, and what it does about them, when it opens it.

#include <fmt/format.h>

#include <algorithm>

#include "bureau/store/stored_catalog.hpp"
#include "store/migration_list.hpp"
#include "store/migrator_impl.hpp"
#include "store/row_values.hpp"
#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

using MigrationRows = std::vector<MigrationRow>;

Result<bool> is_office(Storage& storage) {
  bool found = false;
  auto read = storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const auto key, find_row(reader, Id<SettingRow>(cursor_key_setting)));
    found = key.has_value();
    return {};
  });
  if (!read && read.error().code != Code::invalid) return fail(std::move(read).error());
  return read && found;
}

/// A new office is made as the newest version has it: there is nothing to go back to.
Result<void> make_office(const OpenTables& open) {
  BUREAU_TRY_VOID(open.storage->migrate(open.catalog));
  const Timestamp now = open.clock.now();
  return open.storage->write({}, [&](Writer& writer) -> Result<void> {
    for (const Migration& one : open.migrations) {
      MigrationRow row{Id<MigrationRow>(one.number()),
                       one.name(),
                       one.checksum(),
                       MigrationState::finalized,
                       Json(),
                       0,
                       0,
                       now,
                       now,
                       "the first program"};
      row.operations.set("operations", operations_json(one));
      BUREAU_TRY(const auto known, find_row(writer, row.id));
      if (known) continue;
      BUREAU_TRY_VOID(writer.insert(table_of<MigrationRow>(), RowValues(row).values()));
    }
    return {};
  });
}

bool are_all(const MigrationRows& records, MigrationState state) {
  return std::all_of(records.begin(), records.end(),
                     [&](const MigrationRow& row) { return row.state == state; });
}

/// While two versions work, each leaves alone what only the other knows.
Result<void> join_versions(const OpenTables& open, const Migrator::Impl& impl,
                           const MigrationRows& records, bool older) {
  BUREAU_TRY(const auto tables, open.storage->stored_tables());
  Tolerance rules = impl.tolerance(records);
  rules.older = older;
  rules.indexes = Tolerance::Indexes::both;
  BUREAU_TRY(const Catalog form, tolerant_catalog(open.catalog, tables, rules));
  // A storage of one process has rows in the order of that program's columns.
  if (!open.storage->capabilities().shared) return open.storage->migrate(form);
  if (is_stored(form, tables)) return {};
  if (!older) return open.storage->migrate(form);
  return fail(Code::conflict,
              "this program is older than the office, and describes what the office does not have",
              "migrations");
}

Result<void> refuse_pending(const Migrator::Impl& impl, const MigrationRows& records) {
  for (const Migration& one : impl.migrations) {
    const MigrationRow* row = Migrator::Impl::find(records, one.number());
    const bool applied = row != nullptr && (row->state == MigrationState::expanded ||
                                            row->state == MigrationState::finalized);
    if (applied) continue;
    return fail(Code::unavailable,
                fmt::format("migration {} ({}) is not applied; `bureau migrate` does it",
                            one.number(), one.name()),
                "migrations");
  }
  return {};
}

Result<void> bring_up(const OpenTables& open, Migrator::Impl& impl, const MigrationRows& records) {
  if (open.on_open == OnOpen::refuse) return refuse_pending(impl, records);
  const bool finalizes = open.on_open == OnOpen::finalize;
  const MigrateOptions options{finalizes, "a program that opened the office", {}};
  const bool behind =
      std::any_of(impl.migrations.begin(), impl.migrations.end(), [&](const Migration& one) {
        const MigrationRow* row = Migrator::Impl::find(records, one.number());
        return row == nullptr ||
               (row->state != MigrationState::expanded && row->state != MigrationState::finalized);
      });
  if (behind) BUREAU_TRY_VOID(impl.up(options));
  BUREAU_TRY(const MigrationRows now, read_migrations(*open.storage));
  if (!finalizes || are_all(now, MigrationState::finalized)) return {};
  auto finalized = impl.finalize_all(options);
  // Somebody works with the version before: it is the next program's to do.
  if (!finalized && finalized.error().code != Code::busy) return fail(std::move(finalized).error());
  return {};
}

}  // namespace

Result<void> add_internal_tables(Catalog& catalog) {
  for (const TableInfo* table :
       {&table_of<JournalRow>(), &table_of<ShapeRow>(), &table_of<NodeRow>(), &table_of<KeyRow>(),
        &table_of<SettingRow>(), &table_of<RightsRow>(), &table_of<MigrationRow>(),
        &table_of<ProgramRow>()}) {
    BUREAU_TRY_VOID(catalog.add_internal(*table));
  }
  return {};
}

Json added_by_catalog(const Catalog& catalog, std::span<const StoredTable> stored,
                      const Tolerance::Columns& withheld) {
  Json::Array added;
  for (const TableInfo* table : catalog.tables()) {
    const auto there = std::find_if(stored.begin(), stored.end(), [&](const StoredTable& one) {
      return one.name == table->name;
    });
    if (there == stored.end()) {
      added.push_back(Json::object({{"table", table->name}}));
      continue;
    }
    for (const ColumnInfo& column : table->columns) {
      const Json::Array& columns = list_member(there->definition, "columns");
      const bool known = std::any_of(columns.begin(), columns.end(), [&](const Json& one) {
        return text_member(one, "name") == column.name;
      });
      if (known || column.hidden ||
          withheld.count({std::string(table->name), std::string(column.name)}) > 0) {
        continue;
      }
      added.push_back(Json::object({{"table", table->name}, {"column", column.name}}));
    }
  }
  return Json::array(std::move(added));
}

Result<void> open_tables(const OpenTables& open) {
  BUREAU_TRY_VOID(check_migrations(open.catalog, open.migrations));
  BUREAU_TRY(MigrationRows records, read_migrations(*open.storage));
  if (records.empty() && open.migrations.empty()) return open.storage->migrate(open.catalog);
  if (records.empty()) {
    BUREAU_TRY(const bool exists, is_office(*open.storage));
    if (!exists) return make_office(open);
  }
  Migrator::Impl impl{open.storage, open.catalog, open.migrations, open.clock};
  BUREAU_TRY_VOID(impl.check_records(records));
  BUREAU_TRY_VOID(check_version(records, impl.version()));
  const bool older = !records.empty() && records.back().id.value > impl.version();
  if (!older) {
    BUREAU_TRY_VOID(bring_up(open, impl, records));
    BUREAU_TRY(records, read_migrations(*open.storage));
  }
  if (!older && are_all(records, MigrationState::finalized)) {
    return open.storage->migrate(open.catalog);
  }
  return join_versions(open, impl, records, older);
}

}  // namespace detail
BUREAU_END_NAMESPACE
