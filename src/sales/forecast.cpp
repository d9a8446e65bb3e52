// What deals come to: figures over what a session sees.

#include "bureau/sales/forecast.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sales/deal_rules.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace sales::inside;

namespace {

Result<Currency> stored_currency(std::string_view code) {
  auto currency = Currency::parse(code);
  if (currency) return currency;
  return fail(Code::corrupt, "currency: a deal has " + currency.error().message, "currency");
}

/// One group of the aggregate: deals of one currency, state and probability.
struct Group {
  Currency currency;
  StageCategory state = StageCategory::open;
  std::int64_t probability_bp = 0;
  std::optional<std::int64_t> key;
  std::int64_t count = 0, value = 0, weighted = 0;
};

Result<void> add_to(DealSum& sum, std::int64_t count, const Money& value) {
  sum.count += count;
  if (sum.value.currency.code().empty()) sum.value.currency = value.currency;
  auto total = add(sum.value, value);
  if (!total) return fail(total.error().code, "value: " + total.error().message, "value");
  sum.value = *total;
  return {};
}

Result<void> add_to(ForecastLine& line, const Group& group, std::int64_t commit_bp) {
  const Money value{group.value, group.currency};
  if (group.state == StageCategory::lost) return add_to(line.lost, group.count, value);
  const bool won = group.state == StageCategory::won;
  BUREAU_TRY_VOID(add_to(won ? line.won : line.open, group.count, value));
  BUREAU_TRY_VOID(add_to(line.best_case, group.count, value));
  if (won || group.probability_bp >= commit_bp) {
    BUREAU_TRY_VOID(add_to(line.commit, group.count, value));
  }
  if (won) return {};
  return add_to(line.weighted, group.count, Money{group.weighted, group.currency});
}

ForecastLine line_of(const Group& group, ForecastBy by) {
  ForecastLine line;
  line.currency = group.currency;
  for (DealSum* sum :
       {&line.won, &line.lost, &line.open, &line.weighted, &line.commit, &line.best_case}) {
    sum->value.currency = group.currency;
  }
  if (!group.key) return line;
  if (by == ForecastBy::month) line.month = *group.key;
  if (by == ForecastBy::stage) line.stage = Id<Stage>(*group.key);
  if (by == ForecastBy::owner) line.owner = Id<User>(*group.key);
  return line;
}

/// What rows are grouped by. Where nothing was asked for, month: its index has the order.
const ColumnInfo* key_of(ForecastBy by) {
  switch (by) {
    case ForecastBy::stage:
      return &col(&Deal::stage).info();
    case ForecastBy::owner:
      return &col(&Deal::owner).info();
    case ForecastBy::month:
    case ForecastBy::nothing:
      break;
  }
  return &col(&Deal::month).info();
}

Aggregate::Measure count_of_rows() { return {Aggregate::Function::count, nullptr}; }
Aggregate::Measure sum_of(const ColumnInfo& column) { return {Aggregate::Function::sum, &column}; }

using GroupSink = FunctionRef<Result<void>(const Group&)>;

/// Groups of deals that are open, or of those that are not: each has an index in the order in which
/// they are summed up by month (schema<Deal>).
Result<void> groups_of(const Rows& deals, const ForecastQuery& query, bool open, GroupSink sink) {
  const Predicate state =
      open ? col(&Deal::state) == StageCategory::open : col(&Deal::state) > StageCategory::open;
  Aggregate aggregate;
  aggregate.where = state && query.where;
  aggregate.group_by = {&col(&Deal::currency).info(), key_of(query.by),
                        open ? &col(&Deal::probability_bp).info() : &col(&Deal::state).info()};
  aggregate.measures = {count_of_rows(), sum_of(col(&Deal::value_minor).info())};
  if (open) aggregate.measures.push_back(sum_of(col(&Deal::weighted_minor).info()));
  return deals.aggregate(aggregate, [&](std::span<const Value> row) -> Result<bool> {
    Group group;
    BUREAU_TRY(group.currency, stored_currency(row[0].as_text()));
    if (!row[1].is_null()) group.key = row[1].as_integer();
    if (open) {
      group.probability_bp = row[2].as_integer();
      group.weighted = row[5].as_integer();
    } else {
      group.state = static_cast<StageCategory>(row[2].as_integer());
    }
    group.count = row[3].as_integer();
    group.value = row[4].as_integer();
    BUREAU_TRY_VOID(sink(group));
    return true;
  });
}

/// Lines by currency and key, in their order.
using Lines = std::map<std::pair<std::string, std::optional<std::int64_t>>, ForecastLine>;

Result<void> collect(Lines& lines, const Group& group, ForecastBy by, std::int64_t commit_bp) {
  const auto key = by == ForecastBy::nothing ? std::optional<std::int64_t>() : group.key;
  auto at = lines.find({std::string(group.currency.code()), key});
  if (at == lines.end()) {
    at =
        lines.emplace(std::pair(std::string(group.currency.code()), key), line_of(group, by)).first;
  }
  return add_to(at->second, group, commit_bp);
}

std::vector<ForecastLine> values_of(Lines& lines) {
  std::vector<ForecastLine> values;
  for (auto& [key, line] : lines) values.push_back(std::move(line));
  return values;
}

/// Runs `f(Scope)` on one snapshot, so that figures of several queries belong together.
template <class F>
Result<void> on_snapshot(const Scope& scope, F&& f) {
  if (scope.unit() != nullptr) return f(scope);
  return scope.session().read([&](View& view) -> Result<void> { return f(Scope(view)); });
}

}  // namespace

