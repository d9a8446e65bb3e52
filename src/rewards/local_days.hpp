#pragma once

// Dates of moments in zones, remembered: the inside of rewards/.

#include <map>
#include <string>

#include "bureau/core/civil.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

inline constexpr std::int64_t micros_per_day = 86'400'000'000;

/// Dates are timestamps of midnight UTC where rows keep them.
[[nodiscard]] inline Timestamp date_of_days(std::int64_t days) {
  return Timestamp::from_micros(days * micros_per_day);
}
/// REQUIRES: a date.
[[nodiscard]] inline std::int64_t days_of_date(Timestamp date) {
  return date.micros() / micros_per_day;
}

/// Which day a moment is in, as days since 1970-01-01. Not thread-safe; a zone that this machine
/// does not know counts as UTC.
class LocalDays {
 public:
  [[nodiscard]] std::int64_t day(const std::string& zone, Timestamp at);

 private:
  struct Known {
    Zone zone;
    std::int64_t day = 0;
    Timestamp begin, end;  ///< of that day; empty until the first question
  };
  std::map<std::string, Known, std::less<>> zones_;
};

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
