#include "store/memory/query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bureau/store/statement.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail::memory {

namespace {

using Op = Predicate::Op;

struct ValueLess {
  bool operator()(const Value& a, const Value& b) const { return compare(a, b) < 0; }
};

/// What a sub-select yields, found once a statement.
struct Yield {
  std::set<Value, ValueLess> values;
  std::vector<RowPtr> rows;  // keeps the values
  bool has_null = false;
};

/// Runs one statement's predicates over rows.
class Matcher {
 public:
  Matcher(Database& database, const Moment& moment) : database_(database), moment_(moment) {}

  /// Calls `visit` with each matching row, by id.
  Result<void> each(const TableInfo& info, const Predicate& where,
                    FunctionRef<void(const RowPtr&)> visit) {
    BUREAU_TRY(const Table* table, stored_table(database_, info));
    BUREAU_TRY_VOID(moment_.check());
    if (const auto ids = only_ids(where.root())) {
      for (const std::int64_t id : *ids) {
        const Slot* const slot = table->find(id);
        if (slot == nullptr) continue;
        BUREAU_TRY(const bool matches, matches_row(where, slot->second));
        if (matches) visit(slot->second);
      }
      return {};
    }
    const auto range = table->range(where, {}, {});
    if (!range) return each_of_all(*table, where, visit);
    std::vector<RowPtr> rows;
    BUREAU_TRY_VOID(each_of_range(*range, where, [&](const RowPtr& row) {
      rows.push_back(row);
      return true;
    }));
    std::sort(rows.begin(), rows.end(),
              [](const RowPtr& a, const RowPtr& b) { return a->id() < b->id(); });
    for (const RowPtr& row : rows) visit(row);
    return {};
  }

  /// The matching rows of a part of an index, as they come there. `visit` returns false to stop.
  Result<void> each_of_range(const Index::Range& range, const Predicate& where,
                             FunctionRef<bool(const RowPtr&)> visit) {
    Result<void> done;
    std::size_t seen = 0;
    range.index->each(range, [&](const RowPtr& row) {
      if (++seen % 1024 == 0) done = moment_.check();
      if (!done) return false;
      const auto matches = matches_row(where, row);
      if (!matches) done = fail(matches.error());
      return done && (!*matches || visit(row));
    });
    return done;
  }

 private:
  Result<void> each_of_all(const Table& table, const Predicate& where,
                           FunctionRef<void(const RowPtr&)> visit) {
    std::size_t seen = 0;
    for (const auto& [id, row] : table.rows()) {
      if (++seen % 1024 == 0) BUREAU_TRY_VOID(moment_.check());
      BUREAU_TRY(const bool matches, matches_row(where, row));
      if (matches) visit(row);
    }
    return {};
  }

  /// The ids when the predicate can only be true of these.
  static std::optional<std::set<std::int64_t>> only_ids(const Predicate::Node* node) {
    if (node == nullptr) return std::nullopt;
    if ((node->op == Op::equal || node->op == Op::in) && node->column->index == 0) {
      std::set<std::int64_t> ids;
      for (const auto& operand : node->operands) {
        const Value value = operand.value.view();
        if (!value.is_null()) ids.insert(value.as_integer());
      }
      return ids;
    }
    if (node->op != Op::all) return std::nullopt;
    for (const auto& child : node->children)
      if (auto ids = only_ids(child.get())) return ids;
    return std::nullopt;
  }

  Result<bool> matches_row(const Predicate& where, const RowPtr& row) {
    const auto oracle = [this](const Predicate::SubSelect& select, const Value& value) {
      return answer(select, value);
    };
    BUREAU_TRY(const Truth truth, evaluate(where, row->values(), oracle));
    return truth == Truth::yes;
  }

  Result<SelectAnswer> answer(const Predicate::SubSelect& select, const Value& value) {
    auto known = yields_.find(&select);
    if (known == yields_.end()) {
      Yield yield;
      BUREAU_TRY_VOID(each(*select.table, Predicate(select.where), [&](const RowPtr& row) {
        const Value& found = (*row)[select.column->index];
        yield.has_null = yield.has_null || found.is_null();
        if (!found.is_null()) yield.values.insert(found);
        yield.rows.push_back(row);
      }));
      known = yields_.emplace(&select, std::move(yield)).first;
    }
    const Yield& yield = known->second;
    const bool found = value.is_null() ? !yield.rows.empty() : yield.values.count(value) > 0;
    return SelectAnswer{found, yield.has_null};
  }

  Database& database_;
  const Moment& moment_;
  std::map<const Predicate::SubSelect*, Yield> yields_;
};

/// <0 when a row with these values comes before the other in that order.
template <class A, class B>
int compare_in(const std::vector<Order>& order, A&& a, B&& b) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    const int c = compare(a(i), b(i));
    if (c != 0) return order[i].descending ? -c : c;
  }
  return 0;
}

/// Wide enough for any number of 64-bit integers.
__extension__ using Wide = __int128;

struct Sum {
  std::int64_t count = 0;
  Wide integer = 0;
  double real = 0;
  Value minimum, maximum;

  void add(const Value& value) {
    ++count;
    if (value.kind() == Value::Kind::integer) integer += value.as_integer();
    if (value.kind() == Value::Kind::real) real += value.as_real();
    if (count == 1 || compare(value, minimum) < 0) minimum = value;
    if (count == 1 || compare(value, maximum) > 0) maximum = value;
  }
};

