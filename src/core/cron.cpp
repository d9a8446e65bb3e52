#include "bureau/core/cron.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "core/civil_text.hpp"
#include "core/seconds.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::CronFields;
using Days = CronExpression::Days;

// --- reading ---

struct Field {
  std::string_view name;
  int first;
  int last;
  std::string_view names = {};  ///< of three letters each, the first for `first`
  int largest = 0;              ///< what else is accepted, as another name of `first`
};

constexpr Field second_field{"second", 0, 59};
constexpr Field minute_field{"minute", 0, 59};
constexpr Field hour_field{"hour", 0, 23};
constexpr Field date_field{"day_of_month", 1, 31};
constexpr Field month_field{"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"};
constexpr Field weekday_field{"day_of_week", 0, 6, "SUNMONTUEWEDTHUFRISAT", 7};

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

/// What a list of numbers, ranges and steps says.
struct Values {
  std::uint64_t set = 0;
  bool every = false;     ///< one of them is a star
  bool interval = false;  ///< one of them is a star, a range or a step
  std::string text;       ///< the same in one form
};

/// Reads one field, from left to right.
class FieldReader {
 public:
  FieldReader(const Field& field, std::string_view text)
      : field_(field), text_(text), rest_(text) {}

  [[nodiscard]] tl::unexpected<Error> refuse(std::string_view rule) const {
    return fail(Code::invalid, fmt::format("{} {}: {}", field_.name, detail::shown(text_), rule),
                std::string(field_.name));
  }

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] bool ends_with(char c) const { return !at_end() && upper(rest_.back()) == c; }
  /// Leaves out the last character.
  void shorten() { rest_.remove_suffix(1); }
  [[nodiscard]] bool take(char c) {
    if (rest_.empty() || upper(rest_.front()) != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  [[nodiscard]] Result<int> number(int least, int most, std::string_view what);
  [[nodiscard]] Result<int> value();
  /// A value with nothing after it.
  [[nodiscard]] Result<int> only_value(std::string_view rule);
  [[nodiscard]] Result<Values> list();

 private:
  [[nodiscard]] Result<void> item(Values& values);
  [[nodiscard]] int largest() const { return std::max(field_.last, field_.largest); }

  const Field& field_;
  std::string_view text_;
  std::string_view rest_;
};

Result<int> FieldReader::number(int least, int most, std::string_view what) {
  int number = 0;
  bool digits = false;
  while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
    number = std::min(number * 10 + (rest_.front() - '0'), 1000);  // larger than all limits
    digits = true;
    rest_.remove_prefix(1);
  }
  if (!digits || number < least || number > most)
    return refuse(fmt::format("{} must be between {} and {}", what, least, most));
  return number;
}

Result<int> FieldReader::value() {
  if (!rest_.empty() && upper(rest_.front()) >= 'A' && upper(rest_.front()) <= 'Z') {
    std::string name(rest_.substr(0, 3));
    std::transform(name.begin(), name.end(), name.begin(), upper);
    const std::size_t at = field_.names.find(name);
    if (name.size() == 3 && at != std::string_view::npos && at % 3 == 0) {
      rest_.remove_prefix(3);
      return field_.first + static_cast<int>(at / 3);
    }
  }
  return number(field_.first, largest(),
                field_.names.empty() ? std::string("each value")
                                     : fmt::format("each value (a name such as {}, or a number)",
                                                   field_.names.substr(0, 3)));
}

Result<int> FieldReader::only_value(std::string_view rule) {
  auto result = value();
  if (!result || !at_end()) return refuse(rule);
  return *result > field_.last ? field_.first : *result;
}

Result<Values> FieldReader::list() {
  Values values;
  do {
    BUREAU_TRY_VOID(item(values));
  } while (take(','));
  if (!at_end())
    return refuse(fmt::format("must be a list of values, ranges a-b and steps /n; {} does not fit",
                              detail::shown(rest_)));
  return values;
}

