#include "store/sql_text.hpp"

#include <fmt/format.h>

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

void append_quoted(std::string& text, std::string_view name) {
  text += '"';
  text += name;
  text += '"';
}

}  // namespace

std::string quoted(std::string_view name) {
  std::string text;
  text.reserve(name.size() + 2);
  append_quoted(text, name);
  return text;
}

std::string column_list(const TableInfo& table) {
  std::size_t size = 0;
  for (const ColumnInfo& column : table.columns) size += column.name.size() + 3;
  std::string list;
  list.reserve(size);
  for (const ColumnInfo& column : table.columns) {
    if (!list.empty()) list += ',';
    append_quoted(list, column.name);
  }
  return list;
}

std::string integer_literal(std::int64_t value) {
  // The smallest integer has no literal of its own: SQL reads a minus and a number too large.
  if (value == INT64_MIN) return "(-9223372036854775807-1)";
  return fmt::format("{}", value);
}

std::string text_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += c;
    out += c;
  }
  return out + "'";
}

std::string hex_digits(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += fmt::format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out;
}

std::string value_literal(const Value& value, const LiteralForm& form) {
  switch (value.kind()) {
    case Value::Kind::null:
      return "NULL";
    case Value::Kind::integer:
      return integer_literal(value.as_integer());
    case Value::Kind::real:
      return fmt::format("{:.17e}{}", value.as_real(), form.behind_real);
    case Value::Kind::text:
      return text_literal(value.as_text());
    case Value::Kind::bytes:
      return fmt::format("{}{}{}", form.before_bytes, hex_digits(value.as_text()),
                         form.behind_bytes);
  }
  return {};
}

void SqlText::name(std::string_view column) { append_quoted(text, column); }

}  // namespace detail
BUREAU_END_NAMESPACE
