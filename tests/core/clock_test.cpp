#include "bureau/core/clock.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using namespace bureau;  // NOLINT: a test of this namespace
using namespace std::chrono_literals;

namespace {

/// Until `count` threads wait on the clock. A defect shows as a test that does not end.
void until_waiting(const ManualClock& clock, std::size_t count) {
  while (clock.waiting() != count) std::this_thread::yield();
}

struct Sleeper {
  std::mutex mutex;
  std::condition_variable condition;
  bool notified = false;

  /// True when it was notified, false when the deadline came first.
  bool sleep(Clock& clock, Monotonic deadline) {
    std::unique_lock lock(mutex);
    while (!notified)
      if (!clock.wait_until(lock, condition, deadline)) return notified;
    return true;
  }
  void notify() {
    {
      std::lock_guard guard(mutex);
      notified = true;
    }
    condition.notify_all();
  }
};

}  // namespace

TEST_CASE("clock: Monotonic saturates") {
  CHECK(Monotonic::never() + 1s == Monotonic::never());
  CHECK(Monotonic{5s} + Duration::max() == Monotonic::never());
  CHECK(Monotonic{5s} + (Duration::max() - 1s) == Monotonic::never());
  CHECK(Monotonic{5s} + 1s == Monotonic{6s});
  CHECK(Monotonic{5s} - Monotonic{2s} == 3s);
}

TEST_CASE("clock: the system's clock goes forward") {
  Clock& clock = Clock::system();
  CHECK(&clock == &Clock::system());
  const Monotonic start = clock.monotonic();
  while (clock.monotonic() == start) {
  }
  CHECK(clock.monotonic() > start);
  CHECK(clock.now() > Timestamp::parse("2024-01-01").value());
}

TEST_CASE("clock: the system's clock waits") {
  Clock& clock = Clock::system();
  Sleeper sleeper;
  SUBCASE("a deadline that has passed") {
    CHECK_FALSE(sleeper.sleep(clock, clock.monotonic()));
    CHECK_FALSE(sleeper.sleep(clock, Monotonic{}));
  }
  SUBCASE("a deadline that comes") {
    const Monotonic deadline = clock.monotonic() + 2ms;
    CHECK_FALSE(sleeper.sleep(clock, deadline));
    CHECK(clock.monotonic() >= deadline);
  }
  SUBCASE("far deadlines do not overflow: a notification ends the wait") {
    for (const Monotonic deadline :
         {Monotonic::never(), Monotonic{Duration::max() - 1us}, clock.monotonic() + 24h * 365 * 500,
          Monotonic{Duration(INT64_MAX / 1000 + 1)}}) {
      Sleeper each;
      std::thread other([&] { each.notify(); });
      CHECK(each.sleep(clock, deadline));
      other.join();
    }
  }
}

TEST_CASE("clock: the manual clock stands still, advances and steps") {
  ManualClock clock(Timestamp::from_micros(1'000'000));
  const Monotonic start = clock.monotonic();
  CHECK(clock.now().micros() == 1'000'000);
  clock.advance(2s);
  CHECK(clock.now().micros() == 3'000'000);
  CHECK(clock.monotonic() - start == 2s);
  clock.step(-1h);
  CHECK(clock.now().micros() == 3'000'000 - 3'600'000'000);
  CHECK(clock.monotonic() - start == 2s);
}

TEST_CASE("clock: advancing wakes those whose deadline it passed, and nobody else") {
  ManualClock clock;
  std::atomic<int> early{0};
  std::atomic<int> late{0};
  Sleeper sleepers[4];
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    const Monotonic deadline = clock.monotonic() + (i < 2 ? Duration(1s) : Duration(1min));
    threads.emplace_back([&, i, deadline] {
      CHECK_FALSE(sleepers[i].sleep(clock, deadline));
      ++(i < 2 ? early : late);
    });
  }
  until_waiting(clock, 4);
  clock.advance(999ms);
  CHECK(clock.waiting() == 4);
  clock.step(24h);  // the time of day wakes nobody
  CHECK(clock.waiting() == 4);
  clock.advance(1ms);
  until_waiting(clock, 2);
  while (early != 2) std::this_thread::yield();
  CHECK(late == 0);
  clock.advance(1h);
  for (auto& thread : threads) thread.join();
  CHECK(late == 2);
  CHECK(clock.waiting() == 0);
}

