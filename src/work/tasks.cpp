#include "bureau/work/tasks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "access/library_rows.hpp"
#include "access/rights.hpp"
#include "work/new_task.hpp"
#include "work/run_history.hpp"
#include "work/sealing.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE

std::int64_t task_rank(Timestamp run_at, Priority priority) {
  using std::chrono::hours;
  using std::chrono::minutes;
  Duration boost{0};
  switch (priority) {
    case Priority::low:
      break;
    case Priority::normal:
      boost = minutes(10);
      break;
    case Priority::high:
      boost = minutes(40);
      break;
    case Priority::urgent:
      boost = hours(4);
      break;
  }
  return (run_at - boost).micros();
}

namespace {

Result<void> check_enqueue(const KindInfo& kind, const std::vector<Json>& payloads,
                           const EnqueueOptions& options) {
  if (const auto wrong = check_kind(kind); !wrong.empty()) {
    return fail(Code::invalid, fmt::format("kind \"{}\": {}", kind.name, wrong), "kind");
  }
  if (options.delay < Duration(0)) {
    return fail(Code::invalid,
                fmt::format("delay: {} us is negative; a task cannot run before now",
                            options.delay.count()),
                "delay");
  }
  if (options.unique_key && payloads.size() != 1) {
    return fail(Code::invalid, "unique_key: goes with a single task, not with many", "unique_key");
  }
  if (options.unique_key && options.unique_key->empty()) {
    return fail(Code::invalid, "unique_key: must not be empty", "unique_key");
  }
  if (options.unique_for < Duration(0)) {
    return fail(Code::invalid,
                fmt::format("unique_for: {} us is negative", options.unique_for.count()),
                "unique_for");
  }
  if (!options.unique_key &&
      (options.unique_for > Duration(0) || options.on_conflict != OnConflict::ignore)) {
    return fail(Code::invalid,
                "unique_key: on_conflict and unique_for go with a key; none is given",
                "unique_key");
  }
  if (options.flow_key && options.flow_key->empty()) {
    return fail(Code::invalid, "flow_key: must not be empty", "flow_key");
  }
  for (const Json& payload : payloads) BUREAU_TRY_VOID(detail::check_payload(payload));
  return {};
}

Result<void> check_deadline(const EnqueueOptions& options, Timestamp now) {
  if (!options.deadline) return {};
  const Timestamp first = std::max(now, options.run_at.value_or(now + options.delay));
  if (*options.deadline > first) return {};
  return fail(Code::invalid,
              fmt::format("deadline: {} is not after {}, when the task may run first",
                          options.deadline->to_string(), first.to_string()),
              "deadline");
}

}  // namespace

namespace detail {

Result<void> check_payload(const Json& payload) {
  const std::size_t size = payload.dump().size();
  if (size <= max_payload_bytes) return {};
  return fail(Code::invalid,
              fmt::format("payload: {} bytes, the limit is {}", size, max_payload_bytes),
              "payload");
}

Task new_task(const KindInfo& kind, Json payload, const EnqueueOptions& options, Timestamp now,
              std::optional<Id<User>> enqueuer) {
  Task task;
  task.queue = kind.queue;
  task.kind = kind.name;
  task.effect = kind.effect;
  task.run_as = kind.run_as;
  task.priority = options.priority;
  task.payload = std::move(payload);
  task.max_attempts = kind.retry.max_attempts;
  task.time_limit = kind.time_limit;
  task.run_at = options.run_at.value_or(now + options.delay);
  task.status = task.run_at > now ? TaskStatus::scheduled : TaskStatus::ready;
  task.rank = task_rank(task.run_at, task.priority);
  task.unique_key = options.unique_key;
  task.flow_key = options.flow_key;
  task.budget = options.budget;
  task.deadline = options.deadline;
  task.enqueued_by = enqueuer;
  return task;
}

Result<Task> write_task(Unit& unit, const Task& task) {
  constexpr std::array<std::string_view, 11> kept{
      "status",  "failures",    "run_at",     "rank",  "priority",        "gate",
      "pending", "finished_at", "error_code", "error", "cancel_requested"};
  return update_working_out(Scope(unit), task, kept);
}

Predicate holds_key(std::string_view kind, std::string_view unique_key) {
  return col(&Task::kind) == std::string(kind) &&
         col(&Task::unique_key) == std::string(unique_key) &&
         col(&Task::status) < TaskStatus::completed;
}

}  // namespace detail

