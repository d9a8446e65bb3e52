// What the server's planner makes of the statements once it plans them for any parameters.

#include <doctest/doctest.h>

#include "basics.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "store/postgres/sql.hpp"
#include "store/sample.hpp"

namespace {

using bureau::col;
using bureau::Value;
using bureau::detail::postgres::Sql;
using postgres_test::Client;
using sample::Item;
using sample::Level;
namespace postgres = bureau::detail::postgres;

/// Ten thousand items of which a hundred are critical, and what the planner knows of them.
void fill(const postgres_test::Database& database) {
  bureau::Catalog catalog;
  must(catalog.add(bureau::table_of<sample::Crew>()));
  must(catalog.add(bureau::table_of<Item>()));
  bureau::PostgresOptions options;
  options.connection = database.conninfo();
  const auto storage = must(bureau::open_postgres(std::move(options)));
  must(storage->migrate(catalog));
  Client client(database.address());
  client.ask(
      "INSERT INTO bureau.exercise_items"
      "(id,version,subject,subject_folded,level,open,created_at,tags) "
      "SELECT i,1,'s','s',CASE WHEN i%100=0 THEN 3 ELSE 0 END,1,i,'[]' "
      "FROM generate_series(1,10000) i");
  client.ask("ANALYZE bureau.exercise_items");
}

/// The plan for any values of its parameters, which are all integers.
std::string generic_plan(const postgres_test::Database& database, const Sql& sql) {
  Client client(database.address());
  client.ask("SET plan_cache_mode=force_generic_plan");
  std::string types, values;
  for (const auto& parameter : sql.parameters) {
    types += types.empty() ? "int8" : ",int8";
    values += values.empty() ? "" : ",";
    values += std::to_string(parameter.value.as_integer());
  }
  const std::string in_parentheses = types.empty() ? "" : "(" + types + ")";
  client.ask("PREPARE asked" + in_parentheses + " AS " + sql.text);
  return client.ask("EXPLAIN (FORMAT JSON) EXECUTE asked" +
                    (values.empty() ? "" : "(" + values + ")"));
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a page of few rows among many is read by their index, whatever its limit") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  fill(database);
  for (const std::uint64_t limit : {100U, 101U, 137U, 1000U, 1001U}) {
    CAPTURE(limit);
    Sql sql("bureau");
    must(postgres::append_select(
        sql, bureau::select<Item>().where(col(&Item::level) == Level::critical).limit(limit)));
    const std::string plan = generic_plan(database, sql);
    CAPTURE(plan);
    CHECK(has(plan, "exercise_items_by_level"));
    CHECK_FALSE(has(plan, "exercise_items_pkey"));
  }
}

TEST_CASE("a claim of few rows locks no more than it takes, whatever its limit") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  fill(database);
  Client one(database.address()), other(database.address());
  bureau::Update claim;
  claim.which = bureau::select<Item>().where(col(&Item::level) == Level::critical).limit(37);
  claim.which.skip_locked = true;
  claim.set = {{bureau::table_of<Item>().find("version"), Value::integer(1), true}};
  Sql sql("bureau");
  must(postgres::append_update(sql, claim, false));
  one.ask("PREPARE claim(int8,int8) AS " + sql.text);
  one.ask("BEGIN");
  one.ask("EXECUTE claim(1,37)");
  CHECK(one.ask("SELECT count(*) FROM bureau.exercise_items WHERE version=2") == "37");
  CHECK(one.ask("SELECT max(id) FROM bureau.exercise_items WHERE version=2") == "3700");
  CHECK(other.ask("SELECT count(*) FROM (SELECT id FROM bureau.exercise_items WHERE level=3 "
                  "FOR UPDATE SKIP LOCKED) AS free") == "63");
  one.ask("ROLLBACK");
}
