// Deals that are written as rows, and by people who do not see all of their columns.

#include <limits>

#include "sales/office.hpp"

using namespace office;

namespace {

const Repository<Deal>& rows_of(const Deals& deals) { return deals.repository(); }

/// Everything that Deals does to a deal, as this person, after the system has opened it.
struct Story {
  Deal deal;
  std::vector<DealStageHistory> history;
  std::string refused;  // empty: nothing was
};

Story live(Office& office, const std::string& who) {
  NewDeal given = office.draft("1200.00 USD");
  given.owner = office.people["ada"];
  given.expected_close = at("2026-03-01");
  given.custom = Json::object({{"floor", 3}});
  const Id<Deal> id = must(office.desk().open(given)).id;
  const Deals mine{office.as(who)};
  Story story;
  const auto step = [&](auto&& call) {
    office.clock.advance(std::chrono::hours(30));
    const auto done = call();
    if (done || !story.refused.empty()) return;
    CHECK(done.error().code == Code::forbidden);
    story.refused = to_string(done.error());
  };
  step([&] { return mine.move(id, "Engaging"); });
  step([&] { return mine.add_activity(id, {ActivityKind::call, "They will think about it."}); });
  step([&] { return mine.win(id); });
  step([&] { return mine.reopen(id); });
  step([&] { return mine.lose(id, "No budget"); });
  step([&] { return mine.reopen(id); });
  story.deal = must(office.desk().find(id));
  story.history = must(office.desk().history(id));
  return story;
}

std::string text_of(const Story& story) {
  std::string text;
  const auto add = [&](const auto& row) {
    using T = std::remove_cvref_t<decltype(row)>;
    std::vector<Value> values(table_of<T>().width());
    detail::Scratch scratch;
    to_values(row, values, scratch);
    text += row_to_json(table_of<T>(), values).dump() + "\n";
  };
  add(story.deal);
  for (const DealStageHistory& stay : story.history) add(stay);
  return text;
}

}  // namespace

