#pragma once

#include "bureau/access/policy.hpp"
#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE

/// Adds the tables of tasks, schedules and running agents to a catalog, before the database opens.
Result<void> add_task_tables(Catalog& catalog);

/// Who may see and touch tasks: admins and managers all of their tenant; everybody else those that
/// he enqueued himself, which is what everybody enqueues. Agents see and enqueue those that no user
/// enqueued and that run with an agent's rights. Schedules are for admins and managers; whoever
/// saves one owns it. So are the rules of flow control and budgets; the budget of the whole tenant
/// is the system's. Whether a role may at all is for its permissions.
Result<void> add_task_policies(Policies& policies);

BUREAU_END_NAMESPACE
