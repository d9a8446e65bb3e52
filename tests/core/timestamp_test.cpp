#include "bureau/core/timestamp.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>

using namespace bureau;  // NOLINT: a test of this namespace
using namespace std::chrono_literals;

namespace {

std::string round_trip(std::string_view text) {
  const auto t = Timestamp::parse(text);
  return t ? t->to_string() : "refused";
}

}  // namespace

TEST_CASE("timestamp: RFC 3339") {
  CHECK(Timestamp().to_string() == "1970-01-01T00:00:00Z");
  CHECK(Timestamp::parse("2026-11-21T09:30:00Z").value().micros() == 1'795'253'400'000'000);
  CHECK(round_trip("2026-11-21T09:30:00.25Z") == "2026-11-21T09:30:00.250000Z");
  CHECK(round_trip("2026-11-21T09:30:00.000001Z") == "2026-11-21T09:30:00.000001Z");
  CHECK(round_trip("2026-11-21T09:30:00.0Z") == "2026-11-21T09:30:00Z");
  CHECK(round_trip("2026-11-21T09:30:00+02:00") == "2026-11-21T07:30:00Z");
  CHECK(round_trip("2026-11-21T23:30:00-05:30") == "2026-11-22T05:00:00Z");
  CHECK(round_trip("2026-11-21t09:30:00z") == "2026-11-21T09:30:00Z");
  CHECK(round_trip("2026-11-21 09:30:00Z") == "2026-11-21T09:30:00Z");
  CHECK(round_trip("2026-11-21") == "2026-11-21T00:00:00Z");
  CHECK(round_trip("1969-12-31T23:59:59.999999Z") == "1969-12-31T23:59:59.999999Z");
  CHECK(Timestamp::parse("1969-12-31T23:59:59.999999Z").value().micros() == -1);
  CHECK(round_trip("0000-02-29") == "0000-02-29T00:00:00Z");
  CHECK(round_trip("2000-02-29") == "2000-02-29T00:00:00Z");
}

TEST_CASE("timestamp: what is refused") {
  for (const char* text : {"",
                           "2026",
                           "2026-11",
                           "2026-11-21T",
                           "2026-11-21T09:30Z",
                           "2026-11-21T09:30:00",
                           "2026-11-21T09:30:00.Z",
                           "2026-11-21T09:30:00.1234567Z",
                           "2026-11-21T24:00:00Z",
                           "2026-11-21T09:60:00Z",
                           "2026-11-21T09:30:60Z",
                           "2026-02-29",
                           "2026-13-01",
                           "2026-00-01",
                           "2026-01-00",
                           "1900-02-29",
                           "2026-11-21T09:30:00+2:00",
                           "2026-11-21T09:30:00+24:00",
                           "2026-11-21T09:30:00+02",
                           "2026-11-21T09:30:00Zx",
                           " 2026-11-21",
                           "2026-11-21 ",
                           "26-11-21",
                           "+2026-11-21",
                           "2026-1-1",
                           "2026/11/21",
                           "+300000-01-01",
                           "-300000-01-01",
                           "\xD9\xA2\xD9\xA0\xD9\xA2\xD9\xA6-11-21"}) {
    CAPTURE(text);
    const auto t = Timestamp::parse(text);
    REQUIRE_FALSE(t);
    CHECK(t.error().code == Code::invalid);
    CHECK(t.error().message.find("RFC 3339") != std::string::npos);
  }
}

TEST_CASE("timestamp: arithmetic saturates") {
  const auto first = Timestamp::from_micros(INT64_MIN);
  CHECK(Timestamp::never() + 1s == Timestamp::never());
  CHECK(Timestamp::never() - 1s == Timestamp::never());
  CHECK(Timestamp::from_micros(5) + Duration::max() == Timestamp::never());
  CHECK(first + (-1s) == first);
  CHECK(first - 1s == first);
  CHECK(Timestamp::from_micros(-5) + Duration::min() == first);
  CHECK(Timestamp::from_micros(5) - 2us == Timestamp::from_micros(3));
  CHECK(Timestamp::from_micros(5) - Timestamp::from_micros(8) == -3us);
}

TEST_CASE("timestamp: properties") {
  CHECK(round_trip(Timestamp::never().to_string()) == "+294247-01-10T04:00:54.775807Z");
  CHECK(Timestamp::parse(Timestamp::from_micros(INT64_MIN).to_string()).value().micros() ==
        INT64_MIN);
  CHECK(rc::check("parse(to_string(t)) == t over the whole range", [] {
    const auto t = Timestamp::from_micros(*rc::gen::oneOf(
        rc::gen::resize(1000, rc::gen::arbitrary<std::int64_t>()),
        rc::gen::inRange<std::int64_t>(-70'000'000'000'000'000, 260'000'000'000'000'000),
        rc::gen::map(rc::gen::inRange<std::int64_t>(-9'000'000'000, 9'000'000'000),
                     [](std::int64_t seconds) { return seconds * 1'000'000; })));
    RC_ASSERT(Timestamp::parse(t.to_string()).value() == t);
  }));
}
