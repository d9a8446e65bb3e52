#pragma once

#include <functional>
#include <map>

#include "bureau/store/alteration.hpp"
#include "bureau/store/migration.hpp"
#include "bureau/store/storage.hpp"
#include "store/migration_records.hpp"
#include "store/migration_tables.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// One step of a migration: it is made wholly, and then never again, whoever makes it.
struct MigrationStep {
  enum class Kind : std::uint8_t {
    tables,  ///< what Storage::migrate() does
    alter,   ///< alterations, all in one write
    rows,    ///< a fill, some rows a write
  };
  Kind kind = Kind::tables;
  Tolerance::Indexes indexes = Tolerance::Indexes::both;
  /// What is left to do of it, by the tables as they are.
  std::function<Result<std::vector<Alteration>>(const Catalog& stored)> alterations = {};
  std::string table = {};
  std::string where = {};
  std::vector<std::string> needs = {};  ///< without these columns there is nothing to fill
  FillFunction fill = {};
};
using MigrationSteps = std::vector<MigrationStep>;

}  // namespace detail

struct Migrator::Impl {
  using Row = detail::MigrationRow;
  using Rows = std::vector<Row>;
  using Step = detail::MigrationStep;
  using Steps = detail::MigrationSteps;
  using Operation = Migration::Operation;

  std::shared_ptr<Storage> storage;
  Catalog catalog;  ///< with the library's own tables
  std::vector<Migration> migrations;
  Clock& clock;

  [[nodiscard]] std::int64_t version() const;
  [[nodiscard]] const Migration* find(std::int64_t number) const;
  [[nodiscard]] static const Row* find(const Rows& records, std::int64_t number);
  /// Those of the list behind that one.
  [[nodiscard]] std::span<const Migration> after(const Migration& migration) const;
  [[nodiscard]] Result<Catalog> stored() const;
  /// That what was applied is what the list says.
  [[nodiscard]] Result<void> check_records(const Rows& records) const;
  /// What this program accepts of the tables while these are the records.
  [[nodiscard]] detail::Tolerance tolerance(const Rows& records) const;
  /// Final names of columns that operations which are pending will make.
  [[nodiscard]] detail::Tolerance::Columns to_be_made(const Rows& records,
                                                      const Catalog& stored) const;

  // migration_steps.cpp
  [[nodiscard]] Steps steps_up(const Migration& migration) const;
  [[nodiscard]] Steps steps_finalize(const Migration& migration) const;
  [[nodiscard]] Steps steps_down(const Migration& migration, const Row& record) const;

  // migrator.cpp
  Result<void> prepare();
  Result<Rows> records();
  Result<void> insert_pending(const Rows& records, const MigrateOptions& options);
  Result<void> run(std::int64_t number, MigrationState state, const Steps& steps,
                   const MigrateOptions& options);
  Result<void> run_step(const Row& record, const Step& step, const MigrateOptions& options);
  Result<void> make_tables(const Row& record, const Step& step);
  Result<void> alter(const Row& record, const Step& step);
  /// Writes when the record is still as it was; false: somebody else has gone on with it.
  Result<bool> write_if_same(const Row& record, FunctionRef<Result<void>(Writer&, Row&)> change);
  Result<bool> set_state(const Row& record, MigrationState state);
  Result<void> refuse_while_alive(const Row& before, const Row& record);
  Result<void> apply(const Migration& migration, const MigrateOptions& options);
  Result<void> finalize(const Migration& migration, const MigrateOptions& options);
  Result<MigrationPlan> up(const MigrateOptions& options);
  Result<MigrationPlan> down(const MigrateOptions& options);
  Result<MigrationPlan> finalize_all(const MigrateOptions& options);
  Result<std::vector<MigrationStatus>> status();

  // migration_fill.cpp
  Result<void> fill(const Row& record, const Step& step, const MigrateOptions& options);

  // migration_plan.cpp
  Result<MigrationPlan> plan_up(const Rows& records);
  Result<MigrationPlan> plan_down(const Rows& records);
  Result<MigrationPlan> plan_finalize(const Rows& records);
};

namespace detail {

/// The tables that every office has for the sake of migrations and nodes.
[[nodiscard]] Result<void> add_internal_tables(Catalog& catalog);

/// What the catalog brings by itself, as "added" of a record holds it.
[[nodiscard]] Json added_by_catalog(const Catalog& catalog, std::span<const StoredTable> stored,
                                    const Tolerance::Columns& withheld);

/// Brings the tables of an office to what a program can work on.
struct OpenTables {
  std::shared_ptr<Storage> storage;
  const Catalog& catalog;  ///< with the library's own tables
  const std::vector<Migration>& migrations;
  OnOpen on_open;
  Clock& clock;
};
[[nodiscard]] Result<void> open_tables(const OpenTables& open);

/// An error with the field "migrations".
[[nodiscard]] Unexpected refuse_migration(Code code, std::string what);

/// The companion of a column, by name; empty when it has none.
[[nodiscard]] std::string companion_of(const TableInfo& table, std::string_view column);

}  // namespace detail
BUREAU_END_NAMESPACE
