#pragma once

// The four jobs, apart from the agent that does them.

#include <map>

#include "bureau/work/housekeeping.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What each agent of the tenant does at this moment, by name. The housekeeping's own tasks make
/// nobody busy: its look would always find itself at work.
using Activities = std::map<std::string, AgentActivity, std::less<>>;
[[nodiscard]] Result<Activities> look_at_agents(Database& database, Id<Tenant> tenant);
/// Notes it in the system's unit.
[[nodiscard]] Result<HeartbeatResult> note_activities(Unit& unit, const Activities& activities,
                                                      Duration gap);

/// What stands in the tenant's queues, and how long the oldest task of the kinds that nobody does
/// has waited.
struct Backlog {
  ProcessorResult result;
  struct Unattended {
    std::string kind;
    Duration waits{};
  };
  std::vector<Unattended> unattended;
};
[[nodiscard]] Result<Backlog> look_at_backlog(Database& database, Id<Tenant> tenant);

/// `invalid` names what is out of range.
[[nodiscard]] Result<void> check_cleanup(const CleanupPayload& payload);
[[nodiscard]] Result<void> check_history(const History& history);
/// Which finished tasks of the tenant are to go. REQUIRES: check_cleanup().
[[nodiscard]] Predicate finished_before(const CleanupPayload& payload, Id<Tenant> tenant,
                                        Timestamp now);
/// The fewest days that it keeps anything: what was made later need not be looked at.
[[nodiscard]] std::int64_t fewest_days(const CleanupPayload& payload);
/// Removes the tenant's rows of the table for which `where` holds, that were made before `before`:
/// whole months of them where the storage can, the others at most `batch` in a write; `goes_on` is
/// asked before each. Returns how many went; `cancelled` when it was not to go on.
struct Removal {
  const TableInfo& table;
  Predicate where;
  Timestamp before;
  std::uint64_t batch = 0;
};
[[nodiscard]] Result<std::int64_t> remove_old(Database& database, const Attribution& attribution,
                                              const Removal& removal, FunctionRef<bool()> goes_on);
/// The library's own histories.
[[nodiscard]] std::vector<History> own_histories();

}  // namespace detail
BUREAU_END_NAMESPACE
