#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/rewards/points.hpp"

BUREAU_BEGIN_NAMESPACE

struct NewPointRule {
  std::string key = {};  ///< [a-z][a-z0-9_-]*, at most 64 bytes
  std::string name = {};
  Criteria criteria = {};
  std::int64_t points = 0;       ///< 1 to 1,000,000
  std::int64_t cap_per_day = 0;  ///< 0: none; else at least `points`
  Duration cooldown{0};
  bool active = true;
  /// Changes that are still in the journal count too; else those from now on. Only of a new one.
  bool history = false;
};

/// The ledger of points of a tenant, with a session's rights. It is written by the evaluation of
/// changes (rewards_agent.hpp), and by hand through here; entries are never changed.
class Points {
 public:
  explicit Points(Scope scope) : rules_(scope), entries_(scope), stats_(scope) {}

  /// A new rule, or the one with that key as it is described now. Errors as Achievements::save().
  Result<PointRule> save_rule(const NewPointRule& given) const;
  Result<std::vector<PointRule>> rules(const Query& query) const;

  /// What his entries come to. Not an error: he has none yet. `not_found` for a user whom the
  /// session does not see.
  Result<UserStats> of(Id<User> user) const;
  /// The newest first.
  Result<std::vector<PointEntry>> entries(Id<User> user, std::uint64_t limit = 100) const;

  // By hand, for managers (`forbidden` otherwise).
  /// 1 to 1,000,000 points; `reason` must say something; `invalid` unless he is an active user.
  Result<PointEntry> give(Id<User> user, std::int64_t points, std::string_view reason) const;
  /// Takes back exactly what an entry gave that was given by hand. `conflict` when that was done
  /// already, `invalid` for an entry of a rule or an achievement: those follow their sources.
  Result<PointEntry> reverse(Id<PointEntry> entry, std::string_view reason) const;

 private:
  Repository<PointRule> rules_;
  Repository<PointEntry> entries_;
  Repository<UserStats> stats_;
};

/// How long a user's days follow one another. A day is upheld by whatever counts for him (by a
/// point rule or towards an achievement, whether or not it gave anything), or by uphold().
///
/// A day is the date that his zone shows when it is written. A moment is a new day only if it is
/// one both in his zone now and in the zone of his last day, and a day was missed only if both
/// passed it over: moving to another zone neither counts a day twice nor breaks a streak.
class Streaks {
 public:
  explicit Streaks(Scope scope) : days_(scope), stats_(scope) {}

  struct Streak {
    std::int64_t days = 0;     ///< 0 once a day was missed
    std::int64_t longest = 0;  ///< ever
    std::int64_t freezes = 0;
    bool today = false;  ///< today counts already
  };
  /// As of now.
  Result<Streak> of(Id<User> user) const;
  /// The newest first.
  Result<std::vector<StreakDay>> days(Id<User> user, std::uint64_t limit = 100) const;

  /// Today counts. For oneself; managers for all (`forbidden` otherwise).
  Result<Streak> uphold(Id<User> user) const;
  /// The zone by which his days go from now on; none: the tenant's. As uphold(); `invalid` for a
  /// zone that this machine does not know.
  Result<void> set_zone(Id<User> user, std::optional<std::string> zone) const;
  /// So many more days may be missed, each standing as frozen instead; he has at most 100. For
  /// managers.
  Result<void> add_freezes(Id<User> user, std::int64_t days) const;

 private:
  Repository<StreakDay> days_;
  Repository<UserStats> stats_;
};

BUREAU_END_NAMESPACE