namespace {

void end(Task& task, TaskStatus status, std::string_view reason, Timestamp now) {
  task.status = status;
  task.finished_at = now;
  task.error = std::string(reason);
}

/// The task that keeps a new one with its key from being made. Cancels the one that the new one
/// replaces.
Result<std::optional<Task>> present_with_key(Unit& unit, const KindInfo& kind,
                                             const EnqueueOptions& options) {
  const Repository<Task> tasks{Scope(unit)};
  const Timestamp now = unit.now();
  BUREAU_TRY(auto present, tasks.first(detail::holds_key(kind.name, *options.unique_key)));
  if (present && options.on_conflict == OnConflict::replace &&
      present->status <= TaskStatus::ready) {
    BUREAU_TRY(Task replaced, detail::stored_row(unit, present->id));
    end(replaced, TaskStatus::cancelled, "replaced by a newer task with its key", now);
    replaced.error_code = std::string(to_string(Code::cancelled));
    BUREAU_TRY(const Task ended, detail::write_task(unit, replaced));
    BUREAU_TRY_VOID(detail::after_end(unit.transaction(), ended));
    return std::optional<Task>();
  }
  if (present || options.unique_for <= Duration(0)) return present;
  return tasks.first(col(&Task::kind) == std::string(kind.name) &&
                         col(&Task::unique_key) == *options.unique_key &&
                         col(&Task::status) == TaskStatus::completed &&
                         col(&Task::created_at) > now - options.unique_for,
                     {{&col(&Task::created_at).info(), true}});
}

}  // namespace

Result<std::vector<Task>> Tasks::enqueue_json(const KindInfo& kind, std::vector<Json> payloads,
                                              const EnqueueOptions& options) const {
  return detail::enqueue_tasks(repository_.rows().scope(), kind, payloads, options);
}

Result<std::vector<Task>> detail::enqueue_tasks(const Scope& scope, const KindInfo& kind,
                                                const std::vector<Json>& payloads,
                                                const EnqueueOptions& options,
                                                std::optional<Id<Task>> parent, bool awaited,
                                                bool takes_over) {
  BUREAU_TRY_VOID(check_enqueue(kind, payloads, options));
  const Principal& who = scope.session().principal();
  if (kind.run_as == RunAs::enqueuer && who.kind() == PrincipalKind::agent) {
    return fail(Code::forbidden,
                fmt::format("kind \"{}\": it runs with the rights of the user who enqueues it; the "
                            "agent \"{}\" is no user",
                            kind.name, who.agent),
                "run_as");
  }
  std::optional<std::string> key;
  if (kind.is_encrypted) {
    BUREAU_TRY(key, sealing_key(scope.session().database(), kind.name));
  }
  std::vector<Task> made;
  const auto insert = [&](Unit& unit) -> Result<void> {
    made.clear();  // it may run again
    const Repository<Task> tasks{Scope(unit)};
    std::vector<Task> rows;
    rows.reserve(payloads.size());
    std::optional<Id<User>> enqueuer;
    if (const Id<User> user = unit.session().principal().user) enqueuer = user;
    BUREAU_TRY_VOID(check_deadline(options, unit.now()));
    for (const Json& payload : payloads) {
      rows.push_back(detail::new_task(kind, payload, options, unit.now(), enqueuer));
      Task& row = rows.back();
      row.parent = parent;
      row.awaited = awaited;
      if (!key) continue;
      row.sealed_with = key;
      BUREAU_TRY(row.payload,
                 seal_json(scope.session().database(), who.tenant, "payload", *key, row.payload));
    }
    if (options.unique_key) {
      BUREAU_TRY(auto present, present_with_key(unit, kind, options));
      if (present) {
        made = {std::move(*present)};
        return {};
      }
    }
    if (!parent && !takes_over) {
      BUREAU_TRY(made, tasks.insert_all(std::move(rows)));
      return {};
    }
    for (const Task& row : rows) {  // whether the run is in its own sight is not asked
      BUREAU_TRY(Task child, detail::insert_taking_over(Scope(unit), row, {"parent", "budget"}));
      made.push_back(std::move(child));
    }
    return {};
  };
  // On whichever thread is writing: there is nothing of the caller's in it.
  BUREAU_TRY_VOID(SessionDoor::write(scope, insert, true));
  return made;
}

