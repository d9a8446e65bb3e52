// How many transactions that meet each other are let in at a time.

#include "store/postgres/crowd.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "basics.hpp"
#include "bureau/store/interruption.hpp"

using bureau::ManualClock;
using bureau::Monotonic;
using bureau::detail::postgres::Crowd;

TEST_CASE("Half as many are let in after a conflict, one more after each that met nobody") {
  ManualClock clock;
  Crowd crowd(clock, 6);
  crowd.met_nobody();
  CHECK(crowd.room() == 6);
  for (const int room : {3, 1, 1}) {
    crowd.met_another();
    CHECK(crowd.room() == room);
  }
  for (const int room : {2, 3, 4, 5, 6, 6}) {
    crowd.met_nobody();
    CHECK(crowd.room() == room);
  }
}

TEST_CASE(
    "Without conflicts nobody waits; with them those beyond the room do, until their deadline") {
  ManualClock clock;
  Crowd crowd(clock, 2);
  std::vector<Crowd::Place> many;
  for (int i = 0; i < 5; ++i) many.push_back(must(crowd.enter(clock.monotonic())));
  crowd.met_another();
  const auto late = crowd.enter(clock.monotonic());
  REQUIRE(!late);
  CHECK(late.error().code == bureau::Code::deadline);
  many.clear();
  must(crowd.enter(clock.monotonic()));
}

TEST_CASE("Whoever is interrupted waits no longer for room") {
  bureau::Clock& clock = bureau::Clock::system();
  Crowd crowd(clock, 2);
  crowd.met_another();
  const Crowd::Place place = must(crowd.enter(Monotonic::never()));
  int asked = 0;
  const auto at_the_third = [&] { return ++asked == 3; };
  const bureau::Interruption interruption(at_the_third);
  const auto late = crowd.enter(clock.monotonic() + std::chrono::minutes(1));
  REQUIRE(!late);
  CHECK(late.error().code == bureau::Code::deadline);
  CHECK(asked == 3);
}

TEST_CASE("Whoever goes out, and whoever met nobody, lets one in that waits") {
  ManualClock clock;
  Crowd crowd(clock, 4);
  crowd.met_another();
  crowd.met_another();
  std::vector<Crowd::Place> places;
  places.push_back(must(crowd.enter(Monotonic::never())));
  std::thread waiter([&] { must(crowd.enter(Monotonic::never())); });
  while (clock.waiting() < 1) std::this_thread::yield();
  places.clear();
  waiter.join();

  places.push_back(must(crowd.enter(Monotonic::never())));
  std::thread another([&] { must(crowd.enter(Monotonic::never())); });
  while (clock.waiting() < 1) std::this_thread::yield();
  crowd.met_nobody();
  another.join();
}
