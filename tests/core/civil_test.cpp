#include "bureau/core/civil.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <chrono>
#include <string>

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

Zone zone(std::string_view name) { return Zone::find(name).value(); }

Timestamp utc(std::string_view text) { return Timestamp::parse(text).value(); }

CivilTime civil(CivilDate date, int hour, int minute = 0) { return {date, hour, minute, 0, 0}; }

}  // namespace

TEST_CASE("civil: every day of 1,200 years, counted one by one") {
  CivilDate date{1600, 1, 1};
  std::int32_t days = date.days();
  CHECK(CivilDate{1970, 1, 1}.days() == 0);
  CHECK(CivilDate{2000, 3, 1}.days() == 11'017);
  CHECK(days == -135'140);
  while (date.year < 2800) {
    if (!date.is_valid() || date.days() != days || CivilDate::from_days(days) != date)
      FAIL(date.to_string());
    ++days;
    CivilDate next{date.year, date.month, date.day + 1};
    if (!next.is_valid()) next = {date.year, date.month + 1, 1};
    if (!next.is_valid()) next = {date.year + 1, 1, 1};
    date = next;
  }
  CHECK(days == CivilDate{2800, 1, 1}.days());
  CHECK(days == 303'151);
}

TEST_CASE("civil: dates far away") {
  CHECK(CivilDate{0, 2, 29}.is_valid());
  CHECK_FALSE(CivilDate{-1, 2, 29}.is_valid());
  CHECK_FALSE(CivilDate{2026, 0, 1}.is_valid());
  CHECK_FALSE(CivilDate{2026, 4, 31}.is_valid());
  CHECK_FALSE(CivilDate{2026, 1, 32}.is_valid());
  CHECK_FALSE(CivilDate{2'000'000'000, 1, 1}.is_valid());
  CHECK(rc::check("from_days and days are inverse", [] {
    const auto days = *rc::gen::inRange<std::int32_t>(-1'800'000'000, 1'800'000'000);
    const CivilDate date = CivilDate::from_days(days);
    RC_ASSERT(date.is_valid());
    RC_ASSERT(date.days() == days);
    RC_ASSERT(date < CivilDate::from_days(days + 1));
  }));
}

TEST_CASE("civil: text") {
  CHECK(CivilDate::parse("2026-11-21").value() == CivilDate{2026, 11, 21});
  CHECK(CivilDate{2026, 1, 2}.to_string() == "2026-01-02");
  CHECK(CivilDate{-1, 1, 2}.to_string() == "-000001-01-02");
  CHECK(CivilDate::parse("-000001-01-02").value() == CivilDate{-1, 1, 2});
  for (const char* text : {"", "2026-02-30", "2026-11-21T00:00:00Z", "21.11.2026", "2026-11-2"}) {
    const auto date = CivilDate::parse(text);
    REQUIRE_FALSE(date);
    CHECK(date.error().code == Code::invalid);
  }
}

TEST_CASE("civil: zones by name") {
  CHECK(Zone().name() == "UTC");
  CHECK(zone("UTC").name() == "UTC");
  CHECK(zone("Europe/Berlin").name() == "Europe/Berlin");
  for (const char* name : {"", "Europe", "Europe/Nowhere", "europe/berlin", "../../etc/passwd",
                           "/etc/localtime", "Europe/Berlin "}) {
    CAPTURE(name);
    const auto found = Zone::find(name);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Code::invalid);
  }
}

TEST_CASE("civil: to the wall clock and back") {
  const Zone berlin = zone("Europe/Berlin");
  CHECK(berlin.to_civil(utc("2026-01-15T12:00:00Z")) == civil({2026, 1, 15}, 13));
  CHECK(berlin.to_civil(utc("2026-07-15T23:30:00Z")) == civil({2026, 7, 16}, 1, 30));
  CHECK(zone("Asia/Kathmandu").to_civil(utc("2026-07-15T00:00:00Z")) ==
        civil({2026, 7, 15}, 5, 45));
  // Half an hour of summer time.
  CHECK(zone("Australia/Lord_Howe").to_civil(utc("2026-01-15T00:00:00Z")) ==
        civil({2026, 1, 15}, 11));
  CHECK(zone("Australia/Lord_Howe").to_civil(utc("2026-07-15T00:00:00Z")) ==
        civil({2026, 7, 15}, 10, 30));
  const CivilTime before_1970{{1969, 12, 31}, 23, 59, 59, 999'999};
  CHECK(Zone().to_civil(Timestamp::from_micros(-1)) == before_1970);
  CHECK(Zone().from_civil(before_1970).at == Timestamp::from_micros(-1));
}

TEST_CASE("civil: the hour that is skipped and the hour that comes twice") {
  const Zone berlin = zone("Europe/Berlin");
  const auto skipped = berlin.from_civil({{2026, 3, 29}, 2, 30, 15, 7});
  CHECK(skipped.kind == Zone::Kind::skipped);
  CHECK(skipped.at == utc("2026-03-29T01:00:00Z"));
  CHECK(berlin.to_civil(skipped.at) == civil({2026, 3, 29}, 3));
  CHECK(berlin.from_civil(civil({2026, 3, 29}, 3)).kind == Zone::Kind::unique);
  CHECK(berlin.from_civil({{2026, 3, 29}, 1, 59, 59, 999'999}).kind == Zone::Kind::unique);

  const auto repeated = berlin.from_civil({{2026, 10, 25}, 2, 30, 0, 5});
  CHECK(repeated.kind == Zone::Kind::repeated);
  CHECK(repeated.at == utc("2026-10-25T00:30:00.000005Z"));
  CHECK(berlin.from_civil(civil({2026, 10, 25}, 3)).kind == Zone::Kind::unique);
  CHECK(berlin.from_civil(civil({2026, 10, 25}, 3)).at == utc("2026-10-25T02:00:00Z"));

  // Samoa had no 30 December 2011.
  const auto no_day = zone("Pacific/Apia").from_civil(civil({2011, 12, 30}, 12));
  CHECK(no_day.kind == Zone::Kind::skipped);
  CHECK(no_day.at == utc("2011-12-30T10:00:00Z"));
}

TEST_CASE("civil: periods between changes of the clock") {
  const auto summer = zone("Europe/Berlin").period(utc("2026-07-01"));
  CHECK(summer.begin == utc("2026-03-29T01:00:00Z"));
  CHECK(summer.end == utc("2026-10-25T01:00:00Z"));
  CHECK(summer.offset == std::chrono::hours(2));
  CHECK(zone("Europe/Berlin").period(summer.begin).end == summer.end);
  CHECK(zone("Europe/Berlin").period(summer.end).begin == summer.end);
  for (const char* name : {"UTC", "Europe/Berlin", "Etc/GMT+5", "Africa/Casablanca"}) {
    const auto lowest = Timestamp::from_micros(INT64_MIN);
    CHECK(zone(name).period(lowest).begin == lowest);
    CHECK(zone(name).period(lowest).end > lowest);
    CHECK(zone(name).period(Timestamp::never()).end == Timestamp::never());
  }
  CHECK(zone("UTC").period(Timestamp()).end == Timestamp::never());
}

TEST_CASE("civil: the ends of time do not overflow") {
  for (const char* name : {"UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"}) {
    for (const std::int64_t micros : {INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX}) {
      const CivilTime local = zone(name).to_civil(Timestamp::from_micros(micros));
      CHECK(local.date.is_valid());
      CHECK((zone(name).from_civil(local).at < Timestamp()) == (micros < 0));
    }
    const CivilTime far = civil({5'000'000, 12, 31}, 23);
    CHECK(zone(name).from_civil(far).at > utc("9999-12-31"));
  }
}

TEST_CASE("civil: properties") {
  CHECK(rc::check("from_civil(to_civil(t)) is t, or the earlier of a repeated hour", [] {
    const Zone z = zone(*rc::gen::element<std::string>("UTC", "Europe/Berlin", "America/New_York",
                                                       "Australia/Lord_Howe", "Asia/Kathmandu",
                                                       "Africa/Casablanca", "Pacific/Apia"));
    const auto t = Timestamp::from_micros(*rc::gen::oneOf(
        rc::gen::inRange<std::int64_t>(-3'000'000'000'000'000, 3'000'000'000'000'000),
        // Around Berlin's changes of 2026.
        rc::gen::inRange<std::int64_t>(1'774'740'000'000'000, 1'774'750'000'000'000),
        rc::gen::inRange<std::int64_t>(1'792'880'000'000'000, 1'792'900'000'000'000)));
    const CivilTime local = z.to_civil(t);
    const auto resolved = z.from_civil(local);
    RC_ASSERT(resolved.kind != Zone::Kind::skipped);
    if (resolved.kind == Zone::Kind::unique) {
      RC_ASSERT(resolved.at == t);
    } else {
      RC_ASSERT(resolved.at <= t);
      RC_ASSERT(z.to_civil(resolved.at) == local);
    }
  }));
}
