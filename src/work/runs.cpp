#include "bureau/work/runs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "access/library_rows.hpp"
#include "core/text.hpp"
#include "store/row_values.hpp"
#include "work/new_task.hpp"
#include "work/run_history.hpp"
#include "work/sealing.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

std::string_view name_of(TaskStatus status) {
  return names<TaskStatus>[static_cast<std::size_t>(status)];
}

/// Writes what the library keeps of a run.
template <Entity T>
Result<T> insert_row(Unit& unit, T row) {
  BUREAU_TRY(row.id.value, unit.transaction().next_id());
  row.tenant = unit.session().principal().tenant;
  row.created_at = unit.now();
  BUREAU_TRY_VOID(unit.transaction().insert(table_of<T>(), detail::RowValues<T>(row).values()));
  return row;
}

void make_ready(Task& task, Timestamp now) {
  task.status = TaskStatus::ready;
  task.run_at = now;
  task.rank = task_rank(now, task.priority);
  task.gate = Gate::open;
  task.pending = 0;
}

Result<void> check_signal(std::string_view name, const Json& payload) {
  if (name.empty() || name.size() > 100 || !is_valid_text(name)) {
    return fail(
        Code::invalid,
        fmt::format("name: a signal's is a text of 1 to 100 bytes; this one has {}", name.size()),
        "name");
  }
  return detail::check_payload(payload);
}

Result<bool> has_signal_with(Reader& reader, Id<Task> task, const std::string& key) {
  bool found = false;
  BUREAU_TRY_VOID(
      reader.scan(select<RunSignal>()
                      .where(col(&RunSignal::task) == task && col(&RunSignal::key) == key)
                      .limit(1),
                  [&](std::span<const Value>) -> Result<bool> {
                    found = true;
                    return false;
                  }));
  return found;
}

}  // namespace

Result<bool> Runs::signal_json(Id<Task> id, std::string_view name, Json payload,
                               std::optional<std::string> key) const {
  BUREAU_TRY_VOID(check_signal(name, payload));
  return tasks_.rows().scope().write([&](Unit& unit) -> Result<bool> {
    BUREAU_TRY(Task task, detail::stored_row(unit, id));
    if (has_ended(task.status)) {
      return fail(Code::conflict,
                  fmt::format("task: it is {}; nothing can be said to it", name_of(task.status)),
                  "task");
    }
    if (key) {
      BUREAU_TRY(const bool said, has_signal_with(unit.transaction().reader(), id, *key));
      if (said) return false;
    }
    // Whoever may change the task may speak to it.
    if (task.status == TaskStatus::waiting) make_ready(task, unit.now());
    BUREAU_TRY_VOID(detail::write_task(unit, task));
    RunSignal signal;
    signal.task = id;
    signal.name = name;
    signal.payload = payload;
    signal.key = key;
    if (const Id<User> user = unit.session().principal().user) signal.sent_by = user;
    if (task.sealed_with) {
      signal.sealed_with = task.sealed_with;
      BUREAU_TRY(signal.payload, detail::seal_json(unit.session().database(), task.tenant, "signal",
                                                   *task.sealed_with, payload));
    }
    BUREAU_TRY_VOID(insert_row(unit, std::move(signal)));
    return true;
  });
}

Result<bool> Runs::answer(std::string_view key, const Result<Json>& answer) const {
  const std::size_t end = key.find('-');
  auto task = end == std::string_view::npos
                  ? Result<std::int64_t>(fail(Code::invalid, "", "key"))
                  : id::from_text(schema<Task>.prefix, key.substr(0, end));
  if (!task) {
    return fail(Code::invalid,
                fmt::format("key: \"{}\" is not that of a call",
                            detail::shortened(detail::to_valid_text(key), 60)),
                "key");
  }
  return signal_json(Id<Task>(*task), detail::answer_signal, detail::answer_payload(answer),
                     std::string(key));
}

