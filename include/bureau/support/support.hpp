#pragma once

// Everything of support/: tickets, their routing, macros and triggers, saved views, presence, and
// the agents that work on them.

#include "bureau/support/automation.hpp"
#include "bureau/support/desk_agents.hpp"
#include "bureau/support/presence.hpp"
#include "bureau/support/tickets.hpp"
