// Writer::alter(): columns that come and go while programs that do not know of it work.

#include <algorithm>
#include <span>

#include "bureau/store/alteration.hpp"
#include "bureau/store/stored_catalog.hpp"
#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

using Kind = Alteration::Kind;

constexpr const char* parts = "exercise_parts";

Json column_json(std::string_view name, std::string_view type, bool nullable) {
  return Json::object({{"name", name}, {"type", type}, {"nullable", nullable}});
}

Json index_json(std::string_view name, std::string_view column, bool unique) {
  return Json::object({{"name", name},
                       {"columns", Json::array({Json(column)})},
                       {"unique", unique},
                       {"where", ""}});
}

Result<const TableInfo*> info_of(Json::Array columns, Json::Array indexes) {
  const StoredTable stored{parts, Json::object({{"columns", Json::array(std::move(columns))},
                                                {"indexes", Json::array(std::move(indexes))}})};
  BUREAU_TRY(const Catalog made, make_catalog(std::span(&stored, 1)));
  return made.find(parts);
}

/// A program that knows these columns of the table, and works on it beside others.
Result<const TableInfo*> program_of(Bench& bench, const std::vector<std::string>& names) {
  BUREAU_TRY(const auto tables, bench.storage->stored_tables());
  for (const StoredTable& stored : tables) {
    if (stored.name != parts) continue;
    const Json::Array& all = *stored.definition.find("columns")->as_array();
    Json::Array known;
    const auto add = [&](const std::string& name) {
      for (const Json& one : all) {
        if (*one.find("name") == Json(name)) known.push_back(one);
      }
    };
    for (const std::string& name : names) add(name);
    const Json::Array own = known;
    for (const Json& one : all) {
      if (std::find(own.begin(), own.end(), one) == own.end()) known.push_back(one);
    }
    // A storage that has rows in the order of a program's columns has them in this one's now.
    const Json::Array indexes = *stored.definition.find("indexes")->as_array();
    BUREAU_TRY(const TableInfo* whole, info_of(known, indexes));
    Catalog catalog;
    BUREAU_TRY_VOID(catalog.add(*whole));
    BUREAU_TRY_VOID(bench.storage->migrate(catalog));
    return info_of(own, {});
  }
  return wrong("the table is not among the stored ones");
}

Result<void> alter(Bench& bench, const Alteration& alteration) {
  return bench.write([&](Writer& writer) { return writer.alter(alteration); });
}

Result<void> add(Bench& bench, const TableInfo& table, const std::vector<OwnedValue>& row) {
  const std::vector<Value> values = views(row);
  return bench.write([&](Writer& writer) { return writer.insert(table, values); });
}

Result<void> set(Bench& bench, const TableInfo& table, std::int64_t id, std::string_view column,
                 const OwnedValue& value) {
  Update update;
  update.which.table = &table;
  update.which.where = detail::compare_column(table.columns[0], Predicate::Op::equal, {number(id)});
  update.set = {{table.find(column), value.view()}};
  return bench.write([&](Writer& writer) -> Result<void> {
    std::vector<OwnedValue> seen;
    BUREAU_TRY(const auto changed,
               writer.update(update, [&](std::span<const Value> row) -> Result<bool> {
                 seen.clear();
                 for (const Value& one : row) seen.emplace_back(one);
                 return true;
               }));
    BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(changed), 1, "rows of an update"));
    BUREAU_TRY_VOID(expect(seen.size() == table.width(), "a row as wide as the program knows it"));
    return expect(seen[table.find(column)->index] == value, "an update that shows its value");
  });
}

/// That the program sees just these rows.
Result<void> sees(Bench& bench, const std::vector<std::string>& names, const Rows& want,
                  std::string_view when) {
  BUREAU_TRY(const TableInfo* table, program_of(bench, names));
  Rows rows;
  BUREAU_TRY_VOID(bench.read([&](Reader& reader) -> Result<void> {
    Select select;
    select.table = table;
    BUREAU_TRY(rows, rows_of(reader, select));
    return {};
  }));
  BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(rows.size()),
                                static_cast<std::int64_t>(want.size()), when));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == want[i]) continue;
    return wrong(std::string(when) + ": the row is " + shown(rows[i]) + " instead of " +
                 shown(want[i]));
  }
  return {};
}

