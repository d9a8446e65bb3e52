#pragma once

#include <string>
#include <string_view>

#include "bureau/store/table.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// The kind of a column's values that are not null.
[[nodiscard]] constexpr Value::Kind kind_of(Type type) {
  switch (type) {
    case Type::real:
      return Value::Kind::real;
    case Type::text:
    case Type::json:
      return Value::Kind::text;
    case Type::bytes:
      return Value::Kind::bytes;
    default:
      return Value::Kind::integer;
  }
}

/// What stands for a value that there is not: null where the column may be null, else the zero of
/// its type.
[[nodiscard]] Value natural_zero(const ColumnInfo& column);
/// `text` in quotes for an error: shortened, control characters replaced; "the value" alone for a
/// secret or personal column.
[[nodiscard]] std::string shown_text(const ColumnInfo& column, std::string_view text);
[[nodiscard]] std::string shown_value(const ColumnInfo& column, const Value& value);
/// "an integer", "one of low, high", ...: what a value of the column looks like as text or JSON.
[[nodiscard]] std::string expected_form(const ColumnInfo& column);
/// check_value, with the table's name in errors when it is not empty.
[[nodiscard]] Result<void> check_column_value(std::string_view table, const ColumnInfo& column,
                                              const Value& value);
/// `invalid` for JSON that is neither an object nor null.
[[nodiscard]] Result<void> check_object(std::string_view field, const Json& json);
/// [a-z][a-z0-9_]*, at most 48 bytes.
[[nodiscard]] bool is_plain_name(std::string_view name);
/// What the name of a folded column's hidden companion ends in; no declared name does.
inline constexpr std::string_view companion_suffix = "_folded";
/// "users.tenant, users.email_folded" as "users.tenant, users.email".
[[nodiscard]] std::string without_companions(std::string_view columns);
/// Up to three of `candidates` that `name` may have meant, nearest first: "a, b".
[[nodiscard]] std::string nearest_names(std::string_view name,
                                        const std::vector<std::string_view>& candidates);

}  // namespace detail

BUREAU_END_NAMESPACE
