#include "bureau/work/run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "access/rights.hpp"
#include "core/text.hpp"
#include "store/row_values.hpp"
#include "work/run_history.hpp"
#include "work/sealing.hpp"

BUREAU_BEGIN_NAMESPACE

Run::Run(TaskQueue& queue, Session session, Task task)
    : queue_(queue), session_(std::move(session)), task_(std::move(task)) {}
Run::~Run() = default;

std::string Run::idempotency_key() const {
  std::string key = id::to_text(schema<Task>.prefix, task_.id.value);
  if (!in_turn_.load(std::memory_order_acquire)) return key;
  std::lock_guard lock(mutex_);
  return fmt::format("{}-{}", key, step_position_);
}

Result<void> Run::may_go_on() const {
  if (completed_.load(std::memory_order_acquire)) {
    return fail(Code::conflict, "run: it has completed; nothing more can be done through it");
  }
  std::lock_guard lock(mutex_);
  if (ended_) return fail(*ended_);
  return {};
}

Result<void> Run::may_complete() {
  BUREAU_TRY_VOID(may_go_on());
  if (in_turn_.load(std::memory_order_acquire)) {
    return fail(Code::invalid, "run: it cannot complete inside one of its steps", "step");
  }
  if (!rehearses_) return {};
  BUREAU_TRY_VOID(may_end());
  return fail(rehearsed());
}

void Run::ended(Error error) {
  std::lock_guard lock(mutex_);
  if (!ended_) ended_ = std::move(error);
  stop_.store(true, std::memory_order_release);
}

/// A rehearsal has come to the end of what is recorded.
Error Run::rehearsed() {
  Error error(Code::suspended, "run: it was rehearsed up to here");
  ended(error);
  return error;
}

Error Run::diverged(std::string message) {
  Error error(Code::invalid, "run: it has diverged: " + std::move(message), "step");
  ended(error);
  return error;
}

Result<void> Run::progress(double fraction, std::string_view note) {
  BUREAU_TRY_VOID(may_go_on());
  if (rehearses_) return {};
  auto outcome = queue_.progress(task_, fraction, note);
  if (!outcome && outcome.error().code == Code::conflict) ended(outcome.error());
  return outcome;
}

void Run::log(LogLevel level, std::string_view message) const {
  bureau::log(queue_.database().log(), level, "agent", message,
              {{"agent", std::string_view(task_.agent)},
               {"task", task_.id.value},
               {"kind", std::string_view(task_.kind)},
               {"attempt", task_.attempt}});
}

std::string Run::current_step() const {
  std::lock_guard lock(mutex_);
  return step_;
}

// The history ----------------------------------------------------------------------------------

namespace detail {

Result<bool> check_lease(Reader& reader, const Task& task, const Database::Node& node) {
  static const TableInfo& table = table_of<Task>();
  static const std::size_t status = table.find("status")->index;
  static const std::size_t attempt = table.find("attempt")->index;
  static const std::size_t holder = table.find("node")->index;
  static const std::size_t generation = table.find("generation")->index;
  static const std::size_t cancel = table.find("cancel_requested")->index;
  bool holds = false;
  bool cancelled = false;
  BUREAU_TRY_VOID(
      reader.find(table, task.id.value, [&](std::span<const Value> row) -> Result<bool> {
        holds = row[status].as_integer() == static_cast<std::int64_t>(TaskStatus::running) &&
                row[attempt].as_integer() == task.attempt &&
                row[holder].as_integer() == node.number &&
                row[generation].as_integer() == node.generation;
        cancelled = row[cancel].as_integer() != 0;
        return true;
      }));
  if (holds) return cancelled;
  return fail(Code::conflict,
              fmt::format("task {}: attempt {} no longer holds the lease",
                          id::to_text(bureau::schema<Task>.prefix, task.id.value), task.attempt));
}

Result<void> insert_step(Transaction& transaction, RunStep& step) {
  BUREAU_TRY(step.id.value, transaction.next_id());
  return transaction.insert(table_of<RunStep>(), RowValues(step).values());
}

Result<void> replace_step(Transaction& transaction, const RunStep& before, const RunStep& after) {
  if (before.status != after.status && !may_become(before.status, after.status)) {
    const auto& states = names<StepStatus>;
    return fail(Code::conflict,
                fmt::format("status: a step that is {} cannot become {}",
                            states[static_cast<std::size_t>(before.status)],
                            states[static_cast<std::size_t>(after.status)]),
                "status");
  }
  return transaction.replace(table_of<RunStep>(), RowValues(before).values(),
                             RowValues(after).values());
}

Result<std::optional<Id<Task>>> successor_of(Reader& reader, Id<Task> task) {
  std::optional<Json> handed;
  const Select off =
      select<RunStep>()
          .where(col(&RunStep::task) == task && col(&RunStep::kind) == StepKind::hand_off)
          .limit(1);
  BUREAU_TRY_VOID(reader.scan(off, [&](std::span<const Value> row) -> Result<bool> {
    RunStep step;
    from_values(row, step);
    handed = std::move(step.result);
    return false;
  }));
  if (!handed) return std::optional<Id<Task>>();
  BUREAU_TRY(const Id<Task> successor, RunValue<Id<Task>>::from(*handed));
  return std::optional<Id<Task>>(successor);
}

Result<std::vector<RunStep>> steps_of(Reader& reader, Id<Task> task) {
  std::vector<RunStep> steps;
  const Select all =
      select<RunStep>().where(col(&RunStep::task) == task).order_by(col(&RunStep::position));
  BUREAU_TRY_VOID(reader.scan(all, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, steps.emplace_back());
    return true;
  }));
  return steps;
}

}  // namespace detail

