#include "store/postgres/socket_wait.hpp"

#include <poll.h>

#include <algorithm>

#include "bureau/store/interruption.hpp"

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

/// Between two looks at an Interruption, unless a signal comes.
constexpr int look_at_interruption_ms = 100;

bool has_passed(const Clock& clock, Monotonic deadline) {
  return deadline != Monotonic::never() && clock.monotonic() >= deadline;
}

}  // namespace

bool wait_for_socket(int socket, short events, const Clock& clock, Monotonic deadline) {
  for (;;) {
    pollfd asked{socket, events, 0};
    const int ready = ::poll(&asked, 1, timeout_ms(clock, deadline));
    if (ready > 0) return true;  // an error of the socket too: libpq will find it
    if (has_passed(clock, deadline)) return false;
  }
}

bool wait_until_interrupted(int socket, short events, const Clock& clock, Monotonic deadline) {
  if (!Interruption::is_there()) return wait_for_socket(socket, events, clock, deadline);
  for (;;) {
    const int left = timeout_ms(clock, deadline);
    pollfd asked{socket, events, 0};
    const int ready = ::poll(
        &asked, 1, left < 0 ? look_at_interruption_ms : std::min(left, look_at_interruption_ms));
    if (ready > 0) return true;
    if (Interruption::is_wanted() || has_passed(clock, deadline)) return false;
  }
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
