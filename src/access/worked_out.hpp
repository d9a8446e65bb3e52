#pragma once

#include "bureau/access/repository.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Rows::update() of a row, some columns of which the library has worked out from what the
/// principal asked for: those are written as they are, also where they are hidden from him.
/// Everything else is his and is judged. REQUIRES: the row has its hidden columns.
[[nodiscard]] Result<void> update_working_out(const Rows& rows, std::span<Value> row,
                                              std::span<const std::string_view> columns);

/// The same of an entity.
template <Entity T>
[[nodiscard]] Result<T> update_working_out(const Scope& scope, const T& row,
                                           std::span<const std::string_view> columns) {
  std::vector<Value> values(table_of<T>().width());
  Scratch scratch;
  to_values(row, values, scratch);
  BUREAU_TRY_VOID(update_working_out(Rows(scope, table_of<T>()), std::span(values), columns));
  T written;
  from_values(values, written);
  return written;
}

}  // namespace detail
BUREAU_END_NAMESPACE
