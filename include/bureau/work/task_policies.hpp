#pragma once

#include "bureau/access/policy.hpp"

BUREAU_BEGIN_NAMESPACE

/// Who may see and touch tasks: admins and managers all of their tenant; everybody else those that
/// he enqueued himself, which is what everybody enqueues. Agents see and enqueue those that no user
/// enqueued and that run with an agent's rights. Whether a role may at all is for its permissions.
Result<void> add_task_policies(Policies& policies);

BUREAU_END_NAMESPACE