const std::vector<std::string> old_columns = {"id", "title", "size"};

/// Two rows; skips where nothing can be altered.
Result<const TableInfo*> two_parts(Bench& bench) {
  BUREAU_TRY(
      const TableInfo* table,
      info_of({column_json("id", "id", false), column_json("title", "text", false),
               column_json("size", "integer", true)},
              {index_json("by_title", "title", true), index_json("by_size", "size", false)}));
  Catalog catalog;
  BUREAU_TRY_VOID(catalog.add(*table));
  BUREAU_TRY_VOID(bench.storage->migrate(catalog));
  BUREAU_TRY_VOID(add(bench, *table, {number(1), text("Alpha"), number(10)}));
  BUREAU_TRY_VOID(add(bench, *table, {number(2), text("Beta"), {}}));
  const auto altered = alter(bench, {Kind::end_stand_in, parts, "size"});
  if (!altered && altered.error().field == "storage") return skip("it cannot alter tables");
  BUREAU_TRY_VOID(altered);
  return table;
}

Result<void> alter_adds_columns(Bench& bench) {
  BUREAU_TRY(const TableInfo* old, two_parts(bench));
  Alteration adds{Kind::add_column, parts};
  adds.described = column_json("site", "text", false);
  adds.value = text("hall");
  BUREAU_TRY_VOID(alter(bench, adds));
  BUREAU_TRY_VOID(expect_error(alter(bench, adds), {Code::exists}, "the column again", "site"));
  BUREAU_TRY_VOID(add(bench, *old, {number(3), text("Gamma"), number(30)}));
  const std::vector<std::string> next = {"id", "site", "title"};
  BUREAU_TRY(const TableInfo* info, program_of(bench, next));
  BUREAU_TRY_VOID(add(bench, *info, {number(4), text("yard"), text("Delta")}));
  BUREAU_TRY_VOID(sees(bench, next,
                       {{number(1), text("hall"), text("Alpha")},
                        {number(2), text("hall"), text("Beta")},
                        {number(3), text("hall"), text("Gamma")},
                        {number(4), text("yard"), text("Delta")}},
                       "with a new column"));
  return sees(bench, old_columns,
              {{number(1), text("Alpha"), number(10)},
               {number(2), text("Beta"), {}},
               {number(3), text("Gamma"), number(30)},
               {number(4), text("Delta"), {}}},
              "without the new column");
}

Result<void> alter_keeps_columns_in_step(Bench& bench) {
  BUREAU_TRY(const TableInfo* old, two_parts(bench));
  const std::vector<std::string> next = {"id", "title", "length"};
  BUREAU_TRY_VOID(alter(bench, {Kind::mirror, parts, "size", "length"}));
  BUREAU_TRY_VOID(add(bench, *old, {number(3), text("Gamma"), number(30)}));
  BUREAU_TRY_VOID(add(bench, *old, {number(4), text("Delta"), {}}));
  BUREAU_TRY_VOID(set(bench, *old, 1, "size", number(11)));
  BUREAU_TRY(const TableInfo* info, program_of(bench, next));
  BUREAU_TRY_VOID(add(bench, *info, {number(5), text("Epsilon"), number(50)}));
  BUREAU_TRY_VOID(add(bench, *info, {number(6), text("Zeta"), {}}));
  BUREAU_TRY_VOID(set(bench, *info, 3, "length", number(33)));
  BUREAU_TRY_VOID(set(bench, *info, 5, "length", {}));
  BUREAU_TRY_VOID(set(bench, *info, 6, "title", text("Eta")));
  const Rows both = {{number(1), text("Alpha"), number(11)}, {number(2), text("Beta"), {}},
                     {number(3), text("Gamma"), number(33)}, {number(4), text("Delta"), {}},
                     {number(5), text("Epsilon"), {}},       {number(6), text("Eta"), {}}};
  BUREAU_TRY_VOID(sees(bench, old_columns, both, "under the old name"));
  BUREAU_TRY_VOID(sees(bench, next, both, "under the new name"));
  BUREAU_TRY_VOID(alter(bench, {Kind::end_mirror, parts, "size", "length"}));
  BUREAU_TRY(info, program_of(bench, next));
  BUREAU_TRY_VOID(set(bench, *info, 1, "length", number(99)));
  return sees(bench, old_columns, both, "when they are no longer in step");
}