Result<Forecast> Deals::forecast(const ForecastQuery& query) const {
  BUREAU_TRY_VOID(check_probability(query.commit_bp));
  Lines totals, lines;
  BUREAU_TRY_VOID(on_snapshot(deals_.rows().scope(), [&](const Scope& scope) -> Result<void> {
    totals.clear();
    lines.clear();
    const Rows deals(scope, table_of<Deal>());
    for (const bool open : {true, false}) {
      BUREAU_TRY_VOID(groups_of(deals, query, open, [&](const Group& group) -> Result<void> {
        BUREAU_TRY_VOID(collect(totals, group, ForecastBy::nothing, query.commit_bp));
        if (query.by == ForecastBy::nothing) return {};
        return collect(lines, group, query.by, query.commit_bp);
      }));
    }
    return {};
  }));
  return Forecast{values_of(totals), values_of(lines)};
}

// Funnel ---------------------------------------------------------------------------------------

namespace {

/// Half to even, in basis points; none over nothing.
std::optional<std::int64_t> part_bp(std::int64_t part, std::int64_t whole) {
  if (whole <= 0) return {};
  const auto ratio = scale(Money{part, {}}, 10'000, whole);
  if (!ratio) return {};
  return ratio->minor;
}

FunnelOf& funnel_of(Funnel& funnel, const Course& course, const Currency& currency) {
  for (FunnelOf& known : funnel.currencies) {
    if (known.currency == currency) return known;
  }
  FunnelOf& made = funnel.currencies.emplace_back();
  made.currency = currency;
  made.won.value.currency = made.lost.value.currency = currency;
  for (const Stage& stage : course.stages) {
    if (stage.category == StageCategory::lost) continue;
    FunnelStep& step = made.steps.emplace_back();
    step.stage = stage.id;
    step.name = stage.name;
    step.category = stage.category;
    step.entered.value.currency = step.reached.value.currency = currency;
  }
  return made;
}

/// Groups of one currency and one stage, with how many and what they are worth.
using StageSink =
    FunctionRef<Result<void>(Currency, std::optional<Id<Stage>>, std::int64_t, Money)>;

Result<void> by_stage(const Rows& rows, const Predicate& where, const ColumnInfo& currency,
                      const ColumnInfo& stage, const ColumnInfo& value, StageSink sink) {
  Aggregate aggregate;
  aggregate.where = where;
  aggregate.group_by = {&currency, &stage};
  aggregate.measures = {count_of_rows(), sum_of(value)};
  return rows.aggregate(aggregate, [&](std::span<const Value> row) -> Result<bool> {
    BUREAU_TRY(const Currency of, stored_currency(row[0].as_text()));
    std::optional<Id<Stage>> at;
    if (!row[1].is_null()) at = Id<Stage>(row[1].as_integer());
    BUREAU_TRY_VOID(sink(of, at, row[2].as_integer(), Money{row[3].as_integer(), of}));
    return true;
  });
}

std::vector<Id<Stage>> ids_of(const Course& course) {
  std::vector<Id<Stage>> ids;
  for (const Stage& stage : course.stages) ids.push_back(stage.id);
  return ids;
}

Result<void> count_funnel(const Scope& scope, const Course& course, Funnel& funnel) {
  const Rows history(scope, table_of<DealStageHistory>()), deals(scope, table_of<Deal>());
  using H = DealStageHistory;
  BUREAU_TRY_VOID(by_stage(history, col(&H::first) == true && col(&H::stage).in(ids_of(course)),
                           col(&H::currency).info(), col(&H::stage).info(),
                           col(&H::value_minor).info(),
                           [&](Currency currency, std::optional<Id<Stage>> stage,
                               std::int64_t count, Money value) -> Result<void> {
                             for (FunnelStep& step : funnel_of(funnel, course, currency).steps) {
                               if (step.stage == stage)
                                 BUREAU_TRY_VOID(add_to(step.entered, count, value));
                             }
                             return {};
                           }));
  const Predicate ours = col(&Deal::pipeline) == course.pipeline.id;
  const auto currency_column = &col(&Deal::currency).info();
  BUREAU_TRY_VOID(by_stage(
      deals, ours, *currency_column, col(&Deal::furthest).info(), col(&Deal::value_minor).info(),
      [&](Currency currency, std::optional<Id<Stage>> stage, std::int64_t count,
          Money value) -> Result<void> {
        auto& steps = funnel_of(funnel, course, currency).steps;
        const auto last = std::find_if(steps.begin(), steps.end(),
                                       [&](const auto& s) { return s.stage == stage; });
        if (last == steps.end()) return {};
        for (auto s = steps.begin(); s <= last; ++s) {
          BUREAU_TRY_VOID(add_to(s->reached, count, value));
        }
        return {};
      }));
  return by_stage(deals, ours && col(&Deal::state) != StageCategory::open, *currency_column,
                  col(&Deal::stage).info(), col(&Deal::value_minor).info(),
                  [&](Currency currency, std::optional<Id<Stage>> stage, std::int64_t count,
                      Money value) -> Result<void> {
                    FunnelOf& of = funnel_of(funnel, course, currency);
                    const Stage* closed = stage ? course.find(*stage) : nullptr;
                    if (closed == nullptr) return {};
                    return add_to(closed->category == StageCategory::won ? of.won : of.lost, count,
                                  value);
                  });
}

void finish_funnel(Funnel& funnel) {
  for (FunnelOf& of : funnel.currencies) {
    for (std::size_t i = 0; i + 1 < of.steps.size(); ++i) {
      of.steps[i].conversion_bp = part_bp(of.steps[i + 1].reached.count, of.steps[i].reached.count);
    }
    of.win_rate_bp = part_bp(of.won.count, of.won.count + of.lost.count);
  }
  std::sort(funnel.currencies.begin(), funnel.currencies.end(),
            [](const auto& a, const auto& b) { return a.currency.code() < b.currency.code(); });
}

}  // namespace

Result<Funnel> Deals::funnel(std::string_view pipeline) const {
  Funnel funnel;
  BUREAU_TRY_VOID(on_snapshot(deals_.rows().scope(), [&](const Scope& scope) -> Result<void> {
    funnel = {};
    std::optional<Course> course;
    BUREAU_TRY_VOID(scope.read([&](Reader& reader) -> Result<void> {
      BUREAU_TRY(course, course_named(reader, scope.session().principal().tenant, pipeline));
      return {};
    }));
    funnel.pipeline = course->pipeline.id;
    return count_funnel(scope, *course, funnel);
  }));
  finish_funnel(funnel);
  return funnel;
}

Result<std::vector<Deal>> Deals::rotting(std::uint64_t limit) const {
  std::vector<Deal> rotten;
  const Scope& outer = deals_.rows().scope();
  BUREAU_TRY_VOID(on_snapshot(outer, [&](const Scope& scope) -> Result<void> {
    rotten.clear();
    const Timestamp now =
        scope.unit() != nullptr ? scope.unit()->now() : scope.session().database().clock().now();
    Query stages;
    stages.where =
        col(&Stage::rot_after).is_not_null() && col(&Stage::category) == StageCategory::open;
    stages.limit = 10'000;
    BUREAU_TRY(const auto rotting_stages, Repository<Stage>{scope}.list(stages));
    for (const Stage& stage : rotting_stages) {
      if (rotten.size() >= limit) break;
      Query query;
      query.where = col(&Deal::stage) == stage.id && col(&Deal::state) == StageCategory::open &&
                    col(&Deal::last_activity_at) < now - *stage.rot_after;
      query.order = {{&col(&Deal::last_activity_at).info(), false}};
      query.limit = limit - rotten.size();
      BUREAU_TRY(auto found, Repository<Deal>{scope}.list(query));
      rotten.insert(rotten.end(), std::make_move_iterator(found.begin()),
                    std::make_move_iterator(found.end()));
    }
    return {};
  }));
  return rotten;
}

BUREAU_END_NAMESPACE
