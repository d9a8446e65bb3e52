#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bureau/store/alteration.hpp"
#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// A table before and after an alteration. What is pointed to lives as long as the process.
struct AlteredTable {
  const TableInfo* before = nullptr;
  const TableInfo* after = nullptr;    ///< null: the table is gone
  const ColumnInfo* column = nullptr;  ///< what it is about, in `before`; null when that is new
  const ColumnInfo* added = nullptr;   ///< in `after`
  Json definition;                     ///< of `after`; null: the table is gone
  std::vector<std::string> dropped;    ///< indexes that go with a column
};

/// `stored`: the table's definition, null when there is no such table. `where` names the database
/// in errors, which are those of Writer::alter().
[[nodiscard]] Result<AlteredTable> altered_table(std::string_view where, const Json* stored,
                                                 const Alteration& alteration);

/// The error of a column that may not be null and is, in some row.
[[nodiscard]] Error holds_nulls(std::string_view where, const Alteration& alteration);

/// Whether an index is of the column, or its condition asks for it.
[[nodiscard]] bool uses(const TableInfo& table, const IndexInfo& index, const ColumnInfo& column);

}  // namespace detail
BUREAU_END_NAMESPACE
