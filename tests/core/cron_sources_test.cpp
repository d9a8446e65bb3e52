#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>

#include "bureau/core/cron.hpp"
#include "bureau/core/json.hpp"
#include "core/civil_text.hpp"
#include "tree.hpp"

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

namespace fs = std::filesystem;

fs::path cases_folder() {
  const char* shared = std::getenv("BUREAU_SHARED_DATA");
  const fs::path data =
      shared != nullptr ? fs::path(shared) : fs::path(BUREAU_SOURCE_DIR) / ".." / "shared" / "data";
  return data / "cron";
}

std::string text_of(const Json& row, std::string_view key) {
  const Json* value = row.find(key);
  return value != nullptr && value->as_string() != nullptr ? *value->as_string() : "";
}

/// Digits, as many as there are.
int number(detail::TextScanner& scanner) {
  int value = 0;
  REQUIRE(scanner.take_digits(scanner.leading_digits(), value));
  return value;
}

/// "14:45", "14:45:10", "23:59:59.9999999".
void read_time(detail::TextScanner& scanner, CivilTime& local) {
  local.hour = number(scanner);
  REQUIRE(scanner.take(':'));
  local.minute = number(scanner);
  if (scanner.take(':')) local.second = number(scanner);
  if (!scanner.take('.')) return;
  int hundred_nanos = 0;
  REQUIRE(scanner.take_digits(7, hundred_nanos));
  // What is finer than a microsecond counts as one, so that it does not become a whole second.
  local.micros = std::max(1, hundred_nanos / 10);
}

/// "Mon Jul 9 14:45 2012".
CivilTime read_unix_date(const std::string& text) {
  std::istringstream words(text);
  std::string weekday, month, time;
  CivilTime local;
  words >> weekday >> month >> local.date.day >> time >> local.date.year;
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  local.date.month = static_cast<unsigned>(months.find(month) / 3 + 1);
  detail::TextScanner scanner(time);
  read_time(scanner, local);
  return local;
}

/// A moment as the two sources write it: "2016-03-13 01:45 -05:00", "2012-11-04T01:45:00-0400"; in
/// the zone where there is no offset; on 9 December 2016 where there is no date.
Timestamp moment(const std::string& text, const Zone& zone) {
  if (text[0] >= 'A') return zone.from_civil(read_unix_date(text)).at;
  CivilTime local{{2016, 12, 9}, 0, 0, 0, 0};
  detail::TextScanner scanner(text);
  if (detail::scan_date(scanner, local.date) && !scanner.take('T') && !scanner.take(' '))
    return zone.from_civil(local).at;
  read_time(scanner, local);
  (void)scanner.take(' ');
  const bool west = scanner.take('-');
  if (!west && !scanner.take('+')) return zone.from_civil(local).at;
  int hours = 0;
  int minutes = 0;
  REQUIRE(scanner.take_digits(2, hours));
  (void)scanner.take(':');
  REQUIRE(scanner.take_digits(2, minutes));
  const auto offset = std::chrono::minutes(hours * 60 + minutes);
  return Zone().from_civil(local).at - (west ? -offset : offset);
}

/// How many cases there are of each class. What is not named equal or refused as there is a
/// difference of rules: Cronos draws values from a hash (H, and macros with a seed), takes `?` in
/// every field, and finds out in next() that nothing will ever be due.
using Counts = std::map<std::string, int>;

std::string field_of(const std::string& theirs) {
  const std::map<std::string, std::string> names = {
      {"Seconds", "second"}, {"Minutes", "minute"},
      {"Hours", "hour"},     {"Days of month", "day_of_month"},
      {"Months", "month"},   {"Days of week", "day_of_week"}};
  const auto found = names.find(theirs);
  return found == names.end() ? "" : found->second;
}

void check_refused(const Json& row, const std::string& text, CronExpression::Days days,
                   Counts& counts) {
  const auto refused = CronExpression::parse(text, days);
  REQUIRE(!refused);
  CHECK(refused.error().code == Code::invalid);
  const std::string field = text_of(row, "invalidField");
  if (field.starts_with("between")) {
    CHECK(refused.error().message.find(field) != std::string::npos);
  } else if (!field.empty()) {
    CHECK(refused.error().field == field_of(field));
  }
  ++counts["refused as there"];
}

