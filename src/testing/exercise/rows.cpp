// What a row may hold, what comes back, and what insert refuses.

#include <cmath>
#include <limits>

#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

constexpr std::int64_t smallest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();

std::vector<Item> extreme_items() {
  std::vector<Item> items;
  for (const auto* text : {"", "plain", "O'Brien", "\"q\"", "100%_", "ÄÖÜ ß", "日本語", "😀👍",
                           "a\nb\tc", "\\x\\", "--;", "\x01\x7F", "null"}) {
    Item made = item(static_cast<std::int64_t>(items.size()) + 1, text);
    made.note = text;
    made.tags = {text, "x"};
    made.custom = Json::object({{text, text}, {"n", 1}});
    items.push_back(std::move(made));
  }
  Item low = item(largest - 1, "low");
  low.count = smallest;
  low.score = -std::numeric_limits<double>::max();
  low.created_at = Timestamp::from_micros(smallest);
  low.closed_at = Timestamp::from_micros(-1);
  low.effort = Duration(smallest);
  low.crew = Id<Crew>(1);
  low.level = Level::low;
  low.open = false;
  low.custom = Json();
  low.digest = Bytes{""};
  items.push_back(low);
  Item high = item(largest, "high");
  high.count = largest;
  high.score = std::numeric_limits<double>::denorm_min();
  high.created_at = Timestamp::from_micros(largest);
  high.closed_at = Timestamp::from_micros(0);
  high.effort = Duration(largest);
  high.crew = Id<Crew>(largest);
  high.level = Level::critical;
  high.wish = Level::critical;
  high.custom = Json::array({largest, smallest, 0.1, 1e300, nullptr, true, "\u0001"});
  high.digest = Bytes{std::string("\0\xFF\0'", 4)};
  high.password = "hunter2";
  high.phone = "+49 30";
  items.push_back(high);
  return items;
}

Result<void> values_come_back(Bench& bench) {
  const std::vector<Item> items = extreme_items();
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) { return insert(writer, items); }));
  Rows rows;
  BUREAU_TRY_VOID(bench.read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(rows, rows_of(reader, select<Item>()));
    return {};
  }));
  BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(rows.size()),
                                static_cast<std::int64_t>(items.size()), "rows"));
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto want = values_of(items[i]);
    if (rows[i] != want) return wrong("wrote " + shown(want) + ", read " + shown(rows[i]));
  }
  return {};
}

Result<void> insert_checks_rows(Bench& bench) {
  struct Case {
    std::string_view column;
    Value value;
  };
  const std::string zero("a\0b", 3);
  for (const Case& c : {
           Case{"id", Value::integer(0)},
           Case{"id", Value::integer(-1)},
           Case{"id", Value()},
           Case{"subject", Value()},
           Case{"subject", Value::text("01234567890")},
           Case{"subject", Value::text("\xFF")},
           Case{"subject", Value::text("\xC0\x80")},
           Case{"subject", Value::text("\xED\xA0\x80")},
           Case{"subject", Value::text(zero)},
           Case{"subject", Value::integer(1)},
           Case{"subject", Value::bytes("a")},
           Case{"level", Value::integer(4)},
           Case{"level", Value::integer(-1)},
           Case{"level", Value::text("low")},
           Case{"open", Value::integer(2)},
           Case{"count", Value::real(1)},
           Case{"count", Value::text("1")},
           Case{"score", Value::real(std::nan(""))},
           Case{"score", Value::real(std::numeric_limits<double>::infinity())},
           Case{"score", Value::integer(1)},
           Case{"created_at", Value()},
           Case{"crew", Value::integer(0)},
           Case{"tags", Value::text("[1")},
           Case{"custom", Value::text("{\"b\":1,\"a\":2}")},
           Case{"custom", Value::text("[1, 2]")},
           Case{"digest", Value::text("a")},
       }) {
    const auto written = bench.write([&](Writer& writer) -> Result<void> {
      const auto good = values_of(item(1, "good"));
      const auto base = values_of(item(2, "bad"));
      std::vector<Value> rows = views(good);
      std::vector<Value> bad = views(base);
      bad[table_of<Item>().find(c.column)->index] = c.value;
      rows.insert(rows.end(), bad.begin(), bad.end());
      return writer.insert(table_of<Item>(), rows);
    });
    BUREAU_TRY_VOID(expect_error(
        written, {Code::invalid},
        "inserting " + shown({OwnedValue(c.value)}) + " as " + std::string(c.column), c.column));
  }
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Item>()), {}, "after refused inserts"));
  const auto narrow = bench.write([&](Writer& writer) {
    const Value row[] = {Value::integer(1)};
    return writer.insert(table_of<Item>(), row);
  });
  BUREAU_TRY_VOID(expect_error(narrow, {Code::invalid}, "a row of one value"));
  Item long_text = item(9, "ÄÖÜÄÖÜÄÖÜÄ");
  return bench.write([&](Writer& writer) { return insert(writer, long_text); });
}

