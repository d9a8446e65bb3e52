#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/json.hpp"
#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The description of a table as a database keeps it, to tell later what has changed. Its form is
/// frozen: it is in every file.
[[nodiscard]] Json definition_of(const TableInfo& table);

/// One of its columns.
[[nodiscard]] Json column_definition(const ColumnInfo& column);

/// A description out of its text in the database. `corrupt` names database and table.
[[nodiscard]] Result<Json> read_definition(std::string_view where, std::string_view table,
                                           std::string_view text);

/// Members of such a description; empty where there is none of that kind.
[[nodiscard]] std::string text_member(const Json& json, std::string_view key);
[[nodiscard]] const Json::Array& list_member(const Json& json, std::string_view key);

/// A description out of its parts.
[[nodiscard]] Json table_definition(Json::Array columns, Json::Array indexes, bool by_month);
[[nodiscard]] bool is_by_month(const Json& definition);

/// In a stored description: the names of indexes that are being built beside it, or that were cut
/// off in that. They are in none of its lists of indexes.
inline constexpr std::string_view unbuilt_member = "unbuilt";

/// Whether what is stored says what is described: in which order columns and indexes come is of no
/// matter, and a table that is stored as one by month need not be described as one.
[[nodiscard]] bool same_definition(const Json& stored, const Json& described);

/// What a migration has to do to a table that is there.
struct TableChange {
  std::vector<const ColumnInfo*> columns;  ///< that are new, with the companions of folded ones
  std::vector<const ColumnInfo*> folded;   ///< whose companions are new and are to be filled
  std::vector<std::string> dropped;        ///< names of indexes, as the description has them
  std::vector<const IndexInfo*> indexes;   ///< that are new or other than they were
};

/// What lies between a stored definition and the table as it is described now. `conflict`, with the
/// column as its field, when a column's values would be lost or read as something else, or when the
/// rows that are there have no value for a new one. `where` names the database in errors.
[[nodiscard]] Result<TableChange> change_of(std::string_view where, const TableInfo& table,
                                            const Json& stored);

/// The error of a unique index that the rows which are there break.
[[nodiscard]] Error breaks_index(std::string_view where, const TableInfo& table,
                                 const IndexInfo& index);

}  // namespace detail
BUREAU_END_NAMESPACE
