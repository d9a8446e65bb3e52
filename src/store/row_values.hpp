#pragma once

#include <span>
#include <vector>

#include "bureau/store/schema.hpp"

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

}  // namespace detail
BUREAU_END_NAMESPACE
