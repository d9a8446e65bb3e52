// What takes several rows in one call: look-ups by ids, updates by rows, numbered inserts.

#include <algorithm>

#include "bureau/store/database.hpp"
#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

const TableInfo& item_table() { return table_of<Item>(); }
const ColumnInfo* item_column(std::string_view name) { return item_table().find(name); }

Result<void> insert_six(Writer& writer) {
  std::vector<Item> six;
  for (std::int64_t i = 1; i <= 6; ++i) {
    six.push_back(item(i, "s"));
    six.back().count = 10 * i;
  }
  return insert(writer, six);
}

Result<Ids> found(Reader& reader, const Ids& ids) {
  Ids got;
  BUREAU_TRY_VOID(
      reader.find_all(item_table(), ids, [&](std::span<const Value> row) -> Result<bool> {
        const std::int64_t id = row[0].as_integer();
        got.push_back(row[item_column("count")->index].as_integer() == 10 * id ? id : -id);
        return true;
      }));
  std::sort(got.begin(), got.end());
  return got;
}

Result<void> look_up(Reader& reader) {
  BUREAU_TRY_VOID(expect_ids(found(reader, {5, 2, 9, 5, 1}), {1, 2, 5}, "rows found by their ids"));
  BUREAU_TRY_VOID(expect_ids(found(reader, {}), {}, "rows found by no ids"));
  int shown = 0;
  BUREAU_TRY_VOID(reader.find_all(item_table(), Ids{1, 2, 3},
                                  [&](auto) -> Result<bool> { return ++shown < 2; }));
  BUREAU_TRY_VOID(expect_number(shown, 2, "rows shown to a sink that wanted two"));
  const auto failed = reader.find_all(item_table(), Ids{1, 2}, [](auto) -> Result<bool> {
    return fail(Code::gone, "of the sink");
  });
  return expect_error(failed, {Code::gone}, "a look-up whose sink fails");
}

Result<void> rows_are_found_by_ids(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_six(writer));
    return look_up(writer);
  }));
  return bench.read([](Reader& reader) { return look_up(reader); });
}

/// Each scan has its own rows, in its own order, and all are of one moment.
Result<void> scan_together(Reader& reader) {
  BUREAU_TRY(Select late, items_where("count >= 40"));
  late.order = {{item_column("count"), true}};
  late.limit = 2;
  BUREAU_TRY(const Select none, items_where("count > 1000"));
  BUREAU_TRY(const Select early, items_where("count <= 20"));
  std::vector<Ids> got(3);
  std::vector<int> order;
  const auto note = [&](std::size_t which) {
    return [&got, &order, which](std::span<const Value> row) -> Result<bool> {
      got[which].push_back(row[0].as_integer());
      order.push_back(static_cast<int>(which));
      return which != 2;  // the last wants one row
    };
  };
  const auto first = note(0), second = note(1), third = note(2);
  const Scan scans[] = {{&late, first}, {&none, second}, {&early, third}};
  BUREAU_TRY_VOID(reader.scan_all(scans));
  BUREAU_TRY_VOID(expect_ids(got[0], {6, 5}, "rows of the first of several scans"));
  BUREAU_TRY_VOID(expect_ids(got[1], {}, "rows of a scan that finds none among several"));
  BUREAU_TRY_VOID(expect_ids(got[2], {1}, "rows of a scan that is stopped among several"));
  BUREAU_TRY_VOID(expect(std::is_sorted(order.begin(), order.end()),
                         "several scans give their rows in another order than they were asked"));
  BUREAU_TRY_VOID(reader.scan_all({}));
  got = std::vector<Ids>(3);
  const auto refusing = [](std::span<const Value>) -> Result<bool> {
    return fail(Code::gone, "of the sink");
  };
  const Scan failing[] = {{&early, refusing}, {&late, first}};
  BUREAU_TRY_VOID(expect_error(reader.scan_all(failing), {Code::gone},
                               "several scans of which the first's sink fails"));
  return expect_ids(got[0], {}, "rows of a scan after one that failed");
}

Result<void> scans_are_made_together(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_six(writer));
    return scan_together(writer);
  }));
  return bench.read([](Reader& reader) { return scan_together(reader); });
}

Result<void> expect_counts(Reader& reader, const std::vector<std::int64_t>& want) {
  std::vector<std::int64_t> got;
  BUREAU_TRY_VOID(reader.scan(select<Item>(), [&](std::span<const Value> row) -> Result<bool> {
    const Value& count = row[item_column("count")->index];
    got.push_back(count.is_null() ? -1 : count.as_integer());
    return true;
  }));
  return expect_ids(got, want, "values after an update by rows");
}

