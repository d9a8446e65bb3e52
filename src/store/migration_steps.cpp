// What each operation does when it is applied, finalized and taken back.

#include <fmt/format.h>

#include <algorithm>

#include "store/migration_list.hpp"
#include "store/migrator_impl.hpp"
#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::companion_of;
using Alterations = std::vector<Alteration>;
using detail::MigrationStep;
using detail::MigrationSteps;
using detail::OperationKind;
using detail::Tolerance;

MigrationStep tables_step(Tolerance::Indexes indexes) {
  MigrationStep step;
  step.indexes = indexes;
  return step;
}

MigrationStep alter_step(std::function<Result<Alterations>(const Catalog&)> alterations) {
  MigrationStep step;
  step.kind = MigrationStep::Kind::alter;
  step.alterations = std::move(alterations);
  return step;
}

MigrationStep rows_step(const std::string& table, std::string where, FillFunction fill,
                        std::vector<std::string> needs = {}) {
  MigrationStep step;
  step.kind = MigrationStep::Kind::rows;
  step.table = table;
  step.where = std::move(where);
  step.fill = std::move(fill);
  step.needs = std::move(needs);
  return step;
}

/// The column as it is stored; null when it or its table is not there.
const ColumnInfo* stored_column(const Catalog& stored, const std::string& table,
                                const std::string& column) {
  const TableInfo* info = stored.find(table);
  return info == nullptr ? nullptr : info->find(column);
}

Unexpected refuse_operation(Code code, const Migration::Operation& one, std::string_view column,
                            std::string_view rule) {
  return fail(code, fmt::format("{}.{} {}", one.table, column, rule), "migrations");
}

// Applying --------------------------------------------------------------------------------------

/// `later`: the column as the catalog describes it, under the name that it has then.
Result<Alterations> add_column_of(const Migration::Operation& one, const Catalog& stored,
                                  const TableInfo* table, const ColumnInfo* later) {
  const bool is_there =
      stored.find(one.table) == nullptr || stored_column(stored, one.table, one.column) != nullptr;
  // Its table comes whole with the catalog; or it is gone again in a later migration.
  if (is_there || later == nullptr) return Alterations();
  OwnedValue value(detail::natural_zero(*later));
  if (!one.value.is_null()) {
    BUREAU_TRY(value, from_json(*later, one.value));
  } else if (later->type == Type::id && !later->nullable) {
    return refuse_operation(Code::conflict, one, one.column,
                            "may not be null, and rows have no value for it");
  }
  Alterations all;
  const auto add = [&](const ColumnInfo& column, std::string name, OwnedValue given) {
    Alteration made{Alteration::Kind::add_column, one.table};
    made.described = detail::column_definition(column);
    made.described.set("name", std::move(name));
    made.value = std::move(given);
    all.push_back(std::move(made));
  };
  add(*later, one.column, value);
  if (later->folded) {
    const Value text = value.view();
    add(table->columns[later->folded_index], one.column + std::string(detail::companion_suffix),
        text.is_null() ? OwnedValue() : OwnedValue::text(fold_case(text.as_text())));
  }
  return all;
}

Result<Alterations> begin_rename(const Migration::Operation& one, const Catalog& stored,
                                 const ColumnInfo* later) {
  const ColumnInfo* from = stored_column(stored, one.table, one.column);
  if (from == nullptr || stored_column(stored, one.table, one.to) != nullptr) return Alterations();
  if (later != nullptr && later->type != from->type) {
    return refuse_operation(Code::invalid, one, one.to,
                            fmt::format("is described as {}, and {} is {}: a rename keeps the type",
                                        to_string(later->type), one.column, to_string(from->type)));
  }
  if (later != nullptr && from->nullable && !later->nullable) {
    return refuse_operation(
        Code::invalid, one, one.to,
        fmt::format("may not be null, and {} may: require it in a migration after", one.column));
  }
  Alterations all{{Alteration::Kind::mirror, one.table, one.column, one.to}};
  const std::string companion = companion_of(*stored.find(one.table), one.column);
  if (!companion.empty()) {
    all.push_back({Alteration::Kind::mirror, one.table, companion,
                   one.to + std::string(detail::companion_suffix)});
  }
  return all;
}