Result<Value> total(const Aggregate::Measure& measure, const Sum& sum) {
  if (sum.count == 0) return Value();
  const auto too_big = [&] {
    return fail(Code::exhausted,
                fmt::format("the sum of {} does not fit its type", measure.column->name),
                std::string(measure.column->name));
  };
  if (measure.column->type == Type::real) {
    if (!std::isfinite(sum.real)) return too_big();
    return Value::real(sum.real);
  }
  if (sum.integer > INT64_MAX || sum.integer < INT64_MIN) return too_big();
  return Value::integer(static_cast<std::int64_t>(sum.integer));
}

Result<Value> figure(const Aggregate::Measure& measure, const Sum& sum) {
  switch (measure.function) {
    case Aggregate::Function::count:
      return Value::integer(sum.count);
    case Aggregate::Function::sum:
      return total(measure, sum);
    case Aggregate::Function::minimum:
      return sum.minimum;
    case Aggregate::Function::maximum:
      return sum.maximum;
    case Aggregate::Function::average:
      break;
  }
  if (sum.count == 0) return Value();
  const double all =
      measure.column->type == Type::real ? sum.real : static_cast<double>(sum.integer);
  if (!std::isfinite(all))
    return fail(Code::exhausted,
                fmt::format("the average of {} is not finite", measure.column->name),
                std::string(measure.column->name));
  return Value::real(all / static_cast<double>(sum.count));
}

}  // namespace

Result<void> Moment::check() const {
  if (clock.monotonic() < deadline) return {};
  return fail(Code::deadline, "the deadline has passed");
}

Result<Table*> stored_table(Database& database, const TableInfo& info) {
  Table* table = database.find(info.name);
  const auto same = [](const ColumnInfo& a, const ColumnInfo& b) {
    return a.name == b.name && a.type == b.type;
  };
  // Behind them there may be columns that other versions of the program know.
  if (table != nullptr &&
      (&table->info() == &info ||
       (info.width() <= table->info().width() &&
        std::equal(info.columns.begin(), info.columns.end(), table->info().columns.begin(), same))))
    return table;
  return fail(Code::invalid, fmt::format("table '{}' was not migrated{}", info.name,
                                         table == nullptr ? "" : " with these columns"));
}

Result<std::vector<RowPtr>> select_rows(Database& database, const Select& select,
                                        const Moment& moment) {
  Select fixed = select;
  fixed.where = select.where.at(moment.clock.now());
  BUREAU_TRY_VOID(check_select(fixed));
  const std::vector<Order> order = full_order(fixed);
  const auto value_of = [&order](const RowPtr& row) {
    return [&order, &row](std::size_t i) { return (*row)[order[i].column->index]; };
  };
  const auto key = [&](std::size_t i) { return fixed.after[i].view(); };
  const auto follows = [&](const RowPtr& row) {
    return fixed.after.empty() || compare_in(order, value_of(row), key) > 0;
  };
  std::vector<RowPtr> rows;
  Matcher matcher(database, moment);
  BUREAU_TRY(const Table* table, stored_table(database, *fixed.table));
  const auto range = table->range(fixed.where, order, fixed.after);
  if (range && range->ordered && fixed.limit) {
    BUREAU_TRY_VOID(moment.check());
    if (*fixed.limit == 0) return rows;
    BUREAU_TRY_VOID(matcher.each_of_range(*range, fixed.where, [&](const RowPtr& row) {
      if (follows(row)) rows.push_back(row);
      return rows.size() < *fixed.limit;
    }));
    return rows;
  }
  BUREAU_TRY_VOID(matcher.each(*fixed.table, fixed.where, [&](const RowPtr& row) {
    if (follows(row)) rows.push_back(row);
  }));
  if (!select.order.empty())
    std::sort(rows.begin(), rows.end(), [&](const RowPtr& a, const RowPtr& b) {
      return compare_in(order, value_of(a), value_of(b)) < 0;
    });
  if (select.limit && rows.size() > *select.limit) rows.resize(*select.limit);
  return rows;
}

Result<void> aggregate_rows(Database& database, const Aggregate& aggregate, const Moment& moment,
                            RowSink sink) {
  Aggregate fixed = aggregate;
  fixed.where = aggregate.where.at(moment.clock.now());
  BUREAU_TRY_VOID(check_aggregate(fixed));
  std::vector<RowPtr> rows;  // keeps what the groups and extremes point to
  std::map<std::vector<Value>, std::vector<Sum>, KeyLess> groups;
  if (fixed.group_by.empty()) groups[{}].resize(fixed.measures.size());
  Matcher matcher(database, moment);
  BUREAU_TRY_VOID(matcher.each(*fixed.table, fixed.where, [&](const RowPtr& row) {
    rows.push_back(row);
    std::vector<Value> key;
    for (const ColumnInfo* column : fixed.group_by) key.push_back((*row)[column->index]);
    std::vector<Sum>& sums = groups[key];
    sums.resize(fixed.measures.size());
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const ColumnInfo* column = fixed.measures[i].column;
      const Value value = column == nullptr ? Value::integer(1) : (*row)[column->index];
      if (!value.is_null()) sums[i].add(value);
    }
  }));
  std::vector<std::vector<Value>> results;  // all before any is shown: a sum may not fit
  for (const auto& [key, sums] : groups) {
    std::vector<Value>& result = results.emplace_back(key);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      BUREAU_TRY(const Value value, figure(fixed.measures[i], sums[i]));
      result.push_back(value);
    }
  }
  for (const auto& result : results) {
    BUREAU_TRY(const bool more, sink(result));
    if (!more) break;
  }
  return {};
}

}  // namespace detail::memory

BUREAU_END_NAMESPACE
