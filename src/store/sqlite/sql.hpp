#pragma once

#include <deque>
#include <string>
#include <vector>

#include "bureau/store/select.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// A statement in the making: its text, and the values of its parameters in order. The values point
/// into the predicate (and so on) that it was made from, and into `made`.
struct Sql {
  std::string text;
  std::vector<Value> values;
  std::deque<std::string> made;

  Sql& operator<<(std::string_view more) {
    text += more;
    return *this;
  }
  void name(std::string_view column);
  void parameter(const Value& value) {
    text += '?';
    values.push_back(value);
  }
};

/// Appends the predicate, with the meaning of PREDICATES.md. REQUIRES: check_predicate().
void append_predicate(Sql& sql, const Predicate& predicate);
/// The same with each operand as a literal in the text: for the condition of an index.
[[nodiscard]] std::string predicate_literal(const Predicate& predicate);

// Each checks what it is given (`invalid`), and appends. REQUIRES: now() is fixed.

[[nodiscard]] Result<void> append_select(Sql& sql, const Select& select);
[[nodiscard]] Result<void> append_aggregate(Sql& sql, const Aggregate& aggregate);
[[nodiscard]] Result<void> append_update(Sql& sql, const Update& update, bool returning);
[[nodiscard]] Result<void> append_remove(Sql& sql, const Select& which);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
