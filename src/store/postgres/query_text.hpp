#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/result.hpp"
#include "bureau/store/value.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// A statement of the host's as it goes to the server.
struct QueryText {
  std::string text;      ///< with its parameters as literals
  bool reads = false;    ///< begins as one that reads does
  bool explain = false;  ///< asks for the plan of `text`, without its EXPLAIN
};

/// Reads the text as the server's lexer does, as far as finding $1, $2, ... takes. What it gets
/// wrong makes another statement, no other rights: the server judges and runs what this returns.
/// Errors: `invalid` (no statement, another number of parameters), `exhausted` (too long).
[[nodiscard]] Result<QueryText> read_query_text(std::string_view text,
                                                const std::vector<OwnedValue>& params);

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
