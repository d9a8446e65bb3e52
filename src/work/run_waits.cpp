// Rests of a run: it waits without a thread, as a row.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/text.hpp"
#include "store/row_values.hpp"
#include "work/new_task.hpp"
#include "work/run_history.hpp"
#include "work/sealing.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

Result<void> check_duration(std::string_view what, Duration duration) {
  if (duration >= Duration(0)) return {};
  return fail(Code::invalid,
              fmt::format("{}: {} us is negative; a run cannot rest until before now", what,
                          duration.count()),
              std::string(what));
}

Assignment set(std::string_view column, std::int64_t value) {
  return {table_of<Task>().find(column), Value::integer(value), false};
}

}  // namespace

namespace detail {

Error error_of(const std::optional<std::string>& code, const std::optional<std::string>& message) {
  Error error(Code::internal, message.value_or(""));
  for (int i = static_cast<int>(Code::invalid); i <= static_cast<int>(Code::upgraded); ++i) {
    if (code && to_string(static_cast<Code>(i)) == *code) error.code = static_cast<Code>(i);
  }
  return error;
}

}  // namespace detail

/// The rest at which the run stands is over.
void Run::Turn::pass() {
  History& history = *run_.history_;
  history.over.push_back(step_.id);
  history.steps[history.position].status = StepStatus::finished;
  ++history.position;
}

/// Records the wait and lays the task to rest, in one transaction.
Result<void> Run::Turn::rest(Transaction& transaction, RunStep& row, Timestamp until,
                             std::int64_t pending) {
  row.status = StepStatus::open;
  if (!is_recorded_) BUREAU_TRY_VOID(put(transaction, row));
  Update lay;
  lay.which = select<Task>().where(col(&Task::id) == run_.task_.id);
  lay.set = {set("status", static_cast<std::int64_t>(TaskStatus::waiting)),
             set("run_at", until.micros()), set("rank", task_rank(until, run_.task_.priority)),
             set("pending", pending)};
  Task rested = run_.task_;
  BUREAU_TRY_VOID(
      transaction.unjournalled().update(lay, [&](std::span<const Value> values) -> Result<bool> {
        from_values(values, rested);
        return true;
      }));
  return detail::lease_ended(transaction, rested);  // its slot is another's meanwhile
}

Unexpected Run::Turn::rested() {
  Error error(Code::suspended,
              fmt::format("run: it rests at step {} \"{}\"", step_.position, step_.name));
  run_.ended(error);
  return fail(std::move(error));
}

Result<void> Run::sleep(Duration duration, std::string_view name) {
  BUREAU_TRY_VOID(check_duration("duration", duration));
  return sleep(queue_.database().clock().now() + duration, name);
}

Result<void> Run::sleep(Timestamp moment, std::string_view name) {
  Turn turn(*this);
  BUREAU_TRY(auto place, turn.begin(StepKind::sleep, name));
  const bool is_recorded = place == Turn::Place::recorded;
  RunStep row = turn.recorded();
  if (is_recorded && row.status != StepStatus::open) return {};
  if (!is_recorded) row.due_at = moment;
  if (row.due_at.value_or(moment) <= queue_.database().clock().now()) {
    if (!is_recorded) return turn.write(std::move(row));
    turn.pass();
    return {};
  }
  BUREAU_TRY_VOID(commit([&](Transaction& tx) { return turn.rest(tx, row, *row.due_at, 0); },
                         WhenCancelled::refuse));
  return turn.rested();
}

// Signals --------------------------------------------------------------------------------------

