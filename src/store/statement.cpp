#include "bureau/store/statement.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "store/predicate_check.hpp"
#include "store/predicate_parse.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

tl::unexpected<Error> refuse(const TableInfo& table, std::string_view rule,
                             const ColumnInfo* column = nullptr) {
  return fail(Code::invalid, fmt::format("table '{}': {}", table.name, rule),
              std::string(column == nullptr ? std::string_view() : column->name));
}

Result<void> check_column(const TableInfo& table, const ColumnInfo* column, std::string_view use) {
  if (column == nullptr) return refuse(table, fmt::format("{} without a column", use));
  if (column->index >= table.width() || &table.columns[column->index] != column)
    return refuse(table, fmt::format("{}: '{}' is not one of its columns", use, column->name),
                  column);
  return {};
}

Result<void> check_order(const Select& select) {
  const TableInfo& table = *select.table;
  for (std::size_t i = 0; i < select.order.size(); ++i) {
    const ColumnInfo* column = select.order[i].column;
    BUREAU_TRY_VOID(check_column(table, column, "order"));
    if (column->type == Type::json)
      return refuse(table, fmt::format("'{}' is JSON, which has no order", column->name), column);
    if (column->index == 0 && i + 1 < select.order.size())
      return refuse(table, "an order ends with the id: nothing after it can matter", column);
  }
  return {};
}

Result<void> check_after(const Select& select) {
  if (select.after.empty()) return {};
  const std::vector<Order> order = full_order(select);
  if (select.after.size() != order.size())
    return refuse(*select.table, fmt::format("a position of {} values for an order of {}",
                                             select.after.size(), order.size()));
  for (std::size_t i = 0; i < order.size(); ++i) {
    ColumnInfo column = *order[i].column;
    column.max_length = std::numeric_limits<std::uint32_t>::max();
    BUREAU_TRY_VOID(check_value(*select.table, column, select.after[i].view()));
  }
  return {};
}

Result<void> check_measure(const TableInfo& table, const Aggregate::Measure& measure) {
  using Function = Aggregate::Function;
  if (measure.function == Function::count) {
    if (measure.column != nullptr)
      return refuse(table, "a count is of rows and takes no column", measure.column);
    return {};
  }
  BUREAU_TRY_VOID(check_column(table, measure.column, "aggregate"));
  const Type type = measure.column->type;
  const bool number = type == Type::integer || type == Type::real || type == Type::duration;
  const bool sums = measure.function == Function::sum || measure.function == Function::average;
  if ((sums && !number) || type == Type::json)
    return refuse(table,
                  fmt::format("'{}' is of type {}, which cannot be {}", measure.column->name,
                              to_string(type), sums ? "added up" : "ordered"),
                  measure.column);
  return {};
}

Result<void> check_assignment(const TableInfo& table, const Assignment& assignment) {
  const ColumnInfo& column = *assignment.column;
  if (column.index == 0) return refuse(table, "the id cannot be assigned", &column);
  if (!assignment.add) return check_value(table, column, assignment.value);
  const bool addable = column.type == Type::integer || column.type == Type::timestamp ||
                       column.type == Type::duration;
  if (!addable || assignment.value.kind() != Value::Kind::integer)
    return refuse(table,
                  fmt::format("only integers can be added to, and '{}' is of type {}", column.name,
                              to_string(column.type)),
                  &column);
  return {};
}

}  // namespace

Result<const ColumnInfo*> find_column(const TableInfo& table, std::string_view name) {
  return detail::named_column(table, name, detail::Author::program);
}

Result<std::vector<Order>> parse_order(const TableInfo& table, std::string_view text) {
  std::vector<Order> order;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    const bool minus = part.starts_with('-');
    const bool desc = part.ends_with(" desc");
    if (minus) part.remove_prefix(1);
    if (desc || part.ends_with(" asc")) part.remove_suffix(desc ? 5 : 4);
    BUREAU_TRY(const ColumnInfo* column, find_column(table, part));
    order.push_back({column, minus || desc});
  }
  return order;
}

