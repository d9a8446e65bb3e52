#pragma once

// All of bureau. Each header below can also be included by itself.

#include "bureau/core/civil.hpp"
#include "bureau/core/cron.hpp"
#include "bureau/core/csv.hpp"
#include "bureau/core/money.hpp"
#include "bureau/engine.hpp"
#include "bureau/notify/notify.hpp"
#include "bureau/rewards/rewards.hpp"
#include "bureau/sales/sales.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/support/support.hpp"
#include "bureau/work/agent_registry.hpp"
#include "bureau/work/agent_roster.hpp"
#include "bureau/work/runs.hpp"
#include "bureau/work/housekeeping.hpp"
#include "bureau/work/flow.hpp"
#include "bureau/work/schedule.hpp"
#include "bureau/work/why.hpp"
#include "bureau/work/workflow.hpp"
#include "bureau/work/workflow_agent.hpp"
#include "bureau/work/workflows.hpp"
