#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/cron.hpp"

// Cron expressions against a model of them: sets of values, and every day, minute or second looked
// at.

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

using Days = CronExpression::Days;

Timestamp utc(std::string_view text) { return Timestamp::parse(text).value(); }

struct Values {
  std::string text;
  std::set<int> set;
  bool star = false;
  bool interval = false;
};

/// The values from `from` on, one by one, past `last` to `first`, every `step`th of them.
std::set<int> walk(int first, int last, int from, int to, int step) {
  std::set<int> found;
  for (int value = from, i = 0;; ++i, value = value == last ? first : value + 1) {
    if (i % step == 0) found.insert(value);
    if (value == to) return found;
  }
}

/// Over the whole range from the first case on; shrinks to `least`.
int draw(int least, int most) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(least, most + 1));
}

Values draw_item(int first, int last) {
  const auto text = [](int value) { return std::to_string(value); };
  const int from = draw(first, last);
  const int to = draw(first, last);
  const int step = draw(1, last);
  switch (draw(0, 5)) {
    case 0:
      return {"*", walk(first, last, first, last, 1), true, true};
    case 1:
      return {"*/" + text(step), walk(first, last, first, last, step), step == 1, true};
    case 2:
      return {text(from) + "-" + text(to), walk(first, last, from, to, 1), false, true};
    case 3:
      return {text(from) + "-" + text(to) + "/" + text(step), walk(first, last, from, to, step),
              false, true};
    case 4:
      return {text(from) + "/" + text(step), walk(first, last, from, last, step), false, true};
    default:
      return {text(from), {from}, false, false};
  }
}

Values draw_values(int first, int last) {
  Values values = draw_item(first, last);
  while (draw(0, 2) == 2) {
    const Values more = draw_item(first, last);
    values.text += "," + more.text;
    values.set.insert(more.set.begin(), more.set.end());
    values.star |= more.star;
    values.interval |= more.interval;
  }
  return values;
}

/// One value, or a list of some, all of them between `least` and `most`.
Values draw_fixed(int least, int most) {
  Values values;
  do {
    const int value = draw(least, most);
    values.text += (values.text.empty() ? "" : ",") + std::to_string(value);
    values.set.insert(value);
  } while (draw(0, 1) == 1);
  return values;
}

struct Model {
  Values second{"0", {0}}, minute, hour, date, month, weekday;
  int from_last = -1;  ///< L-n
  int workday = 0;     ///< nW; 99 is LW
  int week = 0;        ///< d#n; -1 is dL
  Days days = Days::either;

  [[nodiscard]] std::string text() const {
    return second.text + " " + minute.text + " " + hour.text + " " + date.text + " " + month.text +
           " " + weekday.text;
  }
  [[nodiscard]] bool every_hour() const { return hour.set.size() == 24; }
  [[nodiscard]] bool repeats() const {
    return every_hour() || second.interval || minute.interval || hour.interval;
  }
};

void draw_days(Model& model) {
  model.month = draw_values(1, 12);
  model.days = draw(0, 1) == 0 ? Days::either : Days::both;
  model.date = draw_values(1, 31);
  const int date = draw(0, 8);
  if (date == 8) {
    model.from_last = draw(0, 30);
    model.date = {"L-" + std::to_string(model.from_last), {}};
  } else if (date == 7) {
    model.workday = draw(0, 1) == 0 ? draw(1, 3) : draw(1, 31);
    model.date = {std::to_string(model.workday) + "W", {}};
  } else if (date == 6) {
    model.workday = 99;
    model.date = {"LW", {}};
  }
  model.weekday = draw_values(0, 6);
  const int week = draw(0, 8);
  if (week < 7) return;
  const int day = draw(0, 6);
  model.week = week == 7 ? -1 : draw(1, 5);
  const std::string which = week == 7 ? "L" : "#" + std::to_string(model.week);
  model.weekday = {std::to_string(day) + which, {day}};
}

int weekday_of(const CivilDate& date) { return (date.days() % 7 + 11) % 7; }

bool in_month(const CivilDate& date, int day) {
  return day > 0 && CivilDate{date.year, date.month, static_cast<unsigned>(day)}.is_valid();
}

/// Whether no other working day of the month is nearer to `wanted`.
bool is_nearest_workday(const CivilDate& date, int wanted) {
  if (!in_month(date, wanted)) return false;
  const auto distance = [&](int day) { return std::abs(day - wanted); };
  int best = 0;
  for (int day = 1; in_month(date, day); ++day) {
    const int weekday = weekday_of({date.year, date.month, static_cast<unsigned>(day)});
    if (weekday != 0 && weekday != 6 && (best == 0 || distance(day) < distance(best))) best = day;
  }
  return best == static_cast<int>(date.day);
}

