#pragma once

#include <string_view>

#include "bureau/core/config.hpp"

struct sqlite3;

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// How the errors of bureau_add and bureau_sum end; they begin with the column's name and a colon.
inline constexpr std::string_view does_not_fit = "does not fit 64 bits";

/// Gives a connection the functions that generated SQL uses, so that they mean here what the
/// library's own code means:
///   bureau_json_get(text, kind, member...)  the value at a path, if it has that kind, else NULL
///   bureau_json_has(text, element, member...)  whether the array there has that text
///   bureau_add(a, b, name), bureau_sum(a, name)  integers, exact or an error that names the column
///   bureau_average(a)  of integers
///   bureau_fold(text)  the folded form that companions of folded columns hold
/// Returns SQLite's code.
[[nodiscard]] int add_functions(sqlite3* connection);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