namespace {

/// What came with the first kept signal of that name that fits; those before it that do not are
/// rejected.
Result<std::optional<Json>> take_signal(Transaction& tx, const RunStep& step,
                                        FunctionRef<Result<void>(const Json&)> fits) {
  std::vector<RunSignal> kept;
  const Select said =
      select<RunSignal>()
          .where(col(&RunSignal::task) == step.task && col(&RunSignal::name) == step.name &&
                 col(&RunSignal::status) == SignalStatus::kept)
          .order_by(col(&RunSignal::id));
  BUREAU_TRY_VOID(tx.reader().scan(said, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, kept.emplace_back());
    return true;
  }));
  for (RunSignal& signal : kept) {
    const RunSignal before = signal;
    Json payload = signal.payload;
    if (signal.sealed_with) {
      BUREAU_TRY(payload, detail::open_json(tx.database(), signal.tenant, "signal",
                                            *signal.sealed_with, signal.payload));
    }
    const auto good = fits(payload);
    signal.status = good ? SignalStatus::taken : SignalStatus::rejected;
    if (good) {
      signal.position = step.position;
    } else {
      signal.error = detail::shortened(detail::to_valid_text(good.error().message), 1000);
    }
    BUREAU_TRY_VOID(tx.replace(table_of<RunSignal>(), detail::RowValues(before).values(),
                               detail::RowValues(signal).values()));
    if (!good) continue;
    return std::optional<Json>(std::move(payload));
  }
  return std::optional<Json>();
}

}  // namespace

Result<std::optional<Json>> Run::wait_for_json(std::string_view name,
                                               std::optional<Duration> timeout,
                                               FunctionRef<Result<void>(const Json&)> fits) {
  if (timeout) BUREAU_TRY_VOID(check_duration("timeout", *timeout));
  Turn turn(*this);
  BUREAU_TRY(auto place, turn.begin(StepKind::signal, name));
  const bool is_recorded = place == Turn::Place::recorded;
  RunStep row = turn.recorded();
  if (is_recorded && row.status == StepStatus::timed_out) return std::optional<Json>();
  if (is_recorded && row.status == StepStatus::finished) return row.result;
  if (!is_recorded && timeout) row.due_at = queue_.database().clock().now() + *timeout;
  const Timestamp due = row.due_at.value_or(Timestamp::never());
  BUREAU_TRY_VOID(commit(
      [&](Transaction& tx) -> Result<void> {
        BUREAU_TRY(auto payload, take_signal(tx, row, fits));
        if (!payload && due > tx.now()) return turn.rest(tx, row, due, 0);
        row.status = payload ? StepStatus::finished : StepStatus::timed_out;
        row.result = std::move(payload);
        return turn.put(tx, row);
      },
      WhenCancelled::refuse));
  if (row.status == StepStatus::open) return turn.rested();
  turn.keep(row);
  return row.result;
}

// Children -------------------------------------------------------------------------------------

Result<Id<Task>> Run::spawn_json(const KindInfo& kind, Json payload, const EnqueueOptions& options,
                                 std::string_view name) {
  if (options.unique_key) {
    return fail(Code::invalid, "unique_key: a child has none; the run spawns it once",
                "unique_key");
  }
  Turn turn(*this);
  BUREAU_TRY(auto place, turn.begin(StepKind::spawn, name.empty() ? kind.name : name));
  if (place == Turn::Place::recorded) return turn.replayed<Result<Id<Task>>>();
  const auto enqueue = [&](Unit& unit) -> Result<Id<Task>> {
    BUREAU_TRY(const auto own, with_budget(unit.transaction().reader(), options));
    BUREAU_TRY(auto made, detail::enqueue_tasks(Scope(unit), kind, {payload}, own, task_.id));
    return made.front().id;
  };
  return turn.in_unit<Result<Id<Task>>>(enqueue);
}

