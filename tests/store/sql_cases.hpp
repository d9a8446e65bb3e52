#pragma once

// What read-only SQL means on every storage that has it: Storage::sql() on an office with five
// crews.

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "store/internal_tables.hpp"
#include "store/sqlite_fixture.hpp"

namespace sql_cases {

using namespace bureau;
using fixture::code_of;

struct Answer {
  SqlSummary summary;
  std::vector<std::vector<OwnedValue>> rows;
};

inline const Catalog& wide_catalog() {
  static const Catalog made = [] {
    Catalog c;
    REQUIRE(c.add(table_of<sample::Crew>()));
    REQUIRE(c.add(table_of<sample::Item>()));
    REQUIRE(c.add_internal(table_of<detail::SettingRow>()));
    return c;
  }();
  return made;
}

inline void fill(Storage& storage) {
  REQUIRE(storage.migrate(wide_catalog()));
  for (std::int64_t id = 1; id <= 5; ++id) {
    REQUIRE(fixture::add_crew(storage, id, "crew " + std::to_string(id)));
  }
}

inline Result<Answer> ask(Storage& storage, const SqlQuery& query) {
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
inline Result<Answer> ask(Storage& storage, const std::string& text) {
  SqlQuery query;
  query.text = text;
  return ask(storage, query);
}

inline std::string message_of(const Result<Answer>& result) {
  return result ? std::string() : result.error().message;
}

inline void check_refused(Storage& storage, const std::string& text, const std::string& code,
                          const std::string& word) {
  const auto answer = ask(storage, text);
  CAPTURE(text);
  CAPTURE(message_of(answer));
  CHECK(code_of(answer) == code);
  CHECK(message_of(answer).find(word) != std::string::npos);
}

inline void check_rows(Storage& storage) {
  SqlQuery query;
  query.text = "SELECT id, name AS who FROM exercise_crews WHERE id > $1 ORDER BY id -- the rest";
  query.params = {OwnedValue(Value::integer(2))};
  auto answer = ask(storage, query);
  REQUIRE_MESSAGE(answer, message_of(answer));
  CHECK(answer->summary.columns == std::vector<std::string>{"id", "who"});
  CHECK(answer->summary.rows == 3);
  CHECK_FALSE(answer->summary.more);
  REQUIRE(answer->rows.size() == 3);
  CHECK(answer->rows[0][0].view().as_integer() == 3);
  CHECK(answer->rows[0][1].view().as_text() == "crew 3");

  query.limit = 2;
  answer = ask(storage, query);
  REQUIRE(answer);
  CHECK(answer->rows.size() == 2);
  CHECK(answer->summary.more);
  query.limit = 3;
  answer = ask(storage, query);
  REQUIRE(answer);
  CHECK_FALSE(answer->summary.more);

  answer = ask(storage, "SELECT id FROM exercise_crews WHERE id > 99");
  REQUIRE(answer);
  CHECK(answer->summary.columns == std::vector<std::string>{"id"});
  CHECK(answer->summary.rows == 0);

  // Values of each kind, columns of one name, sums of any size.
  query = {};
  query.text = "SELECT $1, $2, $3, NULL, count(*), count(*), sum(id), avg(id) FROM exercise_crews";
  query.params = {OwnedValue(Value::integer(-7)), OwnedValue::text("it's $1; -- \"quoted\""),
                  OwnedValue(Value::real(0.25))};
  answer = ask(storage, query);
  REQUIRE_MESSAGE(answer, message_of(answer));
  REQUIRE(answer->rows.size() == 1);
  const auto& row = answer->rows[0];
  CHECK(row[0].view() == Value::integer(-7));
  CHECK(row[1].view() == Value::text("it's $1; -- \"quoted\""));
  CHECK(row[2].view() == Value::real(0.25));
  CHECK(row[3].view().is_null());
  CHECK(row[5].view() == Value::integer(5));
  CHECK(row[6].view() == Value::integer(15));
  CHECK(row[7].view().as_real() == 3.0);

  CHECK(ask(storage, "WITH c AS (SELECT id FROM exercise_crews) SELECT count(*) FROM c"));
  CHECK(ask(storage, "VALUES (1, 'a')"));
  CHECK(ask(storage, "EXPLAIN SELECT * FROM exercise_crews"));
  // It sees what was committed, and a write goes on beside it.
  REQUIRE(fixture::add_crew(storage, 6, "six"));
  answer = ask(storage, "SELECT count(*) FROM exercise_crews");
  REQUIRE(answer);
  CHECK(answer->rows[0][0].view().as_integer() == 6);
}

inline void check_forbidden(Storage& storage) {
  for (const char* text :
       {"INSERT INTO exercise_crews(id) VALUES(9)", "UPDATE exercise_crews SET name='x'",
        "DELETE FROM exercise_crews", "DROP TABLE exercise_crews", "CREATE TABLE t(a int)",
        "CREATE TEMP TABLE t(a int)", "CREATE TEMP VIEW v AS SELECT 1",
        "ALTER TABLE exercise_crews ADD COLUMN x int", "VACUUM", "ANALYZE", "BEGIN",
        "SAVEPOINT s"}) {
    check_refused(storage, text, "forbidden", "");
  }
  for (const char* text :
       {"SELECT value FROM bureau_settings", "SELECT * FROM bureau_settings",
        "SELECT id FROM bureau_settings WHERE value > 'a'",
        "SELECT id FROM bureau_settings ORDER BY value",
        "SELECT (SELECT max(length(value)) FROM bureau_settings)",
        "EXPLAIN SELECT value FROM bureau_settings", "SELECT password FROM exercise_items",
        "SELECT s.name FROM bureau_settings s WHERE EXISTS (SELECT 1 FROM exercise_crews c WHERE "
        "s.value IS NOT NULL)",
        "SELECT count(*) FROM bureau_settings a JOIN bureau_settings b USING(value)",
        "WITH s AS (SELECT * FROM bureau_settings) SELECT id FROM s"}) {
    check_refused(storage, text, "forbidden", "secret");
  }
  CHECK(ask(storage, "SELECT id, name FROM bureau_settings"));
  CHECK(ask(storage, "SELECT count(*) FROM bureau_settings"));
  CHECK(fixture::crew_ids(storage).size() == 5);
  CHECK(fixture::add_crew(storage, 7, "still writable"));
}

inline void check_wrong(Storage& storage) {
  check_refused(storage, "", "invalid", "no statement");
  check_refused(storage, "  -- only a comment", "invalid", "no statement");
  check_refused(storage, "SELEC 1", "invalid", "syntax error");
  check_refused(storage, "SELECT 1; SELECT 2", "invalid", "one statement");
  check_refused(storage, "SELECT 1; DELETE FROM exercise_crews", "invalid", "one statement");
  check_refused(storage, "SELECT $1", "invalid", "1 parameters, 0 were given");
  check_refused(storage, "SELECT absent FROM exercise_crews", "invalid", "absent");
  check_refused(storage, "SELECT 1 FROM nowhere", "invalid", "nowhere");
  check_refused(storage, "SELECT '" + std::string(200'000, 'x') + "'", "exhausted", "bytes");
  CHECK(ask(storage, "SELECT 1;  ; -- the end\n"));
}

inline void check_deadline(Storage& storage) {
  SqlQuery query;
  query.text = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n";
  query.timeout = std::chrono::milliseconds(20);
  CHECK(code_of(ask(storage, query)) == "deadline");
  CHECK(ask(storage, "SELECT 1"));
}

inline void check_sinks(Storage& storage) {
  SqlQuery query;
  query.text = "SELECT id FROM exercise_crews";
  int seen = 0;
  const auto stopped =
      storage.sql(wide_catalog(), query,
                  [&](std::span<const std::string>, std::span<const Value>) -> Result<bool> {
                    return ++seen < 2;
                  });
  REQUIRE(stopped);
  CHECK(seen == 2);
  const auto failed =
      storage.sql(wide_catalog(), query,
                  [](std::span<const std::string>, std::span<const Value>) -> Result<bool> {
                    return fail(Code::busy, "enough");
                  });
  CHECK(code_of(failed) == "busy");
  const auto threw =
      storage.sql(wide_catalog(), query,
                  [](std::span<const std::string>, std::span<const Value>) -> Result<bool> {
                    throw std::runtime_error("oh");
                  });
  CHECK(code_of(threw) == "internal");
  CHECK(ask(storage, "SELECT 1"));
}

/// Each with an office that fill() has made.
template <class Make>
void check_all(Make make) {
  for (const auto check : {check_rows, check_forbidden, check_wrong, check_deadline, check_sinks}) {
    const auto storage = make();
    fill(*storage);
    check(*storage);
  }
}

}  // namespace sql_cases