Result<void> alter_stands_in(Bench& bench) {
  BUREAU_TRY(const TableInfo* old, two_parts(bench));
  Alteration stands{Kind::stand_in, parts, "size"};
  stands.value = number(7);
  BUREAU_TRY_VOID(alter(bench, stands));
  stands.value = number(8);
  BUREAU_TRY_VOID(alter(bench, stands));
  BUREAU_TRY(const TableInfo* info, program_of(bench, {"id", "title"}));
  BUREAU_TRY_VOID(add(bench, *info, {number(3), text("Gamma")}));
  BUREAU_TRY(old, program_of(bench, old_columns));
  BUREAU_TRY_VOID(add(bench, *old, {number(4), text("Delta"), number(40)}));
  BUREAU_TRY_VOID(alter(bench, {Kind::end_stand_in, parts, "size"}));
  BUREAU_TRY(info, program_of(bench, {"id", "title"}));
  BUREAU_TRY_VOID(add(bench, *info, {number(5), text("Epsilon")}));
  return sees(bench, old_columns,
              {{number(1), text("Alpha"), number(10)},
               {number(2), text("Beta"), {}},
               {number(3), text("Gamma"), number(8)},
               {number(4), text("Delta"), number(40)},
               {number(5), text("Epsilon"), {}}},
              "with a value that stood in");
}

/// What a column was added with does not come back when something stands in for it.
Result<void> alter_stands_in_for_defaults(Bench& bench) {
  BUREAU_TRY_VOID(two_parts(bench));
  const std::vector<std::string> known = {"id", "title"};
  const std::vector<std::string> all = {"id", "title", "site", "side"};
  for (const char* name : {"site", "side"}) {
    Alteration adds{Kind::add_column, parts};
    adds.described = column_json(name, "text", true);
    adds.value = text("hall");
    BUREAU_TRY_VOID(alter(bench, adds));
  }
  BUREAU_TRY_VOID(alter(bench, {Kind::stand_in, parts, "site"}));
  Alteration stands{Kind::stand_in, parts, "side"};
  stands.value = text("left");
  BUREAU_TRY_VOID(alter(bench, stands));
  BUREAU_TRY(const TableInfo* info, program_of(bench, known));
  BUREAU_TRY_VOID(add(bench, *info, {number(3), text("Gamma")}));
  BUREAU_TRY_VOID(sees(bench, all,
                       {{number(1), text("Alpha"), text("hall"), text("hall")},
                        {number(2), text("Beta"), text("hall"), text("hall")},
                        {number(3), text("Gamma"), {}, text("left")}},
                       "with nothing that stands in, and with something"));
  BUREAU_TRY_VOID(alter(bench, {Kind::mirror, parts, "side", "edge"}));
  BUREAU_TRY(info, program_of(bench, {"id", "title", "edge"}));
  BUREAU_TRY_VOID(add(bench, *info, {number(4), text("Delta"), {}}));
  return expect_error(add(bench, *info, {number(5), text("Alpha"), {}}), {Code::exists},
                      "a unique index that was there all the time");
}

