#pragma once

// One batch of the evaluation: what the journal says, and what follows from it. The inside of
// rewards/.

#include <string>
#include <vector>

#include "bureau/rewards/rewards_agent.hpp"
#include "rewards/criteria.hpp"
#include "rewards/rows.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

/// An achievement with criteria, or a point rule.
struct Criterion {
  std::int64_t id = 0;
  std::int64_t counts_after = 0;
  bool active = true;
  std::optional<PointRule> rule;
  std::optional<Achievement> achievement;
  CompiledCriteria criteria;
};

/// The criteria of a tenant, by id. Those that this program cannot read (a table that it does not
/// have any more) are left out and logged.
[[nodiscard]] Result<std::vector<Criterion>> load_criteria(Reader& reader, const Database& database,
                                                           Id<Tenant> tenant);

/// A change that may make a row count, or no longer.
struct Hit {
  std::int64_t sequence = 0;
  std::int64_t source = 0;
  std::int64_t user = 0;  ///< for whom the row counts now; 0: it does not
  Timestamp at;
  std::uint32_t criterion = 0;  ///< its place
  bool may_begin = false;       ///< it begins to count if it did not
};

/// What a batch is about, as read from a snapshot.
struct Batch {
  std::optional<Cursor> cursor;  ///< none: there is nothing to evaluate
  std::string zone;              ///< the tenant's
  std::vector<Criterion> criteria;
  std::vector<Hit> hits;  ///< in the order of the changes
  std::int64_t changes = 0;
  std::int64_t through = 0;
  std::int64_t head = 0;  ///< the journal's, when it was read
  std::int64_t missed = 0;
  std::int64_t day = 0;  ///< of its changes in the tenant's zone: a batch has but one
  bool drained = false;  ///< nothing more was there
};

/// Reads the next batch. It ends at a midnight of the tenant's zone, so that leaderboards close
/// before what comes after counts.
[[nodiscard]] Result<Batch> read_batch(Reader& reader, Database& database, Id<Tenant> tenant);

/// Writes what follows from it, and how far the evaluation is. A batch that was read before another
/// was written changes nothing, and says that there is more.
[[nodiscard]] Result<RewardsEvaluated> apply_batch(Unit& unit, const Batch& batch);

/// Moves leaderboards that ended on that day or before into snapshots, at most about `limit` lines;
/// false when some are left.
[[nodiscard]] Result<bool> close_boards(Transaction& tx, Id<Tenant> tenant, std::int64_t day,
                                        std::size_t limit);

/// The zone of a tenant; UTC when it is gone.
[[nodiscard]] Result<std::string> zone_of(Reader& reader, Id<Tenant> tenant);

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
