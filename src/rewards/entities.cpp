// The code of the entities of rewards/, made here once for all files that use them.

#include "bureau/rewards/achievement.hpp"
#include "bureau/rewards/points.hpp"
#include "bureau/rewards/rewards_agent.hpp"

BUREAU_DEFINE_ENTITY(bureau::Achievement);
BUREAU_DEFINE_ENTITY(bureau::UserAchievement);
BUREAU_DEFINE_ENTITY(bureau::PointRule);
BUREAU_DEFINE_ENTITY(bureau::PointEntry);
BUREAU_DEFINE_ENTITY(bureau::UserStats);
BUREAU_DEFINE_ENTITY(bureau::StreakDay);
BUREAU_DEFINE_ENTITY(bureau::LeaderboardScore);
BUREAU_DEFINE_ENTITY(bureau::LeaderboardSnapshot);

template class bureau::AgentOf<bureau::evaluate_rewards>;