/// What the version before finds in rows that this one makes.
Result<Alterations> begin_drop(const Migration::Operation& one, const Catalog& stored) {
  Alterations all;
  const ColumnInfo* column = stored_column(stored, one.table, one.column);
  if (column == nullptr) return all;
  // Where null may be, it stands for itself: what the version before inserts stays as it is.
  OwnedValue value(detail::natural_zero(*column));
  if (!column->nullable && !one.value.is_null()) {
    BUREAU_TRY(value, from_json(*column, one.value));
  }
  Alteration made{Alteration::Kind::stand_in, one.table, one.column};
  made.value = value;
  all.push_back(made);
  const std::string companion = companion_of(*stored.find(one.table), one.column);
  if (companion.empty()) return all;
  made.column = companion;
  if (!column->nullable) made.value = OwnedValue::text(fold_case(value.view().as_text()));
  all.push_back(std::move(made));
  return all;
}

MigrationStep copy_step(const Migration::Operation& one) {
  return rows_step(one.table, fmt::format("{} is null and {} is not null", one.to, one.column),
                   [from = one.column, to = one.to](FillRow& row) -> Result<void> {
                     row.set(to, row.get(from));
                     return {};
                   },
                   {one.column, one.to});
}

// Its ends --------------------------------------------------------------------------------------

Result<Alterations> end_drop(const Migration::Operation& one, const Catalog& stored) {
  Alterations all;
  if (stored_column(stored, one.table, one.column) == nullptr) return all;
  for (const std::string& column :
       {one.column, companion_of(*stored.find(one.table), one.column)}) {
    if (column.empty()) continue;
    all.push_back({Alteration::Kind::end_stand_in, one.table, column});
    all.push_back({Alteration::Kind::drop_column, one.table, column});
  }
  return all;
}

/// Takes one of the two names away.
Result<Alterations> end_rename(const Migration::Operation& one, const Catalog& stored,
                               bool takes_new, bool required) {
  Alterations all;
  const bool both = stored_column(stored, one.table, one.column) != nullptr &&
                    stored_column(stored, one.table, one.to) != nullptr;
  if (!both) return all;
  const TableInfo& table = *stored.find(one.table);
  const std::string from = companion_of(table, one.column);
  const std::string to = companion_of(table, one.to);
  const auto end = [&](const std::string& old, const std::string& renamed) {
    all.push_back({Alteration::Kind::end_mirror, one.table, old, renamed});
    all.push_back({Alteration::Kind::drop_column, one.table, takes_new ? renamed : old});
    if (required) all.push_back({Alteration::Kind::require, one.table, renamed});
  };
  end(one.column, one.to);
  if (!from.empty() && !to.empty()) end(from, to);
  return all;
}

Result<Alterations> end_require(const Migration::Operation& one, const Catalog& stored) {
  Alterations all;
  const ColumnInfo* column = stored_column(stored, one.table, one.column);
  if (column == nullptr || !column->nullable) return all;
  all.push_back({Alteration::Kind::require, one.table, one.column});
  const std::string companion = companion_of(*stored.find(one.table), one.column);
  if (!companion.empty()) all.push_back({Alteration::Kind::require, one.table, companion});
  return all;
}

Result<Alterations> drop_column_of(const std::string& table, const std::string& column,
                                   const Catalog& stored) {
  Alterations all;
  if (stored_column(stored, table, column) == nullptr) return all;
  all.push_back({Alteration::Kind::drop_column, table, column});
  const std::string companion = companion_of(*stored.find(table), column);
  if (!companion.empty()) all.push_back({Alteration::Kind::drop_column, table, companion});
  return all;
}

Result<Alterations> drop_table_of(const std::string& table, const Catalog& stored) {
  if (stored.find(table) == nullptr) return Alterations();
  return Alterations{{Alteration::Kind::drop_table, table}};
}

}  // namespace

MigrationSteps Migrator::Impl::steps_up(const Migration& migration) const {
  MigrationSteps steps{tables_step(Tolerance::Indexes::stored)};
  const auto later = [this, &migration](const Migration::Operation& one,
                                        const std::string& column) {
    return detail::described_later(catalog, after(migration), one.table, column);
  };
  for (const Migration::Operation& one : migration.operations()) {
    if (one.kind == OperationKind::add_column) {
      const TableInfo* table = catalog.find(one.table);
      const ColumnInfo* column = later(one, one.column);
      steps.push_back(alter_step([&one, table, column](const Catalog& stored) {
        return add_column_of(one, stored, table, column);
      }));
    } else if (one.kind == OperationKind::rename_column) {
      const ColumnInfo* column = later(one, one.to);
      steps.push_back(alter_step(
          [&one, column](const Catalog& stored) { return begin_rename(one, stored, column); }));
      steps.push_back(copy_step(one));
    } else if (one.kind == OperationKind::drop_column) {
      steps.push_back(
          alter_step([&one](const Catalog& stored) { return begin_drop(one, stored); }));
    } else if (one.kind == OperationKind::fill) {
      steps.push_back(rows_step(one.table, one.where, one.up));
    }
  }
  steps.push_back(tables_step(Tolerance::Indexes::both));
  return steps;
}

