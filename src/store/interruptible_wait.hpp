#pragma once

#include <condition_variable>
#include <mutex>

#include "bureau/core/clock.hpp"
#include "bureau/store/interruption.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Waits until it is told, for as long as one may before an Interruption is asked again: real time,
/// whatever the storage's clock is. False: nobody has told it.
inline bool wait_between_looks(std::unique_lock<std::mutex>& lock, std::condition_variable& told) {
  Clock& real = Clock::system();
  return real.wait_until(lock, told, real.monotonic() + std::chrono::milliseconds(50));
}

/// Clock::wait_until(), which the thread's Interruption ends as a deadline does. It is asked without
/// the lock, since the one who answers may want another.
inline bool wait_interruptibly(std::unique_lock<std::mutex>& lock, std::condition_variable& told,
                               Clock& clock, Monotonic deadline) {
  if (!Interruption::is_there()) return clock.wait_until(lock, told, deadline);
  wait_between_looks(lock, told);
  lock.unlock();
  const bool wanted = Interruption::is_wanted();
  lock.lock();
  return !wanted && clock.monotonic() < deadline;
}

}  // namespace detail
BUREAU_END_NAMESPACE
