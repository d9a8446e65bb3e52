#include "store/postgres/wire.hpp"

#include <bit>

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// Of the server's types; they never change.
enum : Oid {
  bool_oid = 16,
  bytea_oid = 17,
  int8_oid = 20,
  int4_oid = 23,
  text_oid = 25,
  oid_oid = 26,
  float8_oid = 701,
  bytea_array_oid = 1001,
  text_array_oid = 1009,
  int8_array_oid = 1016,
  float8_array_oid = 1022,
  xid8_oid = 5069,
};

Oid type_oid(ParameterType type) {
  switch (type) {
    case ParameterType::real:
      return float8_oid;
    case ParameterType::text:
      return text_oid;
    case ParameterType::bytes:
      return bytea_oid;
    default:
      return int8_oid;
  }
}

Oid array_oid(ParameterType type) {
  switch (type) {
    case ParameterType::real:
      return float8_array_oid;
    case ParameterType::text:
      return text_array_oid;
    case ParameterType::bytes:
      return bytea_array_oid;
    default:
      return int8_array_oid;
  }
}

/// Big-endian, as everything on the wire.
template <class Integer>
void put_at(char* at, Integer value) {
  for (std::size_t i = sizeof value; i > 0; --i) {
    at[i - 1] = static_cast<char>(value & 0xFFU);
    value = static_cast<Integer>(value >> 8U);
  }
}
template <class Integer>
void put(std::string& out, Integer value) {
  char bytes[sizeof value];
  put_at(bytes, value);
  out.append(bytes, sizeof value);
}

template <class Integer>
Integer get(const char* bytes) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    value = (value << 8U) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

void put_value(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Value::Kind::integer:
      return put(out, static_cast<std::uint64_t>(value.as_integer()));
    case Value::Kind::real:
      return put(out, std::bit_cast<std::uint64_t>(value.as_real()));
    case Value::Kind::text:
    case Value::Kind::bytes:
      out += value.as_text();
      return;
    case Value::Kind::null:
      return;
  }
}

/// Its length, and it.
void put_field(std::string& out, const Value& value) {
  const std::size_t at = out.size();
  put(out, UINT32_MAX);  // the length of a null
  if (value.is_null()) return;
  put_value(out, value);
  put_at(out.data() + at, static_cast<std::uint32_t>(out.size() - at - 4));
}

/// Dimensions, whether there are nulls, the type; size and lower bound; then each with its length.
void put_array(std::string& out, const Parameter& parameter) {
  bool nulls = false;
  for (const Value& value : parameter.values) nulls = nulls || value.is_null();
  put(out, std::uint32_t{1});
  put(out, std::uint32_t{nulls ? 1U : 0U});
  put(out, std::uint32_t{type_oid(parameter.type)});
  put(out, static_cast<std::uint32_t>(parameter.values.size()));
  put(out, std::uint32_t{1});
  for (const Value& value : parameter.values) put_field(out, value);
}

}  // namespace

WireParameters::WireParameters(std::span<const Parameter> parameters) {
  std::vector<std::size_t> ends;
  for (const Parameter& parameter : parameters) {
    types_.push_back(parameter.is_array ? array_oid(parameter.type) : type_oid(parameter.type));
    if (parameter.is_array) {
      put_array(bytes_, parameter);
    } else {
      put_value(bytes_, parameter.value);
    }
    ends.push_back(bytes_.size());
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const bool null = !parameters[i].is_array && parameters[i].value.is_null();
    values_.push_back(null ? nullptr : bytes_.data() + begin);
    lengths_.push_back(static_cast<int>(ends[i] - begin));
    formats_.push_back(1);
    begin = ends[i];
  }
}

std::string copy_data(std::span<const Value> rows, std::size_t width) {
  std::size_t size = 64;
  for (const Value& value : rows) {
    size += 12;
    if (value.kind() >= Value::Kind::text) size += value.as_text().size();
  }
  std::string out;
  out.reserve(size);
  out.append("PGCOPY\n\377\r\n\0", 11);
  put(out, std::uint64_t{0});  // no flags, nothing more in the header
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i % width == 0) put(out, static_cast<std::uint16_t>(width));
    put_field(out, rows[i]);
  }
  put(out, std::uint16_t{UINT16_MAX});
  return out;
}

Value value_at(const PGresult* result, int row, int column) {
  if (PQgetisnull(result, row, column) != 0) return {};
  const char* const bytes = PQgetvalue(result, row, column);
  const auto size = static_cast<std::size_t>(PQgetlength(result, row, column));
  switch (PQftype(result, column)) {
    case int8_oid:
    case xid8_oid:
      return Value::integer(static_cast<std::int64_t>(get<std::uint64_t>(bytes)));
    case int4_oid:
      return Value::integer(static_cast<std::int32_t>(get<std::uint32_t>(bytes)));
    case oid_oid:
      return Value::integer(get<std::uint32_t>(bytes));
    case bool_oid:
      return Value::integer(bytes[0] != 0 ? 1 : 0);
    case float8_oid:
      return Value::real(std::bit_cast<double>(get<std::uint64_t>(bytes)));
    case bytea_oid:
      return Value::bytes({bytes, size});
    default:
      return Value::text({bytes, size});
  }
}

void read_row(const PGresult* result, int row, std::vector<Value>& out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = value_at(result, row, static_cast<int>(i));
  }
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
