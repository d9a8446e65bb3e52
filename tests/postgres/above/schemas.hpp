#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "bureau/store/postgres_storage.hpp"
#include "postgres/server.hpp"

namespace postgres_test {

/// An empty office on the program's server, in a schema of its own.
inline std::shared_ptr<bureau::Storage> new_schema(bureau::Clock& clock) {
  static const Database database = Server::shared().create_database();
  static int schemas = 0;
  bureau::PostgresOptions options;
  options.connection = database.conninfo();
  options.schema = "office" + std::to_string(++schemas);
  options.clock = &clock;
  auto storage = bureau::open_postgres(std::move(options));
  if (!storage) throw std::runtime_error(storage.error().message);
  return *std::move(storage);
}

}  // namespace postgres_test
