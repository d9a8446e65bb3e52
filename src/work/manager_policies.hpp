#pragma once

#include "bureau/access/policy.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Managers and administrators see all rows of the table.
[[nodiscard]] Result<void> managers_see(Policies& policies, const char* table);

}  // namespace detail
BUREAU_END_NAMESPACE
