#pragma once

// A part of task.hpp, which names it: include that, or budget.hpp.

#include <optional>
#include <string>

#include "bureau/access/identity.hpp"
#include "bureau/core/money.hpp"
#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE

struct Task;

/// At most so much; what is not given is not limited.
struct BudgetLimits {
  std::optional<std::int64_t> tokens = {}, calls = {};
  std::optional<Duration> time = {};
  std::optional<Money> money = {};
};

/// After how long a budget begins anew, by the calendar of the tenant's zone. Frozen.
enum class BudgetPeriod { none, day, month };
template <>
inline constexpr auto names<BudgetPeriod> = enum_names("none", "day", "month");

/// What a budget that limits money does with a call whose price nobody knows. Frozen.
enum class Unpriced { refuse, allow };
template <>
inline constexpr auto names<Unpriced> = enum_names("refuse", "allow");

/// One budget of a tree: what is spent from it is spent from all above it, and there must be room
/// in each. A row like any other, changed while the office runs, from any process: the next
/// reservation keeps to it.
struct Budget {
  Id<Budget> id;
  Id<Tenant> tenant;
  std::string name;
  std::optional<Id<Budget>> parent;
  /// The tenant's own, above all others and above tasks that name none; the system keeps it.
  bool whole_tenant = false;
  std::optional<std::int64_t> tokens, calls;
  std::optional<Duration> time;
  std::optional<std::int64_t> money;  ///< minor units of `currency`
  std::string currency;               ///< ISO 4217; empty: no money is counted here
  BudgetPeriod period = BudgetPeriod::none;
  Unpriced unpriced = Unpriced::refuse;
  std::optional<Id<Task>> made_in;  ///< the run that made it for a part of its work
  std::optional<Id<User>> made_by;  ///< who saved it last; none: the system, or a run
  std::int64_t version = 0;
  Timestamp created_at, updated_at;

  [[nodiscard]] BudgetLimits limits() const;
};

template <>
inline constexpr auto schema<Budget> = table(
    "budgets", "bud", journal::after, column("id", &Budget::id), column("tenant", &Budget::tenant),
    column("name", &Budget::name, max_length(100)), column("parent", &Budget::parent, immutable),
    column("whole_tenant", &Budget::whole_tenant, immutable), column("tokens", &Budget::tokens),
    column("calls", &Budget::calls), column("time", &Budget::time), column("money", &Budget::money),
    column("currency", &Budget::currency, max_length(3)), column("period", &Budget::period),
    column("unpriced", &Budget::unpriced), column("made_in", &Budget::made_in, immutable),
    column("made_by", &Budget::made_by), column("version", &Budget::version),
    column("created_at", &Budget::created_at), column("updated_at", &Budget::updated_at),
    index("name", "tenant", "name"), index("parent", "parent").where("parent is not null"),
    index("made_in", "made_in").where("made_in is not null"),
    unique_index("whole_tenant", "tenant").where("whole_tenant = true"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Budget);
