#pragma once

// How reservations are made and ended: what runs, Budgets, why() and the duties share.

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bureau/store/database.hpp"
#include "bureau/work/budget.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Tokens, calls, microseconds, and millionths of the currency's minor unit.
using Units = std::array<std::int64_t, 4>;
inline constexpr std::size_t money_unit = 3;
inline constexpr std::array<std::string_view, 4> unit_names{"tokens", "calls", "time", "money"};
inline constexpr std::int64_t most_units = 1'000'000'000'000'000;
/// Where a budget has none: far from what 64 bits hold, also of sums.
inline constexpr std::int64_t unlimited = 8'000'000'000'000'000'000;
/// a + times * b.
[[nodiscard]] constexpr Units added(Units a, const Units& b, std::int64_t times = 1) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += times * b[i];
  return a;
}

/// `invalid` names the field.
[[nodiscard]] Result<Units> units_of(const Amounts& amounts);
[[nodiscard]] Amounts amounts_of(const Units& units, std::string_view currency);
[[nodiscard]] Units reserved_of(const Spending& spending);
[[nodiscard]] Units spent_of(const Spending& spending);
[[nodiscard]] Units reserved_of(const BudgetUse& use);
[[nodiscard]] Units spent_of(const BudgetUse& use);
/// "1200 tokens", "0.42 EUR".
[[nodiscard]] std::string unit_text(std::size_t unit, std::int64_t amount,
                                    std::string_view currency);

/// The RowRule of budgets.
[[nodiscard]] Result<void> check_budget_row(std::span<const Value> before,
                                            std::span<const Value> after);

[[nodiscard]] inline bool counts_money(const Budget& budget) { return !budget.currency.empty(); }

/// One budget of a path, with what it has given in the period of this moment.
struct BudgetLevel {
  Budget budget;
  BudgetUse use;
  bool is_stored = false;  // the use is a row already
  [[nodiscard]] std::optional<std::int64_t> limit(std::size_t unit) const;
};

/// The budgets that something is spent from, the lowest first; empty: nothing limits or counts it.
/// `not_found` when one of them was removed.
[[nodiscard]] Result<std::vector<Budget>> budget_path(Reader& reader, Id<Tenant> tenant,
                                                      std::optional<Id<Budget>> lowest);
[[nodiscard]] Result<std::vector<BudgetLevel>> budget_levels(Reader& reader, Id<Tenant> tenant,
                                                             std::optional<Id<Budget>> lowest,
                                                             Timestamp now);

/// Why there is no room.
struct Refusal {
  Error error;
  bool may_wait = false;  // it may go away by itself, or by a raised limit
  Id<Budget> budget;
  Timestamp until = Timestamp::never();  // when the periods that are in the way have turned
};
/// `planned`: what others are to have of each budget first.
using Planned = std::map<Id<Budget>, Units>;
[[nodiscard]] std::optional<Refusal> refusal_of(const std::vector<BudgetLevel>& levels,
                                                const Units& asked, std::string_view currency,
                                                bool unpriced, const Planned& planned = {});

struct Reservation {
  std::optional<Spending> spending;  // none without a refusal: nothing limits or counts it
  std::optional<Refusal> refusal;
};
/// Reserves for a task's step, in every budget or in none. Whatever else the task had reserved is
/// lost: a run makes its steps one at a time. When it is to wait, the refusal is noted as awaited.
[[nodiscard]] Result<Reservation> reserve(Transaction& transaction, const Task& task,
                                          std::int64_t position, std::string_view step,
                                          const Spend& spend, SpendingStatus as);
/// Ends a reservation, or puts right what was presumed: so much was used. Nothing happens when it
/// is settled.
[[nodiscard]] Result<void> settle(Transaction& transaction, Id<Spending> id, const Amounts& used,
                                  SpendingStatus as = SpendingStatus::settled);
/// The reservation goes on with another attempt of its step.
[[nodiscard]] Result<void> take_over(Transaction& transaction, Id<Spending> id,
                                     std::int64_t attempt);
/// What the unsafe steps of a task had reserved that were not made.
[[nodiscard]] Result<void> release_spendings(Transaction& transaction, Id<Task> task,
                                             std::int64_t position);
/// The last that was reserved for that step.
[[nodiscard]] Result<std::optional<Spending>> spending_at(Reader& reader, Id<Task> task,
                                                          std::int64_t position);

/// Whether nobody is at it any more: derived from the task, whatever has died meanwhile.
[[nodiscard]] bool is_lost(const Spending& spending, const std::optional<Task>& task);
[[nodiscard]] Result<std::vector<Spending>> lost_spendings(Reader& reader,
                                                           std::optional<Id<Tenant>> tenant);

/// Wakes the runs that wait for room, the first first, as far as there is room for them.
[[nodiscard]] Result<std::uint64_t> wake_waiting(Transaction& transaction, Id<Tenant> tenant);
/// Writes what lost reservations came to, and wakes who may go on. Returns how many of both.
[[nodiscard]] Result<std::uint64_t> see_to_spendings(Database& database);

}  // namespace detail
BUREAU_END_NAMESPACE
