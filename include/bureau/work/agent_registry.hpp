#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bureau/access/identity.hpp"
#include "bureau/store/database.hpp"

BUREAU_BEGIN_NAMESPACE

/// That a node runs an agent. Of no tenant; gone with the node, so it is no journalled state.
struct AgentPresence {
  Id<AgentPresence> id;
  std::string name;
  std::vector<std::string> kinds;
  std::int64_t node = -1;
  std::int64_t generation = 0;
  Timestamp started_at;
};
template <>
inline constexpr auto schema<AgentPresence> = table(
    "agents", "agt", journal::none, column("id", &AgentPresence::id),
    column("name", &AgentPresence::name, max_length(100)), column("kinds", &AgentPresence::kinds),
    column("node", &AgentPresence::node), column("generation", &AgentPresence::generation),
    column("started_at", &AgentPresence::started_at), unique_index("place", "name", "node"));

/// What can be said of an agent from outside its process: all of it derived, nothing stored.
struct AgentInfo {
  std::string name;
  std::string squad, role;  ///< as the roster says
  bool configured = false;  ///< the tenant's roster has it
  std::vector<std::string> kinds;
  std::size_t nodes = 0;                               ///< live ones that run it
  std::uint64_t running = 0, completed = 0, dead = 0;  ///< its tasks in the tenant
  /// completed / (completed + dead); absent when there are none.
  [[nodiscard]] std::optional<double> efficiency() const;
  [[nodiscard]] bool operational() const { return nodes > 0; }
};

/// Every agent that the tenant has configured or that ever ran in this office, by name, with its
/// figures for the tenant. Policies do not apply: it is the host that asks.
[[nodiscard]] Result<std::vector<AgentInfo>> list_agents(Database& database, Id<Tenant> tenant);

/// Whether an agent that a live node runs has said that it does this kind.
[[nodiscard]] Result<bool> is_done_by_a_node(Database& database, Reader& reader,
                                             std::string_view kind);

/// Writes that this node runs the agents; forgets what this node's place said before.
Result<void> announce_agents(Database& database, const std::vector<AgentPresence>& agents);

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::AgentPresence);
