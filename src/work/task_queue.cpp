#include "bureau/work/task_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "bureau/work/tasks.hpp"
#include "core/stable_hash.hpp"
#include "core/text.hpp"
#include "store/row_pages.hpp"
#include "store/row_values.hpp"
#include "work/call_door.hpp"
#include "work/claim.hpp"
#include "work/due_work.hpp"
#include "work/sealing.hpp"
#include "work/spend.hpp"
#include "work/task_columns.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::add;
using detail::by_system;
using detail::columns;
using detail::leased;
using detail::portable;
using detail::set;
using Columns = detail::TaskColumns;

constexpr std::size_t max_error_bytes = 4000;

}  // namespace

Duration retry_pause(const Retry& retry, std::int64_t attempt, Random& random) {
  const double raw =
      static_cast<double>(retry.base.count()) *
      std::pow(retry.factor, static_cast<double>(std::max<std::int64_t>(0, attempt - 1)));
  double pause = std::min(raw, static_cast<double>(retry.cap.count()));
  if (retry.jitter) pause *= 0.5 + 0.5 * random.unit();
  return Duration(static_cast<std::int64_t>(pause));
}

Duration retry_pause(const Retry& retry, Code code, std::int64_t attempt, Random& random) {
  const Retry::ForCode* said = retry.on(code);
  if (said == nullptr) return retry_pause(retry, attempt, random);
  Retry of_code = retry;
  of_code.base = said->pause.base;
  of_code.cap = said->pause.cap;
  of_code.factor = said->pause.factor;
  return retry_pause(of_code, attempt, random);
}

/// What a process remembers of flow control. Nothing depends on it but who comes first.
struct TaskQueue::Flow {
  std::mutex mutex;
  std::map<std::string, detail::TenantTurn, std::less<>> turns;  // by queue
  std::map<std::string, bool, std::less<>> keeps;  // by queue: its last lease had to be kept
  detail::HeldGroup looked_at;
  Monotonic next_look{};
  std::vector<Task> untold;  // what claims may have leased whose outcome is not known
};

TaskQueue::TaskQueue(Database& database, Options options)
    : database_(database),
      options_(options),
      flow_(std::make_unique<Flow>()),
      call_door_(std::make_shared<detail::CallDoor>(database)) {}
TaskQueue::~TaskQueue() { call_door_->close(); }

Result<std::uint64_t> TaskQueue::see_to_budgets() { return detail::see_to_spendings(database_); }

namespace {

/// How many groups of held tasks a claim looks at, how often, and how many admit() does.
constexpr std::size_t groups_beside_claim = 256;
constexpr Duration look_pause = std::chrono::milliseconds(100);
constexpr std::size_t groups_at_once = 1000;
/// And how many tasks it makes ready.
constexpr std::uint64_t due_at_once = 1000;

/// All claims of a queue want the same tasks.
std::uint32_t claim_lane(std::string_view queue) {
  return static_cast<std::uint32_t>(detail::stable_hash(queue)) | 0x80000000U;
}

/// What a power cut may take of a lease is that there was one. Of an effect that must not be made
/// twice it is all that is known afterwards.
bool must_keep(const std::vector<Task>& leased) {
  return std::any_of(leased.begin(), leased.end(),
                     [](const Task& task) { return task.effect == Effect::external_unsafe; });
}

/// Makes ready what is to be before a claim, and lets those through whom nothing holds back any
/// more, from that group on. Mostly there is nothing to do, and that is known in the turn in which
/// the claim looks for the first time.
Result<void> prepare(Transaction& tx, detail::Claim& claim, detail::HeldGroup* held) {
  const detail::DueWork due(tx.now());
  const Select gates = detail::any_held();
  bool holds = false;
  const auto note = [&](std::span<const Value>) -> Result<bool> {
    holds = true;
    return false;
  };
  const auto looks = due.scans();
  std::vector<Scan> scans(looks.begin(), looks.end());
  if (held != nullptr) scans.push_back({&gates, note});
  BUREAU_TRY_VOID(claim.look(std::move(scans)));
  if (held != nullptr && !holds) *held = {};
  if (!due.any() && !holds) return {};
  BUREAU_TRY_VOID(due.see_to(tx, due_at_once));
  if (holds)
    BUREAU_TRY_VOID(detail::admit(tx.unjournalled(), *held, groups_beside_claim, tx.now()));
  return claim.look({});
}

}  // namespace

