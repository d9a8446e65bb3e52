#include "bureau/store/table.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "store/duration_text.hpp"
#include "store/sample.hpp"

using bureau::Catalog;
using bureau::Code;
using bureau::ColumnInfo;
using bureau::Json;
using bureau::TableInfo;
using bureau::Type;
using bureau::Value;

namespace {

const TableInfo& items() { return bureau::table_of<sample::Item>(); }
const ColumnInfo& column(std::string_view name) { return *items().find(name); }

/// A table that is wrong only where a test makes it so.
TableInfo plain_table(std::string_view name = "things", std::string_view prefix = "thg") {
  TableInfo table;
  table.name = name;
  table.prefix = prefix;
  table.columns.push_back(bureau::detail::make_column("id", Type::id, false, {}));
  table.columns.push_back(bureau::detail::make_column("title", Type::text, true, {}));
  return table;
}

std::string refusal(TableInfo table, std::initializer_list<bureau::detail::IndexDef> indexes = {}) {
  bureau::detail::finish_table(table, {indexes.begin(), indexes.size()});
  Catalog catalog;
  const auto added = catalog.add(table);
  if (added) return "";
  CHECK(added.error().code == Code::invalid);
  return added.error().message;
}

bool has(std::string_view text, std::string_view part) {
  INFO(std::string(text));
  return text.find(part) != std::string_view::npos;
}

std::string check_message(std::string_view name, const Value& value) {
  const auto checked = bureau::check_value(items(), column(name), value);
  if (checked) return "";
  CHECK(checked.error().code == Code::invalid);
  CHECK(checked.error().field == name);
  return checked.error().message;
}

}  // namespace

TEST_CASE("a schema becomes a table with companions, positions and indexes") {
  const TableInfo& t = items();
  CHECK(t.error == "");
  CHECK(t.name == "exercise_items");
  CHECK(t.prefix == "xit");
  CHECK(t.width() == 20);
  CHECK(t.version == 1);
  CHECK(t.created_at == column("created_at").index);
  CHECK(t.updated_at == TableInfo::absent);
  CHECK(t.tenant == TableInfo::absent);
  CHECK(t.has_sealed);
  const ColumnInfo& companion = t.columns[column("subject").folded_index];
  CHECK(companion.name == "subject_folded");
  CHECK(companion.hidden);
  CHECK_FALSE(companion.nullable);
  CHECK(t.columns[column("note").folded_index].nullable);
  CHECK(column("crew").references == "exercise_crews");
  CHECK(column("crew").id_prefix == "xcr");
  CHECK(column("wish").names.size() == 4);
  REQUIRE(t.indexes.size() == 2);
  CHECK(t.indexes[0].columns ==
        std::vector<std::uint16_t>{column("level").index, column("created_at").index});
  CHECK_FALSE(t.indexes[1].unique);
  CHECK(bureau::table_of<sample::Crew>().indexes[0].unique);
  CHECK(t.indexes[1].columns == std::vector<std::uint16_t>{companion.index});
}

TEST_CASE("a row survives the way to values and back") {
  sample::Item item;
  item.id = bureau::Id<sample::Item>(42);
  item.subject = "ÄRGER";
  item.level = sample::Level::high;
  item.wish = sample::Level::low;
  item.count = -7;
  item.score = 0.25;
  item.created_at = bureau::Timestamp::from_micros(-5);
  item.effort = bureau::Duration(90);
  item.crew = bureau::Id<sample::Crew>(3);
  item.tags = {"vip", "a \"quoted\" one", ""};
  item.custom = Json::object({{"region", "eu"}});
  item.digest = bureau::Bytes{std::string("\0\xFF", 2)};
  std::vector<Value> row(items().width());
  bureau::detail::Scratch scratch;
  bureau::to_values(item, row, scratch);
  CHECK(bureau::check_row(items(), row));
  CHECK(row[column("subject").folded_index].as_text() == "ärger");
  CHECK(row[column("note").folded_index].is_null());
  sample::Item back;
  back.note = "must go";
  bureau::from_values(row, back);
  CHECK(back == item);
}

