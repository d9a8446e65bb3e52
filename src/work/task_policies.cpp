#include "bureau/work/task_policies.hpp"

#include "bureau/work/agent_registry.hpp"
#include "bureau/work/approval.hpp"
#include "bureau/work/run_step.hpp"
#include "work/approval_rules.hpp"
#include "work/flow.hpp"
#include "work/manager_policies.hpp"
#include "work/schedule_rules.hpp"
#include "work/spend.hpp"
#include "work/workflow_changes.hpp"
#include "work/workflow_forms.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

Result<void> managers_may(Policies& policies, const char* table, const char* name, Command command,
                          Rule before, Rule after) {
  return policies.add({name,
                       table,
                       command,
                       PolicyMode::permissive,
                       std::move(before),
                       std::move(after),
                       {"admin", "manager"}});
}

/// Managers see the rows of a table, and save and remove them; who saves one is named by `saver`.
Result<void> managers_keep(Policies& policies, const char* table, const char* saver) {
  BUREAU_TRY_VOID(detail::managers_see(policies, table));
  BUREAU_TRY_VOID(managers_may(policies, table, "managers_make_it", Command::insert, {}, saver));
  BUREAU_TRY_VOID(
      managers_may(policies, table, "managers_change_it", Command::update, Rule::always(), saver));
  return managers_may(policies, table, "managers_remove_it", Command::remove, Rule::always(), {});
}

/// Whoever saves a schedule is its owner, in whose name its tasks are enqueued: nobody schedules
/// what another's rights would do.
Result<void> add_schedule_policies(Policies& policies) {
  policies.require("schedules", detail::check_schedule_row);
  BUREAU_TRY_VOID(detail::managers_see(policies, "schedule_occurrences"));
  return managers_keep(policies, "schedules", "owner = $user");
}

/// What is addressed to somebody, his team or, without either, the managers; all is theirs to see.
Result<void> add_inbox_policies(Policies& policies, const char* table) {
  for (const Command command : {Command::select, Command::update}) {
    const bool sees = command == Command::select;
    BUREAU_TRY_VOID(managers_may(policies, table, sees ? "managers_see_it" : "managers_decide_it",
                                 command, Rule::always(), {}));
    Policy own;
    own.name = sees ? "ones_own" : "ones_own_to_decide";
    own.table = table;
    own.command = command;
    own.using_rule =
        "assignee = $user or (assignee is null and team in (select team from memberships where "
        "user = $user))";
    BUREAU_TRY_VOID(policies.add(std::move(own)));
  }
  return {};
}

/// What a run remembers is its own and the managers' to see (Runs shows a task's to whoever sees
/// the task); an approval is for whom it is addressed to.
Result<void> add_run_policies(Policies& policies) {
  BUREAU_TRY_VOID(detail::managers_see(policies, "run_steps"));
  BUREAU_TRY_VOID(detail::managers_see(policies, "run_signals"));
  policies.require("approvals", detail::check_approval_row);
  return add_inbox_policies(policies, "approvals");
}

/// Whoever saves or activates a workflow is its owner, in whose name triggers start it. Those whose
/// role is among its starters see it, and so may start it, with their own rights.
Result<void> add_workflow_policies(Policies& policies) {
  policies.require("workflows", detail::check_workflow_row);
  policies.require("workflow_forms", detail::check_form_row);
  BUREAU_TRY_VOID(managers_keep(policies, "workflows", "owner = $user"));
  Policy starters;
  starters.name = "starters_see_it";
  starters.table = "workflows";
  starters.command = Command::select;
  starters.using_rule = "status != \"draft\" and starters contains $role";
  BUREAU_TRY_VOID(policies.add(std::move(starters)));
  return add_inbox_policies(policies, "workflow_forms");
}

/// Who keeps a rule of flow control says so with his name.
Result<void> add_flow_policies(Policies& policies) {
  policies.require("flow_rules", detail::check_flow_row);
  policies.require("tenant_shares", detail::check_share_row);
  BUREAU_TRY_VOID(detail::managers_see(policies, "tenant_shares"));
  return managers_keep(policies, "flow_rules", "made_by = $user");
}

