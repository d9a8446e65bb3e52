#include "store/sqlite/table_plan.hpp"

#include <fmt/format.h>

#include "store/sql_text.hpp"
#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

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