Result<void> rows_get_values_of_their_own(Bench& bench) {
  const std::vector<const ColumnInfo*> columns{item_column("count"), item_column("note"),
                                               item_column("score"), item_column("digest")};
  const auto whole = [](std::int64_t id, const Value& count, std::string_view note) {
    return std::vector<Value>{Value::integer(id), count, Value::text(note), Value::real(0.5),
                              Value::bytes(note)};
  };
  std::vector<Value> rows;
  for (const auto& row : {whole(2, Value::integer(7), "two"), whole(4, Value(), "four"),
                          whole(1, Value::integer(-3), "")}) {
    rows.insert(rows.end(), row.begin(), row.end());
  }
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert_six(writer));
    BUREAU_TRY_VOID(writer.update_rows(item_table(), columns, rows));
    BUREAU_TRY_VOID(writer.update_rows(item_table(), columns, {}));
    return expect_counts(writer, {-3, 7, 30, -1, 50, 60});
  }));
  return bench.read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY_VOID(expect_counts(reader, {-3, 7, 30, -1, 50, 60}));
    BUREAU_TRY(const Select note, items_where("note = 'four' and score = 0.5"));
    return expect_ids(ids_of(reader, note), {4}, "a text that was written by an update by rows");
  });
}

/// More rows than a storage may put into one statement, most of which become the same.
Result<void> many_rows_in_one_call(Bench& bench) {
  constexpr std::int64_t count = 700;
  const auto becomes = [](std::int64_t id) {
    return id > 300 && id % 50 < 3 ? id : std::int64_t{7} + id / 500;
  };
  std::vector<Item> items;
  std::vector<Value> rows;
  std::vector<std::int64_t> wanted;
  Ids ids;
  for (std::int64_t i = 1; i <= count; ++i) {
    items.push_back(item(i, "s"));
    rows.insert(rows.end(), {Value::integer(i), Value::integer(becomes(i))});
    wanted.push_back(becomes(i));
    ids.push_back(i);
  }
  const Ids all = ids;
  ids.insert(ids.end(), {count + 5, 3, 650});
  return bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert(writer, items));
    const std::vector<const ColumnInfo*> columns{item_column("count")};
    BUREAU_TRY_VOID(writer.update_rows(item_table(), columns, rows));
    BUREAU_TRY_VOID(expect_counts(writer, wanted));
    Ids got;
    BUREAU_TRY_VOID(
        writer.find_all(item_table(), ids, [&](std::span<const Value> row) -> Result<bool> {
          got.push_back(row[0].as_integer());
          return true;
        }));
    std::sort(got.begin(), got.end());
    BUREAU_TRY_VOID(expect_ids(got, all, "many rows found by their ids"));
    std::int64_t shown = 0;
    BUREAU_TRY_VOID(
        writer.find_all(item_table(), ids, [&](auto) -> Result<bool> { return ++shown < 10; }));
    return expect_number(shown, 10, "rows shown to a sink that wanted ten of many");
  });
}

Result<void> updates_by_rows_are_checked(Bench& bench) {
  const auto refused = [&](std::vector<const ColumnInfo*> columns, std::vector<Value> rows,
                           std::string_view what, std::string_view field) -> Result<void> {
    const auto written = bench.write([&](Writer& writer) -> Result<void> {
      return writer.update_rows(item_table(), columns, rows);
    });
    BUREAU_TRY_VOID(expect_error(written, {Code::invalid}, what, field));
    return bench.read([](Reader& reader) {
      return expect_counts(reader, {10, 20, 30, 40, 50, 60});
    });
  };
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert_six(writer); }));
  const Value one = Value::integer(1), two = Value::integer(2);
  BUREAU_TRY_VOID(refused({}, {one}, "an update by rows that assigns nothing", ""));
  BUREAU_TRY_VOID(refused({item_column("id")}, {one, two}, "one that assigns the id", "id"));
  BUREAU_TRY_VOID(refused({item_column("count")}, {one, two, two}, "half a row", ""));
  BUREAU_TRY_VOID(refused({item_column("count"), item_column("count")}, {one, two, two},
                          "a column assigned twice", "count"));
  return refused({item_column("count"), item_column("level")},
                 {one, two, one, two, one, Value::integer(7)},
                 "a number that names no level, in the second row", "level");
}

