#include "sales/deal_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "bureau/core/civil.hpp"

BUREAU_BEGIN_NAMESPACE
namespace sales {

namespace {

Result<Money> money(const Deal& deal, std::int64_t minor) {
  auto currency = Currency::parse(deal.currency);
  if (!currency) {
    return fail(Code::corrupt,
                fmt::format("currency: deal {} has \"{}\": {}",
                            id::to_text(schema<Deal>.prefix, deal.id.value),
                            inside::shortened(deal.currency), currency.error().message),
                "currency");
  }
  return Money{minor, *currency};
}

}  // namespace

Result<Money> value_of(const Deal& deal) { return money(deal, deal.value_minor); }
Result<Money> weighted_of(const Deal& deal) { return money(deal, deal.weighted_minor); }

namespace inside {

namespace {
constexpr std::size_t max_title = 500, max_external_id = 200, max_body = 10'000;
constexpr std::int64_t certain_bp = 10'000;
constexpr std::int64_t day = 86'400'000'000;

std::int64_t month_of(Timestamp t) {
  std::int64_t days = t.micros() / day;
  if (t.micros() % day < 0) --days;
  const CivilDate date = CivilDate::from_days(static_cast<std::int32_t>(days));
  return date.year * std::int64_t{100} + static_cast<std::int64_t>(date.month);
}
}  // namespace

Result<void> check_text(std::string_view field, std::string_view text,
                        std::size_t max_code_points) {
  const auto refuse = [&](std::string rule) {
    return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
  };
  if (!is_valid_text(text)) {
    return refuse(fmt::format("{} bytes that are not valid UTF-8 without NUL", text.size()));
  }
  if (const std::size_t size = count_code_points(text); size > max_code_points) {
    return refuse(fmt::format("{} characters, the limit is {}", size, max_code_points));
  }
  if (text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos) {
    return refuse("it is empty; it must say something");
  }
  return {};
}

Result<void> check_value(const Money& value) {
  if (value.currency.code().empty()) {
    return fail(Code::invalid, fmt::format("value: {} has no currency", value.minor), "value");
  }
  if (value.minor >= 0) return {};
  return fail(Code::invalid, fmt::format("value: {} is negative", value.to_string()), "value");
}

Result<void> check_probability(std::int64_t probability_bp) {
  if (probability_bp >= 0 && probability_bp <= certain_bp) return {};
  return fail(
      Code::invalid,
      fmt::format("probability_bp: {} is not between 0 and 10000 basis points", probability_bp),
      "probability_bp");
}

Result<void> check_date(const std::optional<Timestamp>& date) {
  const Timestamp first = *Timestamp::parse("0001-01-01"), last = *Timestamp::parse("9999-12-31");
  if (!date || (date->micros() % day == 0 && *date >= first && *date <= last)) return {};
  return fail(Code::invalid,
              fmt::format("expected_close: {} is no date; one is midnight UTC, of the years 1 to "
                          "9999",
                          date->to_string()),
              "expected_close");
}

namespace {

Result<void> check_past(const NewDeal& deal, Timestamp now) {
  if (deal.past.empty()) return {};
  const auto refuse = [](std::string rule) { return fail(Code::invalid, "past: " + rule, "past"); };
  if (!deal.stage.empty()) {
    return fail(Code::invalid,
                fmt::format("stage: \"{}\" was given beside a past, whose last stage says where "
                            "the deal is",
                            shortened(deal.stage)),
                "stage");
  }
  for (std::size_t i = 0; i < deal.past.size(); ++i) {
    const PastStage& stay = deal.past[i];
    if (stay.entered_at > now) {
      return refuse(fmt::format("\"{}\" was entered at {}, which is in the future",
                                shortened(stay.stage), stay.entered_at.to_string()));
    }
    if (i > 0 && stay.entered_at < deal.past[i - 1].entered_at) {
      return refuse(fmt::format("\"{}\" was entered at {}, before the stage before it ({})",
                                shortened(stay.stage), stay.entered_at.to_string(),
                                deal.past[i - 1].entered_at.to_string()));
    }
  }
  return {};
}

}  // namespace

Result<void> check_new_deal(const NewDeal& deal, Timestamp now) {
  BUREAU_TRY_VOID(check_text("title", deal.title, max_title));
  BUREAU_TRY_VOID(check_value(deal.value));
  BUREAU_TRY_VOID(check_date(deal.expected_close));
  if (deal.probability_bp) BUREAU_TRY_VOID(check_probability(*deal.probability_bp));
  if (deal.external_id) {
    BUREAU_TRY_VOID(check_text("external_id", *deal.external_id, max_external_id));
  }
  if (!deal.lost_reason.empty()) {
    BUREAU_TRY_VOID(check_text("lost_reason", deal.lost_reason, longest_reason));
  }
  BUREAU_TRY_VOID(bureau::detail::check_object("custom", deal.custom));
  return check_past(deal, now);
}

namespace {

/// Whether one of these columns is another than before.
bool changed(std::span<const Value> before, std::span<const Value> after,
             std::initializer_list<const ColumnInfo*> columns) {
  return before.empty() || std::any_of(columns.begin(), columns.end(), [&](const ColumnInfo* c) {
           return !(before[c->index] == after[c->index]);
         });
}

/// Value, probability and dates, and what follows from them.
Result<void> check_figures(const Deal& deal) {
  const auto currency = Currency::parse(deal.currency);
  if (!currency) {
    return fail(Code::invalid, "currency: " + currency.error().message, "currency");
  }
  BUREAU_TRY_VOID(check_value({deal.value_minor, *currency}));
  BUREAU_TRY_VOID(check_probability(deal.probability_bp));
  BUREAU_TRY_VOID(check_date(deal.expected_close));
  Deal derived = deal;
  BUREAU_TRY_VOID(derive(derived));
  const auto refuse = [](std::string_view column, const std::string& given, const std::string& is) {
    return fail(Code::invalid,
                fmt::format("{}: {} does not follow from the rest of the deal, which comes to {}; "
                            "Deals keeps it",
                            column, given, is),
                std::string(column));
  };
  if (deal.weighted_minor != derived.weighted_minor) {
    return refuse("weighted_minor", std::to_string(deal.weighted_minor),
                  std::to_string(derived.weighted_minor));
  }
  const auto shown = [](const std::optional<std::int64_t>& month) {
    return month ? std::to_string(*month) : std::string("none");
  };
  if (deal.month != derived.month) {
    return refuse("month", shown(deal.month), shown(derived.month));
  }
  return {};
}

}  // namespace

Result<void> check_deal_row(std::span<const Value> before, std::span<const Value> after) {
  const ColumnInfo &title = col(&Deal::title).info(), &custom = col(&Deal::custom).info();
  if (changed(before, after, {&title})) {
    BUREAU_TRY_VOID(check_text("title", after[title.index].as_text(), max_title));
  }
  if (changed(before, after, {&custom})) {
    BUREAU_TRY(const Json json, Json::parse(after[custom.index].as_text()));
    BUREAU_TRY_VOID(bureau::detail::check_object("custom", json));
  }
  const ColumnInfo &value = col(&Deal::value_minor).info(), &currency = col(&Deal::currency).info(),
                   &probability = col(&Deal::probability_bp).info(),
                   &expected = col(&Deal::expected_close).info(),
                   &closed = col(&Deal::closed_at).info(),
                   &weighted = col(&Deal::weighted_minor).info(), &month = col(&Deal::month).info();
  if (!changed(before, after,
               {&value, &currency, &probability, &expected, &closed, &weighted, &month})) {
    return {};
  }
  const auto moment = [&](const ColumnInfo& column) -> std::optional<Timestamp> {
    const Value& at = after[column.index];
    if (at.is_null()) return std::nullopt;
    return Timestamp::from_micros(at.as_integer());
  };
  Deal deal;
  deal.value_minor = after[value.index].as_integer();
  deal.currency = after[currency.index].as_text();
  deal.probability_bp = after[probability.index].as_integer();
  deal.expected_close = moment(expected);
  deal.closed_at = moment(closed);
  deal.weighted_minor = after[weighted.index].as_integer();
  if (!after[month.index].is_null()) deal.month = after[month.index].as_integer();
  return check_figures(deal);
}

Result<void> check_new_activity(const NewActivity& activity) {
  BUREAU_TRY_VOID(check_text("body", activity.body, max_body));
  return {};
}

Result<void> check_activity_row(std::span<const Value> before, std::span<const Value> after) {
  const ColumnInfo& body = col(&DealActivity::body).info();
  if (!changed(before, after, {&body})) return {};
  return check_text("body", after[body.index].as_text(), max_body);
}

// Deals ----------------------------------------------------------------------------------------

Result<void> refuse_closed(const Deal& deal, std::string_view what) {
  if (deal.state == StageCategory::open) return {};
  return fail(
      Code::conflict,
      fmt::format("state: deal {} is {}; {}", id::to_text(schema<Deal>.prefix, deal.id.value),
                  name_of(deal.state), what),
      "state");
}

Result<void> derive(Deal& deal) {
  BUREAU_TRY(const Money value, value_of(deal));
  BUREAU_TRY(const Money weighted, scale(value, deal.probability_bp, certain_bp));
  deal.weighted_minor = weighted.minor;
  deal.month.reset();
  if (deal.closed_at) {
    deal.month = month_of(*deal.closed_at);
  } else if (deal.expected_close) {
    deal.month = month_of(*deal.expected_close);
  }
  return {};
}

namespace {

Result<void> check_entry(const Deal& deal, const Stage& stage) {
  if (deal.stage_count > 0 && deal.state != stage.category &&
      !may_become(deal.state, stage.category)) {
    return fail(Code::conflict,
                fmt::format("stage: deal {} is {} and cannot become {} (\"{}\")",
                            id::to_text(schema<Deal>.prefix, deal.id.value), name_of(deal.state),
                            name_of(stage.category), stage.name),
                "stage");
  }
  if (stage.category == StageCategory::won && deal.value_minor == 0) {
    return fail(Code::invalid,
                fmt::format("value: deal {} is worth nothing; a won deal has a value above 0",
                            deal.id ? id::to_text(schema<Deal>.prefix, deal.id.value)
                                    : fmt::format("\"{}\"", shortened(deal.title))),
                "value");
  }
  return {};
}

}  // namespace

Result<void> enter(Deal& deal, const Course& course, const Stage& stage, Timestamp now) {
  BUREAU_TRY_VOID(check_entry(deal, stage));
  if (deal.stage_count > 0 && deal.state != StageCategory::open &&
      stage.category == StageCategory::open) {
    ++deal.reopen_count;
    deal.closed_at.reset();
    deal.lost_reason.reset();
  }
  // The clock may have stepped back since: stays do not overlap.
  const Timestamp at = deal.stage_count > 0 ? std::max(now, deal.stage_entered_at) : now;
  deal.pipeline = course.pipeline.id;
  deal.stage = stage.id;
  deal.state = stage.category;
  deal.stage_entered_at = deal.last_activity_at = at;
  if (deal.stage_count == 0) deal.opened_at = at;
  ++deal.stage_count;
  if (stage.category != StageCategory::open) {
    deal.closed_at = at;
    deal.own_probability = false;
  }
  if (!deal.own_probability) deal.probability_bp = stage.probability_bp;
  const Stage* furthest = deal.furthest ? course.find(*deal.furthest) : nullptr;
  if (stage.category != StageCategory::lost &&
      (furthest == nullptr || furthest->position < stage.position)) {
    deal.furthest = stage.id;
  }
  return derive(deal);
}

}  // namespace inside
}  // namespace sales
BUREAU_END_NAMESPACE
