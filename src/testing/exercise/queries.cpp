// What scans and aggregates answer, and which statements are refused.

#include <algorithm>
#include <cmath>
#include <limits>

#include "testing/exercise/bench.hpp"
#include "testing/exercise/meaning.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

Result<void> insert_meaning_rows(Bench& bench) {
  return bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert(writer, meaning_crews()));
    return insert(writer, meaning_items());
  });
}

Result<void> predicate_meaning(Bench& bench) {
  BUREAU_TRY_VOID(insert_meaning_rows(bench));
  for (const Meaning& meaning : meanings()) {
    BUREAU_TRY(Select where, items_where(meaning.text));
    BUREAU_TRY_VOID(expect_ids(bench.ids(where), meaning.yes, meaning.text));
    Ids no;
    for (const Item& row : meaning_items()) {
      const auto has = [&](const Ids& ids) {
        return std::find(ids.begin(), ids.end(), row.id.value) != ids.end();
      };
      if (!has(meaning.yes) && !has(meaning.unknown)) no.push_back(row.id.value);
    }
    where.where = !where.where;
    BUREAU_TRY_VOID(expect_ids(bench.ids(where), no, "not (" + std::string(meaning.text) + ")"));
  }
  return {};
}

/// The lines of the meaning that SQL's LIKE would answer otherwise, alone, so that its name says
/// what is wrong.
Result<void> text_is_bytewise(Bench& bench) {
  BUREAU_TRY_VOID(insert_meaning_rows(bench));
  for (const Meaning& meaning : meanings()) {
    if (meaning.text.find("prefix") == std::string_view::npos &&
        meaning.text.find("contains") == std::string_view::npos)
      continue;
    BUREAU_TRY(const Select where, items_where(meaning.text));
    BUREAU_TRY_VOID(expect_ids(bench.ids(where), meaning.yes, meaning.text));
  }
  return {};
}

Result<void> scan_stops_when_told(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) {
    return insert(writer, std::vector<Item>{item(1), item(2), item(3)});
  }));
  int seen = 0;
  BUREAU_TRY_VOID(bench.read([&](Reader& reader) {
    seen = 0;
    return reader.scan(select<Item>(),
                       [&](std::span<const Value>) -> Result<bool> { return ++seen < 2; });
  }));
  BUREAU_TRY_VOID(expect_number(seen, 2, "rows seen by a sink that stops at the second"));
  const auto failed = bench.read([&](Reader& reader) {
    return reader.scan(select<Item>(), [&](std::span<const Value>) -> Result<bool> {
      return fail(Code::gone, "of the sink");
    });
  });
  return expect_error(failed, {Code::gone}, "a scan whose sink fails");
}

Result<void> refused(Bench& bench, const Select& select, std::string_view what) {
  return expect_error(bench.ids(select), {Code::invalid}, what);
}

Result<void> statements_are_checked(Bench& bench) {
  const TableInfo& items = table_of<Item>();
  BUREAU_TRY_VOID(refused(bench, select<Item>().where(col(&Crew::name) == "a"),
                          "a predicate over another table's column"));
  BUREAU_TRY_VOID(refused(bench, select<Item>().where(col(&Item::score) < std::nan("")),
                          "a comparison with NaN"));
  BUREAU_TRY_VOID(refused(bench, select<Item>().where(col(&Item::subject) == "\xFF"),
                          "a comparison with invalid UTF-8"));
  BUREAU_TRY_VOID(refused(bench, select<Item>().where(col(&Item::phone).equals_folded("a")),
                          "a case-insensitive comparison with a column that is not folded"));
  BUREAU_TRY(const Select unbound, items_where("count = $n"));
  BUREAU_TRY_VOID(refused(bench, unbound, "a variable that is not bound"));
  Select order = select<Item>();
  order.order.push_back({items.find("custom"), false});
  BUREAU_TRY_VOID(refused(bench, order, "an order by JSON"));
  order.order = {{table_of<Crew>().find("name"), false}};
  BUREAU_TRY_VOID(refused(bench, order, "an order by another table's column"));
  Select after = select<Item>().order_by(col(&Item::count));
  after.after.emplace_back(Value::integer(1));
  BUREAU_TRY_VOID(refused(bench, after, "a position that is too short"));
  after.after.emplace_back(Value::text("1"));
  BUREAU_TRY_VOID(refused(bench, after, "a position of another type"));
  BUREAU_TRY_VOID(refused(bench, Select(), "a select without a table"));
  Aggregate sum;
  sum.table = &items;
  sum.measures.push_back({Aggregate::Function::sum, items.find("subject")});
  const auto summed =
      bench.read([&](Reader& reader) { return reader.aggregate(sum, ignore_rows()); });
  return expect_error(summed, {Code::invalid}, "a sum of texts");
}

Result<Rows> figures(Bench& bench, const Aggregate& aggregate) {
  Rows rows;
  BUREAU_TRY_VOID(bench.read([&](Reader& reader) {
    rows.clear();
    return reader.aggregate(aggregate, [&](std::span<const Value> row) -> Result<bool> {
      rows.emplace_back(row.begin(), row.end());
      return true;
    });
  }));
  return rows;
}

