#include "bureau/rewards/leaderboards.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "rewards/batch.hpp"
#include "rewards/desk.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace rewards::inside;

namespace {

using S = LeaderboardScore;
using L = LeaderboardSnapshot;

/// What is not closed yet: from an index alone, sorted here, since no index has it in this order.
Result<std::vector<LeaderboardLine>> open_lines(const Scope& scope, const TableInfo& table,
                                                const Predicate& where, const ColumnInfo& points,
                                                const ColumnInfo& reached_at,
                                                const ColumnInfo& user) {
  std::vector<LeaderboardLine> lines;
  Aggregate aggregate;
  aggregate.where = where;
  aggregate.group_by = {&points, &reached_at, &user};
  BUREAU_TRY_VOID(
      Rows(scope, table).aggregate(aggregate, [&](std::span<const Value> row) -> Result<bool> {
        lines.push_back({0, Id<User>(row[2].as_integer()), row[0].as_integer(),
                         Timestamp::from_micros(row[1].as_integer())});
        return true;
      }));
  // They come by points, ascending: each run of equal points is in the right order already.
  std::reverse(lines.begin(), lines.end());
  for (auto run = lines.begin(); run != lines.end();) {
    auto end = run;
    while (end != lines.end() && end->points == run->points) ++end;
    std::reverse(run, end);
    run = end;
  }
  return lines;
}

Result<void> read_closed(const Scope& scope, const Predicate& where, std::uint64_t limit,
                         Leaderboard& board) {
  BUREAU_TRY(const std::uint64_t users, Repository<L>{scope}.count(where));
  board.users = users;
  if (users == 0 || limit == 0) return {};
  Query query;
  query.where = where;
  query.order = {{&col(&L::rank).info(), false}};
  query.limit = limit;
  BUREAU_TRY(const auto rows, Repository<L>{scope}.list(query));
  for (const L& row : rows) {
    board.lines.push_back({row.rank, row.user, row.points, row.reached_at});
  }
  return {};
}

/// Those that are still open stand behind those that were closed already.
void rank(std::vector<LeaderboardLine> lines, std::int64_t last_rank, std::int64_t last_points,
          std::uint64_t limit, Leaderboard& board) {
  for (LeaderboardLine& line : lines) {
    const auto place = static_cast<std::int64_t>(++board.users);
    if (last_rank == 0 || line.points != last_points) last_rank = place;
    line.rank = last_rank;
    last_points = line.points;
    if (board.lines.size() < limit) board.lines.push_back(line);
  }
}

Result<void> read_period(const Scope& scope, Reader& reader, std::uint64_t limit, bool is_over,
                         Leaderboard& board) {
  const Timestamp start = date_of_days(board.start.days());
  const Predicate closed = col(&L::period) == board.period && col(&L::start) == start;
  const Predicate open = col(&S::period) == board.period && col(&S::start) == start &&
                         col(&S::points) > std::int64_t{0};
  BUREAU_TRY(auto lines, open_lines(scope, table_of<S>(), open, col(&S::points).info(),
                                    col(&S::reached_at).info(), col(&S::user).info()));
  // While a large board is being closed, its first lines are closed and the rest is open.
  const bool in_between = !lines.empty();
  BUREAU_TRY_VOID(read_closed(scope, closed, limit, board));
  std::int64_t last_rank = 0, last_points = 0;
  if (in_between && board.users > 0) {
    Query last;
    last.where = closed;
    last.order = {{&col(&L::rank).info(), true}};
    last.limit = 1;
    BUREAU_TRY(const auto rows, Repository<L>{scope}.list(last));
    if (!rows.empty()) {
      last_rank = rows.front().rank;
      last_points = rows.front().points;
    }
  }
  rank(std::move(lines), last_rank, last_points, limit, board);
  BUREAU_TRY(const auto cursor,
             row_with_id<Cursor>(reader, scope.session().principal().tenant.value));
  board.frozen = is_over && !in_between &&
                 (board.users > 0 || (cursor && days_of_date(cursor->day) >= board.end.days()));
  return {};
}

}  // namespace

Result<Leaderboard> Leaderboards::board(LeaderboardPeriod period, std::optional<CivilDate> day,
                                        std::uint64_t limit) const {
  if (day && (!day->is_valid() || day->year < 1970 || day->year > 9998)) {
    return fail(Code::invalid,
                fmt::format("day: {}-{}-{} is no day of the years 1970 to 9998", day->year,
                            day->month, day->day),
                "day");
  }
  Leaderboard board;
  BUREAU_TRY_VOID(on_snapshot(scope_, [&](const Scope& scope) -> Result<void> {
    board = {};
    board.period = period;
    return scope.read([&](Reader& reader) -> Result<void> {
      const Session& session = scope.session();
      BUREAU_TRY(const std::string zone, zone_of(reader, session.principal().tenant));
      const Timestamp now =
          scope.unit() != nullptr ? scope.unit()->now() : session.database().clock().now();
      const auto today = static_cast<std::int32_t>(LocalDays().day(zone, now));
      const auto around = rewards::period_around(period, day.value_or(CivilDate::from_days(today)));
      board.start = around.start;
      board.end = around.end;
      if (period != LeaderboardPeriod::all_time) {
        return read_period(scope, reader, limit, around.end.days() <= today, board);
      }
      BUREAU_TRY(auto lines,
                 open_lines(scope, table_of<UserStats>(), col(&UserStats::points) > std::int64_t{0},
                            col(&UserStats::points).info(), col(&UserStats::points_at).info(),
                            col(&UserStats::user).info()));
      rank(std::move(lines), 0, 0, limit, board);
      return {};
    });
  }));
  return board;
}

BUREAU_END_NAMESPACE
