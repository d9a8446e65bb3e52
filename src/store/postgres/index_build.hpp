#pragma once

#include "store/postgres/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// The statement that makes an index. `concurrently`: others write meanwhile; outside of a
/// transaction, and of a table that is not partitioned.
[[nodiscard]] Result<std::string> create_index(std::string_view schema, const Catalog& catalog,
                                               const TableInfo& table, const IndexInfo& index,
                                               bool concurrently);

/// A query that gives a row when a unique index could not be made of the rows that are there.
[[nodiscard]] Result<std::string> values_twice(std::string_view schema, const Catalog& catalog,
                                               const TableInfo& table, const IndexInfo& index);

/// A connection of its own that changes tables which others write to: one at a time of all
/// processes, for as long as the object lives. Nobody waits for that inside a transaction, which
/// whoever builds an index would wait for in turn.
class ChangeTurn {
 public:
  static Result<ChangeTurn> open(const Settings& settings, Monotonic deadline);
  /// False: somebody else has it.
  Result<bool> try_take(Monotonic deadline);
  /// Waits for it. `deadline` also when the thread's Interruption wants it.
  Result<void> take(Monotonic deadline);
  [[nodiscard]] Connection& connection() const { return *connection_; }

 private:
  explicit ChangeTurn(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}
  std::unique_ptr<Connection> connection_;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
