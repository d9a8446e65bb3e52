#include "bureau/work/task_policies.hpp"

BUREAU_BEGIN_NAMESPACE

Result<void> add_task_policies(Policies& policies) {
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
