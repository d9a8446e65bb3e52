#include "bureau/rewards/achievements.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "rewards/office.hpp"
#include "tree.hpp"

using namespace rewards_test;

namespace {

template <class E>
std::string_view name_of(E value) {
  return names<E>[static_cast<std::size_t>(value)];
}

}  // namespace

TEST_CASE("names and numbers that reach the disk stay") {
  CHECK(names<Rarity> ==
        std::array<std::string_view, 5>{"common", "uncommon", "rare", "epic", "legendary"});
  CHECK(names<CountedChange> ==
        std::array<std::string_view, 4>{"any", "insert", "update", "remove"});
  CHECK(names<AchievementState> ==
        std::array<std::string_view, 4>{"locked", "in_progress", "unlocked", "revoked"});
  CHECK(names<StreakDayState> == std::array<std::string_view, 2>{"upheld", "frozen"});
  CHECK(names<LeaderboardPeriod> ==
        std::array<std::string_view, 5>{"day", "week", "month", "year", "all_time"});
}

TEST_CASE("the picture in docs/rewards.md is what the table says") {
  std::string picture = "```mermaid\nstateDiagram-v2\n    [*] --> locked\n";
  for (const AchievementTransition& edge : achievement_transitions) {
    picture +=
        "    " + std::string(name_of(edge.from)) + " --> " + std::string(name_of(edge.to)) + "\n";
  }
  picture += "```\n";
  std::ifstream file(std::string(BUREAU_SOURCE_DIR) + "/docs/rewards.md");
  std::stringstream text;
  text << file.rdbuf();
  INFO(picture);
  CHECK(text.str().find(picture) != std::string::npos);
}

TEST_CASE("rows that come to match count, and what undoes them takes the count back") {
  Office office;
  must(office.achievements().save(visitor(2)));
  const Visit first = office.visit("ada");
  office.evaluate();
  CHECK(office.has("ada", "visitor")->state == AchievementState::in_progress);
  CHECK(office.has("ada", "visitor")->progress == 1);
  const Visit second = office.visit("ada", VisitState::planned);
  office.evaluate();
  CHECK(office.has("ada", "visitor")->progress == 1);  // planned is not made
  Visit made = office.set(second, VisitState::made);
  office.evaluate();
  CHECK(office.has("ada", "visitor")->state == AchievementState::unlocked);
  CHECK(office.has("ada", "visitor")->unlocked_at == office.clock.now());
  CHECK(office.points_of("ada") == 50);
  CHECK(must(office.points().of(office.people["ada"])).achievements == 1);
  made.value = 7;  // matches as before
  made = must(Repository<Visit>{office.system()}.update(made));
  office.evaluate();
  CHECK(office.has("ada", "visitor")->progress == 2);

  SUBCASE("by another state") { office.set(made, VisitState::missed); }
  SUBCASE("by removal") { office.remove(first); }
  office.evaluate();
  CHECK(office.has("ada", "visitor")->state == AchievementState::revoked);
  CHECK(office.has("ada", "visitor")->progress == 1);
  CHECK(office.points_of("ada") == 0);
  CHECK(must(office.points().of(office.people["ada"])).achievements == 0);
  const auto entries = must(office.points().entries(office.people["ada"]));
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].points == -50);
  CHECK(entries[0].reverses == entries[1].id);
  office.visit("ada");
  office.evaluate();
  CHECK(office.has("ada", "visitor")->state == AchievementState::unlocked);
  CHECK(office.points_of("ada") == 50);
}

