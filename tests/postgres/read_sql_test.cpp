// SQL that somebody wrote, on the server: it reads the office, and nothing else.

#include "bureau/store/postgres_storage.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "store/postgres/query_text.hpp"
#include "store/postgres/query_tree.hpp"
#include "store/sql_cases.hpp"

using namespace bureau;
using fixture::code_of;
using sql_cases::ask;
using sql_cases::check_refused;
using sql_cases::message_of;

namespace {

std::shared_ptr<Storage> open_office(const postgres_test::Database& database,
                                     const std::string& schema = "bureau") {
  PostgresOptions options;
  options.connection = database.conninfo();
  options.schema = schema;
  return must(open_postgres(std::move(options)));
}

}  // namespace

TEST_CASE("SQL on PostgreSQL means what it means on every storage") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  int offices = 0;
  sql_cases::check_all([&] { return open_office(database, "o" + std::to_string(++offices)); });
}

TEST_CASE("SQL on PostgreSQL calls nothing that does more than compute, and sees nothing else") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open_office(database);
  sql_cases::fill(*storage);
  postgres_test::Client owner(database.address());
  owner.ask("CREATE TABLE public.diary(entry text); INSERT INTO public.diary VALUES('dear')");
  owner.ask(
      "CREATE FUNCTION public.peek() RETURNS text LANGUAGE sql IMMUTABLE AS "
      "$$SELECT entry FROM public.diary$$");
  owner.ask("CREATE VIEW bureau.exercise_open AS SELECT value FROM bureau.bureau_settings");
  for (const char* text :
       {"SELECT pg_sleep(10)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT set_config('role', 'postgres', false)",
        "SELECT current_setting('data_directory')",
        "SELECT nextval('bureau.bureau_sequence')",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_notify('bureau_bureau', 'x')",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT query_to_xml('SELECT value FROM bureau.bureau_settings', true, false, '')",
        "SELECT table_to_xml('bureau.bureau_settings', true, false, '')",
        "SELECT bureau.bureau_draw(1, 1, true)",
        "SELECT public.peek()",
        "SELECT count(*) FROM exercise_crews WHERE pg_sleep(10) IS NULL",
        "SELECT 1 FROM exercise_crews ORDER BY pg_sleep(10)::text",
        "SELECT sum(id) FILTER (WHERE pg_try_advisory_lock(1)) FROM exercise_crews",
        "SELECT * FROM pg_stat_file('/etc/passwd')",
        "VALUES (pg_sleep(10))",
        "SELECT (SELECT max(x) FROM (SELECT pg_sleep(10)::text AS x) y)",
        "SELECT lag(id) OVER (ORDER BY random()) FROM exercise_crews",
        "EXPLAIN SELECT pg_sleep(10)",
        "SELECT dblink_connect('x') FROM pg_sleep(1)"}) {
    CAPTURE(text);
    const auto answer = ask(*storage, text);
    CAPTURE(message_of(answer));
    CHECK((code_of(answer) == "forbidden" || code_of(answer) == "invalid"));
    CHECK((message_of(answer).find("does more than compute") != std::string::npos ||
           message_of(answer).find("dblink_connect") != std::string::npos));
  }
  for (const char* text :
       {"SELECT * FROM public.diary", "SELECT * FROM exercise_open", "SELECT attname FROM pg_stats",
        "SELECT * FROM pg_authid", "SELECT * FROM pg_stat_activity", "SELECT * FROM pg_settings",
        "SELECT last_value FROM bureau_sequence", "SELECT * FROM bureau_incarnation",
        "SELECT most_common_vals::text FROM pg_stats WHERE attname='value'"}) {
    check_refused(*storage, text, "forbidden", "no table of this program's");
  }
  for (const char* text :
       {"SELECT s FROM bureau_settings s", "SELECT row_to_json(s) FROM bureau_settings s",
        "SELECT s.*::text FROM bureau_settings s", "SELECT value(s) FROM bureau_settings s",
        "SELECT count(s) FROM bureau_settings s", "TABLE bureau_settings",
        "SELECT (s).value FROM bureau_settings s",
        "SELECT value FROM (SELECT NULL::bytea AS value) x FULL JOIN bureau_settings USING(value)",
        "SELECT value FROM (SELECT ''::bytea AS value) x NATURAL FULL JOIN bureau_settings",
        "SELECT 1 FROM exercise_crews c, LATERAL (SELECT value FROM bureau_settings) v",
        "SELECT id FROM exercise_crews TABLESAMPLE bernoulli((SELECT max(length(value)) FROM "
        "bureau_settings))",
        "SELECT array_agg(x) FROM (SELECT bureau_settings AS x FROM bureau_settings) y",
        "SELECT b AS \":relid 1\", c AS \"} :selectedCols (b)\" FROM bureau_settings "
        "\":relid\"(a, b, c)"}) {
    CAPTURE(text);
    const auto answer = ask(*storage, text);
    CAPTURE(message_of(answer));
    // Some of it the server itself does not take.
    CHECK((code_of(answer) == "forbidden" || code_of(answer) == "invalid"));
  }
  for (const char* text : {"COPY exercise_crews TO PROGRAM 'cat'",
                           "COPY (SELECT 1) TO STDOUT",
                           "COMMIT",
                           "ROLLBACK",
                           "SET statement_timeout = 0",
                           "SET ROLE postgres",
                           "RESET ALL",
                           "DO $$ BEGIN END $$",
                           "PREPARE p AS SELECT 1",
                           "EXECUTE p",
                           "LISTEN x",
                           "NOTIFY x",
                           "LOCK TABLE exercise_crews",
                           "GRANT SELECT ON exercise_crews TO PUBLIC",
                           "CREATE EXTENSION dblink",
                           "CHECKPOINT",
                           "WITH x AS (DELETE FROM exercise_crews RETURNING id) SELECT * FROM x",
                           "SELECT * INTO stolen FROM exercise_crews",
                           "SELECT id FROM exercise_crews FOR UPDATE",
                           "CALL nothing()",
                           "DECLARE c CURSOR FOR SELECT 1",
                           "FETCH 1 FROM bureau_sql",
                           "CLOSE ALL",
                           "DISCARD ALL",
                           "SHOW data_directory"}) {
    CAPTURE(text);
    const auto answer = ask(*storage, text);
    CAPTURE(message_of(answer));
    CHECK((code_of(answer) == "forbidden" || code_of(answer) == "invalid"));
  }
  for (const char* text :
       {"SELECT now(), current_timestamp, current_user, version()",
        "SELECT to_char(now(), 'YYYY'), lower('A') || 'b', 7 / 2, 'a' LIKE 'a%', round(1.5, 1)",
        "SELECT json_build_object('a', 1), jsonb_pretty('{\"a\":1}'), string_agg(name, ',') FROM "
        "exercise_crews",
        "SELECT id, rank() OVER (ORDER BY name), lag(name) OVER (ORDER BY id) FROM exercise_crews",
        "SELECT g FROM generate_series(1, 3) g", "SELECT c FROM exercise_crews c",
        "SELECT bureau_json_text('{\"a\":\"b\"}', ARRAY['a'])", "(SELECT 1) UNION SELECT 2",
        "SELECT table_name FROM information_schema.tables", "SELECT key, value FROM bureau_meta",
        "SELECT ctid, tableoid FROM exercise_crews", "SELECT 1 \"a\", 2 \"a\"",
        "SELECT 'a' -- $1 is not a parameter\n, $x$ $1 $x$, E'\\'$1', \"$1\" FROM (SELECT 1 "
        "\"$1\") /* $1 /* nested */ */ q"}) {
    CAPTURE(text);
    const auto answer = ask(*storage, text);
    CHECK_MESSAGE(answer, message_of(answer));
  }
  CHECK(fixture::crew_ids(*storage).size() == 5);
  CHECK(fixture::add_crew(*storage, 7, "still writable"));
  CHECK(owner.ask("SELECT count(*) FROM pg_class WHERE relname='bureau_sql_view'") == "0");
}

