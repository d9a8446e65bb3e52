#pragma once

#include "bureau/store/storage.hpp"
#include "store/postgres/failure.hpp"
#include "store/postgres/wire.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// Hands the rows of a result to a sink until it wants no more. The result is whole and in memory:
/// a sink may run other statements.
Result<void> give_rows(const PGresult* result, RowSink sink);
/// The same of an aggregate's: sums of integers come as texts, and may not fit (`exhausted`).
Result<void> give_figures(const PGresult* result, const Aggregate& aggregate, RowSink sink);

/// The columns whose sums the server itself may refuse.
[[nodiscard]] std::vector<const ColumnInfo*> summed_columns(const Aggregate& aggregate);
[[nodiscard]] std::vector<const ColumnInfo*> added_columns(const Update& update);

/// `deadline` when it has passed: a statement that begins late is told at once.
[[nodiscard]] Result<void> check_deadline(const Clock& clock, Monotonic deadline,
                                          std::string_view where);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