TEST_CASE("a deal that is won counts, and one that is reopened no longer") {
  Office office;
  must(sales::create_default_pipeline(office.system()));
  NewAchievement closer;
  closer.key = "closer";
  closer.name = "Closer";
  closer.criteria = Criteria{"deals", CountedChange::any, "state = \"won\"", "owner"};
  must(office.achievements().save(closer));
  const Deals deals{office.system()};
  NewDeal given;
  given.title = "Anvils";
  given.value = must(Money::parse("10.00 USD"));
  given.owner = office.people["ben"];
  const Id<Deal> id = must(deals.open(given)).id;
  must(deals.win(id));
  office.evaluate();
  CHECK(office.has("ben", "closer")->state == AchievementState::unlocked);
  must(deals.reopen(id));
  office.evaluate();
  CHECK(office.has("ben", "closer")->state == AchievementState::revoked);
  must(deals.lose(id, "no budget"));
  must(deals.reopen(id));
  must(deals.win(id));
  office.evaluate();
  CHECK(office.has("ben", "closer")->state == AchievementState::unlocked);
  CHECK(must(office.achievements().holders("closer")).size() == 1);
}

TEST_CASE("the count follows the column, and stays with who made the change") {
  Office office;
  must(office.achievements().save(visitor(1)));
  NewAchievement mover = visitor(1);
  mover.key = "mover";
  mover.criteria = Criteria{"visits", CountedChange::any, "state = \"made\"", ""};
  must(office.achievements().save(mover));
  Visit visit;
  visit.state = VisitState::made;
  visit = must(Repository<Visit>{office.as("eve")}.insert(visit));  // nobody's yet
  office.evaluate();
  CHECK(office.has("eve", "mover")->state == AchievementState::unlocked);
  for (const auto& [owner, other] : {std::pair("ada", "ben"), std::pair("ben", "ada")}) {
    visit.owner = office.people[owner];
    visit = must(Repository<Visit>{office.as("mia")}.update(visit));
    office.evaluate();
    CHECK(office.has(owner, "visitor")->state == AchievementState::unlocked);
    CHECK(office.points_of(owner) == 50);
    CHECK(office.points_of(other) == 0);
  }
  CHECK(office.has("ada", "visitor")->state == AchievementState::revoked);
  CHECK(office.has("eve", "mover")->state == AchievementState::unlocked);
  CHECK_FALSE(office.has("mia", "mover"));
  visit.owner.reset();
  must(Repository<Visit>{office.system()}.update(visit));
  office.visit("");  // by the system
  office.evaluate();
  CHECK(office.has("ben", "visitor")->state == AchievementState::revoked);
  CHECK(office.points_of("ben") == 0);
  CHECK(must(Repository<UserAchievement>{office.system()}.count()) == 3);
}

TEST_CASE("repeatable ones are unlocked again at each multiple") {
  Office office;
  NewAchievement given = visitor(2);
  given.repeatable = true;
  must(office.achievements().save(given));
  std::vector<Visit> visits;
  for (int i = 0; i < 5; ++i) visits.push_back(office.visit("ada"));
  office.evaluate();
  CHECK(office.has("ada", "visitor")->times == 2);
  CHECK(office.points_of("ada") == 100);
  for (int i = 0; i < 3; ++i) office.remove(visits[static_cast<std::size_t>(i)]);
  office.evaluate();
  CHECK(office.has("ada", "visitor")->times == 1);
  CHECK(office.has("ada", "visitor")->state == AchievementState::unlocked);
  CHECK(office.points_of("ada") == 50);
  office.remove(visits[3]);
  office.evaluate();
  CHECK(office.has("ada", "visitor")->state == AchievementState::revoked);
  CHECK(office.points_of("ada") == 0);
}

