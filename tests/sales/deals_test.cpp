#include "bureau/sales/deals.hpp"

#include <fstream>
#include <limits>
#include <sstream>

#include "sales/office.hpp"
#include "tree.hpp"

using namespace office;

namespace {

std::string_view name_of(StageCategory state) {
  return names<StageCategory>[static_cast<std::size_t>(state)];
}

}  // namespace

TEST_CASE("names and numbers that reach the disk stay") {
  CHECK(names<StageCategory> == std::array<std::string_view, 3>{"open", "won", "lost"});
  CHECK(names<ActivityKind> == std::array<std::string_view, 7>{"note", "email", "call", "meeting",
                                                               "task", "stage_change",
                                                               "value_change"});
  CHECK(names<ActivityStatus> == std::array<std::string_view, 3>{"open", "done", "cancelled"});
}

TEST_CASE("the picture in docs/deals.md is what the table says") {
  std::string picture = "```mermaid\nstateDiagram-v2\n    [*] --> open\n";
  for (const DealTransition& edge : deal_transitions) {
    picture +=
        "    " + std::string(name_of(edge.from)) + " --> " + std::string(name_of(edge.to)) + "\n";
  }
  picture += "```\n";
  std::ifstream file(std::string(BUREAU_SOURCE_DIR) + "/docs/deals.md");
  std::stringstream text;
  text << file.rdbuf();
  INFO(picture);
  CHECK(text.str().find(picture) != std::string::npos);
}

