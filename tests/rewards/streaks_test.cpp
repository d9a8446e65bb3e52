#include <set>

#include "bureau/rewards/ledger.hpp"
#include "rewards/office.hpp"

using namespace rewards_test;

namespace {

/// Someone whose days are upheld at given moments.
struct Person {
  Office office;
  Id<User> id = office.people["ada"];

  void go_to(const char* moment) {
    const Duration ahead = at(moment) - office.clock.now();
    REQUIRE(ahead.count() >= 0);
    office.clock.advance(ahead);
  }
  Streaks::Streak on(const char* moment) {
    go_to(moment);
    return must(office.streaks().uphold(id));
  }
  Streaks::Streak seen(const char* moment) {
    go_to(moment);
    return must(office.streaks().of(id));
  }
  void live_in(const char* zone) { must(office.streaks().set_zone(id, std::string(zone))); }
};

}  // namespace

TEST_CASE("days that follow one another are a streak, a missed one ends it") {
  Person ada;
  CHECK(ada.seen("2026-03-01T10:00:00Z").days == 0);
  CHECK(ada.on("2026-03-01T10:00:00Z").days == 1);
  CHECK(ada.on("2026-03-01T23:59:59Z").days == 1);
  CHECK(ada.on("2026-03-02T00:00:00Z").days == 2);
  CHECK(ada.seen("2026-03-03T23:59:59Z").days == 2);
  CHECK_FALSE(ada.seen("2026-03-03T23:59:59Z").today);
  CHECK(ada.on("2026-03-03T23:59:59Z").today);
  CHECK(ada.seen("2026-03-05T00:00:00Z").days == 0);
  const auto anew = ada.on("2026-03-05T00:00:00Z");
  CHECK(anew.days == 1);
  CHECK(anew.longest == 3);
  const auto days = must(ada.office.streaks().days(ada.id));
  REQUIRE(days.size() == 4);
  CHECK(days[0].local_date == at("2026-03-05"));
  CHECK(days[0].zone == "UTC");
}

TEST_CASE("days of 23 and of 25 hours are days") {
  Person ada;
  ada.go_to("2026-03-01T00:00:00Z");
  ada.live_in("Europe/Berlin");
  // Summer time begins on 2026-03-29 at 01:00 UTC, and ends on 2026-10-25.
  CHECK(ada.on("2026-03-28T22:59:00Z").days == 1);  // 23:59 on the 28th
  CHECK(ada.on("2026-03-28T23:01:00Z").days == 2);  // 00:01 on the 29th
  CHECK(ada.on("2026-03-29T21:59:00Z").days == 2);  // 23:59, the day has 23 hours
  CHECK(ada.on("2026-03-29T22:01:00Z").days == 3);
  CHECK(ada.on("2026-10-24T21:30:00Z").days == 1);
  CHECK(ada.on("2026-10-24T22:30:00Z").days == 2);
  CHECK(ada.on("2026-10-25T00:30:00Z").days == 2);  // 02:30, the first time
  CHECK(ada.on("2026-10-25T01:30:00Z").days == 2);  // 02:30, the second
  CHECK(ada.on("2026-10-25T22:59:00Z").days == 2);  // the day has 25 hours
  CHECK(ada.on("2026-10-25T23:01:00Z").days == 3);
}

