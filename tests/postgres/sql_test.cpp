// The SQL that PostgreSQL is asked with, as text: what a planner must see is in it as a literal,
// all else is a parameter, and one text serves lists and batches of any length.

#include "store/postgres/sql.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <set>

#include "basics.hpp"
#include "store/postgres/number_stock.hpp"
#include "store/postgres/statement_cache.hpp"
#include "store/sample.hpp"

namespace {

using bureau::Aggregate;
using bureau::col;
using bureau::OwnedValue;
using bureau::Predicate;
using bureau::Select;
using bureau::Update;
using bureau::Value;
using bureau::detail::postgres::Sql;
using sample::Crew;
using sample::Item;
using sample::Level;
namespace postgres = bureau::detail::postgres;

const bureau::Catalog& catalog() {
  static const bureau::Catalog made = [] {
    bureau::Catalog c;
    must(c.add(bureau::table_of<Item>()));
    must(c.add(bureau::table_of<Crew>()));
    return c;
  }();
  return made;
}

std::string text_of(const Predicate& predicate) {
  Sql sql("\"s\"");
  postgres::append_predicate(sql, predicate);
  return sql.text;
}
std::string text_of(std::string_view text) {
  return text_of(must(Predicate::parse(bureau::table_of<Item>(), text, &catalog())));
}
std::string literal_of(std::string_view text) {
  Sql sql("\"s\"");
  postgres::append_predicate_literal(
      sql, must(Predicate::parse(bureau::table_of<Item>(), text, &catalog())));
  return sql.text;
}

Select crews() { return bureau::select<Crew>(); }
std::string crew_columns() { return R"("id","name","code","owner","active")"; }

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += part;
  return out;
}

/// The upper end of the range that a prefix becomes.
std::string end_of_prefix(std::string_view prefix) {
  Sql sql("\"s\"");
  postgres::append_predicate(sql, col(&Item::subject).starts_with(prefix));
  if (sql.parameters.size() < 2) return {};
  return std::string(sql.parameters[1].value.as_text());
}

}  // namespace

TEST_CASE("predicates as SQL") {
  CHECK(text_of(Predicate()) == "TRUE");
  CHECK(text_of("true") == "TRUE");
  CHECK(text_of("false") == "FALSE");
  CHECK(text_of("count = 3") == R"("count"=$1)");
  CHECK(text_of("not count != 3") == R"(NOT("count"<>$1))");
  CHECK(text_of("count > 1 and score <= 0.5") == R"(("count">$1 AND "score"<=$2))");
  CHECK(text_of("count = 1 or count is null") == R"(("count"=$1 OR "count" IS NULL))");
  CHECK(text_of("count in ()") == "FALSE");
  CHECK(text_of("count not in ()") == "TRUE");
  CHECK(text_of("count in (1, 2)") == R"("count"=ANY($1))");
  CHECK(text_of("count in (1, 2, 3, 4)") == R"("count"=ANY($1))");
  CHECK(text_of("subject not in ('a', 'b')") == R"("subject"<>ALL($1))");
  CHECK(text_of("note contains 'x'") == R"(strpos("note",$1)>0)");
  CHECK(text_of("subject prefix 'x'") == R"(("subject">=$1 AND "subject"<$2))");
  CHECK(text_of("subject prefix ''") == R"(("subject">=$1))");
  CHECK(text_of("crew in (select id from exercise_crews where code = 1)") ==
        R"("crew" IN(SELECT "id" FROM "s"."exercise_crews" WHERE "code"=$1))");
  CHECK(text_of("tags contains 'vip'") == R"("s".bureau_json_has("tags",$1,ARRAY[]::text[]))");
  CHECK(text_of("custom.in.'a b' = 'deep'") ==
        R"(("s".bureau_json_text("custom",ARRAY[$1,$2]::text[]) COLLATE "C")=$3)");
  CHECK(text_of("custom.n = 1") == R"("s".bureau_json_integer("custom",ARRAY[$1]::text[])=$2)");
  CHECK(text_of("custom.n is null") ==
        R"("s".bureau_json_exists("custom",ARRAY[$1]::text[]) IS NULL)");
}

TEST_CASE("what indexes depend on is literal") {
  CHECK(text_of("level >= 'high'") == R"("level">=2)");
  CHECK(text_of("level in ('low', 'high')") == R"("level" IN(0,2))");
  CHECK(text_of("open = true") == R"("open"=1)");
  CHECK(literal_of("subject = \"it's\" or count = -9223372036854775808") ==
        R"(("subject"='it''s' OR "count"=(-9223372036854775807-1)))");
  CHECK(literal_of("digest = 'AP8='") == R"("digest"='\x00ff'::bytea)");
  CHECK(literal_of("score > 0.5") == R"("score">5.00000000000000000e-01::float8)");
}

