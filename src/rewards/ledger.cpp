#include "bureau/rewards/ledger.hpp"

#include <fmt/format.h>

#include "access/library_rows.hpp"
#include "bureau/core/civil.hpp"
#include "rewards/batch.hpp"
#include "rewards/desk.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace rewards::inside;

namespace {

Result<PointRule> row_of(const Catalog& catalog, const NewPointRule& given) {
  BUREAU_TRY_VOID(check_key(given.key));
  BUREAU_TRY_VOID(check_text("name", given.name, 200));
  BUREAU_TRY_VOID(check_range("points", given.points, 1, points_max));
  if (given.cap_per_day != 0) {
    BUREAU_TRY_VOID(check_range("cap_per_day", given.cap_per_day, given.points, INT64_MAX));
  }
  if (given.cooldown < Duration(0) || given.cooldown > std::chrono::hours(24 * 366)) {
    return fail(
        Code::invalid,
        fmt::format("cooldown: {} s is not between 0 and a year",
                    std::chrono::duration_cast<std::chrono::seconds>(given.cooldown).count()),
        "cooldown");
  }
  BUREAU_TRY(const auto compiled, check_criteria(catalog, given.criteria, 1));
  PointRule row;
  row.key = given.key;
  row.name = given.name;
  row.source_table = given.criteria.table;
  row.change = given.criteria.change;
  if (!compiled.predicate.is_always()) row.predicate = compiled.predicate.to_json();
  if (compiled.user != nullptr) row.user_column = std::string(compiled.user->name);
  row.points = given.points;
  row.cap_per_day = given.cap_per_day;
  row.cooldown = given.cooldown;
  row.active = given.active;
  return row;
}

}  // namespace

Result<PointRule> Points::save_rule(const NewPointRule& given) const {
  const Scope& scope = rules_.rows().scope();
  BUREAU_TRY(const PointRule made, row_of(scope.session().database().catalog(), given));
  return scope.write([&](Unit& unit) -> Result<PointRule> {
    const Repository<PointRule> rows{Scope(unit)};
    BUREAU_TRY(const auto present, rows.first(col(&PointRule::key) == given.key));
    PointRule row = made;
    if (!present) {
      BUREAU_TRY(row.counts_after, begin_counting(unit, given.history));
      return rows.insert(std::move(row));
    }
    if (present->source_table != row.source_table || present->change != row.change ||
        !(present->predicate == row.predicate) || present->user_column != row.user_column) {
      return fail(
          Code::conflict,
          fmt::format("criteria: those of \"{}\" stay as they were made; make another rule, "
                      "and this one inactive",
                      given.key),
          "criteria");
    }
    bureau::detail::succeed(*present, row);
    row.counts_after = present->counts_after;
    return rows.update(std::move(row));
  });
}

Result<std::vector<PointRule>> Points::rules(const Query& query) const {
  return rules_.list(query);
}

Result<UserStats> Points::of(Id<User> user) const {
  UserStats stats;
  BUREAU_TRY_VOID(on_snapshot(stats_.rows().scope(), [&](const Scope& scope) -> Result<void> {
    BUREAU_TRY(const User found, Repository<User>{scope}.find(user));
    BUREAU_TRY(auto row, Repository<UserStats>{scope}.first(col(&UserStats::user) == user));
    stats = row.value_or(UserStats());
    stats.id = Id<UserStats>(user.value);
    stats.tenant = found.tenant;
    stats.user = user;
    return {};
  }));
  return stats;
}

Result<std::vector<PointEntry>> Points::entries(Id<User> user, std::uint64_t limit) const {
  Query query;
  query.where = col(&PointEntry::user) == user;
  query.order = {{&col(&PointEntry::id).info(), true}};
  query.limit = limit;
  return entries_.list(query);
}

Result<PointEntry> Points::give(Id<User> user, std::int64_t points, std::string_view reason) const {
  BUREAU_TRY_VOID(check_range("points", points, 1, points_max));
  BUREAU_TRY_VOID(check_text("reason", reason, 500));
  return entries_.rows().scope().write([&](Unit& unit) -> Result<PointEntry> {
    BUREAU_TRY_VOID(require_manager(unit, "give"));
    BUREAU_TRY_VOID(check_user(unit, user));
    BUREAU_TRY(Books books, open_books(unit, user));
    Cause cause;
    cause.reason = reason;
    cause.at = unit.now();
    BUREAU_TRY(PointEntry entry, books.give(user.value, points, cause));
    BUREAU_TRY_VOID(books.write());
    return entry;
  });
}

