// The conformance suite over PostgreSQL, and over it with something in between: each statement
// wrapped, and each closure run twice. Each of its many storages is a schema of one database.

#include <doctest/doctest.h>

#include <algorithm>

#include "bureau/store/memory_storage.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "bureau/testing/exercise_storage.hpp"
#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "postgres/fixture.hpp"

namespace {

using bureau::Result;
using bureau::Storage;
using bureau::testing::Check;
using bureau::testing::ExerciseOptions;
using bureau::testing::Fault;

std::shared_ptr<Storage> alone(std::shared_ptr<Storage> storage) { return storage; }

template <class Wrap>
void exercise(postgres_test::Server& server, const bureau::PostgresOptions& like, Wrap wrap,
              const ExerciseOptions& what = {}) {
  const postgres_test::Database database = server.create_database();
  int schemas = 0;
  const auto open = [&](int schema) -> Result<std::shared_ptr<Storage>> {
    bureau::PostgresOptions options = like;
    options.connection = database.conninfo();
    options.schema = "office" + std::to_string(schema);
    BUREAU_TRY(auto storage, bureau::open_postgres(std::move(options)));
    return wrap(std::move(storage));
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

/// All names but these.
std::vector<std::string> checks_without(const std::vector<std::string>& left_out) {
  ExerciseOptions quick;
  quick.generated = quick.history = 1;
  quick.threads = quick.writes = 1;
  std::vector<std::string> names;
  const auto all = bureau::testing::exercise_storage(
      {[] { return Result<std::shared_ptr<Storage>>(bureau::make_memory_storage()); }, {}}, quick);
  for (const Check& check : all.checks) {
    if (std::find(left_out.begin(), left_out.end(), check.name) == left_out.end()) {
      names.push_back(check.name);
    }
  }
  CHECK(names.size() + left_out.size() == all.checks.size());
  return names;
}

}  // namespace

TEST_CASE("PostgreSQL passes the suite") {
  BUREAU_NEED_POSTGRES(server);
  exercise(server, {}, alone);
}
TEST_CASE("PostgreSQL passes the suite with relaxed durability, from many threads") {
  BUREAU_NEED_POSTGRES(server);
  bureau::PostgresOptions options;
  options.durability = bureau::Durability::relaxed;
  bureau::testing::ExerciseOptions what;
  what.threads = 12;
  what.writes = 40;
  exercise(server, options, alone, what);
}
TEST_CASE("PostgreSQL passes the suite without prepared statements, on two connections") {
  BUREAU_NEED_POSTGRES(server);
  bureau::PostgresOptions options;
  options.prepared = false;
  options.connections = 2;
  exercise(server, options, alone);
}

TEST_CASE("PostgreSQL passes the suite behind a storage that could fail and does not") {
  BUREAU_NEED_POSTGRES(server);
  exercise(server, {}, [](std::shared_ptr<Storage> storage) {
    const auto never = [](bool, std::uint64_t) -> std::optional<Fault> {
      return Fault{.at = Fault::At::statement, .statement = 1'000'000};
    };
    return std::make_shared<bureau::testing::FaultyStorage>(std::move(storage), never);
  });
}

TEST_CASE("PostgreSQL passes the suite when every closure runs twice") {
  BUREAU_NEED_POSTGRES(server);
  ExerciseOptions what;
  // The first three count journal numbers, and the run that is undone has used some up for good; in
  // the closure of the last another write is made, which is then there twice.
  what.only = checks_without({"sequence_is_consecutive", "batched_writes_are_in_order",
                              "rows_survive_reopening", "write_deadline"});
  exercise(
      server, {},
      [](std::shared_ptr<Storage> storage) {
        return std::make_shared<bureau::testing::RerunStorage>(std::move(storage));
      },
      what);
}