TEST_CASE("a catalog refuses what would not work, and says why") {
  CHECK(refusal(plain_table()) == "");
  for (const auto* name : {"", "Tickets", "9lives", "a-b", "tick ets", "_x"})
    CHECK(has(refusal(plain_table(name)), "[a-z][a-z0-9_]*"));
  for (const auto* name : {"order", "select", "user", "group", "transaction"})
    CHECK(has(refusal(plain_table(name)), "keyword"));
  CHECK(has(refusal(plain_table("sqlite_stat")), "'sqlite_' is reserved"));
  CHECK(has(refusal(plain_table("pg_things")), "'pg_' is reserved"));
  CHECK(has(refusal(plain_table("bureau_things")), "the library's own"));
  CHECK(has(refusal(plain_table("things", "T")), "prefix 'T'"));

  TableInfo table = plain_table();
  table.columns.erase(table.columns.begin());
  CHECK(has(refusal(table), "first column must be `id`"));
  table = plain_table();
  table.columns[0].nullable = true;
  CHECK(has(refusal(table), "first column must be `id`"));
  table = plain_table();
  table.columns.push_back(table.columns[1]);
  CHECK(has(refusal(table), "two columns are named 'title'"));
  table = plain_table();
  table.columns[1].name = "Title";
  CHECK(has(refusal(table), "column 'Title'"));
  table.columns[1].name = "not";
  CHECK(has(refusal(table), "word of predicates"));
  table = plain_table();
  table.columns.push_back(bureau::detail::make_column("tenant", Type::text, false, {}));
  CHECK(has(refusal(table), "'tenant' is kept by the library"));
  table = plain_table();
  table.columns.push_back(bureau::detail::make_column("level", Type::enumeration, false, {}));
  CHECK(has(refusal(table), "no names"));
  table = plain_table();
  table.columns[1].folded = true;
  table.columns.push_back(bureau::detail::make_column("title_folded", Type::text, false, {}));
  CHECK(has(refusal(table), "kept for folded columns"));

  CHECK(has(refusal(plain_table(), {bureau::index("by_name", "name")}), "no column 'name'"));
  CHECK(has(refusal(plain_table(), {bureau::index("a", "title"), bureau::index("a", "id")}),
            "two indexes"));
  CHECK(refusal(plain_table(), {bureau::index("a", "title").where("title prefix 'x'")}) == "");
  CHECK(has(refusal(plain_table(), {bureau::index("a", "title").where("titel = 'x'")}),
            "index 'a', where titel = 'x': column 1: table 'things' has no column 'titel'"));
  CHECK(has(refusal(plain_table(), {bureau::index("a", "title").where("title = $x")}),
            "nothing binds variables"));
}

TEST_CASE("a catalog refuses a name or a prefix that is taken") {
  TableInfo a = plain_table();
  TableInfo b = plain_table("things", "thx");
  TableInfo c = plain_table("others", "thg");
  TableInfo own = plain_table("bureau_things", "own");
  for (TableInfo* t : {&a, &b, &c, &own}) bureau::detail::finish_table(*t, {});
  Catalog catalog;
  REQUIRE(catalog.add(a));
  CHECK(has(catalog.add(b).error().message, "name is taken"));
  CHECK(has(catalog.add(c).error().message, "taken by table 'things'"));
  CHECK(catalog.add_internal(own));
  CHECK(catalog.find("things") == &a);
  CHECK(catalog.find("nothing") == nullptr);
  CHECK(catalog.tables().size() == 2);
}

