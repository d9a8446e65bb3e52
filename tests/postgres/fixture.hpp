#pragma once

// What the tests on PostgreSQL begin with.

#include <doctest/doctest.h>

#include "postgres/server.hpp"

/// `server` is the program's server, running; without PostgreSQL the test says that it was skipped.
#define BUREAU_NEED_POSTGRES(server)                                                    \
  if (!::postgres_test::Server::programs()) {                                           \
    MESSAGE("skipped: no PostgreSQL server is installed (or set BUREAU_POSTGRES_BIN)"); \
    return;                                                                             \
  }                                                                                     \
  ::postgres_test::Server& server = ::postgres_test::Server::shared();                  \
  server.start()
