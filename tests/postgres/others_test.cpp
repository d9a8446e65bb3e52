// What an engine on a server is told of the commits of others.

#include "bureau/store/postgres_storage.hpp"
#include "engine/others_suite.hpp"
#include "postgres/fixture.hpp"

TEST_CASE("An engine is told of what another process commits on its server") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  bureau::ManualClock clock;
  const auto open = [&] {
    bureau::PostgresOptions options;
    options.connection = database.conninfo();
    options.clock = &clock;
    return must(bureau::open_postgres(std::move(options)));
  };
  const auto one = open();
  others_suite::told_of_others(one, open(), clock);
}
