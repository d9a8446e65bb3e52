#include "store/predicate_lexer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/core/json.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

namespace {

using Kind = PredicateToken::Kind;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_name(char c) { return is_letter(c) || is_digit(c) || c == '_'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

void append_utf8(std::string& out, unsigned c) {
  const auto byte = [&](unsigned b) { out += static_cast<char>(b); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) {
    byte(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      byte(0xE0 | c >> 12);
    } else {
      byte(0xF0 | c >> 18);
      byte(0x80 | (c >> 12 & 0x3F));
    }
    byte(0x80 | (c >> 6 & 0x3F));
  }
  byte(0x80 | (c & 0x3F));
}

}  // namespace

bool PredicateToken::is_word(std::string_view keyword) const {
  return kind == Kind::word && std::equal(raw.begin(), raw.end(), keyword.begin(), keyword.end(),
                                          [](char a, char b) { return lower(a) == b; });
}

std::string PredicateToken::shown() const {
  if (kind == Kind::end) return "the end";
  if (kind == Kind::text) return raw.size() <= 40 ? std::string(raw) : "a string";
  return fmt::format("'{}'", raw.size() <= 40 ? raw : raw.substr(0, 40));
}

tl::unexpected<Error> predicate_error(std::string_view text, std::size_t offset,
                                      std::string_view message) {
  return fail(Code::invalid,
              fmt::format("column {}: {}", count_code_points(text.substr(0, offset)) + 1, message));
}

Result<PredicateToken> PredicateLexer::next() {
  while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
  const std::size_t begin = at_;
  if (at_ >= text_.size()) return token(Kind::end, begin);
  const char c = peek();
  if (is_letter(c) || c == '_') {
    while (is_name(peek())) ++at_;
    return token(Kind::word, begin);
  }
  if (is_digit(c) || (c == '-' && is_digit(peek(1)))) return number();
  if (c == '"' || c == '\'') return string();
  if (c == '$') {
    ++at_;
    while (is_name(peek())) ++at_;
    if (at_ == begin + 1) return predicate_error(text_, at_, "expected a name after '$'");
    PredicateToken variable = token(Kind::variable, begin);
    variable.value = variable.raw.substr(1);
    return variable;
  }
  return symbol();
}

Result<PredicateToken> PredicateLexer::symbol() {
  const std::size_t begin = at_;
  const char c = peek();
  if ((c == '!' || c == '<' || c == '>') && peek(1) == '=') {
    at_ += 2;
    return token(Kind::symbol, begin);
  }
  if (std::string_view("(),.=<>").find(c) == std::string_view::npos) {
    // The whole code point, not its first byte.
    std::size_t size = 1;
    while ((static_cast<unsigned char>(peek(size)) & 0xC0) == 0x80) ++size;
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    return predicate_error(text_, begin,
                           control
                               ? "a control character"
                               : fmt::format("'{}' means nothing here", text_.substr(begin, size)));
  }
  ++at_;
  return token(Kind::symbol, begin);
}

Result<PredicateToken> PredicateLexer::number() {
  const std::size_t begin = at_;
  const auto digits = [&] {
    while (is_digit(peek())) ++at_;
  };
  if (peek() == '-') ++at_;
  digits();
  Kind kind = Kind::integer;
  if (peek() == '.' && is_digit(peek(1))) {
    kind = Kind::real;
    ++at_;
    digits();
  }
  const bool sign = peek(1) == '+' || peek(1) == '-';
  if ((peek() == 'e' || peek() == 'E') && is_digit(peek(sign ? 2 : 1))) {
    kind = Kind::real;
    at_ += sign ? 2 : 1;
    digits();
  }
  if (kind == Kind::integer && is_letter(peek())) {
    kind = Kind::duration;
    while (is_name(peek())) ++at_;
  }
  if (is_name(peek()) || (peek() == '.' && kind != Kind::duration))
    return predicate_error(text_, begin, "a number with something behind it that is no digit");
  return token(kind, begin);
}

Result<PredicateToken> PredicateLexer::string() {
  const std::size_t begin = at_;
  const char quote = peek();
  std::string value;
  ++at_;
  while (at_ < text_.size() && peek() != quote) {
    if (peek() == '\\') {
      BUREAU_TRY_VOID(escape(value));
    } else {
      value += text_[at_++];
    }
  }
  if (at_ >= text_.size())
    return predicate_error(text_, begin, "a string without its closing quote");
  ++at_;
  PredicateToken result = token(Kind::text, begin);
  result.value = std::move(value);
  return result;
}

Result<void> PredicateLexer::escape(std::string& out) {
  static constexpr std::string_view letters = "\"'\\/bfnrt";
  static constexpr std::string_view meanings = "\"'\\/\b\f\n\r\t";
  const std::size_t begin = at_++;
  const char c = peek();
  if (const auto i = c == '\0' ? std::string_view::npos : letters.find(c);
      i != std::string_view::npos) {
    out += meanings[i];
    ++at_;
    return {};
  }
  if (c != 'u')
    return predicate_error(text_, begin, "an unknown escape; \\\\ stands for a backslash");
  ++at_;
  BUREAU_TRY(unsigned code, hex4());
  if (code >= 0xD800 && code < 0xDC00 && peek() == '\\' && peek(1) == 'u') {
    at_ += 2;
    BUREAU_TRY(const unsigned low, hex4());
    if (low < 0xDC00 || low > 0xDFFF) return predicate_error(text_, begin, "half a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  if (code == 0 || (code >= 0xD800 && code <= 0xDFFF))
    return predicate_error(text_, begin, "an escape that stands for no character of a text");
  append_utf8(out, code);
  return {};
}

Result<unsigned> PredicateLexer::hex4() {
  unsigned code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = lower(peek());
    if (!is_digit(c) && !(c >= 'a' && c <= 'f'))
      return predicate_error(text_, at_, "expected four hexadecimal digits after '\\u'");
    code = code * 16 + static_cast<unsigned>(is_digit(c) ? c - '0' : c - 'a' + 10);
  }
  return code;
}

}  // namespace detail

BUREAU_END_NAMESPACE
