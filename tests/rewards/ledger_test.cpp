#include "bureau/rewards/leaderboards.hpp"
#include "rewards/office.hpp"

using namespace rewards_test;

TEST_CASE("levels are a function of points") {
  CHECK(level_of(0) == 1);
  CHECK(level_of(99) == 1);
  CHECK(level_of(100) == 2);
  CHECK(level_of(299) == 2);
  CHECK(level_of(300) == 3);
  for (std::int64_t level = 1; level < 2'000; ++level) {
    CHECK(level_of(points_for_level(level)) == level);
    CHECK(level_of(points_for_level(level + 1) - 1) == level);
  }
  CHECK(level_of(INT64_MAX) >= 400'000'000);
}

TEST_CASE("caps a day, cooldowns, and exact reversals") {
  Office office;
  NewPointRule rule = visit_rule();
  rule.cap_per_day = 25;
  must(office.points().save_rule(rule));
  std::vector<Visit> visits;
  for (int i = 0; i < 4; ++i) visits.push_back(office.visit("ada"));
  office.evaluate();
  CHECK(office.points_of("ada") == 25);  // 10, 10, 5, 0
  office.remove(visits[3]);              // gave nothing, takes nothing
  office.evaluate();
  CHECK(office.points_of("ada") == 25);
  office.remove(visits[2]);  // gave 5
  office.evaluate();
  CHECK(office.points_of("ada") == 20);
  visits.push_back(office.visit("ada"));  // there is room for 5 again
  office.evaluate();
  CHECK(office.points_of("ada") == 25);
  office.clock.advance(std::chrono::hours(24));
  office.visit("ada");
  office.evaluate();
  CHECK(office.points_of("ada") == 35);
  rule.points = 25;  // what was given before is taken back as it was given
  must(office.points().save_rule(rule));
  office.remove(visits[0]);
  office.evaluate();
  CHECK(office.points_of("ada") == 25);

  NewPointRule slow = visit_rule();
  slow.key = "slow";
  slow.criteria.where = "state = \"missed\"";
  slow.cooldown = std::chrono::hours(1);
  must(office.points().save_rule(slow));
  const auto missed = [&](int minutes) {
    office.clock.advance(std::chrono::minutes(minutes));
    office.visit("ben", VisitState::missed);
    office.evaluate();
    return office.points_of("ben");
  };
  CHECK(missed(0) == 10);
  CHECK(missed(59) == 10);
  CHECK(missed(1) == 20);
  CHECK(missed(1) == 20);
}

TEST_CASE("who changes his zone has no second day") {
  Office office;
  NewPointRule rule = visit_rule();
  rule.cap_per_day = 10;
  must(office.points().save_rule(rule));
  const auto go = [&](const char* moment) {
    office.clock.advance(at(moment) - office.clock.now());
  };
  const auto earn_in = [&](const char* zone) {
    must(office.streaks().set_zone(office.people["ada"], std::string(zone)));
    office.visit("ada");
    office.evaluate();
    return office.points_of("ada");
  };
  const char *const east = "Pacific/Kiritimati", *const west = "Pacific/Pago_Pago";
  SUBCASE("back and forth") {
    // 11:30 UTC: the 2nd in the west, the 3rd in the east.
    go("2026-03-02T11:30:00Z");
    CHECK(earn_in(east) == 10);
    for (int i = 0; i < 5; ++i) {
      CHECK(earn_in(west) == 10);
      CHECK(earn_in(east) == 10);
    }
  }
  SUBCASE("hour by hour, for ten days") {
    go("2026-03-02T11:30:00Z");
    std::int64_t points = 0;
    for (int hour = 0; hour < 240; ++hour) {
      points = earn_in(hour % 2 == 0 ? west : east);
      office.clock.advance(std::chrono::hours(1));
    }
    CHECK(points <= 110);  // ten days, begun in the middle of one
    CHECK(points >= 90);
  }
  SUBCASE("a streak that was upheld elsewhere makes none either") {
    go("2026-03-02T11:30:00Z");
    must(office.streaks().set_zone(office.people["ada"], std::string(east)));
    must(office.streaks().uphold(office.people["ada"]));
    CHECK(earn_in(west) == 10);
    CHECK(earn_in(east) == 10);
  }
  SUBCASE("a new day in both is one") {
    go("2026-03-02T11:30:00Z");
    CHECK(earn_in(west) == 10);
    go("2026-03-03T11:30:00Z");
    CHECK(earn_in(east) == 20);
    CHECK(earn_in(west) == 20);
  }
}