TEST_CASE("values that break a rule are refused by name") {
  CHECK(check_message("subject", Value::text("0123456789")) == "");
  CHECK(check_message("subject", Value::text("ÄÄÄÄÄÄÄÄÄÄ")) == "");
  CHECK(check_message("subject", Value::text("0123456789x")) ==
        "exercise_items.subject: \"0123456789x\" has 11 characters; at most 10 are allowed");
  CHECK(has(check_message("subject", Value()), "null is not allowed"));
  CHECK(has(check_message("subject", Value::integer(1)), "not of the column's type, text"));
  CHECK(has(check_message("subject", Value::text("\xFF")), "not valid UTF-8"));
  CHECK(has(check_message("subject", Value::text({"a\0b", 3})), "NUL"));
  CHECK(has(check_message("subject", Value::bytes("abc")), "not of the column's type"));
  CHECK(check_message("note", Value()) == "");
  CHECK(has(check_message("level", Value::integer(4)), "low, medium, high, critical"));
  CHECK(has(check_message("level", Value::integer(-1)), "low, medium, high, critical"));
  CHECK(check_message("level", Value::integer(3)) == "");
  CHECK(has(check_message("open", Value::integer(2)), "neither 0 nor 1"));
  CHECK(has(check_message("crew", Value::integer(0)), "ids are positive"));
  CHECK(has(check_message("crew", Value::integer(-1)), "ids are positive"));
  CHECK(check_message("count", Value::integer(std::numeric_limits<std::int64_t>::min())) == "");
  CHECK(has(check_message("score", Value::real(std::nan(""))), "not finite"));
  CHECK(has(check_message("score", Value::real(-INFINITY)), "not finite"));
  CHECK(has(check_message("score", Value::integer(1)), "not of the column's type, real"));
  CHECK(has(check_message("tags", Value::text("[ ]")), "not canonical JSON"));
  CHECK(has(check_message("tags", Value::text(Json(std::nan("")).dump())), "finite numbers"));
  CHECK(has(check_message("tags", Value::text(Json(-INFINITY).dump())), "finite numbers"));
  CHECK(check_message("tags", Value::text("[]")) == "");
  CHECK(check_message("digest", Value::bytes({"\0\xFF", 2})) == "");
  // What is secret or personal is in no message.
  CHECK(check_message("password", Value::text("hunter2\xFF")) ==
        "exercise_items.password: the value is not valid UTF-8");
  CHECK(check_message("phone", Value::text("555\xFF")) ==
        "exercise_items.phone: the value is not valid UTF-8");
  const std::vector<Value> narrow(3);
  CHECK(has(bureau::check_row(items(), narrow).error().message, "3 values"));
}

TEST_CASE("values survive JSON and text") {
  struct Case {
    const char* column;
    Value value;
    const char* json;
    const char* text;
  };
  for (const Case& c : {
           Case{"subject", Value::text("a \"b\""), R"("a \"b\"")", "a \"b\""},
           Case{"open", Value::integer(1), "true", "true"},
           Case{"count", Value::integer(-9223372036854775807 - 1), "-9223372036854775808",
                "-9223372036854775808"},
           Case{"score", Value::real(2), "2.0", "2.0"},
           Case{"score", Value::real(1e-7), "1e-07", "1e-07"},
           Case{"level", Value::integer(2), "\"high\"", "high"},
           Case{"created_at", Value::integer(1'500'000), "\"1970-01-01T00:00:01.500000Z\"",
                "1970-01-01T00:00:01.500000Z"},
           Case{"effort", Value::integer(90'000'000), "\"1m30s\"", "1m30s"},
           Case{"crew", Value::integer(33), "\"xcr_0000000000011\"", "xcr_0000000000011"},
           Case{"tags", Value::text("[\"a\"]"), "[\"a\"]", "[\"a\"]"},
           Case{"digest", Value::bytes("hi!?"), "\"aGkhPw==\"", "aGkhPw=="},
           Case{"note", Value(), "null", ""},
           Case{"custom", Value(), "null", ""},
       }) {
    CAPTURE(c.json);
    const ColumnInfo& info = column(c.column);
    CHECK(bureau::to_json(info, c.value).dump() == c.json);
    CHECK(bureau::to_text(info, c.value) == c.text);
    const auto from_json = bureau::from_json(info, *Json::parse(c.json));
    REQUIRE(from_json);
    CHECK(from_json->view() == c.value);
    const auto from_text = bureau::from_text(info, c.text);
    REQUIRE(from_text);
    CHECK(from_text->view() == c.value);
  }
  CHECK(bureau::from_text(column("custom"), " {\"b\":1, \"a\":2} ")->view().as_text() ==
        "{\"a\":2,\"b\":1}");
  CHECK(bureau::from_text(column("subject"), "")->view().as_text() == "");
}