Result<std::vector<RunStep>> Runs::steps(Id<Task> id) const {
  std::vector<RunStep> steps;
  BUREAU_TRY_VOID(tasks_.find(id));
  BUREAU_TRY_VOID(tasks_.rows().scope().read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(steps, detail::steps_of(reader, id));
    return {};
  }));
  return steps;
}

Result<std::vector<RunSignal>> Runs::signals_of(Id<Task> id) const {
  std::vector<RunSignal> signals;
  BUREAU_TRY_VOID(tasks_.find(id));
  BUREAU_TRY_VOID(tasks_.rows().scope().read([&](Reader& reader) -> Result<void> {
    signals.clear();
    return reader.scan(
        select<RunSignal>().where(col(&RunSignal::task) == id).order_by(col(&RunSignal::id)),
        [&](std::span<const Value> row) -> Result<bool> {
          from_values(row, signals.emplace_back());
          return true;
        });
  }));
  return signals;
}

Result<std::vector<Task>> Runs::children(Id<Task> id) const {
  BUREAU_TRY_VOID(tasks_.find(id));
  BUREAU_TRY(const auto steps, this->steps(id));
  std::vector<Task> out;
  for (const RunStep& step : steps) {
    if (step.kind != StepKind::spawn || !step.result) continue;
    BUREAU_TRY(const Id<Task> child, detail::RunValue<Id<Task>>::from(*step.result));
    auto task = tasks_.find(child);
    if (task) out.push_back(std::move(*task));
    if (!task && task.error().code != Code::not_found) return fail(task.error());
  }
  return out;
}

namespace {

/// The step about which the task is in doubt.
Result<RunStep> doubtful_step(Unit& unit, const Task& task) {
  BUREAU_TRY(auto steps, detail::steps_of(unit.transaction().reader(), task.id));
  if (task.status == TaskStatus::in_doubt && !steps.empty() &&
      (steps.back().kind == StepKind::step || steps.back().kind == StepKind::request) &&
      steps.back().status == StepStatus::open) {
    return std::move(steps.back());
  }
  return fail(
      Code::conflict,
      fmt::format("status: the task is {}, not in doubt about a step", name_of(task.status)),
      "status");
}

/// `settle` says what is known of the step.
Result<Task> go_on(const Scope& scope, Id<Task> id,
                   FunctionRef<Result<void>(Unit&, const RunStep&, Task&)> settle) {
  return scope.write([&](Unit& unit) -> Result<Task> {
    BUREAU_TRY(Task task, detail::stored_row(unit, id));
    BUREAU_TRY(const RunStep step, doubtful_step(unit, task));
    make_ready(task, unit.now());
    task.failures = std::min(task.failures, task.max_attempts - 1);
    task.cancel_requested = false;
    BUREAU_TRY(task, detail::write_task(unit, task));
    BUREAU_TRY_VOID(settle(unit, step, task));
    return detail::as_seen(unit, std::move(task));
  });
}

}  // namespace

Result<Task> Runs::resolve_step(Id<Task> id, Json result, std::string_view reason) const {
  BUREAU_TRY_VOID(detail::check_payload(result));
  return go_on(tasks_.rows().scope(), id,
               [&](Unit& unit, const RunStep& step, Task&) -> Result<void> {
                 RunStep known = step;
                 known.status = StepStatus::finished;
                 known.result = result;
                 if (detail::is_sealed(known)) {
                   BUREAU_TRY(known, detail::sealed(unit.session().database(), known));
                 }
                 known.error = std::string(reason);
                 known.finished_at = unit.now();
                 return detail::replace_step(unit.transaction(), step, known);
               });
}

Result<Task> Runs::probe_again(Id<Task> id) const {
  return go_on(tasks_.rows().scope(), id,
               [](Unit&, const RunStep&, Task&) -> Result<void> { return {}; });
}

