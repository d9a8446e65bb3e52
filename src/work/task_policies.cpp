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
  return policies.add(std::move(own));
}

BUREAU_END_NAMESPACE
