#pragma once

#include "bureau/store/statement.hpp"
#include "store/sql_text.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Statements as SQL, so far as the databases agree. Each checks what it is given (`invalid`), and
/// appends to the statement in the making. `Parts` has as static functions what is one database's
/// own:
/// - assignment(sql, one): "column=..."
/// - changed(sql, which): which rows a change concerns, from WHERE on
/// - measure(sql, measure)
/// - `nulls_first`: behind a column in an order, where nulls do not come first by themselves
template <class Parts>
struct StatementSql {
  template <class Sql>
  [[nodiscard]] static Result<void> update(Sql& sql, const Update& update, bool returning) {
    BUREAU_TRY_VOID(check_update(update));
    sql << "UPDATE ";
    sql.table(update.which.table->name);
    sql << " SET ";
    for (std::size_t i = 0; i < update.set.size(); ++i) {
      if (i > 0) sql << ",";
      Parts::assignment(sql, update.set[i]);
    }
    Parts::changed(sql, update.which);
    if (returning) append_returning(sql, *update.which.table);
    return {};
  }

  template <class Sql>
  [[nodiscard]] static Result<void> remove(Sql& sql, const Select& which) {
    BUREAU_TRY_VOID(check_select(which));
    sql << "DELETE FROM ";
    sql.table(which.table->name);
    Parts::changed(sql, which);
    append_returning(sql, *which.table);
    return {};
  }

  /// `filter` appends the rows that are counted, from WHERE on.
  template <class Sql, class Filter>
  [[nodiscard]] static Result<void> aggregate(Sql& sql, const Aggregate& aggregate,
                                              const Filter& filter) {
    BUREAU_TRY_VOID(check_aggregate(aggregate));
    std::string groups, order;
    for (const ColumnInfo* column : aggregate.group_by) {
      const std::string_view comma = groups.empty() ? "" : ",";
      groups.append(comma).append(quoted(column->name));
      order.append(comma).append(quoted(column->name)).append(Parts::nulls_first);
    }
    sql << "SELECT " << groups;
    bool first = groups.empty();
    for (const auto& measure : aggregate.measures) {
      if (!first) sql << ",";
      first = false;
      Parts::measure(sql, measure);
    }
    sql << " FROM ";
    sql.table(aggregate.table->name);
    filter();
    if (!groups.empty()) sql << " GROUP BY " << groups << " ORDER BY " << order;
    return {};
  }

 private:
  template <class Sql>
  static void append_returning(Sql& sql, const TableInfo& table) {
    sql << " RETURNING " << column_list(table);
  }
};

}  // namespace detail
BUREAU_END_NAMESPACE
