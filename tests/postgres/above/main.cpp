// Runs tests of the layers above the storage with their offices on PostgreSQL.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "postgres/above/schemas.hpp"
#include "storages.hpp"

int main(int argc, char** argv) {
  if (!postgres_test::Server::programs()) {
    std::puts("skipped: no PostgreSQL server is installed (or set BUREAU_POSTGRES_BIN)");
    return 0;
  }
  bureau::tests::new_storage = postgres_test::new_schema;
  bureau::tests::slowness = 100;
  ::setenv("RC_PARAMS", "max_success=2", 1);  // of rapidcheck; not in a thread yet
  doctest::Context context(argc, argv);
  return context.run();
}
