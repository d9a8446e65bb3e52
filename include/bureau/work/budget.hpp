#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/core/money.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

/// What is spent, or may be. Nothing of it is negative, nor more than 10^15 (of time and of
/// `money_micros`: in micro-units).
struct Amounts {
  std::int64_t tokens = 0;
  std::int64_t calls = 0;
  Duration time{0};
  Money money = {};
  std::int64_t money_micros = 0;  ///< millionths of a minor unit beside `money`: tokens cost those

  /// "1200 tokens, 1 call, 0.42 EUR"; money is rounded up to the minor unit.
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Amounts&, const Amounts&) = default;
};

/// What became of a reservation. The order is frozen, and means something: from settled on, it is
/// none any more.
enum class SpendingStatus {
  awaited,   ///< nothing is reserved: its run rests until there is room
  reserved,  ///< by an attempt that is at it
  begun,     ///< by a call that goes on without a thread, until it is answered
  settled,   ///< what was used is known
  presumed,  ///< the attempt was lost between call and settlement: counted in full
  released,  ///< nothing was used
};
template <>
inline constexpr auto names<SpendingStatus> = enum_names("awaited", "reserved", "begun", "settled",
                                                         "presumed", "released");

/// What one step of a run has reserved and used. Kept by the library.
struct Spending {
  Id<Spending> id;
  Id<Tenant> tenant;
  Id<Budget> budget;  ///< the lowest that it is spent from
  Id<Task> task;
  std::int64_t position = 0, attempt = 0;
  std::string step;
  SpendingStatus status = SpendingStatus::reserved;
  std::int64_t reserved_tokens = 0, reserved_calls = 0, reserved_money_micros = 0;
  Duration reserved_time{0};
  std::int64_t spent_tokens = 0, spent_calls = 0, spent_money_micros = 0;
  Duration spent_time{0};
  std::string currency;
  bool unpriced = false;  ///< it cost money that nobody knows
  bool overrun = false;   ///< it used more than it had reserved, and a budget was not enough
  Json uses;              ///< which BudgetUses it counts in
  Timestamp created_at;
  std::optional<Timestamp> settled_at;

  [[nodiscard]] Amounts reserved() const;
  [[nodiscard]] Amounts spent() const;
};

template <>
inline constexpr auto schema<Spending> = table(
    "spendings", "spd", journal::after, column("id", &Spending::id),
    column("tenant", &Spending::tenant), column("budget", &Spending::budget),
    column("task", &Spending::task), column("position", &Spending::position),
    column("attempt", &Spending::attempt), column("step", &Spending::step, max_length(100)),
    column("status", &Spending::status), column("reserved_tokens", &Spending::reserved_tokens),
    column("reserved_calls", &Spending::reserved_calls),
    column("reserved_time", &Spending::reserved_time),
    column("reserved_money_micros", &Spending::reserved_money_micros),
    column("spent_tokens", &Spending::spent_tokens), column("spent_calls", &Spending::spent_calls),
    column("spent_time", &Spending::spent_time),
    column("spent_money_micros", &Spending::spent_money_micros),
    column("currency", &Spending::currency, max_length(3)), column("unpriced", &Spending::unpriced),
    column("overrun", &Spending::overrun), column("uses", &Spending::uses),
    column("created_at", &Spending::created_at), column("settled_at", &Spending::settled_at),
    index("task", "task", "position"),
    index("live", "tenant", "status", "budget").where("status < \"settled\""));

/// What a budget has given in one period. Kept by the library: a reservation adds to what is
/// reserved, its settlement moves that to what is spent, each in the commit of its Spending.
struct BudgetUse {
  Id<BudgetUse> id;
  Id<Tenant> tenant;
  Id<Budget> budget;
  Timestamp begins, ends;  ///< never() when it has no period
  std::int64_t reserved_tokens = 0, reserved_calls = 0, reserved_money_micros = 0;
  Duration reserved_time{0};
  std::int64_t spent_tokens = 0, spent_calls = 0, spent_money_micros = 0;
  Duration spent_time{0};
  std::optional<Timestamp> overrun_at;  ///< when a settlement first found more spent than the limit
};

