#include "store/journal_codec.hpp"

#include <bit>
#include <cstring>

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {
constexpr std::size_t varint_bytes_max = 10;

/// Returns what is behind it.
char* write_varint(char* at, std::uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<char>((value & 0x7f) | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<char>(value);
  return at;
}

/// Both at once: a row is mostly these.
void put_tag_and_varint(std::string& out, JournalTag tag, std::uint64_t value) {
  char buffer[1 + varint_bytes_max];
  buffer[0] = static_cast<char>(tag);
  out.append(buffer, write_varint(buffer + 1, value));
}
}  // namespace

void put_varint(std::string& out, std::uint64_t value) {
  char buffer[varint_bytes_max];
  out.append(buffer, write_varint(buffer, value));
}

void put_tag(std::string& out, JournalTag tag) { out.push_back(static_cast<char>(tag)); }

void put_value(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Value::Kind::null:
      put_tag(out, JournalTag::null);
      return;
    case Value::Kind::integer: {
      const std::int64_t v = value.as_integer();
      put_tag_and_varint(
          out, JournalTag::integer,
          (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
      return;
    }
    case Value::Kind::real: {
      put_tag(out, JournalTag::real);
      const auto bits = std::bit_cast<std::uint64_t>(value.as_real());
      char buffer[8];
      for (int i = 0; i < 8; ++i) buffer[i] = static_cast<char>(bits >> (8 * i));
      out.append(buffer, sizeof buffer);
      return;
    }
    case Value::Kind::text:
    case Value::Kind::bytes:
      put_tag_and_varint(out,
                         value.kind() == Value::Kind::text ? JournalTag::text : JournalTag::bytes,
                         value.as_text().size());
      out.append(value.as_text());
      return;
  }
}

bool JournalCursor::varint(std::uint64_t& out) {
  out = 0;
  for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

bool JournalCursor::tag(JournalTag& out) {
  if (rest_.empty()) return false;
  const auto byte = static_cast<unsigned char>(rest_.front());
  if (byte > static_cast<unsigned char>(JournalTag::sealed)) return false;
  rest_.remove_prefix(1);
  out = static_cast<JournalTag>(byte);
  return true;
}

bool JournalCursor::block(std::string_view& out) {
  std::uint64_t size = 0;
  if (!varint(size) || size > rest_.size()) return false;
  out = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return true;
}

bool JournalCursor::content(JournalTag tag, Value& out) {
  std::uint64_t raw = 0;
  std::string_view text;
  switch (tag) {
    case JournalTag::null:
    case JournalTag::secret:
      out = Value();
      return true;
    case JournalTag::integer:
      if (!varint(raw)) return false;
      out =
          Value::integer(static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1));
      return true;
    case JournalTag::real:
      if (rest_.size() < 8) return false;
      for (int i = 0; i < 8; ++i) {
        raw |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
      }
      rest_.remove_prefix(8);
      out = Value::real(std::bit_cast<double>(raw));
      return true;
    case JournalTag::text:
      if (!block(text)) return false;
      out = Value::text(text);
      return true;
    case JournalTag::bytes:
      if (!block(text)) return false;
      out = Value::bytes(text);
      return true;
    case JournalTag::sealed:
      return false;
  }
  return false;
}

}  // namespace detail
BUREAU_END_NAMESPACE
