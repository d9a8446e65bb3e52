// Migrations on a server: the suite of all storages.

#include "bureau/store/postgres_storage.hpp"
#include "postgres/fixture.hpp"
#include "store/migration_history.hpp"
#include "store/migration_together.hpp"

using namespace migration_suite;

namespace {

Place server_place(const postgres_test::Database& database) {
  return {[connection = database.conninfo()] {
    PostgresOptions options;
    options.connection = connection;
    return must(open_postgres(std::move(options)));
  }};
}

}  // namespace

TEST_CASE("Every version is walked up and down on a server") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  walk(server_place(database));
}

TEST_CASE("What does not fit is refused on a server") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  refusals(server_place(database));
}

TEST_CASE("A fill on a server goes on where it was interrupted") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  long_fill(server_place(database));
}

TEST_CASE("A process that is killed in a fill on a server loses nothing, and the next goes on") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  killed(server_place(database));
}

TEST_CASE("Two versions work on one server at the same time, and lose nothing") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  together(server_place(database), 150);
}

TEST_CASE("A program on a server that has not written yet is told when it is too late") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  latecomer(server_place(database));
}

TEST_CASE("Generated migrations keep rows on a server") {
  BUREAU_NEED_POSTGRES(server);
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    const auto database = server.create_database();
    History(server_place(database), seed).run(10);
  }
}
