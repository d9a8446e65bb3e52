#pragma once

#include <set>

#include "bureau/store/storage.hpp"
#include "store/memory/tables.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail::memory {

/// How a transaction sees the time: for now() and for its deadline.
struct Moment {
  Clock& clock;
  Monotonic deadline;
  [[nodiscard]] Result<void> check() const;
};

/// The rows that a select names, in its order, limited. Checks the select first.
[[nodiscard]] Result<std::vector<RowPtr>> select_rows(Database& database, const Select& select,
                                                      const Moment& moment);
[[nodiscard]] Result<void> aggregate_rows(Database& database, const Aggregate& aggregate,
                                          const Moment& moment, RowSink sink);

/// The stored table for the one that a statement names. `invalid` when it was not migrated, or
/// with other columns.
[[nodiscard]] Result<Table*> stored_table(Database& database, const TableInfo& info);

}  // namespace detail::memory

BUREAU_END_NAMESPACE
