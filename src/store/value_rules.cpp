#include "store/value_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bureau/core/json.hpp"
#include "core/canonical_json.hpp"
#include "core/text.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

namespace {

constexpr std::size_t shown_bytes = 40;
constexpr std::size_t name_bytes_max = 48;

/// Where to cut a text so that no code point is split.
std::size_t cut(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text.size();
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return bytes;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

tl::unexpected<Error> refuse(std::string_view table, const ColumnInfo& column, const Value& value,
                             std::string_view rule) {
  return fail(Code::invalid,
              fmt::format("{}{}{}: {} {}", table, table.empty() ? "" : ".", column.name,
                          shown_value(column, value), rule),
              std::string(column.name));
}

Result<void> check_text(std::string_view table, const ColumnInfo& column, const Value& value) {
  const std::string_view text = value.as_text();
  if (!is_valid_text(text))
    return refuse(table, column, value,
                  text.find('\0') == std::string_view::npos ? "is not valid UTF-8" : "holds a NUL");
  // Code points are at most as many as bytes, so most texts need no counting.
  if (text.size() > column.max_length && count_code_points(text) > column.max_length)
    return refuse(table, column, value,
                  fmt::format("has {} characters; at most {} are allowed", count_code_points(text),
                              column.max_length));
  return {};
}

Result<void> check_integer(std::string_view table, const ColumnInfo& column, const Value& value) {
  const std::int64_t i = value.as_integer();
  if (column.type == Type::boolean && i != 0 && i != 1)
    return refuse(table, column, value, "is neither 0 nor 1");
  if (column.type == Type::id && i <= 0)
    return refuse(table, column, value, "is no id: ids are positive");
  if (column.type == Type::enumeration &&
      (i < 0 || static_cast<std::uint64_t>(i) >= column.names.size()))
    return refuse(table, column, value,
                  fmt::format("is not the number of one of {}", fmt::join(column.names, ", ")));
  return {};
}

}  // namespace

Value natural_zero(const ColumnInfo& column) {
  if (column.nullable) return {};
  switch (kind_of(column.type)) {
    case Value::Kind::real:
      return Value::real(0);
    case Value::Kind::text:
      return Value::text(column.type == Type::json ? "null" : "");
    case Value::Kind::bytes:
      return Value::bytes("");
    default:
      return Value::integer(0);
  }
}

std::string shown_text(const ColumnInfo& column, std::string_view text) {
  if (column.secret || column.personal) return "the value";
  std::string out = "\"";
  const std::size_t end = cut(text, shown_bytes);
  const bool readable = is_valid_text(text);
  for (const char c : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7F || (!readable && byte >= 0x80) ? '?' : c;
  }
  if (end < text.size()) out += "...";
  return out + '"';
}

std::string shown_value(const ColumnInfo& column, const Value& value) {
  if (column.secret || column.personal) return "the value";
  switch (value.kind()) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::integer:
      return std::to_string(value.as_integer());
    case Value::Kind::real:
      return fmt::format("{}", value.as_real());
    case Value::Kind::text:
      return shown_text(column, value.as_text());
    case Value::Kind::bytes:
      return fmt::format("a value of {} bytes", value.as_text().size());
  }
  return {};
}

std::string expected_form(const ColumnInfo& column) {
  switch (column.type) {
    case Type::boolean:
      return "true or false";
    case Type::integer:
      return "a 64-bit integer";
    case Type::real:
      return "a finite number";
    case Type::text:
      return "a text";
    case Type::timestamp:
      return "a time such as 2026-11-21T09:30:00Z, or a date";
    case Type::duration:
      return "a duration such as 90s, 5m or 1d12h";
    case Type::id:
      return column.id_prefix.empty() ? "an id" : fmt::format("an id {}_...", column.id_prefix);
    case Type::enumeration:
      return fmt::format("one of {}", fmt::join(column.names, ", "));
    case Type::json:
      return "JSON";
    case Type::bytes:
      return "base64";
  }
  return {};
}

Result<void> check_column_value(std::string_view table, const ColumnInfo& column,
                                const Value& value) {
  if (value.is_null()) {
    if (column.nullable) return {};
    return refuse(table, column, value, "is not allowed here");
  }
  if (value.kind() != kind_of(column.type))
    return refuse(table, column, value,
                  fmt::format("is not of the column's type, {}", to_string(column.type)));
  switch (value.kind()) {
    case Value::Kind::integer:
      return check_integer(table, column, value);
    case Value::Kind::real:
      if (!std::isfinite(value.as_real())) return refuse(table, column, value, "is not finite");
      return {};
    case Value::Kind::text:
      BUREAU_TRY_VOID(check_text(table, column, value));
      if (column.type == Type::json && !is_canonical_json(value.as_text()))
        return refuse(table, column, value,
                      fmt::format("is not canonical JSON: sorted keys without repetition, finite "
                                  "numbers, no U+0000, no spaces, at most {} levels",
                                  Json::max_depth));
      return {};
    default:
      return {};
  }
}

Result<void> check_object(std::string_view field, const Json& json) {
  if (json.is_null() || json.as_object() != nullptr) return {};
  return fail(Code::invalid, fmt::format("{}: {} is not an object", field, shortened(json.dump())),
              std::string(field));
}

bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > name_bytes_max || name[0] < 'a' || name[0] > 'z') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string without_companions(std::string_view columns) {
  std::string out;
  while (!columns.empty()) {
    const std::size_t end = std::min(columns.find(','), columns.size());
    std::string_view one = columns.substr(0, end);
    if (one.ends_with(companion_suffix)) one.remove_suffix(companion_suffix.size());
    out += one;
    columns.remove_prefix(end);
    if (columns.empty()) break;
    out += ',';
    columns.remove_prefix(1);
  }
  return out;
}

std::string nearest_names(std::string_view name, const std::vector<std::string_view>& candidates) {
  if (name.size() > name_bytes_max) return {};
  std::vector<std::pair<std::size_t, std::string_view>> near;
  const std::size_t far = name.size() < 3 ? 1 : std::max<std::size_t>(2, name.size() / 3);
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    const bool begins = !name.empty() && candidate.substr(0, name.size()) == name;
    if (begins || distance <= far) near.emplace_back(distance, candidate);
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  if (near.size() > 3) near.resize(3);
  std::string out;
  for (const auto& [distance, candidate] : near) {
    if (!out.empty()) out += ", ";
    out += candidate;
  }
  return out;
}

}  // namespace detail

Result<void> check_value(const TableInfo& table, const ColumnInfo& column, const Value& value) {
  return detail::check_column_value(table.name, column, value);
}

Result<void> check_row(const TableInfo& table, std::span<const Value> row) {
  if (row.size() != table.width())
    return fail(Code::invalid, fmt::format("{}: a row of {} values; the table has {} columns",
                                           table.name, row.size(), table.width()));
  for (std::size_t i = 0; i < row.size(); ++i)
    BUREAU_TRY_VOID(detail::check_column_value(table.name, table.columns[i], row[i]));
  return {};
}

BUREAU_END_NAMESPACE
