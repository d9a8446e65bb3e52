#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"

BUREAU_BEGIN_NAMESPACE

/// An agent that an office means to have. That it is configured says nothing of whether it works:
/// it is operational while a live node runs an agent of that name (list_agents()), and nothing
/// stores that.
struct ConfiguredAgent {
  Id<ConfiguredAgent> id;
  Id<Tenant> tenant;
  std::string name;  ///< unique within the tenant; what Agent::name() says of one that runs
  std::string squad;
  std::string role;
  std::vector<std::string> kinds;  ///< of task that it is meant to do
  Json config;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

enum class InteractionType { request, response, notification, alert };
template <>
inline constexpr auto names<InteractionType> = enum_names("request", "response", "notification",
                                                          "alert");

/// What one agent said to another.
struct AgentInteraction {
  Id<AgentInteraction> id;
  Id<Tenant> tenant;
  Id<ConfiguredAgent> from, to;
  InteractionType type = InteractionType::notification;
  std::optional<Id<AgentInteraction>> in_reply_to;  ///< of a response, and only of one
  std::string subject;
  Json body;
  Timestamp created_at;
};

enum class ConnectionType { neural, data, command, sync };
template <>
inline constexpr auto names<ConnectionType> = enum_names("neural", "data", "command", "sync");

enum class ConnectionStatus { active, degraded, inactive, failed };
template <>
inline constexpr auto names<ConnectionStatus> = enum_names("active", "degraded", "inactive",
                                                           "failed");

struct ConnectionTransition {
  ConnectionStatus from, to;
};
/// Every legal edge; any other is `conflict`. What was given up or failed may be made anew, because
/// there is one connection for a pair.
inline constexpr std::array connection_transitions{
    ConnectionTransition{ConnectionStatus::active, ConnectionStatus::degraded},
    ConnectionTransition{ConnectionStatus::active, ConnectionStatus::inactive},
    ConnectionTransition{ConnectionStatus::active, ConnectionStatus::failed},
    ConnectionTransition{ConnectionStatus::degraded, ConnectionStatus::active},
    ConnectionTransition{ConnectionStatus::degraded, ConnectionStatus::inactive},
    ConnectionTransition{ConnectionStatus::degraded, ConnectionStatus::failed},
    ConnectionTransition{ConnectionStatus::inactive, ConnectionStatus::active},
    ConnectionTransition{ConnectionStatus::failed, ConnectionStatus::active},
};
[[nodiscard]] constexpr bool may_become(ConnectionStatus from, ConnectionStatus to) {
  for (const auto& t : connection_transitions) {
    if (t.from == from && t.to == to) return true;
  }
  return false;
}

/// That two agents are connected; `a` is the one with the lower id, so that a pair has one row.
struct AgentConnection {
  Id<AgentConnection> id;
  Id<Tenant> tenant;
  Id<ConfiguredAgent> a, b;
  ConnectionType type = ConnectionType::data;
  ConnectionStatus status = ConnectionStatus::active;
  double strength = 1;  ///< 0 to 1
  std::optional<Duration> latency;
  std::optional<std::int64_t> bandwidth_kbps;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

enum class NodeType { agent, hub, gateway, store };
template <>
inline constexpr auto names<NodeType> = enum_names("agent", "hub", "gateway", "store");

enum class NodeStatus { active, inactive, degraded, maintenance };
template <>
inline constexpr auto names<NodeStatus> = enum_names("active", "inactive", "degraded",
                                                     "maintenance");

/// A place in a picture of the network. How many connections it has is derived: degree().
struct NetworkNode {
  Id<NetworkNode> id;
  Id<Tenant> tenant;
  std::string name;
  NodeType node_type = NodeType::agent;
  std::optional<Id<ConfiguredAgent>> agent;  ///< whom it stands for; a node of type agent has one
  double x = 0, y = 0, z = 0;
  double size = 1;         ///< above 0
  std::string color = "";  ///< "#rrggbb", or empty: whoever draws it chooses
  NodeStatus status = NodeStatus::active;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

template <>
inline constexpr auto schema<ConfiguredAgent> = table(
    "configured_agents", "cag", journal::full, column("id", &ConfiguredAgent::id),
    column("tenant", &ConfiguredAgent::tenant),
    column("name", &ConfiguredAgent::name, max_length(100)),
    column("squad", &ConfiguredAgent::squad, max_length(100)),
    column("role", &ConfiguredAgent::role, max_length(100)),
    column("kinds", &ConfiguredAgent::kinds), column("config", &ConfiguredAgent::config),
    column("version", &ConfiguredAgent::version),
    column("created_at", &ConfiguredAgent::created_at),
    column("updated_at", &ConfiguredAgent::updated_at), unique_index("name", "tenant", "name"));
template <>
inline constexpr auto schema<AgentInteraction> =
    table("agent_interactions", "ait", journal::after, column("id", &AgentInteraction::id),
          column("tenant", &AgentInteraction::tenant),
          column("from_agent", &AgentInteraction::from, immutable),
          column("to_agent", &AgentInteraction::to, immutable),
          column("type", &AgentInteraction::type, immutable),
          column("in_reply_to", &AgentInteraction::in_reply_to, immutable),
          column("subject", &AgentInteraction::subject, max_length(500), immutable),
          column("body", &AgentInteraction::body, immutable),
          column("created_at", &AgentInteraction::created_at), index("to", "to_agent"),
          index("from", "from_agent"), index("in_reply_to", "in_reply_to"));
template <>
inline constexpr auto schema<AgentConnection> = table(
    "agent_connections", "acn", journal::full, column("id", &AgentConnection::id),
    column("tenant", &AgentConnection::tenant), column("a", &AgentConnection::a, immutable),
    column("b", &AgentConnection::b, immutable), column("type", &AgentConnection::type),
    column("status", &AgentConnection::status), column("strength", &AgentConnection::strength),
    column("latency", &AgentConnection::latency),
    column("bandwidth_kbps", &AgentConnection::bandwidth_kbps),
    column("version", &AgentConnection::version),
    column("created_at", &AgentConnection::created_at),
    column("updated_at", &AgentConnection::updated_at), unique_index("pair", "a", "b"),
    index("b", "b"));
template <>
inline constexpr auto schema<NetworkNode> = table(
    "network_nodes", "nnd", journal::full, column("id", &NetworkNode::id),
    column("tenant", &NetworkNode::tenant), column("name", &NetworkNode::name, max_length(100)),
    column("node_type", &NetworkNode::node_type), column("agent", &NetworkNode::agent),
    column("x", &NetworkNode::x), column("y", &NetworkNode::y), column("z", &NetworkNode::z),
    column("size", &NetworkNode::size), column("color", &NetworkNode::color, max_length(7)),
    column("status", &NetworkNode::status), column("version", &NetworkNode::version),
    column("created_at", &NetworkNode::created_at), column("updated_at", &NetworkNode::updated_at),
    unique_index("name", "tenant", "name"));

struct NewInteraction {
  Id<ConfiguredAgent> from, to;
  InteractionType type = InteractionType::notification;
  std::optional<Id<AgentInteraction>> in_reply_to = {};
  std::string subject = {};
  Json body = {};
};

struct NewConnection {
  Id<ConfiguredAgent> a, b;
  ConnectionType type = ConnectionType::data;
  double strength = 1;
  std::optional<Duration> latency = {};
  std::optional<std::int64_t> bandwidth_kbps = {};
};

/// What is between the agents of a tenant, with a session's rights.
class AgentNetwork {
 public:
  explicit AgentNetwork(const Scope& scope)
      : interactions_(scope), connections_(scope), nodes_(scope) {}

