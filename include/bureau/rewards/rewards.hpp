#pragma once

// Everything of rewards/: achievements, points, levels, streaks and leaderboards.

#include "bureau/rewards/achievements.hpp"
#include "bureau/rewards/leaderboards.hpp"
#include "bureau/rewards/ledger.hpp"
#include "bureau/rewards/rewards_agent.hpp"
