#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bureau/sales/deal.hpp"
#include "bureau/store/predicate.hpp"

BUREAU_BEGIN_NAMESPACE

enum class ForecastBy : std::uint8_t { nothing, month, stage, owner };

struct ForecastQuery {
  ForecastBy by = ForecastBy::nothing;
  Predicate where = {};  ///< over deals
  /// An open deal that is at least so likely counts as committed; in basis points.
  std::int64_t commit_bp = 8'000;
};

/// How many deals, and what they are worth together.
struct DealSum {
  std::int64_t count = 0;
  Money value;
  friend bool operator==(const DealSum&, const DealSum&) = default;
};

/// One group of deals of one currency: amounts of two currencies are never added.
struct ForecastLine {
  std::optional<std::int64_t> month;  ///< by month: 201703; none: no date is known
  std::optional<Id<Stage>> stage;     ///< by stage
  std::optional<Id<User>> owner;      ///< by owner; none: nobody
  Currency currency;
  DealSum won, lost, open;
  DealSum weighted;   ///< the open deals at their weighted values
  DealSum commit;     ///< won, and the open ones that are likely enough
  DealSum best_case;  ///< won, and all open ones
  friend bool operator==(const ForecastLine&, const ForecastLine&) = default;
};

/// In the order of currency, then of what they are grouped by (none first).
struct Forecast {
  std::vector<ForecastLine> totals;  ///< one line a currency
  std::vector<ForecastLine> lines;   ///< by month, stage or owner; empty for `nothing`
};

/// One open or won stage of a pipeline, and the deals of one currency.
struct FunnelStep {
  Id<Stage> stage;
  std::string name;
  StageCategory category = StageCategory::open;
  DealSum entered;  ///< deals that came into it, each once, at their value then
  DealSum reached;  ///< deals that came into it or a later one, at their value now
  /// Of those that reached it, the part that reached the next one, in basis points rounded half to
  /// even. None where nothing reached it, and at the end.
  std::optional<std::int64_t> conversion_bp;
};
struct FunnelOf {
  Currency currency;
  std::vector<FunnelStep> steps;  ///< in order of their positions
  DealSum won, lost;
  /// Of the closed, the part that was won, in basis points rounded half to even; none: none closed.
  std::optional<std::int64_t> win_rate_bp;
};
struct Funnel {
  Id<Pipeline> pipeline;
  std::vector<FunnelOf> currencies;
};

BUREAU_END_NAMESPACE
