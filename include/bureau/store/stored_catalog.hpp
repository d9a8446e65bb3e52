#pragma once

#include <span>
#include <string>

#include "bureau/core/json.hpp"
#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE

/// A table as a storage keeps its description: enough to read it, and to make it elsewhere, without
/// the program that described it. What only that program knows (which columns are secret or
/// personal, lengths, the prefix of ids) is not in it.
struct StoredTable {
  std::string name;
  Json definition;  ///< {"columns": [{"name", "type", "nullable", "names"}...], "indexes": [...]};
                    ///< "by_month": true of a table that is kept by month
};

/// The tables, as a catalog for Storage::migrate(), scans and inserts. What it points to lives as
/// long as the process and is shared by equal descriptions. `corrupt` when a description cannot be
/// read. Thread-safe.
[[nodiscard]] Result<Catalog> make_catalog(std::span<const StoredTable> tables);

BUREAU_END_NAMESPACE
