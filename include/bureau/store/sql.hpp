#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bureau/core/function_ref.hpp"
#include "bureau/core/result.hpp"
#include "bureau/core/timestamp.hpp"
#include "bureau/store/value.hpp"

BUREAU_BEGIN_NAMESPACE

/// One statement in a storage's own SQL, which may only read (docs/sqlite.md, docs/storages.md).
struct SqlQuery {
  std::string text;                     ///< a SELECT, VALUES, WITH ... SELECT or EXPLAIN
  std::vector<OwnedValue> params = {};  ///< the values of $1, $2, ...; on SQLite also of ?
  std::uint64_t limit = 10'000;         ///< at most so many rows are given
  Duration timeout = std::chrono::seconds(5);
};

/// Receives rows with the names of their columns; returns false to stop. What it is given lives
/// until it returns.
using SqlSink =
    FunctionRef<Result<bool>(std::span<const std::string> columns, std::span<const Value> row)>;

struct SqlSummary {
  std::vector<std::string> columns;  ///< also when there was no row
  std::uint64_t rows = 0;
  bool more = false;  ///< there were rows beyond the limit
};

BUREAU_END_NAMESPACE