Result<void> insert_is_one_statement(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert(writer, item(5)));
    const auto taken = insert(writer, std::vector<Item>{item(4), item(5), item(6)});
    BUREAU_TRY_VOID(expect_error(taken, {Code::exists}, "an id that is taken", "id"));
    BUREAU_TRY_VOID(expect_ids(ids_of(writer, select<Item>()), {5}, "after a failed statement"));
    return insert(writer, std::vector<Item>{item(7), item(6)});
  }));
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert(writer, std::vector<Item>{}); }));
  return expect_ids(bench.ids(select<Item>()), {5, 6, 7}, "after the transaction");
}

Result<void> insert_refuses_taken_ids(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert(writer, item(1, "first")); }));
  const auto again = bench.write([](Writer& writer) { return insert(writer, item(1, "second")); });
  BUREAU_TRY_VOID(expect_error(again, {Code::exists}, "an id that is taken", "id"));
  BUREAU_TRY(const Select first, items_where("subject = 'first'"));
  return expect_ids(bench.ids(first), {1}, "the row that was there");
}

Result<void> unique_indexes(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) -> Result<void> {
    Crew a = crew(1, "a");
    a.code = 7;
    BUREAU_TRY_VOID(insert(writer, a));
    BUREAU_TRY_VOID(expect_error(insert(writer, crew(2, "a")), {Code::exists},
                                 "a value that a unique index has", "name"));
    Crew same = crew(2, "b");
    same.code = 7;
    BUREAU_TRY_VOID(expect_error(insert(writer, same), {Code::exists},
                                 "a number that a unique index has", "code"));
    // Nulls are never equal; nor are texts of another case.
    BUREAU_TRY_VOID(insert(writer, std::vector<Crew>{crew(2, "A"), crew(3, "c")}));
    Update rename;
    rename.which.table = &table_of<Crew>();
    rename.which.where = col(&Crew::id) == Id<Crew>(3);
    rename.set.push_back({table_of<Crew>().find("name"), Value::text("a"), false});
    return expect_error(writer.update(rename), {Code::exists},
                        "an update to a value that a unique index has", "name");
  }));
  return bench.write([](Writer& writer) -> Result<void> {
    // A value is free again once its row is gone.
    BUREAU_TRY_VOID(writer.remove(select<Crew>().where(col(&Crew::name) == "a"), ignore_rows()));
    Crew next = crew(9, "a");
    next.code = 7;
    return insert(writer, next);
  });
}

Result<void> partial_unique_indexes(Bench& bench) {
  const auto owned = [](std::int64_t id, bool active) {
    Crew made = crew(id, "crew " + std::to_string(id));
    made.owner = "ann";
    made.active = active;
    return made;
  };
  return bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(
        insert(writer, std::vector<Crew>{owned(1, false), owned(2, false), owned(3, true)}));
    BUREAU_TRY_VOID(expect_error(insert(writer, owned(4, true)), {Code::exists},
                                 "a second row under the index's condition", "owner"));
    Update activate;
    activate.which = select<Crew>().where(col(&Crew::id) == Id<Crew>(1));
    activate.set.push_back({table_of<Crew>().find("active"), Value::integer(1), false});
    BUREAU_TRY_VOID(expect_error(writer.update(activate), {Code::exists},
                                 "an update that brings a second row under the condition",
                                 "owner"));
    Update retire = activate;
    retire.which = select<Crew>().where(col(&Crew::id) == Id<Crew>(3));
    retire.set[0].value = Value::integer(0);
    BUREAU_TRY_VOID(writer.update(retire));
    BUREAU_TRY_VOID(writer.update(activate));
    return {};
  });
}

Result<void> find_by_id(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) {
    return insert(writer, std::vector<Item>{item(1, "a"), item(2, "b")});
  }));
  return bench.read([](Reader& reader) -> Result<void> {
    std::string subject;
    const auto sink = [&](std::span<const Value> row) -> Result<bool> {
      subject = row[table_of<Item>().find("subject")->index].as_text();
      return true;
    };
    BUREAU_TRY(const bool found, reader.find(table_of<Item>(), 2, sink));
    BUREAU_TRY_VOID(
        expect(found && subject == "b", "find gave another row than the one asked for"));
    subject.clear();
    BUREAU_TRY(const bool absent, reader.find(table_of<Item>(), 3, sink));
    return expect(!absent && subject.empty(), "find found a row that is not there");
  });
}

}  // namespace

std::vector<CheckEntry> row_checks() {
  return {{"values_come_back", values_come_back},
          {"insert_checks_rows", insert_checks_rows},
          {"insert_is_one_statement", insert_is_one_statement},
          {"insert_refuses_taken_ids", insert_refuses_taken_ids},
          {"unique_indexes", unique_indexes},
          {"partial_unique_indexes", partial_unique_indexes},
          {"find_by_id", find_by_id}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
