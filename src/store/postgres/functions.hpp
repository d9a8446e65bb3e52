#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// Raised when a function changes: whoever finds an older number in the office replaces them all.
inline constexpr std::int64_t functions_version = 4;

/// The statements that make the functions which generated SQL uses, so that they mean here what the
/// library's own code means. `schema` is in quotes.
///   bureau_json_boolean, _integer, _real, _text (text, path)  the value there, if it has that
///                                                             type, else null
///   bureau_json_exists(text, path)       true when it is there and not null, else null
///   bureau_json_has(text, element, path) whether the array there has that text
///   bureau_draw(office, count, first)    journal numbers (journal_order.hpp)
///   bureau_horizon(office)
/// And the empty tables whose locks are those of lanes, and the gate's.
[[nodiscard]] std::vector<std::string> function_statements(const std::string& schema);

/// The table that every transaction which writes locks first, so that one can keep all others out.
inline constexpr std::string_view gate_table = "bureau_gate";

/// The table whose lock is that lane's (WriteOptions::lane), without its schema. A few stand for
/// all.
[[nodiscard]] std::string lane_table(std::uint32_t lane);

/// An expression over a text that gives its folded form (fold_case).
[[nodiscard]] std::string folded_sql(const std::string& text);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