TEST_CASE("clock: a passed deadline does not wait") {
  ManualClock clock;
  Sleeper sleeper;
  CHECK_FALSE(sleeper.sleep(clock, clock.monotonic()));
  CHECK(clock.waiting() == 0);
}

TEST_CASE("clock: a notification ends a manual wait before its deadline") {
  ManualClock clock;
  Sleeper sleeper;
  std::thread thread([&] { CHECK(sleeper.sleep(clock, Monotonic::never())); });
  until_waiting(clock, 1);
  sleeper.notify();
  thread.join();
  CHECK(clock.waiting() == 0);
}

TEST_CASE("clock: many sleepers on one condition, and the caller may hold other locks") {
  ManualClock clock;
  Sleeper sleeper;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { sleeper.sleep(clock, Monotonic{1s}); });
  until_waiting(clock, 8);
  std::mutex other;
  {
    std::lock_guard guard(other);
    clock.advance(1s);
  }
  for (auto& thread : threads) thread.join();
  CHECK(clock.waiting() == 0);
}

TEST_CASE("clock: advance() notifies only when the sleeper's mutex was free") {
  // Else a thread that has registered, but does not sleep yet, would miss it. While the mutex is
  // taken here, advance() cannot have ended, however long one looks.
  ManualClock clock;
  Sleeper sleeper;
  std::thread sleeping([&] { sleeper.sleep(clock, Monotonic{1s}); });
  until_waiting(clock, 1);
  std::unique_lock lock(sleeper.mutex);
  std::atomic<bool> ended{false};
  std::thread advancing([&] {
    clock.advance(1s);
    ended = true;
  });
  while (clock.monotonic() != Monotonic{1s}) std::this_thread::yield();
  bool early = false;
  for (int i = 0; i < 1000; ++i) {
    std::this_thread::yield();
    early = early || ended;
  }
  CHECK_FALSE(early);
  lock.unlock();
  advancing.join();
  sleeping.join();
}

TEST_CASE("clock: no wake-up is lost between registering and sleeping") {
  // The moment waiting() says so, the sleeper may not sleep yet: one advance must do all the same.
  // Each sleeper is destroyed as soon as it wakes, while advance() may still be at work.
  ManualClock clock;
  constexpr int rounds = 3000;
  std::atomic<int> woken{0};
  std::thread thread([&] {
    for (int i = 1; i <= rounds; ++i) {
      std::make_unique<Sleeper>()->sleep(clock, Monotonic{i * 1ms});
      ++woken;
    }
  });
  for (int i = 1; i <= rounds; ++i) {
    until_waiting(clock, 1);
    clock.advance(1ms);
    while (woken < i) std::this_thread::yield();
  }
  thread.join();
  CHECK(clock.monotonic() == Monotonic{rounds * 1ms});
}

TEST_CASE("clock: a wait that a notification ends may be over before advance() is") {
  // Two threads race to wake a sleeper, which is destroyed once both notifications are made or
  // ruled out; advance() must not touch it after its wait has returned.
  ManualClock clock;
  for (int i = 1; i <= 1000; ++i) {
    std::atomic<bool> gone{false};
    std::thread sleeping([&] {
      auto sleeper = std::make_unique<Sleeper>();
      std::thread notifying([&] { sleeper->notify(); });
      sleeper->sleep(clock, Monotonic{i * 1ms});
      notifying.join();
      sleeper.reset();
      gone = true;
    });
    clock.advance(1ms);
    sleeping.join();
    CHECK(gone);
  }
}
