#include "bureau/work/agent_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "access/library_rows.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

template <class E>
std::string_view name_of(E value) {
  return names<E>[static_cast<std::size_t>(value)];
}

std::string name_of(Id<ConfiguredAgent> agent) {
  return id::to_text(schema<ConfiguredAgent>.prefix, agent.value);
}

tl::unexpected<Error> refuse(const char* field, const std::string& rule) {
  return fail(Code::invalid, fmt::format("{}: {}", field, rule), field);
}

Result<void> check_reply(const Repository<AgentInteraction>& interactions,
                         const NewInteraction& given) {
  const bool response = given.type == InteractionType::response;
  if (!response && given.in_reply_to) {
    return refuse("in_reply_to", fmt::format("a {} answers nothing; only a response has a request",
                                             name_of(given.type)));
  }
  if (!response) return {};
  if (!given.in_reply_to) return refuse("in_reply_to", "a response has its request; none is given");
  BUREAU_TRY(const AgentInteraction request, interactions.find(*given.in_reply_to));
  if (request.type != InteractionType::request) {
    return refuse("in_reply_to", fmt::format("that is a {}, not a request", name_of(request.type)));
  }
  if (request.from == given.to && request.to == given.from) return {};
  return refuse("in_reply_to", fmt::format("that was asked of {} by {}; the response goes back",
                                           name_of(request.to), name_of(request.from)));
}

Result<void> check_connection(const NewConnection& given) {
  if (given.a == given.b) {
    return refuse("b",
                  fmt::format("{} with itself; a connection is between two", name_of(given.a)));
  }
  if (!(given.strength >= 0 && given.strength <= 1)) {
    return refuse("strength", fmt::format("{} is not between 0 and 1", given.strength));
  }
  if (given.latency && given.latency->count() < 0) {
    return refuse("latency",
                  fmt::format("{} microseconds; it must be at least 0", given.latency->count()));
  }
  if (given.bandwidth_kbps && *given.bandwidth_kbps < 0) {
    return refuse("bandwidth_kbps",
                  fmt::format("{}; it must be at least 0", *given.bandwidth_kbps));
  }
  return {};
}

bool is_color(std::string_view text) {
  return text.size() == 7 && text[0] == '#' &&
         text.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string_view::npos;
}

Result<void> check_node(const NetworkNode& node) {
  if (node.name.empty()) return refuse("name", "a node needs one");
  if (node.node_type == NodeType::agent && !node.agent) {
    return refuse("agent", "none is given; a node of type agent stands for one");
  }
  for (const auto& [field, value] :
       {std::pair("x", node.x), std::pair("y", node.y), std::pair("z", node.z)}) {
    if (!std::isfinite(value)) return refuse(field, "it is no finite number");
  }
  if (!std::isfinite(node.size) || node.size <= 0) {
    return refuse("size", fmt::format("{}; it must be above 0", node.size));
  }
  if (node.color.empty() || is_color(node.color)) return {};
  return refuse("color", "it is not of the form #rrggbb");
}

}  // namespace

Result<AgentInteraction> AgentNetwork::record(const NewInteraction& given) const {
  if (given.from == given.to) {
    return refuse("to", fmt::format("{} speaks to itself; an interaction is between two",
                                    name_of(given.from)));
  }
  return interactions_.rows().scope().write([&](Unit& unit) -> Result<AgentInteraction> {
    const Repository<AgentInteraction> interactions{Scope(unit)};
    BUREAU_TRY_VOID(check_reply(interactions, given));
    AgentInteraction row;
    row.from = given.from;
    row.to = given.to;
    row.type = given.type;
    row.in_reply_to = given.in_reply_to;
    row.subject = given.subject;
    row.body = given.body;
    return interactions.insert(std::move(row));
  });
}

Result<std::vector<AgentInteraction>> AgentNetwork::responses(Id<AgentInteraction> request) const {
  Query query;
  query.where = col(&AgentInteraction::in_reply_to) == request;
  query.limit = 1000;
  return interactions_.list(query);
}