Result<std::vector<Task>> TaskQueue::claim(const ClaimOptions& options,
                                           std::span<Database::Write> before) {
  BUREAU_TRY(auto node, database_.node());
  std::unique_lock lock(flow_->mutex);
  const detail::TenantTurn turn = flow_->turns[options.queue];
  const bool looks = database_.clock().monotonic() >= flow_->next_look;
  detail::HeldGroup at = flow_->looked_at;
  bool keep = !before.empty() || flow_->keeps[options.queue];
  lock.unlock();
  std::vector<Task> tasks;
  detail::TenantTurn next = turn;
  bool left_off = true;
  for (bool first = true; tasks.empty() && left_off;) {
    bool again = false;  // so that it is kept
    const auto lease = [&](Transaction& tx) -> Result<void> {
      detail::HeldGroup group = at;
      detail::Claim claim(tx, options, node, turn);
      BUREAU_TRY_VOID(prepare(tx, claim, first && looks ? &group : nullptr));
      BUREAU_TRY(tasks, claim.run());
      again = !keep && must_keep(tasks);
      if (again) return bureau::fail(Code::busy, "the lease must be kept");
      next = claim.turn();
      left_off = claim.left_off();
      if (first) at = group;
      return {};
    };
    Result<void> leased;
    if (first && !before.empty()) {
      std::vector<Database::Write> writes(before.begin(), before.end());
      writes.push_back({portable(), by_system, lease, {}});
      writes.back().options.lane = claim_lane(options.queue);
      database_.write_all(writes);
      for (std::size_t i = 0; i < before.size(); ++i) {
        before[i].result = std::move(writes[i].result);
      }
      leased = std::move(writes.back().result);
    } else {
      WriteOptions how = keep ? portable() : detail::liveness();
      how.lane = claim_lane(options.queue);
      leased = database_.write(how, by_system, lease);
      if (again) {
        keep = true;
        tasks.clear();
        continue;
      }
    }
    if (!leased && leased.error().code == Code::unknown_outcome) note_claim(tasks, false);
    BUREAU_TRY_VOID(std::move(leased));
    first = false;
  }
  note_claim(tasks, true);
  lock.lock();
  flow_->turns[options.queue] = next;
  flow_->keeps[options.queue] = must_keep(tasks);
  if (looks) {
    flow_->looked_at = at;
    flow_->next_look = database_.clock().monotonic() + look_pause;
  }
  lock.unlock();
  std::sort(tasks.begin(), tasks.end(), [](const Task& a, const Task& b) {
    return std::pair(a.rank, a.id) < std::pair(b.rank, b.id);
  });
  return tasks;
}

/// A lease that this node has without knowing would be kept for as long as it lives.
void TaskQueue::note_claim(const std::vector<Task>& tasks, bool is_known) {
  const std::lock_guard lock(flow_->mutex);
  std::vector<Task>& untold = flow_->untold;
  if (!is_known) {
    untold.insert(untold.end(), tasks.begin(), tasks.end());
  } else if (!untold.empty()) {
    // The attempt that was leased now cannot have been leased then.
    std::erase_if(untold, [&](const Task& one) {
      return std::any_of(tasks.begin(), tasks.end(),
                         [&](const Task& task) { return task.id == one.id; });
    });
  }
}

