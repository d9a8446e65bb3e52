#pragma once

#include "bureau/store/alteration.hpp"
#include "bureau/store/table.hpp"
#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// Writer::alter() in the transaction that is open: when it fails, what it has begun is there.
Result<void> alter_table(Connection& connection, const Alteration& alteration);

/// `conflict` when rows that are there break a unique one.
Result<void> create_index(Connection& connection, const TableInfo& table, const IndexInfo& index);

/// "INTEGER" and so on: what a column's type is to SQLite.
[[nodiscard]] std::string_view storage_type(Type type);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
