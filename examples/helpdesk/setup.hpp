#pragma once

#include <map>
#include <string>
#include <vector>

#include "inbox.hpp"

namespace helpdesk {

struct TeamPlan {
  std::string name;
  std::vector<std::string> skills, members;
};

/// What an office needs before its first message: who works there, and how they answer.
struct Setup {
  std::vector<TeamPlan> teams;
  std::map<std::string, std::string> templates;  ///< by category; "*" for all others
  std::map<std::string, bureau::Priority> priorities;
};

/// The setup that lies beside the sample inbox.
bureau::Result<Setup> sample_setup(const std::string& folder);
/// A plain one for labels of any kind: the labels are dealt out to a few teams.
Setup plain_setup(const std::vector<std::string>& labels);

/// Makes the tenant, its statuses, teams, people and templates; leaves alone what is there.
bureau::Result<bureau::Id<bureau::Tenant>> prepare_office(bureau::Engine& engine,
                                                          const std::string& name,
                                                          const Setup& setup);

}  // namespace helpdesk
