#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// What a statement reads and calls, by the server's own analysis.
struct QueryReads {
  struct Relation {
    std::int64_t oid = 0;
    /// Numbers of columns, from 1; 0 is the row as a whole, below are the server's own.
    std::vector<int> columns;
  };
  std::vector<Relation> relations;
  std::vector<std::int64_t> functions;  ///< those behind operators too
};

/// Reads it out of the tree that the server keeps of a view (pg_rewrite.ev_action), where it notes
/// for each table which columns a reader must be allowed to read. Nothing: the tree is of a form
/// that is not known.
[[nodiscard]] std::optional<QueryReads> read_query_tree(std::string_view tree);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
