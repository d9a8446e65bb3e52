// The tables of rewards/, and who may see and change their rows.

#include "bureau/rewards/rewards.hpp"
#include "rewards/rows.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards {

Result<void> add_tables(Catalog& catalog) {
  for (const TableInfo* table :
       {&table_of<Achievement>(), &table_of<UserAchievement>(), &table_of<PointRule>(),
        &table_of<PointEntry>(), &table_of<UserStats>(), &table_of<StreakDay>(),
        &table_of<LeaderboardScore>(), &table_of<LeaderboardSnapshot>(),
        &table_of<inside::Credit>(), &table_of<inside::Usage>(), &table_of<inside::Cursor>()}) {
    BUREAU_TRY_VOID(catalog.add(*table));
  }
  return {};
}

namespace {

Result<void> permit(Policies& policies, const std::string& name, std::string_view table,
                    std::optional<Command> command, Rule rule, std::vector<std::string> roles) {
  Policy policy;
  policy.name = "rewards: " + name;
  policy.table = table;
  policy.command = command;
  policy.using_rule = std::move(rule);
  policy.roles = std::move(roles);
  return policies.add(std::move(policy));
}

const std::vector<std::string> managers = {"admin", "manager"};
const std::vector<std::string> members = {"agent", "user", "viewer"};

}  // namespace

Result<void> add_policies(Policies& policies) {
  for (const char* table : {"achievements", "point_rules"}) {
    BUREAU_TRY_VOID(permit(policies, "managers keep them", table, {}, Rule::always(), managers));
  }
  for (const char* table : {"user_achievements", "point_entries", "streak_days", "user_stats",
                            "leaderboard_scores", "leaderboard_snapshots"}) {
    BUREAU_TRY_VOID(
        permit(policies, "managers see all", table, Command::select, Rule::always(), managers));
  }
  BUREAU_TRY_VOID(permit(policies, "members see what is no secret, or theirs", "achievements",
                         Command::select,
                         "secret = false or id in (select achievement from user_achievements where "
                         "user = $user and state = \"unlocked\")",
                         members));
  BUREAU_TRY_VOID(permit(policies, "members see them", "point_rules", Command::select,
                         Rule::always(), members));
  for (const char* table : {"user_achievements", "point_entries", "streak_days"}) {
    BUREAU_TRY_VOID(
        permit(policies, "members see theirs", table, Command::select, "user = $user", members));
  }
  for (const char* table : {"user_stats", "leaderboard_scores", "leaderboard_snapshots"}) {
    BUREAU_TRY_VOID(permit(policies, "members see each other", table, Command::select,
                           Rule::always(), members));
  }
  return {};
}

}  // namespace rewards
BUREAU_END_NAMESPACE
