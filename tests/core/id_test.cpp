#include "bureau/core/id.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "core/generators.hpp"
#include "counts.hpp"

using namespace bureau;  // NOLINT: a test of this namespace
using namespace std::chrono_literals;

namespace {

/// A clock at some milliseconds after the epoch of ids.
struct IdClock {
  explicit IdClock(std::int64_t ms)
      : clock(Timestamp::from_micros((id::epoch_ms + ms) * 1000)), at(ms) {}
  void set(std::int64_t ms) {
    clock.step(std::chrono::milliseconds(ms - at));
    at = ms;
  }
  ManualClock clock;
  std::int64_t at;
};

/// A clock that does not put the threads that read it in line.
class LockFreeClock final : public Clock {
 public:
  void set(std::int64_t ms) { micros_ = (id::epoch_ms + ms) * 1000; }
  [[nodiscard]] Timestamp now() const override { return Timestamp::from_micros(micros_); }
  [[nodiscard]] Monotonic monotonic() const override { return {}; }
  bool wait_until(std::unique_lock<std::mutex>&, std::condition_variable&, Monotonic) override {
    return false;
  }

 private:
  std::atomic<std::int64_t> micros_{0};
};

std::int64_t ms_of(std::int64_t value) { return value >> (id::node_bits + id::sequence_bits); }

}  // namespace

TEST_CASE("id: text form") {
  CHECK(id::to_text("tkt", 0).empty());
  CHECK(id::to_text("tkt", 1) == "tkt_0000000000001");
  CHECK(id::to_text("tkt", INT64_MAX) == "tkt_7zzzzzzzzzzzz");
  CHECK(id::from_text("tkt", "tkt_0000000000001").value() == 1);
  CHECK(id::from_text("tkt", "tkt_7zzzzzzzzzzzz").value() == INT64_MAX);
  // What Crockford allows, and nothing else.
  CHECK(id::from_text("tkt", "tkt_7ZZZZZZZZZZZZ").value() == INT64_MAX);
  CHECK(id::from_text("tkt", "tkt_0OoiIlL000000").value() ==
        id::from_text("tkt", "tkt_0001111000000").value());
  for (const char* text :
       {"", "tkt", "tkt_", "tkt_000000000000", "tkt_00000000000001", "msg_0000000000001",
        "TKT_0000000000001", "tkt-0000000000001", "tkt_0000000000000", "tkt_8000000000000",
        "tkt_zzzzzzzzzzzzz", "tkt_000000000000u", "tkt_000000000000 ", "0000000000001"}) {
    CAPTURE(text);
    const auto value = id::from_text("tkt", text);
    REQUIRE_FALSE(value);
    CHECK(value.error().code == Code::invalid);
    CHECK(value.error().message.find(text) != std::string::npos);
  }
}

TEST_CASE("id: text form, properties") {
  CHECK(rc::check("round trip, and text sorts as values do", [] {
    const auto a = *rc::gen::suchThat(rc::gen::arbitrary<std::int64_t>(),
                                      [](std::int64_t v) { return v > 0; });
    const auto b = *rc::gen::suchThat(rc::gen::arbitrary<std::int64_t>(),
                                      [](std::int64_t v) { return v > 0; });
    RC_ASSERT(id::from_text("x", id::to_text("x", a)).value() == a);
    RC_ASSERT((id::to_text("x", a) < id::to_text("x", b)) == (a < b));
  }));
  CHECK(rc::check("what is read is written back as a text of the same value", [] {
    const auto text =
        "x_" + *rc::gen::container<std::string>(
                   13, rc::gen::elementOf(std::string("0123456789abcdefghjkmnpqrstvwxyzILO")));
    const auto value = id::from_text("x", text);
    RC_CLASSIFY(value.has_value());
    if (value) RC_ASSERT(id::from_text("x", id::to_text("x", *value)).value() == *value);
  }));
}

TEST_CASE("id: typed ids") {
  struct Ticket {};
  const Id<Ticket> none;
  const Id<Ticket> one(1);
  CHECK_FALSE(none);
  CHECK(one);
  CHECK(none < one);
  CHECK(std::unordered_set<Id<Ticket>>{one, Id<Ticket>(1), none}.size() == 2);
}

