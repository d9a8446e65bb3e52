// The conformance suite over SQLite, with the default durability and with the relaxed one.

#include <doctest/doctest.h>

#include "bureau/testing/exercise_storage.hpp"
#include "store/sqlite_fixture.hpp"

namespace {

void exercise_sqlite(bureau::Durability durability) {
  const Folder folder;
  int files = 0;
  const auto open = [&](int file) -> bureau::Result<std::shared_ptr<bureau::Storage>> {
    bureau::SqliteOptions options;
    options.path = folder.file("office-" + std::to_string(file) + ".db");
    options.durability = durability;
    return bureau::open_sqlite(std::move(options));
  };
  const bureau::testing::StorageFactory factory{[&] { return open(++files); },
                                                [&] { return open(files); }};
  const bureau::testing::Report report = bureau::testing::exercise_storage(factory);
  INFO(report.summary());
  CHECK(report.passed());
  for (const auto& check : report.checks) {
    CAPTURE(check.name);
    CHECK(check.outcome != bureau::testing::Check::Outcome::skipped);
  }
}

}  // namespace

TEST_CASE("SQLite passes the suite") { exercise_sqlite(bureau::Durability::power_safe); }
TEST_CASE("SQLite passes the suite with relaxed durability") {
  exercise_sqlite(bureau::Durability::relaxed);
}
