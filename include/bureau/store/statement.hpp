#pragma once

#include <vector>

#include "bureau/core/result.hpp"
#include "bureau/store/select.hpp"

BUREAU_BEGIN_NAMESPACE

// What every storage checks before it runs a statement, so that all refuse the same: tables that
// are missing, columns of another table, comparisons that make no sense, keys of another length.

/// `invalid` names the mistake. REQUIRES of the predicate: bound, now() fixed by Predicate::at().
[[nodiscard]] Result<void> check_select(const Select& select);
[[nodiscard]] Result<void> check_aggregate(const Aggregate& aggregate);
[[nodiscard]] Result<void> check_update(const Update& update);

/// The order that a select asks for, ending in the id. REQUIRES: check_select.
[[nodiscard]] std::vector<Order> full_order(const Select& select);

BUREAU_END_NAMESPACE
