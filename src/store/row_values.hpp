#pragma once

#include <optional>
#include <span>
#include <vector>

#include "bureau/store/schema.hpp"
#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// One row as values, for a Writer or a Transaction. They point into the row that was given.
template <Entity T>
class RowValues {
 public:
  explicit RowValues(const T& row) : values_(table_of<T>().width()) {
    to_values(row, values_, scratch_);
  }
  [[nodiscard]] std::span<const Value> values() const { return values_; }

 private:
  std::vector<Value> values_;
  Scratch scratch_;
};

/// The row with that id; none when there is no such row.
template <Entity T>
[[nodiscard]] Result<std::optional<T>> find_row(Reader& reader, Id<T> id) {
  std::optional<T> found;
  BUREAU_TRY_VOID(
      reader.find(table_of<T>(), id.value, [&](std::span<const Value> row) -> Result<bool> {
        from_values(row, found.emplace());
        return true;
      }));
  return found;
}

}  // namespace detail
BUREAU_END_NAMESPACE
