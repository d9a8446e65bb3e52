// Calls whose answer comes later: begun by an attempt, and answered while the run rests.

#include <fmt/format.h>

#include <algorithm>

#include "bureau/work/outside_call.hpp"
#include "core/text.hpp"
#include "store/internal_tables.hpp"
#include "store/row_values.hpp"
#include "work/call_door.hpp"
#include "work/new_task.hpp"
#include "work/run_history.hpp"
#include "work/sealing.hpp"
#include "work/spend.hpp"
#include "work/task_columns.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

std::string text_of(const Json& state, std::string_view name) {
  const Json* member = state.find(name);
  const std::string* text = member == nullptr ? nullptr : member->as_string();
  return text == nullptr ? std::string() : *text;
}
std::int64_t number_of(const Json& state, std::string_view name) {
  const Json* member = state.find(name);
  const std::int64_t* number = member == nullptr ? nullptr : member->as_int();
  return number == nullptr ? -1 : *number;
}

Json state_of(const RunStep& step) { return step.result.value_or(Json::object()); }

/// The answer that a signal carries.
Result<Json> answer_in(const Json& payload) {
  if (const Json* answer = payload.find("answer")) return *answer;
  const std::string code = text_of(payload, "error_code");
  return fail(detail::error_of(code, text_of(payload, "error")));
}

Result<std::optional<RunSignal>> kept_answer(Reader& reader, Id<Task> task,
                                             const std::string& key) {
  std::optional<RunSignal> found;
  const Select said = select<RunSignal>()
                          .where(col(&RunSignal::task) == task && col(&RunSignal::key) == key &&
                                 col(&RunSignal::key).is_not_null())
                          .limit(1);
  BUREAU_TRY_VOID(reader.scan(said, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, found.emplace());
    return false;
  }));
  return found;
}

}  // namespace

namespace detail {

/// The attempt is part of the key: after retry_from() the call is another one.
Json call_state(const RunStep& step, Effect effect) {
  const std::string key =
      fmt::format("{}-{}-{}", id::to_text(bureau::schema<Task>.prefix, step.task.value),
                  step.position, step.attempt);
  return Json::object(
      {{"key", key}, {"begun", false}, {"unsafe", effect == Effect::external_unsafe}});
}

Json answer_payload(const Result<Json>& answer) {
  Json out = Json::object();
  if (answer) {
    out.set("answer", *answer);
    if (check_payload(out)) return out;
    out = Json::object();
    out.set("error_code", to_string(Code::invalid));
    out.set("error", fmt::format("answer: it has more than {} bytes", max_payload_bytes));
    return out;
  }
  out.set("error_code", to_string(answer.error().code));
  out.set("error", shortened(to_valid_text(answer.error().message), 4000));
  return out;
}

bool is_unsafe_call(const RunStep& step) {
  const Json* unsafe = step.result ? step.result->find("unsafe") : nullptr;
  return step.kind == StepKind::request && unsafe != nullptr && unsafe->as_bool() != nullptr &&
         *unsafe->as_bool();
}

}  // namespace detail

// The near end ---------------------------------------------------------------------------------

bool PendingCall::wanted() const {
  if (!door_) return false;
  std::shared_lock lock(door_->mutex);
  if (door_->database == nullptr) return false;
  bool wants = false;
  const auto read = door_->database->read(
      door_->database->clock().monotonic() + std::chrono::seconds(5),
      [&](Reader& reader) -> Result<void> {
        wants = false;
        BUREAU_TRY(const auto task, detail::find_row(reader, task_));
        if (!task || has_ended(task->status) || task->cancel_requested) return {};
        const Select step =
            select<RunStep>()
                .where(col(&RunStep::task) == task_ && col(&RunStep::position) == position_)
                .limit(1);
        return reader.scan(step, [&](std::span<const Value> values) -> Result<bool> {
          RunStep row;
          from_values(values, row);
          wants = row.status == StepStatus::open && text_of(state_of(row), "key") == key_;
          return false;
        });
      });
  return !read || wants;  // who cannot look does not say no
}

