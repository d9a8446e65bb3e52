// What up, down and finalize would do, and what would be lost.

#include <fmt/format.h>

#include "bureau/store/predicate.hpp"
#include "store/migration_list.hpp"
#include "store/migrator_impl.hpp"
#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::MigrationRow;
using detail::OperationKind;

std::string place_of(const Migration::Operation& one) { return one.table + "." + one.column; }

std::string rows_text(std::int64_t rows) {
  return rows == 1 ? "1 row" : fmt::format("{} rows", rows);
}

/// Writes the steps of one plan, and counts what they would cost.
class Planner {
 public:
  Planner(Storage& storage, const Catalog& stored) : storage_(storage), stored_(stored) {}

  [[nodiscard]] MigrationPlan take() { return std::move(plan_); }

  void say(std::int64_t number, std::string text, std::string lost = {}) {
    plan_.steps.push_back({number, std::move(text), std::move(lost)});
  }

  Result<void> up(std::int64_t number, const Migration::Operation& one) {
    switch (one.kind) {
      case OperationKind::add_table:
        say(number, fmt::format("table {}: new", one.table));
        return {};
      case OperationKind::add_column:
        say(number, fmt::format("{}: new{}", place_of(one),
                                one.value.is_null() ? "" : ", with " + one.value.dump()));
        return {};
      case OperationKind::rename_column:
        say(number, fmt::format("{}: also named {}, and both kept in step", place_of(one), one.to));
        return {};
      case OperationKind::drop_column:
        say(number,
            fmt::format("{}: no longer used; it goes when this is finalized", place_of(one)));
        return {};
      case OperationKind::drop_table:
        say(number,
            fmt::format("table {}: no longer used; it goes when this is finalized", one.table));
        return {};
      case OperationKind::require:
        say(number, fmt::format("{}: may not be null from when this is finalized", place_of(one)));
        return {};
      case OperationKind::fill: {
        BUREAU_TRY(const std::int64_t rows, count(one.table, one.where));
        say(number, fmt::format("{}: {} ({} now)", one.table, one.label, rows_text(rows)));
        return {};
      }
    }
    return {};
  }

  Result<void> finalize(std::int64_t number, const Migration::Operation& one) {
    switch (one.kind) {
      case OperationKind::rename_column:
        say(number, fmt::format("{}: goes; its values are in {}", place_of(one), one.to));
        return {};
      case OperationKind::drop_column: {
        BUREAU_TRY(const std::string lost, values_in(one.table, one.column));
        say(number, place_of(one) + ": goes", lost);
        return {};
      }
      case OperationKind::drop_table: {
        BUREAU_TRY(const std::string lost, rows_of(one.table));
        say(number, fmt::format("table {}: goes", one.table), lost);
        return {};
      }
      case OperationKind::require: {
        BUREAU_TRY(const std::int64_t rows, count(one.table, one.column + " is null"));
        say(number, fmt::format("{}: may not be null; {} without get {}", place_of(one),
                                rows_text(rows), one.value.dump()));
        return {};
      }
      case OperationKind::fill: {
        BUREAU_TRY(const std::int64_t rows, count(one.table, one.where));
        say(number,
            fmt::format("{}: {}, once more ({} now)", one.table, one.label, rows_text(rows)));
        return {};
      }
      default:
        return {};
    }
  }

  Result<void> down(std::int64_t number, const Migration::Operation& one) {
    switch (one.kind) {
      case OperationKind::add_table:
        return down_table(number, one.table);
      case OperationKind::add_column:
        return down_column(number, one.table, one.column);
      case OperationKind::rename_column:
        say(number,
            fmt::format("{}.{}: goes; its values are in {}", one.table, one.to, one.column));
        return {};
      case OperationKind::drop_column:
        say(number, place_of(one) + ": is used again");
        return {};
      case OperationKind::drop_table:
        say(number, fmt::format("table {}: is used again", one.table));
        return {};
      case OperationKind::require:
        say(number, place_of(one) + ": may be null, as before");
        return {};
      case OperationKind::fill:
        break;
    }
    if (!one.down) {
      say(number, fmt::format("{}: {} stays as it is", one.table, one.label));
      return {};
    }
    BUREAU_TRY(const std::int64_t rows, count(one.table, one.down_where));
    say(number, fmt::format("{}: {} backwards ({} now)", one.table, one.label, rows_text(rows)));
    return {};
  }

  Result<void> down_table(std::int64_t number, const std::string& table) {
    BUREAU_TRY(const std::string lost, rows_of(table));
    say(number, fmt::format("table {}: goes", table), lost);
    return {};
  }

  Result<void> down_column(std::int64_t number, const std::string& table,
                           const std::string& column) {
    BUREAU_TRY(const std::string lost, values_in(table, column));
    say(number, fmt::format("{}.{}: goes", table, column), lost);
    return {};
  }

 private:
  /// 0 where the table or a column of the predicate is not there yet.
  Result<std::int64_t> count(const std::string& table, const std::string& where) {
    const TableInfo* info = stored_.find(table);
    if (info == nullptr) return std::int64_t{0};
    const auto which = Predicate::parse(*info, where, &stored_);
    return which ? count(*info, *which) : std::int64_t{0};
  }

