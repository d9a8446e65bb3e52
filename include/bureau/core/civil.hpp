#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE

/// A date of the proleptic Gregorian calendar, without zone.
struct CivilDate {
  int year = 1970;
  unsigned month = 1;  ///< 1 to 12
  unsigned day = 1;    ///< 1 to 31
  friend constexpr auto operator<=>(const CivilDate&, const CivilDate&) = default;

  [[nodiscard]] static Result<CivilDate> parse(std::string_view text);  ///< "2026-11-21"
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] bool is_valid() const;
  /// Days since 1970-01-01. REQUIRES: is_valid().
  [[nodiscard]] std::int32_t days() const;
  [[nodiscard]] static CivilDate from_days(std::int32_t days);
};

/// What a wall clock in some zone shows.
struct CivilTime {
  CivilDate date;
  int hour = 0, minute = 0, second = 0;
  int micros = 0;
  friend constexpr auto operator<=>(const CivilTime&, const CivilTime&) = default;
};

/// A time zone of the IANA database, by name. A plain value (a pointer into the process's
/// database). Thread-safe.
class Zone {
 public:
  /// UTC.
  Zone() = default;
  /// "Europe/Berlin", "UTC". `invalid` when the machine's database does not have it.
  [[nodiscard]] static Result<Zone> find(std::string_view name);
  [[nodiscard]] std::string_view name() const;

  [[nodiscard]] CivilTime to_civil(Timestamp t) const;
  enum class Kind { unique, skipped, repeated };
  struct Resolved {
    Kind kind;
    /// unique: the moment. skipped (spring): the first valid moment after the gap. repeated
    /// (autumn): the earlier of the two.
    Timestamp at;
  };
  [[nodiscard]] Resolved from_civil(const CivilTime& local) const;

  /// A stretch of time in which the zone's clocks are not changed.
  struct Period {
    Timestamp begin;  ///< the lowest timestamp when there is no change before
    Timestamp end;    ///< the first moment after it; never() when no change is known
    Duration offset;  ///< what the wall clock shows, minus UTC
  };
  [[nodiscard]] Period period(Timestamp t) const;

 private:
  const void* zone_ = nullptr;
};

BUREAU_END_NAMESPACE