namespace {

Result<void> check_name(std::string_view name) {
  if (name.empty() || name.size() > 100 || !is_valid_text(name)) {
    return fail(Code::invalid,
                fmt::format("step: a name is a text of 1 to 100 bytes; \"{}\" has {}",
                            detail::shortened(name, 40), name.size()),
                "step");
  }
  return {};
}

Error cancellation() { return {Code::cancelled, "run: its cancellation was asked for"}; }

}  // namespace

Result<void> Run::load() {
  if (history_) return {};
  auto history = std::make_unique<History>();
  BUREAU_TRY_VOID(look([&](Reader& reader) -> Result<void> {
    if (task_.attempt == 1) return {};  // the first attempt has nothing behind it
    BUREAU_TRY(history->steps, detail::steps_of(reader, task_.id));
    return {};
  }));
  BUREAU_TRY_VOID(detail::open_steps(queue_.database(), history->steps));
  history_ = std::move(history);
  return {};
}

/// Whether the lease holds, and what else is to be read with it.
Result<void> Run::look(FunctionRef<Result<void>(Reader&)> read) {
  if (rehearses_) return queue_.database().read(Monotonic::never(), read);
  BUREAU_TRY(auto node, queue_.database().node());
  const Monotonic now = queue_.database().clock().monotonic();
  auto outcome = queue_.database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY_VOID(detail::check_lease(reader, task_, node));
    return read(reader);
  });
  if (outcome) leased_at_ = now;
  if (!outcome && outcome.error().code == Code::conflict) ended(outcome.error());
  return outcome;
}

/// Writes what `write` writes and what the history has not written yet, if the lease holds. Any
/// failure ends the run: what a step did and could not record, this attempt must not build on.
Result<void> Run::commit(FunctionRef<Result<void>(Transaction&)> write, WhenCancelled when) {
  BUREAU_TRY(auto node, queue_.database().node());
  WriteOptions options;
  options.portable = true;
  options.where = CodeLocation::current();
  const Attribution by = attribution();
  const Monotonic began = queue_.database().clock().monotonic();
  std::vector<RunStep> written;
  bool cancelled = false;
  auto outcome =
      queue_.database().write(options, by, [&](Transaction& transaction) -> Result<void> {
        BUREAU_TRY(cancelled, detail::check_lease(transaction.reader(), task_, node));
        if (cancelled && when == WhenCancelled::refuse) return fail(cancellation());
        BUREAU_TRY_VOID(catch_up(transaction, written));
        return write(transaction);
      });
  if (!outcome) {
    ended(outcome.error());
    return outcome;
  }
  leased_at_ = began;
  caught_up(std::move(written));
  if (cancelled) ended(cancellation());
  return {};
}

/// Writes what belongs before the next record. It may be called again for another transaction.
Result<void> Run::catch_up(Transaction& transaction, std::vector<RunStep>& written) {
  written = history_->unwritten;
  for (RunStep& step : written) {
    step.created_at = transaction.now();
    step.finished_at = transaction.now();
    BUREAU_TRY_VOID(detail::insert_step(transaction, step));
  }
  const TableInfo& steps = table_of<RunStep>();
  for (const Id<RunStep> rest : history_->over) {
    Update update;
    update.which = select<RunStep>().where(col(&RunStep::id) == rest);
    update.set = {{steps.find("status"),
                   Value::integer(static_cast<std::int64_t>(StepStatus::finished)), false},
                  {steps.find("finished_at"), Value::integer(transaction.now().micros()), false}};
    BUREAU_TRY_VOID(transaction.update(update));
  }
  return {};
}

