#pragma once

#include "bureau/core/clock.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// Waits until the socket is ready for one of poll()'s events. False: the deadline has passed. A
/// clock that is not the system's is looked at again and again.
[[nodiscard]] bool wait_for_socket(int socket, short events, const Clock& clock,
                                   Monotonic deadline);
/// The same, also false when the thread's Interruption wants it.
[[nodiscard]] bool wait_until_interrupted(int socket, short events, const Clock& clock,
                                          Monotonic deadline);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
