#pragma once

#include <span>
#include <string_view>
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
/// Of Writer::update_rows(), the values among it.
[[nodiscard]] Result<void> check_row_updates(const TableInfo& table,
                                             std::span<const ColumnInfo* const> columns,
                                             std::span<const Value> rows);
/// What it answers when fewer rows were changed than it was given.
[[nodiscard]] Error row_is_gone(const TableInfo& table);
/// Of Writer::insert_numbered(), but for what check_row() looks at.
[[nodiscard]] Result<void> check_numbered(const TableInfo& table, std::span<const Value> rows,
                                          std::int64_t count);

/// The column with that name. `invalid`, with the nearest names, where there is none.
[[nodiscard]] Result<const ColumnInfo*> find_column(const TableInfo& table, std::string_view name);
/// An order from its text: "priority desc, number", or "-priority, number". `invalid` names a
/// column that is not there.
[[nodiscard]] Result<std::vector<Order>> parse_order(const TableInfo& table, std::string_view text);

/// The order that a select asks for, ending in the id. REQUIRES: check_select.
[[nodiscard]] std::vector<Order> full_order(const Select& select);

BUREAU_END_NAMESPACE