Result<void> expect_figures(Bench& bench, const Aggregate& aggregate, const Rows& want,
                            std::string_view what) {
  BUREAU_TRY(const Rows rows, figures(bench, aggregate));
  if (rows == want) return {};
  std::string message = std::string(what) + ": ";
  for (const auto& row : rows) message += shown(row);
  message += " instead of ";
  for (const auto& row : want) message += shown(row);
  return wrong(std::move(message));
}

OwnedValue number(std::int64_t i) { return OwnedValue(Value::integer(i)); }
OwnedValue real(double d) { return OwnedValue(Value::real(d)); }

Aggregate measures_of(
    std::initializer_list<std::pair<Aggregate::Function, std::string_view>> list) {
  Aggregate aggregate;
  aggregate.table = &table_of<Item>();
  for (const auto& [function, column] : list)
    aggregate.measures.push_back({function, aggregate.table->find(column)});
  return aggregate;
}

using Function = Aggregate::Function;

Result<void> aggregates(Bench& bench) {
  const Aggregate all = measures_of({{Function::count, ""},
                                     {Function::sum, "count"},
                                     {Function::minimum, "count"},
                                     {Function::maximum, "count"},
                                     {Function::average, "count"},
                                     {Function::sum, "score"},
                                     {Function::average, "score"},
                                     {Function::minimum, "subject"},
                                     {Function::maximum, "subject"},
                                     {Function::maximum, "level"},
                                     {Function::sum, "effort"}});
  BUREAU_TRY_VOID(expect_figures(bench, all, {{number(0), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}},
                                 "over no rows"));
  BUREAU_TRY_VOID(bench.write([](Writer& writer) {
    Item a = item(1, "b");
    a.count = 1;
    a.score = 0.25;
    a.level = Level::high;
    a.effort = Duration(5);
    Item b = item(2, "B");
    b.count = 4;
    b.score = 0.5;
    Item c = item(3, "Ä");
    c.count = -8;
    return insert(writer, std::vector<Item>{a, b, c, item(4, "")});
  }));
  return expect_figures(
      bench, all,
      {{number(4), number(-3), number(-8), number(4), real(-1), real(0.75), real(0.375),
        OwnedValue::text(""), OwnedValue::text("Ä"), number(2), number(5)}},
      "over four rows");
}

Result<void> aggregates_by_group(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) {
    std::vector<Item> items;
    for (std::int64_t i = 1; i <= 12; ++i) {
      items.push_back(item(i));
      if (i % 3 != 0) items.back().wish = static_cast<Level>(i % 3);
      items.back().open = i % 2 == 0;
      items.back().count = i;
    }
    return insert(writer, items);
  }));
  Aggregate grouped = measures_of({{Function::count, ""}, {Function::sum, "count"}});
  grouped.group_by = {table_of<Item>().find("wish"), table_of<Item>().find("open")};
  BUREAU_TRY_VOID(expect_figures(bench, grouped,
                                 {{{}, number(0), number(2), number(12)},
                                  {{}, number(1), number(2), number(18)},
                                  {number(1), number(0), number(2), number(8)},
                                  {number(1), number(1), number(2), number(14)},
                                  {number(2), number(0), number(2), number(16)},
                                  {number(2), number(1), number(2), number(10)}},
                                 "by two columns"));
  BUREAU_TRY(const Select some, items_where("count > 100"));
  grouped.where = some.where;
  BUREAU_TRY_VOID(expect_figures(bench, grouped, {}, "groups of no rows"));
  BUREAU_TRY(const Select odd, items_where("open = false and wish is not null"));
  grouped.where = odd.where;
  grouped.group_by.pop_back();
  return expect_figures(bench, grouped,
                        {{number(1), number(2), number(8)}, {number(2), number(2), number(16)}},
                        "by one column, of some rows");
}

Result<void> aggregates_overflow(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) {
    Item a = item(1);
    a.count = std::numeric_limits<std::int64_t>::max();
    a.effort = Duration(std::numeric_limits<std::int64_t>::max());
    a.score = std::numeric_limits<double>::max();
    Item b = a;
    b.id = Id<Item>(2);
    return insert(writer, std::vector<Item>{a, b});
  }));
  for (const auto* column : {"count", "effort", "score"})
    BUREAU_TRY_VOID(expect_error(figures(bench, measures_of({{Function::sum, column}})),
                                 {Code::exhausted}, "a sum that does not fit", column));
  return expect_figures(bench, measures_of({{Function::average, "count"}}),
                        {{real(9223372036854775807.0)}}, "the average of two large numbers");
}

}  // namespace

std::vector<CheckEntry> query_checks() {
  return {{"predicate_meaning", predicate_meaning},
          {"text_is_bytewise", text_is_bytewise},
          {"scan_stops_when_told", scan_stops_when_told},
          {"statements_are_checked", statements_are_checked},
          {"aggregates", aggregates},
          {"aggregates_by_group", aggregates_by_group},
          {"aggregates_overflow", aggregates_overflow}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
