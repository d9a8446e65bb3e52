// SQL that somebody wrote: it reads, and nothing else.

#include <doctest/doctest.h>

#include "bureau/store/database.hpp"
#include "bureau/store/memory_storage.hpp"
#include "store/sql_cases.hpp"

using namespace bureau;
using fixture::code_of;
using sql_cases::ask;
using sql_cases::message_of;

namespace {

struct Office {
  Folder folder;
  std::shared_ptr<Storage> storage = fixture::open(folder.file());
  Office() { sql_cases::fill(*storage); }
};

}  // namespace

TEST_CASE("SQL on SQLite means what it means on every storage") {
  const Folder folder;
  int offices = 0;
  sql_cases::check_all(
      [&] { return fixture::open(folder.file(std::to_string(++offices) + ".db")); });
}

TEST_CASE("SQL on SQLite takes ? for a parameter, and describes the file") {
  Office office;
  SqlQuery query;
  query.text = "SELECT name FROM exercise_crews WHERE id > ? AND id < ?";
  query.params = {OwnedValue(Value::integer(2)), OwnedValue(Value::integer(4))};
  const auto answer = ask(*office.storage, query);
  REQUIRE_MESSAGE(answer, message_of(answer));
  REQUIRE(answer->rows.size() == 1);
  CHECK(answer->rows[0][0].view().as_text() == "crew 3");
  CHECK(ask(*office.storage, "EXPLAIN QUERY PLAN SELECT * FROM exercise_crews"));
  CHECK(ask(*office.storage, "PRAGMA table_info(exercise_crews)"));
  CHECK(ask(*office.storage, "PRAGMA journal_mode"));
  CHECK(ask(*office.storage, "SELECT name FROM sqlite_schema"));
  CHECK(ask(*office.storage, "SELECT j.value FROM json_each('[1,2]') j"));
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

TEST_CASE("SQL that is wrong on SQLite says what is wrong") {
  Office office;
  sql_cases::check_refused(*office.storage, "SELECT 1; nonsense", "invalid", "one statement");
  sql_cases::check_refused(*office.storage, "SELECT ?", "invalid", "1 parameters, 0 were given");
  sql_cases::check_refused(*office.storage, "SELECT trim('xay', 'xy')", "invalid", "trim(X, Y)");
  CHECK(code_of(ask(*office.storage, "SELECT length(zeroblob(300000))")) == "exhausted");
  CHECK(ask(*office.storage, "SELECT trim(' a ')"));
}

TEST_CASE("a storage without SQL says so") {
  ManualClock clock;
  const auto memory = make_memory_storage(clock);
  CHECK_FALSE(memory->capabilities().sql);
  const auto answer = ask(*memory, "SELECT 1");
  CHECK(code_of(answer) == "invalid");
  CHECK(message_of(answer).find("no SQL") != std::string::npos);
}
