// Through PgBouncer, which gives each transaction another session of the server's.

#include "postgres/pooler.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "bureau/testing/exercise_storage.hpp"
#include "counts.hpp"
#include "postgres/faults.hpp"

namespace {

using bureau::Code;
using bureau::PostgresOptions;
using bureau::Reader;
using bureau::Result;
using bureau::Storage;
using bureau::Value;
using bureau::Writer;
using postgres_test::Address;
using postgres_test::Client;
using postgres_test::Database;
using postgres_test::Pooler;

PostgresOptions through(const Pooler& pooler, const Database& database) {
  PostgresOptions options = postgres_test::options_for(pooler.in_front_of(database.address()));
  options.direct = database.conninfo();
  return options;
}

std::string field_of(const Result<std::shared_ptr<Storage>>& opened) {
  return opened ? "opened" : opened.error().field;
}

}  // namespace

TEST_CASE("A pooler is noticed where a session is needed") {
  BUREAU_NEED_POSTGRES(server);
  BUREAU_NEED_POOLER();
  const Database database = server.create_database(), other = server.create_database();
  const Pooler pooler(database.address(), "transaction", 4);
  PostgresOptions options = through(pooler, database);
  options.direct.clear();
  CHECK(field_of(bureau::open_postgres(options)) == "direct");
  options.direct = options.connection;
  CHECK(field_of(bureau::open_postgres(options)) == "direct");
  options.direct = other.conninfo();
  const auto elsewhere = bureau::open_postgres(options);
  CHECK(field_of(elsewhere) == "direct");
  CHECK(elsewhere.error().message.find("another database") != std::string::npos);
  options.direct = "host='unfinished";
  CHECK(field_of(bureau::open_postgres(options)) == "direct");
  options.direct = database.conninfo();
  CHECK(field_of(bureau::open_postgres(options)) == "opened");

  const Pooler sessions(database.address(), "session", 20);
  options = through(sessions, database);
  options.direct.clear();
  CHECK(field_of(bureau::open_postgres(options)) == "direct");
  options.pooler_keeps_sessions = true;
  CHECK(field_of(bureau::open_postgres(options)) == "opened");
}

TEST_CASE("PostgreSQL passes the suite through a pooler of transactions") {
  BUREAU_NEED_POSTGRES(server);
  BUREAU_NEED_POOLER();
  const Database database = server.create_database();
  const Pooler pooler(database.address(), "transaction", 6);
  int schemas = 0;
  const auto open = [&](int schema) {
    PostgresOptions options = through(pooler, database);
    options.schema = "office" + std::to_string(schema);
    options.connections = 6;
    return bureau::open_postgres(std::move(options));
  };
  bureau::testing::ExerciseOptions what;
  what.generated =
      50;  // what predicates mean is the server's business, and tested without a pooler
  const auto report = bureau::testing::exercise_storage(
      {[&] { return open(++schemas); }, [&] { return open(schemas); }}, what);
  INFO(report.summary());
  CHECK(report.passed());
  for (const auto& check : report.checks) {
    CAPTURE(check.name);
    CHECK(check.outcome != bureau::testing::Check::Outcome::skipped);
  }
}

TEST_CASE("Two processes hold two nodes and hear of each other through a pooler") {
  BUREAU_NEED_POSTGRES(server);
  BUREAU_NEED_POOLER();
  const Database database = server.create_database();
  // With one session for all transactions, a lock of a session would be everybody's.
  const Pooler pooler(database.address(), "transaction", 1);
  const auto one = postgres_test::open(through(pooler, database));
  const auto other = postgres_test::open(through(pooler, database));
  CHECK(must(one->hold_node(3)));
  CHECK_FALSE(must(other->hold_node(3)));
  CHECK(must(other->node_is_alive(3)));
  CHECK(must(other->hold_node(4)));
  one->release_node(3);
  CHECK(must(other->hold_node(3)));
  static_cast<void>(other->drain_wake());
  must(fixture::add_crew(*one, 1, "one"));
  pollfd wait{other->wake_fd(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 60'000) == 1);
  CHECK(fixture::crew_ids(*other).size() == 1);
}

TEST_CASE("A draw of journal numbers that is given up leaves no lock in a pooler's session") {
  BUREAU_NEED_POSTGRES(server);
  BUREAU_NEED_POOLER();
  const Database database = server.create_database();
  const Pooler pooler(database.address(), "transaction", 2);
  const auto storage = postgres_test::open(through(pooler, database));
  Client client(database.address());
  // The door to the sequence, held by somebody who draws several numbers.
  const std::string door =
      "(((SELECT oid::int8 FROM pg_namespace WHERE nspname='bureau') << 32) | 65536)";
  client.ask("SELECT pg_advisory_lock(" + door + ")");
  bureau::WriteOptions late;
  late.deadline = bureau::Clock::system().monotonic() + std::chrono::milliseconds(100);
  const auto draw = [](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(writer.draw_sequence(1));
    return {};
  };
  const auto given_up = storage->write(late, draw);
  CHECK_FALSE(given_up.has_value());
  client.ask("SELECT pg_advisory_unlock(" + door + ")");
  for (int i = 0; i < 4; ++i) {
    must(storage->write({}, draw));
    must(storage->write({}, [](Writer& writer) -> Result<void> {
      BUREAU_TRY_VOID(writer.draw_sequence(5));
      return {};
    }));
  }
  CHECK(client.ask("SELECT count(*) FROM pg_locks WHERE locktype='advisory' AND objid=65536") ==
        "0");
}