int last_day(const CivilDate& date) {
  int day = 28;
  while (in_month(date, day + 1)) ++day;
  return day;
}

bool matches(const Model& model, const CivilDate& date) {
  const int day = static_cast<int>(date.day);
  if (!model.month.set.contains(static_cast<int>(date.month))) return false;
  bool by_date = model.date.set.contains(day);
  if (model.from_last >= 0) by_date = day + model.from_last == last_day(date);
  if (model.workday > 0)
    by_date = is_nearest_workday(date, model.workday == 99 ? last_day(date) : model.workday);
  bool by_weekday = model.weekday.set.contains(weekday_of(date));
  if (model.week > 0) by_weekday = by_weekday && day > 7 * model.week - 7 && day <= 7 * model.week;
  if (model.week < 0) by_weekday = by_weekday && !in_month(date, day + 7);
  const bool either = model.days == Days::either && !model.date.star && !model.weekday.star;
  return either ? by_date || by_weekday : by_date && by_weekday;
}

bool matches(const Model& model, const CivilTime& local) {
  return model.second.set.contains(local.second) && model.minute.set.contains(local.minute) &&
         model.hour.set.contains(local.hour) && matches(model, local.date);
}

constexpr auto one_second = std::chrono::seconds(1);

/// Whether it is due at this very second.
bool due(const Model& model, const Zone& zone, Timestamp at) {
  const CivilTime local = zone.to_civil(at);
  const auto resolved = zone.from_civil(local);
  const bool second_pass = resolved.kind == Zone::Kind::repeated && resolved.at != at;
  if (matches(model, local) && (model.repeats() || !second_pass)) return true;
  if (model.every_hour()) return false;
  // What the clock would have shown, had it not been set forward.
  const auto unchanged = [](const CivilTime& shown) { return Zone().from_civil(shown).at; };
  for (Timestamp t = unchanged(zone.to_civil(at - one_second)) + one_second; t < unchanged(local);
       t = t + one_second)
    if (matches(model, Zone().to_civil(t))) return true;
  return false;
}

std::vector<Timestamp> due_within(const Model& model, const Zone& zone, Timestamp after,
                                  Timestamp last, Duration step) {
  std::vector<Timestamp> found;
  for (Timestamp t = after + step; t <= last; t = t + step)
    if (due(model, zone, t)) found.push_back(t);
  return found;
}

/// What next() says from `after` to `last`.
std::vector<Timestamp> said_within(const CronExpression& cron, const Zone& zone, Timestamp after,
                                   Timestamp last) {
  std::vector<Timestamp> found;
  for (auto at = cron.next(after, zone); at && *at <= last; at = cron.next(*at, zone)) {
    RC_ASSERT(*at > after);
    after = *at;
    found.push_back(*at);
  }
  return found;
}

/// Empty when they are the same; else what a reader wants to know.
std::string difference(const std::vector<Timestamp>& said, const std::vector<Timestamp>& due) {
  const auto [a, b] = std::mismatch(said.begin(), said.end(), due.begin(), due.end());
  if (a == said.end() && b == due.end()) return "";
  return "next() says " + (a == said.end() ? "nothing" : a->to_string()) + ", due is " +
         (b == due.end() ? "nothing" : b->to_string());
}

struct ClockChange {
  const char* zone;
  const char* at;
};
/// Clocks set forward and back, by an hour or half of it, at night, at midnight and before it; a
/// day that never was, and a zone where nothing changes.
constexpr std::array<ClockChange, 13> changes = {{
    {"America/New_York", "2026-03-08T07:00:00Z"},
    {"America/New_York", "2026-11-01T06:00:00Z"},
    {"Australia/Lord_Howe", "2026-04-04T15:00:00Z"},
    {"Australia/Lord_Howe", "2026-10-03T15:30:00Z"},
    {"Asia/Amman", "2017-03-30T22:00:00Z"},
    {"Asia/Amman", "2017-10-26T22:00:00Z"},
    {"America/Santiago", "2026-04-05T03:00:00Z"},
    {"America/Santiago", "2026-09-06T04:00:00Z"},
    {"Europe/Berlin", "2026-03-29T01:00:00Z"},
    {"Africa/Casablanca", "2026-02-15T02:00:00Z"},
    {"Pacific/Apia", "2011-12-30T10:00:00Z"},
    {"UTC", "2026-11-21T00:00:00Z"},
    // Only for seconds: before it, Manila's minutes did not begin with those of UTC.
    {"Asia/Manila", "1844-12-31T15:56:08Z"},
}};

