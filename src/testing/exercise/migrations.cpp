// migrate(): twice, additions, and what it refuses.

#include <deque>

#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

using detail::IndexDef;
using detail::make_column;

/// A table in one of its versions. Kept for as long as the process, as tables are.
const TableInfo& version_of(std::string_view name, std::string_view prefix,
                            std::vector<ColumnInfo> columns, std::vector<IndexDef> indexes = {}) {
  auto* table = new TableInfo;  // as table_of's, never destroyed
  static std::vector<std::unique_ptr<TableInfo>> kept;
  kept.emplace_back(table);
  table->name = name;
  table->prefix = prefix;
  table->columns = std::move(columns);
  detail::finish_table(*table, indexes);
  return *table;
}

ColumnInfo id_column() { return make_column("id", Type::id, false, {}); }
ColumnInfo title_column() { return make_column("title", Type::text, false, {}); }
ColumnInfo size_column() { return make_column("size", Type::integer, true, {}); }

const TableInfo& first_version() {
  static const TableInfo& table =
      version_of("exercise_things", "xth", {id_column(), title_column(), size_column()});
  return table;
}

Catalog catalog_of(std::initializer_list<const TableInfo*> tables) {
  Catalog made;
  for (const TableInfo* table : tables) static_cast<void>(made.add(*table));
  return made;
}

Result<void> migrate(Bench& bench, std::initializer_list<const TableInfo*> tables) {
  return bench.storage->migrate(catalog_of(tables));
}

Result<void> add_thing(Bench& bench, const TableInfo& table, std::int64_t id,
                       std::string_view title) {
  return bench.write([&](Writer& writer) {
    std::vector<Value> row(table.width());
    row[0] = Value::integer(id);
    row[table.find("title")->index] = Value::text(title);
    row[table.find("size")->index] = Value::integer(id * 10);
    return writer.insert(table, row);
  });
}

Result<void> two_things(Bench& bench) {
  BUREAU_TRY_VOID(migrate(bench, {&first_version()}));
  BUREAU_TRY_VOID(add_thing(bench, first_version(), 1, "Alpha"));
  return add_thing(bench, first_version(), 2, "Ärger");
}

Result<Rows> things(Bench& bench, const TableInfo& table) {
  Rows rows;
  Select select;
  select.table = &table;
  BUREAU_TRY_VOID(bench.read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(rows, rows_of(reader, select));
    return {};
  }));
  return rows;
}

Result<void> expect_thing(const std::vector<OwnedValue>& row, std::vector<OwnedValue> want) {
  if (row == want) return {};
  return wrong("a migrated row is " + shown(row) + " instead of " + shown(want));
}

Result<void> migrate_twice(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert(writer, item(1, "a")); }));
  BUREAU_TRY_VOID(bench.storage->migrate(catalog()));
  return expect_ids(bench.ids(select<Item>()), {1}, "after the same catalog again");
}

/// Columns that are new stand between those that were there, so that positions move.
Result<void> migrate_adds_columns(Bench& bench) {
  BUREAU_TRY_VOID(two_things(bench));
  const TableInfo& next = version_of(
      "exercise_things", "xth",
      {id_column(), make_column("note", Type::text, true, {}),
       make_column("rank", Type::integer, false, {}), title_column(),
       make_column("label", Type::text, false, {}), make_column("weight", Type::real, false, {}),
       make_column("done", Type::boolean, false, {}), size_column()});
  BUREAU_TRY_VOID(migrate(bench, {&next}));
  BUREAU_TRY(const Rows rows, things(bench, next));
  BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(rows.size()), 2, "rows that were there"));
  BUREAU_TRY_VOID(expect_thing(rows[0], {number(1),
                                         {},
                                         number(0),
                                         text("Alpha"),
                                         text(""),
                                         OwnedValue(Value::real(0)),
                                         number(0),
                                         number(10)}));
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) {
    const Value row[] = {Value::integer(3), Value::text("n"),  Value::integer(7),
                         Value::text("t"),  Value::text("l"),  Value::real(0.5),
                         Value::integer(1), Value::integer(30)};
    return writer.insert(next, row);
  }));
  BUREAU_TRY(const Rows after, things(bench, next));
  return expect_thing(after.at(2), {number(3), text("n"), number(7), text("t"), text("l"),
                                    OwnedValue(Value::real(0.5)), number(1), number(30)});
}

Result<void> migrate_fills_companions(Bench& bench) {
  BUREAU_TRY_VOID(two_things(bench));
  detail::ColumnOptions options;
  options.folded = true;
  const TableInfo& next =
      version_of("exercise_things", "xth",
                 {id_column(), make_column("title", Type::text, false, options), size_column()});
  BUREAU_TRY_VOID(migrate(bench, {&next}));
  BUREAU_TRY(const Rows rows, things(bench, next));
  BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(rows.size()), 2, "rows that were there"));
  return expect_thing(rows[1], {number(2), text("Ärger"), number(20), text("ärger")});
}