std::vector<Order> full_order(const Select& select) {
  std::vector<Order> order = select.order;
  const ColumnInfo* id = &select.table->columns[0];
  if (order.empty() || order.back().column != id) order.push_back({id, false});
  return order;
}

Result<void> check_select(const Select& select) {
  if (select.table == nullptr) return fail(Code::invalid, "a select without a table");
  BUREAU_TRY_VOID(detail::check_predicate(*select.table, select.where));
  BUREAU_TRY_VOID(check_order(select));
  return check_after(select);
}

Result<void> check_aggregate(const Aggregate& aggregate) {
  if (aggregate.table == nullptr) return fail(Code::invalid, "an aggregate without a table");
  const TableInfo& table = *aggregate.table;
  BUREAU_TRY_VOID(detail::check_predicate(table, aggregate.where));
  for (const ColumnInfo* column : aggregate.group_by) {
    BUREAU_TRY_VOID(check_column(table, column, "group by"));
    if (column->type == Type::json)
      return refuse(table, fmt::format("'{}' is JSON, which has no order", column->name), column);
  }
  if (aggregate.measures.empty() && aggregate.group_by.empty())
    return refuse(table, "an aggregate of nothing");
  for (const Aggregate::Measure& measure : aggregate.measures)
    BUREAU_TRY_VOID(check_measure(table, measure));
  return {};
}

Result<void> check_update(const Update& update) {
  BUREAU_TRY_VOID(check_select(update.which));
  const TableInfo& table = *update.which.table;
  if (update.set.empty()) return refuse(table, "an update that assigns nothing");
  for (auto at = update.set.begin(); at != update.set.end(); ++at) {
    BUREAU_TRY_VOID(check_column(table, at->column, "update"));
    if (std::any_of(update.set.begin(), at,
                    [&](const Assignment& a) { return a.column == at->column; }))
      return refuse(table, fmt::format("'{}' is assigned twice", at->column->name), at->column);
    BUREAU_TRY_VOID(check_assignment(table, *at));
  }
  return {};
}

Result<void> check_row_updates(const TableInfo& table, std::span<const ColumnInfo* const> columns,
                               std::span<const Value> rows) {
  if (columns.empty()) return refuse(table, "an update that assigns nothing");
  for (auto at = columns.begin(); at != columns.end(); ++at) {
    BUREAU_TRY_VOID(check_column(table, *at, "update"));
    if ((*at)->index == 0) return refuse(table, "the id cannot be assigned", *at);
    if (std::find(columns.begin(), at, *at) != at) {
      return refuse(table, fmt::format("'{}' is assigned twice", (*at)->name), *at);
    }
  }
  const std::size_t width = columns.size() + 1;
  if (rows.size() % width != 0) {
    return refuse(table, fmt::format("{} values are not rows of an id and {} columns", rows.size(),
                                     columns.size()));
  }
  for (std::size_t at = 0; at < rows.size(); ++at) {
    const std::size_t place = at % width;
    const ColumnInfo& column = place == 0 ? table.columns[0] : *columns[place - 1];
    BUREAU_TRY_VOID(check_value(table, column, rows[at]));
  }
  return {};
}

Error row_is_gone(const TableInfo& table) {
  return {Code::not_found, fmt::format("{}: a row is gone", table.name), "id"};
}

Result<void> check_numbered(const TableInfo& table, std::span<const Value> rows,
                            std::int64_t count) {
  const std::size_t width = table.width();
  if (width == 0 || rows.size() % width != 0) {
    return refuse(table, fmt::format("{} values are not rows of {} columns", rows.size(), width));
  }
  for (std::size_t at = 0; at < rows.size(); at += width) {
    const Value& place = rows[at];
    const bool fits = place.kind() == Value::Kind::integer && place.as_integer() >= 1 &&
                      place.as_integer() <= count;
    if (!fits) {
      return refuse(table, fmt::format("a number is not within 1 and {}", count),
                    &table.columns[0]);
    }
  }
  return {};
}

BUREAU_END_NAMESPACE