Result<std::uint64_t> TaskQueue::give_back_untold() {
  std::vector<Task> untold;
  {
    const std::lock_guard lock(flow_->mutex);
    untold = flow_->untold;
  }
  if (untold.empty()) return 0;
  BUREAU_TRY(const auto node, database_.node());
  std::vector<Task> leased;
  std::vector<Id<Task>> open;  // not made, or not yet
  BUREAU_TRY_VOID(database_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    leased.clear();
    open.clear();
    for (const Task& task : untold) {
      BUREAU_TRY(const auto row, detail::find_row(reader, task.id));
      if (!row) continue;
      if (row->attempt < task.attempt) open.push_back(task.id);
      // That moment tells it from a later claim that leased the same attempt.
      const bool ours = row->status == TaskStatus::running && row->attempt == task.attempt &&
                        row->node == node.number && row->generation == node.generation &&
                        row->started_at == task.started_at;
      if (ours) leased.push_back(task);
    }
    return {};
  }));
  BUREAU_TRY_VOID(release(leased));
  const std::lock_guard lock(flow_->mutex);
  std::erase_if(flow_->untold, [&](const Task& one) {
    const auto is_it = [&](const Task& task) {
      return task.id == one.id && task.attempt == one.attempt;
    };
    return std::any_of(untold.begin(), untold.end(), is_it) &&
           std::find(open.begin(), open.end(), one.id) == open.end();
  });
  return leased.size();
}

Result<std::uint64_t> TaskQueue::admit() {
  detail::HeldGroup from;
  {
    const std::lock_guard lock(flow_->mutex);
    from = flow_->looked_at;
  }
  bool any = false;  // a write that changes nothing would wake everybody
  BUREAU_TRY_VOID(database_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const auto first, detail::next_held(reader, {}));
    any = first.has_value();
    return {};
  }));
  if (!any) return 0;
  detail::HeldGroup at;
  std::uint64_t admitted = 0;
  BUREAU_TRY_VOID(database_.write(portable(), by_system, [&](Transaction& tx) -> Result<void> {
    at = from;
    BUREAU_TRY(admitted, detail::admit(tx.unjournalled(), at, groups_at_once, tx.now()));
    return {};
  }));
  const std::lock_guard lock(flow_->mutex);
  flow_->looked_at = at;
  return admitted;
}

Result<std::uint64_t> TaskQueue::promote(std::uint64_t limit) {
  std::uint64_t promoted = 0;
  BUREAU_TRY_VOID(database_.write(portable(), by_system, [&](Transaction& tx) -> Result<void> {
    const detail::DueWork due(tx.now());
    BUREAU_TRY_VOID(tx.reader().scan_all(due.scans()));
    BUREAU_TRY(promoted, due.see_to(tx, limit));
    return {};
  }));
  return promoted;
}

namespace {

/// Rows as they were read, and as they will be.
class Completing {
 public:
  Completing(Transaction& tx, const Database::Node& node) : tx_(tx), node_(node) {}

  /// Reads the tasks of those completions whose lease holds, whole: an update that gives back what
  /// it made costs SQLite a table of its own.
  Result<void> read(std::span<const TaskQueue::Completion> completions) {
    std::vector<std::int64_t> ids;
    ids.reserve(completions.size());
    for (std::vector<Value>* rows : {&stored_.values(), &before_, &after_}) {
      rows->reserve(completions.size() * columns().table.width());
    }
    for (const auto& one : completions) ids.push_back(one.task.value);
    const auto take = [&](std::span<const Value> row) -> Result<bool> {
      if (!is_held(row)) return true;
      places_.push_back({row[0].as_integer(), stored_.rows()});
      stored_.add(row);
      return true;
    };
    BUREAU_TRY_VOID(tx_.reader().find_all(columns().table, ids, take));
    std::sort(places_.begin(), places_.end(),
              [](const Place& a, const Place& b) { return a.id < b.id; });
    return {};
  }