void draw_every_day(Model& model) {
  model.date = model.month = model.weekday = {"*", {}, true, true};
  for (int value = 0; value <= 31; ++value) {
    model.date.set.insert(value);
    model.month.set.insert(value);
    model.weekday.set.insert(value);
  }
}

/// Days that nearly always match, so that the time of day is what is tested; half of the times are
/// fixed and near those at which the clock is changed.
Model draw_times(const Zone& zone, Timestamp change, bool with_seconds) {
  Model model;
  if (draw(0, 4) == 4) {
    draw_days(model);
  } else {
    draw_every_day(model);
  }
  if (draw(0, 1) == 0) {
    if (with_seconds) model.second = draw_fixed(0, 59);
    model.minute = draw_fixed(0, 59);
    const int hour = zone.to_civil(change - one_second).hour;
    model.hour = draw_fixed(std::max(0, hour - 1), std::min(23, hour + 2));
  } else {
    if (with_seconds) model.second = draw_values(0, 59);
    model.minute = draw_values(0, 59);
    model.hour = draw_values(0, 23);
  }
  return model;
}

/// Says the same as the model from `after` on, looked at in steps.
void check_times(const Model& model, const Zone& zone, Timestamp after, Duration length,
                 Duration step) {
  const auto expression = CronExpression::parse(model.text(), model.days);
  RC_PRE(expression.has_value());
  RC_LOG() << model.text() << (model.days == Days::both ? ", both" : "") << '\n';
  const auto due = due_within(model, zone, after, after + length, step);
  RC_ASSERT(difference(said_within(*expression, zone, after, after + length), due) == "");
}

Timestamp whole_minute(Timestamp t) {
  constexpr std::int64_t minute = 60'000'000;
  return Timestamp::from_micros(t.micros() - (t.micros() % minute + minute) % minute);
}

}  // namespace

TEST_CASE("cron: days are those of a calendar that is looked through") {
  CHECK(rc::check("next() finds each day of four years; what never comes is refused", [] {
    Model model;
    draw_days(model);
    model.minute = model.hour = {"0", {0}};
    RC_LOG() << model.text() << (model.days == Days::both ? ", both" : "") << '\n';
    const auto expression = CronExpression::parse(model.text(), model.days);
    std::int32_t day = CivilDate{draw(1970, 2100), 1, 1}.days();
    const Timestamp after = Zone().from_civil({CivilDate::from_days(day), 0, 0, 0, 0}).at;
    const std::int32_t end = day + (expression ? 4 : 40) * 366;
    std::vector<Timestamp> due;
    while (++day <= end)
      if (matches(model, CivilDate::from_days(day)))
        due.push_back(Zone().from_civil({CivilDate::from_days(day), 0, 0, 0, 0}).at);
    if (!expression) {
      RC_ASSERT(expression.error().field == "day_of_month");
      RC_ASSERT(due.empty());
      return;
    }
    const Timestamp last = Zone().from_civil({CivilDate::from_days(end), 0, 0, 0, 0}).at;
    RC_ASSERT(difference(said_within(*expression, Zone(), after, last), due) == "");
    const auto again = CronExpression::parse(expression->to_string(), model.days);
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == *expression);
  }));
}

TEST_CASE("cron: times are those of a clock that is looked at") {
  CHECK(rc::check("each minute of two days in which the clock is changed", [] {
    const ClockChange change =
        changes[static_cast<std::size_t>(draw(0, static_cast<int>(changes.size()) - 2))];
    const Zone zone = Zone::find(change.zone).value();
    const Model model = draw_times(zone, utc(change.at), false);
    const auto before = std::chrono::minutes(draw(0, 1) == 0 ? draw(0, 120) : draw(0, 1800));
    check_times(model, zone, whole_minute(utc(change.at)) - before, std::chrono::hours(48),
                std::chrono::minutes(1));
  }));
  CHECK(rc::check("each second of two hours in which the clock is changed", [] {
    const ClockChange change =
        changes[static_cast<std::size_t>(draw(0, static_cast<int>(changes.size()) - 1))];
    const Zone zone = Zone::find(change.zone).value();
    const Model model = draw_times(zone, utc(change.at), true);
    const auto before = std::chrono::seconds(draw(0, 7200));
    check_times(model, zone, utc(change.at) - before, std::chrono::hours(2), one_second);
  }));
}
