#pragma once

#include <string>

#include "bureau/access/identity.hpp"
#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE

/// What an agent was found to do. Derived at each look from what is there, never set by hand.
enum class AgentActivity {
  offline,  ///< no live node runs it
  idle,     ///< a live node runs it, and it holds no task
  busy,     ///< it holds tasks
};
template <>
inline constexpr auto names<AgentActivity> = enum_names("offline", "idle", "busy");

/// A stretch of looks, one after the other, that found an agent doing the same: a time series in
/// which what stays the same is one row, however often it was looked at. Where nobody looked for
/// long, one stretch ends and another begins, and between the two nothing is known. Not in the
/// journal: a heartbeat is liveness.
struct AgentHeartbeat {
  Id<AgentHeartbeat> id;
  Id<Tenant> tenant;
  std::string agent;  ///< its name, as the roster or the running agent has it
  AgentActivity activity = AgentActivity::offline;
  Timestamp seen_from, seen_until;  ///< the first and the last look
  std::int64_t looks = 1;
};

template <>
inline constexpr auto schema<AgentHeartbeat> = table(
    "agent_heartbeats", "ahb", journal::none, column("id", &AgentHeartbeat::id),
    column("tenant", &AgentHeartbeat::tenant),
    column("agent", &AgentHeartbeat::agent, max_length(100)),
    column("activity", &AgentHeartbeat::activity), column("seen_from", &AgentHeartbeat::seen_from),
    column("seen_until", &AgentHeartbeat::seen_until), column("looks", &AgentHeartbeat::looks),
    index("last", "tenant", "seen_until"), index("agent", "tenant", "agent", "seen_from"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::AgentHeartbeat);
