#include "store/postgres/sql.hpp"

#include <fmt/format.h>

#include "core/stable_hash.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// Of the server's names, in bytes (NAMEDATALEN - 1).
constexpr std::size_t name_max = 63;

}  // namespace

Parameter text_parameter(std::string_view text) {
  return {ParameterType::text, false, Value::text(text), {}};
}

ParameterType parameter_type(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::real:
      return ParameterType::real;
    case Value::Kind::text:
      return ParameterType::text;
    case Value::Kind::bytes:
      return ParameterType::bytes;
    default:
      return ParameterType::integer;
  }
}

std::string_view type_name(ParameterType type) {
  switch (type) {
    case ParameterType::real:
      return "float8";
    case ParameterType::text:
      return "text";
    case ParameterType::bytes:
      return "bytea";
    default:
      return "int8";
  }
}

std::string_view type_name(const ColumnInfo& column) {
  return type_name(parameter_type(kind_of(column.type)));
}

std::string column_type(const ColumnInfo& column) {
  std::string text(type_name(column));
  if (parameter_type(kind_of(column.type)) == ParameterType::text) text += " COLLATE \"C\"";
  return text;
}

std::string short_name(std::string whole) {
  if (whole.size() <= name_max) return whole;
  const std::string hash = fmt::format("_{:016x}", stable_hash(whole));
  std::size_t end = name_max - hash.size();
  while (end > 0 && (static_cast<unsigned char>(whole[end]) & 0xC0U) == 0x80U) --end;
  return whole.substr(0, end) + hash;
}

std::string index_name(const TableInfo& table, std::string_view index) {
  return short_name(fmt::format("{}_{}", table.name, index));
}

void Sql::table(std::string_view name) {
  *this << schema << ".";
  this->name(name);
}

void Sql::function(std::string_view name) { *this << schema << "." << name; }

void Sql::literal(const Value& value) {
  *this << value_literal(value, {"::float8", "'\\x", "'::bytea"});
}

void Sql::parameter(const Value& value) {
  parameters.push_back({parameter_type(value.kind()), false, value, {}});
  text += fmt::format("${}", parameters.size());
}

void Sql::parameter(const Value& value, Type type) {
  parameters.push_back({parameter_type(kind_of(type)), false, value, {}});
  text += fmt::format("${}", parameters.size());
}

void Sql::parameter(std::vector<Value> values, ParameterType type) {
  parameters.push_back({type, true, {}, std::move(values)});
  text += fmt::format("${}", parameters.size());
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
