#pragma once

#include <cstdint>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// So much further journal numbers go on where commits may have been lost that others have heard of
/// (a server that crashed, a standby that took over), so that none that was heard of is given out
/// again.
inline constexpr std::int64_t journal_leap = std::int64_t{1} << 24;
/// So far apart are the last number that was heard of and those behind the leap, if fewer than the
/// rest were lost.
inline constexpr std::int64_t journal_leap_seen = journal_leap / 2;

}  // namespace detail
BUREAU_END_NAMESPACE
