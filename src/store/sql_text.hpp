#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// A name as SQL has it. Names are checked when a table enters a catalog, so none needs an escape.
[[nodiscard]] std::string quoted(std::string_view name);
[[nodiscard]] std::string column_list(const TableInfo& table);

// Literals as all databases have them.

[[nodiscard]] std::string integer_literal(std::int64_t value);
[[nodiscard]] std::string text_literal(std::string_view text);
/// "00ff"
[[nodiscard]] std::string hex_digits(std::string_view bytes);
/// What stands around the literals that the databases write differently.
struct LiteralForm {
  std::string_view behind_real;
  std::string_view before_bytes;
  std::string_view behind_bytes;
};
[[nodiscard]] std::string value_literal(const Value& value, const LiteralForm& form);

/// What a statement in the making is to every database: its text, and what the text's parameters
/// point into beside the predicate (and so on) that it was made from.
struct SqlText {
  std::string text;
  std::deque<std::string> made;

  SqlText& operator<<(std::string_view more) {
    text += more;
    return *this;
  }
  void name(std::string_view column);
};

}  // namespace detail
BUREAU_END_NAMESPACE