TEST_CASE("what is counted late has the days on which it was done") {
  Office office;
  office.clock.advance(at("2026-03-02T10:00:00Z") - office.clock.now());
  for (int i = 0; i < 3; ++i) {
    office.visit("ada");
    office.visit("ada");
    office.clock.advance(std::chrono::hours(24));
  }
  must(office.streaks().uphold(office.people["ada"]));
  NewPointRule rule = visit_rule();
  rule.cap_per_day = 10;
  rule.history = true;
  must(office.points().save_rule(rule));
  office.evaluate();
  CHECK(office.points_of("ada") == 30);
  const auto entries = must(office.points().entries(office.people["ada"]));
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].local_date == at("2026-03-04"));
  CHECK(entries[2].local_date == at("2026-03-02"));
}

TEST_CASE("what is taken back takes its cooldown with it") {
  Office office;
  NewPointRule rule = visit_rule();
  rule.cooldown = std::chrono::hours(1);
  must(office.points().save_rule(rule));
  const Visit first = office.visit("ada");
  office.evaluate();
  office.clock.advance(std::chrono::hours(2));
  Visit second = office.visit("ada");
  office.evaluate();
  CHECK(office.points_of("ada") == 20);
  const auto later = [&] { office.clock.advance(std::chrono::minutes(1)); };
  later();
  second = office.set(second, VisitState::planned);
  SUBCASE("in batches of their own") {
    office.evaluate();
    CHECK(office.points_of("ada") == 10);
  }
  SUBCASE("in one batch") {}
  later();
  second = office.set(second, VisitState::made);
  office.evaluate();
  CHECK(office.points_of("ada") == 20);
  // It is the one that counts now: nothing more within its hour.
  office.clock.advance(std::chrono::minutes(59));
  office.visit("ada");
  office.evaluate();
  CHECK(office.points_of("ada") == 20);
  // An earlier one that is taken back leaves the cooldown of the last as it is.
  office.remove(first);
  office.visit("ada");
  office.evaluate();
  CHECK(office.points_of("ada") == 10);
  later();
  office.visit("ada");
  office.evaluate();
  CHECK(office.points_of("ada") == 20);
}

TEST_CASE("points by hand") {
  Office office;
  const Id<User> ada = office.people["ada"];
  const Points desk{office.as("mia")};
  const PointEntry given = must(desk.give(ada, 40, "a good talk"));
  CHECK(office.points_of("ada") == 40);
  CHECK(must(Leaderboards{office.system()}.board(LeaderboardPeriod::day)).users == 1);
  refused(office, Code::invalid, "points", "0 is not between",
          [&] { return desk.give(ada, 0, "x"); });
  refused(office, Code::invalid, "reason", "empty", [&] { return desk.give(ada, 1, " "); });
  refused(office, Code::invalid, "user", "no active user",
          [&] { return desk.give(Id<User>(5), 1, "x"); });
  refused(office, Code::forbidden, "", "managers",
          [&] { return Points{office.as("ada")}.give(ada, 1, "x"); });
  const PointEntry taken = must(desk.reverse(given.id, "it was another"));
  CHECK(taken.points == -40);
  CHECK(taken.reverses == given.id);
  CHECK(office.points_of("ada") == 0);
  refused(office, Code::conflict, "entry", "already", [&] { return desk.reverse(given.id, "x"); });
  refused(office, Code::invalid, "entry", "takes back another",
          [&] { return desk.reverse(taken.id, "x"); });
  must(office.points().save_rule(visit_rule()));
  office.visit("ada");
  office.evaluate();
  const auto newest = must(office.points().entries(ada, 1)).front();
  refused(office, Code::invalid, "entry", "follows from its source",
          [&] { return desk.reverse(newest.id, "x"); });
  CHECK(must(office.points().of(office.people["eve"])).level == 1);
  refused(office, Code::not_found, "id", "", [&] { return office.points().of(Id<User>(5)); });
}

// Leaderboards ---------------------------------------------------------------------------------

