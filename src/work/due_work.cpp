#include "work/due_work.hpp"

#include "work/task_columns.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

constexpr std::uint64_t overdue_at_once = 1000;

Select waits_until(TaskStatus status, Timestamp now) {
  return select<Task>()
      .where(col(&Task::status) == status && col(&Task::run_at) <= now)
      .order_by(col(&Task::run_at))
      .limit(1);
}

Select limited(Select select, std::uint64_t limit) {
  select.limit = limit;
  return select;
}

Result<void> end_overdue(Transaction& tx, const Select& overdue) {
  const TaskColumns& c = columns();
  const std::int64_t now = tx.now().micros();
  std::vector<Task> ended;
  BUREAU_TRY_VOID(tx.update({limited(overdue, overdue_at_once),
                             {set(c.status, TaskStatus::dead),
                              {c.error_code, Value::text(to_string(Code::deadline)), false},
                              {c.error, Value::text("it was not begun by its deadline"), false},
                              set(c.finished_at, now),
                              set(c.updated_at, now),
                              add(c.version, 1)}},
                            [&](std::span<const Value> row) -> Result<bool> {
                              if (row[c.awaited->index].as_integer() != 0) {
                                from_values(row, ended.emplace_back());
                              }
                              return true;
                            }));
  for (const Task& task : ended) BUREAU_TRY_VOID(after_end(tx, task));
  return {};
}

}  // namespace

DueWork::DueWork(Timestamp now)
    : overdue_(select<Task>()
                   .where(col(&Task::deadline).is_not_null() &&
                          col(&Task::status) <= TaskStatus::ready && col(&Task::deadline) <= now)
                   .order_by(col(&Task::deadline))
                   .limit(1)),
      delayed_(waits_until(TaskStatus::scheduled, now)),
      resting_(waits_until(TaskStatus::waiting, now)),
      tokens_(tokens_come(now, 1)),
      now_(now) {}

std::array<Scan, 4> DueWork::scans() const {
  return {{{&overdue_, overdue_found_},
           {&delayed_, delayed_found_},
           {&resting_, resting_found_},
           {&tokens_, tokens_found_}}};
}

bool DueWork::any() const {
  return overdue_found_.any || delayed_found_.any || resting_found_.any || tokens_found_.any;
}

Result<std::uint64_t> DueWork::see_to(Transaction& tx, std::uint64_t limit) const {
  const TaskColumns& c = columns();
  std::uint64_t ready = 0;
  if (overdue_found_.any) BUREAU_TRY_VOID(end_overdue(tx, overdue_));
  if (delayed_found_.any) {
    BUREAU_TRY(ready, tx.unjournalled().update(
                          {limited(delayed_, limit),
                           {set(c.status, TaskStatus::ready), set(c.gate, Gate::open)}}));
  }
  if (resting_found_.any) {
    BUREAU_TRY(const std::uint64_t woken,
               tx.unjournalled().update({limited(resting_, limit),
                                         {set(c.status, TaskStatus::ready), set(c.gate, Gate::open),
                                          set(c.pending, 0)}}));
    ready += woken;
  }
  if (tokens_found_.any) BUREAU_TRY_VOID(admit_by_rates(tx.unjournalled(), now_));
  return ready;
}

}  // namespace detail
BUREAU_END_NAMESPACE