Result<bool> PendingCall::answer(const Result<Json>& answer) const {
  const Json payload = detail::answer_payload(answer);
  if (!door_) return fail(Code::gone, "call: its office is closed", "key");
  std::shared_lock lock(door_->mutex);
  if (door_->database == nullptr) return fail(Code::gone, "call: its office is closed", "key");
  bool first = false;
  const Attribution by{tenant_.value, 0, task_.value};
  BUREAU_TRY_VOID(
      door_->database->write(detail::portable(), by, [&](Transaction& tx) -> Result<void> {
        first = false;
        BUREAU_TRY(const auto task, detail::find_row(tx.reader(), task_));
        if (!task || has_ended(task->status)) {
          return fail(Code::conflict, "call: its run is over", "key");
        }
        BUREAU_TRY(const auto said, kept_answer(tx.reader(), task_, key_));
        if (said) return {};
        RunSignal signal;
        BUREAU_TRY(signal.id.value, tx.next_id());
        signal.tenant = tenant_;
        signal.task = task_;
        signal.name = detail::answer_signal;
        signal.payload = payload;
        signal.sealed_with = task->sealed_with;
        if (task->sealed_with) {
          BUREAU_TRY(signal.payload, detail::seal_json(*door_->database, tenant_, "signal",
                                                       *task->sealed_with, payload));
        }
        signal.key = key_;
        signal.created_at = tx.now();
        BUREAU_TRY_VOID(tx.insert(table_of<RunSignal>(), detail::RowValues(signal).values()));
        first = true;
        return detail::wake(tx, task_);
      }));
  return first;
}

// The run's side -------------------------------------------------------------------------------

std::string Run::Turn::call_key() const { return text_of(state_of(step_), "key"); }

PendingCall Run::Turn::pending_call() const {
  return {run_.queue_.call_door(), run_.task_, step_.position, call_key()};
}

void Run::Turn::used_by_call(const OutsideCall& call, const Result<Json>& answer) {
  if (!spending_) return;
  used_ = spending_->reserved();
  used_.time = std::max(Duration(0), run_.queue_.database().clock().now() - step_.created_at);
  if (call.used) call.used(answer, used_);
}

Result<std::optional<RunSignal>> Run::Turn::peek_answer() {
  std::optional<RunSignal> found;
  BUREAU_TRY_VOID(run_.look([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(found, kept_answer(reader, run_.task_.id, call_key()));
    return {};
  }));
  if (found && found->sealed_with) {
    BUREAU_TRY(found->payload, detail::open_json(run_.queue_.database(), run_.task_.tenant,
                                                 "signal", *found->sealed_with, found->payload));
  }
  return found;
}

/// An error is the call's own: the run may go on without it, or call again.
Error Run::Turn::call_failed(const OutsideCall& call, Error error) {
  used_by_call(call, fail(error));
  intended_ = true;  // the open step goes
  if (error.code != Code::unknown_outcome || call.effect == Effect::external_unsafe) {
    return failed(std::move(error));
  }
  if (auto gone = forget_intent(); !gone) return gone.error();
  return failed(std::move(error));
}

Result<Json> Run::Turn::take_answer(const OutsideCall& call, const RunSignal& signal) {
  auto answer = answer_in(signal.payload);
  if (!answer) return fail(call_failed(call, std::move(answer).error()));
  return finish_call(call, std::move(*answer), &signal);
}

Result<Json> Run::Turn::finish_call(const OutsideCall& call, Json answer, const RunSignal* signal) {
  used_by_call(call, answer);
  BUREAU_TRY(RunStep row, with_result(answer));
  BUREAU_TRY_VOID(run_.commit([&](Transaction& tx) -> Result<void> {
    if (signal != nullptr) {
      static const TableInfo& signals = table_of<RunSignal>();
      Update take;
      take.which = select<RunSignal>().where(col(&RunSignal::id) == signal->id);
      take.set = {{signals.find("status"),
                   Value::integer(static_cast<std::int64_t>(SignalStatus::taken)), false},
                  {signals.find("position"), Value::integer(step_.position), false}};
      BUREAU_TRY_VOID(tx.update(take));
    }
    return put(tx, row);
  }));
  keep(std::move(row));
  return answer;
}

