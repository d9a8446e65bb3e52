#pragma once

#include <cstdint>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// How many forks lie between this process and the first that asked. Whoever kept the number knows
/// by it that he is in a child: without a system call. A child that goes on to exec() starts anew.
[[nodiscard]] std::uint32_t forks() noexcept;

}  // namespace detail
BUREAU_END_NAMESPACE