TEST_CASE("a deal opens in the first stage, with its weighted value and its history") {
  Office office;
  NewDeal given = office.draft("100.05 USD");
  given.expected_close = at("2026-03-01");
  given.owner = office.people["ada"];
  const Deal deal = must(office.desk().open(given));
  CHECK(deal.stage == office.stage("Prospecting"));
  CHECK(deal.state == StageCategory::open);
  CHECK(deal.probability_bp == 1'000);
  CHECK(deal.weighted_minor == 1'000);  // 1000.5 cents, half to even
  CHECK(deal.month == 202603);
  CHECK(deal.opened_at == office.clock.now());
  CHECK(must(sales::value_of(deal)) == money("100.05 USD"));
  CHECK(must(sales::weighted_of(deal)) == money("10.00 USD"));
  const auto history = must(office.desk().history(deal.id));
  REQUIRE(history.size() == 1);
  CHECK(history[0].stage == deal.stage);
  CHECK(history[0].sequence == 1);
  CHECK(history[0].first);
  CHECK_FALSE(history[0].left_at);
  CHECK(must(office.desk().open_all({})).empty());
}

TEST_CASE("a deal moves, is won, is reopened, is lost: state, times and history follow") {
  Office office;
  const Id<Deal> id = office.open().id;
  const Timestamp opened = office.clock.now();
  const auto wait = [&] { office.clock.advance(std::chrono::hours(24)); };
  wait();
  Deal deal = must(office.desk().move(id, "Engaging"));
  CHECK(deal.weighted_minor == 50'000);
  CHECK(must(office.desk().move(id, "Engaging")).stage_count == 2);  // it is there
  wait();
  deal = must(office.desk().win(id, money("1200.00 USD")));
  CHECK(deal.state == StageCategory::won);
  CHECK(deal.value_minor == 120'000);
  CHECK(deal.probability_bp == 10'000);
  CHECK(deal.weighted_minor == 120'000);
  CHECK(deal.closed_at == office.clock.now());
  CHECK(deal.furthest == office.stage("Won"));
  wait();
  deal = must(office.desk().reopen(id));
  CHECK(deal.stage == office.stage("Engaging"));  // where it was
  CHECK(deal.reopen_count == 1);
  CHECK(deal.probability_bp == 5'000);
  CHECK_FALSE(deal.closed_at);
  CHECK_FALSE(deal.month);
  wait();
  deal = must(office.desk().lose(id, "Too dear"));
  CHECK(deal.state == StageCategory::lost);
  CHECK(deal.lost_reason == "Too dear");
  CHECK(deal.weighted_minor == 0);
  deal = must(office.desk().reopen(id, "Prospecting"));
  CHECK_FALSE(deal.lost_reason);
  CHECK(deal.stage == office.stage("Prospecting"));
  const auto history = must(office.desk().history(id));
  REQUIRE(history.size() == 6);
  CHECK(history[0].entered_at == opened);
  CHECK(history[3].stage == office.stage("Engaging"));
  CHECK_FALSE(history[3].first);
  CHECK(history[2].value_minor == 120'000);
  for (std::size_t i = 0; i + 1 < history.size(); ++i) {
    CHECK(history[i].left_at == history[i + 1].entered_at);
  }
}

TEST_CASE("a clock that steps back makes no stay begin before the one before it") {
  Office office;
  const Deal opened = office.open();
  office.clock.step(-std::chrono::hours(5));
  const Deal moved = must(office.desk().move(opened.id, "Engaging"));
  CHECK(moved.stage_entered_at == opened.stage_entered_at);
  const Deal won = must(office.desk().win(opened.id));
  CHECK(won.closed_at == opened.stage_entered_at);
}

TEST_CASE("illegal changes are refused and write nothing") {
  Office office;
  const Id<Deal> open = office.open().id, empty = office.open("0.00 USD").id;
  const Id<Deal> won = office.open().id, lost = office.open().id;
  must(office.desk().win(won));
  must(office.desk().lose(lost, "No budget"));
  const Deals desk = office.desk();
  refused(office, Code::invalid, "stage", [&] { return desk.move(open, "Won"); });
  refused(office, Code::not_found, "stage", [&] { return desk.move(open, "Dancing"); });
  refused(office, Code::invalid, "value", [&] { return desk.win(empty); });
  refused(office, Code::invalid, "value", [&] {
    return desk.win(open, Money{-1, money("1 EUR").currency});
  });
  refused(office, Code::invalid, "lost_reason", [&] { return desk.lose(open, " "); });
  refused(office, Code::invalid, "lost_reason",
          [&] { return desk.lose(open, std::string(1001, 'x')); });
  refused(office, Code::invalid, "stage", [&] { return desk.lose(open, "so", "Won"); });
  refused(office, Code::conflict, "state", [&] { return desk.reopen(open); });
  refused(office, Code::invalid, "stage", [&] { return desk.reopen(won, "Lost"); });
  for (const Id<Deal> closed : {won, lost}) {
    refused(office, Code::conflict, "state", [&] { return desk.move(closed, "Engaging"); });
    refused(office, Code::conflict, "state", [&] { return desk.win(closed); });
    refused(office, Code::conflict, "state", [&] { return desk.lose(closed, "so"); });
    refused(office, Code::conflict, "state",
            [&] { return desk.set_value(closed, money("1 USD")); });
    refused(office, Code::conflict, "state", [&] { return desk.expect(closed, {}); });
    refused(office, Code::conflict, "state", [&] { return desk.set_probability(closed, 1); });
    refused(office, Code::conflict, "state", [&] { return desk.assign(closed, {}, {}); });
  }
  refused(office, Code::invalid, "probability_bp",
          [&] { return desk.set_probability(open, 10'001); });
  refused(office, Code::invalid, "expected_close",
          [&] { return desk.expect(open, at("2026-03-01T10:00:00Z")); });
  refused(office, Code::not_found, "id", [&] { return desk.win(Id<Deal>(open.value + 1)); });
  User gone;
  gone.email = "gone@example.com";
  gone.role = "agent";
  gone.status = UserStatus::disabled;
  gone = must(Repository<User>{office.system()}.insert(gone));
  refused(office, Code::invalid, "owner", [&] { return desk.assign(open, {}, gone.id); });
}

TEST_CASE("bad deals name field, value and rule, and change nothing") {
  Office office;
  const auto with = [&](auto change) {
    NewDeal given = office.draft();
    change(given);
    return [&office, given] { return office.desk().open(given); };
  };
  refused(office, Code::invalid, "title", with([](NewDeal& d) { d.title = " "; }));
  refused(office, Code::invalid, "title", with([](NewDeal& d) { d.title = "\xff"; }));
  refused(office, Code::invalid, "title", with([](NewDeal& d) { d.title.assign(501, 'x'); }));
  refused(office, Code::invalid, "value", with([](NewDeal& d) { d.value = {}; }));
  refused(office, Code::invalid, "value", with([](NewDeal& d) { d.value.minor = -1; }));
  refused(office, Code::not_found, "pipeline", with([](NewDeal& d) { d.pipeline = "Oil"; }));
  refused(office, Code::not_found, "stage", with([](NewDeal& d) { d.stage = "Oil"; }));
  refused(office, Code::invalid, "stage", with([](NewDeal& d) { d.stage = "Won"; }));
  refused(office, Code::invalid, "custom", with([](NewDeal& d) { d.custom = Json(1); }));
  refused(office, Code::invalid, "external_id", with([](NewDeal& d) { d.external_id = ""; }));
  refused(office, Code::invalid, "probability_bp", with([](NewDeal& d) { d.probability_bp = -1; }));
  refused(office, Code::invalid, "lost_reason", with([](NewDeal& d) { d.lost_reason = "so"; }));
  refused(office, Code::not_found, "account",
          with([](NewDeal& d) { d.account = Id<Account>(77); }));
  refused(office, Code::invalid, "owner", with([](NewDeal& d) { d.owner = Id<User>(77); }));
  const auto past = [&](std::vector<PastStage> stays) {
    return with([&](NewDeal& d) { d.past = std::move(stays); });
  };
  refused(office, Code::invalid, "past", past({{"Engaging", at("2999-01-01")}}));
  refused(office, Code::invalid, "past",
          past({{"Prospecting", at("2020-01-02")}, {"Engaging", at("2020-01-01")}}));
  refused(office, Code::invalid, "lost_reason", past({{"Lost", at("2020-01-01")}}));
  refused(office, Code::conflict, "stage",
          past({{"Won", at("2020-01-01")}, {"Lost", at("2020-01-02")}}));
  NewDeal named = office.draft();
  named.external_id = "X1";
  must(office.desk().open(named));
  refused(office, Code::exists, "external_id", [&] { return office.desk().open(named); });
  named.external_id = "X2";
  const std::vector<NewDeal> twice = {named, named};
  refused(office, Code::exists, "external_id", [&] { return office.desk().open_all(twice); });
  CHECK(must(office.desk().by_external_id("X1")));
  CHECK_FALSE(must(office.desk().by_external_id("X2")));
}

TEST_CASE("a deal comes with its past") {
  Office office;
  NewDeal given = office.draft();
  given.past = {{"Engaging", at("2016-10-20")}, {"Won", at("2017-03-01")}};
  const Deal deal = must(office.desk().open(given));
  CHECK(deal.state == StageCategory::won);
  CHECK(deal.opened_at == at("2016-10-20"));
  CHECK(deal.closed_at == at("2017-03-01"));
  CHECK(deal.month == 201703);
  CHECK(must(office.desk().history(deal.id)).size() == 2);
}

TEST_CASE("a pipeline has open stages, one won and a lost one") {
  Office office;
  const auto make = [&](std::vector<sales::NewStage> stages) {
    return [&office, stages] { return sales::create_pipeline(office.system(), "Oil", stages); };
  };
  using C = StageCategory;
  refused(office, Code::invalid, "stages", make({{"A", C::open}, {"L", C::lost}}));
  refused(office, Code::invalid, "stages", make({{"A", C::open}, {"W", C::won}}));
  refused(office, Code::invalid, "stages", make({{"W", C::won}, {"L", C::lost}}));
  refused(office, Code::invalid, "stages",
          make({{"A", C::open}, {"W", C::won}, {"V", C::won}, {"L", C::lost}}));
  refused(office, Code::invalid, "stages", make({{"A", C::open}, {"A", C::won}, {"L", C::lost}}));
  refused(office, Code::invalid, "probability_bp",
          make({{"A", C::open, 10'001}, {"W", C::won}, {"L", C::lost}}));
  refused(office, Code::invalid, "rot_after",
          make({{"A", C::open, 1, Duration(0)}, {"W", C::won}, {"L", C::lost}}));
  const Pipeline oil = must(make({{"A", C::open, 7}, {"W", C::won, 7}, {"L", C::lost, 7}})());
  refused(office, Code::exists, "name", make({{"A", C::open}, {"W", C::won}, {"L", C::lost}}));
  const auto stages = must(
      Repository<Stage>{office.system()}.list({.where = col(&Stage::pipeline) == oil.id,
                                               .order = {{&col(&Stage::position).info(), false}}}));
  REQUIRE(stages.size() == 3);
  CHECK(stages[1].probability_bp == 10'000);
  CHECK(stages[2].probability_bp == 0);
  must(sales::create_default_pipeline(office.system()));  // there is one
  // A won stage that somebody took away is missed by name.
  NewDeal given = office.draft();
  given.pipeline = "Oil";
  const Deal deal = must(office.desk().open(given));
  must(Repository<Stage>{office.system()}.remove(stages[1].id));
  refused(office, Code::not_found, "stage", [&] { return office.desk().win(deal.id); });
}

TEST_CASE("an own probability stays until the deal is closed") {
  Office office;
  const Id<Deal> id = office.open().id;
  CHECK(must(office.desk().set_probability(id, 2'500)).weighted_minor == 25'000);
  CHECK(must(office.desk().move(id, "Engaging")).probability_bp == 2'500);
  CHECK(must(office.desk().set_probability(id, {})).probability_bp == 5'000);
  must(office.desk().set_probability(id, 1));
  must(office.desk().win(id));
  CHECK(must(office.desk().reopen(id)).probability_bp == 5'000);
  CHECK(must(office.desk().set_value(id, money("10 EUR"))).weighted_minor == 500);
}

TEST_CASE("activities keep a deal from rotting") {
  Office office;
  const Id<Deal> id = office.open().id;
  CHECK(must(office.desk().rotting()).empty());
  office.clock.advance(std::chrono::hours(24 * 30));
  CHECK(must(office.desk().rotting()).empty());  // not longer than rot_after
  office.clock.advance(std::chrono::hours(1));
  REQUIRE(must(office.desk().rotting()).size() == 1);
  NewActivity call{ActivityKind::call, "They think about it", {}, office.clock.now()};
  const DealActivity open = must(office.desk().add_activity(id, call));
  CHECK(open.status == ActivityStatus::open);
  CHECK(must(office.desk().rotting()).empty());
  const auto done = must(office.desk().end_activity(open.id, ActivityStatus::done));
  CHECK(done.done_at == office.clock.now());
  refused(office, Code::conflict, "status",
          [&] { return office.desk().end_activity(open.id, ActivityStatus::cancelled); });
  refused(office, Code::invalid, "status",
          [&] { return office.desk().end_activity(open.id, ActivityStatus::open); });
  call.body = "";
  refused(office, Code::invalid, "body", [&] { return office.desk().add_activity(id, call); });
  CHECK(must(office.desk().activities(id)).size() == 1);
  office.clock.advance(std::chrono::hours(24 * 365));
  must(office.desk().lose(id, "Silence"));
  office.clock.advance(std::chrono::hours(24 * 365));
  CHECK(must(office.desk().rotting()).empty());  // closed deals do not rot
}

TEST_CASE("each role sees its deals, and no others") {
  Office office;
  const auto give = [&](const char* team, const char* owner) {
    NewDeal given = office.draft();
    if (*team != '\0') given.team = office.teams.at(team);
    if (*owner != '\0') given.owner = office.people.at(owner);
    return must(office.desk().open(given)).id;
  };
  const Id<Deal> north = give("north", "ben"), south = give("south", "eve"), free = give("", "");
  const Id<Deal> lent = give("south", "ada");
  const std::map<std::string, std::vector<Id<Deal>>> sees = {{"ada", {north, free, lent}},
                                                             {"ben", {north, free}},
                                                             {"eve", {south, free, lent}},
                                                             {"mia", {north, south, free, lent}},
                                                             {"cora", {}},
                                                             {"uma", {}},
                                                             {"vic", {}}};
  for (const auto& seen : sees) {
    const std::string& name = seen.first;
    const std::vector<Id<Deal>>& deals = seen.second;
    CAPTURE(name);
    const Deals mine{office.as(name)};
    CHECK(must(mine.count()) == deals.size());
    for (const Id<Deal> id : {north, south, free, lent}) {
      const bool visible = std::find(deals.begin(), deals.end(), id) != deals.end();
      CHECK(mine.find(id).has_value() == visible);
      CHECK(mine.history(id).has_value() == visible);
      CHECK(mine.activities(id).has_value() == visible);
    }
    const auto totals = must(mine.forecast()).totals;
    CHECK((totals.empty() ? 0 : totals[0].open.count) == static_cast<std::int64_t>(deals.size()));
    const auto rows = must(Repository<DealStageHistory>{office.as(name)}.count());
    CHECK(rows == deals.size());
  }
  const Deals ada{office.as("ada")}, eve{office.as("eve")};
  must(ada.move(north, "Engaging"));
  CHECK(must(ada.add_activity(north, {ActivityKind::note, "Mine"})).author == office.people["ada"]);
  refused(office, Code::not_found, "id", [&] { return eve.win(north); });
  refused(office, Code::not_found, "id", [&] {
    return eve.add_activity(north, {ActivityKind::note, "Mine"});
  });
  refused(office, Code::invalid, "kind", [&] {
    return ada.add_activity(north, {ActivityKind::stage_change, "Mine"});
  });
  DealActivity signed_by_ben;
  signed_by_ben.deal = north;
  signed_by_ben.body = "Not his";
  signed_by_ben.author = office.people["ben"];
  refused(office, Code::forbidden, "",
          [&] { return Repository<DealActivity>{office.as("ada")}.insert(signed_by_ben); });
  // History is the library's to write, whoever asks.
  DealStageHistory forged;
  forged.deal = north;
  forged.stage = office.stage("Won");
  forged.currency = "USD";
  for (const char* name : {"ada", "mia"}) {
    refused(office, Code::forbidden, "",
            [&] { return Repository<DealStageHistory>{office.as(name)}.insert(forged); });
  }
  // Handed on, it is out of sight.
  must(ada.assign(north, office.teams["south"], office.people["eve"]));
  CHECK_FALSE(ada.find(north));
  CHECK(eve.find(north));
}
