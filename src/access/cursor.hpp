#pragma once

// The place after a row, as text that a caller keeps and cannot forge: so that it neither names
// values of rows that he does not see nor carries a place from one query or principal to another.

#include <string>
#include <string_view>
#include <vector>

#include "bureau/store/select.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The place after `row` in the order of `select`. `scope` is what the cursor is good for.
[[nodiscard]] std::string make_cursor(std::string_view key, std::string_view scope,
                                      const Select& select, std::span<const Value> row);
/// Sets `select.after`. `invalid` for a cursor that was not made with this key and scope.
[[nodiscard]] Result<void> apply_cursor(std::string_view key, std::string_view scope,
                                        std::string_view cursor, Select& select);

}  // namespace detail
BUREAU_END_NAMESPACE
