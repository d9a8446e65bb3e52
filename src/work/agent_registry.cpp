#include "bureau/work/agent_registry.hpp"

#include <algorithm>
#include <map>

#include "bureau/work/agent_network.hpp"
#include "bureau/work/task.hpp"
#include "store/internal_tables.hpp"
#include "work/agent_lookup.hpp"

BUREAU_BEGIN_NAMESPACE

std::optional<double> AgentInfo::efficiency() const {
  if (completed + dead == 0) return std::nullopt;
  return static_cast<double>(completed) / static_cast<double>(completed + dead);
}

Result<void> announce_agents(Database& database, const std::vector<AgentPresence>& agents) {
  BUREAU_TRY(auto node, database.node());
  const TableInfo& table = table_of<AgentPresence>();
  return database.write({}, {}, [&](Transaction& tx) -> Result<void> {
    for (AgentPresence presence : agents) {
      // Rows of this place are of a process that is gone: it is ours now.
      BUREAU_TRY_VOID(tx.remove(select<AgentPresence>().where(
          col(&AgentPresence::name) == presence.name && col(&AgentPresence::node) == node.number)));
      BUREAU_TRY(presence.id.value, tx.next_id());
      presence.node = node.number;
      presence.generation = node.generation;
      presence.started_at = tx.now();
      std::vector<Value> values(table.width());
      detail::Scratch scratch;
      to_values(presence, values, scratch);
      BUREAU_TRY_VOID(tx.insert(table, values));
    }
    return {};
  });
}

namespace {

/// Whether the process that wrote the presence still runs.
Result<bool> is_live(Database& database, Reader& reader, const AgentPresence& presence) {
  detail::NodeRow row;
  BUREAU_TRY(bool found, reader.find(table_of<detail::NodeRow>(), presence.node + 1,
                                     [&](std::span<const Value> values) -> Result<bool> {
                                       from_values(values, row);
                                       return true;
                                     }));
  if (!found || row.generation != presence.generation) return false;
  return database.storage().node_is_alive(static_cast<int>(presence.node));
}

/// By kind: a lease belongs to a node, whose orchestrator gives each kind to one agent.
Result<void> count_tasks(Reader& reader, Id<Tenant> tenant, detail::AgentMap& agents) {
  std::map<std::string, AgentInfo*, std::less<>> does;
  for (auto& [name, agent] : agents) {
    for (const std::string& kind : agent.kinds) does[kind] = &agent;
  }
  const TableInfo& tasks = table_of<Task>();
  Aggregate by_kind;
  by_kind.table = &tasks;
  by_kind.where = col(&Task::tenant) == tenant;
  by_kind.group_by = {tasks.find("kind"), tasks.find("status")};
  by_kind.measures = {{Aggregate::Function::count, nullptr}};
  return reader.aggregate(by_kind, [&](std::span<const Value> row) -> Result<bool> {
    const auto agent = does.find(row[0].as_text());
    if (agent == does.end()) return true;
    const auto count = static_cast<std::uint64_t>(row[2].as_integer());
    switch (static_cast<TaskStatus>(row[1].as_integer())) {
      case TaskStatus::running:
        agent->second->running += count;
        break;
      case TaskStatus::completed:
        agent->second->completed += count;
        break;
      case TaskStatus::dead:
        agent->second->dead += count;
        break;
      default:
        break;
    }
    return true;
  });
}

}  // namespace

namespace detail {

Result<void> add_presences(Database& database, Reader& reader, AgentMap& agents) {
  std::vector<AgentPresence> presences;
  const Select all{&table_of<AgentPresence>()};
  BUREAU_TRY_VOID(reader.scan(all, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, presences.emplace_back());
    return true;
  }));
  for (AgentPresence& presence : presences) {
    BUREAU_TRY(bool live, is_live(database, reader, presence));
    AgentInfo& info = agents[presence.name];
    info.name = presence.name;
    if (live || info.kinds.empty()) info.kinds = std::move(presence.kinds);
    if (live) ++info.nodes;
  }
  return {};
}

Result<void> add_configured(Reader& reader, Id<Tenant> tenant, AgentMap& agents) {
  return reader.scan(select<ConfiguredAgent>().where(col(&ConfiguredAgent::tenant) == tenant),
                     [&](std::span<const Value> row) -> Result<bool> {
                       ConfiguredAgent configured;
                       from_values(row, configured);
                       AgentInfo& info = agents[configured.name];
                       info.name = configured.name;
                       info.squad = configured.squad;
                       info.role = configured.role;
                       info.configured = true;
                       if (info.kinds.empty()) info.kinds = std::move(configured.kinds);
                       return true;
                     });
}

}  // namespace detail

Result<bool> is_done_by_a_node(Database& database, Reader& reader, std::string_view kind) {
  std::vector<AgentPresence> presences;
  const Select all{&table_of<AgentPresence>()};
  BUREAU_TRY_VOID(reader.scan(all, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, presences.emplace_back());
    return true;
  }));
  for (const AgentPresence& presence : presences) {
    if (std::find(presence.kinds.begin(), presence.kinds.end(), kind) == presence.kinds.end()) {
      continue;
    }
    BUREAU_TRY(const bool live, is_live(database, reader, presence));
    if (live) return true;
  }
  return false;
}

Result<std::vector<AgentInfo>> list_agents(Database& database, Id<Tenant> tenant) {
  detail::AgentMap agents;
  BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    agents.clear();
    BUREAU_TRY_VOID(detail::add_presences(database, reader, agents));
    // Before the roster's: what it means an agent to do says nothing of who did it.
    BUREAU_TRY_VOID(count_tasks(reader, tenant, agents));
    return detail::add_configured(reader, tenant, agents);
  }));
  std::vector<AgentInfo> out;
  for (auto& [name, info] : agents) out.push_back(std::move(info));
  return out;
}

BUREAU_END_NAMESPACE