namespace {

Result<void> check_position(const std::vector<RunStep>& steps, std::int64_t position) {
  if (position >= 0 && position <= static_cast<std::int64_t>(steps.size())) return {};
  return fail(Code::invalid,
              fmt::format("position: {} is not from 0 to {}, the number of its steps", position,
                          steps.size()),
              "position");
}

/// What was said to the steps from `position` on is said again.
Result<void> say_again(Transaction& tx, Id<Task> task, std::int64_t position) {
  const TableInfo& signals = table_of<RunSignal>();
  Update keep;
  keep.which = select<RunSignal>().where(
      col(&RunSignal::task) == task &&
      ((col(&RunSignal::status) == SignalStatus::taken && col(&RunSignal::position) >= position) ||
       col(&RunSignal::status) == SignalStatus::rejected));
  keep.set = {{signals.find("status"),
               Value::integer(static_cast<std::int64_t>(SignalStatus::kept)), false},
              {signals.find("position"), Value(), false}};
  BUREAU_TRY_VOID(tx.update(keep));
  return {};
}

}  // namespace

Result<Task> Runs::retry_from(Id<Task> id, std::int64_t position) const {
  return tasks_.rows().scope().write([&](Unit& unit) -> Result<Task> {
    BUREAU_TRY(Task task, detail::stored_row(unit, id));
    if (task.status == TaskStatus::running || task.status == TaskStatus::completed ||
        task.status == TaskStatus::cancelled) {
      return fail(
          Code::conflict,
          fmt::format("status: a run that is {} cannot be done again", name_of(task.status)),
          "status");
    }
    BUREAU_TRY(const auto steps, detail::steps_of(unit.transaction().reader(), id));
    BUREAU_TRY_VOID(check_position(steps, position));
    make_ready(task, unit.now());
    task.failures = 0;
    task.finished_at.reset();
    task.cancel_requested = false;
    BUREAU_TRY(task, detail::write_task(unit, task));
    BUREAU_TRY_VOID(unit.transaction().remove(
        select<RunStep>().where(col(&RunStep::task) == id && col(&RunStep::position) >= position)));
    BUREAU_TRY_VOID(say_again(unit.transaction(), id, position));
    const bool asks = position < static_cast<std::int64_t>(steps.size()) &&
                      steps.back().kind == StepKind::approval &&
                      steps.back().status == StepStatus::open;
    if (asks) BUREAU_TRY_VOID(detail::withdraw_approvals(unit.transaction(), id));
    return detail::as_seen(unit, std::move(task));
  });
}

Result<Task> Runs::fork_from(Id<Task> id, std::int64_t position) const {
  return tasks_.rows().scope().write([&](Unit& unit) -> Result<Task> {
    const Repository<Task> tasks{Scope(unit)};
    BUREAU_TRY(const Task task, detail::stored_row(unit, id));
    BUREAU_TRY(const auto steps, detail::steps_of(unit.transaction().reader(), id));
    BUREAU_TRY_VOID(check_position(steps, position));
    KindInfo kind;
    kind.name = task.kind;
    kind.queue = task.queue;
    kind.effect = task.effect;
    kind.run_as = task.run_as;
    kind.retry.max_attempts = static_cast<int>(task.max_attempts);
    kind.time_limit = task.time_limit;
    EnqueueOptions options;
    options.priority = task.priority;
    options.budget = task.budget;
    Task made = detail::new_task(kind, task.payload, options, unit.now(), {});
    if (const Id<User> user = unit.session().principal().user) made.enqueued_by = user;
    made.sealed_with = task.sealed_with;
    made.attempt = 1;  // it has something behind it
    BUREAU_TRY(made, detail::insert_taking_over(Scope(unit), made, {"budget"}));
    for (const RunStep& step : steps) {
      if (step.position >= position) break;
      RunStep copy = step;
      copy.task = made.id;
      copy.attempt = 0;
      const bool rests = copy.kind == StepKind::sleep;
      if (copy.status == StepStatus::open && !rests) break;  // what is open is not behind it
      BUREAU_TRY_VOID(detail::insert_step(unit.transaction(), copy));
    }
    return made;
  });
}

BUREAU_END_NAMESPACE