/// A step is finished: attempts count anew from here.
Result<void> Run::forgive(Transaction& transaction) const {
  if (task_.failures == 0 || history_->unbroken) return {};
  Update task;
  task.which = select<Task>().where(col(&Task::id) == task_.id);
  task.set = {{table_of<Task>().find("failures"), Value::integer(0), false}};
  BUREAU_TRY_VOID(transaction.unjournalled().update(task));
  return {};
}

void Run::caught_up(std::vector<RunStep> written) {
  History& history = *history_;
  history.steps.insert(history.steps.end(), std::make_move_iterator(written.begin()),
                       std::make_move_iterator(written.end()));
  history.unwritten.clear();
  history.over.clear();
}

RunStep Run::new_step(StepKind kind, std::string_view name) const {
  RunStep step;
  step.tenant = task_.tenant;
  step.task = task_.id;
  step.position = static_cast<std::int64_t>(history_->position);
  step.kind = kind;
  step.name = name;
  step.attempt = task_.attempt;
  step.sealed_with = task_.sealed_with;
  return step;
}

Result<void> Run::before_end(Transaction& transaction) {
  if (!history_ && task_.attempt == 1) return {};
  if (!history_) {  // no read inside a write
    auto history = std::make_unique<History>();
    BUREAU_TRY(history->steps, detail::steps_of(transaction.reader(), task_.id));
    BUREAU_TRY_VOID(detail::open_steps(queue_.database(), history->steps));
    history_ = std::move(history);
  }
  if (auto whole = check_end(); !whole) return whole;
  std::vector<RunStep> written;
  history_->go_on();
  return catch_up(transaction, written);
}

Result<void> Run::may_end() {
  if (task_.attempt > 1) BUREAU_TRY_VOID(load());
  return check_end();
}

Result<void> Run::check_end() {
  if (!history_ || history_->at_end()) return {};
  const RunStep& next = history_->steps[history_->position];
  return fail(diverged(
      fmt::format("step {} was \"{}\" ({}) when it was recorded; the program now ends before it",
                  next.position, next.name, names<StepKind>[static_cast<std::size_t>(next.kind)])));
}

bool Run::owes_history() const {
  return history_ && (history_->failure || !history_->unwritten.empty() || !history_->over.empty());
}

bool Run::has_only_result() { return may_go_on() && may_end() && !owes_history(); }

Unexpected Run::end_later(std::function<Result<Json>(Unit&)> effects) {
  if (auto may = may_complete(); !may) return fail(std::move(may).error());
  Error error(Code::suspended, "run: it completes when its handler has returned");
  ended(error);
  later_ = std::move(effects);
  return fail(std::move(error));
}

Result<void> Run::make_effects(Transaction& transaction, std::optional<Error>& lost) {
  lost.reset();
  const auto with_rights = [&](Unit& unit) -> Result<void> {
    BUREAU_TRY(const Json result, later_(unit));
    auto done = before_end(transaction);
    if (done) done = queue_.complete(transaction, task_, result);
    if (!done) lost = done.error();
    return done;
  };
  return detail::SessionDoor::in_unit(session_, transaction, with_rights);
}

Result<void> Run::end_with(const Json& result) {
  history_->go_on();
  return commit([&](Transaction& tx) { return queue_.complete(tx, task_, result); },
                WhenCancelled::refuse);
}

bool Run::patched(std::string_view name) {
  if (!may_go_on() || in_turn_.load(std::memory_order_acquire)) return false;
  auto ready = check_name(name);
  if (ready) ready = load();
  if (!ready) {
    ended(ready.error());
    return false;
  }
  History& history = *history_;
  history.go_on();
  if (!history.at_end()) {
    const RunStep& next = history.steps[history.position];
    if (next.kind != StepKind::patch || next.name != name) return false;
    ++history.position;
    return true;
  }
  history.unwritten.push_back(new_step(StepKind::patch, name));
  ++history.position;
  return true;
}

// A turn ---------------------------------------------------------------------------------------

Run::Turn::~Turn() {
  if (!holds_) return;
  if (intended_ && !settled_) static_cast<void>(doubt("the handler left it by an exception"));
  run_.in_turn_.store(false, std::memory_order_release);
}

