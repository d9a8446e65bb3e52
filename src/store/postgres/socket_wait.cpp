#include "store/postgres/socket_wait.hpp"

#include <poll.h>

#include <algorithm>

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// poll() knows only the system's time.
constexpr int look_at_clock_ms = 5;

int timeout_ms(const Clock& clock, Monotonic deadline) {
  if (&clock != &Clock::system()) return look_at_clock_ms;
  if (deadline == Monotonic::never()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.monotonic());
  constexpr std::chrono::milliseconds most = std::chrono::minutes(1);
  return static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), most).count());
}

}  // namespace

bool wait_for_socket(int socket, short events, const Clock& clock, Monotonic deadline) {
  for (;;) {
    pollfd asked{socket, events, 0};
    const int ready = ::poll(&asked, 1, timeout_ms(clock, deadline));
    if (ready > 0) return true;  // an error of the socket too: libpq will find it
    if (deadline != Monotonic::never() && clock.monotonic() >= deadline) return false;
  }
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