namespace {

/// The task itself, or the one that goes on in its place; none when it is no longer kept.
Result<std::optional<Task>> last_in_line(Reader& reader, Id<Task> id) {
  for (;;) {
    BUREAU_TRY(auto task, detail::find_row(reader, id));
    if (!task || task->status != TaskStatus::completed) return task;
    BUREAU_TRY(const auto successor, detail::successor_of(reader, id));
    if (!successor) return task;
    id = *successor;
  }
}

/// How it ended; none while it has not, then it is among `waits_for`. A child that is no longer
/// kept has ended.
Result<std::optional<Json>> end_of(Transaction& tx, RunStep& join, Id<Task> parent, Id<Task> child,
                                   std::set<Id<Task>>& waits_for) {
  BUREAU_TRY(auto task, last_in_line(tx.reader(), child));
  Json end = Json::object();
  if (!task) {
    end.set("error_code", to_string(Code::gone));
    end.set("error", "child: it is no longer kept");
    return std::optional<Json>(std::move(end));
  }
  if (task->status == TaskStatus::completed) {
    BUREAU_TRY(Json result, detail::result_of(tx.database(), *task));
    end.set("result", std::move(result));
    if (task->sealed_with) join.sealed_with = task->sealed_with;
    return std::optional<Json>(std::move(end));
  }
  if (has_ended(task->status)) {
    end.set("error_code", task->error_code.value_or(std::string(to_string(Code::internal))));
    end.set("error", task->error.value_or(""));
    return std::optional<Json>(std::move(end));
  }
  if (task->parent != parent) {
    return fail(Code::invalid,
                fmt::format("child: {} has not ended, and another run has spawned it; that one is "
                            "told of its end",
                            id::to_text(schema<Task>.prefix, task->id.value)),
                "child");
  }
  waits_for.insert(task->id);
  Update await;
  await.which = select<Task>().where(col(&Task::id) == task->id);
  await.set = {set("awaited", 1)};
  BUREAU_TRY_VOID(tx.unjournalled().update(await));
  return std::optional<Json>();
}

detail::ChildEnd child_end(const Json& end) {
  const auto text = [&](std::string_view name) {
    const Json* member = end.find(name);
    const std::string* value = member == nullptr ? nullptr : member->as_string();
    return value == nullptr ? std::optional<std::string>() : std::optional<std::string>(*value);
  };
  detail::ChildEnd out;
  if (const auto code = text("error_code")) out.error = detail::error_of(code, text("error"));
  if (const Json* result = end.find("result")) out.result = *result;
  return out;
}

}  // namespace

/// Records what `look` finds; when it finds nothing yet, the run rests until `pending` children
/// have ended.
Result<Json> Run::await(
    std::string_view name,
    FunctionRef<Result<std::optional<Json>>(Transaction&, RunStep&, std::int64_t&)> look) {
  Turn turn(*this);
  BUREAU_TRY(auto place, turn.begin(StepKind::join, name));
  RunStep row = turn.recorded();
  if (place == Turn::Place::recorded && row.status != StepStatus::open) {
    return row.result.value_or(Json());
  }
  BUREAU_TRY_VOID(commit(
      [&](Transaction& tx) -> Result<void> {
        std::int64_t pending = 0;
        BUREAU_TRY(auto found, look(tx, row, pending));
        if (!found) return turn.rest(tx, row, Timestamp::never(), pending);
        row.status = StepStatus::finished;
        row.result = std::move(*found);
        return turn.put(tx, row);
      },
      WhenCancelled::refuse));
  if (row.status == StepStatus::open) return turn.rested();
  turn.keep(row);
  return row.result.value_or(Json());
}

Result<std::vector<detail::ChildEnd>> Run::await_all(std::span<const Id<Task>> children,
                                                     std::string_view name) {
  BUREAU_TRY(const Json ends,
             await(name,
                   [&](Transaction& tx, RunStep& join,
                       std::int64_t& pending) -> Result<std::optional<Json>> {
                     Json all = Json::array();
                     std::set<Id<Task>> waits_for;  // each once, however often it is asked for
                     for (const Id<Task> child : children) {
                       BUREAU_TRY(auto end, end_of(tx, join, task_.id, child, waits_for));
                       all.push_back(std::move(end).value_or(Json()));
                     }
                     pending = static_cast<std::int64_t>(waits_for.size());
                     return pending > 0 ? std::optional<Json>()
                                        : std::optional<Json>(std::move(all));
                   }));
  std::vector<detail::ChildEnd> out;
  const Json::Array* list = ends.as_array();
  if (list == nullptr || list->size() != children.size()) {
    return fail(diverged("it joined other children when this was recorded"));
  }
  for (const Json& end : *list) out.push_back(child_end(end));
  return out;
}

Result<std::vector<Result<Json>>> Run::join_all_json(const std::vector<Id<Task>>& children,
                                                     std::string_view name) {
  BUREAU_TRY(auto ends, await_all(children, name));
  std::vector<Result<Json>> out;
  for (detail::ChildEnd& end : ends) {
    if (end.error) {
      out.emplace_back(fail(std::move(*end.error)));
    } else {
      out.emplace_back(std::move(end.result));
    }
  }
  return out;
}