Result<void> migrate_adds_tables_and_indexes(Bench& bench) {
  BUREAU_TRY_VOID(two_things(bench));
  const TableInfo& indexed =
      version_of("exercise_things", "xth", {id_column(), title_column(), size_column()},
                 {unique_index("by_title", "title"), index("by_size", "size")});
  const TableInfo& other =
      version_of("exercise_others", "xot", {id_column(), title_column(), size_column()});
  BUREAU_TRY_VOID(migrate(bench, {&indexed, &other}));
  BUREAU_TRY_VOID(add_thing(bench, other, 1, "new"));
  BUREAU_TRY_VOID(expect_error(add_thing(bench, indexed, 3, "Alpha"), {Code::exists},
                               "a value that a new unique index has", "title"));
  return add_thing(bench, indexed, 3, "Beta");
}

Result<void> migrate_allows_nulls(Bench& bench) {
  BUREAU_TRY_VOID(two_things(bench));
  const TableInfo& next =
      version_of("exercise_things", "xth",
                 {id_column(), make_column("title", Type::text, true, {}), size_column()});
  BUREAU_TRY_VOID(migrate(bench, {&next}));
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) {
    const Value row[] = {Value::integer(3), Value(), Value::integer(30)};
    return writer.insert(next, row);
  }));
  BUREAU_TRY(const Rows rows, things(bench, next));
  BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(rows.size()), 3, "rows"));
  BUREAU_TRY_VOID(expect_thing(rows[1], {number(2), text("Ärger"), number(20)}));
  BUREAU_TRY_VOID(expect_thing(rows[2], {number(3), {}, number(30)}));
  // Now there may be nulls in it.
  return expect_error(migrate(bench, {&first_version()}), {Code::conflict},
                      "a column that may no longer be null", "title");
}

Result<void> migrations_are_hinted(Bench& bench) {
  const auto heard = std::make_shared<Heard>();  // a late hint may outlive this function
  BUREAU_TRY(Subscription subscription, bench.storage->on_commit([heard] { heard->add(); }));
  const int before = heard->count();
  BUREAU_TRY_VOID(migrate(bench, {&first_version()}));
  return heard->expect_more_than(before, bench, "a migration that made a table");
}

Result<void> migrate_refuses_losses(Bench& bench) {
  BUREAU_TRY_VOID(two_things(bench));
  BUREAU_TRY_VOID(add_thing(bench, first_version(), 3, "Alpha"));
  const auto refused = [&](std::vector<ColumnInfo> columns, std::string_view what,
                           std::vector<IndexDef> indexes = {}) -> Result<void> {
    const TableInfo& bad =
        version_of("exercise_things", "xth", std::move(columns), std::move(indexes));
    // The new table comes first, so that a migration that is not atomic leaves it behind.
    static int next = 0;
    static std::deque<std::string> names;
    const TableInfo& added = version_of(names.emplace_back("exercise_new" + std::to_string(++next)),
                                        "xne", {id_column()});
    BUREAU_TRY_VOID(expect_error(migrate(bench, {&added, &bad}), {Code::conflict}, what));
    const auto used = bench.write([&](Writer& writer) {
      const Value row[] = {Value::integer(1)};
      return writer.insert(added, row);
    });
    return expect(!used, std::string(what) + ": a refused migration made a table");
  };
  BUREAU_TRY_VOID(refused({id_column(), title_column()}, "a column that is gone"));
  BUREAU_TRY_VOID(
      refused({id_column(), make_column("title", Type::integer, false, {}), size_column()},
              "a column of another type"));
  BUREAU_TRY_VOID(
      refused({id_column(), title_column(), make_column("size", Type::integer, false, {})},
              "a column that may no longer be null"));
  BUREAU_TRY_VOID(refused(
      {id_column(), title_column(), size_column(), make_column("owner", Type::id, false, {})},
      "a new column that may not be null and has no natural zero"));
  BUREAU_TRY_VOID(refused({id_column(), title_column(), size_column()},
                          "a unique index over values that are there twice",
                          {unique_index("by_title", "title")}));
  BUREAU_TRY(const Rows rows, things(bench, first_version()));
  return expect_number(static_cast<std::int64_t>(rows.size()), 3, "rows after refused migrations");
}

}  // namespace

std::vector<CheckEntry> migration_checks() {
  return {{"migrate_twice", migrate_twice},
          {"migrate_adds_columns", migrate_adds_columns},
          {"migrate_fills_companions", migrate_fills_companions},
          {"migrate_allows_nulls", migrate_allows_nulls},
          {"migrations_are_hinted", migrations_are_hinted},
          {"migrate_adds_tables_and_indexes", migrate_adds_tables_and_indexes},
          {"migrate_refuses_losses", migrate_refuses_losses}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