TEST_CASE("periods") {
  const auto around = [](LeaderboardPeriod period, const char* date) {
    const auto p = rewards::period_around(period, day(date));
    return p.start.to_string() + " " + p.end.to_string();
  };
  CHECK(around(LeaderboardPeriod::day, "2026-12-31") == "2026-12-31 2027-01-01");
  CHECK(around(LeaderboardPeriod::week, "2026-11-22") == "2026-11-16 2026-11-23");
  CHECK(around(LeaderboardPeriod::week, "2026-11-23") == "2026-11-23 2026-11-30");
  CHECK(around(LeaderboardPeriod::week, "1970-01-01") == "1969-12-29 1970-01-05");
  CHECK(around(LeaderboardPeriod::month, "2026-12-31") == "2026-12-01 2027-01-01");
  CHECK(around(LeaderboardPeriod::month, "2024-02-29") == "2024-02-01 2024-03-01");
  CHECK(around(LeaderboardPeriod::year, "2026-02-03") == "2026-01-01 2027-01-01");
}

namespace {

std::string text_of(Office& office, const Leaderboard& board) {
  std::string text;
  for (const LeaderboardLine& line : board.lines) {
    std::string who;
    for (const auto& person : office.people) {
      if (person.second == line.user) who = person.first;
    }
    text += std::to_string(line.rank) + " " + who + " " + std::to_string(line.points) + "; ";
  }
  return text;
}

}  // namespace

TEST_CASE("ranks are 1, 2, 2, 4; ties stand in the order in which they were reached") {
  Office office;
  const auto give = [&](const char* name, std::int64_t points) {
    office.clock.advance(std::chrono::minutes(1));
    must(office.points().give(office.people[name], points, "x"));
  };
  give("ben", 20);
  give("ada", 20);
  give("eve", 30);
  give("mia", 5);
  give("vic", 5);
  const Leaderboards boards{office.system()};
  for (const auto period :
       {LeaderboardPeriod::day, LeaderboardPeriod::week, LeaderboardPeriod::month,
        LeaderboardPeriod::year, LeaderboardPeriod::all_time}) {
    CHECK(text_of(office, must(boards.board(period))) ==
          "1 eve 30; 2 ben 20; 2 ada 20; 4 mia 5; 4 vic 5; ");
  }
  const Leaderboard two = must(boards.board(LeaderboardPeriod::day, {}, 2));
  CHECK(two.users == 5);
  CHECK(text_of(office, two) == "1 eve 30; 2 ben 20; ");
  refused(office, Code::invalid, "day", "no day", [&] {
    return boards.board(LeaderboardPeriod::day, CivilDate{2026, 2, 30});
  });
}

TEST_CASE("a leaderboard is frozen once its period is over, by the tenant's zone") {
  Office office;
  Tenant tenant = must(Repository<Tenant>{office.system()}.find(office.tenant));
  tenant.zone = "Asia/Tokyo";
  must(Repository<Tenant>{office.system()}.update(tenant));
  must(office.points().save_rule(visit_rule()));
  office.clock.advance(at("2026-03-31T14:00:00Z") - office.clock.now());  // 23:00 in Tokyo
  const Visit first = office.visit("ada");
  office.visit("ben");
  const PointEntry by_hand = must(office.points().give(office.people["ben"], 1, "x"));
  office.evaluate();
  const Leaderboards boards{office.system()};
  const auto text = [&](LeaderboardPeriod period, const char* date) {
    return text_of(office, must(boards.board(period, day(date))));
  };
  CHECK_FALSE(must(boards.board(LeaderboardPeriod::day)).frozen);
  office.clock.advance(std::chrono::minutes(90));  // the 1st of April
  const auto counts = [&] {
    return must(Repository<LeaderboardSnapshot>{office.system()}.count());
  };
  CHECK(counts() == 0);
  SUBCASE("by what comes after it") {
    office.visit("eve");
    office.evaluate();
  }
  SUBCASE("without anything that comes after it") { office.evaluate(); }
  CHECK(counts() == 4);  // the day and the month, of two
  CHECK(must(boards.board(LeaderboardPeriod::day, day("2026-03-31"))).frozen);
  CHECK(must(boards.board(LeaderboardPeriod::month, day("2026-03-31"))).frozen);
  CHECK_FALSE(must(boards.board(LeaderboardPeriod::week, day("2026-03-31"))).frozen);
  // What is undone now is taken back from what is open, and from no frozen board.
  office.remove(first);
  must(office.points().reverse(by_hand.id, "x"));
  office.evaluate();
  CHECK(text(LeaderboardPeriod::day, "2026-03-31") == "1 ben 11; 2 ada 10; ");
  CHECK(text(LeaderboardPeriod::month, "2026-03-31") == "1 ben 11; 2 ada 10; ");
  CHECK(text(LeaderboardPeriod::week, "2026-03-31").starts_with("1 ben 10; "));
  CHECK(office.points_of("ada") == 0);
  CHECK(counts() == 4);
}
