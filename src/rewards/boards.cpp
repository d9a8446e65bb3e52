// Leaderboards whose period is over become snapshots.

#include "bureau/rewards/leaderboards.hpp"
#include "rewards/batch.hpp"
#include "rewards/books.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards {

PeriodDays period_around(LeaderboardPeriod period, CivilDate day) {
  const std::int32_t number = day.days();
  const auto days = [](std::int32_t from, std::int32_t to) {
    return PeriodDays{CivilDate::from_days(from), CivilDate::from_days(to)};
  };
  switch (period) {
    case LeaderboardPeriod::day:
      return days(number, number + 1);
    case LeaderboardPeriod::week: {
      const std::int32_t since_monday = ((number + 3) % 7 + 7) % 7;  // 1970-01-01 was a Thursday
      return days(number - since_monday, number - since_monday + 7);
    }
    case LeaderboardPeriod::month:
      return {{day.year, day.month, 1},
              {day.month == 12 ? day.year + 1 : day.year, day.month == 12 ? 1 : day.month + 1, 1}};
    case LeaderboardPeriod::year:
      return {{day.year, 1, 1}, {day.year + 1, 1, 1}};
    case LeaderboardPeriod::all_time:
      break;
  }
  return {{1970, 1, 1}, {9999, 12, 31}};
}

namespace inside {

namespace {

using S = LeaderboardScore;
using L = LeaderboardSnapshot;

/// The lines that were written already: how many, and the last.
struct Written {
  std::int64_t lines = 0, rank = 0, points = 0;
};

Result<Written> written_of(Reader& reader, const S& board) {
  Written written;
  const Predicate where = col(&L::tenant) == board.tenant && col(&L::period) == board.period &&
                          col(&L::start) == board.start;
  Aggregate count;
  count.table = &table_of<L>();
  count.where = where;
  count.measures = {{Aggregate::Function::count, nullptr},
                    {Aggregate::Function::maximum, &col(&L::rank).info()},
                    {Aggregate::Function::minimum, &col(&L::points).info()}};
  BUREAU_TRY_VOID(reader.aggregate(count, [&](std::span<const Value> row) -> Result<bool> {
    written.lines = row[0].as_integer();
    if (written.lines > 0) {
      written.rank = row[1].as_integer();
      written.points = row[2].as_integer();
    }
    return true;
  }));
  return written;
}

/// Moves the best lines of one board; returns how many.
Result<std::size_t> move_lines(Transaction& tx, const S& board, std::size_t limit) {
  BUREAU_TRY(auto scores, rows_of<S>(tx.reader(), select<S>()
                                                      .where(col(&S::tenant) == board.tenant &&
                                                             col(&S::period) == board.period &&
                                                             col(&S::start) == board.start)
                                                      .order_by(col(&S::points), true)
                                                      .order_by(col(&S::reached_at))
                                                      .order_by(col(&S::user))
                                                      .limit(limit)));
  BUREAU_TRY(Written written, written_of(tx.reader(), board));
  std::vector<L> lines;
  std::vector<std::int64_t> moved;
  for (const S& score : scores) {
    moved.push_back(score.id.value);
    if (score.points <= 0) continue;
    ++written.lines;
    if (written.rank == 0 || score.points != written.points) written.rank = written.lines;
    written.points = score.points;
    L& line = lines.emplace_back();
    line.tenant = score.tenant;
    line.period = score.period;
    line.start = score.start;
    line.user = score.user;
    line.rank = written.rank;
    line.points = score.points;
    line.reached_at = score.reached_at;
    line.closed_at = tx.now();
  }
  BUREAU_TRY_VOID(insert_rows(tx, std::span(lines)));
  BUREAU_TRY_VOID(in_parts<Id<S>>(moved, [&](const std::vector<Id<S>>& part) -> Result<void> {
    BUREAU_TRY_VOID(tx.remove(select<S>().where(col(&S::id).in(part))));
    return {};
  }));
  return moved.size();
}

}  // namespace

Result<bool> close_boards(Transaction& tx, Id<Tenant> tenant, std::int64_t day, std::size_t limit) {
  std::size_t moved = 0;
  for (const LeaderboardPeriod period : {LeaderboardPeriod::day, LeaderboardPeriod::week,
                                         LeaderboardPeriod::month, LeaderboardPeriod::year}) {
    const Timestamp current = date_of_days(period_start(period, day));
    for (;;) {
      BUREAU_TRY(auto oldest, rows_of<S>(tx.reader(), select<S>()
                                                          .where(col(&S::tenant) == tenant &&
                                                                 col(&S::period) == period &&
                                                                 col(&S::start) < current)
                                                          .order_by(col(&S::start))
                                                          .limit(1)));
      if (oldest.empty()) break;
      if (moved >= limit) return false;
      BUREAU_TRY(const std::size_t some, move_lines(tx, oldest.front(), limit - moved));
      moved += some;
    }
  }
  return true;
}

}  // namespace inside
}  // namespace rewards
BUREAU_END_NAMESPACE