/// False: it is answered already.
Result<bool> Run::Turn::rest_for_answer(const OutsideCall& call) {
  BUREAU_TRY(const auto node, run_.queue_.database().node());
  BUREAU_TRY(const bool is_held, run_.holder_lives(step_));
  RunStep row = step_;
  if (!is_held) {  // it is this process that has begun it now
    Json state = state_of(step_);
    state.set("begun", true);
    state.set("node", std::int64_t{node.number});
    state.set("generation", node.generation);
    row.result = std::move(state);
  }
  bool rests = false;
  const auto write = [&](Transaction& tx) -> Result<void> {
    rests = false;
    BUREAU_TRY(const auto said, kept_answer(tx.reader(), run_.task_.id, call_key()));
    if (said) return {};
    if (!row.due_at && call.within) row.due_at = tx.now() + *call.within;
    if (row.result != step_.result || row.due_at != step_.due_at) {
      BUREAU_TRY_VOID(detail::replace_step(tx, step_, row));
    }
    rests = true;
    const Timestamp until =
        std::min(tx.now() + call.look_every, row.due_at.value_or(Timestamp::never()));
    return rest(tx, row, until, 0);
  };
  BUREAU_TRY_VOID(run_.commit(write, WhenCancelled::refuse));
  if (rests) return rested();
  return false;
}

/// Whether the process that began the call lives, so that its answer may come.
Result<bool> Run::holder_lives(const RunStep& row) {
  const Json state = state_of(row);
  const std::int64_t number = number_of(state, "node");
  const std::int64_t generation = number_of(state, "generation");
  if (number < 0) return false;
  BUREAU_TRY(const auto own, queue_.database().node());
  if (number == own.number) return generation == own.generation;
  BUREAU_TRY(const bool held, queue_.database().storage().node_is_alive(static_cast<int>(number)));
  if (!held) return false;
  bool same = false;
  BUREAU_TRY_VOID(look([&](Reader& reader) -> Result<void> {
    same = false;
    BUREAU_TRY_VOID(reader.find(table_of<detail::NodeRow>(), number + 1,
                                [&](std::span<const Value> values) -> Result<bool> {
                                  detail::NodeRow node;
                                  from_values(values, node);
                                  same = node.generation == generation;
                                  return true;
                                }));
    return {};
  }));
  return same;
}

namespace {

Result<void> check_call(const OutsideCall& call) {
  const auto invalid = [](std::string_view field, std::string_view rule) {
    return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
  };
  if (!call.begin) return invalid("begin", "a call needs a way to begin it");
  if (call.look_every <= Duration(0)) return invalid("look_every", "it is positive");
  if (call.within && *call.within <= Duration(0)) return invalid("within", "it is positive");
  return {};
}

}  // namespace

Result<Json> Run::request(std::string_view name, const OutsideCall& call) {
  BUREAU_TRY_VOID(check_call(call));
  Turn turn(*this);
  if (call.spend) turn.costs(*call.spend);
  BUREAU_TRY(const auto place, turn.begin(StepKind::request, name, call.effect));
  const bool woken = place == Turn::Place::recorded;
  if (woken && turn.recorded().status != StepStatus::open) {
    return turn.recorded().result.value_or(Json());
  }
  if (woken && call.spend) BUREAU_TRY_VOID(turn.load_spending());
  BUREAU_TRY(const auto said, turn.peek_answer());
  if (said) return turn.take_answer(call, *said);
  const Timestamp now = queue_.database().clock().now();
  if (turn.recorded().due_at && *turn.recorded().due_at <= now) {
    return fail(turn.call_failed(
        call, Error(Code::deadline, fmt::format("call \"{}\": no answer came in time", name))));
  }
  bool begins = !woken;
  if (woken && call.look) {
    auto found = call.look(turn.call_key());
    if (found && *found) return turn.finish_call(call, std::move(**found), nullptr);
    begins = !found && found.error().code == Code::not_found;
  } else if (woken) {
    BUREAU_TRY(const bool lives, holder_lives(turn.recorded()));
    begins = !lives;
    if (begins && call.effect == Effect::external_unsafe) {
      return fail(turn.doubt("the process that began the call is gone"));
    }
  }
  // An idempotent call that an exception leaves is begun again; it is not in doubt.
  turn.settled_ = call.effect != Effect::external_unsafe;
  if (begins) {
    auto begun = call.begin(turn.pending_call());
    if (!begun &&
        (begun.error().code != Code::unknown_outcome || call.effect == Effect::external_unsafe)) {
      return fail(turn.call_failed(call, std::move(begun).error()));
    }
  }
  turn.settled_ = true;  // from here on the row says how it stands
  BUREAU_TRY_VOID(turn.rest_for_answer(call));
  BUREAU_TRY(const auto answered, turn.peek_answer());
  if (answered) return turn.take_answer(call, *answered);
  return fail(Code::internal, "call: its answer is gone", "key");
}

BUREAU_END_NAMESPACE
