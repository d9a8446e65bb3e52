#include <fmt/format.h>
#include <sodium.h>

#include <charconv>
#include <cmath>

#include "bureau/core/id.hpp"
#include "bureau/core/json.hpp"
#include "bureau/core/timestamp.hpp"
#include "bureau/store/table.hpp"
#include "store/duration_text.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr int base64 = sodium_base64_VARIANT_ORIGINAL;

std::string bytes_to_text(std::string_view bytes) {
  std::string out(sodium_base64_encoded_len(bytes.size(), base64), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), base64);
  out.pop_back();  // the NUL that sodium counts
  return out;
}

std::optional<std::string> bytes_from_text(std::string_view text) {
  std::string out(text.size() / 4 * 3 + 3, '\0');
  std::size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                        text.size(), nullptr, &size, &end, base64) != 0 ||
      end != text.data() + text.size())
    return std::nullopt;
  out.resize(size);
  return out;
}

std::string real_to_text(double value) { return Json(value).dump(); }

std::string_view name_of(const ColumnInfo& column, const Value& value) {
  const std::int64_t i = value.as_integer();
  return i >= 0 && static_cast<std::size_t>(i) < column.names.size()
             ? column.names[static_cast<std::size_t>(i)]
             : std::string_view();
}

OwnedValue owned(std::int64_t i) { return OwnedValue(Value::integer(i)); }

/// `invalid` that names the column, the text and the rule.
tl::unexpected<Error> refuse(const ColumnInfo& column, std::string_view text,
                             std::string_view rule) {
  return fail(Code::invalid,
              fmt::format("{}: {} {}", column.name, detail::shown_text(column, text), rule),
              std::string(column.name));
}

/// Adds the column's name to an error that a core parser gave.
tl::unexpected<Error> in_column(const ColumnInfo& column, Error error) {
  if (column.secret || column.personal) error.message = detail::expected_form(column);
  return fail(error.code, fmt::format("{}: {}", column.name, error.message),
              std::string(column.name));
}

Result<OwnedValue> checked(const ColumnInfo& column, OwnedValue value) {
  BUREAU_TRY_VOID(detail::check_column_value({}, column, value.view()));
  return value;
}

/// What JSON strings and texts share: every type but json, whose text is JSON itself.
Result<OwnedValue> from_string(const ColumnInfo& column, std::string_view text) {
  switch (column.type) {
    case Type::text:
      return checked(column, OwnedValue::text(std::string(text)));
    case Type::timestamp: {
      auto time = Timestamp::parse(text);
      if (!time) return in_column(column, time.error());
      return owned(time->micros());
    }
    case Type::duration:
      if (const auto micros = detail::duration_from_text(text)) return owned(*micros);
      break;
    case Type::id: {
      auto id = id::from_text(column.id_prefix, text);
      if (!id) return in_column(column, id.error());
      return owned(*id);
    }
    case Type::enumeration:
      for (std::size_t i = 0; i < column.names.size(); ++i)
        if (column.names[i] == text) return owned(static_cast<std::int64_t>(i));
      break;
    case Type::bytes:
      if (auto bytes = bytes_from_text(text)) return OwnedValue::bytes(*std::move(bytes));
      break;
    default:
      break;
  }
  return refuse(column, text, "is not " + detail::expected_form(column));
}

Result<OwnedValue> real_from_text(const ColumnInfo& column, std::string_view text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !std::isfinite(value))
    return refuse(column, text, "is not " + detail::expected_form(column));
  return OwnedValue(Value::real(value));
}

Result<OwnedValue> integer_from_text(const ColumnInfo& column, std::string_view text) {
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size())
    return refuse(column, text, "is not " + detail::expected_form(column));
  return owned(value);
}

}  // namespace

Json to_json(const ColumnInfo& column, const Value& value) {
  if (value.is_null()) return {};
  switch (column.type) {
    case Type::boolean:
      return value.as_integer() != 0;
    case Type::integer:
      return value.as_integer();
    case Type::real:
      return value.as_real();
    case Type::json:
      return Json::parse(value.as_text()).value_or(Json());
    default:
      return to_text(column, value);
  }
}

Result<OwnedValue> from_json(const ColumnInfo& column, const Json& json) {
  if (column.type == Type::json) {
    // A JSON null in a column that may be null is the column's null.
    if (json.is_null() && column.nullable) return OwnedValue();
    return checked(column, OwnedValue::text(json.dump()));
  }
  if (json.is_null()) return checked(column, OwnedValue());
  switch (column.type) {
    case Type::boolean:
      if (const bool* b = json.as_bool()) return owned(*b ? 1 : 0);
      break;
    case Type::integer:
      if (const auto* i = json.as_int()) return owned(*i);
      break;
    case Type::real:
      if (const auto* d = json.as_double()) return checked(column, OwnedValue(Value::real(*d)));
      if (const auto* i = json.as_int())
        return OwnedValue(Value::real(static_cast<double>(*i)));  // JSON has one kind of number
      break;
    default:
      if (const auto* s = json.as_string()) return from_string(column, *s);
      break;
  }
  return refuse(column, json.dump(), "is not " + detail::expected_form(column));
}

std::string to_text(const ColumnInfo& column, const Value& value) {
  if (value.is_null()) return {};
  switch (column.type) {
    case Type::boolean:
      return value.as_integer() != 0 ? "true" : "false";
    case Type::integer:
      return std::to_string(value.as_integer());
    case Type::real:
      return real_to_text(value.as_real());
    case Type::text:
    case Type::json:
      return std::string(value.as_text());
    case Type::timestamp:
      return Timestamp::from_micros(value.as_integer()).to_string();
    case Type::duration:
      return detail::duration_to_text(value.as_integer());
    case Type::id:
      return id::to_text(column.id_prefix, value.as_integer());
    case Type::enumeration:
      return std::string(name_of(column, value));
    case Type::bytes:
      return bytes_to_text(value.as_text());
  }
  return {};
}

Result<OwnedValue> from_text(const ColumnInfo& column, std::string_view text) {
  if (text.empty() && column.nullable) return OwnedValue();
  switch (column.type) {
    case Type::boolean:
      if (text == "true" || text == "false") return owned(text == "true" ? 1 : 0);
      return refuse(column, text, "is not " + detail::expected_form(column));
    case Type::integer:
      return integer_from_text(column, text);
    case Type::real:
      return real_from_text(column, text);
    case Type::json: {
      auto json = Json::parse(text);
      if (!json) return in_column(column, json.error());
      return checked(column, OwnedValue::text(json->dump()));
    }
    default:
      return from_string(column, text);
  }
}

Json row_to_json(const TableInfo& table, std::span<const Value> row) {
  Json out = Json::object();
  for (const ColumnInfo& column : table.columns) {
    if (column.hidden || column.secret) continue;
    out.set(column.name, to_json(column, row[column.index]));
  }
  return out;
}

BUREAU_END_NAMESPACE