TEST_CASE("inserts, updates and removals are told apart") {
  Office office;
  for (const CountedChange change :
       {CountedChange::insert, CountedChange::update, CountedChange::remove}) {
    NewAchievement given = visitor(1);
    given.key = std::string(name_of(change));
    given.criteria->change = change;
    must(office.achievements().save(given));
  }
  const Visit inserted = office.visit("ada");
  const Visit updated = office.visit("ben", VisitState::planned);
  office.set(updated, VisitState::made);
  const Visit removed = office.visit("eve");
  office.remove(removed);
  const Visit other = office.visit("mia", VisitState::missed);
  office.remove(other);
  office.evaluate();
  CHECK(office.has("ada", "insert")->progress == 1);
  CHECK_FALSE(office.has("ben", "insert"));
  CHECK(office.has("ben", "update")->progress == 1);
  CHECK_FALSE(office.has("ada", "update"));
  CHECK(office.has("eve", "remove")->progress == 1);
  CHECK(office.has("eve", "insert")->progress == 0);
  CHECK_FALSE(office.has("mia", "remove"));
  // An update back and forth makes no insert of it.
  office.set(office.set(inserted, VisitState::missed), VisitState::made);
  office.evaluate();
  CHECK(office.has("ada", "insert")->state == AchievementState::revoked);
  CHECK(office.has("ada", "update")->progress == 1);
}

TEST_CASE("a table whose journal does not say what was is counted all the same") {
  Office office;
  NewAchievement caller = visitor(1);
  caller.criteria = Criteria{"calls", CountedChange::any, "done = true", "owner"};
  must(office.achievements().save(caller));
  Call call;
  call.owner = office.people["ada"];
  const Repository<Call> calls{office.system()};
  call = must(calls.insert(call));
  call.done = true;
  call = must(calls.update(call));
  office.evaluate();
  CHECK(office.has("ada", "visitor")->progress == 1);
  call.note = "again";
  call = must(calls.update(call));
  office.evaluate();
  CHECK(office.has("ada", "visitor")->progress == 1);
  call.done = false;
  call = must(calls.update(call));
  office.evaluate();
  CHECK(office.has("ada", "visitor")->progress == 0);
  call.done = true;
  call = must(calls.update(call));
  must(calls.remove(call.id));
  office.evaluate();
  CHECK(office.has("ada", "visitor")->state == AchievementState::revoked);
}

TEST_CASE("what was before an achievement counts only when it is asked for") {
  Office office;
  must(office.points().save_rule(visit_rule()));
  const Visit before = office.visit("ada");
  office.evaluate();
  must(office.achievements().save(visitor(1)));
  NewAchievement all = visitor(1);
  all.key = "all";
  all.history = true;
  must(office.achievements().save(all));
  office.evaluate();
  CHECK_FALSE(office.has("ada", "visitor"));
  CHECK(office.has("ada", "all")->progress == 1);
  CHECK(office.points_of("ada") == 60);  // the rule did not count it twice
  // What ceases to match had never begun to count.
  office.set(before, VisitState::missed);
  office.evaluate();
  CHECK_FALSE(office.has("ada", "visitor"));
  CHECK(office.has("ada", "all")->progress == 0);
  CHECK(office.points_of("ada") == 0);
}

TEST_CASE("an inactive one counts nothing new, and what is undone is taken back") {
  Office office;
  NewAchievement given = visitor(1);
  must(office.achievements().save(given));
  const Visit visit = office.visit("ada");
  office.evaluate();
  given.active = false;
  given.name = "Was a visitor";
  must(office.achievements().save(given));
  office.visit("ben");
  office.remove(visit);
  office.evaluate();
  CHECK_FALSE(office.has("ben", "visitor"));
  CHECK(office.has("ada", "visitor")->state == AchievementState::revoked);
  CHECK(office.points_of("ada") == 0);
}

TEST_CASE("criteria and what they give stay as they were made") {
  Office office;
  must(office.achievements().save(visitor(2)));
  const auto changed = [&](const char* field, auto change) {
    NewAchievement given = visitor(2);
    change(given);
    refused(office, Code::conflict, field, "stays as it was made",
            [&] { return office.achievements().save(given); });
  };
  changed("target", [](auto& g) { g.target = 3; });
  changed("repeatable", [](auto& g) { g.repeatable = true; });
  changed("points", [](auto& g) { g.points = 51; });
  changed("criteria", [](auto& g) { g.criteria->where = "state = \"missed\""; });
  changed("criteria", [](auto& g) { g.criteria->user = ""; });
  changed("criteria", [](auto& g) { g.criteria->change = CountedChange::insert; });
  NewAchievement other = visitor(2);
  other.rarity = Rarity::epic;
  const Json same = must(office.achievements().find("visitor")).predicate;
  other.criteria->where = same;  // the JSON form means the same
  CHECK(must(office.achievements().save(other)).rarity == Rarity::epic);
  NewPointRule rule = visit_rule();
  must(office.points().save_rule(rule));
  rule.points = 20;
  CHECK(must(office.points().save_rule(rule)).points == 20);
  rule.criteria.user = "";
  refused(office, Code::conflict, "criteria", "stay as they were made",
          [&] { return office.points().save_rule(rule); });
}