TEST_CASE("id: parts") {
  IdClock clock(123'456);
  IdSource source(clock.clock);
  source.assign(1023, 123'000, 200'000);
  const auto value = source.next().value();
  CHECK(id::issued_at(value) == clock.clock.now());
  CHECK(id::node_of(value) == 1023);
  CHECK(source.node() == 1023);
  CHECK(value > 0);
}

TEST_CASE("id: nothing without a node, nothing beyond the reservation") {
  IdClock clock(1000);
  IdSource source(clock.clock);
  CHECK(source.next().error().code == Code::unavailable);
  CHECK(source.wants_reservation(0s));

  source.assign(7, 1000, 1002);
  for (int i = 0; i < 2 * 4096; ++i) REQUIRE(ms_of(source.next().value()) == 1000 + i / 4096);
  CHECK(source.next().error().code == Code::exhausted);
  CHECK(source.next().error().code == Code::exhausted);
  CHECK(source.position_ms() == 1002);
  source.assign(7, 1002, 1003);
  CHECK(ms_of(source.next().value()) == 1002);
}

TEST_CASE("id: the clock steps back, and stands still") {
  IdClock clock(5000);
  IdSource source(clock.clock);
  source.assign(1, 1000, 100'000);
  auto last = source.next().value();
  for (const std::int64_t ms : {5000, 4000, 0, -1'000'000, 5001, 4999, 6000}) {
    clock.set(ms);
    for (int i = 0; i < 10; ++i) {
      const auto value = source.next().value();
      REQUIRE(value > last);
      REQUIRE(ms_of(value) == std::max<std::int64_t>(ms_of(last), ms));
      last = value;
    }
  }
}

TEST_CASE("id: a clock at or beyond the end does not throw the reservation away") {
  IdClock clock(1000);
  IdSource source(clock.clock);
  source.assign(1, 1000, 1010);
  const auto first = source.next().value();
  clock.set(1000 + 3'600'000);
  CHECK(source.next().value() == first + 1);
  int issued = 2;
  while (source.next()) ++issued;
  CHECK(issued == 10 * 4096);
  // The owner reserves beyond the clock, and time goes on from there.
  CHECK(source.position_ms() == 1000 + 3'600'000);
  source.assign(1, 1010, source.position_ms() + 1000);
  CHECK(ms_of(source.next().value()) == 1000 + 3'600'000);
  // One millisecond before the end is still inside.
  clock.set(1000 + 3'600'000 + 999);
  CHECK(ms_of(source.next().value()) == 1000 + 3'600'000 + 999);
}

TEST_CASE("id: before 2020, and before the reservation, ids begin at its begin") {
  IdClock clock(-1'000'000'000);
  IdSource source(clock.clock);
  source.assign(1, 5000, 6000);
  CHECK(ms_of(source.next().value()) == 5000);
  CHECK(source.position_ms() == 5000);

  // 0 is no id, not even on node 0 in the first millisecond.
  IdSource zero(clock.clock);
  zero.assign(0, 0, 10);
  CHECK(zero.next().value() > 0);
}

TEST_CASE("id: the last millisecond that 41 bits hold") {
  IdClock clock(0);
  const std::int64_t end = std::int64_t{1} << 41;
  IdSource source(clock.clock);
  source.assign(1023, end - 2, end + 1'000'000);
  std::int64_t last = 0;
  int issued = 0;
  for (auto value = source.next(); value; value = source.next(), ++issued) {
    REQUIRE(*value > last);
    last = *value;
  }
  CHECK(issued == 4096);
}

TEST_CASE("id: assign again") {
  IdClock clock(1000);
  IdSource source(clock.clock);
  source.assign(1, 1000, 2000);
  const auto first = source.next().value();
  SUBCASE("the same node, the end moves forward only") {
    source.assign(1, 1000, 1500);
    clock.set(1900);
    CHECK(ms_of(source.next().value()) == 1900);
    source.assign(1, 2000, 3000);
    CHECK(ms_of(source.next().value()) == 1900);
    clock.set(2500);
    CHECK(ms_of(source.next().value()) == 2500);
  }
  SUBCASE("an early extension does not push ids ahead of the clock") {
    source.assign(1, 2000, 3000);
    CHECK(source.next().value() == first + 1);
  }
  SUBCASE("a gap belongs to somebody else") {
    source.assign(1, 5000, 6000);
    CHECK(ms_of(source.next().value()) == 5000);
    clock.set(4000);
    CHECK(ms_of(source.next().value()) == 5000);
  }
  SUBCASE("another node") {
    source.assign(2, 500, 1003);
    const auto value = source.next().value();
    CHECK(id::node_of(value) == 2);
    CHECK(source.node() == 2);
    CHECK(ms_of(value) == 1000);
    // Node 1's end, which is later, is not node 2's.
    clock.set(1600);
    while (const auto more = source.next()) REQUIRE(ms_of(*more) < 1003);
  }
}

TEST_CASE("id: wants_reservation") {
  IdClock clock(1000);
  IdSource source(clock.clock);
  source.assign(1, 1000, 11'000);
  CHECK_FALSE(source.wants_reservation(5s));
  CHECK(source.wants_reservation(11s));
  clock.set(6001);
  CHECK(source.wants_reservation(5s));
  clock.set(6000);
  CHECK_FALSE(source.wants_reservation(5s));
  // By what was issued, though the clock stepped back.
  clock.set(9000);
  REQUIRE(source.next());
  clock.set(1000);
  CHECK(source.wants_reservation(5s));
}

TEST_CASE("id: generations on one node never repeat an id, whatever the clock does") {
  CHECK(rc::check("model", [] {
    constexpr std::int64_t span = 5;
    IdClock clock(1000);
    std::int64_t stored_end = 0;  // in the node's row
    std::unordered_set<std::int64_t> seen;
    const int generations = *rc::gen::inRange(1, 6);
    for (int g = 0; g < generations; ++g) {
      // A new process: what it knows is the row. The clock may be anywhere.
      IdSource source(clock.clock);
      const auto reserve = [&] {
        const std::int64_t begin = stored_end;
        stored_end = std::max(stored_end, source.position_ms()) + span;
        source.assign(3, begin, stored_end);
      };
      const std::int64_t own_begin = stored_end;
      reserve();
      std::int64_t last = 0;
      const auto steps =
          *rc::gen::resize(30, rc::gen::container<std::vector<int>>(rc::gen::inRange(-40, 80)));
      for (const int step : steps) {
        // Now and then a pause or a jump of an hour, in either direction.
        const std::int64_t jump = step == 79 ? 3'600'000 : step == -40 ? -3'600'000 : step / 8;
        clock.set(clock.at + jump);
        const int burst = step % 5 == 0 ? 5000 : 3;
        for (int i = 0; i < burst; ++i) {
          auto value = source.next();
          if (!value) {
            RC_ASSERT(value.error().code == Code::exhausted);
            if (step % 2 == 0) break;  // the owner cannot write just now
            reserve();
            value = source.next();
          }
          // One check for all, as there are some hundred thousand ids.
          const bool good = value && *value > last && ms_of(*value) >= own_begin &&
                            ms_of(*value) < stored_end && id::node_of(*value) == 3 &&
                            seen.insert(*value).second;
          if (!good) RC_FAIL(value ? std::to_string(*value) : value.error().message);
          last = *value;
        }
      }
    }
  }));
}

TEST_CASE("id: threads get different ids while time steps, ends move and the node changes") {
  // Each node has a window of its own, so that an id of one node in another's window shows. They go
  // backwards: the clock and the end of the node before are beyond the next one's end.
  const auto window = [](int node) { return 1000 + (1000 - node) * std::int64_t{1'000'000}; };
  const int nodes = counts::cases(200, 1000);
  LockFreeClock clock;
  IdSource source(clock);
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> stray{0};
  std::atomic<int> calls{0};
  std::vector<std::vector<std::int64_t>> issued(2);
  std::vector<std::thread> workers;
  for (auto& mine : issued) {
    workers.emplace_back([&] {
      while (!stop) {
        const auto value = source.next();
        ++calls;
        if (!value) continue;
        const std::int64_t from = window(id::node_of(*value));
        if (ms_of(*value) < from || ms_of(*value) >= from + 1'000'000) stray = *value;
        if (mine.size() < 500'000) mine.push_back(*value);
      }
    });
  }
  for (int node = 0; node < nodes; ++node) {
    const std::int64_t begin = window(node);
    source.assign(node, begin, begin + 1);
    clock.set(begin + 999'999);
    // Some ids of this node, at the clock's time; then the change.
    source.assign(node, begin + 1, begin + 1'000'000);
    for (const int before = calls; calls < before + 20;) std::this_thread::yield();
  }
  stop = true;
  for (auto& worker : workers) worker.join();

  CHECK(stray == 0);
  std::vector<std::int64_t> all;
  for (const auto& mine : issued) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
  CHECK(source.node() == nodes - 1);
}
