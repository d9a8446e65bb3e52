#pragma once

// How a command makes, changes and removes rows of any table. Where a domain keeps something beside
// the row (a number, a state, a history), its own calls are used, so that a row from the command
// line is as good as one from a program.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/bureau.hpp"

namespace cli {

/// A column's value as it was given.
struct Field {
  const bureau::ColumnInfo* column = nullptr;
  bureau::OwnedValue value;
};
using Fields = std::vector<Field>;

struct EntityRules {
  /// Columns that `create` takes; empty: those of the table that the library does not keep.
  std::vector<const bureau::ColumnInfo*> create_columns;
  /// The same of `change`.
  std::vector<const bureau::ColumnInfo*> change_columns;
  /// Columns that are never null, but may be given so: the row's value follows from others then.
  std::vector<const bureau::ColumnInfo*> derived_when_null;
  std::function<bureau::Result<std::int64_t>(bureau::Unit&, const Fields&)> create;
  std::function<bureau::Result<void>(bureau::Unit&, std::int64_t id, const Fields&)> change;
  std::function<bureau::Result<void>(bureau::Unit&, std::int64_t id)> remove;
  /// Not empty: what to do instead of creating, changing or removing.
  std::string_view refuse_create, refuse_change, refuse_remove;
};

[[nodiscard]] EntityRules rules_of(const bureau::TableInfo& table);

/// The table's column, or one that `create` or `change` takes besides. `invalid` names those that
/// may be given.
[[nodiscard]] bureau::Result<const bureau::ColumnInfo*> column_to_create(
    const bureau::TableInfo& table, const EntityRules& rules, std::string_view name);
[[nodiscard]] bureau::Result<const bureau::ColumnInfo*> column_to_change(
    const bureau::TableInfo& table, const EntityRules& rules, std::string_view name);

/// A column's value as text or JSON gives it; null also where the rules say that it may be given.
[[nodiscard]] bureau::Result<bureau::OwnedValue> value_of_text(const EntityRules& rules,
                                                               const bureau::ColumnInfo& column,
                                                               std::string_view text);
[[nodiscard]] bureau::Result<bureau::OwnedValue> value_of_json(const EntityRules& rules,
                                                               const bureau::ColumnInfo& column,
                                                               const bureau::Json& json);

/// The id of the new row. `id`: the row's own, 0 for a new one.
[[nodiscard]] bureau::Result<std::int64_t> create_row(bureau::Unit& unit,
                                                      const bureau::TableInfo& table,
                                                      const EntityRules& rules,
                                                      const Fields& fields, std::int64_t id = 0);
[[nodiscard]] bureau::Result<void> change_row(bureau::Unit& unit, const bureau::TableInfo& table,
                                              const EntityRules& rules, std::int64_t id,
                                              const Fields& fields);
[[nodiscard]] bureau::Result<void> remove_row(bureau::Unit& unit, const bureau::TableInfo& table,
                                              const EntityRules& rules, std::int64_t id);

}  // namespace cli
