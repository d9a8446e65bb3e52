#pragma once

// Rows that the library completes on behalf of a principal: what he asks for is his and is judged;
// what follows from it is the library's, also in columns that are hidden from him.

#include <algorithm>
#include <initializer_list>

#include "bureau/access/repository.hpp"
#include "store/row_values.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Rows::insert() of one row, some columns of which name what another row names already: whether
/// that is still there, and in sight, is not asked again. Everything else is.
[[nodiscard]] Result<void> insert_taking_over(const Rows& rows, std::span<Value> row,
                                              std::span<const std::string_view> columns);
/// Rows::update() of a row, some columns of which the library has worked out from what the
/// principal asked for: those are written as they are, also where they are hidden from him or
/// immutable.
/// Everything else is his and is judged. REQUIRES: the row has its hidden columns.
[[nodiscard]] Result<void> update_working_out(const Rows& rows, std::span<Value> row,
                                              std::span<const std::string_view> columns);

/// The same two of an entity; they return the row as it was written.
template <Entity T, class Write>
[[nodiscard]] Result<T> written_by(Write&& write, const Scope& scope, const T& row,
                                   std::span<const std::string_view> columns) {
  const RowValues given(row);
  std::vector<Value> values(given.values().begin(), given.values().end());
  BUREAU_TRY_VOID(write(Rows(scope, table_of<T>()), std::span(values), columns));
  T written;
  from_values(values, written);
  return written;
}
template <Entity T>
[[nodiscard]] Result<T> insert_taking_over(const Scope& scope, const T& row,
                                           std::initializer_list<std::string_view> columns) {
  return written_by([](const auto&... of) { return insert_taking_over(of...); }, scope, row,
                    std::span(columns.begin(), columns.size()));
}
template <Entity T>
[[nodiscard]] Result<T> update_working_out(const Scope& scope, const T& row,
                                           std::span<const std::string_view> columns) {
  return written_by([](const auto&... of) { return update_working_out(of...); }, scope, row,
                    columns);
}

/// The row as it is stored, when the principal sees it: what follows from a change is worked out
/// from all its columns, whichever are hidden from him.
template <Entity T>
[[nodiscard]] Result<T> stored_row(Unit& unit, Id<T> id) {
  BUREAU_TRY(T stored, Repository<T>{Scope(unit)}.find(id));
  if (!unit.hides(table_of<T>())) return stored;
  BUREAU_TRY_VOID(unit.transaction().reader().find(table_of<T>(), id.value,
                                                   [&](std::span<const Value> row) -> Result<bool> {
                                                     from_values(row, stored);
                                                     return true;
                                                   }));
  return stored;
}

/// What the principal is given of a row that was written for him; out of sight now, as one that was
/// handed on may be, it has its id alone.
template <Entity T>
[[nodiscard]] Result<T> as_seen(Unit& unit, T saved) {
  if (!unit.hides(table_of<T>())) return saved;
  auto seen = Repository<T>{Scope(unit)}.find(saved.id);
  if (seen || seen.error().code != Code::not_found) return seen;
  T out_of_sight;
  out_of_sight.id = saved.id;
  return out_of_sight;
}

/// Writes what follows from something that a principal was allowed to do: nothing of it is judged.
template <Entity T>
[[nodiscard]] Result<T> replace_consequence(Transaction& transaction, const T& before, T after) {
  after.version = before.version + 1;
  // The clock may have stepped back.
  after.updated_at = std::max(transaction.now(), before.created_at);
  BUREAU_TRY_VOID(
      transaction.replace(table_of<T>(), RowValues(before).values(), RowValues(after).values()));
  return after;
}
template <Entity T>
[[nodiscard]] Result<T> replace_consequence(Unit& unit, const T& before, T after) {
  return replace_consequence(unit.transaction(), before, std::move(after));
}

/// Makes `row` the next state of the one that is there: what the library keeps of it.
template <Entity T>
void succeed(const T& present, T& row) {
  take_kept(RowValues(present).values(), row);
}

}  // namespace detail
BUREAU_END_NAMESPACE