Result<std::size_t> Run::await_any(std::span<const Id<Task>> children, std::string_view name) {
  if (children.empty()) {
    return fail(Code::invalid, "children: the first of none can never end", "children");
  }
  BUREAU_TRY(const Json first,
             await(name,
                   [&](Transaction& tx, RunStep& join,
                       std::int64_t& pending) -> Result<std::optional<Json>> {
                     for (std::size_t i = 0; i < children.size(); ++i) {
                       std::set<Id<Task>> waits_for;
                       BUREAU_TRY(const auto end,
                                  end_of(tx, join, task_.id, children[i], waits_for));
                       if (end) return std::optional<Json>(Json(static_cast<std::int64_t>(i)));
                     }
                     pending = 1;
                     return std::optional<Json>();
                   }));
  const std::int64_t* index = first.as_int();
  if (index == nullptr || static_cast<std::size_t>(*index) >= children.size()) {
    return fail(diverged("it joined other children when this was recorded"));
  }
  return static_cast<std::size_t>(*index);
}

// Handing off ----------------------------------------------------------------------------------

namespace {

/// The successor has what was its predecessor's: who enqueued it, the children that have not ended
/// and, when it is of the same kind, the unique key, which the one before holds until its end.
Result<void> bequeath(Transaction& tx, const Task& task, const Task& successor) {
  const TableInfo& table = table_of<Task>();
  Update heir;
  heir.which = select<Task>().where(col(&Task::id) == successor.id);
  if (task.enqueued_by) {
    heir.set.push_back({table.find("enqueued_by"), Value::integer(task.enqueued_by->value), false});
  }
  if (task.unique_key && successor.kind == task.kind) {
    heir.set.push_back({table.find("unique_key"), Value::text(*task.unique_key), false});
  }
  if (!heir.set.empty()) BUREAU_TRY_VOID(tx.update(heir));
  Update children;
  children.which = select<Task>().where(col(&Task::parent) == task.id &&
                                        col(&Task::status) < TaskStatus::completed);
  children.set = {{table.find("parent"), Value::integer(successor.id.value), false}};
  BUREAU_TRY_VOID(tx.update(children));
  return {};
}

}  // namespace

Unexpected Run::hand_off_json(const KindInfo& kind, Json payload, const EnqueueOptions& options) {
  if (options.unique_key) {
    return fail(Code::invalid, "unique_key: a task of the same kind takes over this one's",
                "unique_key");
  }
  auto handed = hand_over(kind, payload, options);
  if (!handed) return fail(std::move(handed).error());
  return fail(Code::suspended, "run: another task goes on in its place");
}

Result<void> Run::hand_over(const KindInfo& kind, const Json& payload,
                            const EnqueueOptions& options) {
  Turn turn(*this);
  BUREAU_TRY_VOID(turn.begin(StepKind::hand_off, kind.name));
  std::optional<Error> lost;
  auto outcome = session_.write([&](Unit& unit) -> Result<void> {
    lost.reset();
    Transaction& tx = unit.transaction();
    bool awaited = false;  // as the parent has it by now
    Update resign;
    resign.which = select<Task>().where(col(&Task::id) == task_.id && col(&Task::awaited) == true);
    resign.set = {set("awaited", 0)};
    BUREAU_TRY_VOID(tx.unjournalled().update(resign, [&](std::span<const Value>) -> Result<bool> {
      awaited = true;
      return true;
    }));
    BUREAU_TRY(const auto own, with_budget(tx.reader(), options));
    BUREAU_TRY(auto made, detail::enqueue_tasks(Scope(unit), kind, {payload}, own, task_.parent,
                                                awaited, true));
    const auto end = [&]() -> Result<void> {
      BUREAU_TRY_VOID(turn.record_in(unit, detail::RunValue<Id<Task>>::to(made.front().id)));
      BUREAU_TRY_VOID(queue_.complete(tx, task_, Json::object()));
      return bequeath(tx, task_, made.front());
    };
    auto ended = end();
    if (!ended) lost = ended.error();
    return ended;
  });
  if (outcome) turn.written();
  return settle(std::move(outcome), lost);
}

BUREAU_END_NAMESPACE
