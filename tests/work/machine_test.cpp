// What the machine is said to have and use: read from texts, worked out, and measured here.

#include "bureau/work/machine.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "work/linux_machine.hpp"

using namespace bureau;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view stat_text =
    "cpu  100 20 30 800 50 1 2 7 99 9\ncpu0 100 20 30 800 50 1 2 7 0 0\nintr 12\n";

MachineReading reading_of(std::int64_t time, std::int64_t busy) {
  MachineReading reading;
  reading.cpu_time = Duration(time);
  reading.cpu_busy = Duration(busy);
  return reading;
}

/// Absent, or from 0 to 1 in steps of a thousandth.
rc::Gen<std::optional<double>> shares() {
  return rc::gen::map(rc::gen::inRange(-200, 1001), [](int thousandths) {
    return thousandths < 0 ? std::nullopt : std::optional(thousandths / 1000.0);
  });
}
MachineUse some_use() {
  MachineUse use;
  use.cpu = *shares();
  use.memory = *shares();
  use.disk = *shares();
  return use;
}

}  // namespace

TEST_CASE("/proc's texts are read as the kernel means them") {
  MachineReading reading;
  detail::read_proc_stat(stat_text, 10ms, reading);
  CHECK(reading.cpu_time == Duration(10ms * 1010));
  CHECK(reading.cpu_busy == Duration(10ms * 160));  // neither idle (800) nor waiting (50)
  detail::read_proc_meminfo("MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  250 kB\n",
                            reading);
  CHECK(reading.memory_bytes == 1'024'000);
  CHECK(reading.memory_available_bytes == 256'000);
  detail::read_proc_net_dev(
      "Inter-|   Receive                            |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes packets\n"
      "    lo: 5 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0\n"
      "  eth0: 100 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n"
      "wlan0:7 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0\n",
      reading);
  CHECK(reading.received_bytes == 107);
  CHECK(reading.sent_bytes == 33);
  detail::read_proc_self_stat(
      "7 (a) b (c) S 1 7 7 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 4 0 5 1000000 300 1844 1 1\n", 10ms,
      4096, reading);
  CHECK(reading.process_cpu == Duration(2s));
  CHECK(reading.process_resident_bytes == 300 * 4096);
}

TEST_CASE("what /proc does not say is absent") {
  for (const std::string_view text :
       {"", "cpu", "cpu 1 2 3\n", "cpu  1 2 3 four 5 6 7 8\n", "cpu  1 2 3 -4 5 6 7 8\n",
        "MemTotal: 12\n", "MemTotal: x kB\n", "eth0: 1 2 3\n", "7 (sh) S 1 2\n", "7 (sh",
        "eth0: x 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n"}) {
    CAPTURE(text);
    MachineReading reading;
    detail::read_proc_stat(text, 10ms, reading);
    detail::read_proc_meminfo(text, reading);
    detail::read_proc_net_dev(text, reading);
    detail::read_proc_self_stat(text, 10ms, 4096, reading);
    CHECK_FALSE(reading.cpu_time);
    CHECK_FALSE(reading.cpu_busy);
    CHECK_FALSE(reading.memory_bytes);
    CHECK_FALSE(reading.received_bytes);
    CHECK_FALSE(reading.sent_bytes);
    CHECK_FALSE(reading.process_cpu);
    CHECK_FALSE(reading.process_resident_bytes);
  }
}

TEST_CASE("use is worked out between two readings, and absent where a counter went back") {
  MachineReading before = reading_of(1000, 100);
  before.received_bytes = 500;
  before.sent_bytes = 700;
  MachineReading now = reading_of(3000, 600);
  now.received_bytes = 2500;
  now.sent_bytes = 600;  // its counter began anew
  now.memory_bytes = 1000;
  now.memory_available_bytes = 250;
  const MachineUse use = use_between(before, now, 2s);
  CHECK(use.cpu == 0.25);
  CHECK(use.memory == 0.75);
  CHECK(use.received_rate == 1000);
  CHECK_FALSE(use.sent_rate);
  CHECK_FALSE(use.disk);
  CHECK_FALSE(use_between(now, now, 0s).cpu);
  CHECK_FALSE(use_between(before, now, 0s).received_rate);
  CHECK_FALSE(use_between(now, before, 2s).cpu);
}

TEST_CASE("the health score is that of its formula") {
  CHECK_FALSE(health_score({}));
  MachineUse use;
  use.cpu = 0.7;
  CHECK(health_score(use) == 100);
  use.cpu = 1;
  CHECK(health_score(use) == 50);
  use.memory = 0.9;
  CHECK(std::abs(*health_score(use) - 50) < 1e-9);
  use.disk = 0.95;
  CHECK(std::abs(*health_score(use) - 25) < 1e-9);
  use.disk = 1;
  CHECK(health_score(use) == 0);
}

TEST_CASE("the health score is bounded, never rises with use, and what is absent has no say") {
  rc::check("score", [] {
    const MachineUse use = some_use();
    const auto score = health_score(use);
    RC_ASSERT(score.has_value() == (use.cpu || use.memory || use.disk));
    if (!score) return;
    RC_ASSERT(*score >= 0 && *score <= 100);
    for (auto input : {&MachineUse::cpu, &MachineUse::memory, &MachineUse::disk}) {
      MachineUse more = use;
      if (use.*input) {
        more.*input = *(use.*input) + (1 - *(use.*input)) * *rc::gen::inRange(0, 101) / 100.0;
        RC_ASSERT(*health_score(more) <= *score);
      }
      MachineUse without = use;
      without.*input = std::nullopt;
      if (const auto rest = health_score(without)) RC_ASSERT(*rest >= *score);
    }
  });
}

#if defined(__linux__)
TEST_CASE("this machine is measured, and what it has not is absent") {
  const MachineReading reading = make_machine("/")->read();
  REQUIRE(reading.cpu_time);
  CHECK(*reading.cpu_time >= *reading.cpu_busy);
  REQUIRE(reading.memory_bytes);
  CHECK(*reading.memory_available_bytes <= *reading.memory_bytes);
  REQUIRE(reading.disk_bytes);
  CHECK(*reading.disk_available_bytes <= *reading.disk_bytes);
  CHECK(*reading.process_resident_bytes > 0);
  CHECK_FALSE(make_machine("")->read().disk_bytes);
  CHECK_FALSE(make_machine("/there/is/no/such/folder")->read().disk_bytes);
}
#endif
