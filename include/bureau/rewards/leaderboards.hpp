#pragma once

#include <optional>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/core/civil.hpp"
#include "bureau/rewards/points.hpp"

BUREAU_BEGIN_NAMESPACE

struct LeaderboardLine {
  std::int64_t rank = 0;  ///< 1, 2, 2, 4: as many as have more points, and one
  Id<User> user;
  std::int64_t points = 0;
  Timestamp reached_at;
};

struct Leaderboard {
  LeaderboardPeriod period = LeaderboardPeriod::all_time;
  CivilDate start;        ///< the first day in the tenant's zone; of all time: 1970-01-01
  CivilDate end;          ///< the day after the last; of all time: 9999-12-31
  bool frozen = false;    ///< the period is over, and nothing changes the board any more
  std::size_t users = 0;  ///< how many have points, shown or not
  std::vector<LeaderboardLine> lines;
};

/// Who has how many points, in a period. Periods are those of the tenant's zone; weeks begin on
/// Monday. An entry counts in the periods that its `day` is in, a reversal in those of what it
/// takes back, as long as they are open. Users without points are not listed. Ties stand in the
/// order in which they were reached, then by id.
class Leaderboards {
 public:
  explicit Leaderboards(Scope scope) : scope_(std::move(scope)) {}

  /// The board of the period that `day` is in; none: that of now. `invalid` for a day that is none.
  Result<Leaderboard> board(LeaderboardPeriod period, std::optional<CivilDate> day = {},
                            std::uint64_t limit = 100) const;

 private:
  Scope scope_;
};

namespace rewards {

/// The days of a period, first and end, around a day. REQUIRES: not all_time, a valid day.
struct PeriodDays {
  CivilDate start, end;
};
[[nodiscard]] PeriodDays period_around(LeaderboardPeriod period, CivilDate day);

}  // namespace rewards

BUREAU_END_NAMESPACE
