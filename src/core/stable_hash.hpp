#pragma once

#include <cstdint>
#include <string_view>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The same number for the same text in every program and version: for what is stored, and for what
/// several processes agree on. FNV-1a, begun with a number of bureau's own.
[[nodiscard]] constexpr std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 1469598103934665603ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

}  // namespace detail
BUREAU_END_NAMESPACE
