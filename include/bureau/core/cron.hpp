#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bureau/core/civil.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// What the fields of a cron expression allow: bit n of a set stands for the value n.
struct CronFields {
  std::uint64_t seconds = 1;
  std::uint64_t minutes = 0;
  std::uint32_t hours = 0;
  std::uint32_t months = 0;
  std::uint32_t dates = 0;       ///< days of the month; empty when one is counted from its end
  int from_last = 0;             ///< L-3: 3
  bool nearest_workday = false;  ///< 15W
  std::uint32_t weekdays = 0;    ///< bit 0 is Sunday
  int week = 0;                  ///< 1#2: 2; 5L: -1; else 0
  bool every_date = false;       ///< the day of the month is not restricted
  bool every_weekday = false;    ///< nor the day of the week
  bool interval = false;         ///< second, minute or hour has a star, a range or a step
  friend bool operator==(const CronFields&, const CronFields&) = default;
};

}  // namespace detail

/// When something is to happen again and again, as cron says it: `30 9 * * MON-FRI` is 9:30 on
/// working days. A plain value, without zone and without memory; thread-safe.
///
/// Five fields: minute, hour, day of month, month, day of week; or six, with the second before
/// them. Numbers, names (JAN, MON), `*`, ranges `a-b` (one that ends before it begins runs over the
/// end: `FRI-MON`), steps `*/n`, `a/n` (to the field's end) and `a-b/n`, and lists of these. Sunday
/// is 0 and 7. Days of the month also: `?` as `*`, `L` (the last), `L-3`, `15W` (the working day
/// nearest to it in its month), `LW`. Days of the week also: `?`, `5L` (the last Friday), `1#2`
/// (the second Monday). Or `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`,
/// `@hourly`, `@every_minute`, `@every_second`. Letters of either case.
///
/// Where the clock is changed:
/// - What falls into a skipped hour happens once, at the first moment after it. Only where every
///   hour is meant (`15 * * * *`) is nothing made up for: no hour has passed.
/// - What falls into a repeated hour happens once, the first time. Expressions whose second, minute
///   or hour has a star, a range or a step, and those that mean every hour, happen both times: they
///   go on by elapsed time.
/// docs/cron.md has the reasons, and what other crons do.
class CronExpression {
 public:
  /// What it means that both day fields are restricted: anything else than `*`, `?` or `*/1`.
  enum class Days {
    either,  ///< a day that one of them allows, as in Vixie cron
    both,    ///< only a day that both allow
  };

  /// `invalid` names the field (second, minute, hour, day_of_month, month, day_of_week), the value
  /// and the rule; also for what could never happen (30 February).
  [[nodiscard]] static Result<CronExpression> parse(std::string_view text,
                                                    Days days = Days::either);

  /// The first occurrence after `after`, always a whole second. None: the next one is beyond what
  /// a Timestamp can hold. It takes a tenth of a microsecond, and some 10 where 29 February must be
  /// a Monday.
  [[nodiscard]] std::optional<Timestamp> next(Timestamp after, const Zone& zone) const;

  /// The same expression in one form: numbers instead of names, `*` for `?`, no second field that
  /// is 0. parse() with the same days() reads it back to an equal value.
  [[nodiscard]] const std::string& to_string() const { return text_; }
  [[nodiscard]] Days days() const { return days_; }

  /// Equal to_string() and days(). `*/30` and `0,30` are not equal: a repeated hour tells them
  /// apart.
  friend bool operator==(const CronExpression&, const CronExpression&) = default;

 private:
  CronExpression() = default;

  std::string text_;
  Days days_ = Days::either;
  detail::CronFields fields_;
};

BUREAU_END_NAMESPACE