Result<void> FieldReader::item(Values& values) {
  const bool star = take('*') || (field_.name.starts_with("day_") && take('?'));
  int from = field_.first;
  int to = field_.last;
  bool range = false;
  if (!star) {
    BUREAU_TRY(from, value());
    range = take('-');
    to = from;
    if (range) {
      BUREAU_TRY(to, value());
    }
    if (from > field_.last) {  // a range that begins on Sunday begins at 0
      from = field_.first;
      to = to > field_.last ? field_.first : to;
    }
  }
  if (!values.text.empty()) values.text += ',';
  values.text += star ? "*" : range ? fmt::format("{}-{}", from, to) : fmt::format("{}", from);
  int step = 1;
  const bool stepped = take('/');
  if (stepped) {
    BUREAU_TRY(step, number(1, largest(), "a step"));
    values.text += fmt::format("/{}", step);
    if (!range) to = field_.last;
  }
  values.every |= star && step == 1;
  values.interval |= star || range || stepped;
  const int count = field_.last - field_.first + 1;
  const int span = to >= from ? to - from : to - from + count;
  for (int i = 0; i <= span; i += step)
    values.set |= std::uint64_t{1} << (field_.first + (from - field_.first + i) % count);
  return {};
}

/// `L`, `L-3`, `L-3W`, after the L; or `15W`, whose W is gone.
Result<std::string> read_special_date(FieldReader& reader, bool counted_from_last,
                                      CronFields& fields) {
  if (!counted_from_last) {
    BUREAU_TRY(const int day, reader.only_value("W stands after one day, as in 15W, or after L"));
    fields.dates = std::uint32_t{1} << day;
    return fmt::format("{}W", day);
  }
  if (!reader.at_end()) {
    if (!reader.take('-')) return reader.refuse("after L comes -n, W or nothing");
    BUREAU_TRY(fields.from_last, reader.number(0, 30, "n of L-n"));
  }
  if (!reader.at_end()) return reader.refuse("L-n stands alone, or with a W after it");
  return fmt::format("L{}{}", fields.from_last > 0 ? fmt::format("-{}", fields.from_last) : "",
                     fields.nearest_workday ? "W" : "");
}

Result<std::string> read_dates(std::string_view text, CronFields& fields) {
  FieldReader reader(date_field, text);
  fields.nearest_workday = reader.ends_with('W');
  if (fields.nearest_workday) reader.shorten();
  const bool counted_from_last = reader.take('L');
  if (fields.nearest_workday || counted_from_last)
    return read_special_date(reader, counted_from_last, fields);
  BUREAU_TRY(Values values, reader.list());
  fields.dates = static_cast<std::uint32_t>(values.set);
  fields.every_date = values.every;
  return std::move(values.text);
}

Result<std::string> read_weekdays(std::string_view text, CronFields& fields) {
  const auto hash = text.find('#');
  FieldReader reader(weekday_field, text.substr(0, hash));
  const bool last = reader.ends_with('L');
  if (hash == std::string_view::npos && !last) {
    BUREAU_TRY(Values values, reader.list());
    fields.weekdays = static_cast<std::uint32_t>(values.set);
    fields.every_weekday = values.every;
    return std::move(values.text);
  }
  const FieldReader whole(weekday_field, text);
  constexpr std::string_view rule =
      "# and L stand after one day of the week, as in MON#2 (# with 1 to 5) and 5L";
  if (last) reader.shorten();
  const auto day = reader.only_value(rule);
  if (!day || (last && hash != std::string_view::npos)) return whole.refuse(rule);
  fields.weekdays = std::uint32_t{1} << *day;
  if (last) {
    fields.week = -1;
    return fmt::format("{}L", *day);
  }
  const std::string_view week = text.substr(hash + 1);
  if (week.size() != 1 || week[0] < '1' || week[0] > '5') return whole.refuse(rule);
  fields.week = week[0] - '0';
  return fmt::format("{}#{}", *day, fields.week);
}

