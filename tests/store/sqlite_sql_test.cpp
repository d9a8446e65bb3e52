// SQL that somebody wrote: it reads, and nothing else.

#include <doctest/doctest.h>

#include "bureau/store/database.hpp"
#include "bureau/store/memory_storage.hpp"
#include "store/internal_tables.hpp"
#include "store/sqlite_fixture.hpp"

using namespace bureau;
using fixture::code_of;

namespace {

struct Answer {
  SqlSummary summary;
  std::vector<std::vector<OwnedValue>> rows;
};

const Catalog& wide_catalog() {
  static const Catalog made = [] {
    Catalog c;
    REQUIRE(c.add(table_of<sample::Crew>()));
    REQUIRE(c.add(table_of<sample::Item>()));
    REQUIRE(c.add_internal(table_of<detail::SettingRow>()));
    return c;
  }();
  return made;
}

Result<Answer> ask(Storage& storage, const SqlQuery& query) {
  Answer answer;
  BUREAU_TRY(answer.summary, storage.sql(wide_catalog(), query,
                                         [&](std::span<const std::string> columns,
                                             std::span<const Value> row) -> Result<bool> {
                                           CHECK(columns.size() == row.size());
                                           auto& copy = answer.rows.emplace_back();
                                           for (const Value& value : row) copy.emplace_back(value);
                                           return true;
                                         }));
  return answer;
}
Result<Answer> ask(Storage& storage, const std::string& text) {
  SqlQuery query;
  query.text = text;
  return ask(storage, query);
}

struct Office {
  Folder folder;
  std::shared_ptr<Storage> storage = fixture::open(folder.file());
  Office() {
    REQUIRE(storage->migrate(wide_catalog()));
    for (std::int64_t id = 1; id <= 5; ++id) {
      REQUIRE(fixture::add_crew(*storage, id, "crew " + std::to_string(id)));
    }
  }
};

std::string message_of(const Result<Answer>& result) {
  return result ? std::string() : result.error().message;
}

}  // namespace

TEST_CASE("SQL gives values with the names of their columns, at most as many rows as were asked") {
  Office office;
  SqlQuery query;
  query.text = "SELECT id, name AS who FROM exercise_crews WHERE id > ? ORDER BY id -- the rest";
  query.params = {OwnedValue(Value::integer(2))};
  auto answer = ask(*office.storage, query);
  REQUIRE_MESSAGE(answer, message_of(answer));
  CHECK(answer->summary.columns == std::vector<std::string>{"id", "who"});
  CHECK(answer->summary.rows == 3);
  CHECK_FALSE(answer->summary.more);
  REQUIRE(answer->rows.size() == 3);
  CHECK(answer->rows[0][0].view().as_integer() == 3);
  CHECK(answer->rows[0][1].view().as_text() == "crew 3");

  query.limit = 2;
  answer = ask(*office.storage, query);
  REQUIRE(answer);
  CHECK(answer->rows.size() == 2);
  CHECK(answer->summary.more);
  query.limit = 3;
  answer = ask(*office.storage, query);
  REQUIRE(answer);
  CHECK_FALSE(answer->summary.more);

  answer = ask(*office.storage, "SELECT id FROM exercise_crews WHERE id > 99");
  REQUIRE(answer);
  CHECK(answer->summary.columns == std::vector<std::string>{"id"});
  CHECK(answer->summary.rows == 0);

  CHECK(ask(*office.storage, "WITH c AS (SELECT id FROM exercise_crews) SELECT count(*) FROM c"));
  CHECK(ask(*office.storage, "VALUES (1, 'a')"));
  CHECK(ask(*office.storage, "EXPLAIN QUERY PLAN SELECT * FROM exercise_crews"));
  CHECK(ask(*office.storage, "PRAGMA table_info(exercise_crews)"));
  CHECK(ask(*office.storage, "PRAGMA journal_mode"));
  CHECK(ask(*office.storage, "SELECT name FROM sqlite_schema"));
  CHECK(ask(*office.storage, "SELECT j.value FROM json_each('[1,2]') j"));
  // It sees what was committed, and a write goes on beside it.
  REQUIRE(fixture::add_crew(*office.storage, 6, "six"));
  answer = ask(*office.storage, "SELECT count(*) FROM exercise_crews");
  REQUIRE(answer);
  CHECK(answer->rows[0][0].view().as_integer() == 6);
}