TEST_CASE("SQL on PostgreSQL: long values, many rows, lost connections") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open_office(database);
  sql_cases::fill(*storage);
  CHECK(ask(*storage, "SELECT repeat('x', 262144)"));
  check_refused(*storage, "SELECT repeat('x', 262145)", "exhausted", "262145 bytes");
  CHECK(code_of(ask(*storage, "SELECT repeat('x', 2147483647)")) == "exhausted");
  postgres_test::Client admin(database.admin());
  if (PQserverVersion(admin.get()) >= 150'000) {  // before, an internal error of the server's
    CHECK(code_of(ask(*storage, "SELECT repeat('x', 1073741824)")) == "exhausted");
  }
  SqlQuery query;
  query.text = "SELECT generate_series(1, 1000000000)";
  query.limit = 1000;
  auto answer = ask(*storage, query);
  REQUIRE_MESSAGE(answer, message_of(answer));
  CHECK(answer->rows.size() == 1000);
  CHECK(answer->rows[999][0].view().as_integer() == 1000);
  CHECK(answer->summary.more);
  answer = ask(*storage,
               "SELECT 12345678901234567890::numeric, 1e400::numeric, 5::numeric, true, "
               "2::int2, 0.5::float4, 'x'::bytea, '{1,2}'::int8[]");
  REQUIRE_MESSAGE(answer, message_of(answer));
  const auto& row = answer->rows[0];
  CHECK(row[0].view() == Value::real(12345678901234567890.0));
  CHECK(row[1].view().is_null());
  CHECK(row[2].view() == Value::integer(5));
  CHECK(row[3].view() == Value::integer(1));
  CHECK(row[4].view() == Value::integer(2));
  CHECK(row[5].view() == Value::real(0.5));
  CHECK(row[6].view() == Value::bytes("x"));
  CHECK(row[7].view() == Value::text("{1,2}"));
  // Connections of the pool that were ended meanwhile are made anew.
  const std::string those =
      " FROM pg_stat_activity WHERE usename='tester' AND query NOT LIKE '%LISTEN%'";
  admin.ask("SELECT pg_terminate_backend(pid)" + those);
  while (admin.ask("SELECT count(*)" + those) != "0") {
  }
  answer = ask(*storage, "SELECT count(*) FROM exercise_crews");
  REQUIRE_MESSAGE(answer, message_of(answer));
}