/// A field of numbers alone: the set of them.
Result<std::string> read_values(const Field& field, std::string_view text, std::uint64_t& set,
                                bool& interval) {
  BUREAU_TRY(Values values, FieldReader(field, text).list());
  set = values.set;
  interval |= values.interval;
  return std::move(values.text);
}

constexpr std::array<std::array<std::string_view, 2>, 9> macros = {{
    {"@YEARLY", "0 0 1 1 *"},
    {"@ANNUALLY", "0 0 1 1 *"},
    {"@MONTHLY", "0 0 1 * *"},
    {"@WEEKLY", "0 0 * * 0"},
    {"@DAILY", "0 0 * * *"},
    {"@MIDNIGHT", "0 0 * * *"},
    {"@HOURLY", "0 * * * *"},
    {"@EVERY_MINUTE", "* * * * *"},
    {"@EVERY_SECOND", "* * * * * *"},
}};

std::vector<std::string_view> split(std::string_view text) {
  constexpr std::string_view blanks = " \t";
  std::vector<std::string_view> parts;
  for (auto at = text.find_first_not_of(blanks); at != std::string_view::npos;
       at = text.find_first_not_of(blanks, at)) {
    const auto end = std::min(text.find_first_of(blanks, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end;
  }
  return parts;
}

/// The five or six fields, a macro replaced.
Result<std::vector<std::string_view>> fields_of(std::string_view text) {
  auto parts = split(text);
  if (parts.size() == 1 && parts[0].starts_with('@')) {
    std::string name(parts[0]);
    std::transform(name.begin(), name.end(), name.begin(), upper);
    for (const auto& [macro, expression] : macros)
      if (macro == name) return split(expression);
    return fail(Code::invalid, "cron expression " + detail::shown(text) +
                                   ": must be @yearly, @annually, @monthly, @weekly, @daily, "
                                   "@midnight, @hourly, @every_minute or @every_second");
  }
  if (parts.size() != 5 && parts.size() != 6)
    return fail(Code::invalid,
                fmt::format("cron expression {}: must have five fields (minute, hour, day of "
                            "month, month, day of week) or six (second first), not {}",
                            detail::shown(text), parts.size()));
  return parts;
}

Result<std::string> read_fields(const std::vector<std::string_view>& parts, CronFields& fields) {
  std::string text;
  const auto* part = parts.data();
  if (parts.size() == 6) {
    BUREAU_TRY(text, read_values(second_field, *part++, fields.seconds, fields.interval));
    text = text == "0" ? "" : text + " ";
  }
  BUREAU_TRY(const std::string minutes,
             read_values(minute_field, part[0], fields.minutes, fields.interval));
  std::uint64_t hours = 0;
  BUREAU_TRY(const std::string hour_text, read_values(hour_field, part[1], hours, fields.interval));
  fields.hours = static_cast<std::uint32_t>(hours);
  BUREAU_TRY(const std::string dates, read_dates(part[2], fields));
  std::uint64_t months = 0;
  bool ignored = false;  // how a month is written says nothing about hours
  BUREAU_TRY(const std::string month_text, read_values(month_field, part[3], months, ignored));
  fields.months = static_cast<std::uint32_t>(months);
  BUREAU_TRY(const std::string weekdays, read_weekdays(part[4], fields));
  return text + fmt::format("{} {} {} {} {}", minutes, hour_text, dates, month_text, weekdays);
}

// --- days ---

using detail::floor_div;
using detail::micros_per_second;
using detail::seconds_per_day;
/// Beyond this a moment has no room for a zone's offset.
constexpr std::int64_t last_second = INT64_MAX / micros_per_second - 2 * seconds_per_day;

int weekday_of(std::int32_t days) { return (days % 7 + 11) % 7; }  // 1970 began on a Thursday

/// A month as a calendar on the wall shows it: nothing else decides which of its days match.
struct Month {
  int length;
  int first_weekday;  ///< 0 is Sunday
  [[nodiscard]] int weekday(int day) const { return (first_weekday + day - 1) % 7; }
};

int month_length(int year, unsigned month) {
  if (month == 2) return CivilDate{year, 2, 29}.is_valid() ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/// The nearest day from Monday to Friday; in the same month, as `W` has it.
int nearest_workday(const Month& month, int day) {
  if (month.weekday(day) == 6) return day > 1 ? day - 1 : day + 2;
  if (month.weekday(day) == 0) return day < month.length ? day + 1 : day - 2;
  return day;
}

std::uint32_t matching_dates(const CronFields& fields, const Month& month) {
  const int day =
      fields.dates == 0 ? month.length - fields.from_last : std::countr_zero(fields.dates);
  if (fields.dates != 0 && !fields.nearest_workday) return fields.dates;
  if (day < 1 || day > month.length) return 0;
  return std::uint32_t{1} << (fields.nearest_workday ? nearest_workday(month, day) : day);
}

std::uint32_t matching_weekdays(const CronFields& fields, const Month& month) {
  std::uint32_t days = 0;
  for (int day = 1; day <= month.length; ++day) {
    const bool in_week = fields.week == 0 || fields.week == (day + 6) / 7 ||
                         (fields.week < 0 && day + 7 > month.length);
    if (in_week && (fields.weekdays >> month.weekday(day) & 1) != 0)
      days |= std::uint32_t{1} << day;
  }
  return days;
}

/// The days of such a month: bit 1 is its first.
std::uint32_t matching_days(const CronFields& fields, Days days, const Month& month) {
  const auto all = static_cast<std::uint32_t>((std::uint64_t{2} << month.length) - 2);
  const std::uint32_t by_date = fields.every_date ? all : matching_dates(fields, month) & all;
  const std::uint32_t by_weekday = fields.every_weekday ? all : matching_weekdays(fields, month);
  const bool either = days == Days::either && !fields.every_date && !fields.every_weekday;
  return either ? by_date | by_weekday : by_date & by_weekday;
}

/// In 400 years each month, and February in both lengths, begins on each day of the week.
bool ever_matches(const CronFields& fields, Days days) {
  for (unsigned month = 1; month <= 12; ++month) {
    if ((fields.months >> month & 1) == 0) continue;
    for (const int year : {2023, 2024})
      for (int weekday = 0; weekday < 7; ++weekday)
        if (matching_days(fields, days, {month_length(year, month), weekday}) != 0) return true;
  }
  return false;
}

/// The first matching day from `day` to `last`.
std::optional<std::int32_t> next_day(const CronFields& fields, Days days, std::int32_t day,
                                     std::int32_t last) {
  CivilDate date = CivilDate::from_days(day);
  unsigned from = date.day;
  std::int32_t before = day - static_cast<std::int32_t>(from);  // the last day of the month before
  while (before < last) {
    const int length = month_length(date.year, date.month);
    if ((fields.months >> date.month & 1) != 0) {
      const std::uint32_t found =
          matching_days(fields, days, {length, weekday_of(before + 1)}) >> from << from;
      if (found != 0) {
        const std::int32_t match = before + std::countr_zero(found);
        return match <= last ? std::optional(match) : std::nullopt;
      }
    }
    before += length;
    from = 1;
    date =
        date.month == 12 ? CivilDate{date.year + 1, 1, 1} : CivilDate{date.year, date.month + 1, 1};
  }
  return std::nullopt;
}

// --- times ---

/// The first member that is not less than `from`; 64 when there is none.
int next_member(std::uint64_t set, int from) { return std::countr_zero(set >> from << from); }

/// The first matching second of a day that is not before `from`.
std::optional<int> next_time(const CronFields& fields, int from) {
  int hour = from / 3600;
  int minute = from / 60 % 60;
  int second = next_member(fields.seconds, from % 60);
  if (second == 64) ++minute;
  const int wanted_minute = next_member(fields.minutes, minute);
  if (wanted_minute == 64) ++hour;
  const int wanted_hour = next_member(fields.hours, hour);
  if (wanted_hour == 64) return std::nullopt;
  const bool later_hour = wanted_hour != from / 3600;
  const bool later_minute = later_hour || wanted_minute != from / 60 % 60;
  if (later_minute) second = std::countr_zero(fields.seconds);
  minute = later_hour ? std::countr_zero(fields.minutes) : wanted_minute;
  return wanted_hour * 3600 + minute * 60 + second;
}

/// The first match in [from, end), as seconds that a wall clock shows, without regard to changes.
std::optional<std::int64_t> find(const CronFields& fields, Days days, std::int64_t from,
                                 std::int64_t end) {
  if (from >= end) return std::nullopt;
  const auto last = static_cast<std::int32_t>(floor_div(end - 1, seconds_per_day));
  const auto first = static_cast<std::int32_t>(floor_div(from, seconds_per_day));
  auto day = next_day(fields, days, first, last);
  if (!day) return std::nullopt;
  auto time =
      next_time(fields, *day == first ? static_cast<int>(from - first * seconds_per_day) : 0);
  if (!time) {
    day = next_day(fields, days, *day + 1, last);
    if (!day) return std::nullopt;
    time = next_time(fields, 0);
  }
  const std::int64_t match = *day * seconds_per_day + *time;
  return match < end ? std::optional(match) : std::nullopt;
}

bool every_hour(const CronFields& fields) { return fields.hours == (1U << 24) - 1; }

/// Zone::Period in seconds.
struct Stretch {
  std::int64_t begin, end, offset;
  Stretch(const Zone& zone, std::int64_t at) {
    const auto period = zone.period(Timestamp::from_micros(at * micros_per_second));
    begin = std::max(floor_div(period.begin.micros(), micros_per_second), -last_second);
    end = std::min(period.end.micros() / micros_per_second, last_second);
    offset = std::chrono::floor<std::chrono::seconds>(period.offset).count();
  }
};

/// The first match from the moment `from` to the end of the stretch that it lies in.
std::optional<std::int64_t> find_within(const CronFields& fields, Days days, const Zone& zone,
                                        const Stretch& stretch, std::int64_t from) {
  std::int64_t local = from + stretch.offset;
  // No zone's clocks were ever set by more than a day.
  if (stretch.begin > -last_second && from - stretch.begin <= 2 * seconds_per_day) {
    const std::int64_t shown_before = stretch.begin + Stretch(zone, stretch.begin - 1).offset;
    const std::int64_t shown_after = stretch.begin + stretch.offset;
    if (from == stretch.begin && !every_hour(fields) &&
        find(fields, days, shown_before, shown_after))
      return from;
    if (!fields.interval && !every_hour(fields)) local = std::max(local, shown_before);
  }
  const auto match = find(fields, days, local, stretch.end + stretch.offset);
  if (!match) return std::nullopt;
  return *match - stretch.offset;
}

}  // namespace

Result<CronExpression> CronExpression::parse(std::string_view text, Days days) {
  BUREAU_TRY(const auto parts, fields_of(text));
  CronExpression expression;
  BUREAU_TRY(expression.text_, read_fields(parts, expression.fields_));
  expression.days_ = days;
  if (!ever_matches(expression.fields_, days)) {
    const std::size_t date = parts.size() - 3;
    return fail(Code::invalid,
                fmt::format("day_of_month {}: no day has it in month {}, day_of_week {}, so the "
                            "expression could never fire",
                            detail::shown(parts[date]), detail::shown(parts[date + 1]),
                            detail::shown(parts[date + 2])),
                "day_of_month");
  }
  return expression;
}

std::optional<Timestamp> CronExpression::next(Timestamp after, const Zone& zone) const {
  std::int64_t from = std::max(floor_div(after.micros(), micros_per_second) + 1, -last_second);
  while (from < last_second) {
    const Stretch stretch(zone, from);
    if (const auto match = find_within(fields_, days_, zone, stretch, from))
      return Timestamp::from_micros(*match * micros_per_second);
    from = stretch.end;
  }
  return std::nullopt;
}

BUREAU_END_NAMESPACE
