#pragma once

#include <algorithm>
#include <cstdlib>

namespace counts {

/// True under the address or the thread sanitizer, which cost a factor of 2 to 15.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

/// True in `./dev test --long`.
inline bool long_run() { return std::getenv("BUREAU_LONG") != nullptr; }

/// How many cases a test runs: `usual`, `many` in a long run; of either a tenth under a sanitizer,
/// which looks for wrong memory and races, not for rare values.
inline int cases(int usual, int many) {
  const int count = long_run() ? many : usual;
  return sanitized ? std::max(1, count / 10) : count;
}

}  // namespace counts
