#pragma once

// What tests of what goes wrong between an office and its server begin with.

#include <memory>
#include <string_view>

#include "basics.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "postgres/proxy.hpp"
#include "store/promises.hpp"

namespace postgres_test {

inline bureau::PostgresOptions options_for(const Address& address) {
  bureau::PostgresOptions options;
  options.connection = address.conninfo();
  return options;
}

inline std::shared_ptr<bureau::Storage> open(const bureau::PostgresOptions& options) {
  auto storage = must(bureau::open_postgres(options));
  must(storage->migrate(fixture::catalog()));
  return storage;
}
inline std::shared_ptr<bureau::Storage> open(const Address& address) {
  return open(options_for(address));
}

inline bool says(const bureau::Error& error, std::string_view what) {
  return error.message.find(what) != std::string::npos;
}

}  // namespace postgres_test