Result<AgentConnection> AgentNetwork::connect(const NewConnection& given) const {
  BUREAU_TRY_VOID(check_connection(given));
  return connections_.rows().scope().write([&](Unit& unit) -> Result<AgentConnection> {
    const Repository<AgentConnection> connections{Scope(unit)};
    AgentConnection row;
    row.a =
        std::min(given.a, given.b, [](const auto& x, const auto& y) { return x.value < y.value; });
    row.b = row.a == given.a ? given.b : given.a;
    BUREAU_TRY(const auto present, connections.first(col(&AgentConnection::a) == row.a &&
                                                     col(&AgentConnection::b) == row.b));
    if (present) {
      return fail(Code::exists,
                  fmt::format("b: {} and {} are connected; one pair has one connection",
                              name_of(row.a), name_of(row.b)),
                  "b");
    }
    row.type = given.type;
    row.strength = given.strength;
    row.latency = given.latency;
    row.bandwidth_kbps = given.bandwidth_kbps;
    return connections.insert(std::move(row));
  });
}

Result<AgentConnection> AgentNetwork::set_status(Id<AgentConnection> connection,
                                                 ConnectionStatus status) const {
  return connections_.change(connection, [&](AgentConnection& row) -> Result<void> {
    if (row.status != status && !may_become(row.status, status)) {
      return fail(Code::conflict,
                  fmt::format("status: a connection that is {} cannot become {}",
                              name_of(row.status), name_of(status)),
                  "status");
    }
    row.status = status;
    return {};
  });
}

Result<NetworkNode> AgentNetwork::place(NetworkNode node) const {
  BUREAU_TRY_VOID(check_node(node));
  return nodes_.rows().scope().write([&](Unit& unit) -> Result<NetworkNode> {
    const Repository<NetworkNode> nodes{Scope(unit)};
    BUREAU_TRY(const auto present, nodes.first(col(&NetworkNode::name) == node.name));
    NetworkNode row = node;
    row.id = {};
    if (!present) return nodes.insert(std::move(row));
    detail::succeed(*present, row);
    return nodes.update(std::move(row));
  });
}

Result<std::uint64_t> AgentNetwork::degree(Id<NetworkNode> node) const {
  BUREAU_TRY(const NetworkNode row, nodes_.find(node));
  if (!row.agent) return std::uint64_t{0};
  return connections_.count(col(&AgentConnection::a) == *row.agent ||
                            col(&AgentConnection::b) == *row.agent);
}

// Tables and policies --------------------------------------------------------------------------

Result<void> add_network_tables(Catalog& catalog) {
  for (const TableInfo* table : {&table_of<ConfiguredAgent>(), &table_of<AgentInteraction>(),
                                 &table_of<AgentConnection>(), &table_of<NetworkNode>()}) {
    BUREAU_TRY_VOID(catalog.add(*table));
  }
  return {};
}

Result<void> add_network_policies(Policies& policies) {
  const auto permit = [&](const char* name, const char* table, std::optional<Command> command,
                          std::vector<std::string> roles, std::optional<PrincipalKind> of = {}) {
    Policy policy;
    policy.name = std::string("agents: ") + name;
    policy.table = table;
    policy.command = command;
    policy.using_rule = Rule::always();
    policy.roles = std::move(roles);
    policy.of = of;
    return policies.add(std::move(policy));
  };
  for (const char* table :
       {"configured_agents", "agent_interactions", "agent_connections", "network_nodes"}) {
    BUREAU_TRY_VOID(permit("managers keep it", table, {}, {"admin", "manager"}));
    BUREAU_TRY_VOID(permit("agents see it", table, Command::select, {"agent"}));
  }
  for (const char* table : {"agent_interactions", "agent_connections"}) {
    BUREAU_TRY_VOID(
        permit("AI agents write it", table, Command::insert, {"agent"}, PrincipalKind::agent));
  }
  return permit("AI agents keep theirs up to date", "agent_connections", Command::update, {"agent"},
                PrincipalKind::agent);
}

BUREAU_END_NAMESPACE
