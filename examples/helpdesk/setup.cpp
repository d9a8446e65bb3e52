#include "setup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace helpdesk {

using namespace bureau;

namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(';', at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Result<Priority> priority_named(const std::string& path, const std::string& name) {
  for (std::size_t i = 0; i < names<Priority>.size(); ++i) {
    if (names<Priority>[i] == name) return static_cast<Priority>(i);
  }
  return fail(Code::invalid,
              fmt::format("{}: priority: there is no \"{}\"; there are {}", path, name,
                          fmt::join(names<Priority>, ", ")),
              "priority");
}

/// "card_arrival" as a person writes it.
std::string spoken(std::string label) {
  std::replace(label.begin(), label.end(), '_', ' ');
  return label;
}

}  // namespace

Result<Setup> sample_setup(const std::string& folder) {
  Setup setup;
  const std::string priorities = folder + "/priorities.csv";
  BUREAU_TRY(const auto teams, read_table(folder + "/teams.csv", {"team", "skills", "members"}));
  for (const auto& row : teams) setup.teams.push_back({row[0], split(row[1]), split(row[2])});
  BUREAU_TRY(const auto templates, read_table(folder + "/templates.csv", {"category", "reply"}));
  for (const auto& row : templates) setup.templates[row[0]] = row[1];
  BUREAU_TRY(const auto rows, read_table(priorities, {"category", "priority"}));
  for (const auto& row : rows) {
    BUREAU_TRY(setup.priorities[row[0]], priority_named(priorities, row[1]));
  }
  return setup;
}

Setup plain_setup(const std::vector<std::string>& labels) {
  constexpr std::size_t most_teams = 8, team_size = 4;
  Setup setup;
  const std::size_t count = std::min(most_teams, labels.size());
  for (std::size_t i = 0; i < count; ++i) {
    TeamPlan team;
    team.name = fmt::format("Team {}", i + 1);
    for (std::size_t m = 0; m < team_size; ++m) {
      team.members.push_back(fmt::format("Team {} person {}", i + 1, m + 1));
    }
    for (std::size_t at = i * labels.size() / count; at < (i + 1) * labels.size() / count; ++at) {
      team.skills.push_back(labels[at]);
    }
    setup.teams.push_back(std::move(team));
  }
  for (const std::string& label : labels) {
    setup.templates[label] = fmt::format(
        "Dear {{customer}}, thank you for your message about \"{}\". We have filed it as number "
        "{{number}} and will come back to you today.",
        spoken(label));
  }
  setup.templates["*"] =
      "Dear {customer}, thank you for your message. We have filed it as number {number}; one of us "
      "reads it and will come back to you.";
  return setup;
}

// Making it ------------------------------------------------------------------------------------

namespace {

Result<Id<Tenant>> tenant_named(Engine& engine, const std::string& name) {
  auto found = engine.access().tenant_named(name);
  if (found) return found->id;
  if (found.error().code != Code::not_found) return fail(std::move(found).error());
  BUREAU_TRY(const Tenant made, engine.access().create_tenant(name));
  return made.id;
}

std::string address_of(const std::string& name) {
  std::string address;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      address += fmt::format("{:02x}", static_cast<unsigned char>(c));
    } else {
      address += std::isalnum(static_cast<unsigned char>(c)) != 0
                     ? static_cast<char>(std::tolower(static_cast<unsigned char>(c)))
                     : '.';
    }
  }
  return address + "@staff.example.com";
}

Result<void> prepare_team(Unit& unit, const TeamPlan& plan) {
  const Repository<Team> teams{unit};
  BUREAU_TRY(const auto present, teams.first(col(&Team::name) == plan.name));
  if (present) return {};
  Team team;
  team.name = plan.name;
  team.skills = plan.skills;
  BUREAU_TRY(team, teams.insert(std::move(team)));
  for (const std::string& name : plan.members) {
    User user;
    user.name = name;
    user.email = address_of(name);
    user.role = "agent";
    user.status = UserStatus::active;
    BUREAU_TRY(user, Repository<User>{unit}.insert(std::move(user)));
    Membership membership;
    membership.team = team.id;
    membership.user = user.id;
    BUREAU_TRY_VOID(Repository<Membership>{unit}.insert(std::move(membership)));
  }
  return {};
}

}  // namespace

Result<Id<Tenant>> prepare_office(Engine& engine, const std::string& name, const Setup& setup) {
  BUREAU_TRY(const Id<Tenant> tenant, tenant_named(engine, name));
  const Session office = engine.system(tenant);
  BUREAU_TRY_VOID(support::create_default_statuses(office));
  BUREAU_TRY_VOID(office.write([&](Unit& unit) -> Result<void> {
    for (const TeamPlan& plan : setup.teams) BUREAU_TRY_VOID(prepare_team(unit, plan));
    return {};
  }));
  for (const auto& [category, body] : setup.templates) {
    BUREAU_TRY_VOID(save_template(office, category, body));
  }
  return tenant;
}

}  // namespace helpdesk
