#include "core/text.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

#include "bureau/core/json.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::uint64_t ones = 0x0101010101010101;
constexpr std::uint64_t highs = 0x8080808080808080;

std::uint64_t load8(const char* p) {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

/// Not zero when one of the eight bytes is zero. The usual trick; exact as a yes or no.
constexpr std::uint64_t any_zero(std::uint64_t word) { return (word - ones) & ~word & highs; }

/// The length of the well-formed sequence of two to four bytes at `p`, or 0 (Unicode 15, table
/// 3-7).
std::size_t sequence_length(const unsigned char* p, std::size_t available) {
  const auto continues = [&](std::size_t i) { return (p[i] & 0xC0) == 0x80; };
  const unsigned char lead = p[0];
  if (lead < 0xC2 || lead > 0xF4 || available < 2) return 0;
  if (lead < 0xE0) return continues(1) ? 2 : 0;
  // The second byte's range excludes overlong forms, surrogates and what is beyond U+10FFFF.
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (p[1] < low || p[1] > high || available < 3 || !continues(2)) return 0;
  if (lead < 0xF0) return 3;
  return available >= 4 && continues(3) ? 4 : 0;
}

}  // namespace

namespace detail {

std::size_t valid_text_prefix(std::string_view text) noexcept {
  const char* p = text.data();
  const std::size_t size = text.size();
  std::size_t i = 0;
  while (i < size) {
    if (i + 8 <= size) {
      const std::uint64_t word = load8(p + i);
      if ((word & highs) == 0 && any_zero(word) == 0) {
        i += 8;
        continue;
      }
    }
    const auto byte = static_cast<unsigned char>(p[i]);
    std::size_t length = byte != 0 && byte < 0x80 ? 1 : 0;
    if (byte >= 0x80)
      length = sequence_length(reinterpret_cast<const unsigned char*>(p + i), size - i);
    if (length == 0) return i;
    i += length;
  }
  return size;
}

std::size_t plain_json_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    const std::uint64_t word = load8(text.data() + i);
    // Bytes below 0x20 borrow their high bit when 0x20 is subtracted; those above 0x7F are masked.
    // A borrow from a neighbour can only add a false alarm beside a true one.
    const std::uint64_t control = (word - ones * 0x20) & ~word & highs;
    if ((control | any_zero(word ^ ones * '"') | any_zero(word ^ ones * '\\')) != 0) break;
  }
  const auto is_plain = [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
  };
  while (i < text.size() && is_plain(text[i])) ++i;
  return i;
}

std::string to_valid_text(std::string_view text) {
  std::string out;
  while (true) {
    const std::size_t valid = valid_text_prefix(text);
    out.append(text.substr(0, valid));
    if (valid == text.size()) return out;
    out += "\xEF\xBF\xBD";
    text.remove_prefix(valid + 1);
  }
}

std::string shortened(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  constexpr std::string_view ellipsis = "...";
  std::size_t end = bytes > ellipsis.size() ? bytes - ellipsis.size() : 0;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + std::string(ellipsis);
}

}  // namespace detail

bool is_valid_text(std::string_view text) noexcept {
  return detail::valid_text_prefix(text) == text.size();
}

std::size_t count_code_points(std::string_view text) noexcept {
  // Every byte but the continuations (10xxxxxx) begins a code point.
  std::size_t continuations = 0;
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    const std::uint64_t word = load8(text.data() + i);
    continuations += static_cast<std::size_t>(std::popcount(word & ~(word << 1) & highs));
  }
  for (; i < text.size(); ++i)
    continuations += (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80 ? 1 : 0;
  return text.size() - continuations;
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out += '"';
  while (true) {
    const std::size_t plain = detail::plain_json_prefix(text);
    out.append(text, 0, plain);
    if (plain == text.size()) break;
    const auto c = static_cast<unsigned char>(text[plain]);
    text.remove_prefix(plain + 1);
    out += '\\';
    switch (c) {
      case '"':
      case '\\':
        out += static_cast<char>(c);
        break;
      case '\b':
        out += 'b';
        break;
      case '\f':
        out += 'f';
        break;
      case '\n':
        out += 'n';
        break;
      case '\r':
        out += 'r';
        break;
      case '\t':
        out += 't';
        break;
      default:
        out += "u00";
        out += hex[c >> 4];
        out += hex[c & 15];
    }
  }
  out += '"';
}

BUREAU_END_NAMESPACE