/// What the version before has written meanwhile is filled first; then goes what only it needs.
MigrationSteps Migrator::Impl::steps_finalize(const Migration& migration) const {
  MigrationSteps steps;
  for (const Migration::Operation& one : migration.operations()) {
    if (one.kind == OperationKind::fill) steps.push_back(rows_step(one.table, one.where, one.up));
    if (one.kind != OperationKind::require) continue;
    const auto fill = [this, &one](FillRow& row) -> Result<void> {
      const TableInfo* table = catalog.find(one.table);
      const ColumnInfo* column = table == nullptr ? nullptr : table->find(one.column);
      if (column == nullptr) return {};  // gone again in a later migration
      BUREAU_TRY(const OwnedValue value, from_json(*column, one.value));
      row.set(one.column, value.view());
      return {};
    };
    steps.push_back(rows_step(one.table, one.column + " is null", fill, {one.column}));
  }
  steps.push_back(tables_step(Tolerance::Indexes::own));
  for (const Migration::Operation& one : migration.operations()) {
    if (one.kind == OperationKind::rename_column) {
      const ColumnInfo* later =
          detail::described_later(catalog, after(migration), one.table, one.to);
      const bool required = later != nullptr && !later->nullable;
      steps.push_back(alter_step([&one, required](const Catalog& stored) {
        return end_rename(one, stored, false, required);
      }));
    } else if (one.kind == OperationKind::drop_column) {
      steps.push_back(alter_step([&one](const Catalog& stored) { return end_drop(one, stored); }));
    } else if (one.kind == OperationKind::require) {
      steps.push_back(
          alter_step([&one](const Catalog& stored) { return end_require(one, stored); }));
    } else if (one.kind == OperationKind::drop_table) {
      steps.push_back(
          alter_step([&one](const Catalog& stored) { return drop_table_of(one.table, stored); }));
    }
  }
  steps.push_back(tables_step(Tolerance::Indexes::own));
  return steps;
}

MigrationSteps Migrator::Impl::steps_down(const Migration& migration, const Row& record) const {
  MigrationSteps steps;
  const auto& operations = migration.operations();
  for (auto at = operations.rbegin(); at != operations.rend(); ++at) {
    const Migration::Operation& one = *at;
    if (one.kind == OperationKind::fill && one.down) {
      steps.push_back(rows_step(one.table, one.down_where, one.down));
    } else if (one.kind == OperationKind::rename_column) {
      steps.push_back(alter_step(
          [&one](const Catalog& stored) { return end_rename(one, stored, true, false); }));
    } else if (one.kind == OperationKind::drop_column) {
      steps.push_back(alter_step([&one](const Catalog& stored) -> Result<Alterations> {
        BUREAU_TRY(Alterations all, end_drop(one, stored));
        std::erase_if(all,
                      [](const Alteration& a) { return a.kind == Alteration::Kind::drop_column; });
        return all;
      }));
    } else if (one.kind == OperationKind::add_column) {
      steps.push_back(alter_step(
          [&one](const Catalog& stored) { return drop_column_of(one.table, one.column, stored); }));
    } else if (one.kind == OperationKind::add_table) {
      steps.push_back(
          alter_step([&one](const Catalog& stored) { return drop_table_of(one.table, stored); }));
    }
  }
  for (const Json& added : detail::list_member(record.operations, "added")) {
    const std::string table = detail::text_member(added, "table");
    const std::string column = detail::text_member(added, "column");
    steps.push_back(alter_step([table, column](const Catalog& stored) {
      return column.empty() ? drop_table_of(table, stored) : drop_column_of(table, column, stored);
    }));
  }
  return steps;
}

namespace detail {

std::string companion_of(const TableInfo& table, std::string_view column) {
  const ColumnInfo* found = table.find(column);
  if (found == nullptr || !found->folded) return {};
  return std::string(table.columns[found->folded_index].name);
}

}  // namespace detail
BUREAU_END_NAMESPACE