  Result<std::int64_t> count(const TableInfo& table, const Predicate& which) {
    std::int64_t rows = 0;
    const Aggregate all{&table, which, {}, {{Aggregate::Function::count, nullptr}}};
    BUREAU_TRY_VOID(storage_.read(Monotonic::never(), [&](Reader& reader) {
      return reader.aggregate(all, [&](std::span<const Value> row) -> Result<bool> {
        rows = row[0].as_integer();
        return true;
      });
    }));
    return rows;
  }

  Result<std::string> rows_of(const std::string& table) {
    const TableInfo* info = stored_.find(table);
    if (info == nullptr) return std::string();
    BUREAU_TRY(const std::int64_t rows, count(*info, {}));
    return rows == 0 ? std::string() : fmt::format("table {} with {}", table, rows_text(rows));
  }

  /// Those that say more than that the column was made: neither null nor the zero of its type.
  Result<std::string> values_in(const std::string& table, const std::string& column) {
    const TableInfo* info = stored_.find(table);
    const ColumnInfo* found = info == nullptr ? nullptr : info->find(column);
    if (found == nullptr) return std::string();
    const Value zero = detail::natural_zero(*found);
    const Predicate which =
        zero.is_null()
            ? detail::compare_column(*found, Predicate::Op::is_not_null, {})
            : detail::compare_column(*found, Predicate::Op::not_equal, {OwnedValue(zero)});
    BUREAU_TRY(const std::int64_t rows, count(*info, which));
    return rows == 0 ? std::string() : fmt::format("{}.{} of {}", table, column, rows_text(rows));
  }

  Storage& storage_;
  const Catalog& stored_;
  MigrationPlan plan_;
};

std::string added_text(const Json& added) {
  const std::string column = detail::text_member(added, "column");
  const std::string table = detail::text_member(added, "table");
  return column.empty() ? fmt::format("table {}: new", table)
                        : fmt::format("{}.{}: new", table, column);
}

}  // namespace

Result<MigrationPlan> Migrator::Impl::plan_up(const Rows& records) {
  BUREAU_TRY(const auto tables, storage->stored_tables());
  BUREAU_TRY(const Catalog there, make_catalog(tables));
  Planner planner(*storage, there);
  for (const Migration& one : migrations) {
    const Row* row = find(records, one.number());
    const bool applied = row != nullptr && row->state != MigrationState::expanding &&
                         row->state != MigrationState::reverting;
    const bool last = one.number() == version();
    if (!applied && last) {
      const Json added = row == nullptr
                             ? detail::added_by_catalog(catalog, tables, to_be_made(records, there))
                             : Json::array(detail::list_member(row->operations, "added"));
      for (const Json& each : *added.as_array()) planner.say(one.number(), added_text(each));
    }
    for (const Migration::Operation& operation : one.operations()) {
      if (!applied) BUREAU_TRY_VOID(planner.up(one.number(), operation));
    }
    // Once begun, it was agreed to.
    if (last || (applied && row->state != MigrationState::expanded)) continue;
    for (const Migration::Operation& operation : one.operations()) {
      BUREAU_TRY_VOID(planner.finalize(one.number(), operation));
    }
  }
  return planner.take();
}

Result<MigrationPlan> Migrator::Impl::plan_finalize(const Rows& records) {
  BUREAU_TRY(const Catalog there, stored());
  Planner planner(*storage, there);
  for (const Migration& one : migrations) {
    const Row* row = find(records, one.number());
    if (row == nullptr || row->state != MigrationState::expanded) continue;
    for (const Migration::Operation& operation : one.operations()) {
      BUREAU_TRY_VOID(planner.finalize(one.number(), operation));
    }
  }
  return planner.take();
}

Result<MigrationPlan> Migrator::Impl::plan_down(const Rows& records) {
  if (records.empty()) return MigrationPlan();
  const Row& newest = records.back();
  const std::int64_t number = newest.id.value;
  const Migration* migration = find(number);
  if (migration == nullptr) {
    return fail(
        Code::upgraded,
        fmt::format("migration {} ({}) is a newer program's: only that one can take it back",
                    number, newest.name),
        "migrations");
  }
  if (newest.state == MigrationState::finalized || newest.state == MigrationState::finalizing) {
    return fail(Code::conflict,
                fmt::format("migration {} ({}) is finalized: there is no way back but a backup",
                            number, newest.name),
                "migrations");
  }
  BUREAU_TRY(const Catalog there, stored());
  Planner planner(*storage, there);
  const auto& operations = migration->operations();
  for (auto at = operations.rbegin(); at != operations.rend(); ++at) {
    BUREAU_TRY_VOID(planner.down(number, *at));
  }
  for (const Json& added : detail::list_member(newest.operations, "added")) {
    const std::string table = detail::text_member(added, "table");
    const std::string column = detail::text_member(added, "column");
    BUREAU_TRY_VOID(column.empty() ? planner.down_table(number, table)
                                   : planner.down_column(number, table, column));
  }
  return planner.take();
}

BUREAU_END_NAMESPACE