TEST_CASE("SQL that would write, open another file or read a secret is forbidden by name") {
  Office office;
  const std::pair<const char*, const char*> refused[] = {
      {"INSERT INTO exercise_crews(id) VALUES(9)", "INSERT"},
      {"UPDATE exercise_crews SET name='x'", "UPDATE"},
      {"DELETE FROM exercise_crews", "DELETE"},
      {"WITH x AS (SELECT 1) DELETE FROM exercise_crews RETURNING id", "only reading"},
      {"REPLACE INTO exercise_crews(id) VALUES(1)", "only reading"},
      {"DROP TABLE exercise_crews", "only reading"},
      {"CREATE TABLE t(a)", "only reading"},
      {"CREATE TEMP TABLE t(a)", "only reading"},
      {"CREATE TEMP VIEW v AS SELECT 1", "only reading"},
      {"ALTER TABLE exercise_crews ADD COLUMN x", "only reading"},
      {"ATTACH ':memory:' AS m", "ATTACH"},
      {"DETACH main", "ATTACH"},
      {"VACUUM", "only reading"},
      {"VACUUM INTO '/tmp/stolen.db'", "only reading"},
      {"REINDEX", "REINDEX"},
      {"ANALYZE", "only reading"},
      {"BEGIN", "BEGIN"},
      {"SAVEPOINT s", "SAVEPOINT"},
      {"PRAGMA query_only=0", "PRAGMA query_only"},
      {"PRAGMA journal_mode=DELETE", "PRAGMA journal_mode"},
      {"PRAGMA user_version=7", "PRAGMA user_version"},
      {"PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint"},
      {"PRAGMA writable_schema=1", "PRAGMA writable_schema"},
      {"SELECT load_extension('evil')", "load_extension"},
      {"SELECT value FROM bureau_settings", "secret"},
      {"SELECT * FROM bureau_settings", "secret"},
      {"SELECT id FROM bureau_settings WHERE value > 'a'", "secret"},
      {"SELECT id FROM bureau_settings ORDER BY value", "secret"},
      {"SELECT (SELECT max(value) FROM bureau_settings)", "secret"},
      {"EXPLAIN SELECT value FROM bureau_settings", "secret"},
      {"SELECT password FROM exercise_items", "secret"},
      {"SELECT data FROM sqlite_dbpage", ""},
      // Of columns that a join makes one, the authorizer is not told.
      {"SELECT value FROM (SELECT NULL AS value) x FULL JOIN bureau_settings USING(value)",
       "secret"},
      {"SELECT value FROM (SELECT 0 AS value) x NATURAL FULL JOIN bureau_settings", "secret"},
      {"SELECT value FROM bureau_settings NATURAL RIGHT JOIN (SELECT 0 AS value) x", "secret"},
      {"SELECT x.id FROM (SELECT 1 AS id, 'a' AS value) x JOIN bureau_settings USING(value)",
       "secret"},
      {"SELECT count(*) FROM bureau_settings a JOIN bureau_settings b USING(value)", "secret"},
      {"SELECT password FROM (SELECT 0 AS password) x NATURAL FULL JOIN exercise_items", "secret"},
      {"WITH s AS (SELECT 0 AS value) SELECT (SELECT max(value) FROM s NATURAL FULL JOIN "
       "bureau_settings)",
       "secret"},
      {"PRAGMA page_size=8192", "PRAGMA page_size"},
      {"PRAGMA encoding='UTF-16'", "PRAGMA encoding"},
  };
  for (const auto& one : refused) {
    const char* const text = one.first;
    const char* const word = one.second;
    const auto answer = ask(*office.storage, text);
    CAPTURE(text);
    CAPTURE(message_of(answer));
    if (*word == 0) {
      CHECK_FALSE(answer.has_value());
      continue;
    }
    CHECK(code_of(answer) == "forbidden");
    CHECK(message_of(answer).find(word) != std::string::npos);
  }
  CHECK(ask(*office.storage, "SELECT id, name FROM bureau_settings"));
  CHECK(fixture::crew_ids(*office.storage).size() == 5);
  CHECK(fixture::add_crew(*office.storage, 7, "still writable"));
}

TEST_CASE("SQL that is wrong says what is wrong") {
  Office office;
  const auto wrong = [&](const std::string& text, const char* word) {
    const auto answer = ask(*office.storage, text);
    CAPTURE(text);
    CAPTURE(message_of(answer));
    CHECK(code_of(answer) == "invalid");
    CHECK(message_of(answer).find(word) != std::string::npos);
  };
  wrong("", "no statement");
  wrong("  -- only a comment", "no statement");
  wrong("SELEC 1", "syntax error");
  wrong("SELECT 1; SELECT 2", "one statement");
  wrong("SELECT 1; DELETE FROM exercise_crews", "one statement");
  wrong("SELECT 1; nonsense", "one statement");
  wrong("SELECT ?", "1 parameters, 0 were given");
  wrong("SELECT absent FROM exercise_crews", "no such column");
  wrong("SELECT 1 FROM nowhere", "no such table");
  CHECK(ask(*office.storage, "SELECT 1;  ; -- the end\n"));
  CHECK(code_of(ask(*office.storage, "SELECT '" + std::string(200'000, 'x') + "'")) == "exhausted");
  CHECK(code_of(ask(*office.storage, "SELECT length(zeroblob(300000))")) == "exhausted");
  wrong("SELECT trim('xay', 'xy')", "trim(X, Y)");
  CHECK(ask(*office.storage, "SELECT trim(' a ')"));
}

TEST_CASE("SQL that runs too long is ended, and the next statement runs") {
  Office office;
  SqlQuery query;
  query.text = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n";
  query.timeout = std::chrono::milliseconds(20);
  CHECK(code_of(ask(*office.storage, query)) == "deadline");
  CHECK(ask(*office.storage, "SELECT 1"));
}

TEST_CASE("a sink that stops ends the statement, and one that fails gives its error") {
  Office office;
  SqlQuery query;
  query.text = "SELECT id FROM exercise_crews";
  int seen = 0;
  const auto stopped =
      office.storage->sql(wide_catalog(), query,
                          [&](std::span<const std::string>,
                              std::span<const Value>) -> Result<bool> { return ++seen < 2; });
  REQUIRE(stopped);
  CHECK(seen == 2);
  const auto failed =
      office.storage->sql(wide_catalog(), query,
                          [](std::span<const std::string>, std::span<const Value>) -> Result<bool> {
                            return fail(Code::busy, "enough");
                          });
  CHECK(code_of(failed) == "busy");
  const auto threw =
      office.storage->sql(wide_catalog(), query,
                          [](std::span<const std::string>, std::span<const Value>) -> Result<bool> {
                            throw std::runtime_error("oh");
                          });
  CHECK(code_of(threw) == "internal");
}

TEST_CASE("a storage without SQL says so") {
  ManualClock clock;
  const auto memory = make_memory_storage(clock);
  CHECK_FALSE(memory->capabilities().sql);
  const auto answer = ask(*memory, "SELECT 1");
  CHECK(code_of(answer) == "invalid");
  CHECK(message_of(answer).find("no SQL") != std::string::npos);
}