// --- Cronos ---

CronExpression::Days both() { return CronExpression::Days::both; }

std::string expression_of(const Json& row) {
  return text_of(row, row.find("cronExpression") != nullptr ? "cronExpression" : "expression");
}

/// What Cronos can and we do not, each refused with the field's name.
std::optional<std::string> beyond_us(const Json& row, const std::string& text) {
  if (text.find('H') != std::string::npos && text.find("THU") == std::string::npos &&
      text.find('@') == std::string::npos)
    return "H: a value drawn from a hash";
  if (text.starts_with("? ?")) return "? outside the day fields";
  if (row.find("hash") != nullptr) return "a macro moved by a hash";
  return std::nullopt;
}

void check_occurrence(const Json& row, const CronExpression& cron, Counts& counts) {
  const Zone zone = Zone::find(text_of(row, "zone")).value();
  const std::string from = text_of(row, row.find("fromString") != nullptr ? "fromString" : "from");
  Timestamp after = moment(from, zone);
  const Json* inclusive = row.find("inclusive");
  if (inclusive == nullptr) inclusive = row.find("inclusive_in_test");
  if (*inclusive->as_bool()) after = after - Duration(1);
  const std::string expected = text_of(row, "expectedString");
  const auto next = cron.next(after, zone);
  REQUIRE(next);
  if (expected.empty()) {  // theirs walks on and wants progress
    const auto second = cron.next(*next, zone);
    REQUIRE(second);
    CHECK(*next < *second);
  } else {
    CHECK(next->to_string() == moment(expected, zone).to_string());
  }
  const auto either = CronExpression::parse(cron.to_string());
  const bool same = either && either->next(after, zone) == next;
  ++counts[same ? "equal" : "equal because both day fields were declared to matter"];
}

void check_cronos(const Json& row, Counts& counts) {
  const std::string text = expression_of(row);
  const std::string test = text_of(row, "test");
  CAPTURE(test);
  CAPTURE(text);
  CAPTURE(row.dump());
  if (test.starts_with("Parse_Throws")) return check_refused(row, text, both(), counts);
  const auto cron = CronExpression::parse(text, both());
  if (const auto difference = beyond_us(row, text)) {
    CHECK(cron.has_value() == (text[0] == '@'));
    ++counts[*difference];
    return;
  }
  if (test.find("Unreachable") != std::string::npos) {
    REQUIRE(!cron);
    CHECK(cron.error().field == "day_of_month");
    CHECK(cron.error().message.find("never fire") != std::string::npos);
    ++counts["never: refused when parsed"];
    return;
  }
  REQUIRE_MESSAGE(cron, cron.error().message);
  CHECK(CronExpression::parse(cron->to_string(), both()).value() == *cron);
  if (text_of(row, "zone").empty()) {
    ++counts["equal"];  // only parsed
    return;
  }
  check_occurrence(row, *cron, counts);
}

// --- robfig/cron ---

/// "TZ=America/New_York 0 0 * * * ?": the zone, which is cut from the text; UTC without.
Zone cut_zone(std::string& text) {
  if (!text.starts_with("TZ=") && !text.starts_with("CRON_TZ=")) return Zone();
  const auto name = text.find('=') + 1;
  const auto blank = text.find(' ');
  const Zone zone = Zone::find(text.substr(name, blank - name)).value();
  text.erase(0, blank + 1);
  return zone;
}

/// What robfig does otherwise where the clock is changed: a time in a gap waits for the next day on
/// which it exists, and a time in a repeated hour comes twice. Ours, with the reason.
struct Ours {
  std::string expression, from, next, reason;
};
const std::array<Ours, 4> clock_changes = {{
    {"0 30 2 11 Mar ?", "2012-03-11T00:00:00-0500", "2012-03-11T03:00:00-0400", "gap: at its end"},
    {"0 0 2 * * ?", "2012-03-11T00:00:00-0500", "2012-03-11T03:00:00-0400", "gap: at its end"},
    {"0 30 1 04 Nov ?", "2012-11-04T01:45:00-0400", "2013-11-04T01:30:00-0500",
     "repeated hour: once"},
    {"0 0 1 * * ?", "2012-11-04T01:00:00-0400", "2012-11-05T01:00:00-0500", "repeated hour: once"},
}};

