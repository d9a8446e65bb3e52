#include "store/statement_sql.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "store/keyset_sql.hpp"
#include "store/postgres/sql.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// " WHERE " or " AND ".
class Conditions {
 public:
  explicit Conditions(Sql& sql) : sql_(sql) {}
  void next() {
    sql_ << (first_ ? " WHERE " : " AND ");
    first_ = false;
  }

 private:
  Sql& sql_;
  bool first_ = true;
};

void append_horizon(Sql& sql, Conditions& conditions, Horizon horizon) {
  if (horizon == no_horizon) return;
  conditions.next();
  sql << "\"id\"<=";
  sql.parameter(Value::integer(horizon));
}

void append_filter(Sql& sql, const Select& select, const std::vector<Order>& order,
                   Horizon horizon) {
  Conditions conditions(sql);
  append_horizon(sql, conditions, horizon);
  if (!select.where.is_always()) {
    conditions.next();
    append_predicate(sql, select.where);
  }
  if (select.after.empty()) return;
  conditions.next();
  sql << "(";
  KeysetWriter(sql, order, select.after).write();
  sql << ")";
}

/// As the indexes are made: nulls come first. Of an id there are none.
void append_order(Sql& sql, const Order& order) {
  sql.name(order.column->name);
  const bool is_id = order.column->index == 0;
  if (order.descending) sql << (is_id ? " DESC" : " DESC NULLS LAST");
  if (!order.descending && !is_id) sql << " NULLS FIRST";
}

void append_order(Sql& sql, const std::vector<Order>& order) {
  sql << " ORDER BY ";
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0) sql << ",";
    append_order(sql, order[i]);
  }
}

/// A limit in two. The planner must see how few rows are wanted: it takes a parameter for a tenth
/// of all there are, and then rather reads the whole table in order than an index and sorts. But a
/// text for each number would push all others out of the cache of prepared statements, as that of a
/// claim changes with the pace of the tasks. So the planner sees numbers that programs write, and
/// of others the next power of two; of those rows a parameter then takes less. They are planned by
/// themselves, for that parameter not to be taken for a tenth either, and are made as they are
/// read.
struct Limit {
  explicit Limit(std::optional<std::uint64_t> rows)
      : is_there(rows.has_value()), exact(std::min(rows.value_or(0), most)) {
    seen = is_written(exact) ? exact : std::bit_ceil(exact);
  }
  /// Whether it takes less than the planner sees.
  [[nodiscard]] bool is_less() const { return is_there && seen != exact; }

  bool is_there;
  std::uint64_t exact;
  std::uint64_t seen;  ///< by the planner

 private:
  static constexpr std::uint64_t most = std::uint64_t{1} << 62U;

  /// Up to 16; 20, 50, 100, 200 and so on, or one more, by which a page knows whether another
  /// follows.
  static bool is_written(std::uint64_t rows) {
    const auto is_round = [](std::uint64_t number) {
      while (number > 0 && number % 10 == 0) number /= 10;
      return number == 1 || number == 2 || number == 5;
    };
    return rows <= 16 || is_round(rows) || is_round(rows - 1);
  }
};

void append_limit(Sql& sql, std::uint64_t seen) { sql << fmt::format(" LIMIT {}", seen); }

void append_less(Sql& sql, const Limit& limit) {
  sql << " LIMIT ";
  sql.parameter(Value::integer(static_cast<std::int64_t>(limit.exact)));
}

/// " FROM ... WHERE ... ORDER BY ..."
void append_from(Sql& sql, const Select& select, const std::vector<Order>& order, Horizon horizon) {
  sql << " FROM ";
  sql.table(select.table->name);
  append_filter(sql, select, order, horizon);
  append_order(sql, order);
}

/// Which rows a change concerns. With a limit they are picked first, in order: once, as an array,
/// because a plain IN may be evaluated again for every row.
void append_changed(Sql& sql, const Select& which) {
  const auto order = full_order(which);
  if (!which.limit && !which.skip_locked) return append_filter(sql, which, order, no_horizon);
  const Limit limit(which.limit);
  sql << " WHERE \"id\"=ANY(ARRAY(";
  if (limit.is_less()) sql << "WITH first AS MATERIALIZED(";
  sql << "SELECT \"id\"";
  append_from(sql, which, order, no_horizon);
  if (limit.is_there) append_limit(sql, limit.seen);
  if (which.skip_locked) sql << " FOR UPDATE SKIP LOCKED";
  if (limit.is_less()) {
    // Without an order of its own, for which all that the planner sees would be locked first.
    sql << ") SELECT \"id\" FROM first";
    append_less(sql, limit);
  }
  sql << "))";
}

