#pragma once

#include <string>
#include <vector>

#include "bureau/store/select.hpp"
#include "store/sql_text.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// A statement in the making: its text, and the values of its parameters in order. The values point
/// into the predicate (and so on) that it was made from, and into `made`.
struct Sql : SqlText {
  std::vector<Value> values;

  void table(std::string_view name) { this->name(name); }
  void literal(const Value& value);
  void parameter(const Value& value) {
    text += '?';
    values.push_back(value);
  }
};

/// Appends the predicate, with the meaning of docs/predicates.md. REQUIRES: check_predicate().
void append_predicate(Sql& sql, const Predicate& predicate);
/// The same with each operand as a literal in the text: for the condition of an index.
[[nodiscard]] std::string predicate_literal(const Predicate& predicate);

// Each checks what it is given (`invalid`), and appends. REQUIRES: now() is fixed.

[[nodiscard]] Result<void> append_select(Sql& sql, const Select& select);
[[nodiscard]] Result<void> append_aggregate(Sql& sql, const Aggregate& aggregate);
[[nodiscard]] Result<void> append_update(Sql& sql, const Update& update, bool returning);
[[nodiscard]] Result<void> append_remove(Sql& sql, const Select& which);

// Of rows by their ids, each a parameter; one may be given twice. REQUIRES: one id at least.

[[nodiscard]] std::string select_by_ids(const TableInfo& table, std::size_t ids);
/// Gives them the same values, the first parameters. REQUIRES: check_row_updates().
[[nodiscard]] std::string update_by_ids(const TableInfo& table,
                                        std::span<const ColumnInfo* const> columns,
                                        std::size_t ids);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
