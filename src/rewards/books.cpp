#include "rewards/books.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/rewards/leaderboards.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

namespace {

constexpr std::array periods = {LeaderboardPeriod::day, LeaderboardPeriod::week,
                                LeaderboardPeriod::month, LeaderboardPeriod::year};
constexpr std::int64_t freezes_max = 100;

PairKey board_key(LeaderboardPeriod period, std::int64_t start) {
  return {static_cast<std::int64_t>(period), start};
}

}  // namespace

std::vector<std::int64_t> distinct(std::vector<std::int64_t> values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

std::int64_t period_start(LeaderboardPeriod period, std::int64_t day) {
  return period_around(period, CivilDate::from_days(static_cast<std::int32_t>(day))).start.days();
}
std::int64_t period_end(LeaderboardPeriod period, std::int64_t day) {
  return period_around(period, CivilDate::from_days(static_cast<std::int32_t>(day))).end.days();
}

Books::Books(Transaction& tx, Id<Tenant> tenant, std::string zone, std::int64_t closed_day)
    : tx_(tx), tenant_(tenant), zone_(std::move(zone)), closed_day_(closed_day) {}

// Reading ahead --------------------------------------------------------------------------------

Result<void> Books::read_scores(LeaderboardPeriod period, std::int64_t start,
                                const std::vector<std::int64_t>& users) {
  auto& board = scores_[board_key(period, start)];
  for (const std::int64_t user : users) {
    LeaderboardScore& score = board[user].now;
    score.tenant = tenant_;
    score.period = period;
    score.start = date_of_days(start);
    score.user = Id<User>(user);
  }
  using Score = LeaderboardScore;
  return in_parts<Id<User>>(users, [&](const std::vector<Id<User>>& part) -> Result<void> {
    BUREAU_TRY(auto rows,
               rows_of<Score>(tx_.reader(),
                              select<Score>().where(col(&Score::tenant) == tenant_ &&
                                                    col(&Score::period) == period &&
                                                    col(&Score::start) == date_of_days(start) &&
                                                    col(&Score::user).in(part))));
    for (Score& row : rows) {
      Held<Score>& held = board[row.user.value];
      held.stored = row;
      held.now = std::move(row);
    }
    return {};
  });
}

Result<void> Books::read_users(std::vector<std::int64_t> users,
                               const std::vector<std::int64_t>& days) {
  users = distinct(std::move(users));
  for (const std::int64_t user : users) {
    UserStats& row = stats_[user].now;
    row.id = Id<UserStats>(user);
    row.tenant = tenant_;
    row.user = Id<User>(user);
    row.created_at = row.updated_at = tx_.now();
    row.version = 0;
  }
  BUREAU_TRY_VOID(
      in_parts<Id<UserStats>>(users, [&](const std::vector<Id<UserStats>>& part) -> Result<void> {
        BUREAU_TRY(auto rows, rows_of<UserStats>(tx_.reader(), select<UserStats>().where(
                                                                   col(&UserStats::id).in(part))));
        for (UserStats& row : rows) {
          Held<UserStats>& held = stats_[row.user.value];
          held.stored = row;
          held.now = std::move(row);
        }
        return {};
      }));
  for (const LeaderboardPeriod period : periods) {
    std::vector<std::int64_t> starts;
    for (const std::int64_t day : days) {
      if (period_end(period, day) > closed_day_) starts.push_back(period_start(period, day));
    }
    for (const std::int64_t start : distinct(std::move(starts))) {
      BUREAU_TRY_VOID(read_scores(period, start, users));
    }
  }
  return {};
}

Result<void> Books::read_holders(const Achievement& achievement, std::vector<std::int64_t> users) {
  users = distinct(std::move(users));
  for (const std::int64_t user : users) {
    UserAchievement& row = holders_[{achievement.id.value, user}].now;
    row.tenant = tenant_;
    row.user = Id<User>(user);
    row.achievement = achievement.id;
    row.target = achievement.target;
    row.created_at = row.updated_at = tx_.now();
  }
  using U = UserAchievement;
  return in_parts<Id<User>>(users, [&](const std::vector<Id<User>>& part) -> Result<void> {
    BUREAU_TRY(auto rows,
               rows_of<U>(tx_.reader(), select<U>().where(col(&U::achievement) == achievement.id &&
                                                          col(&U::user).in(part))));
    for (U& row : rows) {
      Held<U>& held = holders_[{achievement.id.value, row.user.value}];
      held.stored = row;
      held.now = std::move(row);
    }
    return {};
  });
}

Result<void> Books::read_usage(Id<PointRule> rule, std::vector<std::int64_t> users) {
  users = distinct(std::move(users));
  for (const std::int64_t user : users) {
    Usage& row = usage_[{rule.value, user}].now;
    row.tenant = tenant_;
    row.rule = rule;
    row.user = Id<User>(user);
    row.last_at = Timestamp::from_micros(INT64_MIN);
  }
  return in_parts<Id<User>>(users, [&](const std::vector<Id<User>>& part) -> Result<void> {
    BUREAU_TRY(auto rows,
               rows_of<Usage>(tx_.reader(), select<Usage>().where(col(&Usage::rule) == rule &&
                                                                  col(&Usage::user).in(part))));
    for (Usage& row : rows) {
      Held<Usage>& held = usage_[{rule.value, row.user.value}];
      held.stored = row;
      held.now = std::move(row);
    }
    return {};
  });
}

Held<UserStats>& Books::stats(std::int64_t user) { return stats_.at(user); }

std::int64_t Books::local_day(std::int64_t user, Timestamp at) {
  const auto& own = stats(user).now.zone;
  return days_.day(own ? *own : zone_, at);
}

// Streaks --------------------------------------------------------------------------------------

Result<void> Books::add_day(std::int64_t user, std::int64_t day, StreakDayState state,
                            const std::string& zone, Timestamp at) {
  StreakDay& row = streak_days_.emplace_back();
  row.tenant = tenant_;
  row.user = Id<User>(user);
  row.local_date = date_of_days(day);
  row.state = state;
  row.zone = zone;
  row.at = at;
  return {};
}

Result<void> Books::uphold(std::int64_t user, Timestamp at) {
  Held<UserStats>& held = stats(user);
  UserStats& row = held.now;
  const std::string& zone = row.zone ? *row.zone : zone_;
  const std::int64_t here = days_.day(zone, at);
  if (row.last_local_date) {
    const std::int64_t last = days_of_date(*row.last_local_date);
    if (here <= last) return {};
    // New only if it is so in the zone of the last day too, missed only if both passed it over.
    const std::int64_t day = std::min(here, days_.day(row.last_zone, at));
    if (day <= last) return {};
    const std::int64_t missed = day - last - 1;
    if (missed > row.freezes) {
      row.streak_days = 0;
    } else {
      for (std::int64_t d = last + 1; d < day; ++d) {
        BUREAU_TRY_VOID(add_day(user, d, StreakDayState::frozen, zone, at));
      }
      row.freezes -= missed;
    }
  }
  ++row.streak_days;
  row.longest_streak = std::max(row.longest_streak, row.streak_days);
  row.last_local_date = date_of_days(here);
  row.last_zone = zone;
  held.changed = true;
  return add_day(user, here, StreakDayState::upheld, row.last_zone, at);
}

void Books::add_freezes(std::int64_t user, std::int64_t days) {
  Held<UserStats>& held = stats(user);
  held.now.freezes = std::min(freezes_max, held.now.freezes + days);
  held.changed = true;
}

void Books::set_zone(std::int64_t user, std::optional<std::string> zone) {
  Held<UserStats>& held = stats(user);
  held.now.zone = std::move(zone);
  held.changed = true;
}

// Points ---------------------------------------------------------------------------------------

void Books::add_points(std::int64_t user, std::int64_t points, Timestamp at, std::int64_t day) {
  Held<UserStats>& held = stats(user);
  held.now.points += points;
  held.now.level = level_of(held.now.points);
  held.now.points_at = at;
  held.changed = true;
  for (const LeaderboardPeriod period : periods) {
    if (period_end(period, day) <= closed_day_) continue;
    Held<LeaderboardScore>& score = scores_.at(board_key(period, period_start(period, day)))[user];
    score.now.points += points;
    score.now.reached_at = at;
    score.changed = true;
  }
}

Result<void> Books::enter(PointEntry& entry) {
  BUREAU_TRY(entry.id.value, tx_.next_id());
  entry.tenant = tenant_;
  add_points(entry.user.value, entry.points, entry.at, days_of_date(entry.day));
  entries_.push_back(entry);
  return {};
}

namespace {
PointEntry entry_of(const Cause& cause, Id<User> user, std::int64_t points) {
  PointEntry entry;
  entry.user = user;
  entry.points = points;
  entry.rule = cause.rule;
  entry.achievement = cause.achievement;
  entry.source = cause.source;
  entry.sequence = cause.sequence;
  entry.reason = cause.reason;
  entry.at = cause.at;
  return entry;
}
}  // namespace

Result<PointEntry> Books::give(std::int64_t user, std::int64_t points, const Cause& cause) {
  PointEntry entry = entry_of(cause, Id<User>(user), points);
  entry.local_date =
      cause.rule ? allowance_day(user, cause.at) : date_of_days(local_day(user, cause.at));
  entry.day = date_of_days(days_.day(zone_, cause.at));
  BUREAU_TRY_VOID(enter(entry));
  return entry;
}

Result<PointEntry> Books::take_back(const PointEntry& given, const Cause& cause) {
  PointEntry entry = entry_of(cause, given.user, -given.points);
  entry.reverses = given.id;
  entry.local_date = given.local_date;
  entry.day = given.day;
  BUREAU_TRY_VOID(enter(entry));
  return entry;
}

Timestamp Books::allowance_day(std::int64_t user, Timestamp at) {
  const UserStats& row = stats(user).now;
  if (!row.last_local_date) return date_of_days(local_day(user, at));
  // What was done before the streak's last day, and is counted only now, keeps its own.
  return std::min(*row.last_local_date, date_of_days(days_.day(row.last_zone, at)));
}

std::int64_t Books::allowance(const PointRule& rule, std::int64_t user, Timestamp at) {
  if (rule.cap_per_day == 0 && rule.cooldown == Duration(0)) return rule.points;
  Held<Usage>& held = usage_.at({rule.id.value, user});
  Usage& row = held.now;
  if (row.last_at.micros() != INT64_MIN && at < row.last_at + rule.cooldown) return 0;
  const Timestamp date = allowance_day(user, at);
  if (row.local_date < date) {
    row.local_date = date;
    row.given = 0;
  }
  std::int64_t points = rule.points;
  if (rule.cap_per_day > 0) points = std::min(points, rule.cap_per_day - row.given);
  if (points <= 0) return 0;
  row.given += points;
  row.last_at = at;
  held.changed = true;
  return points;
}

Result<void> Books::give_room(const PointRule& rule, const PointEntry& given) {
  const auto found = usage_.find({rule.id.value, given.user.value});
  if (found == usage_.end()) return {};
  Usage& row = found->second.now;
  if (row.local_date == given.local_date) {
    row.given = std::max<std::int64_t>(0, row.given - given.points);
    found->second.changed = true;
  }
  if (rule.cooldown == Duration(0)) return {};
  BUREAU_TRY(const std::optional<Timestamp> at, moment_of(given.id));
  if (at != row.last_at) return {};
  // What gave before it did so a cooldown earlier at the latest: that one holds nothing up any
  // more.
  row.last_at = *at - rule.cooldown;
  found->second.changed = true;
  return {};
}

Result<std::optional<Timestamp>> Books::moment_of(Id<PointEntry> id) {
  const auto entry = std::find_if(entries_.rbegin(), entries_.rend(),
                                  [id](const PointEntry& one) { return one.id == id; });
  if (entry != entries_.rend()) return std::optional(entry->at);
  BUREAU_TRY(const auto stored, row_with_id<PointEntry>(tx_.reader(), id.value));
  return stored ? std::optional(stored->at) : std::nullopt;
}

// Achievements ---------------------------------------------------------------------------------

Held<UserAchievement>& Books::held(const Achievement& achievement, std::int64_t user) {
  return holders_.at({achievement.id.value, user});
}

const UserAchievement& Books::holder(const Achievement& achievement, std::int64_t user) {
  return held(achievement, user).now;
}

Result<Books::Grants*> Books::grants_of(const Achievement& achievement, std::int64_t user) {
  Grants& grants = grants_[{achievement.id.value, user}];
  if (grants.known) return &grants;
  using E = PointEntry;
  BUREAU_TRY(auto rows,
             rows_of<E>(tx_.reader(), select<E>().where(col(&E::achievement) == achievement.id &&
                                                        col(&E::user) == Id<User>(user))));
  std::vector<PointEntry> open;
  for (E& row : rows) {
    if (row.points > 0) open.push_back(row);
  }
  for (const E& row : rows) {
    std::erase_if(open, [&](const E& grant) { return row.reverses == grant.id; });
  }
  grants.open.insert(grants.open.begin(), open.begin(), open.end());
  grants.known = true;
  return &grants;
}

Result<void> Books::unlock(const Achievement& achievement, UserAchievement& row,
                           const Cause& cause) {
  if (++row.times == 1) {
    Held<UserStats>& held = stats(row.user.value);
    ++held.now.achievements;
    held.changed = true;
  }
  row.unlocked_at = cause.at;
  if (achievement.points == 0) return {};
  BUREAU_TRY(PointEntry entry, give(row.user.value, achievement.points, cause));
  grants_[{achievement.id.value, row.user.value}].open.push_back(std::move(entry));
  return {};
}

Result<void> Books::lock(const Achievement& achievement, UserAchievement& row, const Cause& cause) {
  if (--row.times == 0) {
    Held<UserStats>& held = stats(row.user.value);
    --held.now.achievements;
    held.changed = true;
  }
  row.revoked_at = cause.at;
  if (achievement.points == 0) return {};
  Grants* grants = &grants_[{achievement.id.value, row.user.value}];
  if (grants->open.empty()) {
    BUREAU_TRY(grants, grants_of(achievement, row.user.value));
  }
  if (grants->open.empty()) {
    return fail(Code::corrupt,
                fmt::format("point_entries: what achievement \"{}\" gave {} is not there",
                            achievement.key, id::to_text(schema<User>.prefix, row.user.value)));
  }
  const PointEntry given = grants->open.back();
  grants->open.pop_back();
  BUREAU_TRY_VOID(take_back(given, cause));
  return {};
}

namespace {
AchievementState state_of(const UserAchievement& row) {
  if (row.times > 0) return AchievementState::unlocked;
  if (row.state == AchievementState::unlocked || row.state == AchievementState::revoked) {
    return AchievementState::revoked;
  }
  return row.progress > 0 ? AchievementState::in_progress : AchievementState::locked;
}
}  // namespace

Result<void> Books::advance(const Achievement& achievement, std::int64_t user, std::int64_t by,
                            const Cause& cause) {
  Held<UserAchievement>& held = this->held(achievement, user);
  UserAchievement& row = held.now;
  row.progress += by;
  held.changed = true;
  std::int64_t times = row.progress / std::max<std::int64_t>(1, row.target);
  if (!achievement.repeatable) times = std::min<std::int64_t>(times, 1);
  while (row.times < times) BUREAU_TRY_VOID(unlock(achievement, row, cause));
  while (row.times > times) BUREAU_TRY_VOID(lock(achievement, row, cause));
  row.state = state_of(row);
  return {};
}

// Writing --------------------------------------------------------------------------------------

Result<void> Books::write() {
  for (auto& [user, held] : stats_) {
    if (!held.changed) continue;
    if (held.now.points < 0) {
      return fail(Code::corrupt,
                  fmt::format("user_stats: the points of {} would be {}",
                              id::to_text(schema<User>.prefix, user), held.now.points));
    }
    ++held.now.version;
    held.now.updated_at = std::max(tx_.now(), held.now.created_at);
  }
  for (auto& [key, held] : holders_) {
    if (!held.changed) continue;
    ++held.now.version;
    held.now.updated_at = std::max(tx_.now(), held.now.created_at);
  }
  BUREAU_TRY_VOID(write_held(tx_, stats_));
  BUREAU_TRY_VOID(write_held(tx_, holders_));
  BUREAU_TRY_VOID(write_held(tx_, usage_));
  for (auto& [key, board] : scores_) BUREAU_TRY_VOID(write_held(tx_, board));
  BUREAU_TRY_VOID(insert_rows(tx_, std::span(entries_)));
  return insert_rows(tx_, std::span(streak_days_));
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
