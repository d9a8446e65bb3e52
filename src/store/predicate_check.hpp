#pragma once

#include "bureau/store/predicate.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// The name in text and JSON of a comparison's operator: "=", "not in", "ieq" on a companion, ...
/// Empty for what is no comparison.
[[nodiscard]] std::string_view operator_name(const Predicate::Node& node);
/// The column that a node is about as a user knows it: of a hidden companion, the folded column's
/// name.
[[nodiscard]] std::string_view visible_name(const ColumnInfo& column);

/// Whether the operator can stand on the column (or on the path in it). `invalid` says why not.
[[nodiscard]] Result<void> check_operator(const Predicate::Node& node);
/// Whether a value can be compared with the column, or with what its path leads to.
[[nodiscard]] Result<void> check_operand(const Predicate::Node& node, const Value& value);
/// Both, and the number of operands; variables and now() are let through where they can stand.
[[nodiscard]] Result<void> check_comparison(const Predicate::Node& node);

/// What a storage checks before it runs a statement: every column is one of the table's, every
/// comparison is in order, nothing is left to be bound, now() is fixed. Sub-selects too.
[[nodiscard]] Result<void> check_predicate(const TableInfo& table, const Predicate& predicate);

}  // namespace detail

BUREAU_END_NAMESPACE