TEST_CASE("criteria that never can be met are refused, and say why") {
  Office office;
  const auto never = [&](const char* where, const char* text) {
    CAPTURE(where);
    NewAchievement given = visitor(1);
    given.criteria->where = where;
    refused(office, Code::invalid, "where", text,
            [&] { return office.achievements().save(given); });
    NewPointRule rule = visit_rule();
    rule.criteria.where = where;
    refused(office, Code::invalid, "where", text, [&] { return office.points().save_rule(rule); });
  };
  never("state = \"made\" and state = \"missed\"", "never can be met: state");
  never("state = \"made\" and not state = \"made\"", "never can be met");
  never("state in ()", "never can be met");
  never("state > \"missed\"", "never can be met");
  never("state != \"made\" and state not in (\"planned\", \"missed\")", "never can be met");
  never("value > 5 and value < 6", "never can be met: value");
  never("value > 9223372036854775807", "never can be met");
  never("value in (1, 2) and value > 2", "never can be met");
  never("(value < 1 or state = \"made\") and value = 1 and state = \"planned\"",
        "never can be met");
  never("created_at is null", "created_at is never null");
  never("owner is null", "owner would have to be null and have a value");
  never("custom.size = 3 and custom.size = 4", "never can be met: custom.size");
  never("custom.region prefix \"ab\" and custom.region prefix \"b\"", "never can be met");
  never("custom.region > \"b\" and custom.region < \"b\"", "never can be met");

  NewAchievement given = visitor(2);
  const Visit one = office.visit("ada");
  given.criteria->where = "id = \"" + id::to_text("vis", one.id.value) + "\"";
  refused(office, Code::invalid, "target", "never can be met: at most 1 row",
          [&] { return office.achievements().save(given); });
  given = visitor(1);
  given.criteria->change = CountedChange::update;
  given.criteria->where = Json();
  given.criteria->user = "";
  refused(office, Code::invalid, "change", "never can be met",
          [&] { return office.achievements().save(given); });
  given.criteria->where = "created_at > \"2026-01-01\"";
  refused(office, Code::invalid, "change", "nothing that is asked about ever changes",
          [&] { return office.achievements().save(given); });
}

TEST_CASE("criteria that can be met are not refused") {
  Office office;
  int number = 0;
  for (const char* where :
       {"value > 5 and value <= 6", "value >= 5 and value <= 5", "state = \"made\" or state in ()",
        "not (state = \"made\" and value > 5)",
        "custom.region prefix \"ab\" and custom.region > \"a\"", "custom.a is null or custom.a = 3",
        "state != \"made\" and state != \"missed\"", "owner is not null", "value not in ()",
        "value != 3 and value != 4"}) {
    CAPTURE(where);
    NewAchievement given = visitor(1);
    given.key = "a" + std::to_string(++number);
    given.criteria->where = where;
    must(office.achievements().save(given));
  }
}

