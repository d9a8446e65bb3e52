#include "store/sqlite/table_plan.hpp"

#include <fmt/format.h>

#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

std::string quoted(std::string_view name) {
  std::string text;
  text.reserve(name.size() + 2);
  text += '"';
  text += name;
  text += '"';
  return text;
}

std::string column_list(const TableInfo& table) {
  std::size_t size = 0;
  for (const ColumnInfo& column : table.columns) size += column.name.size() + 3;
  std::string list;
  list.reserve(size);
  for (const ColumnInfo& column : table.columns) {
    list += list.empty() ? "\"" : ",\"";
    list += column.name;
    list += '"';
  }
  return list;
}

TablePlan::~TablePlan() {
  sqlite3_finalize(find);
  sqlite3_finalize(insert);
}

Result<std::unique_ptr<TablePlan>> make_plan(Connection& connection, const TableInfo& table) {
  auto plan = std::make_unique<TablePlan>();
  plan->name = table.name;
  plan->width = table.width();
  plan->first_column = table.columns.data();
  plan->row.resize(table.width());
  const std::string columns = column_list(table);
  BUREAU_TRY(plan->find, connection.prepare_forever(fmt::format("SELECT {} FROM {} WHERE \"id\"=?",
                                                                columns, quoted(table.name))));
  std::string marks = "?";
  for (std::size_t i = 1; i < table.width(); ++i) marks += ",?";
  BUREAU_TRY(plan->insert,
             connection.prepare_forever(
                 fmt::format("INSERT INTO {}({}) VALUES({})", quoted(table.name), columns, marks)));
  return plan;
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
