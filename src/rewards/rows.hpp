#pragma once

// The rows that the evaluation keeps for itself, and how it writes many: the inside of rewards/.

#include <optional>
#include <vector>

#include "bureau/rewards/points.hpp"
#include "bureau/store/database.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

/// A row that counts: for which criterion, for whom, and what it gave.
struct Credit {
  Id<Credit> id;
  Id<Tenant> tenant;
  std::int64_t origin = 0;  ///< the id of the achievement or the point rule
  std::int64_t source = 0;  ///< the id of the row
  Id<User> user;
  std::int64_t points = 0;  ///< that it gave; 0: the cap, the cooldown, or an achievement
  std::optional<Id<PointEntry>> entry;
  Timestamp local_date, day;  ///< of that entry
};

/// What a rule with a cap or a cooldown gave a user last.
struct Usage {
  Id<Usage> id;
  Id<Tenant> tenant;
  Id<PointRule> rule;
  Id<User> user;
  Timestamp local_date;
  std::int64_t given = 0;  ///< on that date
  Timestamp last_at;
};

/// How far a tenant's evaluation is. The id is the tenant's.
struct Cursor {
  Id<Cursor> id;
  Id<Tenant> tenant;
  std::int64_t position = 0;    ///< the journal number through which all is counted
  std::int64_t missed = 0;      ///< changes that the journal no longer had when their turn came
  Timestamp day;                ///< leaderboards that ended on it or before are closed
  std::int64_t generation = 0;  ///< +1 whenever criteria are saved
};

}  // namespace rewards::inside

template <>
inline constexpr auto schema<rewards::inside::Credit> =
    table("reward_credits", "rcr", journal::after, column("id", &rewards::inside::Credit::id),
          column("tenant", &rewards::inside::Credit::tenant),
          column("origin", &rewards::inside::Credit::origin),
          column("source", &rewards::inside::Credit::source),
          column("user", &rewards::inside::Credit::user),
          column("points", &rewards::inside::Credit::points),
          column("entry", &rewards::inside::Credit::entry),
          column("local_date", &rewards::inside::Credit::local_date),
          column("day", &rewards::inside::Credit::day), unique_index("source", "origin", "source"));
template <>
inline constexpr auto schema<rewards::inside::Usage> = table(
    "point_usage", "pus", journal::after, column("id", &rewards::inside::Usage::id),
    column("tenant", &rewards::inside::Usage::tenant),
    column("rule", &rewards::inside::Usage::rule), column("user", &rewards::inside::Usage::user),
    column("local_date", &rewards::inside::Usage::local_date),
    column("given", &rewards::inside::Usage::given),
    column("last_at", &rewards::inside::Usage::last_at), unique_index("of", "rule", "user"));
template <>
inline constexpr auto schema<rewards::inside::Cursor> =
    table("reward_cursors", "rcu", journal::after, column("id", &rewards::inside::Cursor::id),
          column("tenant", &rewards::inside::Cursor::tenant),
          column("position", &rewards::inside::Cursor::position),
          column("missed", &rewards::inside::Cursor::missed),
          column("day", &rewards::inside::Cursor::day),
          column("generation", &rewards::inside::Cursor::generation));

namespace rewards::inside {

template <Entity T>
[[nodiscard]] Result<std::vector<T>> rows_of(Reader& reader, const Select& which) {
  std::vector<T> rows;
  BUREAU_TRY_VOID(reader.scan(which, [&](std::span<const Value> values) -> Result<bool> {
    from_values(values, rows.emplace_back());
    return true;
  }));
  return rows;
}

template <Entity T>
[[nodiscard]] Result<std::optional<T>> row_with_id(Reader& reader, std::int64_t id) {
  std::optional<T> row;
  BUREAU_TRY_VOID(
      reader.find(table_of<T>(), id, [&](std::span<const Value> values) -> Result<bool> {
        from_values(values, row.emplace());
        return true;
      }));
  return row;
}

/// Inserts rows as they are; those without an id are given one.
template <Entity T>
[[nodiscard]] Result<void> insert_rows(Transaction& tx, std::span<T> rows) {
  if (rows.empty()) return {};
  const std::size_t width = table_of<T>().width();
  std::vector<Value> values(rows.size() * width);
  bureau::detail::Scratch scratch;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].id) {
      BUREAU_TRY(rows[i].id.value, tx.next_id());
    }
    to_values(rows[i], std::span(values).subspan(i * width, width), scratch);
  }
  return tx.insert(table_of<T>(), values);
}

/// Writes a row over what was read of it.
template <Entity T>
[[nodiscard]] Result<void> replace_row(Transaction& tx, const T& before, const T& after) {
  const std::size_t width = table_of<T>().width();
  std::vector<Value> values(2 * width);
  bureau::detail::Scratch scratch;
  const std::span<Value> all(values);
  to_values(before, all.first(width), scratch);
  to_values(after, all.subspan(width), scratch);
  return tx.replace(table_of<T>(), all.first(width), all.subspan(width));
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
