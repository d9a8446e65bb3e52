#pragma once

#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

#include "bureau/core/error.hpp"

BUREAU_BEGIN_NAMESPACE

/// Everything fallible returns this; nothing throws across the API.
template <class T>
using Result = tl::expected<T, Error>;

/// An error that becomes a Result of any type.
using Unexpected = tl::unexpected<Error>;

/// `return fail(Code::invalid, "...", "field");` in a function that returns a Result.
[[nodiscard]] inline Unexpected fail(Code code, std::string message, std::string field = {}) {
  return Unexpected(Error(code, std::move(message), std::move(field)));
}
[[nodiscard]] inline Unexpected fail(Error error) { return Unexpected(std::move(error)); }

namespace detail {
template <class R>
[[nodiscard]] Unexpected take_error(R& result) {
  return Unexpected(std::move(result).error());
}
}  // namespace detail

BUREAU_END_NAMESPACE

#define BUREAU_CONCAT_INNER(a, b) a##b
#define BUREAU_CONCAT(a, b) BUREAU_CONCAT_INNER(a, b)

/// BUREAU_TRY(auto ticket, tickets.find(id)); declares (or assigns) on success and returns the
/// error from the enclosing function otherwise. Commas in the expression are fine; a structured
/// binding takes a second line.
#define BUREAU_TRY(declaration, ...) \
  BUREAU_TRY_INNER(BUREAU_CONCAT(bureau_try_, __COUNTER__), declaration, __VA_ARGS__)
#define BUREAU_TRY_INNER(name, declaration, ...)        \
  auto name = (__VA_ARGS__);                            \
  if (!name) return ::bureau::detail::take_error(name); \
  declaration = *std::move(name)

/// The same for a Result<void>, or where the value does not matter.
#define BUREAU_TRY_VOID(...) \
  BUREAU_TRY_VOID_INNER(BUREAU_CONCAT(bureau_try_, __COUNTER__), __VA_ARGS__)
#define BUREAU_TRY_VOID_INNER(name, ...)         \
  do {                                           \
    if (auto name = (__VA_ARGS__); !name) {      \
      return ::bureau::detail::take_error(name); \
    }                                            \
  } while (false)
