#pragma once

#include "bureau/store/predicate.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// Who wrote a predicate: a user may not ask about secret columns, because answers would give them
/// away bit by bit.
enum class Author : std::uint8_t { user, program };

/// The column that a name stands for. `invalid` when there is none (it names the nearest), and for
/// hidden and, to users, secret ones.
[[nodiscard]] Result<const ColumnInfo*> named_column(const TableInfo& table, std::string_view name,
                                                     Author author);
[[nodiscard]] Result<const TableInfo*> named_table(const Catalog* catalog, std::string_view name);

/// A literal of a column, or of what a path leads to, from its text in quotes.
[[nodiscard]] Result<OwnedValue> literal_from_text(const Predicate::Node& node,
                                                   std::string_view text);

/// Reads the condition of a partial index: no sub-selects, variables or now(), which an index
/// cannot keep up with.
[[nodiscard]] Result<Predicate> parse_index_condition(const TableInfo& table,
                                                      std::string_view text);

}  // namespace detail

BUREAU_END_NAMESPACE