void append_call(Sql& sql, std::string_view function, const ColumnInfo& column,
                 std::string_view end) {
  sql << function << "(";
  sql.name(column.name);
  sql << end;
}

/// There is no min() or max() of bytes before PostgreSQL 18.
void append_extreme_bytes(Sql& sql, const ColumnInfo& column, bool largest) {
  sql << "(array_agg(";
  sql.name(column.name);
  sql << " ORDER BY ";
  sql.name(column.name);
  sql << (largest ? " DESC) FILTER(WHERE " : ") FILTER(WHERE ");
  sql.name(column.name);
  sql << " IS NOT NULL))[1]";
}

void append_measure(Sql& sql, const Aggregate::Measure& measure) {
  using Function = Aggregate::Function;
  if (measure.function == Function::count) {
    sql << "COUNT(*)";
    return;
  }
  const ColumnInfo& column = *measure.column;
  switch (measure.function) {
    case Function::sum:
      return append_call(sql, "SUM", column, is_summed_as_text(measure) ? ")::text" : ")");
    case Function::average:
      if (column.type == Type::real) return append_call(sql, "AVG", column, ")");
      append_call(sql, "SUM", column, ")::float8");
      return append_call(sql, "/COUNT", column, ")");
    default:
      break;
  }
  const bool largest = measure.function == Function::maximum;
  if (column.type == Type::bytes) return append_extreme_bytes(sql, column, largest);
  append_call(sql, largest ? "MAX" : "MIN", column, ")");
}

void append_assignment(Sql& sql, const Assignment& one) {
  sql.name(one.column->name);
  sql << "=";
  if (one.add) {
    sql.name(one.column->name);
    sql << "+";
  }
  sql.parameter(one.value, one.column->type);
}

/// "unnest($1,$2,...)": one array a column, so that the text is the same for any number of rows.
void append_arrays(Sql& sql, std::span<const ColumnInfo* const> columns,
                   std::span<const Value> rows) {
  sql << "unnest(";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::vector<Value> values;
    values.reserve(rows.size() / columns.size());
    for (std::size_t at = i; at < rows.size(); at += columns.size()) values.push_back(rows[at]);
    if (i > 0) sql << ",";
    sql.parameter(std::move(values), parameter_type(kind_of(columns[i]->type)));
  }
  sql << ")";
}

struct Parts {
  static constexpr std::string_view nulls_first = " NULLS FIRST";
  static void assignment(Sql& sql, const Assignment& one) { append_assignment(sql, one); }
  static void changed(Sql& sql, const Select& which) { append_changed(sql, which); }
  static void measure(Sql& sql, const Aggregate::Measure& one) { append_measure(sql, one); }
};

/// And the bracket behind them.
void append_values_but_id(Sql& sql, const TableInfo& table, std::span<const Value> row) {
  for (const ColumnInfo& column : table.columns) {
    if (column.index == 0) continue;
    sql << ",";
    sql.parameter(row[column.index], column.type);
  }
  sql << ")";
}

void append_row_update(Sql& sql, const TableInfo& table, std::span<const ColumnInfo* const> columns,
                       std::span<const Value> row) {
  sql << "UPDATE ";
  sql.table(table.name);
  sql << " SET ";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) sql << ",";
    append_assignment(sql, {columns[i], row[i + 1], false});
  }
  sql << " WHERE \"id\"=";
  sql.parameter(row[0]);
}

void append_rows_update(Sql& sql, const TableInfo& table,
                        std::span<const ColumnInfo* const> columns, std::span<const Value> rows) {
  std::vector<const ColumnInfo*> given{&table.columns[0]};
  given.insert(given.end(), columns.begin(), columns.end());
  sql << "UPDATE ";
  sql.table(table.name);
  sql << " AS was SET ";
  for (const ColumnInfo* column : columns) {
    if (column != columns.front()) sql << ",";
    sql.name(column->name);
    sql << "=given.";
    sql.name(column->name);
  }
  sql << " FROM ";
  append_arrays(sql, given, rows);
  sql << " AS given(";
  for (const ColumnInfo* column : given) {
    if (column != given.front()) sql << ",";
    sql.name(column->name);
  }
  sql << ") WHERE was.\"id\"=given.\"id\"";
}

std::vector<const ColumnInfo*> all_columns(const TableInfo& table) {
  std::vector<const ColumnInfo*> columns;
  for (const ColumnInfo& column : table.columns) columns.push_back(&column);
  return columns;
}

}  // namespace

bool is_summed_as_text(const Aggregate::Measure& measure) {
  return measure.function == Aggregate::Function::sum && measure.column->type != Type::real;
}