Result<Run::Turn::Place> Run::Turn::begin(StepKind kind, std::string_view name, Effect effect) {
  BUREAU_TRY_VOID(run_.may_go_on());
  if (run_.in_turn_.exchange(true, std::memory_order_acq_rel)) {
    return fail(
        Code::invalid,
        fmt::format("step: \"{}\" was begun inside another one; they are made one at a time",
                    detail::shortened(name, 40)),
        "step");
  }
  holds_ = true;
  BUREAU_TRY_VOID(check_name(name));
  if (auto loaded = run_.load(); !loaded) {
    run_.ended(loaded.error());  // without its history it must not go on
    return loaded.map([] { return Place::fresh; });
  }
  History& history = *run_.history_;
  history.go_on();
  if (kind == StepKind::step || kind == StepKind::request) find_wait(name);
  {
    std::lock_guard lock(run_.mutex_);
    run_.step_ = name;
    run_.step_position_ = static_cast<std::int64_t>(history.position) + (wait_ ? 1 : 0);
  }
  if (!history.at_end() && !wait_) {
    BUREAU_TRY(const Place place, recall(kind, name));
    if (place == Place::in_doubt && spend_ != nullptr) BUREAU_TRY_VOID(load_spending());
    return place;
  }
  if (run_.rehearses_) return fail(run_.rehearsed());
  // A process that was silent for long may have lost the task to another, which did this step.
  if (run_.queue_.database().clock().monotonic() - run_.leased_at_ >=
      run_.queue_.heartbeat_interval()) {
    BUREAU_TRY_VOID(run_.look([](Reader&) -> Result<void> { return {}; }));
  }
  if (history.position >= max_run_steps && kind != StepKind::hand_off) {
    Error error(
        Code::exhausted,
        fmt::format("step: a run has at most {} of them; hand_off() to a new one", max_run_steps),
        "step");
    run_.ended(error);
    return fail(std::move(error));
  }
  step_ = run_.new_step(kind, name);
  if (wait_) ++step_.position;
  if (kind == StepKind::request) step_.result = detail::call_state(step_, effect);
  const bool intends =
      kind == StepKind::request || (kind == StepKind::step && effect == Effect::external_unsafe);
  if (spend_ != nullptr) {
    BUREAU_TRY_VOID(reserve(intends));
  } else if (intends) {
    BUREAU_TRY_VOID(intend());
  }
  return Place::fresh;
}

Result<Run::Turn::Place> Run::Turn::recall(StepKind kind, std::string_view name) {
  History& history = *run_.history_;
  step_ = history.steps[history.position];
  // Whether an answer came at once or later makes no difference once it is there.
  const bool answered = step_.status == StepStatus::finished &&
                        (step_.kind == StepKind::step || step_.kind == StepKind::request) &&
                        (kind == StepKind::step || kind == StepKind::request);
  if ((step_.kind != kind && !answered) || step_.name != name) {
    const auto& kinds = names<StepKind>;
    return fail(run_.diverged(fmt::format(
        "step {} was \"{}\" ({}) when it was recorded; the program now does \"{}\" ({})",
        step_.position, step_.name, kinds[static_cast<std::size_t>(step_.kind)],
        detail::shortened(name, 100), kinds[static_cast<std::size_t>(kind)])));
  }
  is_recorded_ = true;
  if (kind == StepKind::step && step_.status == StepStatus::open) {
    if (run_.rehearses_) return fail(run_.rehearsed());
    intended_ = true;
    return Place::in_doubt;
  }
  if (step_.status == StepStatus::open && run_.rehearses_) return fail(run_.rehearsed());
  if (step_.status != StepStatus::open) ++history.position;
  if (step_.status == StepStatus::failed) {
    return fail(detail::error_of(step_.error_code, step_.error));
  }
  return Place::recorded;
}

/// Records that an unsafe effect begins. Only then may it be made.
Result<void> Run::Turn::intend() {
  step_.status = StepStatus::open;
  BUREAU_TRY_VOID(write(step_));
  BUREAU_TRY_VOID(run_.may_go_on());  // cancelled meanwhile
  intended_ = true;
  return {};
}

/// Writes the turn's step as `row` says: a new one, or over the one that is there.
Result<void> Run::Turn::write(RunStep row) {
  BUREAU_TRY_VOID(run_.commit([&](Transaction& tx) { return put(tx, row); }));
  keep(std::move(row));
  return {};
}

