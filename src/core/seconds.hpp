#pragma once

// Whole seconds and days of the civil calendar.

#include <cstdint>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::int64_t micros_per_second = 1'000'000;
inline constexpr std::int64_t seconds_per_day = 86'400;

/// a / b, rounded down. REQUIRES: b > 0.
[[nodiscard]] constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

}  // namespace detail
BUREAU_END_NAMESPACE