Result<void> alter_drops(Bench& bench) {
  BUREAU_TRY_VOID(two_parts(bench));
  BUREAU_TRY_VOID(alter(bench, {Kind::drop_column, parts, "size"}));
  BUREAU_TRY_VOID(expect_error(alter(bench, {Kind::drop_column, parts, "size"}), {Code::invalid},
                               "a column that is gone", "size"));
  const std::vector<std::string> next = {"id", "title"};
  BUREAU_TRY(const TableInfo* info, program_of(bench, next));
  BUREAU_TRY_VOID(expect_error(add(bench, *info, {number(3), text("Alpha")}), {Code::exists},
                               "a unique index of another column"));
  BUREAU_TRY_VOID(add(bench, *info, {number(3), text("Gamma")}));
  BUREAU_TRY_VOID(
      sees(bench, next,
           {{number(1), text("Alpha")}, {number(2), text("Beta")}, {number(3), text("Gamma")}},
           "without the column"));
  BUREAU_TRY_VOID(alter(bench, {Kind::drop_table, parts}));
  BUREAU_TRY(const auto tables, bench.storage->stored_tables());
  const bool there = std::any_of(tables.begin(), tables.end(),
                                 [](const StoredTable& one) { return one.name == parts; });
  BUREAU_TRY_VOID(expect(!there, "a table that was dropped is still stored"));
  // And it can be made anew.
  BUREAU_TRY_VOID(two_parts(bench));
  return {};
}

Result<void> alter_requires(Bench& bench) {
  BUREAU_TRY(const TableInfo* old, two_parts(bench));
  const Alteration required{Kind::require, parts, "size"};
  BUREAU_TRY_VOID(
      expect_error(alter(bench, required), {Code::conflict}, "a column that holds a null", "size"));
  BUREAU_TRY_VOID(set(bench, *old, 2, "size", number(20)));
  BUREAU_TRY_VOID(alter(bench, required));
  BUREAU_TRY(const TableInfo* info, program_of(bench, old_columns));
  return expect(!info->find("size")->nullable, "what is required may be null");
}

Result<void> alter_is_undone_with_its_write(Bench& bench) {
  BUREAU_TRY(const TableInfo* old, two_parts(bench));
  const auto failed = bench.write([&](Writer& writer) -> Result<void> {
    const Value row[] = {Value::integer(9), Value::text("Nine"), Value::integer(9)};
    BUREAU_TRY_VOID(writer.insert(*old, row));
    BUREAU_TRY_VOID(writer.alter({Kind::mirror, parts, "size", "length"}));
    BUREAU_TRY_VOID(writer.alter({Kind::drop_column, parts, "title"}));
    return fail(Code::cancelled, "given up");
  });
  BUREAU_TRY_VOID(expect_error(failed, {Code::cancelled}, "a write that was given up"));
  // An error of it is an error of the whole write, whatever the closure says.
  const auto doomed = bench.write([&](Writer& writer) -> Result<void> {
    const Value row[] = {Value::integer(9), Value::text("Nine"), Value::integer(9)};
    BUREAU_TRY_VOID(writer.insert(*old, row));
    static_cast<void>(writer.alter({Kind::drop_column, parts, "nowhere"}));
    return {};
  });
  BUREAU_TRY_VOID(expect_error(doomed, {Code::invalid}, "a write that altered what is not there"));
  BUREAU_TRY_VOID(expect_error(alter(bench, {Kind::drop_table, "exercise_nowhere"}),
                               {Code::invalid}, "a table that is not there", "exercise_nowhere"));
  BUREAU_TRY_VOID(expect_error(add(bench, *old, {number(3), text("Alpha"), {}}), {Code::exists},
                               "a unique index that stayed", "title"));
  return sees(bench, old_columns,
              {{number(1), text("Alpha"), number(10)}, {number(2), text("Beta"), {}}},
              "after alterations that were undone");
}

}  // namespace

std::vector<CheckEntry> alteration_checks() {
  return {{"alter_adds_columns", alter_adds_columns},
          {"alter_keeps_columns_in_step", alter_keeps_columns_in_step},
          {"alter_stands_in", alter_stands_in},
          {"alter_stands_in_for_defaults", alter_stands_in_for_defaults},
          {"alter_drops", alter_drops},
          {"alter_requires", alter_requires},
          {"alter_is_undone_with_its_write", alter_is_undone_with_its_write}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