  /// `invalid` to oneself, for a response without its request, one to something that is no request
  /// or was not asked of who responds by whom he responds to, and a request for anything but a
  /// response; `not_found` for what is not there.
  Result<AgentInteraction> record(const NewInteraction& interaction) const;
  /// The responses to a request, the oldest first.
  Result<std::vector<AgentInteraction>> responses(Id<AgentInteraction> request) const;

  /// `exists` when the two are connected, in whichever order they are named; `invalid` for one with
  /// itself, or for figures out of range.
  Result<AgentConnection> connect(const NewConnection& connection) const;
  /// `conflict` for an illegal transition. Not an error: it has that status.
  Result<AgentConnection> set_status(Id<AgentConnection> connection, ConnectionStatus status) const;

  /// Puts a node into the picture, or what is given in place of the one of that name. `invalid`
  /// names what is out of range.
  Result<NetworkNode> place(NetworkNode node) const;
  /// How many connections its agent has, of those in sight; 0 for a node that stands for none.
  Result<std::uint64_t> degree(Id<NetworkNode> node) const;

  [[nodiscard]] const Repository<AgentInteraction>& interactions() const { return interactions_; }
  [[nodiscard]] const Repository<AgentConnection>& connections() const { return connections_; }
  [[nodiscard]] const Repository<NetworkNode>& nodes() const { return nodes_; }

 private:
  Repository<AgentInteraction> interactions_;
  Repository<AgentConnection> connections_;
  Repository<NetworkNode> nodes_;
};

/// The tables above, for a catalog, and who may see and change them: managers and admins keep them,
/// agents (people and AI) see them, AI agents record what they say and whom they are connected
/// with.
Result<void> add_network_tables(Catalog& catalog);
Result<void> add_network_policies(Policies& policies);

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::ConfiguredAgent);
BUREAU_DECLARE_ENTITY(bureau::AgentInteraction);
BUREAU_DECLARE_ENTITY(bureau::AgentConnection);
BUREAU_DECLARE_ENTITY(bureau::NetworkNode);