/// Whoever keeps a budget says so with his name. That of the whole tenant is the system's: no
/// tenant gives itself more. What is spent is the library's to write.
Result<void> add_budget_policies(Policies& policies) {
  policies.require("budgets", detail::check_budget_row);
  BUREAU_TRY_VOID(detail::managers_see(policies, "budget_uses"));
  BUREAU_TRY_VOID(detail::managers_see(policies, "spendings"));
  BUREAU_TRY_VOID(managers_keep(policies, "budgets", "made_by = $user"));
  for (const Command command : {Command::insert, Command::update, Command::remove}) {
    Policy own;
    own.name = "tenants_own_is_the_systems_" + std::string(to_string(command));
    own.table = "budgets";
    own.command = command;
    own.mode = PolicyMode::restrictive;
    if (command == Command::insert) {
      own.check_rule = "whole_tenant = false";
    } else {
      own.using_rule = "whole_tenant = false";
    }
    BUREAU_TRY_VOID(policies.add(std::move(own)));
  }
  return {};
}

}  // namespace

Result<void> detail::managers_see(Policies& policies, const char* table) {
  return managers_may(policies, table, "managers_see_it", Command::select, Rule::always(), {});
}

Result<void> add_task_tables(Catalog& catalog) {
  for (const TableInfo* table :
       {&table_of<Task>(), &table_of<RunStep>(), &table_of<RunSignal>(), &table_of<Approval>(),
        &table_of<AgentPresence>(), &table_of<Schedule>(), &table_of<ScheduleOccurrence>(),
        &table_of<FlowRule>(), &table_of<TenantShare>(), &table_of<detail::FlowBucket>(),
        &table_of<Workflow>(), &table_of<WorkflowForm>(), &table_of<detail::WorkflowCursor>(),
        &table_of<Budget>(), &table_of<BudgetUse>(), &table_of<Spending>()}) {
    BUREAU_TRY_VOID(catalog.add(*table));
  }
  return {};
}

Result<void> add_task_policies(Policies& policies) {
  BUREAU_TRY_VOID(add_schedule_policies(policies));
  BUREAU_TRY_VOID(add_run_policies(policies));
  BUREAU_TRY_VOID(add_flow_policies(policies));
  BUREAU_TRY_VOID(add_workflow_policies(policies));
  BUREAU_TRY_VOID(add_budget_policies(policies));
  Policy all;
  all.name = "tasks_of_the_tenant";
  all.table = "tasks";
  all.using_rule = Rule::always();
  all.roles = {"admin", "manager"};
  BUREAU_TRY_VOID(policies.add(std::move(all)));
  Policy own;
  own.name = "own_tasks";
  own.table = "tasks";
  own.using_rule = "enqueued_by = $user";
  BUREAU_TRY_VOID(policies.add(std::move(own)));
  // Otherwise a task that runs with its enqueuer's rights could be made in another's name.
  Policy name;
  name.name = "tasks_in_ones_own_name";
  name.table = "tasks";
  name.command = Command::insert;
  name.mode = PolicyMode::restrictive;
  name.check_rule = "enqueued_by = $user";
  name.of = PrincipalKind::user;
  BUREAU_TRY_VOID(policies.add(std::move(name)));
  // What the queue keeps of a task begins with the queue; one that was forked has an attempt
  // behind.
  Policy fresh;
  fresh.name = "tasks_begin_at_their_beginning";
  fresh.table = "tasks";
  fresh.command = Command::insert;
  fresh.mode = PolicyMode::restrictive;
  fresh.check_rule = col(&Task::status) <= TaskStatus::ready && col(&Task::attempt) <= 1 &&
                     col(&Task::failures) == 0 && col(&Task::gate) == Gate::open &&
                     col(&Task::pending) == 0 && col(&Task::result).is_null() &&
                     col(&Task::node) == -1 && col(&Task::finished_at).is_null() &&
                     col(&Task::cancel_requested) == false;
  BUREAU_TRY_VOID(policies.add(std::move(fresh)));
  // What it remembers goes with it, and a run may wait for it: Tasks::remove() sees to both.
  Policy whole;
  whole.name = "tasks_are_removed_whole";
  whole.table = "tasks";
  whole.command = Command::remove;
  whole.mode = PolicyMode::restrictive;
  whole.using_rule = Predicate::never();
  BUREAU_TRY_VOID(policies.add(std::move(whole)));
  // What an agent enqueues was enqueued by no user, and so runs with an agent's rights.
  for (const Command command : {Command::select, Command::insert}) {
    Policy agents;
    agents.name = command == Command::select ? "agents_see_tasks" : "agents_enqueue";
    agents.table = "tasks";
    agents.command = command;
    agents.using_rule = "enqueued_by is null and run_as = \"agent\"";
    agents.of = PrincipalKind::agent;
    BUREAU_TRY_VOID(policies.add(std::move(agents)));
  }
  return {};
}

BUREAU_END_NAMESPACE
