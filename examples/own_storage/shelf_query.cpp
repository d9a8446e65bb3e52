#include "shelf_query.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "bureau/store/statement.hpp"

namespace shelf {

using namespace bureau;

namespace {

using Key = std::vector<OwnedValue>;

/// The rows of which a predicate is true, by id. A sub-select is answered once a statement.
class Search {
 public:
  Search(const State& state, const Moment& moment) : state_(state), moment_(moment) {}

  Result<std::vector<Row>> run(const TableInfo& info, const Predicate& where) {
    BUREAU_TRY(const Table* table, state_.find(info));
    BUREAU_TRY_VOID(moment_.check());
    const auto oracle = [&](const Predicate::SubSelect& select, const Value& value) {
      return answer(select, value);
    };
    std::vector<Row> found;
    std::size_t seen = 0;
    for (const auto& [id, row] : table->rows()) {
      if (++seen % 1024 == 0) BUREAU_TRY_VOID(moment_.check());
      BUREAU_TRY(const Truth truth, evaluate(where, values_of(row), oracle));
      if (truth == Truth::yes) found.push_back(row);
    }
    return found;
  }

 private:
  struct Yield {
    std::set<Key, ByValue> values;
    bool has_null = false, has_any = false;
  };

  Result<SelectAnswer> answer(const Predicate::SubSelect& select, const Value& value) {
    auto known = yields_.find(&select);
    if (known == yields_.end()) {
      BUREAU_TRY(const auto rows, run(*select.table, Predicate(select.where)));
      Yield yield;
      for (const Row& row : rows) {
        const OwnedValue& one = (*row)[select.column->index];
        yield.has_any = true;
        yield.has_null = yield.has_null || one.view().is_null();
        if (!one.view().is_null()) yield.values.insert({one});
      }
      known = yields_.emplace(&select, std::move(yield)).first;
    }
    const Yield& yield = known->second;
    const bool found = value.is_null() ? yield.has_any : yield.values.contains({OwnedValue(value)});
    return SelectAnswer{found, yield.has_null};
  }

  const State& state_;
  const Moment& moment_;
  std::map<const Predicate::SubSelect*, Yield> yields_;
};

/// <0: the row comes before the other in that order.
int compare_keys(const std::vector<Order>& order, const Key& a, const Key& b) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    const int c = compare(a[i].view(), b[i].view());
    if (c != 0) return order[i].descending ? -c : c;
  }
  return 0;
}

// Aggregates ------------------------------------------------------------------------------------

/// Wide enough for any number of 64-bit integers.
__extension__ using Wide = __int128;

struct Figures {
  std::int64_t count = 0;
  Wide integers = 0;
  double reals = 0;
  OwnedValue smallest, largest;

  void add(const Value& value) {
    ++count;
    if (value.kind() == Value::Kind::integer) integers += value.as_integer();
    if (value.kind() == Value::Kind::real) reals += value.as_real();
    if (count == 1 || compare(value, smallest.view()) < 0) smallest = OwnedValue(value);
    if (count == 1 || compare(value, largest.view()) > 0) largest = OwnedValue(value);
  }
};

Result<OwnedValue> figure(const Aggregate::Measure& measure, const Figures& of) {
  using Function = Aggregate::Function;
  if (measure.function == Function::count) return OwnedValue(Value::integer(of.count));
  if (of.count == 0) return OwnedValue();
  if (measure.function == Function::minimum) return of.smallest;
  if (measure.function == Function::maximum) return of.largest;
  const std::string name(measure.column->name);
  const bool real = measure.column->type == Type::real;
  const double all = real ? of.reals : static_cast<double>(of.integers);
  const bool fits =
      real ? std::isfinite(of.reals) : of.integers <= INT64_MAX && of.integers >= INT64_MIN;
  if (measure.function == Function::average ? !std::isfinite(all) : !fits) {
    return fail(Code::exhausted, name + ": the figure does not fit its type", name);
  }
  if (measure.function == Function::average) {
    return OwnedValue(Value::real(all / static_cast<double>(of.count)));
  }
  return OwnedValue(real ? Value::real(of.reals)
                         : Value::integer(static_cast<std::int64_t>(of.integers)));
}

}  // namespace

Result<void> Moment::check() const {
  if (clock.monotonic() < deadline) return {};
  return fail(Code::deadline, "the deadline has passed");
}

Result<std::vector<Row>> select_rows(const State& state, const Select& asked,
                                     const Moment& moment) {
  Select select = asked;
  select.where = asked.where.at(moment.clock.now());
  BUREAU_TRY_VOID(check_select(select));
  BUREAU_TRY(const auto found, Search(state, moment).run(*select.table, select.where));
  const std::vector<Order> order = full_order(select);
  std::vector<std::pair<Key, Row>> sorted;
  for (const Row& row : found) {
    Key key;
    for (const Order& by : order) key.push_back((*row)[by.column->index]);
    if (!select.after.empty() && compare_keys(order, key, select.after) <= 0) continue;
    sorted.emplace_back(std::move(key), row);
  }
  std::sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) {
    return compare_keys(order, a.first, b.first) < 0;
  });
  std::vector<Row> rows;
  for (const auto& [key, row] : sorted) {
    if (select.limit && rows.size() >= *select.limit) break;
    rows.push_back(row);
  }
  return rows;
}

Result<void> aggregate_rows(const State& state, const Aggregate& asked, const Moment& moment,
                            RowSink sink) {
  Aggregate aggregate = asked;
  aggregate.where = asked.where.at(moment.clock.now());
  BUREAU_TRY_VOID(check_aggregate(aggregate));
  BUREAU_TRY(const auto found, Search(state, moment).run(*aggregate.table, aggregate.where));
  const std::size_t measures = aggregate.measures.size();
  std::map<Key, std::vector<Figures>, ByValue> groups;
  if (aggregate.group_by.empty()) groups[{}].resize(measures);
  for (const Row& row : found) {
    Key key;
    for (const ColumnInfo* column : aggregate.group_by) key.push_back((*row)[column->index]);
    std::vector<Figures>& figures = groups[key];
    figures.resize(measures);
    for (std::size_t i = 0; i < measures; ++i) {
      const ColumnInfo* column = aggregate.measures[i].column;
      const Value value = column == nullptr ? Value::integer(1) : (*row)[column->index].view();
      if (!value.is_null()) figures[i].add(value);
    }
  }
  std::vector<Row> results;  // all of them before any is shown: a figure may not fit
  for (const auto& [key, figures] : groups) {
    Key result = key;
    for (std::size_t i = 0; i < measures; ++i) {
      BUREAU_TRY(OwnedValue value, figure(aggregate.measures[i], figures[i]));
      result.push_back(std::move(value));
    }
    results.push_back(std::make_shared<const Key>(std::move(result)));
  }
  for (const Row& result : results) {
    BUREAU_TRY(const bool more, sink(values_of(result)));
    if (!more) break;
  }
  return {};
}

}  // namespace shelf
