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

/// The same, where a test starts a server of its own and another that follows it.
#define BUREAU_NEED_STANDBY()                                                             \
  if (!::postgres_test::Server::can_follow()) {                                           \
    MESSAGE("skipped: no PostgreSQL server is installed, or no pg_basebackup beside it"); \
    return;                                                                               \
  }                                                                                       \
  static_cast<void>(0)