TEST_CASE("texts and JSON of another form are refused by name") {
  struct Case {
    const char* column;
    const char* text;
    const char* part;
  };
  for (const Case& c : {
           Case{"subject", "0123456789x", "at most 10"},
           Case{"open", "yes", "true or false"},
           Case{"count", "12x", "64-bit integer"},
           Case{"count", "9223372036854775808", "64-bit integer"},
           Case{"score", "nan", "finite"},
           Case{"score", "1e999", "finite"},
           Case{"level", "urgent", "one of low, medium, high, critical"},
           Case{"created_at", "yesterday", "RFC 3339"},
           Case{"effort", "5", "a duration"},
           Case{"effort", "5m2h", "a duration"},
           Case{"crew", "tkt_0000000000011", "xcr_"},
           Case{"tags", "[1", "JSON"},
           Case{"digest", "a", "base64"},
           Case{"level", "", "one of"},
       }) {
    CAPTURE(c.text);
    const auto value = bureau::from_text(column(c.column), c.text);
    REQUIRE_FALSE(value);
    CHECK(value.error().code == Code::invalid);
    CHECK(value.error().field == c.column);
    CHECK(has(value.error().message, c.part));
  }
  for (const auto& [name, json] :
       std::initializer_list<std::pair<const char*, Json>>{{"subject", 1},
                                                           {"open", 1},
                                                           {"count", 1.0},
                                                           {"count", "1"},
                                                           {"score", "1"},
                                                           {"level", 1},
                                                           {"created_at", 0},
                                                           {"crew", 7},
                                                           {"digest", true},
                                                           {"level", Json()}}) {
    const std::string_view shown = name;  // Clang 14 captures no structured binding
    CAPTURE(shown);
    const auto value = bureau::from_json(column(name), json);
    REQUIRE_FALSE(value);
    CHECK(value.error().field == name);
  }
  const auto hidden = bureau::from_text(column("phone"), "\xFF");
  REQUIRE_FALSE(hidden);
  CHECK_FALSE(has(hidden.error().message, "\xFF"));
}

TEST_CASE("a row as JSON leaves out what is hidden or secret") {
  sample::Item item;
  item.id = bureau::Id<sample::Item>(1);
  item.subject = "Hi";
  item.password = "hunter2";
  std::vector<Value> row(items().width());
  bureau::detail::Scratch scratch;
  bureau::to_values(item, row, scratch);
  const Json json = bureau::row_to_json(items(), row);
  CHECK(*json.find("subject")->as_string() == "Hi");
  CHECK(*json.find("id")->as_string() == "xit_0000000000001");
  CHECK(json.find("password") == nullptr);
  CHECK(json.find("subject_folded") == nullptr);
  CHECK(json.find("phone") != nullptr);
}

TEST_CASE("durations have one text") {
  using bureau::detail::duration_from_text;
  using bureau::detail::duration_to_text;
  for (const std::int64_t micros :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, std::int64_t{90'000'000},
        std::int64_t{86'400'000'000}, INT64_MAX, INT64_MIN}) {
    CAPTURE(micros);
    CHECK(duration_from_text(duration_to_text(micros)) == micros);
  }
  CHECK(duration_to_text(93'784'005'006) == "1d2h3m4s5ms6us");
  CHECK(duration_from_text("90m") == 5'400'000'000);
  CHECK(duration_from_text("2w") == std::int64_t{14} * 86'400'000'000);
  for (const auto* text :
       {"", "-", "5", "m", "5x", "5m5m", "5s5m", "--5m", "5m-3s", "1.5h", "106751992d", " 5m"})
    CHECK_FALSE(duration_from_text(text));
}

TEST_CASE("case folding is frozen") {
  CHECK(bureau::fold_case("HELLO wörld") == "hello wörld");
  CHECK(bureau::fold_case("ÀÉÎÕÜÇØÞ") == "àéîõüçøþ");
  CHECK(bureau::fold_case("ĀĹŁŽŸſ") == "āĺłžÿs");
  CHECK(bureau::fold_case("ΑΒΓ ΣΑΣ ς Ά") == "αβγ σασ σ ά");
  CHECK(bureau::fold_case("ПРИВЕТ Ёж Ї") == "привет ёж ї");
  CHECK(bureau::fold_case("Straße İstanbul 日本 😀") == "straße İstanbul 日本 😀");
  // Every code point below the end of the table, as one number: it reaches the disk.
  std::uint64_t hash = 1469598103934665603U;
  for (unsigned c = 1; c < 0x600; ++c) {
    std::string text;
    if (c < 0x80) {
      text += static_cast<char>(c);
    } else {
      text += static_cast<char>(0xC0 | c >> 6);
      text += static_cast<char>(0x80 | (c & 0x3F));
    }
    const std::string folded = bureau::fold_case(text);
    CHECK(bureau::fold_case(folded) == folded);
    for (const char byte : folded) {
      hash ^= static_cast<unsigned char>(byte);
      hash *= 1099511628211U;
    }
  }
  CHECK(hash == 5656150948602600799U);
}