/// The numbers of the journal are one series, however they are drawn.
Result<void> numbered_inserts(Bench& bench) {
  const auto counters = [](const Ids& places) {
    std::vector<Value> rows;
    for (const std::int64_t place : places) {
      for (const OwnedValue& value : values_of(counter(place, 100 + place))) {
        rows.push_back(value.view());
      }
    }
    return rows;
  };
  std::int64_t before = 0, after = 0;
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY(before, writer.draw_sequence(1));
    BUREAU_TRY_VOID(writer.insert_numbered(table_of<Counter>(), counters({2, 5}), 5));
    BUREAU_TRY_VOID(writer.insert_numbered(table_of<Counter>(), counters({1}), 1));
    BUREAU_TRY(after, writer.draw_sequence(1));
    return expect_ids(ids_of(writer, select<Counter>()), {before + 2, before + 5, before + 6},
                      "ids of numbered rows");
  }));
  BUREAU_TRY_VOID(expect_number(after, before + 7, "the number after numbered inserts"));
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    return writer.insert_numbered(table_of<Counter>(), counters({1}), 1);
  }));
  BUREAU_TRY(const Ids there, bench.ids(select<Counter>()));
  BUREAU_TRY_VOID(expect(there.size() == 4 && there.back() > after,
                         "a numbered row does not follow those of the write before"));
  const std::pair<Ids, std::int64_t> outside[] = {{{0}, 1}, {{3}, 2}, {{1}, 0}};
  for (const auto& [places, count] : outside) {
    const auto rows = counters(places);
    const std::int64_t drawn = count;
    const auto written = bench.write(
        [&](Writer& writer) { return writer.insert_numbered(table_of<Counter>(), rows, drawn); });
    BUREAU_TRY_VOID(expect_error(written, {Code::invalid}, "a number outside of those drawn"));
  }
  return {};
}

/// Whatever a storage says at first.
Result<void> updates_by_rows_may_be_refused(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert(writer, std::vector{crew(1, "a"), crew(2, "b"), crew(3, "c")}));
    return insert_six(writer);
  }));
  const std::vector<const ColumnInfo*> count{item_column("count")},
      name{table_of<Crew>().find("name")};
  const auto refused = [&](const TableInfo& table, const std::vector<const ColumnInfo*>& columns,
                           const std::vector<Value>& rows, Code code, std::string_view what,
                           std::string_view field) -> Result<void> {
    const auto written = bench.write([&](Writer& writer) -> Result<void> {
      BUREAU_TRY_VOID(insert(writer, counter(1)));
      return writer.update_rows(table, columns, rows);
    });
    BUREAU_TRY_VOID(expect_error(written, {code}, what, field));
    return expect_ids(bench.ids(select<Counter>()), {}, "rows beside an update that was refused");
  };
  const auto number = [](std::int64_t value) { return Value::integer(value); };
  BUREAU_TRY_VOID(refused(item_table(), count, {number(9), number(1)}, Code::not_found,
                          "an update of a row that is not there", "id"));
  BUREAU_TRY_VOID(refused(item_table(), count, {number(2), number(1), number(9), number(1)},
                          Code::not_found, "an update of two rows of which one is not there",
                          "id"));
  BUREAU_TRY_VOID(refused(table_of<Crew>(), name, {number(2), Value::text("a")}, Code::exists,
                          "an update to a value that is taken", "name"));
  BUREAU_TRY_VOID(refused(table_of<Crew>(), name,
                          {number(3), Value::text("d"), number(2), Value::text("a")}, Code::exists,
                          "an update of two rows to a value that is taken", "name"));
  return bench.read([](Reader& reader) { return expect_counts(reader, {10, 20, 30, 40, 50, 60}); });
}

/// Whatever a storage says of an insert at first: what the write answers is the truth.
Result<void> a_taken_id_is_told(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert(writer, counter(1)); }));
  const auto twice = bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert(writer, counter(2)));
    return insert(writer, counter(1));
  });
  BUREAU_TRY_VOID(expect_error(twice, {Code::exists}, "a write that inserts a taken id", "id"));
  Code told{};
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    const auto taken = insert(writer, counter(1));
    if (!taken) told = taken.error().code;
    BUREAU_TRY_VOID(insert(writer, counter(3)));
    return expect_ids(ids_of(writer, select<Counter>()), {1, 3}, "what a refused insert left");
  }));
  BUREAU_TRY_VOID(expect(told == Code::exists, "a closure was not told that an id is taken"));
  return expect_ids(bench.ids(select<Counter>()), {1, 3}, "what was written around it");
}

}  // namespace

std::vector<CheckEntry> together_checks() {
  return {{"rows_are_found_by_ids", rows_are_found_by_ids},
          {"scans_are_made_together", scans_are_made_together},
          {"rows_get_values_of_their_own", rows_get_values_of_their_own},
          {"many_rows_in_one_call", many_rows_in_one_call},
          {"updates_by_rows_are_checked", updates_by_rows_are_checked},
          {"updates_by_rows_may_be_refused", updates_by_rows_may_be_refused},
          {"numbered_inserts", numbered_inserts},
          {"a_taken_id_is_told", a_taken_id_is_told}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
