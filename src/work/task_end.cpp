#include "work/task_end.hpp"

#include "access/library_rows.hpp"
#include "bureau/work/run_step.hpp"
#include "bureau/work/tasks.hpp"
#include "work/approval_rules.hpp"
#include "work/flow.hpp"
#include "work/run_history.hpp"
#include "work/spend.hpp"
#include "work/workflow_forms.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

Assignment set(std::string_view column, Value value) {
  return {table_of<Task>().find(column), value, false};
}
Assignment set(std::string_view column, std::int64_t value) {
  return set(column, Value::integer(value));
}

Update of_waiting(Id<Task> task) {
  Update update;
  update.which.table = &table_of<Task>();
  update.which.where = col(&Task::id) == task && col(&Task::status) == TaskStatus::waiting;
  return update;
}

Result<void> tell_parent(Transaction& tx, Id<Task> parent) {
  Update one_less = of_waiting(parent);
  one_less.which.where = one_less.which.where && col(&Task::pending) > 0;
  one_less.set = {{table_of<Task>().find("pending"), Value::integer(-1), true}};
  bool last = false;
  BUREAU_TRY_VOID(
      tx.unjournalled().update(one_less, [&](std::span<const Value> row) -> Result<bool> {
        last = row[table_of<Task>().find("pending")->index].as_integer() == 0;
        return true;
      }));
  if (!last) return {};
  return wake(tx, parent);
}

/// Cancels the children of a task; returns those that ended by it. One that runs is asked to stop,
/// and one in doubt stays there for a person.
Result<std::vector<Id<Task>>> cancel_children(Transaction& tx, Id<Task> parent) {
  const Timestamp now = tx.now();
  const Predicate of_parent =
      col(&Task::parent) == parent && col(&Task::status) < TaskStatus::completed;
  std::vector<Id<Task>> ended;
  Update end;
  end.which.table = &table_of<Task>();
  end.which.where = of_parent && (col(&Task::status) <= TaskStatus::ready ||
                                  col(&Task::status) == TaskStatus::waiting);
  end.set = {set("status", static_cast<std::int64_t>(TaskStatus::cancelled)),
             set("finished_at", now.micros()),
             set("updated_at", now.micros()),
             set("error_code", Value::text(to_string(Code::cancelled))),
             set("error", Value::text("the run that spawned it was cancelled")),
             {table_of<Task>().find("version"), Value::integer(1), true}};
  BUREAU_TRY_VOID(tx.update(end, [&](std::span<const Value> row) -> Result<bool> {
    ended.emplace_back(row[table_of<Task>().find("id")->index].as_integer());
    return true;
  }));
  Update stop;
  stop.which.table = &table_of<Task>();
  stop.which.where = of_parent && col(&Task::status) == TaskStatus::running;
  stop.set = {set("cancel_requested", Value::integer(1)),
              set("updated_at", now.micros()),
              set("error", Value::text("the run that spawned it was cancelled")),
              {table_of<Task>().find("version"), Value::integer(1), true}};
  BUREAU_TRY_VOID(tx.update(stop));
  return ended;
}

}  // namespace

namespace {

/// Unsafe steps, and unsafe calls that are not answered.
Result<std::vector<RunStep>> intents_of(Reader& reader, Id<Task> task) {
  std::vector<RunStep> out;
  const Select open = select<RunStep>().where(col(&RunStep::task) == task &&
                                              col(&RunStep::status) == StepStatus::open);
  BUREAU_TRY_VOID(reader.scan(open, [&](std::span<const Value> row) -> Result<bool> {
    RunStep step;
    from_values(row, step);
    if (step.kind == StepKind::step || is_unsafe_call(step)) out.push_back(std::move(step));
    return true;
  }));
  return out;
}

}  // namespace

Result<bool> has_intent(Reader& reader, Id<Task> task) {
  BUREAU_TRY(const auto open, intents_of(reader, task));
  return !open.empty();
}

Result<void> forget_intents(Transaction& tx, Id<Task> task) {
  BUREAU_TRY(const auto open, intents_of(tx.reader(), task));
  for (const RunStep& step : open) {
    BUREAU_TRY_VOID(tx.remove(select<RunStep>().where(col(&RunStep::id) == step.id)));
    BUREAU_TRY_VOID(release_spendings(tx, task, step.position));
  }
  return {};
}

Result<void> withdraw_approvals(Transaction& tx, Id<Task> task) {
  std::vector<Approval> open;
  const Select asked = select<Approval>().where(col(&Approval::task) == task &&
                                                col(&Approval::status) == ApprovalStatus::open);
  BUREAU_TRY_VOID(tx.reader().scan(asked, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, open.emplace_back());
    return true;
  }));
  for (const Approval& before : open) {
    Approval after = before;
    after.status = ApprovalStatus::withdrawn;
    BUREAU_TRY_VOID(replace_consequence(tx, before, std::move(after)));
  }
  return {};
}

Result<void> remove_parts(Transaction& tx, std::span<const Id<Task>> tasks) {
  const std::vector<Id<Task>> all(tasks.begin(), tasks.end());
  BUREAU_TRY_VOID(tx.remove(select<RunStep>().where(col(&RunStep::task).in(all))));
  BUREAU_TRY_VOID(tx.remove(select<RunSignal>().where(col(&RunSignal::task).in(all))));
  BUREAU_TRY_VOID(tx.remove(select<Approval>().where(col(&Approval::task).in(all))));
  BUREAU_TRY_VOID(tx.remove(select<WorkflowForm>().where(col(&WorkflowForm::task).in(all))));
  return {};
}

Result<void> lease_ended(Transaction& tx, const Task& task) {
  if (task.gate != Gate::admitted || !task.flow_key) return {};
  return admit_next(tx.unjournalled(), task.tenant, *task.flow_key);
}

Result<void> wake(Transaction& tx, Id<Task> task) {
  BUREAU_TRY(const auto row, find_row(tx.reader(), task));
  if (!row || row->status != TaskStatus::waiting) return {};
  Update ready;
  ready.which = select<Task>().where(col(&Task::id) == task);
  ready.set = {set("status", static_cast<std::int64_t>(TaskStatus::ready)),
               set("run_at", tx.now().micros()), set("rank", task_rank(tx.now(), row->priority)),
               set("pending", 0), set("gate", static_cast<std::int64_t>(Gate::open))};
  BUREAU_TRY_VOID(tx.unjournalled().update(ready));
  return {};
}

Result<void> after_end(Transaction& tx, Id<Task> task, std::optional<Id<Task>> parent, bool awaited,
                       TaskStatus status) {
  if (awaited && parent) BUREAU_TRY_VOID(tell_parent(tx, *parent));
  if (status != TaskStatus::cancelled) return {};
  std::vector<Id<Task>> cancelled{task};
  while (!cancelled.empty()) {
    const Id<Task> next = cancelled.back();
    cancelled.pop_back();
    BUREAU_TRY_VOID(withdraw_approvals(tx, next));
    BUREAU_TRY_VOID(withdraw_forms(tx, next));
    BUREAU_TRY(auto more, cancel_children(tx, next));
    cancelled.insert(cancelled.end(), more.begin(), more.end());
  }
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