  /// False when the lease of that attempt does not hold, or ended with a completion before.
  bool add(const TaskQueue::Completion& one) {
    const Columns& c = columns();
    const auto place = std::lower_bound(places_.begin(), places_.end(), one.task.value,
                                        [](const Place& a, std::int64_t id) { return a.id < id; });
    if (place == places_.end() || place->id != one.task.value || place->has_ended) return false;
    const std::span<const Value> stored = stored_.row(place->row);
    if (stored[c.attempt->index].as_integer() != one.attempt) return false;
    place->has_ended = true;
    results_.push_back(one.result.dump());
    const Value now = Value::integer(tx_.now().micros());
    const std::size_t begin = before_.size();
    for (std::vector<Value>* rows : {&before_, &after_}) {
      rows->insert(rows->end(), stored.begin(), stored.end());
    }
    const auto set = [&](const ColumnInfo* column, Value value) {
      after_[begin + column->index] = value;
    };
    set(c.status, Value::integer(static_cast<std::int64_t>(TaskStatus::completed)));
    set(c.result, Value::text(results_.back()));
    set(c.finished_at, now);
    set(c.updated_at, now);
    set(c.version, Value::integer(before_[begin + c.version->index].as_integer() + 1));
    set(c.error, Value());
    set(c.error_code, Value());
    set(c.progress, Value::real(1));
    return true;
  }

  /// Writes all, and lets go on whoever waited for them.
  Result<void> write() {
    const Columns& c = columns();
    BUREAU_TRY_VOID(tx_.replace_all(c.table, before_, after_));
    for (std::size_t at = 0; at < before_.size(); at += c.table.width()) {
      const auto was = [&](const ColumnInfo* column) { return before_[at + column->index]; };
      if (was(c.awaited).as_integer() != 0) {
        BUREAU_TRY_VOID(detail::after_end(tx_, Id<Task>(before_[at].as_integer()),
                                          Id<Task>(was(c.parent).as_integer()), true,
                                          TaskStatus::completed));
      }
      if (was(c.gate).as_integer() == static_cast<std::int64_t>(Gate::admitted)) {
        BUREAU_TRY_VOID(detail::admit_next(tx_.unjournalled(),
                                           Id<Tenant>(was(c.tenant).as_integer()),
                                           std::string(was(c.flow_key).as_text())));
      }
    }
    return {};
  }

 private:
  [[nodiscard]] bool is_held(std::span<const Value> row) const {
    const Columns& c = columns();
    const auto is = [&](const ColumnInfo* column, std::int64_t value) {
      return !row[column->index].is_null() && row[column->index].as_integer() == value;
    };
    return is(c.status, static_cast<std::int64_t>(TaskStatus::running)) &&
           is(c.node, node_.number) && is(c.generation, node_.generation) &&
           is(c.cancel_requested, 0);
  }

  Transaction& tx_;
  const Database::Node& node_;
  struct Place {
    std::int64_t id = 0;
    std::size_t row = 0;
    bool has_ended = false;
  };
  detail::RowPage stored_{columns().table};  // what was read: its values are viewed
  std::vector<Place> places_;                // the rows in it, by id
  std::deque<std::string> results_;
  std::vector<Value> before_, after_;
};

}  // namespace

Result<std::vector<Id<Task>>> TaskQueue::complete(std::span<const Completion> completions) {
  std::vector<Id<Task>> lost;
  BUREAU_TRY_VOID(database_.write(portable(), by_system, [&](Transaction& tx) -> Result<void> {
    BUREAU_TRY(lost, complete(tx, completions));
    return {};
  }));
  return lost;
}

Result<Json> TaskQueue::payload(const Task& task) const {
  return detail::payload_of(database_, task);
}

Result<Json> TaskQueue::sealed(const Task& task, const Json& result) const {
  return detail::sealed_result(database_, task, result);
}

Result<std::vector<Id<Task>>> TaskQueue::complete(Transaction& transaction,
                                                  std::span<const Completion> completions) {
  BUREAU_TRY(auto node, database_.node());
  Completing completing(transaction, node);
  BUREAU_TRY_VOID(completing.read(completions));
  std::vector<Id<Task>> lost;
  for (const Completion& one : completions) {
    if (!completing.add(one)) lost.push_back(one.task);
  }
  BUREAU_TRY_VOID(completing.write());
  return lost;
}