namespace {

Error illegal(const Task& task, TaskStatus to) {
  const auto& status_names = names<TaskStatus>;
  return {Code::conflict,
          fmt::format("status: a task that is {} cannot become {}",
                      status_names[static_cast<std::size_t>(task.status)],
                      status_names[static_cast<std::size_t>(to)]),
          "status"};
}

/// Ready again, its attempts granted anew.
void drive_again(Task& task, Timestamp now) {
  task.status = TaskStatus::ready;
  task.failures = 0;  // the attempt number goes on: it fences, so it must never repeat
  task.run_at = now;
  task.rank = task_rank(now, task.priority);
  task.finished_at.reset();
  task.cancel_requested = false;
}

/// Changes a task, and sees to what follows when that ends it.
Result<Task> change(const Repository<Task>& tasks, Id<Task> id,
                    FunctionRef<Result<void>(Task&, Unit&)> how) {
  return tasks.rows().scope().write([&](Unit& unit) -> Result<Task> {
    BUREAU_TRY(Task task, detail::stored_row(unit, id));
    BUREAU_TRY_VOID(how(task, unit));
    BUREAU_TRY(task, detail::write_task(unit, task));
    if (has_ended(task.status)) BUREAU_TRY_VOID(detail::after_end(unit.transaction(), task));
    return detail::as_seen(unit, std::move(task));
  });
}

}  // namespace

Result<Task> Tasks::find(Id<Task> id) const { return repository_.find(id); }

Result<std::vector<Task>> Tasks::list(const Query& query) const { return repository_.list(query); }

Result<std::uint64_t> Tasks::count(const Predicate& where) const {
  return repository_.count(where);
}

namespace {

/// How long a wait relies on being told of commits: another process's may be missed.
constexpr Duration look_again = std::chrono::milliseconds(250);

/// Commits as they are hinted at, for one that waits.
struct Hint {
  std::mutex mutex;
  std::condition_variable changed;
  bool hinted = false;

  void wait(Clock& clock, Monotonic until) {
    std::unique_lock lock(mutex);
    if (!hinted) clock.wait_until(lock, changed, until);
    hinted = false;
  }
};

}  // namespace

Result<Task> Tasks::wait(Id<Task> id, Duration timeout) const {
  const Scope& scope = repository_.rows().scope();
  if (scope.is_bound()) {
    return fail(Code::invalid, "wait: what is read in a unit or a view stands still", "scope");
  }
  Database& database = scope.session().database();
  Clock& clock = database.clock();
  const auto hint = std::make_shared<Hint>();
  BUREAU_TRY(const auto subscription, database.storage().on_commit([hint] {
    std::lock_guard lock(hint->mutex);
    hint->hinted = true;
    hint->changed.notify_all();
  }));
  const Monotonic deadline = clock.monotonic() + timeout;
  for (;;) {
    const Monotonic now = clock.monotonic();
    BUREAU_TRY(Task task, find(id));
    std::optional<Id<Task>> successor;
    if (task.status == TaskStatus::completed) {
      BUREAU_TRY_VOID(scope.read([&](Reader& reader) -> Result<void> {
        BUREAU_TRY(successor, detail::successor_of(reader, id));
        return {};
      }));
    }
    if (successor) {
      id = *successor;
      continue;
    }
    if (has_ended(task.status)) return task;
    if (now >= deadline) {
      return fail(Code::deadline, fmt::format("task {}: it has not ended",
                                              id::to_text(schema<Task>.prefix, id.value)));
    }
    hint->wait(clock, std::min(deadline, now + look_again));
  }
}

Result<Json> Tasks::result_of(Id<Task> id, Duration timeout) const {
  BUREAU_TRY(const Task task, wait(id, timeout));
  if (task.status == TaskStatus::completed) {
    if (!task.result) return Json::object();
    return detail::result_of(repository_.rows().scope().session().database(), task);
  }
  return fail(detail::error_of(task.error_code, task.error));
}

Result<Json> Tasks::payload_of(std::string_view kind, const Task& task) const {
  if (task.kind == kind) {
    return detail::payload_of(repository_.rows().scope().session().database(), task);
  }
  return fail(Code::invalid, fmt::format("kind: the task is a \"{}\", no \"{}\"", task.kind, kind),
              "kind");
}

Result<Task> Tasks::cancel(Id<Task> id, std::string_view reason) const {
  return change(repository_, id, [&](Task& task, Unit& unit) -> Result<void> {
    if (has_ended(task.status)) return fail(illegal(task, TaskStatus::cancelled));
    if (task.status == TaskStatus::running) {
      // Its worker sees the wish; the row becomes cancelled when the handler has returned.
      task.cancel_requested = true;
      task.error = std::string(reason);
      return {};
    }
    end(task, TaskStatus::cancelled, reason, unit.now());
    task.error_code = std::string(to_string(Code::cancelled));
    return {};
  });
}

