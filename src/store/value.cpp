#include "bureau/store/value.hpp"

#include <array>

BUREAU_BEGIN_NAMESPACE

std::string_view to_string(Type type) noexcept {
  static constexpr std::array<std::string_view, 10> texts = {
      "boolean",  "integer", "real",        "text", "timestamp",
      "duration", "id",      "enumeration", "json", "bytes"};
  const auto at = static_cast<std::size_t>(type);
  return at < texts.size() ? texts[at] : "unknown";
}

int compare(const Value& a, const Value& b) noexcept {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : (y < x ? 1 : 0); };
  if (a.kind() != b.kind()) return order(a.kind(), b.kind());
  switch (a.kind()) {
    case Value::Kind::null:
      return 0;
    case Value::Kind::integer:
      return order(a.as_integer(), b.as_integer());
    case Value::Kind::real:
      return order(a.as_real(), b.as_real());
    case Value::Kind::text:
    case Value::Kind::bytes:
      // char_traits compares as unsigned char: bytewise.
      return order(a.as_text().compare(b.as_text()), 0);
  }
  return 0;
}

OwnedValue::OwnedValue(const Value& v) : kind_(v.kind()) {
  switch (kind_) {
    case Value::Kind::null:
      break;
    case Value::Kind::integer:
      integer_ = v.as_integer();
      break;
    case Value::Kind::real:
      real_ = v.as_real();
      break;
    case Value::Kind::text:
    case Value::Kind::bytes:
      text_ = v.as_text();
      break;
  }
}

OwnedValue OwnedValue::text(std::string v) {
  OwnedValue value;
  value.kind_ = Value::Kind::text;
  value.text_ = std::move(v);
  return value;
}

OwnedValue OwnedValue::bytes(std::string v) {
  OwnedValue value = text(std::move(v));
  value.kind_ = Value::Kind::bytes;
  return value;
}

Value OwnedValue::view() const {
  switch (kind_) {
    case Value::Kind::null:
      break;
    case Value::Kind::integer:
      return Value::integer(integer_);
    case Value::Kind::real:
      return Value::real(real_);
    case Value::Kind::text:
      return Value::text(text_);
    case Value::Kind::bytes:
      return Value::bytes(text_);
  }
  return {};
}

BUREAU_END_NAMESPACE