TEST_CASE("a deal that is written as a row is held to what opening one asks") {
  Office office;
  const Deal stored = office.open();
  const Deals desk = office.desk();
  const auto refuses = [&](const std::string& field, auto&& change) {
    INFO(field);
    for (const Session& session : {office.system(), office.as("mia"), office.as("ada")}) {
      refused(office, Code::invalid, field, [&] {
        return Repository<Deal>{session}.change(stored.id, [&](Deal& deal) { change(deal); });
      });
    }
    refused(office, Code::invalid, field, [&] {
      Deal deal = stored;
      deal.id = {};
      change(deal);
      return rows_of(desk).insert(deal);
    });
  };
  for (const char* blank : {"", " ", "\t\r\n\v\f "}) {
    refuses("title", [&](Deal& deal) { deal.title = blank; });
  }
  refuses("custom", [](Deal& deal) { deal.custom = Json::array(); });
  refuses("custom", [](Deal& deal) { deal.custom = "text"; });
  refuses("value", [](Deal& deal) { deal.value_minor = -1; });
  refuses("currency", [](Deal& deal) { deal.currency = "usd"; });
  refuses("probability_bp", [](Deal& deal) { deal.probability_bp = 10'001; });
  refuses("expected_close", [](Deal& deal) { deal.expected_close = Timestamp::from_micros(1); });
  // What follows from the rest is the library's.
  refuses("weighted_minor", [](Deal& deal) { deal.value_minor = 5; });
  refuses("weighted_minor", [](Deal& deal) { ++deal.weighted_minor; });
  refuses("month", [](Deal& deal) { deal.month = 202603; });

  Deal good = must(rows_of(desk).change(stored.id, [](Deal& deal) {
    deal.title = "Fifty anvils";
    deal.custom = Json::object({{"floor", 3}});
  }));
  CHECK(good.title == "Fifty anvils");
  good.custom = {};
  CHECK(must(rows_of(desk).update(good)).version == good.version + 1);
}

TEST_CASE("what was there before a rule does not keep the rest of a deal from being written") {
  Office office;
  const Deal stored = office.open();
  must(office.database->write({}, {}, [&](Transaction& transaction) -> Result<void> {
    const TableInfo& table = table_of<Deal>();
    BUREAU_TRY_VOID(
        transaction.update({select<Deal>().where(col(&Deal::id) == stored.id),
                            {{table.find("title"), Value::text(" "), false},
                             {table.find("custom"), Value::text("[1]"), false},
                             {table.find("weighted_minor"), Value::integer(7), false}}}));
    return {};
  }));
  const Deal moved = must(office.desk().move(stored.id, "Engaging"));
  CHECK(moved.weighted_minor == 50'000);
  CHECK(moved.title == " ");
  must(
      office.desk().repository().change(stored.id, [](Deal& deal) { deal.external_id = "again"; }));
}

TEST_CASE("an activity that is written as a row is held to what adding one asks") {
  Office office;
  const Deal deal = office.open();
  DealActivity activity;
  activity.deal = deal.id;
  activity.author = office.people["ada"];
  const auto insert = [&] { return Repository<DealActivity>{office.as("ada")}.insert(activity); };
  activity.body = " ";
  refused(office, Code::invalid, "body", insert);
  activity.body = "It went to 900 dollars.";
  activity.kind = ActivityKind::value_change;
  refused(office, Code::forbidden, "", insert);
  activity.kind = ActivityKind::note;
  DealActivity written = must(insert());
  written.kind = ActivityKind::stage_change;
  refused(office, Code::invalid, "kind",
          [&] { return Repository<DealActivity>{office.as("mia")}.update(written); });
}

TEST_CASE("who does not see a column of deals leaves behind what others would") {
  const std::string plain = [] {
    Office office;
    const Story story = live(office, "ada");
    CHECK(story.refused.empty());
    return text_of(story);
  }();
  for (const ColumnInfo& column : table_of<Deal>().columns) {
    const int place = column.index;
    if (place == 0 || place == table_of<Deal>().tenant || place == table_of<Deal>().version) {
      continue;
    }
    Policies policies;
    must(policies.hide({.name = "some",
                        .table = "deals",
                        .columns = {std::string(column.name)},
                        .roles = {"agent"}}));
    Office office(std::move(policies));
    const Story story = live(office, "ada");
    INFO(column.name, ": ", story.refused);
    // Who does not see where a deal is cannot say where it goes.
    const bool his = column.name == "stage";
    CHECK(story.refused.empty() != his);
    if (!his) CHECK(text_of(story) == plain);
  }
}

TEST_CASE("a hidden figure is not changed by who does not see it") {
  Policies policies;
  must(policies.hide({.name = "figures",
                      .table = "deals",
                      .columns = {"value_minor", "probability_bp"},
                      .roles = {"agent"}}));
  Office office(std::move(policies));
  const Deal deal = office.open();
  const Deals ada{office.as("ada")};
  CHECK(must(ada.find(deal.id)).value_minor == 0);
  refused(office, Code::forbidden, "value_minor",
          [&] { return ada.set_value(deal.id, money("1.00 USD")); });
  refused(office, Code::forbidden, "value_minor",
          [&] { return ada.win(deal.id, money("1.00 USD")); });
  refused(office, Code::forbidden, "probability_bp",
          [&] { return ada.set_probability(deal.id, 9'000); });
  refused(office, Code::forbidden, "probability_bp",
          [&] { return ada.set_probability(deal.id, {}); });
  CHECK_FALSE(ada.set_value(deal.id, money("0.00 USD")));
  const Deal won = must(ada.win(deal.id));
  CHECK(won.value_minor == 0);  // as he sees it
  CHECK(must(office.desk().find(deal.id)).value_minor == 100'000);
}