TEST_CASE("bad input names field, value and rule, and changes nothing") {
  Office office;
  const auto bad = [&](const char* field, const char* text, auto change) {
    CAPTURE(text);
    NewAchievement given = visitor(1);
    change(given);
    refused(office, Code::invalid, field, text, [&] { return office.achievements().save(given); });
  };
  bad("key", "\"\"", [](auto& g) { g.key = ""; });
  bad("key", "Visitor", [](auto& g) { g.key = "Visitor"; });
  bad("key", "UTF-8", [](auto& g) { g.key = "\xff"; });
  bad("name", "empty", [](auto& g) { g.name = " "; });
  bad("name", "201 characters", [](auto& g) { g.name = std::string(201, 'x'); });
  bad("points", "-1 is not between 0 and", [](auto& g) { g.points = -1; });
  bad("target", "0 is not between 1 and", [](auto& g) { g.target = 0; });
  bad("table", "no table \"vists\"", [](auto& g) { g.criteria->table = "vists"; });
  bad("table", "no table", [](auto& g) { g.criteria->table = "bureau_journal"; });
  bad("table", "has no journal", [](auto& g) { g.criteria->table = "workloads"; });
  bad("table", "belongs to no tenant", [](auto& g) { g.criteria->table = "tenants"; });
  bad("table", "never rest", [](auto& g) { g.criteria->table = "point_entries"; });
  bad("table", "never rest", [](auto& g) { g.criteria->table = "tasks"; });
  bad("where", "column", [](auto& g) { g.criteria->where = "colour = \"red\""; });
  bad("where", "variable", [](auto& g) { g.criteria->where = "owner = $user"; });
  bad("where", "now()", [](auto& g) { g.criteria->where = "created_at < now()"; });
  bad("where", "sub-select",
      [](auto& g) { g.criteria->where = "owner in (select id from users)"; });
  bad("where", "personal", [](auto& g) {
    g.criteria = Criteria{"contacts", CountedChange::any, "name = \"Ann\"", ""};
  });
  bad("where", "", [](auto& g) { g.criteria->where = Json(3); });
  bad("user", "no column", [](auto& g) { g.criteria->user = "seller"; });
  bad("user", "does not name users", [](auto& g) { g.criteria->user = "tenant"; });
  bad("criteria", "awarded by hand", [](auto& g) {
    g.criteria.reset();
    g.target = 2;
  });
  const auto bad_rule = [&](const char* field, auto change) {
    NewPointRule given = visit_rule();
    change(given);
    refused(office, Code::invalid, field, "", [&] { return office.points().save_rule(given); });
  };
  bad_rule("points", [](auto& g) { g.points = 0; });
  bad_rule("cap_per_day", [](auto& g) { g.cap_per_day = 9; });
  bad_rule("cooldown", [](auto& g) { g.cooldown = Duration(-1); });
}

TEST_CASE("what is awarded by hand is taken back by hand, with what it gave") {
  Office office;
  NewAchievement medal;
  medal.key = "medal";
  medal.name = "Medal";
  medal.points = 200;
  must(office.achievements().save(medal));
  must(office.achievements().save(visitor(1)));
  const Id<User> ada = office.people["ada"];
  const Achievements desk{office.as("mia")};
  CHECK(must(desk.award("medal", ada)).state == AchievementState::unlocked);
  CHECK(office.points_of("ada") == 200);
  CHECK(must(office.points().of(ada)).level == 2);
  refused(office, Code::conflict, "user", "has \"medal\"",
          [&] { return desk.award("medal", ada); });
  CHECK(must(desk.revoke("medal", ada)).state == AchievementState::revoked);
  CHECK(office.points_of("ada") == 0);
  refused(office, Code::conflict, "user", "does not have",
          [&] { return desk.revoke("medal", ada); });
  refused(office, Code::invalid, "key", "criteria", [&] { return desk.award("visitor", ada); });
  refused(office, Code::not_found, "key", "no achievement", [&] { return desk.award("oak", ada); });
  refused(office, Code::invalid, "user", "no active user",
          [&] { return desk.award("medal", Id<User>(12345)); });
  refused(office, Code::forbidden, "", "managers",
          [&] { return Achievements{office.as("ben")}.award("medal", ada); });
}