Result<void> append_select(Sql& sql, const Select& select, Horizon horizon) {
  BUREAU_TRY_VOID(check_select(select));
  const std::string columns = column_list(*select.table);
  const auto order = full_order(select);
  const Limit limit(select.limit);
  if (limit.is_less()) sql << "WITH first AS MATERIALIZED(";
  sql << "SELECT " << columns;
  append_from(sql, select, order, horizon);
  if (limit.is_there) append_limit(sql, limit.seen);
  if (limit.is_less()) {
    sql << ") SELECT " << columns << " FROM first";
    append_order(sql, order);
    append_less(sql, limit);
  }
  return {};
}

void append_find(Sql& sql, const TableInfo& table, std::int64_t id) {
  sql << "SELECT " << column_list(table) << " FROM ";
  sql.table(table.name);
  sql << " WHERE \"id\"=";
  sql.parameter(Value::integer(id));
}

void append_find_all(Sql& sql, const TableInfo& table, std::span<const std::int64_t> ids) {
  sql << "SELECT " << column_list(table) << " FROM ";
  sql.table(table.name);
  sql << " WHERE \"id\"=ANY(";
  std::vector<Value> values;
  values.reserve(ids.size());
  for (const std::int64_t id : ids) values.push_back(Value::integer(id));
  sql.parameter(std::move(values), ParameterType::integer);
  sql << ")";
}

void append_row_updates(Sql& sql, const TableInfo& table,
                        std::span<const ColumnInfo* const> columns, std::span<const Value> rows,
                        IfGone if_gone) {
  const std::size_t count = rows.size() / (columns.size() + 1);
  if (if_gone == IfGone::fails) sql << "WITH changed AS(";
  if (count == 1) {
    append_row_update(sql, table, columns, rows);
  } else {
    append_rows_update(sql, table, columns, rows);
  }
  if (if_gone == IfGone::counts) return;
  sql << " RETURNING 1) SELECT 1/(COUNT(*)=";  // an error, which nobody who commits passes over
  sql.parameter(Value::integer(static_cast<std::int64_t>(count)));
  sql << ")::int FROM changed";
}

void append_numbered_insert(Sql& sql, const TableInfo& table, std::span<const Value> rows,
                            std::int64_t count, const Sql& draw) {
  const bool is_one = rows.size() == table.width();
  sql << "INSERT INTO ";
  sql.table(table.name);
  sql << "(" << column_list(table) << (is_one ? ") VALUES((" : ") WITH drawn AS MATERIALIZED(");
  // Its parameters come first, so their places are right.
  sql << draw.text;
  sql.parameters.insert(sql.parameters.end(), draw.parameters.begin(), draw.parameters.end());
  if (is_one) {  // as most commits have it, at less cost to the server
    sql << ")+";
    sql.parameter(Value::integer(rows[0].as_integer() - count));
    return append_values_but_id(sql, table, rows);
  }
  sql << " AS last) SELECT drawn.last-";
  sql.parameter(Value::integer(count));
  sql << "+given.\"id\"";
  for (const ColumnInfo& column : table.columns) {
    if (column.index == 0) continue;
    sql << ",given.";
    sql.name(column.name);
  }
  sql << " FROM drawn,";
  append_arrays(sql, all_columns(table), rows);
  sql << " AS given(" << column_list(table) << ")";
}

Result<void> append_aggregate(Sql& sql, const Aggregate& aggregate, Horizon horizon) {
  return StatementSql<Parts>::aggregate(sql, aggregate, [&] {
    Conditions conditions(sql);
    append_horizon(sql, conditions, horizon);
    if (aggregate.where.is_always()) return;
    conditions.next();
    append_predicate(sql, aggregate.where);
  });
}

Result<void> append_update(Sql& sql, const Update& update, bool returning) {
  return StatementSql<Parts>::update(sql, update, returning);
}

Result<void> append_remove(Sql& sql, const Select& which) {
  return StatementSql<Parts>::remove(sql, which);
}

void append_insert(Sql& sql, const TableInfo& table, std::span<const Value> rows) {
  sql << "INSERT INTO ";
  sql.table(table.name);
  sql << "(" << column_list(table) << ")";
  if (rows.size() > table.width()) {
    sql << " SELECT * FROM ";
    return append_arrays(sql, all_columns(table), rows);
  }
  sql << " VALUES(";
  sql.parameter(rows[0]);
  append_values_but_id(sql, table, rows);
}

void append_copy(Sql& sql, const TableInfo& table) {
  sql << "COPY ";
  sql.table(table.name);
  sql << "(" << column_list(table) << ") FROM STDIN(FORMAT binary)";
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
