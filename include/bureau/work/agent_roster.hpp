#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bureau/work/agent_network.hpp"

BUREAU_BEGIN_NAMESPACE

/// One agent as a roster's file has it.
struct RosterEntry {
  std::string name;
  std::string squad = {};
  std::string role = {};
  std::vector<std::string> kinds = {};
};

/// Reads a roster: JSON, a list of {"name", "squad", "role", "kinds": [...]}, or CSV with a header
/// of the same names in any order and the kinds separated by spaces. Only the name is needed.
/// `invalid` names the place and the rule: a name that is empty, too long or there twice, a column
/// or member that is none of these.
[[nodiscard]] Result<std::vector<RosterEntry>> parse_roster(std::string_view text);

struct RosterReport {
  std::uint64_t added = 0, changed = 0, unchanged = 0;
};
/// Makes the entries the office's configured agents, by name; others stay as they are. All or none.
[[nodiscard]] Result<RosterReport> import_roster(const Session& session,
                                                 const std::vector<RosterEntry>& entries);

BUREAU_END_NAMESPACE
