#include "bureau/core/civil.hpp"

#include <date/tz.h>
#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "core/civil_text.hpp"
#include "core/seconds.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::floor_div;
using detail::micros_per_second;
using detail::seconds_per_day;
/// Beyond this a moment has no room for a zone's offset: both ways are clamped to it.
constexpr std::int64_t seconds_max = INT64_MAX / micros_per_second - seconds_per_day;

const date::time_zone* zone_of(const void* zone) {
  return static_cast<const date::time_zone*>(zone);
}

Timestamp at_seconds(std::int64_t seconds, std::int64_t micros) {
  seconds = std::clamp(seconds, -seconds_max, seconds_max);
  return Timestamp::from_micros(seconds * micros_per_second + micros);
}

}  // namespace

// The two conversions are Howard Hinnant's days_from_civil and civil_from_days: years begin in
// March, so that the leap day is the last of its year.

std::int32_t CivilDate::days() const {
  const int y = year - (month <= 2 ? 1 : 0);
  const int era = (y >= 0 ? y : y - 399) / 400;
  const int year_of_era = y - era * 400;
  const int m = static_cast<int>(month);
  const int day_of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + static_cast<int>(day) - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

CivilDate CivilDate::from_days(std::int32_t days) {
  const std::int64_t z = std::int64_t{days} + 719'468;
  const std::int64_t era = (z >= 0 ? z : z - 146'096) / 146'097;
  const int day_of_era = static_cast<int>(z - era * 146'097);
  const int year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int mp = (5 * day_of_year + 2) / 153;
  CivilDate date;
  date.day = static_cast<unsigned>(day_of_year - (153 * mp + 2) / 5 + 1);
  date.month = static_cast<unsigned>(mp < 10 ? mp + 3 : mp - 9);
  date.year = static_cast<int>(year_of_era + era * 400) + (date.month <= 2 ? 1 : 0);
  return date;
}

bool CivilDate::is_valid() const {
  if (month < 1 || month > 12 || day < 1) return false;
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  const unsigned in_month = month == 2 ? (leap ? 29 : 28)
                            : month == 4 || month == 6 || month == 9 || month == 11 ? 30
                                                                                    : 31;
  // Days fit 32 bits for some 5.8 million years around 1970.
  return day <= in_month && year >= -5'000'000 && year <= 5'000'000;
}

Result<CivilDate> CivilDate::parse(std::string_view text) {
  detail::TextScanner scanner(text);
  CivilDate date;
  if (!detail::scan_date(scanner, date) || !scanner.at_end())
    return fail(Code::invalid,
                "date " + detail::shown(text) + ": expected YYYY-MM-DD, a day of the calendar");
  return date;
}

std::string CivilDate::to_string() const {
  if (year >= 0 && year <= 9999) return fmt::format("{:04}-{:02}-{:02}", year, month, day);
  return fmt::format("{:+07}-{:02}-{:02}", year, month, day);
}

Result<Zone> Zone::find(std::string_view name) {
  if (name == "UTC") return Zone();
  try {
    const date::time_zone* found = date::locate_zone(std::string(name));
    // A zone's file is read at its first use; after this nothing can fail any more.
    (void)found->get_info(date::sys_seconds{});
    Zone zone;
    zone.zone_ = found;
    return zone;
  } catch (const std::exception&) {
    return fail(Code::invalid, "time zone " + detail::shown(name) +
                                   ": this machine's time zone database does not have it");
  }
}

std::string_view Zone::name() const {
  return zone_ == nullptr ? std::string_view("UTC") : std::string_view(zone_of(zone_)->name());
}

CivilTime Zone::to_civil(Timestamp t) const {
  std::int64_t local = floor_div(t.micros(), micros_per_second);
  if (zone_ != nullptr) {
    local = std::clamp(local, -seconds_max, seconds_max);
    const date::sys_seconds at{std::chrono::seconds(local)};
    local += zone_of(zone_)->get_info(at).offset.count();
  }
  const std::int64_t days = floor_div(local, seconds_per_day);
  const auto of_day = static_cast<int>(local - days * seconds_per_day);
  CivilTime civil;
  civil.date = CivilDate::from_days(static_cast<std::int32_t>(days));
  civil.hour = of_day / 3600;
  civil.minute = of_day / 60 % 60;
  civil.second = of_day % 60;
  const std::int64_t micros = t.micros() % micros_per_second;
  civil.micros = static_cast<int>(micros < 0 ? micros + micros_per_second : micros);
  return civil;
}

Zone::Resolved Zone::from_civil(const CivilTime& local) const {
  const std::int64_t seconds = std::clamp(std::int64_t{local.date.days()} * seconds_per_day +
                                              local.hour * 3600 + local.minute * 60 + local.second,
                                          -seconds_max, seconds_max);
  if (zone_ == nullptr) return {Kind::unique, at_seconds(seconds, local.micros)};
  const auto info = zone_of(zone_)->get_info(date::local_seconds{std::chrono::seconds(seconds)});
  switch (info.result) {
    case date::local_info::nonexistent:
      return {Kind::skipped, at_seconds(info.first.end.time_since_epoch().count(), 0)};
    case date::local_info::ambiguous:
      return {Kind::repeated, at_seconds(seconds - info.first.offset.count(), local.micros)};
    default:
      return {Kind::unique, at_seconds(seconds - info.first.offset.count(), local.micros)};
  }
}

Zone::Period Zone::period(Timestamp t) const {
  Period period{Timestamp::from_micros(INT64_MIN), Timestamp::never(), Duration(0)};
  if (zone_ == nullptr) return period;
  const std::int64_t seconds =
      std::clamp(floor_div(t.micros(), micros_per_second), -seconds_max, seconds_max);
  const date::sys_seconds at{std::chrono::seconds(seconds)};
  const auto info = zone_of(zone_)->get_info(at);
  // The database ends at years that it can write; nothing changes there.
  const date::sys_seconds first = date::sys_days{date::year::min() / date::January / 1};
  const date::sys_seconds last = date::sys_days{date::year::max() / date::December / 31};
  if (info.begin > first && info.begin <= at)
    period.begin = at_seconds(info.begin.time_since_epoch().count(), 0);
  if (info.end < last && info.end > at)
    period.end = at_seconds(info.end.time_since_epoch().count(), 0);
  period.offset = info.offset;
  return period;
}

BUREAU_END_NAMESPACE
