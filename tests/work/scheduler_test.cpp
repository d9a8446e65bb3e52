#include "bureau/work/scheduler.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace bureau;
using namespace std::chrono_literals;

namespace {

/// Says that something is due when it is told to.
class Timetable : public Runner {
 public:
  PollResult poll(const PollLimit&) override {
    const PollResult result{0, Monotonic{Duration(due.load())}};
    ++polls;
    return result;
  }
  [[nodiscard]] int wake_fd() const override { return -1; }
  void on_wake_fd() override {}
  std::atomic<std::int64_t> due{Monotonic::never().since_start.count()};
  std::atomic<int> polls{0};
};

}  // namespace

TEST_CASE("G8_heartbeats_go_on_while_every_thread_is_inside_a_handler") {
  /// Its handlers return once somebody has seen to what recurs while they ran.
  class Busy : public Runner {
   public:
    PollResult poll(const PollLimit& limit) override {
      if (limit.tasks == 0) {
        if (inside == 2) seen = true;
        return {};
      }
      ++inside;
      while (!seen) std::this_thread::yield();
      return {};
    }
    [[nodiscard]] int wake_fd() const override { return -1; }
    void on_wake_fd() override {}
    std::atomic<int> inside{0};
    std::atomic<bool> seen{false};
  };
  ManualClock clock;
  Busy busy;
  const auto scheduler = make_thread_scheduler(2, clock);
  REQUIRE(scheduler->start(busy));
  while (!busy.seen) {  // would wait for ever
    clock.advance(1s);
    std::this_thread::yield();
  }
  REQUIRE(scheduler->stop(Monotonic::never()));
}

TEST_CASE("What one thread learns to be due soon is not slept over by the one that keeps time") {
  ManualClock clock;
  Timetable timetable;
  const auto scheduler = make_thread_scheduler(3, clock);
  REQUIRE(scheduler->start(timetable));
  const auto wait_for = [&](int polls) {
    while (timetable.polls < polls) std::this_thread::yield();
  };
  wait_for(3);
  for (int round = 0; round < 50; ++round) {
    // Any of the threads may be woken: the one that sleeps until the far re-check, or another.
    timetable.due = (clock.monotonic() + 50ms).since_start.count();
    int seen = timetable.polls;
    scheduler->wake();
    wait_for(seen + 1);
    seen = timetable.polls;
    clock.advance(50ms);
    wait_for(seen + 1);  // would wait for ever
    timetable.due = Monotonic::never().since_start.count();
  }
  REQUIRE(scheduler->stop(Monotonic::never()));
}