TEST_CASE("selects as SQL") {
  Sql sql("\"s\"");
  must(postgres::append_select(sql,
                               bureau::select<Crew>()
                                   .where(col(&Crew::name) == "a")
                                   .order_by(col(&Crew::code), true)
                                   .limit(3),
                               77));
  CHECK(sql.text == "SELECT " + crew_columns() +
                        R"( FROM "s"."exercise_crews" WHERE "id"<=$1 AND "name"=$2 )"
                        R"(ORDER BY "code" DESC NULLS LAST,"id" LIMIT 3)");
  CHECK(sql.parameters[0].value == Value::integer(77));
  Select after = crews();
  after.order = {{bureau::table_of<Crew>().find("name"), false}};
  after.after = {OwnedValue::text("m"), OwnedValue(Value::integer(5))};
  Sql keyset("\"s\"");
  must(postgres::append_select(keyset, after));
  CHECK(keyset.text == "SELECT " + crew_columns() +
                           R"( FROM "s"."exercise_crews" WHERE ("name">=$1 AND ("name">$2 OR )"
                           R"(("name"=$3 AND "id">$4))) ORDER BY "name" NULLS FIRST,"id")");
}

TEST_CASE("changes as SQL") {
  Update update;
  update.which = crews();
  update.set = {{bureau::table_of<Crew>().find("code"), Value::integer(1), true},
                {bureau::table_of<Crew>().find("owner"), Value::text("x"), false}};
  Sql all("\"s\"");
  must(postgres::append_update(all, update, false));
  CHECK(all.text == R"(UPDATE "s"."exercise_crews" SET "code"="code"+$1,"owner"=$2)");
  update.which.limit = 4;
  update.which.skip_locked = true;
  Sql some("\"s\"");
  must(postgres::append_update(some, update, true));
  CHECK(some.text ==
        R"(UPDATE "s"."exercise_crews" SET "code"="code"+$1,"owner"=$2 WHERE "id"=ANY(ARRAY()"
        R"(SELECT "id" FROM "s"."exercise_crews" ORDER BY "id" LIMIT 4 FOR UPDATE SKIP LOCKED)))"
        " RETURNING " +
            crew_columns());
  Sql removal("\"s\"");
  must(postgres::append_remove(removal, bureau::select<Crew>().where(col(&Crew::active) == true)));
  CHECK(removal.text ==
        R"(DELETE FROM "s"."exercise_crews" WHERE "active"=1 RETURNING )" + crew_columns());
}

TEST_CASE("of a limit that few programs write the planner sees the next power of two") {
  Sql read("\"s\"");
  must(postgres::append_select(read, bureau::select<Crew>().limit(37)));
  CHECK(read.text == "WITH first AS MATERIALIZED(SELECT " + crew_columns() +
                         R"( FROM "s"."exercise_crews" ORDER BY "id" LIMIT 64) SELECT )" +
                         crew_columns() + R"( FROM first ORDER BY "id" LIMIT $1)");
  CHECK(read.parameters[0].value == Value::integer(37));
  Sql claim("\"s\"");
  Update update;
  update.which = bureau::select<Crew>().limit(37);
  update.which.skip_locked = true;
  update.set = {{bureau::table_of<Crew>().find("code"), Value::integer(1), true}};
  must(postgres::append_update(claim, update, false));
  CHECK(claim.text ==
        R"(UPDATE "s"."exercise_crews" SET "code"="code"+$1 WHERE "id"=ANY(ARRAY()"
        R"(WITH first AS MATERIALIZED(SELECT "id" FROM "s"."exercise_crews" ORDER BY "id" )"
        R"(LIMIT 64 FOR UPDATE SKIP LOCKED) SELECT "id" FROM first LIMIT $2)))");
}

TEST_CASE("any limits make few texts, and each shows the planner nearly what is wanted") {
  std::set<std::string> texts;
  for (std::uint64_t limit = 0; limit <= 10'000; ++limit) {
    Sql sql("\"s\"");
    must(postgres::append_select(sql, bureau::select<Crew>().limit(limit)));
    const std::size_t at = sql.text.find("LIMIT ") + 6;
    const std::uint64_t seen = std::stoull(sql.text.substr(at));
    const std::uint64_t rows =
        sql.parameters.empty() ? seen
                               : static_cast<std::uint64_t>(sql.parameters[0].value.as_integer());
    CHECK(rows == limit);
    CHECK(seen >= limit);
    CHECK(seen <= 2 * limit);
    texts.insert(sql.text);
  }
  CHECK(texts.size() <= postgres::StatementCache::size_max / 4);
  Sql all("\"s\"");
  must(postgres::append_select(all, bureau::select<Crew>().limit(UINT64_MAX)));
  CHECK(all.parameters.empty());
}

