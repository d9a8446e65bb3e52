#pragma once

// What users have, as one transaction changes it: read in bulk, changed in memory, written in bulk.
// The inside of rewards/.

#include <unordered_map>
#include <vector>

#include "rewards/local_days.hpp"
#include "rewards/rows.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

/// Two numbers as one key.
struct PairKey {
  std::int64_t a = 0, b = 0;
  friend bool operator==(const PairKey&, const PairKey&) = default;
};
struct PairHash {
  std::size_t operator()(const PairKey& k) const {
    return static_cast<std::size_t>(static_cast<std::uint64_t>(k.a) * 1'000'003U ^
                                    static_cast<std::uint64_t>(k.b));
  }
};

/// A row as it is stored, if it is, and as it becomes.
template <class T>
struct Held {
  std::optional<T> stored;
  T now;
  bool changed = false;
};

/// The first day of the period around a day. REQUIRES: not all_time.
[[nodiscard]] std::int64_t period_start(LeaderboardPeriod period, std::int64_t day);
[[nodiscard]] std::int64_t period_end(LeaderboardPeriod period, std::int64_t day);

/// Where a change of points comes from.
struct Cause {
  std::optional<Id<PointRule>> rule = {};
  std::optional<Id<Achievement>> achievement = {};
  std::optional<std::int64_t> source = {}, sequence = {};
  std::string reason = {};
  Timestamp at;
};

/// Belongs to one run of one write closure. Leaderboards that ended on `closed_day` or before are
/// left as they are.
class Books {
 public:
  Books(Transaction& tx, Id<Tenant> tenant, std::string zone, std::int64_t closed_day);

  // Reading ahead. What is asked for below must have been read.
  /// Statistics, and the scores of the periods that these days are in.
  Result<void> read_users(std::vector<std::int64_t> users, const std::vector<std::int64_t>& days);
  Result<void> read_holders(const Achievement& achievement, std::vector<std::int64_t> users);
  Result<void> read_usage(Id<PointRule> rule, std::vector<std::int64_t> users);

  [[nodiscard]] Held<UserStats>& stats(std::int64_t user);
  [[nodiscard]] std::int64_t local_day(std::int64_t user, Timestamp at);

  /// A day of the user's streak.
  Result<void> uphold(std::int64_t user, Timestamp at);
  void add_freezes(std::int64_t user, std::int64_t days);
  void set_zone(std::int64_t user, std::optional<std::string> zone);

  /// What a rule gives now, by its cap and cooldown; may be 0. A day is one of the user's streak,
  /// which has been upheld for this: who changes his zone has no second one.
  [[nodiscard]] std::int64_t allowance(const PointRule& rule, std::int64_t user, Timestamp at);
  Result<PointEntry> give(std::int64_t user, std::int64_t points, const Cause& cause);
  /// The exact negative of an entry, which is named by its id, dates and points.
  Result<PointEntry> take_back(const PointEntry& given, const Cause& cause);
  /// A rule's allowance is there again, as if it had not given that: room below the cap, and, when
  /// it was the last that it gave, no cooldown.
  Result<void> give_room(const PointRule& rule, const PointEntry& given);

  /// So many more rows (or fewer) count towards it.
  Result<void> advance(const Achievement& achievement, std::int64_t user, std::int64_t by,
                       const Cause& cause);
  [[nodiscard]] const UserAchievement& holder(const Achievement& achievement, std::int64_t user);

  /// Writes all that has changed.
  Result<void> write();

 private:
  struct Grants {
    std::vector<PointEntry> open;  ///< that are not taken back, the last one last
    bool known = false;            ///< those of before this transaction too
  };
  Held<UserAchievement>& held(const Achievement& achievement, std::int64_t user);
  Result<void> read_scores(LeaderboardPeriod period, std::int64_t start,
                           const std::vector<std::int64_t>& users);
  void add_points(std::int64_t user, std::int64_t points, Timestamp at, std::int64_t day);
  Result<void> enter(PointEntry& entry);
  /// The day that a rule's entry counts for.
  [[nodiscard]] Timestamp allowance_day(std::int64_t user, Timestamp at);
  Result<std::optional<Timestamp>> moment_of(Id<PointEntry> id);
  Result<Grants*> grants_of(const Achievement& achievement, std::int64_t user);
  Result<void> unlock(const Achievement& achievement, UserAchievement& row, const Cause& cause);
  Result<void> lock(const Achievement& achievement, UserAchievement& row, const Cause& cause);
  Result<void> add_day(std::int64_t user, std::int64_t day, StreakDayState state,
                       const std::string& zone, Timestamp at);

  Transaction& tx_;
  Id<Tenant> tenant_;
  std::string zone_;
  std::int64_t closed_day_;
  LocalDays days_;
  std::unordered_map<std::int64_t, Held<UserStats>> stats_;
  std::unordered_map<PairKey, Held<UserAchievement>, PairHash> holders_;
  std::unordered_map<PairKey, Grants, PairHash> grants_;
  std::unordered_map<PairKey, Held<Usage>, PairHash> usage_;
  /// By period and first day, then by user.
  std::unordered_map<PairKey, std::unordered_map<std::int64_t, Held<LeaderboardScore>>, PairHash>
      scores_;
  std::vector<PointEntry> entries_;
  std::vector<StreakDay> streak_days_;
};

/// Sorted, each once.
[[nodiscard]] std::vector<std::int64_t> distinct(std::vector<std::int64_t> values);

/// Calls `f` with parts of the values, of few different sizes, so that statements over `in` lists
/// are few: the last value of a part may be repeated.
template <class T, class F>
[[nodiscard]] Result<void> in_parts(const std::vector<std::int64_t>& values, F f) {
  constexpr std::size_t most = 256;
  for (std::size_t at = 0; at < values.size(); at += most) {
    const std::size_t count = std::min(most, values.size() - at);
    std::size_t size = 1;
    while (size < count) size *= 4;
    std::vector<T> part;
    part.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
      part.push_back(T(values[at + std::min(i, count - 1)]));
    }
    BUREAU_TRY_VOID(f(part));
  }
  return {};
}

/// Inserts the rows that are new and changed, replaces those that are stored and changed.
template <class Key, class T, class Hash>
[[nodiscard]] Result<void> write_held(Transaction& tx,
                                      std::unordered_map<Key, Held<T>, Hash>& rows) {
  std::vector<T> made;
  for (auto& [key, row] : rows) {
    if (!row.changed) continue;
    if (row.stored) {
      BUREAU_TRY_VOID(replace_row(tx, *row.stored, row.now));
    } else {
      made.push_back(row.now);
    }
  }
  return insert_rows(tx, std::span(made));
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
