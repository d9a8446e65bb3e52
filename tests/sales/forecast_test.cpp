#include <rapidcheck.h>

#include <limits>

#include "bureau/sales/deals.hpp"
#include "counts.hpp"
#include "sales/office.hpp"

using namespace office;

namespace {

/// Amounts of one office as a reader of its rows would add them up.
struct Naive {
  std::int64_t won = 0, lost = 0, open = 0, weighted = 0, commit = 0, best = 0;
  std::int64_t won_count = 0, lost_count = 0, open_count = 0;
  friend bool operator==(const Naive&, const Naive&) = default;
};

/// value x bp / 10000 half to even, by hand and in small steps.
std::int64_t weigh(std::int64_t value, std::int64_t bp) {
  std::int64_t whole = (value / 10'000) * bp;
  const std::int64_t rest = (value % 10'000) * bp;  // below 10^8
  whole += rest / 10'000;
  const std::int64_t left = rest % 10'000;
  if (left > 5'000 || (left == 5'000 && whole % 2 == 1)) ++whole;
  return whole;
}

void count(Naive& sums, const Deal& deal, std::int64_t commit_bp) {
  if (deal.state == StageCategory::lost) {
    sums.lost += deal.value_minor;
    ++sums.lost_count;
    return;
  }
  sums.best += deal.value_minor;
  if (deal.state == StageCategory::won) {
    sums.won += deal.value_minor;
    sums.commit += deal.value_minor;
    ++sums.won_count;
    return;
  }
  sums.open += deal.value_minor;
  ++sums.open_count;
  sums.weighted += weigh(deal.value_minor, deal.probability_bp);
  if (deal.probability_bp >= commit_bp) sums.commit += deal.value_minor;
}

Naive naive_of(const ForecastLine& l) {
  return {l.won.value.minor,    l.lost.value.minor,      l.open.value.minor, l.weighted.value.minor,
          l.commit.value.minor, l.best_case.value.minor, l.won.count,        l.lost.count,
          l.open.count};
}

/// Does one random thing to one of the deals; refusals are part of the game.
void stir(Office& office, std::vector<Id<Deal>>& deals) {
  const Deals desk = office.desk();
  const auto pick = [](auto low, auto high) { return *rc::gen::inRange<std::int64_t>(low, high); };
  office.clock.advance(std::chrono::hours(pick(0, 24 * 40)));
  if (deals.empty() || pick(0, 4) == 0) {
    NewDeal given = office.draft();
    given.value.minor = pick(0, 1'000'000);
    given.value.currency = money(pick(0, 3) == 0 ? "1 EUR" : "1 USD").currency;
    if (pick(0, 2) == 0) given.owner = office.people[pick(0, 2) == 0 ? "ada" : "ben"];
    if (pick(0, 2) == 0) {
      given.expected_close = Timestamp::from_micros(pick(0, 30'000) * 86'400'000'000);
    }
    if (pick(0, 3) == 0) given.probability_bp = pick(0, 10'001);
    deals.push_back(must(desk.open(given)).id);
    return;
  }
  const Id<Deal> id = deals[static_cast<std::size_t>(pick(0, static_cast<int>(deals.size())))];
  switch (pick(0, 7)) {
    case 0:
      (void)desk.move(id, pick(0, 2) == 0 ? "Engaging" : "Prospecting");
      break;
    case 1:
      (void)desk.win(id);
      break;
    case 2:
      (void)desk.lose(id, "No budget");
      break;
    case 3:
      (void)desk.reopen(id);
      break;
    case 4:
      (void)desk.set_value(id, Money{pick(0, 1'000'000), money("1 USD").currency});
      break;
    case 5:
      (void)desk.set_probability(id, pick(0, 10'001));
      break;
    default:
      (void)desk.add_activity(id, {ActivityKind::note, "Hello"});
  }
}

using Key = std::pair<std::string, std::optional<std::int64_t>>;

std::map<Key, Naive> counted(const std::vector<Deal>& deals, ForecastBy by, std::int64_t commit) {
  std::map<Key, Naive> sums;
  for (const Deal& deal : deals) {
    std::optional<std::int64_t> key;
    if (by == ForecastBy::stage) key = deal.stage.value;
    if (by == ForecastBy::owner && deal.owner) key = deal.owner->value;
    if (by == ForecastBy::month) {
      const auto date = deal.closed_at ? deal.closed_at : deal.expected_close;
      if (date) {
        const std::string text = date->to_string();  // "2017-03-01T..."
        key = std::stoll(text.substr(0, 4)) * 100 + std::stoll(text.substr(5, 2));
      }
    }
    count(sums[{deal.currency, key}], deal, commit);
  }
  return sums;
}

std::map<Key, Naive> told(const std::vector<ForecastLine>& lines, ForecastBy by) {
  std::map<Key, Naive> sums;
  for (const ForecastLine& line : lines) {
    std::optional<std::int64_t> key = line.month;
    if (by == ForecastBy::stage && line.stage) key = line.stage->value;
    if (by == ForecastBy::owner && line.owner) key = line.owner->value;
    sums.emplace(Key{std::string(line.currency.code()), key}, naive_of(line));
  }
  RC_ASSERT(sums.size() == lines.size());  // no group twice
  return sums;
}

void check_history(Office& office, const Deal& deal) {
  const auto history = must(office.desk().history(deal.id));
  RC_ASSERT(static_cast<std::int64_t>(history.size()) == deal.stage_count);
  RC_ASSERT(history.front().entered_at == deal.opened_at);
  RC_ASSERT(history.back().stage == deal.stage);
  RC_ASSERT(history.back().entered_at == deal.stage_entered_at);
  RC_ASSERT(!history.back().left_at.has_value());
  std::vector<Id<Stage>> seen;
  for (std::size_t i = 0; i < history.size(); ++i) {
    RC_ASSERT(history[i].sequence == static_cast<std::int64_t>(i + 1));
    if (i > 0) RC_ASSERT(history[i - 1].left_at == history[i].entered_at);
    const bool again = std::find(seen.begin(), seen.end(), history[i].stage) != seen.end();
    RC_ASSERT(history[i].first != again);
    seen.push_back(history[i].stage);
  }
}

}  // namespace

TEST_CASE("generated histories: forecast and funnel equal a naive recount, history replays") {
  CHECK(rc::check([] {
    Office office;
    std::vector<Id<Deal>> ids;
    const auto steps = *rc::gen::inRange(1, 40);
    for (int i = 0; i < steps; ++i) stir(office, ids);
    const std::int64_t commit = *rc::gen::inRange<std::int64_t>(0, 10'001);
    const auto deals = must(office.desk().list({.limit = 1000}));
    for (const ForecastBy by :
         {ForecastBy::nothing, ForecastBy::month, ForecastBy::stage, ForecastBy::owner}) {
      const Forecast forecast = must(office.desk().forecast({by, {}, commit}));
      RC_ASSERT(told(forecast.totals, ForecastBy::nothing) ==
                counted(deals, ForecastBy::nothing, commit));
      if (by == ForecastBy::nothing) {
        RC_ASSERT(forecast.lines.empty());
      } else {
        RC_ASSERT(told(forecast.lines, by) == counted(deals, by, commit));
      }
    }
    std::map<Id<Stage>, std::int64_t> entered;
    for (const Deal& deal : deals) {
      RC_ASSERT(deal.weighted_minor == weigh(deal.value_minor, deal.probability_bp));
      check_history(office, deal);
      std::vector<Id<Stage>> seen;
      for (const auto& stay : must(office.desk().history(deal.id))) {
        if (std::find(seen.begin(), seen.end(), stay.stage) != seen.end()) continue;
        seen.push_back(stay.stage);
        ++entered[stay.stage];
      }
    }
    std::map<Id<Stage>, std::int64_t> told_entered;
    for (const FunnelOf& of : must(office.desk().funnel()).currencies) {
      for (const FunnelStep& step : of.steps) {
        if (step.entered.count > 0) told_entered[step.stage] += step.entered.count;
      }
    }
    entered.erase(office.stage("Lost"));
    RC_ASSERT(told_entered == entered);
  }));
}

TEST_CASE("weighted values are rounded half to even") {
  Office office;
  NewDeal given = office.draft();
  const auto weighted = [&](std::int64_t minor, std::int64_t bp) {
    given.value.minor = minor;
    given.probability_bp = bp;
    return must(office.desk().open(given)).weighted_minor;
  };
  CHECK(weighted(1, 5'000) == 0);
  CHECK(weighted(3, 5'000) == 2);
  CHECK(weighted(5, 5'000) == 2);
  CHECK(weighted(5, 5'001) == 3);
  CHECK(weighted(std::numeric_limits<std::int64_t>::max(), 10'000) ==
        std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("currencies are never mixed, and a sum that does not fit is an error") {
  Office office;
  office.open("1.00 USD");
  office.open("100 JPY");
  auto totals = must(office.desk().forecast()).totals;
  REQUIRE(totals.size() == 2);
  CHECK(totals[0].currency.code() == "JPY");
  CHECK(totals[0].open.value == money("100 JPY"));
  CHECK(totals[1].open.value == money("1.00 USD"));
  NewDeal huge = office.draft();
  huge.value.minor = std::numeric_limits<std::int64_t>::max();
  must(office.desk().open(huge));
  auto overflow = office.desk().forecast();
  REQUIRE(!overflow);
  CHECK(overflow.error().code == Code::exhausted);
  // In groups of the state alone too: each fits, their sum does not.
  Office other;
  huge.past = {{"Won", at("2020-01-01")}};
  must(other.desk().open(huge));
  other.open("1.00 USD");
  overflow = other.desk().forecast();
  REQUIRE(!overflow);
  CHECK(overflow.error().code == Code::exhausted);
  CHECK(overflow.error().field == "value");
}

TEST_CASE("a deal that is just likely enough counts as committed") {
  Office office;
  NewDeal given = office.draft("5.00 USD");
  given.probability_bp = 8'000;
  must(office.desk().open(given));
  given.probability_bp = 7'999;
  must(office.desk().open(given));
  const ForecastLine total = must(office.desk().forecast()).totals.at(0);
  CHECK(total.commit == DealSum{1, money("5.00 USD")});
  CHECK(total.best_case == DealSum{2, money("10.00 USD")});
}

TEST_CASE("an empty office has an empty forecast, and a funnel without figures") {
  Office office;
  CHECK(must(office.desk().forecast()).totals.empty());
  CHECK(must(office.desk().funnel()).currencies.empty());
  refused(office, Code::not_found, "pipeline", [&] { return office.desk().funnel("Oil"); });
  refused(office, Code::invalid, "probability_bp", [&] {
    ForecastQuery query;
    query.commit_bp = -1;
    return office.desk().forecast(query);
  });
}

TEST_CASE("a funnel counts each deal once a stage, and says what part went on") {
  Office office;
  const Id<Deal> a = office.open("10.00 USD").id, b = office.open("20.00 USD").id;
  office.open("30.00 USD");
  must(office.desk().move(a, "Engaging"));
  must(office.desk().move(a, "Prospecting"));
  must(office.desk().move(a, "Engaging"));
  must(office.desk().win(b));  // it went past Engaging
  const Funnel funnel = must(office.desk().funnel("Sales"));
  REQUIRE(funnel.currencies.size() == 1);
  const FunnelOf& of = funnel.currencies[0];
  REQUIRE(of.steps.size() == 3);
  CHECK(of.steps[0].name == "Prospecting");
  CHECK(of.steps[0].entered == DealSum{3, money("60.00 USD")});
  CHECK(of.steps[1].entered == DealSum{1, money("10.00 USD")});
  CHECK(of.steps[1].reached == DealSum{2, money("30.00 USD")});
  CHECK(of.steps[0].conversion_bp == 6'667);
  CHECK(of.steps[1].conversion_bp == 5'000);
  CHECK_FALSE(of.steps[2].conversion_bp);
  CHECK(of.won == DealSum{1, money("20.00 USD")});
  CHECK(of.lost == DealSum{0, money("0.00 USD")});
  CHECK(of.win_rate_bp == 10'000);
}
