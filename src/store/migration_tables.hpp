#pragma once

#include <set>
#include <span>
#include <string>
#include <utility>

#include "bureau/store/stored_catalog.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What a program accepts of tables that are not just as it describes them, because another version
/// of it works on them too. Columns are pairs of table and column.
struct Tolerance {
  using Columns = std::set<std::pair<std::string, std::string>>;
  /// The program is the older one: all columns that it does not know stay, and all indexes.
  bool older = false;
  Columns kept = {};      ///< that it does not describe, and that stay
  Columns nullable = {};  ///< that may still be null, whatever it says
  Columns withheld = {};  ///< that it describes, and that are not made now
  bool adds = true;       ///< false: nothing is made now
  enum class Indexes {
    stored,  ///< stay as they are; tables that are new have theirs
    both,    ///< its own, and those that are there under other names
    own,
  };
  Indexes indexes = Indexes::own;
};

/// The program's tables in the form that Storage::migrate() is to give them. What a tolerance does
/// not cover is left to it to refuse.
[[nodiscard]] Result<Catalog> tolerant_catalog(const Catalog& program,
                                               std::span<const StoredTable> stored,
                                               const Tolerance& tolerance);

/// Whether all of a catalog's tables are stored just so, and nothing is being built beside them.
[[nodiscard]] bool is_stored(const Catalog& catalog, std::span<const StoredTable> stored);

}  // namespace detail
BUREAU_END_NAMESPACE
