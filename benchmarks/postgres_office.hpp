#pragma once

// What the benchmarks on PostgreSQL open.

#include <memory>

#include "bureau/store/postgres_storage.hpp"
#include "office.hpp"
#include "postgres/server.hpp"
#include "postgres_loop.hpp"

namespace storage_bench {

using namespace bureau;
using bench::must;
using postgres_test::Database;
using postgres_test::Server;

inline constexpr int pairs = 5;  // all of it is to end within two minutes

inline PostgresOptions options_for(const Database& database, bool power_safe) {
  PostgresOptions options;
  options.connection = database.conninfo();
  options.durability = power_safe ? Durability::power_safe : Durability::relaxed;
  return options;
}
inline EngineOptions engine_options(const Database& database, bool power_safe) {
  EngineOptions options;
  options.storage = must(open_postgres(options_for(database, power_safe)));
  return options;
}
inline bench::Office open_office(const Database& database, bool power_safe) {
  return bench::open_office({}, power_safe, must(open_postgres(options_for(database, power_safe))));
}
inline bench::PgLoop& as_durable(bench::PgLoop& loop, bool power_safe) {
  loop.run(power_safe ? "SET synchronous_commit=on" : "SET synchronous_commit=off");
  return loop;
}
inline const char* name_of(bool power_safe) { return power_safe ? "power_safe" : "relaxed"; }

}  // namespace storage_bench
