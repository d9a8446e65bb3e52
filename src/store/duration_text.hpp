#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// "1d2h", "90s" as "1m30s", "-5m", "0s": each unit at most once, from days to microseconds (d h m
/// s ms us). Exact for every number of microseconds.
[[nodiscard]] std::string duration_to_text(std::int64_t micros);
/// The inverse; also takes weeks (w), and units in any amount as long as they go from large to
/// small. Empty for anything else, or beyond 64 bits.
[[nodiscard]] std::optional<std::int64_t> duration_from_text(std::string_view text);

}  // namespace detail

BUREAU_END_NAMESPACE