TEST_CASE("What an analysed statement reads is found, or it is not understood") {
  using detail::postgres::read_query_tree;
  const auto reads = read_query_tree(
      "({QUERY :commandType 1 :rtable ({RTE :alias {ALIAS :aliasname :relid :colnames (\"a\\ b\")} "
      ":rtekind 0 :relid 17 :selectedCols (b 7 9)} {RANGETBLENTRY :rtekind 0 :relid 18 "
      ":perminfoindex 1 :tablesample {X :a ({RTE :rtekind 0 :relid 19 :selectedCols (b)})}}) "
      ":rteperminfos ({RTEPERMISSIONINFO :relid 18 :selectedCols (b 8)}) :targetList "
      "({OPEXPR :opno 1 :opfuncid 65 :args ({CONST :constvalue 4 [ 1 0 0 0 ]} <>)})})");
  REQUIRE(reads);
  REQUIRE(reads->relations.size() == 3);
  CHECK(reads->relations[0].oid == 17);
  CHECK(reads->relations[0].columns == std::vector<int>{0, 2});
  CHECK(reads->relations[1].oid == 19);
  CHECK(reads->relations[1].columns.empty());
  CHECK(reads->relations[2].columns == std::vector<int>{1});
  CHECK(reads->functions == std::vector<std::int64_t>{65});
  for (const char* tree :
       {"({RTE :rtekind 0 :relid 17})", "({RTE :rtekind 0 :selectedCols (b 8)})",
        "({RTE :rtekind 0 :relid 17 :selectedCols (b x)})", "({OPEXPR :opfuncid 0})",
        "({OPEXPR :opfuncid})", "({QUERY :a (1 2)", "({QUERY :a 1", ")",
        "({RTE :rtekind 0 :relid "
        "17 :selectedCols <>})"}) {
    CAPTURE(tree);
    CHECK_FALSE(read_query_tree(tree));
  }
}
