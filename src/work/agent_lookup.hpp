#pragma once

// Which agents there are, and which of them run: what the registry and the housekeeping share.

#include <map>
#include <string>

#include "bureau/work/agent_registry.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

using AgentMap = std::map<std::string, AgentInfo, std::less<>>;

/// Every agent that ever ran in this office, with its live nodes and the kinds that it does.
[[nodiscard]] Result<void> add_presences(Database& database, Reader& reader, AgentMap& agents);
/// Those that the tenant has configured.
[[nodiscard]] Result<void> add_configured(Reader& reader, Id<Tenant> tenant, AgentMap& agents);

}  // namespace detail
BUREAU_END_NAMESPACE
