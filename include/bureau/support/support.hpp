#pragma once

// Everything of support/: tickets, their routing, and the agents that work on them.

#include "bureau/support/desk_agents.hpp"
#include "bureau/support/tickets.hpp"