TEST_CASE("moving to another zone neither counts a day twice nor breaks a streak") {
  Person ada;
  ada.go_to("2026-05-01T00:00:00Z");
  SUBCASE("eastwards over the date line") {
    ada.live_in("Pacific/Honolulu");
    CHECK(ada.on("2026-05-10T20:00:00Z").days == 1);  // the 10th, 10:00
    ada.live_in("Pacific/Kiritimati");
    CHECK(ada.on("2026-05-10T20:10:00Z").days == 1);  // the 11th there: but ten minutes later
    CHECK(ada.on("2026-05-11T19:00:00Z").days == 2);  // the 12th there, the 11th in Honolulu
    CHECK(ada.on("2026-05-12T19:00:00Z").days == 3);
  }
  SUBCASE("westwards over the date line") {
    ada.live_in("Pacific/Kiritimati");
    CHECK(ada.on("2026-05-10T20:00:00Z").days == 1);  // the 11th, 10:00
    ada.live_in("Pacific/Honolulu");
    CHECK(ada.on("2026-05-10T20:10:00Z").days == 1);  // the 10th there
    CHECK(ada.on("2026-05-11T20:00:00Z").days == 1);  // the 11th, a second time
    CHECK(ada.seen("2026-05-12T20:00:00Z").days == 1);
    CHECK(ada.on("2026-05-12T20:00:00Z").days == 2);
    CHECK(ada.on("2026-05-13T20:00:00Z").days == 3);
  }
  SUBCASE("there and back") {
    ada.live_in("Pacific/Honolulu");
    CHECK(ada.on("2026-05-10T20:00:00Z").days == 1);
    for (const char* zone : {"Asia/Tokyo", "Pacific/Honolulu", "Pacific/Kiritimati",
                             "Pacific/Honolulu", "Europe/Berlin"}) {
      ada.live_in(zone);
      CHECK(must(ada.office.streaks().uphold(ada.id)).days == 1);
    }
  }
  SUBCASE("the tenant's zone, without one of his own") {
    Tenant tenant = must(Repository<Tenant>{ada.office.system()}.find(ada.office.tenant));
    tenant.zone = "America/New_York";
    must(Repository<Tenant>{ada.office.system()}.update(tenant));
    CHECK(ada.on("2026-05-10T03:00:00Z").days == 1);  // the 9th, 23:00
    CHECK(ada.on("2026-05-10T05:00:00Z").days == 2);  // the 10th, 01:00
    ada.live_in("UTC");
    CHECK(ada.on("2026-05-10T23:00:00Z").days == 2);
    CHECK(ada.on("2026-05-11T03:00:00Z").days == 2);  // the 11th, but the 10th in New York
    CHECK(ada.on("2026-05-11T12:00:00Z").days == 3);
  }
  std::set<std::int64_t> dates;
  for (const StreakDay& day : must(ada.office.streaks().days(ada.id))) {
    CHECK(dates.insert(day.local_date.micros()).second);
  }
}

TEST_CASE("freezes stand for missed days") {
  Person ada;
  ada.on("2026-03-01T10:00:00Z");
  must(ada.office.streaks().add_freezes(ada.id, 2));
  CHECK(ada.seen("2026-03-04T10:00:00Z").days == 1);
  auto streak = ada.on("2026-03-04T10:00:00Z");
  CHECK(streak.days == 2);
  CHECK(streak.freezes == 0);
  const auto days = must(ada.office.streaks().days(ada.id));
  REQUIRE(days.size() == 4);
  CHECK(days[1].state == StreakDayState::frozen);
  CHECK(days[1].local_date == at("2026-03-03"));
  CHECK(days[2].state == StreakDayState::frozen);
  must(ada.office.streaks().add_freezes(ada.id, 1));
  CHECK(ada.seen("2026-03-07T10:00:00Z").days == 0);  // two more were missed
  streak = ada.on("2026-03-07T10:00:00Z");
  CHECK(streak.days == 1);
  CHECK(streak.freezes == 1);
  CHECK(streak.longest == 2);
}

TEST_CASE("what counts upholds the day on which it was done") {
  Person ada;
  must(ada.office.points().save_rule(visit_rule()));
  ada.go_to("2026-03-01T10:00:00Z");
  const Visit first = ada.office.visit("ada");
  ada.go_to("2026-03-02T10:00:00Z");
  ada.office.visit("ada");
  ada.go_to("2026-03-03T10:00:00Z");
  ada.office.remove(first);
  ada.office.evaluate();
  const auto streak = must(ada.office.streaks().of(ada.id));
  CHECK(streak.days == 2);  // what was undone was done
  CHECK_FALSE(streak.today);
}

TEST_CASE("streaks: who may what, and bad input") {
  Person ada;
  Office& office = ada.office;
  const Id<User> ben = office.people["ben"];
  must(Streaks{office.as("ben")}.uphold(ben));
  must(Streaks{office.as("mia")}.uphold(ben));
  refused(office, Code::forbidden, "", "oneself",
          [&] { return Streaks{office.as("ben")}.uphold(office.people["ada"]); });
  refused(office, Code::forbidden, "", "managers",
          [&] { return Streaks{office.as("ben")}.add_freezes(ben, 1); });
  refused(office, Code::invalid, "zone", "Mars/Base",
          [&] { return office.streaks().set_zone(ben, "Mars/Base"); });
  refused(office, Code::invalid, "days", "0 is not between",
          [&] { return office.streaks().add_freezes(ben, 0); });
  refused(office, Code::invalid, "user", "no active user",
          [&] { return office.streaks().uphold(Id<User>(77)); });
  refused(office, Code::not_found, "id", "", [&] { return office.streaks().of(Id<User>(77)); });
}
