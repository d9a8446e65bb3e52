#pragma once

#include "bureau/core/function_ref.hpp"
#include "store/altered_table.hpp"
#include "store/postgres/sql.hpp"
#include "store/postgres/wire.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// What an alteration says to the server.
struct AlteringServer {
  const std::string& where;
  std::string_view schema;  ///< in quotes
  FunctionRef<Result<ResultPtr>(const Sql&)> run;
};

/// Writer::alter() in the transaction that is open: when it fails, what it has begun is there.
[[nodiscard]] Result<void> alter_table(const AlteringServer& server, const Alteration& alteration);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
