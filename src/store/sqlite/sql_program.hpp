#pragma once

#include <string>
#include <string_view>

#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// Why the program that SQLite makes of this statement may not run: it reads a secret column, or
/// what this program's catalog does not know; empty: it may. SQLite's authorizer is not asked about
/// every column: those that a FULL JOIN with USING or NATURAL makes one are read without a word.
/// REQUIRES: a SELECT, in the transaction in which it will run.
Result<std::string> objection_to(Connection& connection, const Catalog& catalog,
                                 std::string_view text);

/// Tables without secrets that no catalog names.
bool is_open_table(std::string_view name);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
