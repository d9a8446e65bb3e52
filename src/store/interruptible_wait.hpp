#pragma once

#include <condition_variable>
#include <mutex>

#include "bureau/core/clock.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Waits until it is told, for as long as one may before an Interruption is asked again: real time,
/// whatever the storage's clock is. False: nobody has told it.
inline bool wait_between_looks(std::unique_lock<std::mutex>& lock, std::condition_variable& told) {
  Clock& real = Clock::system();
  return real.wait_until(lock, told, real.monotonic() + std::chrono::milliseconds(50));
}

}  // namespace detail
BUREAU_END_NAMESPACE