void check_next(const std::string& text, const std::string& from, const std::string& expected,
                const Zone& zone, Counts& counts) {
  const auto cron = CronExpression::parse(text);
  if (expected.empty()) {
    REQUIRE(!cron);
    CHECK(cron.error().field == "day_of_month");
    ++counts["never: refused when parsed"];
    return;
  }
  REQUIRE_MESSAGE(cron, cron.error().message);
  const auto next = cron->next(moment(from, zone), zone);
  REQUIRE(next);
  for (const auto& ours : clock_changes) {
    if (text != ours.expression || from != ours.from) continue;
    CHECK(next->to_string() == moment(ours.next, zone).to_string());
    CHECK(*next != moment(expected, zone));
    ++counts[ours.reason];
    return;
  }
  CHECK(next->to_string() == moment(expected, zone).to_string());
  ++counts["equal"];
}

void check_robfig(const Json& row, Counts& counts, int& zones_in_text) {
  std::string text = text_of(row, "spec");
  std::string from = text_of(row, "from_or_at");
  const std::string test = text_of(row, "test");
  CAPTURE(row.dump());
  if (test.ends_with("Errors"))
    return check_refused(row, text, CronExpression::Days::either, counts);
  if (text.find("TZ=") != std::string::npos) {
    // The zone is told to next() and does not belong to the text.
    CHECK_FALSE(CronExpression::parse(text));
    ++zones_in_text;
  }
  Zone zone = cut_zone(text);
  if (from.starts_with("TZ=")) zone = cut_zone(from);
  if (from.ends_with("+0530")) zone = Zone::find("Asia/Kolkata").value();
  if (test != "TestActivation")
    return check_next(text, from, text_of(row, "expected"), zone, counts);
  const auto cron = CronExpression::parse(text);
  REQUIRE_MESSAGE(cron, cron.error().message);
  const Timestamp at = moment(from, zone);
  CHECK((cron->next(at - Duration(1), zone) == at) == *row.find("expected")->as_bool());
  ++counts["equal"];
}

/// Calls `check` for each line, and says whether the file is there.
template <class F>
bool for_each_case(const std::string& name, F check) {
  const fs::path path = cases_folder() / name;
  std::ifstream file(path);
  if (!file) {
    MESSAGE("skipped: there is no ", path.string(),
            "; set BUREAU_SHARED_DATA to the folder that holds cron/");
    return false;
  }
  for (std::string line; std::getline(file, line);) check(Json::parse(line).value());
  return true;
}

void check_counts(const Counts& counts, const Counts& expected) {
  for (const auto& [name, count] : counts) MESSAGE(count, " ", name);
  CHECK(counts == expected);
}

}  // namespace

TEST_CASE("cron: the cases of Cronos, whose day fields both have to match") {
  Counts counts;
  if (!for_each_case("cronos-odd.jsonl", [&](const Json& row) { check_cronos(row, counts); }))
    return;
  check_counts(counts, {{"equal", 541},
                        {"equal because both day fields were declared to matter", 10},
                        {"refused as there", 165},
                        {"never: refused when parsed", 38},
                        {"H: a value drawn from a hash", 16},
                        {"a macro moved by a hash", 7},
                        {"? outside the day fields", 1}});
}

TEST_CASE("cron: the cases of robfig/cron, whose day fields are Vixie's") {
  Counts counts;
  int zones_in_text = 0;
  const auto check = [&](const Json& row) { check_robfig(row, counts, zones_in_text); };
  if (!for_each_case("robfig-cron.jsonl", check)) return;
  check_counts(counts, {{"equal", 84},
                        {"refused as there", 11},
                        {"never: refused when parsed", 2},
                        {"gap: at its end", 2},
                        {"repeated hour: once", 3}});
  CHECK(zones_in_text == 26);
}