TEST_CASE("who sees what") {
  Office office;
  NewAchievement hidden = visitor(1);
  hidden.key = "secret";
  hidden.secret = true;
  must(office.achievements().save(hidden));
  must(office.achievements().save(visitor(1)));
  must(office.points().save_rule(visit_rule()));
  office.visit("ada");
  office.evaluate();
  const auto seen = [&](const char* name) {
    return must(Achievements{office.as(name)}.list({})).size();
  };
  CHECK(seen("mia") == 2);
  CHECK(seen("ada") == 2);  // she has it
  CHECK(seen("ben") == 1);
  CHECK(seen("cora") == 0);
  const auto entries = [&](const char* name) {
    return must(Points{office.as(name)}.entries(office.people["ada"])).size();
  };
  CHECK(entries("mia") == 3);
  CHECK(entries("ada") == 3);
  CHECK(entries("ben") == 0);
  CHECK(must(Points{office.as("ben")}.of(office.people["ada"])).points == 110);
  CHECK(must(Leaderboards{office.as("vic")}.board(LeaderboardPeriod::week)).users == 1);
  CHECK(must(Leaderboards{office.as("cora")}.board(LeaderboardPeriod::week)).users == 0);
  refused(office, Code::forbidden, "", "", [&] {
    return Achievements{office.as("ben")}.save([] {
      auto g = visitor(1);
      g.key = "mine";
      return g;
    }());
  });
  refused(office, Code::forbidden, "", "",
          [&] { return Repository<PointEntry>{office.as("mia")}.insert(PointEntry()); });
  refused(office, Code::forbidden, "", "system",
          [&] { return rewards::catch_up(office.as("mia")); });
}

TEST_CASE("a file of achievements and rules comes in whole or not at all") {
  Office office;
  const Json good = must(Json::parse(R"({
    "achievements": [
      {"key": "visitor", "name": "Visitor", "rarity": "rare", "points": 5, "target": 2,
       "criteria": {"table": "visits", "where": "state = \"made\"", "user": "owner"}},
      {"key": "medal", "name": "Medal"}],
    "rules": [{"key": "visit", "name": "A visit", "points": 10, "cooldown_s": 60,
               "criteria": {"table": "visits", "user": "owner", "change": "insert"}}]})"));
  const auto imported = must(rewards::import_rewards(office.system(), good));
  CHECK(imported.achievements == 2);
  CHECK(imported.rules == 1);
  must(rewards::import_rewards(office.system(), good));
  CHECK(must(office.achievements().list({})).size() == 2);
  CHECK(must(office.points().rules({})).front().cooldown == std::chrono::minutes(1));
  const auto bad = [&](const char* text, const char* field, const char* says) {
    CAPTURE(text);
    refused(office, Code::invalid, field, says,
            [&] { return rewards::import_rewards(office.system(), must(Json::parse(text))); });
  };
  bad("[]", "file", "no object");
  bad(R"({"medals": []})", "medals", "not known");
  bad(R"({"achievements": {}})", "achievements", "no list");
  bad(R"({"achievements": [{"key": "new", "name": "New"}, {"key": "x", "name": 3}]})", "name",
      "achievements[1], name: 3 is no text");
  bad(R"({"achievements": [{"key": "x", "name": "X", "colour": 3}]})", "colour", "not known");
  bad(R"({"achievements": [{"key": "x", "name": "X", "rarity": "blue"}]})", "rarity", "none of");
  bad(R"({"rules": [{"key": "x", "name": "X", "points": "3"}]})", "points", "no whole number");
  bad(R"({"rules": [{"key": "x", "name": "X", "points": 3}]})", "table", "rules[0], table");
  bad(R"({"achievements": [{"key": "x", "name": "X"}, {"key": "x", "name": "Y"}]})", "key",
      "achievements[1], key: an entry before it is \"x\" too");
  bad(R"({"rules": [{"key": "x", "name": "X", "points": 3, "criteria": {"table": "visits"}},
                    {"key": "x", "name": "X", "points": 4, "criteria": {"table": "visits"}}]})",
      "key", "rules[1], key");
}