Result<void> TaskQueue::complete(Transaction& transaction, const Task& task, const Json& result) {
  BUREAU_TRY(Json stored, sealed(task, result));
  const Completion one{task.id, task.attempt, std::move(stored)};
  BUREAU_TRY(const auto lost, complete(transaction, {&one, 1}));
  if (lost.empty()) return {};
  bool cancelled = false;
  BUREAU_TRY_VOID(transaction.reader().find(
      table_of<Task>(), task.id.value, [&](std::span<const Value> row) -> Result<bool> {
        Task now;
        from_values(row, now);
        cancelled = now.cancel_requested && now.status == TaskStatus::running &&
                    now.attempt == task.attempt;
        return true;
      }));
  if (cancelled) return bureau::fail(Code::cancelled, "task: its cancellation was asked for");
  return bureau::fail(
      Code::conflict,
      fmt::format("task {}: attempt {} no longer holds the lease; its effects were not made",
                  id::to_text(schema<Task>.prefix, task.id.value), task.attempt));
}

Result<TaskStatus> TaskQueue::fail(const Task& task, const Error& error, const Retry& retry) {
  return end_attempt(task, error, retry,
                     task.effect == Effect::external_unsafe && error.code == Code::unknown_outcome);
}

Result<void> TaskQueue::put_in_doubt(const Task& task, const Error& error) {
  BUREAU_TRY_VOID(end_attempt(task, error, retry::never, true));
  return {};
}

Result<TaskStatus> TaskQueue::end_attempt(const Task& task, const Error& error, const Retry& retry,
                                          bool doubtful) {
  BUREAU_TRY(auto node, database_.node());
  const Columns& c = columns();
  const std::string text = detail::shortened(detail::to_valid_text(error.message), max_error_bytes);
  TaskStatus becomes = TaskStatus::dead;
  BUREAU_TRY_VOID(database_.write(portable(), by_system, [&](Transaction& tx) -> Result<void> {
    BUREAU_TRY(const auto found, detail::find_row(tx.reader(), task.id));
    const Task& row = found ? *found : task;
    const std::int64_t now = tx.now().micros();
    Update end;
    end.which.table = &c.table;
    end.which.where = leased(task.id, task.attempt, node);
    end.set = {{c.error, Value::text(text), false},
               {c.error_code, Value::text(to_string(error.code)), false},
               set(c.updated_at, now),
               add(c.failures, 1),
               add(c.version, 1)};
    if (doubtful) {
      becomes = TaskStatus::in_doubt;  // that somebody wanted it stopped does not undo it
    } else if (found && row.cancel_requested) {
      becomes = TaskStatus::cancelled;
    } else if (!is_last_attempt(row) && retry.repeats(error.code)) {
      becomes = TaskStatus::scheduled;
      const Timestamp again =
          tx.now() + retry_pause(retry, error.code, row.failures + 1, database_.random());
      end.set.push_back(set(c.run_at, again.micros()));
      end.set.push_back(set(c.rank, task_rank(again, task.priority)));
    } else {
      becomes = TaskStatus::dead;
    }
    if (has_ended(becomes)) {
      BUREAU_TRY(const bool open, detail::has_intent(tx.reader(), task.id));
      if (open) becomes = TaskStatus::in_doubt;
    }
    if (has_ended(becomes)) end.set.push_back(set(c.finished_at, now));
    end.set.push_back(set(c.status, becomes));
    BUREAU_TRY(auto changed, tx.update(end));
    if (changed != 1) {
      return bureau::fail(
          Code::conflict,
          fmt::format("task {}: attempt {} no longer holds the lease",
                      id::to_text(schema<Task>.prefix, task.id.value), task.attempt));
    }
    BUREAU_TRY_VOID(detail::lease_ended(tx, row));
    if (!has_ended(becomes)) return {};
    return detail::after_end(tx, task.id, row.parent, row.awaited, becomes);
  }));
  return becomes;
}