Result<Task> Tasks::snooze(Id<Task> id, Timestamp until) const {
  const Timestamp now = repository_.rows().scope().session().database().clock().now();
  if (until <= now) {
    return fail(Code::invalid, fmt::format("until: {} is not to come", until.to_string()), "until");
  }
  return change(repository_, id, [&](Task& task, Unit&) -> Result<void> {
    if (task.status > TaskStatus::ready) return fail(illegal(task, TaskStatus::scheduled));
    task.status = TaskStatus::scheduled;
    task.run_at = until;
    task.rank = task_rank(until, task.priority);
    return {};
  });
}

Result<Task> Tasks::set_priority(Id<Task> id, Priority priority) const {
  return change(repository_, id, [&](Task& task, Unit&) -> Result<void> {
    if (has_ended(task.status)) {
      return fail(Code::conflict,
                  fmt::format("status: a task that is {} runs no more, whatever its priority",
                              names<TaskStatus>[static_cast<std::size_t>(task.status)]),
                  "status");
    }
    task.priority = priority;
    task.rank = task_rank(task.run_at, priority);
    return {};
  });
}

Result<Task> Tasks::redrive(Id<Task> id) const {
  return change(repository_, id, [&](Task& task, Unit& unit) -> Result<void> {
    if (task.status != TaskStatus::dead) return fail(illegal(task, TaskStatus::ready));
    drive_again(task, unit.now());
    return {};
  });
}

Result<std::uint64_t> Tasks::redrive_all(const Predicate& where, std::uint64_t limit) const {
  return repository_.rows().scope().write([&](Unit& unit) -> Result<std::uint64_t> {
    const Repository<Task> tasks{Scope(unit)};
    Query dead;
    dead.where = col(&Task::status) == TaskStatus::dead && where;
    dead.order = {{&col(&Task::id).info(), false}};
    dead.limit = limit;
    BUREAU_TRY(auto found, tasks.list(dead));
    for (const Task& given_up : found) {
      BUREAU_TRY(Task task, detail::stored_row(unit, given_up.id));
      drive_again(task, unit.now());
      BUREAU_TRY_VOID(detail::write_task(unit, task));
    }
    return static_cast<std::uint64_t>(found.size());
  });
}

Result<void> Tasks::remove(Id<Task> id) const {
  return repository_.rows().scope().write([&](Unit& unit) -> Result<void> {
    Transaction& tx = unit.transaction();
    BUREAU_TRY(const Task task, detail::stored_row(unit, id));
    std::optional<Task> parent;
    if (task.parent) {
      BUREAU_TRY(parent, detail::find_row(tx.reader(), *task.parent));
    }
    if (!has_ended(task.status) || (parent && !has_ended(parent->status))) {
      const bool own = !has_ended(task.status);
      return fail(
          Code::conflict,
          fmt::format(
              "status: {} {}; only what has ended is removed",
              own ? "the task is" : "the run that spawned it is",
              names<TaskStatus>[static_cast<std::size_t>(own ? task.status : parent->status)]),
          "status");
    }
    BUREAU_TRY_VOID(detail::write_task(unit, task));  // whoever may change it may remove it
    BUREAU_TRY_VOID(detail::remove_parts(tx, std::span(&id, 1)));
    BUREAU_TRY_VOID(tx.remove(select<Task>().where(col(&Task::id) == id)));
    return {};
  });
}

Result<Task> Tasks::resolve(Id<Task> id, TaskStatus outcome, std::string_view reason) const {
  return change(repository_, id, [&](Task& task, Unit& unit) -> Result<void> {
    if (task.status != TaskStatus::in_doubt || !may_become(task.status, outcome)) {
      return fail(illegal(task, outcome));
    }
    if (outcome == TaskStatus::ready) {
      task.status = TaskStatus::ready;
      task.failures = std::min(task.failures, task.max_attempts - 1);  // one more at least
      task.run_at = unit.now();
      task.rank = task_rank(task.run_at, task.priority);
      task.cancel_requested = false;  // what was wanted of the attempt in doubt
      return detail::forget_intents(unit.transaction(), id);
    }
    end(task, outcome, reason, unit.now());
    return {};
  });
}

BUREAU_END_NAMESPACE
