#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE

/// Durations are microseconds everywhere; any coarser std::chrono duration converts.
using Duration = std::chrono::microseconds;

/// A moment in UTC: microseconds since 1970-01-01, before and after. A plain value.
class Timestamp {
 public:
  constexpr Timestamp() = default;
  [[nodiscard]] static constexpr Timestamp from_micros(std::int64_t micros) {
    Timestamp t;
    t.micros_ = micros;
    return t;
  }
  /// The moment that never comes: no deadline.
  [[nodiscard]] static constexpr Timestamp never() { return from_micros(INT64_MAX); }

  /// Reads RFC 3339 ("2026-11-21T09:30:00Z", with fraction up to microseconds, with offset) or a
  /// plain date ("2026-11-21", midnight UTC). `invalid` names what was expected.
  [[nodiscard]] static Result<Timestamp> parse(std::string_view text);

  [[nodiscard]] constexpr std::int64_t micros() const { return micros_; }
  /// RFC 3339 in UTC; the fraction is left out when it is zero, else six digits. parse() reads it
  /// back; years outside 0 to 9999 are written with a sign and six digits.
  [[nodiscard]] std::string to_string() const;

  friend constexpr auto operator<=>(Timestamp, Timestamp) = default;
  /// Additions saturate at both ends: never() plus anything is never().
  friend constexpr Timestamp operator+(Timestamp t, Duration d) {
    if (t.micros_ == INT64_MAX) return t;
    if (d.count() > 0 && t.micros_ > INT64_MAX - d.count()) return never();
    if (d.count() < 0 && t.micros_ < INT64_MIN - d.count()) return from_micros(INT64_MIN);
    return from_micros(t.micros_ + d.count());
  }
  friend constexpr Timestamp operator-(Timestamp t, Duration d) {
    return t + (d == Duration::min() ? Duration::max() : -d);
  }
  friend constexpr Duration operator-(Timestamp a, Timestamp b) {
    return Duration(a.micros_ - b.micros_);
  }

 private:
  std::int64_t micros_ = 0;
};

BUREAU_END_NAMESPACE
