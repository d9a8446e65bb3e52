#include "bureau/core/cron.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

using Days = CronExpression::Days;

Timestamp utc(std::string_view text) { return Timestamp::parse(text).value(); }

CronExpression cron(std::string_view text, Days days = Days::either) {
  return CronExpression::parse(text, days).value();
}

/// The next occurrences after a moment, as RFC 3339 in UTC.
std::vector<std::string> occurrences(const CronExpression& cron, std::string_view after,
                                     std::string_view zone, int count) {
  std::vector<std::string> found;
  Timestamp at = utc(after);
  for (int i = 0; i < count; ++i) {
    at = cron.next(at, Zone::find(zone).value()).value();
    found.push_back(at.to_string());
  }
  return found;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("cron: what the header shows") {
  const CronExpression weekdays = cron("30 9 * * MON-FRI");
  // 2026-11-20 is a Friday.
  CHECK(occurrences(weekdays, "2026-11-20T09:00:00Z", "UTC", 3) ==
        Texts{"2026-11-20T09:30:00Z", "2026-11-23T09:30:00Z", "2026-11-24T09:30:00Z"});
  CHECK(occurrences(weekdays, "2026-11-20T09:00:00Z", "Europe/Berlin", 1) ==
        Texts{"2026-11-23T08:30:00Z"});
  CHECK(occurrences(cron("*/20 30 9 * * *"), "2026-11-20T09:30:05.25Z", "UTC", 3) ==
        Texts{"2026-11-20T09:30:20Z", "2026-11-20T09:30:40Z", "2026-11-21T09:30:00Z"});
  CHECK(occurrences(cron("10,40 5 12 * * *"), "2026-11-20T10:05:30Z", "UTC", 2) ==
        Texts{"2026-11-20T12:05:10Z", "2026-11-20T12:05:40Z"});
  CHECK(occurrences(cron("0 0 L * ?"), "2024-02-01", "UTC", 2) ==
        Texts{"2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"});
  CHECK(occurrences(cron("0 0 L-3 * *"), "2026-11-01", "UTC", 1) == Texts{"2026-11-27T00:00:00Z"});
  CHECK(occurrences(cron("0 0 * * 5L"), "2026-11-01", "UTC", 2) ==
        Texts{"2026-11-27T00:00:00Z", "2026-12-25T00:00:00Z"});
  CHECK(occurrences(cron("0 0 * * 1#2"), "2026-11-01", "UTC", 2) ==
        Texts{"2026-11-09T00:00:00Z", "2026-12-14T00:00:00Z"});
  CHECK(occurrences(cron("0 0 15W 8,11 *"), "2026-06-01", "UTC", 2) ==
        Texts{"2026-08-14T00:00:00Z", "2026-11-16T00:00:00Z"});
  CHECK(occurrences(cron("0 0 1w 8 *"), "2026-06-01", "UTC", 1) == Texts{"2026-08-03T00:00:00Z"});
  CHECK(occurrences(cron("0 0 LW 5 *"), "2026-05-01", "UTC", 1) == Texts{"2026-05-29T00:00:00Z"});
}

TEST_CASE("cron: a moment is never its own next, however small the part of a second") {
  const CronExpression minutely = cron("* * * * *");
  CHECK(minutely.next(utc("2026-11-21T10:00:00Z"), Zone()) == utc("2026-11-21T10:01:00Z"));
  CHECK(minutely.next(utc("2026-11-21T09:59:59.999999Z"), Zone()) == utc("2026-11-21T10:00:00Z"));
  CHECK(minutely.next(Timestamp::from_micros(-1), Zone()) == Timestamp());
  CHECK(minutely.next(Timestamp(), Zone()) == utc("1970-01-01T00:01:00Z"));
}

TEST_CASE("cron: day of month and day of week, as in Vixie cron or both") {
  // Friday 13 is in February, March and November 2026.
  CHECK(occurrences(cron("0 0 13 * FRI"), "2026-11-01", "UTC", 3) ==
        Texts{"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"});
  CHECK(occurrences(cron("0 0 13 * FRI", Days::both), "2026-03-01", "UTC", 2) ==
        Texts{"2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z"});
  for (const char* text : {"0 0 * * FRI", "0 0 ? * FRI", "0 0 */1 * FRI"})
    CHECK(cron(text).next(utc("2026-11-01"), Zone()) == utc("2026-11-06"));
  // A star with a step restricts: 1, 11, 21 and 31, or Sundays.
  CHECK(occurrences(cron("0 0 */10 * SUN"), "2026-11-09", "UTC", 2) ==
        Texts{"2026-11-11T00:00:00Z", "2026-11-15T00:00:00Z"});
  CHECK(cron("0 0 30 2 MON").next(utc("2026-02-03"), Zone()) == utc("2026-02-09"));
  CHECK_FALSE(CronExpression::parse("0 0 30 2 MON", Days::both));
}

TEST_CASE("cron: a skipped hour") {
  // New York, 8 March 2026: 02:00 EST is 03:00 EDT, which is 07:00Z.
  const auto in_gap = [](const char* text, int count) {
    return occurrences(cron(text), "2026-03-08T06:15:00Z", "America/New_York", count);
  };
  CHECK(in_gap("30 2 * * *", 2) == Texts{"2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"});
  // All that was skipped happens once, and once with what is due then anyway.
  CHECK(in_gap("10,20 2,3 * * *", 2) == Texts{"2026-03-08T07:00:00Z", "2026-03-08T07:10:00Z"});
  CHECK(in_gap("0 2,3 * * *", 2) == Texts{"2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z"});
  CHECK(in_gap("*/30 2 * * *", 2) == Texts{"2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z"});
  CHECK(in_gap("30 */2 * * *", 2) == Texts{"2026-03-08T07:00:00Z", "2026-03-08T08:30:00Z"});
  // Every hour: from 01:30 to 03:30 is one.
  CHECK(in_gap("30 * * * *", 2) == Texts{"2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z"});
  CHECK(in_gap("*/30 * * * *", 3) ==
        Texts{"2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"});
  // Samoa had no 30 December 2011; what was due on it is so as the 31st begins.
  CHECK(occurrences(cron("15 9 30 12 *"), "2011-12-01", "Pacific/Apia", 2) ==
        Texts{"2011-12-30T10:00:00Z", "2012-12-29T19:15:00Z"});
}

TEST_CASE("cron: a repeated hour") {
  // New York, 1 November 2026: 01:00 to 02:00 EDT (05:00Z), then EST (06:00Z).
  const auto in_fold = [](const char* text, const char* after, int count) {
    return occurrences(cron(text), after, "America/New_York", count);
  };
  CHECK(in_fold("30 1 * * *", "2026-11-01T05:00:00Z", 2) ==
        Texts{"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"});
  // Asked in between and within the second hour, too.
  CHECK(in_fold("30 1 * * *", "2026-11-01T05:45:00Z", 1) == Texts{"2026-11-02T06:30:00Z"});
  CHECK(in_fold("30 1 * * *", "2026-11-01T06:15:00Z", 1) == Texts{"2026-11-02T06:30:00Z"});
  CHECK(in_fold("30 1,2 * * *", "2026-11-01T05:45:00Z", 1) == Texts{"2026-11-01T07:30:00Z"});
  CHECK(in_fold("30 * * * *", "2026-11-01T05:00:00Z", 3) ==
        Texts{"2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"});
  CHECK(in_fold("*/30 1 * * *", "2026-11-01T05:15:00Z", 4) ==
        Texts{"2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z",
              "2026-11-02T06:00:00Z"});
  // Written out, every hour is still every hour.
  std::string hours = "0";
  for (int hour = 1; hour < 24; ++hour) hours += "," + std::to_string(hour);
  CHECK(in_fold(("30 " + hours + " * * *").c_str(), "2026-11-01T05:00:00Z", 2) ==
        Texts{"2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"});
}

TEST_CASE("cron: rare days are found, and the ends of time are ends") {
  // Mondays on 29 February: 2044 is the first after 2016; 2096 to 2104 has no leap year.
  const CronExpression rare = cron("0 0 29 2 MON", Days::both);
  CHECK(occurrences(rare, "2016-03-01", "UTC", 3) ==
        Texts{"2044-02-29T00:00:00Z", "2072-02-29T00:00:00Z", "2112-02-29T00:00:00Z"});
  CHECK(rare.next(utc("2016-03-01"), Zone::find("America/New_York").value()) ==
        utc("2044-02-29T05:00:00Z"));
  for (const char* name : {"UTC", "America/New_York", "Pacific/Kiritimati"}) {
    const Zone zone = Zone::find(name).value();
    for (const char* text : {"* * * * * *", "0 0 29 2 MON", "0 0 1 1 *"}) {
      const CronExpression expression = cron(text, Days::both);
      CHECK_FALSE(expression.next(Timestamp::never(), zone));
      CHECK_FALSE(expression.next(Timestamp::from_micros(INT64_MAX - 1), zone));
      const auto first = expression.next(Timestamp::from_micros(INT64_MIN), zone);
      REQUIRE(first);
      CHECK(*first < utc("0001-01-01"));
      auto last = expression.next(Timestamp::from_micros(INT64_MAX / 1'000'000 * 999'999), zone);
      for (int i = 0; i < 1000 && last; ++i) last = expression.next(*last, zone);
    }
  }
}

TEST_CASE("cron: one form of each expression") {
  const std::array<std::array<const char*, 2>, 17> forms = {{
      {"  30\t9  * * mon-Fri ", "30 9 * * 1-5"},
      {"0 0 0 1 1 ?", "0 0 1 1 *"},
      {"00 05 09 ? JAN 7", "5 9 * 1 0"},
      {"5 0 0 * * *", "5 0 0 * * *"},
      {"*/5 1-3/2 L-0 * SUN#1", "*/5 1-3/2 L * 0#1"},
      {"0 0 lw * 7L", "0 0 LW * 0L"},
      {"0 0 L-3w dec fril", "0 0 L-3W 12 5L"},
      {"0 0 015W * *", "0 0 15W * *"},
      {"0 22-4 * * 7-2", "0 22-4 * * 0-2"},
      {"0 0 * * 5-7", "0 0 * * 5-7"},
      {"0 0 * * 7-7", "0 0 * * 0-0"},
      {"@YEARLY", "0 0 1 1 *"},
      {"@weekly", "0 0 * * 0"},
      {" @midnight ", "0 0 * * *"},
      {"@hourly", "0 * * * *"},
      {"@every_minute", "* * * * *"},
      {"@every_second", "* * * * * *"},
  }};
  for (const auto& form : forms) {
    CAPTURE(form[0]);
    CHECK(cron(form[0]).to_string() == form[1]);
    CHECK(cron(form[0]) == cron(form[1]));
  }
  CHECK(cron("@daily") == cron("@midnight"));
  CHECK(cron("@yearly") == cron("@annually"));
  CHECK(cron("@monthly") != cron("@yearly"));
  CHECK(cron("0,30 * * * *") != cron("*/30 * * * *"));
  CHECK(cron("0 0 13 * 5") != cron("0 0 13 * 5", Days::both));
  CHECK(cron("0 0 13 * 5", Days::both).days() == Days::both);
}

TEST_CASE("cron: what is refused names the field, the value and the rule") {
  struct Case {
    const char* text;
    const char* field;
    const char* message;
  };
  const std::array<Case, 20> cases = {{
      {"60 * * * *", "minute", "minute '60': each value must be between 0 and 59"},
      {"* 24 * * *", "hour", "hour '24': each value must be between 0 and 23"},
      {"99999999999999999999 0 0 * * *", "second", "must be between 0 and 59"},
      {"1/0 * * * *", "minute", "minute '1/0': a step must be between 1 and 59"},
      {"*/60 * * * *", "minute", "a step must be between 1 and 59"},
      {"* * 0 * *", "day_of_month", "day_of_month '0': each value must be between 1 and 31"},
      {"* * 1,15W * *", "day_of_month", "W stands after one day, as in 15W, or after L"},
      {"* * 1,L * *", "day_of_month", "must be between 1 and 31"},
      {"* * L-31 * *", "day_of_month", "n of L-n must be between 0 and 30"},
      {"* * L5 * *", "day_of_month", "after L comes -n, W or nothing"},
      {"* * * XYZ *", "month", "month 'XYZ': each value (a name such as JAN, or a number) must"},
      {"* * * JANUARY *", "month", "'UARY' does not fit"},
      {"* * * * 8", "day_of_week", "between 0 and 7"},
      {"* * * * 1#6", "day_of_week", "day_of_week '1#6': # and L stand after one day"},
      {"* * * * 1,2#1", "day_of_week", "# and L stand after one day of the week"},
      {"* * ? * *  ?", "hour", "hour '?': each value"},
      {"30 2 30 2 *", "day_of_month", "day_of_month '30': no day has it in month '2'"},
      {"* * * *", "", "must have five fields"},
      {"", "", "not 0"},
      {"@fortnightly", "", "cron expression '@fortnightly': must be @yearly"},
  }};
  for (const auto& wrong : cases) {
    CAPTURE(wrong.text);
    const auto refused = CronExpression::parse(wrong.text);
    REQUIRE_FALSE(refused);
    const Error& error = refused.error();
    CHECK(error.code == Code::invalid);
    CHECK(error.field == wrong.field);
    CHECK_MESSAGE(error.message.find(wrong.message) != std::string::npos, error.message);
  }
}
