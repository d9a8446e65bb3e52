// Order, limit and keyset pages.

#include <algorithm>

#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

Result<void> insert_counts(Bench& bench) {
  return bench.write([](Writer& writer) {
    std::vector<Item> items;
    for (const auto& [id, count] : std::initializer_list<std::pair<int, int>>{
             {1, 5}, {2, -3}, {3, 99}, {4, 5}, {5, 99}, {6, 0}, {7, 5}}) {
      items.push_back(item(id, "s" + std::to_string(id % 3)));
      if (count != 99) items.back().count = count;
    }
    return insert(writer, items);
  });
}

Result<void> order_and_nulls(Bench& bench) {
  BUREAU_TRY_VOID(insert_counts(bench));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>()), {1, 2, 3, 4, 5, 6, 7}, "no order: by id"));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>().order_by(col(&Item::count))),
                             {3, 5, 2, 6, 1, 4, 7}, "by count: nulls first, then by id"));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>().order_by(col(&Item::count), true)),
                             {1, 4, 7, 6, 2, 3, 5}, "by count descending: nulls last, then by id"));
  BUREAU_TRY_VOID(expect_ids(
      bench.ids(select<Item>().order_by(col(&Item::count), true).order_by(col(&Item::id), true)),
      {7, 4, 1, 6, 2, 5, 3}, "by count and id descending"));
  return expect_ids(
      bench.ids(select<Item>().order_by(col(&Item::subject)).order_by(col(&Item::count), true)),
      {6, 3, 1, 4, 7, 2, 5}, "by subject, then count descending");
}

Result<void> text_order_is_bytewise(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) {
    std::vector<Item> items;
    for (const auto* text : {"ä", "z", "a", "B", "", "ab", "😀", "Z", "\x7F"})
      items.push_back(item(static_cast<std::int64_t>(items.size()) + 1, text));
    return insert(writer, items);
  }));
  return expect_ids(bench.ids(select<Item>().order_by(col(&Item::subject))),
                    {5, 4, 8, 3, 6, 2, 9, 1, 7}, "texts in order");
}

Result<void> limits(Bench& bench) {
  BUREAU_TRY_VOID(insert_counts(bench));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>().limit(0)), {}, "limit 0"));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>().limit(2)), {1, 2}, "limit 2"));
  BUREAU_TRY_VOID(
      expect_ids(bench.ids(select<Item>().limit(100)), {1, 2, 3, 4, 5, 6, 7}, "limit 100"));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>().limit(UINT64_MAX)), {1, 2, 3, 4, 5, 6, 7},
                             "the largest limit"));
  return expect_ids(bench.ids(select<Item>().order_by(col(&Item::count), true).limit(4)),
                    {1, 4, 7, 6}, "limit 4 of an order");
}

/// Reads all pages of `select`, each after the last row of the one before.
Result<Ids> paged(Bench& bench, Select select, std::uint64_t size) {
  std::vector<std::uint16_t> key;
  for (const Order& order : select.order) key.push_back(order.column->index);
  if (key.empty() || key.back() != 0) key.push_back(0);
  select.limit = size;
  Ids all;
  for (int pages = 0; pages < 100; ++pages) {
    Rows rows;
    BUREAU_TRY_VOID(bench.read([&](Reader& reader) -> Result<void> {
      BUREAU_TRY(rows, rows_of(reader, select));
      return {};
    }));
    for (const auto& row : rows) all.push_back(row[0].view().as_integer());
    if (rows.size() < size) return all;
    select.after.clear();
    for (const std::uint16_t column : key) select.after.push_back(rows.back()[column]);
  }
  return wrong("pages that never end");
}

Result<void> keyset_pages(Bench& bench) {
  BUREAU_TRY_VOID(insert_counts(bench));
  const TableInfo& table = table_of<Item>();
  for (const std::vector<Order>& order : std::initializer_list<std::vector<Order>>{
           {},
           {{table.find("id"), true}},
           {{table.find("count"), false}},
           {{table.find("count"), true}},
           {{table.find("count"), true}, {table.find("id"), true}},
           {{table.find("subject"), true}, {table.find("count"), false}},
           {{table.find("subject"), false}, {table.find("count"), true}, {table.find("id"), true}},
       }) {
    Select all = select<Item>();
    all.order = order;
    BUREAU_TRY(const Ids want, bench.ids(all));
    for (std::uint64_t size = 1; size <= 4; ++size)
      BUREAU_TRY_VOID(
          expect_ids(paged(bench, all, size), want, "in pages of " + std::to_string(size)));
  }
  // A position is a place, not a row: it need not exist.
  Select after = select<Item>().order_by(col(&Item::count));
  after.after = {OwnedValue(Value::integer(1)), OwnedValue(Value::integer(1))};
  BUREAU_TRY_VOID(expect_ids(bench.ids(after), {1, 4, 7}, "after a position without a row"));
  after.order[0].descending = true;
  return expect_ids(bench.ids(after), {6, 2, 3, 5}, "after it, descending");
}

}  // namespace

std::vector<CheckEntry> page_checks() {
  return {{"order_and_nulls", order_and_nulls},
          {"text_order_is_bytewise", text_order_is_bytewise},
          {"limits", limits},
          {"keyset_pages", keyset_pages}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