TEST_CASE("one row is inserted as values, several as arrays") {
  const bureau::TableInfo& table = bureau::table_of<Crew>();
  const std::vector<Value> row = {Value::integer(1), Value::text("a"), Value(), Value::text("o"),
                                  Value::integer(0)};
  Sql one("\"s\"");
  postgres::append_insert(one, table, row);
  CHECK(one.text ==
        R"(INSERT INTO "s"."exercise_crews"()" + crew_columns() + ") VALUES($1,$2,$3,$4,$5)");
  std::vector<Value> rows = row;
  rows.insert(rows.end(), row.begin(), row.end());
  Sql two("\"s\"");
  postgres::append_insert(two, table, rows);
  CHECK(two.text == R"(INSERT INTO "s"."exercise_crews"()" + crew_columns() +
                        ") SELECT * FROM unnest($1,$2,$3,$4,$5)");
  CHECK(two.parameters[1].values.size() == 2);
  CHECK(two.parameters[2].values[1].is_null());
}

TEST_CASE("aggregates as SQL") {
  Aggregate aggregate;
  aggregate.table = &bureau::table_of<Item>();
  aggregate.group_by = {aggregate.table->find("wish")};
  aggregate.measures = {{Aggregate::Function::count, nullptr},
                        {Aggregate::Function::sum, aggregate.table->find("count")},
                        {Aggregate::Function::average, aggregate.table->find("count")},
                        {Aggregate::Function::sum, aggregate.table->find("score")}};
  Sql sql("\"s\"");
  must(postgres::append_aggregate(sql, aggregate));
  CHECK(sql.text ==
        R"(SELECT "wish",COUNT(*),SUM("count")::text,SUM("count")::float8/COUNT("count"),)"
        R"(SUM("score") FROM "s"."exercise_items" GROUP BY "wish" ORDER BY "wish" NULLS FIRST)");
}

TEST_CASE("the end of a prefix is valid text, and the first that does not begin with it") {
  CHECK(end_of_prefix("a") == "b");
  CHECK(end_of_prefix("a\x7F") == "a\xC2\x80");
  CHECK(end_of_prefix("\xED\x9F\xBF") == "\xEE\x80\x80");            // over the surrogates
  CHECK(end_of_prefix("a\xF4\x8F\xBF\xBF") == "b");                  // after the last there is
  CHECK(end_of_prefix("\xF4\x8F\xBF\xBF\xF4\x8F\xBF\xBF").empty());  // none
  rc::check("it lies beyond all that begin with the prefix, and before all others", [] {
    const auto text = joined(*rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("a", "\x7F", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                                      "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF")));
    const std::string end = end_of_prefix(text);
    if (text.empty()) return;
    RC_PRE(!end.empty());
    RC_ASSERT(bureau::is_valid_text(end));
    RC_ASSERT(end > text + "\xF4\x8F\xBF\xBF");
    RC_ASSERT(!end.starts_with(text));
    RC_ASSERT(end.size() <= text.size() + 1);
  });
}

TEST_CASE("names that are too long for the server stay different") {
  bureau::TableInfo table;
  table.name = "a234567890123456789012345678901234567890";
  const std::string one = postgres::index_name(table, "b2345678901234567890123456789012");
  const std::string other = postgres::index_name(table, "b2345678901234567890123456789013");
  CHECK(one.size() == 63);
  CHECK(other.size() == 63);
  CHECK(one != other);
  CHECK(postgres::index_name(table, "short") == std::string(table.name) + "_short");
}

TEST_CASE("prepared statements are kept, the least recently used goes") {
  postgres::StatementCache cache;
  const auto first = cache.use("first");
  CHECK(first.is_new);
  CHECK(cache.use("first").name == first.name);
  CHECK(!cache.use("first").is_new);
  for (std::size_t i = 1; i < postgres::StatementCache::size_max; ++i) {
    CHECK(cache.use("other " + std::to_string(i)).evicted.empty());
  }
  static_cast<void>(cache.use("first"));
  const auto one_more = cache.use("one more");
  CHECK(!one_more.evicted.empty());
  CHECK(one_more.evicted != first.name);
  CHECK(!cache.use("first").is_new);
  cache.forget(first.name);
  const auto again = cache.use("first");
  CHECK(again.is_new);
  CHECK(again.name != first.name);
}

TEST_CASE("numbers of an undone statement are given out again under the same lock only") {
  postgres::NumberStock stock;
  CHECK(!stock.take(1));
  const auto before_any = stock.mark();
  stock.add_taken(1, 3);
  const auto mark = stock.mark();
  stock.add_taken(10, 14);
  stock.add_taken(20, 21);
  stock.go_back(mark);
  CHECK(stock.take(2) == 11);
  CHECK(stock.take(3) == 14);
  const auto inside = stock.mark();
  CHECK(stock.take(1) == 20);
  stock.go_back(inside);
  CHECK(stock.take(2) == 21);
  CHECK(!stock.take(1));
  stock.go_back(before_any);
  CHECK(!stock.take(1));
  CHECK(!stock.holds_lock());
}