Result<void> TaskQueue::release(std::span<const Task> tasks, Duration pause, Monotonic deadline) {
  if (tasks.empty()) return {};
  BUREAU_TRY(auto node, database_.node());
  const Columns& c = columns();
  WriteOptions options = portable();
  options.deadline = deadline;
  return database_.write(options, by_system, [&](Transaction& tx) -> Result<void> {
    for (const Task& task : tasks) {
      Update back;
      back.which.table = &c.table;
      back.which.where = leased(task.id, task.attempt, node);
      // The attempt number stays used (it fences), but it has not failed.
      back.set = {set(c.status, pause > Duration(0) ? TaskStatus::scheduled : TaskStatus::ready),
                  {c.started_at, Value(), false}};
      if (pause > Duration(0)) back.set.push_back(set(c.run_at, (tx.now() + pause).micros()));
      BUREAU_TRY(const auto returned, tx.unjournalled().update(back));
      if (returned == 0 || pause <= Duration(0) || !task.flow_key) continue;
      BUREAU_TRY_VOID(detail::admit_next(tx.unjournalled(), task.tenant, *task.flow_key));
    }
    return {};
  });
}

Result<void> TaskQueue::progress(const Task& task, double fraction, std::string_view note) {
  if (!(fraction >= 0 && fraction <= 1)) {
    return bureau::fail(Code::invalid, fmt::format("progress: {} is not between 0 and 1", fraction),
                        "progress");
  }
  BUREAU_TRY(auto node, database_.node());
  const Columns& c = columns();
  return database_.write(portable(), by_system, [&](Transaction& tx) -> Result<void> {
    Update update;
    update.which.table = &c.table;
    update.which.where = leased(task.id, task.attempt, node);
    update.set = {{c.progress, Value::real(fraction), false},
                  {c.progress_note, Value::text(note), false}};
    BUREAU_TRY(auto changed, tx.unjournalled().update(update));
    if (changed != 1) return bureau::fail(Code::conflict, "task: the lease is gone");
    return {};
  });
}

namespace {

/// A column of the first row of a scan, if there is one and it is before what was found so far.
struct Earliest {
  Timestamp& due;
  const ColumnInfo& at;
  Result<bool> operator()(std::span<const Value> row) const {
    due = std::min(due, Timestamp::from_micros(row[at.index].as_integer()));
    return false;
  }
};

}  // namespace

Result<Timestamp> TaskQueue::next_due() {
  const auto resting = [](TaskStatus status) {
    return select<Task>().where(col(&Task::status) == status).order_by(col(&Task::run_at)).limit(1);
  };
  const Select delayed = resting(TaskStatus::scheduled), rested = resting(TaskStatus::waiting);
  const Select overdue =
      select<Task>()
          .where(col(&Task::deadline).is_not_null() && col(&Task::status) <= TaskStatus::ready)
          .order_by(col(&Task::deadline))
          .limit(1);
  const Select tokens = detail::tokens_come(Timestamp::never(), 1);
  const Select rules = select<FlowRule>()
                           .where(col(&FlowRule::until) > database_.clock().now())
                           .order_by(col(&FlowRule::until))
                           .limit(1);
  Timestamp due = Timestamp::never();
  const Earliest run_at{due, *columns().run_at};
  const Earliest deadline{due, col(&Task::deadline).info()};
  const Earliest next_at{due, col(&detail::FlowBucket::next_at).info()};
  const Earliest until{due, col(&FlowRule::until).info()};
  BUREAU_TRY_VOID(database_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    due = Timestamp::never();
    const Scan scans[] = {{&delayed, run_at},
                          {&rested, run_at},
                          {&overdue, deadline},
                          {&tokens, next_at},
                          {&rules, until}};
    return reader.scan_all(scans);
  }));
  return due;
}

BUREAU_END_NAMESPACE
