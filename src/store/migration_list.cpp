#include "store/migration_list.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

#include "bureau/store/predicate.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

Unexpected refuse_list(const Migration& migration, std::string_view what) {
  return fail(Code::invalid, fmt::format("migration {}: {}", migration.number(), what),
              "migrations");
}

/// Follows a list to its end, and compares that with the catalog.
class ListCheck {
 public:
  explicit ListCheck(const Catalog& catalog) : catalog_(catalog) {}

  Result<void> run(std::span<const Migration> migrations) {
    std::int64_t last = 0;
    for (const Migration& migration : migrations) {
      if (migration.number() <= last) {
        return refuse_list(migration, fmt::format("comes after {}; numbers rise, from 1", last));
      }
      last = migration.number();
      if (migration.name().empty() || migration.name().size() > 200) {
        return refuse_list(migration, "its name is a text of 1 to 200 bytes");
      }
      BUREAU_TRY_VOID(check(migration));
    }
    return check_end();
  }

 private:
  using Place = std::pair<std::string, std::string>;

  Result<void> check(const Migration& migration) {
    touched_.clear();
    for (const Migration::Operation& one : migration.operations()) {
      if (!is_plain_name(one.table) || one.table.starts_with("bureau_")) {
        return refuse_list(
            migration, fmt::format("'{}' is no name of a table of the program's own", one.table));
      }
      BUREAU_TRY_VOID(check(migration, one));
    }
    return {};
  }

  Result<void> check(const Migration& migration, const Migration::Operation& one) {
    if (one.kind == OperationKind::fill) {
      if (one.up && !one.label.empty()) return {};
      return refuse_list(migration,
                         fmt::format("a fill of {} needs a label and a function", one.table));
    }
    if (one.kind == OperationKind::add_table || one.kind == OperationKind::drop_table) {
      tables_[one.table] = {&migration, one.kind == OperationKind::add_table};
      return {};
    }
    BUREAU_TRY_VOID(touch(migration, one.table, one.column));
    const bool stays = one.kind == OperationKind::add_column || one.kind == OperationKind::require;
    columns_[{one.table, one.column}] = {&migration, stays, one.kind == OperationKind::require};
    if (one.kind == OperationKind::rename_column) {
      BUREAU_TRY_VOID(touch(migration, one.table, one.to));
      columns_[{one.table, one.to}] = {&migration, true, false};
    }
    if (one.kind == OperationKind::require && one.value.is_null()) {
      return refuse_list(migration,
                         fmt::format("{}.{}: rows without need a value", one.table, one.column));
    }
    return {};
  }

  /// In the time of two versions a column can be on one way only.
  Result<void> touch(const Migration& migration, const std::string& table,
                     const std::string& column) {
    if (!is_plain_name(column) || column == "id" || column.ends_with(companion_suffix)) {
      return refuse_list(migration,
                         fmt::format("'{}' is no name of a column that it can be about", column));
    }
    if (touched_.emplace(table, column).second) return {};
    return refuse_list(migration,
                       fmt::format("{}.{} is in two of its operations; make two migrations "
                                   "of it",
                                   table, column));
  }

  Result<void> check_end() const {
    for (const auto& [table, end] : tables_) {
      const bool described = catalog_.find(table) != nullptr;
      if (described == end.stays) continue;
      return refuse_list(*end.migration,
                         fmt::format("table '{}' is {}, and the catalog {}", table,
                                     end.stays ? "added" : "dropped",
                                     described ? "still describes it" : "does not describe it"));
    }
    for (const auto& [place, end] : columns_) {
      const TableInfo* table = catalog_.find(place.first);
      if (table == nullptr) continue;
      const ColumnInfo* column = table->find(place.second);
      if ((column != nullptr) != end.stays) {
        return refuse_list(
            *end.migration,
            fmt::format("{}.{} {}", place.first, place.second,
                        end.stays ? "is its work, and the catalog does not describe it"
                                  : "goes with it, and the catalog still describes it"));
      }
      if (end.required && column->nullable) {
        return refuse_list(*end.migration,
                           fmt::format("{}.{} may not be null, and the catalog says that it may",
                                       place.first, place.second));
      }
    }
    return {};
  }

  struct TableEnd {
    const Migration* migration;
    bool stays;
  };
  struct ColumnEnd {
    const Migration* migration;
    bool stays;
    bool required;
  };
  const Catalog& catalog_;
  std::map<std::string, TableEnd> tables_;
  std::map<Place, ColumnEnd> columns_;
  std::set<Place> touched_;
};

}  // namespace

Result<void> check_migrations(const Catalog& catalog, std::span<const Migration> migrations) {
  return ListCheck(catalog).run(migrations);
}

const ColumnInfo* described_later(const Catalog& catalog, std::span<const Migration> after,
                                  std::string_view table, std::string_view column) {
  for (const Migration& migration : after) {
    for (const Migration::Operation& one : migration.operations()) {
      if (one.table != table) continue;
      if (one.kind == OperationKind::drop_table) return nullptr;
      if (one.column != column) continue;
      if (one.kind == OperationKind::drop_column) return nullptr;
      if (one.kind == OperationKind::rename_column) {
        column = one.to;
        break;
      }
    }
  }
  const TableInfo* info = catalog.find(table);
  return info == nullptr ? nullptr : info->find(column);
}

std::int64_t version_of(std::span<const Migration> migrations) {
  return migrations.empty() ? 0 : migrations.back().number();
}

}  // namespace detail
BUREAU_END_NAMESPACE
