#include "bureau/core/timestamp.hpp"

#include <fmt/format.h>

#include "core/civil_text.hpp"
#include "core/seconds.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

bool scan_date(TextScanner& scanner, CivilDate& date) {
  const bool negative = scanner.take('-');
  const bool expanded = negative || scanner.take('+');
  int month = 0;
  int day = 0;
  if (!scanner.take_digits(expanded ? 6 : 4, date.year) || !scanner.take('-') ||
      !scanner.take_digits(2, month) || !scanner.take('-') || !scanner.take_digits(2, day))
    return false;
  if (negative) date.year = -date.year;
  date.month = static_cast<unsigned>(month);
  date.day = static_cast<unsigned>(day);
  return date.is_valid();
}

std::string shown(std::string_view text) {
  constexpr std::size_t longest = 60;
  std::string out = "'";
  for (const char c : text.substr(0, longest)) out += c >= ' ' && c <= '~' ? c : '?';
  if (text.size() > longest) out += "...";
  return out + "'";
}

namespace {

using detail::seconds_per_day;

/// "09:30:00" with a fraction of up to six digits.
bool scan_time(TextScanner& scanner, int& seconds, int& micros) {
  int hour = 0;
  int minute = 0;
  int second = 0;
  if (!scanner.take_digits(2, hour) || !scanner.take(':') || !scanner.take_digits(2, minute) ||
      !scanner.take(':') || !scanner.take_digits(2, second))
    return false;
  if (hour > 23 || minute > 59 || second > 59) return false;
  seconds = hour * 3600 + minute * 60 + second;
  micros = 0;
  if (!scanner.take('.')) return true;
  const std::size_t digits = scanner.leading_digits();
  if (digits == 0 || digits > 6 || !scanner.take_digits(digits, micros)) return false;
  for (std::size_t i = digits; i < 6; ++i) micros *= 10;
  return true;
}

/// "Z" or an offset such as "+02:00", in seconds east of UTC.
bool scan_offset(TextScanner& scanner, int& offset) {
  offset = 0;
  if (scanner.take('Z') || scanner.take('z')) return true;
  const bool west = scanner.take('-');
  if (!west && !scanner.take('+')) return false;
  int hours = 0;
  int minutes = 0;
  if (!scanner.take_digits(2, hours) || !scanner.take(':') || !scanner.take_digits(2, minutes))
    return false;
  offset = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
  return hours <= 23 && minutes <= 59;
}

bool scan_timestamp(std::string_view text, Timestamp& t) {
  TextScanner scanner(text);
  CivilDate date;
  int seconds = 0;
  int micros = 0;
  int offset = 0;
  if (!scan_date(scanner, date)) return false;
  if (!scanner.at_end()) {
    if (!scanner.take('T') && !scanner.take('t') && !scanner.take(' ')) return false;
    if (!scan_time(scanner, seconds, micros) || !scan_offset(scanner, offset)) return false;
  }
  std::int64_t whole = date.days() * seconds_per_day + seconds - offset;
  // Towards zero, as the multiplication below is: else the first second of all would overflow.
  if (whole < 0) {
    ++whole;
    micros -= 1'000'000;
  }
  std::int64_t total = 0;
  if (!scanner.at_end() || __builtin_mul_overflow(whole, std::int64_t{1'000'000}, &total) ||
      __builtin_add_overflow(total, std::int64_t{micros}, &total))
    return false;
  t = Timestamp::from_micros(total);
  return true;
}

}  // namespace
}  // namespace detail

Result<Timestamp> Timestamp::parse(std::string_view text) {
  Timestamp t;
  if (!detail::scan_timestamp(text, t))
    return fail(Code::invalid, "time " + detail::shown(text) +
                                   ": expected RFC 3339, such as 2026-11-21T09:30:00Z or "
                                   "2026-11-21T09:30:00.250000+02:00, or a date 2026-11-21");
  return t;
}

std::string Timestamp::to_string() const {
  const CivilTime civil = Zone().to_civil(*this);
  std::string out = civil.date.to_string();
  fmt::format_to(std::back_inserter(out), "T{:02}:{:02}:{:02}", civil.hour, civil.minute,
                 civil.second);
  if (civil.micros != 0) fmt::format_to(std::back_inserter(out), ".{:06}", civil.micros);
  out += 'Z';
  return out;
}

BUREAU_END_NAMESPACE