Result<void> Run::Turn::put(Transaction& transaction, RunStep& row) const {
  if (!is_recorded_) row.created_at = transaction.now();
  if (row.status != StepStatus::open) {
    row.finished_at = transaction.now();
    BUREAU_TRY_VOID(run_.forgive(transaction));
    if (spending_) BUREAU_TRY_VOID(settle(transaction));
  }
  if (!detail::is_sealed(row)) {
    if (is_recorded_) return detail::replace_step(transaction, step_, row);
    return detail::insert_step(transaction, row);
  }
  BUREAU_TRY(RunStep sealed, detail::sealed(transaction.database(), row));
  if (is_recorded_) return detail::replace_step(transaction, step_, sealed);
  BUREAU_TRY_VOID(detail::insert_step(transaction, sealed));
  row.id = sealed.id;
  return {};
}

void Run::Turn::keep(RunStep row) {
  History& history = *run_.history_;
  step_ = std::move(row);
  if (history.at_end()) {
    history.steps.push_back(step_);
  } else {
    history.steps[history.position] = step_;
  }
  is_recorded_ = true;
  if (step_.status == StepStatus::open) return;
  settled_ = true;
  history.unbroken = true;
  ++history.position;
}

Result<RunStep> Run::Turn::with_result(Json result) {
  const std::size_t size = result.dump().size();
  if (size > max_payload_bytes) {
    Error error(Code::invalid,
                fmt::format("step \"{}\": its result has {} bytes, the limit is {}", step_.name,
                            size, max_payload_bytes),
                "result");
    run_.ended(error);
    return fail(std::move(error));
  }
  RunStep row = step_;
  row.status = StepStatus::finished;
  row.attempt = run_.task_.attempt;
  row.result = std::move(result);
  return row;
}

Result<void> Run::Turn::finish(Json result) {
  BUREAU_TRY(RunStep row, with_result(std::move(result)));
  return write(std::move(row));
}

Result<void> Run::Turn::record_in(Unit& unit, Json result) {
  Transaction& transaction = unit.transaction();
  BUREAU_TRY(auto node, run_.queue_.database().node());
  BUREAU_TRY(bool cancelled, detail::check_lease(transaction.reader(), run_.task_, node));
  if (cancelled) return fail(cancellation());
  BUREAU_TRY_VOID(run_.catch_up(transaction, caught_up_));
  BUREAU_TRY(made_, with_result(std::move(result)));
  return put(transaction, made_);
}

void Run::Turn::written() {
  run_.caught_up(std::move(caught_up_));
  keep(std::move(made_));
}

Error Run::Turn::failed(Error error) {
  if (!run_.may_go_on()) return error;  // not the work's own
  if (intended_) {
    if (error.code == Code::unknown_outcome) return doubt(error.message);
    if (auto removed = forget_intent(); !removed) return removed.error();
  } else if (spending_) {
    auto settled = run_.commit([&](Transaction& tx) { return settle(tx); });
    if (!settled) return settled.error();
  }
  settled_ = true;
  RunStep row = run_.new_step(step_.kind, step_.name);
  row.status = StepStatus::failed;
  row.error_code = std::string(to_string(error.code));
  row.error = detail::shortened(detail::to_valid_text(error.message), 4000);
  run_.history_->failure = std::move(row);
  ++run_.history_->position;
  return error;
}

/// The effect was not made: nothing is in doubt.
Result<void> Run::Turn::forget_intent() {
  History& history = *run_.history_;
  BUREAU_TRY_VOID(run_.commit([&](Transaction& tx) -> Result<void> {
    BUREAU_TRY_VOID(tx.remove(select<RunStep>().where(col(&RunStep::id) == step_.id)));
    if (spending_) BUREAU_TRY_VOID(settle(tx));
    return {};
  }));
  history.steps.pop_back();  // an open step is the last one
  intended_ = false;
  is_recorded_ = false;
  return {};
}

Error Run::Turn::doubt(std::string_view why) {
  settled_ = true;
  Error error(Code::unknown_outcome, fmt::format("step \"{}\": {}", step_.name, why), "step");
  {
    std::lock_guard lock(run_.mutex_);
    Task task = run_.task_;
    if (run_.history_->unbroken) task.failures = 0;
    run_.in_doubt_ = !can_probe_ || is_last_attempt(task);
  }
  run_.ended(error);
  return error;
}

Error Run::Turn::unfit(const Error& error) {
  return run_.diverged(
      fmt::format("the recorded result of step {} \"{}\" is not what the program "
                  "now expects: {}",
                  step_.position, step_.name, error.message));
}

BUREAU_END_NAMESPACE
