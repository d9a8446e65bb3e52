#pragma once

#include "bureau/access/repository.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Rows::insert() of one row, some columns of which name what another row names already: whether
/// that is still there, and in sight, is not asked again. Everything else is.
[[nodiscard]] Result<void> insert_taking_over(const Rows& rows, std::span<Value> row,
                                              std::span<const std::string_view> columns);

/// The same of an entity.
template <Entity T>
[[nodiscard]] Result<T> insert_taking_over(const Scope& scope, T row,
                                           std::initializer_list<std::string_view> columns) {
  std::vector<Value> values(table_of<T>().width());
  Scratch scratch;
  to_values(row, values, scratch);
  BUREAU_TRY_VOID(insert_taking_over(Rows(scope, table_of<T>()), std::span(values),
                                     std::span(columns.begin(), columns.size())));
  T written;
  from_values(values, written);
  return written;
}

}  // namespace detail
BUREAU_END_NAMESPACE