template <>
inline constexpr auto schema<BudgetUse> = table(
    "budget_uses", "bus", journal::after, column("id", &BudgetUse::id),
    column("tenant", &BudgetUse::tenant), column("budget", &BudgetUse::budget),
    column("begins", &BudgetUse::begins), column("ends", &BudgetUse::ends),
    column("reserved_tokens", &BudgetUse::reserved_tokens),
    column("reserved_calls", &BudgetUse::reserved_calls),
    column("reserved_time", &BudgetUse::reserved_time),
    column("reserved_money_micros", &BudgetUse::reserved_money_micros),
    column("spent_tokens", &BudgetUse::spent_tokens),
    column("spent_calls", &BudgetUse::spent_calls), column("spent_time", &BudgetUse::spent_time),
    column("spent_money_micros", &BudgetUse::spent_money_micros),
    column("overrun_at", &BudgetUse::overrun_at), unique_index("period", "budget", "begins"),
    index("ends", "ends"));

/// What a step may cost at most, and what happens when its budgets have no room for that.
struct Spend {
  Amounts most = {};
  bool unpriced = false;  ///< it costs money besides, of which nobody knows how much
  enum class Exhausted {
    fail,  ///< the error `exhausted` with field "budget"
    wait,  ///< the run rests until a period turns, a limit is raised or a reservation is settled
  } exhausted = Exhausted::fail;
};

struct NewBudget {
  std::string name;
  BudgetLimits limits = {};
  std::optional<Id<Budget>> parent = {};
  bool whole_tenant = false;
  BudgetPeriod period = BudgetPeriod::none;
  Unpriced unpriced = Unpriced::refuse;
  std::string currency = {};  ///< in which money is counted without a limit
};

/// What a budget has given in a period.
struct BudgetState {
  Budget budget;
  Timestamp begins, ends;  ///< never(): it has no period
  Amounts reserved;        ///< by what is in progress
  Amounts spent;
  std::size_t waiting = 0;  ///< runs that rest until there is room in it or below it
  std::optional<Timestamp> overrun_at;
};

/// The budgets of a tenant, with a session's rights: admins and managers keep them, the system the
/// one of the whole tenant.
class Budgets {
 public:
  explicit Budgets(Scope scope) : rows_(std::move(scope)) {}

  /// `invalid` names the field: a limit below zero, another currency than a budget above it, more
  /// than 8 budgets above one another; `exists` for a second one of the whole tenant.
  Result<Budget> create(const NewBudget& budget) const;
  /// Puts these limits in place of those that it has; runs that wait for room try again. What is
  /// spent already stays spent: a limit below it refuses all further reservations.
  Result<Budget> set_limits(Id<Budget> id, const BudgetLimits& limits) const;
  Result<Budget> set_unpriced(Id<Budget> id, Unpriced unpriced) const;
  Result<std::vector<Budget>> list(const Query& query = {}) const;
  Result<Budget> find(Id<Budget> id) const;
  /// The one of that name; `conflict` when several have it.
  Result<Budget> find(std::string_view name) const;
  /// `conflict` while there are budgets below it. Tasks that name it can spend nothing from then
  /// on.
  Result<void> remove(Id<Budget> id) const;

  /// In the period that holds this moment. What a lost attempt has reserved counts as spent,
  /// whether that is written yet or not.
  Result<BudgetState> state(Id<Budget> id) const;
  /// What was reserved by a task, the oldest first.
  Result<std::vector<Spending>> spendings_of(Id<Task> task) const;
  /// Puts right what was presumed, as a receipt says: what was used in truth. `conflict` unless it
  /// is presumed. Its budget's keepers may.
  Result<Spending> correct(Id<Spending> id, const Amounts& used) const;

 private:
  Repository<Budget> rows_;
};

[[nodiscard]] Json to_json(const BudgetState& state);

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Spending);
BUREAU_DECLARE_ENTITY(bureau::BudgetUse);
