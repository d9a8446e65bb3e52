#include "store/statement_sql.hpp"

#include <algorithm>
#include <limits>

#include "store/keyset_sql.hpp"
#include "store/sqlite/sql.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

void append_filter(Sql& sql, const Select& select, const std::vector<Order>& order) {
  const bool filtered = !select.where.is_always();
  if (!filtered && select.after.empty()) return;
  sql << " WHERE ";
  if (filtered) append_predicate(sql, select.where);
  if (select.after.empty()) return;
  if (filtered) sql << " AND ";
  sql << "(";
  KeysetWriter(sql, order, select.after).write();
  sql << ")";
}

/// " WHERE ... ORDER BY ... LIMIT ..."
void append_which(Sql& sql, const Select& select) {
  const auto order = full_order(select);
  append_filter(sql, select, order);
  sql << " ORDER BY ";
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0) sql << ",";
    sql.name(order[i].column->name);
    if (order[i].descending) sql << " DESC";
  }
  if (select.limit) {
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    sql << " LIMIT ";
    sql.parameter(Value::integer(static_cast<std::int64_t>(std::min(*select.limit, most))));
  }
}

/// Which rows a change concerns. With a limit they are picked first, in order.
void append_changed(Sql& sql, const Select& which) {
  if (!which.limit) return append_filter(sql, which, full_order(which));
  const bool one = *which.limit == 1;
  sql << (one ? " WHERE \"id\"=(SELECT \"id\" FROM " : " WHERE \"id\" IN(SELECT \"id\" FROM ");
  sql.name(which.table->name);
  append_which(sql, which);
  sql << ")";
}

void append_measure(Sql& sql, const Aggregate::Measure& measure) {
  using Function = Aggregate::Function;
  if (measure.function == Function::count) {
    sql << "COUNT(*)";
    return;
  }
  const bool real = measure.column->type == Type::real;
  switch (measure.function) {
    case Function::sum:
      sql << (real ? "SUM(" : "bureau_sum(");
      break;
    case Function::average:
      sql << (real ? "AVG(" : "bureau_average(");
      break;
    case Function::minimum:
      sql << "MIN(";
      break;
    default:
      sql << "MAX(";
      break;
  }
  sql.name(measure.column->name);
  if (measure.function == Function::sum && !real) sql << ",'" << measure.column->name << "'";
  sql << ")";
}

void append_assignment(Sql& sql, const Assignment& one) {
  sql.name(one.column->name);
  sql << "=";
  if (!one.add) return sql.parameter(one.value);
  sql << "bureau_add(";
  sql.name(one.column->name);
  sql << ",";
  sql.parameter(one.value);
  sql << ",'" << one.column->name << "')";
}

void append_ids(SqlText& sql, std::size_t ids) {
  sql << " WHERE \"id\"";
  if (ids == 1) {
    sql << "=?";
    return;
  }
  for (std::size_t i = 0; i < ids; ++i) sql << (i == 0 ? " IN(?" : ",?");
  sql << ")";
}

struct Parts {
  static constexpr std::string_view nulls_first = "";
  static void assignment(Sql& sql, const Assignment& one) { append_assignment(sql, one); }
  static void changed(Sql& sql, const Select& which) { append_changed(sql, which); }
  static void measure(Sql& sql, const Aggregate::Measure& one) { append_measure(sql, one); }
};

}  // namespace

Result<void> append_select(Sql& sql, const Select& select) {
  BUREAU_TRY_VOID(check_select(select));
  sql << "SELECT " << column_list(*select.table) << " FROM ";
  sql.name(select.table->name);
  append_which(sql, select);
  return {};
}

Result<void> append_aggregate(Sql& sql, const Aggregate& aggregate) {
  return StatementSql<Parts>::aggregate(sql, aggregate, [&] {
    if (aggregate.where.is_always()) return;
    sql << " WHERE ";
    append_predicate(sql, aggregate.where);
  });
}

Result<void> append_update(Sql& sql, const Update& update, bool returning) {
  return StatementSql<Parts>::update(sql, update, returning);
}

Result<void> append_remove(Sql& sql, const Select& which) {
  return StatementSql<Parts>::remove(sql, which);
}

std::string select_by_ids(const TableInfo& table, std::size_t ids) {
  SqlText sql;
  sql << "SELECT " << column_list(table) << " FROM ";
  sql.name(table.name);
  append_ids(sql, ids);
  return std::move(sql.text);
}

std::string update_by_ids(const TableInfo& table, std::span<const ColumnInfo* const> columns,
                          std::size_t ids) {
  SqlText sql;
  sql << "UPDATE ";
  sql.name(table.name);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    sql << (i == 0 ? " SET " : ",");
    sql.name(columns[i]->name);
    sql << "=?";
  }
  append_ids(sql, ids);
  return std::move(sql.text);
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
