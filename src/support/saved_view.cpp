#include "bureau/support/saved_view.hpp"

#include <fmt/format.h>

#include "bureau/support/tickets.hpp"
#include "support/shared_rows.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

tl::unexpected<Error> refuse(std::string_view field, const std::string& rule) {
  return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

Result<const ColumnInfo*> column_named(std::string_view field, std::string_view name) {
  const ColumnInfo* column = table_of<Ticket>().find(name);
  if (column != nullptr && !column->hidden) return column;
  return refuse(field, fmt::format("tickets have no column \"{}\"", detail::shortened(name)));
}

/// "priority desc, created_at"
Result<std::vector<Order>> parse_sort(std::string_view text) {
  constexpr std::size_t max_orders = 8;
  std::vector<Order> orders;
  while (!trimmed(text).empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = trimmed(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const std::size_t space = part.find(' ');
    const std::string_view way =
        space == std::string_view::npos ? "asc" : trimmed(part.substr(space));
    BUREAU_TRY(const ColumnInfo* column, column_named("sort", part.substr(0, space)));
    if (way != "asc" && way != "desc") {
      return refuse("sort", fmt::format("\"{}\" after {}: expected asc or desc",
                                        detail::shortened(way), column->name));
    }
    if (column->type == Type::json) {
      return refuse("sort", fmt::format("{} has no order", column->name));
    }
    orders.push_back({column, way == "desc"});
  }
  if (orders.size() <= max_orders) return orders;
  return refuse("sort", fmt::format("{} columns, the limit is {}", orders.size(), max_orders));
}

Result<Predicate> parse_condition(const Catalog& catalog, std::string_view text) {
  if (trimmed(text).empty()) return Predicate();
  auto parsed = Predicate::parse(table_of<Ticket>(), text, &catalog);
  if (!parsed) return refuse("condition", parsed.error().message);
  return parsed;
}

/// Asks for nothing, so that all is checked that a list checks: variables, hidden columns.
Result<void> try_out(Unit& unit, const Query& query) {
  Query nothing = query;
  nothing.where = col(&Ticket::id) == Id<Ticket>(1) && nothing.where;  // an id that no row has
  nothing.limit = 1;
  auto tried = Tickets{unit}.list(nothing);
  if (tried) return {};
  return fail(tried.error().code, "condition: " + tried.error().message, "condition");
}

}  // namespace

Result<Query> SavedViews::query(const SavedView& view) const {
  Query query;
  const Catalog& catalog = rows_.rows().scope().session().database().catalog();
  BUREAU_TRY(query.where, parse_condition(catalog, view.condition));
  BUREAU_TRY(query.order, parse_sort(view.sort));
  return query;
}

Result<SavedView> SavedViews::save(const NewView& given) const {
  SavedView row;
  row.name = given.name;
  row.condition = given.condition;
  row.sort = given.sort;
  row.columns = given.columns;
  row.scope = given.scope;
  row.team = given.team;
  BUREAU_TRY(const Query query, this->query(row));
  for (const std::string& column : row.columns) {
    BUREAU_TRY_VOID(column_named("columns", column));
  }
  return rows_.rows().scope().write([&](Unit& unit) -> Result<SavedView> {
    BUREAU_TRY_VOID(try_out(unit, query));
    return detail::save_shared(unit, row, [](SavedView& present, const SavedView& now) {
      present.condition = now.condition;
      present.sort = now.sort;
      present.columns = now.columns;
    });
  });
}

Result<SavedView> SavedViews::named(std::string_view name) const {
  return detail::nearest_named(rows_, "view", name);
}

Result<void> SavedViews::remove(Id<SavedView> view) const {
  return rows_.rows().scope().write([&](Unit& unit) {
    return detail::remove_own_row(unit, table_of<SavedView>(), view.value,
                                  detail::RuleKind::update);
  });
}

Result<Page<Ticket>> Tickets::view(Id<SavedView> view, std::uint64_t limit,
                                   std::string cursor) const {
  const SavedViews views{tickets_.rows().scope()};
  BUREAU_TRY(const SavedView row, views.repository().find(view));
  BUREAU_TRY(Query query, views.query(row));
  query.limit = limit;
  query.cursor = std::move(cursor);
  return tickets_.page(query);
}

BUREAU_END_NAMESPACE
