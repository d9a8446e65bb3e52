#include "bureau/work/task_policies.hpp"

#include "bureau/work/agent_registry.hpp"
#include "bureau/work/approval.hpp"
#include "bureau/work/run_step.hpp"
#include "work/approval_rules.hpp"
#include "work/flow.hpp"
#include "work/schedule_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// Whoever saves a schedule is its owner, in whose name its tasks are enqueued: nobody schedules
/// what another's rights would do.
Result<void> add_schedule_policies(Policies& policies) {
  policies.require("schedules", detail::check_schedule_row);
  for (const char* table : {"schedules", "schedule_occurrences"}) {
    Policy see;
    see.name = "managers_see_it";
    see.table = table;
    see.command = Command::select;
    see.using_rule = Rule::always();
    see.roles = {"admin", "manager"};
    BUREAU_TRY_VOID(policies.add(std::move(see)));
  }
  const auto keep = [&](const char* name, Command command, Rule before, Rule after) {
    return policies.add({name,
                         "schedules",
                         command,
                         PolicyMode::permissive,
                         std::move(before),
                         std::move(after),
                         {"admin", "manager"}});
  };
  BUREAU_TRY_VOID(keep("managers_make_their_own", Command::insert, {}, "owner = $user"));
  BUREAU_TRY_VOID(keep("managers_change_it", Command::update, Rule::always(), "owner = $user"));
  BUREAU_TRY_VOID(keep("managers_remove_it", Command::remove, Rule::always(), {}));
  return {};
}

/// What a run remembers is its own and the managers' to see (Runs shows a task's to whoever sees
/// the task); an approval is for whom it is addressed to.
Result<void> add_run_policies(Policies& policies) {
  for (const char* table : {"run_steps", "run_signals"}) {
    Policy see;
    see.name = "managers_see_it";
    see.table = table;
    see.command = Command::select;
    see.using_rule = Rule::always();
    see.roles = {"admin", "manager"};
    BUREAU_TRY_VOID(policies.add(std::move(see)));
  }
  policies.require("approvals", detail::check_approval_row);
  for (const Command command : {Command::select, Command::update}) {
    Policy managers;
    managers.name = command == Command::select ? "managers_see_it" : "managers_decide_it";
    managers.table = "approvals";
    managers.command = command;
    managers.using_rule = Rule::always();
    managers.roles = {"admin", "manager"};
    BUREAU_TRY_VOID(policies.add(std::move(managers)));
    Policy own;
    own.name = command == Command::select ? "ones_own" : "ones_own_to_decide";
    own.table = "approvals";
    own.command = command;
    own.using_rule =
        "assignee = $user or (assignee is null and team in (select team from memberships where "
        "user = $user))";
    BUREAU_TRY_VOID(policies.add(std::move(own)));
  }
  return {};
}

/// Who keeps a rule of flow control says so with his name.
Result<void> add_flow_policies(Policies& policies) {
  policies.require("flow_rules", detail::check_flow_row);
  policies.require("tenant_shares", detail::check_share_row);
  Policy share;
  share.name = "managers_see_it";
  share.table = "tenant_shares";
  share.command = Command::select;
  share.using_rule = Rule::always();
  share.roles = {"admin", "manager"};
  BUREAU_TRY_VOID(policies.add(std::move(share)));
  const auto keep = [&](const char* name, Command command, Rule before, Rule after) {
    return policies.add({name,
                         "flow_rules",
                         command,
                         PolicyMode::permissive,
                         std::move(before),
                         std::move(after),
                         {"admin", "manager"}});
  };
  BUREAU_TRY_VOID(keep("managers_see_it", Command::select, Rule::always(), {}));
  BUREAU_TRY_VOID(keep("managers_make_it", Command::insert, {}, "made_by = $user"));
  BUREAU_TRY_VOID(keep("managers_change_it", Command::update, Rule::always(), "made_by = $user"));
  return keep("managers_remove_it", Command::remove, Rule::always(), {});
}

}  // namespace

Result<void> add_task_tables(Catalog& catalog) {
  for (const TableInfo* table :
       {&table_of<Task>(), &table_of<RunStep>(), &table_of<RunSignal>(), &table_of<Approval>(),
        &table_of<AgentPresence>(), &table_of<Schedule>(), &table_of<ScheduleOccurrence>(),
        &table_of<FlowRule>(), &table_of<TenantShare>(), &table_of<detail::FlowBucket>()}) {
    BUREAU_TRY_VOID(catalog.add(*table));
  }
  return {};
}

Result<void> add_task_policies(Policies& policies) {
  BUREAU_TRY_VOID(add_schedule_policies(policies));
  BUREAU_TRY_VOID(add_run_policies(policies));
  BUREAU_TRY_VOID(add_flow_policies(policies));
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
