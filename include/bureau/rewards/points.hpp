#pragma once

#include <optional>
#include <string>

#include "bureau/rewards/achievement.hpp"

BUREAU_BEGIN_NAMESPACE

/// What gives points. Criteria stay as they were made.
struct PointRule {
  Id<PointRule> id;
  Id<Tenant> tenant;
  std::string key;  ///< unique within the tenant
  std::string name;
  std::string source_table;
  CountedChange change = CountedChange::any;
  Json predicate;  ///< the JSON form; null: every row
  std::optional<std::string> user_column;
  std::int64_t points = 0;  ///< for each row that comes to match; above 0
  std::int64_t cap_per_day =
      0;                 ///< at most so many a user and local day, the rest is lost; 0: none
  Duration cooldown{0};  ///< after it gave, a user gets nothing more for so long
  bool active = true;    ///< inactive: gives nothing new; what is undone is taken back
  std::int64_t counts_after = 0;  ///< the journal number after which changes count
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// One line of the ledger: never changed, never removed. A user's points are the sum of his.
struct PointEntry {
  Id<PointEntry> id;
  Id<Tenant> tenant;
  Id<User> user;
  std::optional<Id<PointRule>> rule;           ///< what gave them: one of the two,
  std::optional<Id<Achievement>> achievement;  ///< or neither, when they were given by hand
  std::optional<std::int64_t> source;  ///< the id of the row that came to match, or no longer does
  std::optional<std::int64_t> sequence;    ///< the journal number of that change
  std::int64_t points = 0;                 ///< never 0
  std::optional<Id<PointEntry>> reverses;  ///< it takes back exactly what that entry gave
  std::string reason;                      ///< of what was given by hand
  Timestamp at;                            ///< of the change
  /// A date: midnight UTC. Where the user was when the points were given; of a rule's, the day of
  /// his streak, which caps go by. A reversal has the dates of what it takes back.
  Timestamp local_date;
  Timestamp day;  ///< the date in the tenant's zone, by which leaderboards go
};

/// What a user's ledger comes to, and his streak: derived in the same commit. The id is the user's.
struct UserStats {
  Id<UserStats> id;
  Id<Tenant> tenant;
  Id<User> user;
  std::int64_t points = 0;
  std::int64_t level = 1;         ///< level_of(points)
  std::int64_t achievements = 0;  ///< how many are unlocked now
  Timestamp points_at;            ///< of the last entry
  std::int64_t streak_days = 0;   ///< as of last_local_date; see Streaks::of for today's
  std::int64_t longest_streak = 0;
  std::int64_t freezes = 0;  ///< days that may yet be missed
  std::optional<Timestamp> last_local_date;
  std::string last_zone;            ///< in which that date was
  std::optional<std::string> zone;  ///< the user's own; none: the tenant's
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

enum class StreakDayState { upheld, frozen };
template <>
inline constexpr auto names<StreakDayState> = enum_names("upheld", "frozen");

/// A day of a user's streak, stamped when it was written. The order of stamps is that of the days.
struct StreakDay {
  Id<StreakDay> id;
  Id<Tenant> tenant;
  Id<User> user;
  Timestamp local_date;  ///< a date: midnight UTC
  StreakDayState state = StreakDayState::upheld;
  std::string zone;  ///< in which it was that day
  Timestamp at;
};

enum class LeaderboardPeriod { day, week, month, year, all_time };
template <>
inline constexpr auto names<LeaderboardPeriod> = enum_names("day", "week", "month", "year",
                                                            "all_time");

/// A user's points within a period that is open. Derived; not journalled.
struct LeaderboardScore {
  Id<LeaderboardScore> id;
  Id<Tenant> tenant;
  LeaderboardPeriod period = LeaderboardPeriod::day;
  Timestamp start;  ///< a date: the period's first day in the tenant's zone
  Id<User> user;
  std::int64_t points = 0;
  Timestamp reached_at;  ///< when they became what they are
};

/// A line of a leaderboard whose period is over. Never changed.
struct LeaderboardSnapshot {
  Id<LeaderboardSnapshot> id;
  Id<Tenant> tenant;
  LeaderboardPeriod period = LeaderboardPeriod::day;
  Timestamp start;
  Id<User> user;
  std::int64_t rank = 0;
  std::int64_t points = 0;
  Timestamp reached_at;
  Timestamp closed_at;
};

/// The points from which on one has a level: 0, 100, 300, 600, 1000, ... = 50 n (n - 1). Saturates.
/// REQUIRES: level >= 1.
[[nodiscard]] constexpr std::int64_t points_for_level(std::int64_t level) {
  if (level > 400'000'000) return INT64_MAX;
  return 50 * level * (level - 1);
}
/// The level that so many points come to, from 1: the largest n with points_for_level(n) <= points.
[[nodiscard]] constexpr std::int64_t level_of(std::int64_t points) {
  std::int64_t low = 1, high = 400'000'001;  // the level is in [low, high)
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (points_for_level(middle) <= points ? low : high) = middle;
  }
  return low;
}

template <>
inline constexpr auto schema<PointRule> =
    table("point_rules", "prl", journal::full, column("id", &PointRule::id),
          column("tenant", &PointRule::tenant), column("key", &PointRule::key, max_length(64)),
          column("name", &PointRule::name, max_length(200)),
          column("source_table", &PointRule::source_table, max_length(64)),
          column("change", &PointRule::change), column("predicate", &PointRule::predicate),
          column("user_column", &PointRule::user_column, max_length(64)),
          column("points", &PointRule::points), column("cap_per_day", &PointRule::cap_per_day),
          column("cooldown", &PointRule::cooldown), column("active", &PointRule::active),
          column("counts_after", &PointRule::counts_after), column("version", &PointRule::version),
          column("created_at", &PointRule::created_at),
          column("updated_at", &PointRule::updated_at), unique_index("key", "tenant", "key"));
template <>
inline constexpr auto schema<PointEntry> = table(
    "point_entries", "pen", journal::after, column("id", &PointEntry::id),
    column("tenant", &PointEntry::tenant), column("user", &PointEntry::user),
    column("rule", &PointEntry::rule), column("achievement", &PointEntry::achievement),
    column("source", &PointEntry::source), column("sequence", &PointEntry::sequence),
    column("points", &PointEntry::points), column("reverses", &PointEntry::reverses),
    column("reason", &PointEntry::reason, max_length(500)), column("at", &PointEntry::at),
    column("local_date", &PointEntry::local_date), column("day", &PointEntry::day),
    // What makes a change count once, whatever else goes wrong.
    unique_index("rule_source", "rule", "source", "sequence", "user").where("rule is not null"),
    unique_index("achievement_source", "achievement", "user", "sequence")
        .where("achievement is not null and sequence is not null"),
    unique_index("reversed", "reverses").where("reverses is not null"), index("user", "user"));
template <>
inline constexpr auto schema<UserStats> = table(
    "user_stats", "ust", journal::full, column("id", &UserStats::id),
    column("tenant", &UserStats::tenant), column("user", &UserStats::user),
    column("points", &UserStats::points), column("level", &UserStats::level),
    column("achievements", &UserStats::achievements), column("points_at", &UserStats::points_at),
    column("streak_days", &UserStats::streak_days),
    column("longest_streak", &UserStats::longest_streak), column("freezes", &UserStats::freezes),
    column("last_local_date", &UserStats::last_local_date),
    column("last_zone", &UserStats::last_zone, max_length(64)),
    column("zone", &UserStats::zone, max_length(64)), column("version", &UserStats::version),
    column("created_at", &UserStats::created_at), column("updated_at", &UserStats::updated_at),
    // A leaderboard reads this alone.
    index("board", "tenant", "points", "points_at", "user"));
template <>
inline constexpr auto schema<StreakDay> =
    table("streak_days", "sdy", journal::after, column("id", &StreakDay::id),
          column("tenant", &StreakDay::tenant), column("user", &StreakDay::user),
          column("local_date", &StreakDay::local_date), column("state", &StreakDay::state),
          column("zone", &StreakDay::zone, max_length(64)), column("at", &StreakDay::at),
          unique_index("day", "user", "local_date"));
template <>
inline constexpr auto schema<LeaderboardScore> =
    table("leaderboard_scores", "lsc", journal::none, column("id", &LeaderboardScore::id),
          column("tenant", &LeaderboardScore::tenant), column("period", &LeaderboardScore::period),
          column("start", &LeaderboardScore::start), column("user", &LeaderboardScore::user),
          column("points", &LeaderboardScore::points),
          column("reached_at", &LeaderboardScore::reached_at),
          unique_index("place", "tenant", "period", "start", "user"),
          // A leaderboard reads this alone.
          index("board", "tenant", "period", "start", "points", "reached_at", "user"));
template <>
inline constexpr auto schema<LeaderboardSnapshot> = table(
    "leaderboard_snapshots", "lbs", journal::after, column("id", &LeaderboardSnapshot::id),
    column("tenant", &LeaderboardSnapshot::tenant), column("period", &LeaderboardSnapshot::period),
    column("start", &LeaderboardSnapshot::start), column("user", &LeaderboardSnapshot::user),
    column("rank", &LeaderboardSnapshot::rank), column("points", &LeaderboardSnapshot::points),
    column("reached_at", &LeaderboardSnapshot::reached_at),
    column("closed_at", &LeaderboardSnapshot::closed_at),
    unique_index("place", "tenant", "period", "start", "user"),
    index("rank", "tenant", "period", "start", "rank"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::PointRule);
BUREAU_DECLARE_ENTITY(bureau::PointEntry);
BUREAU_DECLARE_ENTITY(bureau::UserStats);
BUREAU_DECLARE_ENTITY(bureau::StreakDay);
BUREAU_DECLARE_ENTITY(bureau::LeaderboardScore);
BUREAU_DECLARE_ENTITY(bureau::LeaderboardSnapshot);