Result<PointEntry> Points::reverse(Id<PointEntry> id, std::string_view reason) const {
  BUREAU_TRY_VOID(check_text("reason", reason, 500));
  return entries_.rows().scope().write([&](Unit& unit) -> Result<PointEntry> {
    BUREAU_TRY_VOID(require_manager(unit, "reverse"));
    const Repository<PointEntry> entries{Scope(unit)};
    BUREAU_TRY(const PointEntry given, entries.find(id));
    const std::string name = id::to_text(schema<PointEntry>.prefix, id.value);
    if (given.rule || given.achievement) {
      return fail(Code::invalid, fmt::format("entry: {} follows from its source; undo that", name),
                  "entry");
    }
    if (given.reverses) {
      return fail(Code::invalid,
                  fmt::format("entry: {} takes back another; it cannot be taken back", name),
                  "entry");
    }
    BUREAU_TRY(const auto taken, entries.first(col(&PointEntry::reverses) == id));
    if (taken) {
      return fail(Code::conflict, fmt::format("entry: {} was taken back already", name), "entry");
    }
    BUREAU_TRY(Books books, open_books(unit, given.user, {days_of_date(given.day)}));
    Cause cause;
    cause.reason = reason;
    cause.at = unit.now();
    BUREAU_TRY(PointEntry entry, books.take_back(given, cause));
    BUREAU_TRY_VOID(books.write());
    return entry;
  });
}

// Streaks --------------------------------------------------------------------------------------

namespace {

Streaks::Streak streak_of(const UserStats& stats, const std::string& tenant_zone, Timestamp now) {
  Streaks::Streak streak;
  streak.longest = stats.longest_streak;
  streak.freezes = stats.freezes;
  if (!stats.last_local_date) return streak;
  LocalDays days;
  const std::int64_t last = days_of_date(*stats.last_local_date);
  const std::int64_t day = std::min(days.day(stats.zone ? *stats.zone : tenant_zone, now),
                                    days.day(stats.last_zone, now));
  streak.today = day <= last;
  if (day - last - 1 <= stats.freezes) streak.days = stats.streak_days;
  return streak;
}

Timestamp now_of(const Scope& scope) {
  return scope.unit() != nullptr ? scope.unit()->now() : scope.session().database().clock().now();
}

}  // namespace

Result<Streaks::Streak> Streaks::of(Id<User> user) const {
  Streak streak;
  BUREAU_TRY_VOID(on_snapshot(stats_.rows().scope(), [&](const Scope& scope) -> Result<void> {
    BUREAU_TRY_VOID(Repository<User>{scope}.find(user));
    BUREAU_TRY(const auto row, Repository<UserStats>{scope}.first(col(&UserStats::user) == user));
    return scope.read([&](Reader& reader) -> Result<void> {
      BUREAU_TRY(const std::string zone, zone_of(reader, scope.session().principal().tenant));
      streak = streak_of(row.value_or(UserStats()), zone, now_of(scope));
      return {};
    });
  }));
  return streak;
}

Result<std::vector<StreakDay>> Streaks::days(Id<User> user, std::uint64_t limit) const {
  Query query;
  query.where = col(&StreakDay::user) == user;
  query.order = {{&col(&StreakDay::local_date).info(), true}};
  query.limit = limit;
  return days_.list(query);
}

Result<Streaks::Streak> Streaks::uphold(Id<User> user) const {
  return stats_.rows().scope().write([&](Unit& unit) -> Result<Streak> {
    BUREAU_TRY_VOID(require_self(unit, user, "uphold"));
    BUREAU_TRY_VOID(check_user(unit, user));
    BUREAU_TRY(Books books, open_books(unit, user));
    BUREAU_TRY_VOID(books.uphold(user.value, unit.now()));
    const UserStats stats = books.stats(user.value).now;
    BUREAU_TRY_VOID(books.write());
    return streak_of(stats, stats.last_zone, unit.now());
  });
}

Result<void> Streaks::set_zone(Id<User> user, std::optional<std::string> zone) const {
  if (zone) {
    auto known = Zone::find(*zone);
    if (!known) return fail(Code::invalid, "zone: " + known.error().message, "zone");
  }
  return stats_.rows().scope().write([&](Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(require_self(unit, user, "set_zone"));
    BUREAU_TRY_VOID(check_user(unit, user));
    BUREAU_TRY(Books books, open_books(unit, user));
    books.set_zone(user.value, zone);
    return books.write();
  });
}

Result<void> Streaks::add_freezes(Id<User> user, std::int64_t days) const {
  BUREAU_TRY_VOID(check_range("days", days, 1, 100));
  return stats_.rows().scope().write([&](Unit& unit) -> Result<void> {
    BUREAU_TRY_VOID(require_manager(unit, "add_freezes"));
    BUREAU_TRY_VOID(check_user(unit, user));
    BUREAU_TRY(Books books, open_books(unit, user));
    books.add_freezes(user.value, days);
    return books.write();
  });
}

BUREAU_END_NAMESPACE
