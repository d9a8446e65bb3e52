// The journal's retention on a server.

#include "bureau/store/postgres_storage.hpp"
#include "postgres/fixture.hpp"
#include "store/retention_suite.hpp"

using namespace retention_suite;

namespace {

std::shared_ptr<Storage> open(const postgres_test::Database& database, Clock& clock) {
  PostgresOptions options;
  options.connection = database.conninfo();
  options.clock = &clock;
  return must(open_postgres(std::move(options)));
}

template <class Check>
void on(postgres_test::Server& server, Check check) {
  const auto database = server.create_database();
  ManualClock clock;
  check(open(database, clock), clock);
}

}  // namespace

TEST_CASE("The journal on a server is trimmed by its age, a few records a write") {
  BUREAU_NEED_POSTGRES(server);
  on(server, by_age);
}
TEST_CASE("The journal on a server keeps what is still to be read, and says for whom") {
  BUREAU_NEED_POSTGRES(server);
  on(server, held_for_readers);
  on(server, held_for_all);
}
TEST_CASE("A reader on a server that goes back is waited for") {
  BUREAU_NEED_POSTGRES(server);
  on(server, reader_goes_back);
}
TEST_CASE("Of two processes on a server one trims the journal, once an hour") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  ManualClock clock;
  one_of_two(open(database, clock), open(database, clock), clock);
}
