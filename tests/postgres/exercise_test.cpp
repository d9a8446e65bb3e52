// The conformance suite over PostgreSQL: each of its many storages is a schema of one database.

#include <doctest/doctest.h>

#include "bureau/store/postgres_storage.hpp"
#include "bureau/testing/exercise_storage.hpp"
#include "postgres/fixture.hpp"

namespace {

using bureau::testing::Check;

void exercise(postgres_test::Server& server, const bureau::PostgresOptions& like,
              bureau::testing::ExerciseOptions what = {}) {
  const postgres_test::Database database = server.create_database();
  int schemas = 0;
  const auto open = [&](int schema) {
    bureau::PostgresOptions options = like;
    options.connection = database.conninfo();
    options.schema = "office" + std::to_string(schema);
    return bureau::open_postgres(std::move(options));
  };
  const bureau::testing::Report report = bureau::testing::exercise_storage(
      {[&] { return open(++schemas); }, [&] { return open(schemas); }}, what);
  INFO(report.summary());
  CHECK(report.passed());
  CHECK(report.storage == "postgres");
  for (const Check& check : report.checks) {
    CAPTURE(check.name);
    CHECK(check.outcome != Check::Outcome::skipped);
  }
}

}  // namespace

TEST_CASE("PostgreSQL passes the suite") {
  BUREAU_NEED_POSTGRES(server);
  exercise(server, {});
}
TEST_CASE("PostgreSQL passes the suite with relaxed durability, from many threads") {
  BUREAU_NEED_POSTGRES(server);
  bureau::PostgresOptions options;
  options.durability = bureau::Durability::relaxed;
  bureau::testing::ExerciseOptions what;
  what.threads = 12;
  what.writes = 40;
  exercise(server, options, what);
}
TEST_CASE("PostgreSQL passes the suite without prepared statements, on two connections") {
  BUREAU_NEED_POSTGRES(server);
  bureau::PostgresOptions options;
  options.prepared = false;
  options.connections = 2;
  exercise(server, options);
}
