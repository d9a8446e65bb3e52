#pragma once

// The inside of run.hpp, which includes it: how a durable call is made. Not for hosts.

#include "bureau/work/run.hpp"

BUREAU_BEGIN_NAMESPACE

/// One durable call, from its look at the history to its record.
class Run::Turn {
 public:
  explicit Turn(Run& run, bool can_probe = false) : run_(run), can_probe_(can_probe) {}
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  enum class Place { recorded, fresh, in_doubt };
  /// Where the call stands. An error of the history (a recorded failure, a divergence) is returned.
  Result<Place> begin(StepKind kind, std::string_view name, Effect effect = Effect::pure);
  /// What is recorded. REQUIRES: Place::recorded.
  [[nodiscard]] const RunStep& recorded() const { return step_; }

  Result<void> finish(Json result);
  /// The work's error. Returns what the handler is given.
  Error failed(Error error);
  /// The outcome is not known. The task is in doubt, unless another attempt can ask the probe.
  Error doubt(std::string_view why);

  /// Writes the record in the unit's transaction, with the step's changes.
  Result<void> record_in(Unit& unit, Json result);
  /// After the commit of record_in(): `outcome` of the write, `lost` by record_in().
  void written();

  /// What the work may cost; before begin(). Must outlive the turn.
  void costs(const Spend& spend) { spend_ = &spend; }
  /// What it used.
  void used(const Amounts& amounts);
  /// An effect of which it was not known whether it happened has not: its reservation goes on.
  Result<void> take_over();

  /// Asks the probe about an effect of which it is not known whether it happened. Its result, which
  /// is then recorded; none: it did not.
  template <class R, class Probe>
  Result<std::optional<R>> ask([[maybe_unused]] Probe& probe) {
    if constexpr (std::is_null_pointer_v<std::remove_cvref_t<Probe>>) {
      return fail(doubt("its outcome is not known"));
    } else {
      auto found = probe();
      if (!found) return fail(doubt(found.error().message));
      if (!*found) return std::optional<R>();
      R known{};
      if constexpr (!std::is_void_v<typename R::value_type>) known = std::move(**found);
      BUREAU_TRY_VOID(finish(detail::to_run_value(known)));
      return std::optional<R>(std::move(known));
    }
  }
  template <class R>
  R replayed() {
    auto value = detail::from_run_value<typename R::value_type>(
        recorded().result ? *recorded().result : Json());
    if (!value) return fail(unfit(value.error()));
    return value;
  }
  template <class R, class F>
  R in_unit(F& work) {
    std::optional<Error> lost;
    R made = run_.session_.write([&](Unit& unit) -> R {
      lost.reset();
      R result = work(unit);
      if (!result) return result;
      if (auto kept = record_in(unit, detail::to_run_value(result)); !kept) {
        lost = kept.error();
        return fail(std::move(kept).error());
      }
      return result;
    });
    if (made) {
      written();
    } else if (lost || made.error().code == Code::unknown_outcome) {
      run_.ended(made.error());
    } else {
      return fail(failed(made.error()));
    }
    return made;
  }

 private:
  friend class Run;
  Result<Place> recall(StepKind kind, std::string_view name);
  Result<void> intend();
  // Spending.
  void find_wait(std::string_view name);
  void pass_wait();
  Result<void> reserve(bool intends);
  Result<void> load_spending();
  Result<void> settle(Transaction& transaction) const;
  // Calls that are answered later.
  [[nodiscard]] PendingCall pending_call() const;
  [[nodiscard]] std::string call_key() const;
  Result<std::optional<RunSignal>> peek_answer();
  Result<Json> take_answer(const OutsideCall& call, const RunSignal& signal);
  Result<Json> finish_call(const OutsideCall& call, Json answer, const RunSignal* signal);
  Error call_failed(const OutsideCall& call, Error error);
  Result<bool> rest_for_answer(const OutsideCall& call);
  void used_by_call(const OutsideCall& call, const Result<Json>& answer);
  Result<void> forget_intent();
  Result<RunStep> with_result(Json result);
  Result<void> write(RunStep row);
  Result<void> put(Transaction& transaction, RunStep& row) const;
  void keep(RunStep row);
  Error unfit(const Error& error);

  // Rests: waiting, and how it ends.
  void pass();
  Result<void> rest(Transaction& transaction, RunStep& row, Timestamp until, std::int64_t pending);
  Unexpected rested();

  Run& run_;
  RunStep step_;
  bool can_probe_;            // an outcome that is not known can be asked for
  bool holds_ = false;        // the run's turn
  bool is_recorded_ = false;  // step_ is in the database
  bool intended_ = false;     // an unsafe effect may have been made
  bool settled_ = false;      // its outcome is known
  RunStep made_;              // by record_in()
  std::vector<RunStep> caught_up_;
  const Spend* spend_ = nullptr;
  std::optional<Spending> spending_;  // what is reserved for the step
  std::optional<RunStep> wait_;       // the open wait for room at which the run stood
  Amounts used_;
  Monotonic spent_from_;
};

template <class F, class Probe>
auto Run::step(std::string_view name, Effect effect, F&& work, Probe&& probe)
    -> detail::StepOutcome<F> {
  using R = detail::StepOutcome<F>;
  static_assert(detail::is_result<R>, "a step's work returns a bureau::Result");
  constexpr bool in_unit = std::is_invocable_v<F&, Unit&>;
  constexpr bool can_probe = !std::is_null_pointer_v<std::remove_cvref_t<Probe>>;
  Turn turn(*this, can_probe);
  BUREAU_TRY(auto place, turn.begin(StepKind::step, name, in_unit ? Effect::database : effect));
  if (place == Turn::Place::recorded) return turn.template replayed<R>();
  if constexpr (in_unit) {
    return turn.template in_unit<R>(work);
  } else {
    if (place == Turn::Place::in_doubt) {
      BUREAU_TRY(auto known, turn.template ask<R>(probe));
      if (known) return *std::move(known);
    }
    R made = work();
    if (!made) return fail(turn.failed(std::move(made).error()));
    BUREAU_TRY_VOID(turn.finish(detail::to_run_value(made)));
    return made;
  }
}

template <class F, class Probe>
auto Run::spend(std::string_view name, Effect effect, const Spend& spend, F&& work, Probe&& probe)
    -> std::invoke_result_t<F&, Amounts&> {
  using R = std::invoke_result_t<F&, Amounts&>;
  static_assert(detail::is_result<R>, "a step's work returns a bureau::Result");
  constexpr bool can_probe = !std::is_null_pointer_v<std::remove_cvref_t<Probe>>;
  Turn turn(*this, can_probe);
  turn.costs(spend);
  BUREAU_TRY(auto place, turn.begin(StepKind::step, name, effect));
  if (place == Turn::Place::recorded) return turn.template replayed<R>();
  Amounts used = spend.most;
  if (place == Turn::Place::in_doubt) {
    BUREAU_TRY(auto known, turn.template ask<R>(probe));
    if (known) return *std::move(known);
    BUREAU_TRY_VOID(turn.take_over());
  }
  R made = work(used);
  turn.used(used);
  if (!made) return fail(turn.failed(std::move(made).error()));
  BUREAU_TRY_VOID(turn.finish(detail::to_run_value(made)));
  return made;
}

BUREAU_END_NAMESPACE
