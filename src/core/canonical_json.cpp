#include "core/canonical_json.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>

#include "core/text.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// Reads the bytes that a canonical JSON string stands for, one at a time.
struct StringReader {
  const char* at;
  const char* end;
  static constexpr int closed = -1;
  static constexpr int broken = -2;

  int next() {
    if (at == end) return broken;
    const auto c = static_cast<unsigned char>(*at++);
    if (c == '"') return closed;
    if (c < 0x20) return broken;
    if (c != '\\') return c;
    return at == end ? broken : escape(*at++);
  }

 private:
  int escape(char c) {
    switch (c) {
      case '"':
      case '\\':
        return c;
      case 'b':
        return '\b';
      case 'f':
        return '\f';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'u':
        return control();
      default:
        return broken;
    }
  }

  /// u00XX for the control characters that have no short escape; lower case.
  int control() {
    if (end - at < 4 || at[0] != '0' || at[1] != '0' || (at[2] != '0' && at[2] != '1'))
      return broken;
    const char digit = at[3];
    int low = 0;
    if (digit >= '0' && digit <= '9') {
      low = digit - '0';
    } else if (digit >= 'a' && digit <= 'f') {
      low = digit - 'a' + 10;
    } else {
      return broken;
    }
    const int code = (at[2] - '0') * 16 + low;
    if (code == 0 || (code >= '\b' && code <= '\n') || code == '\f' || code == '\r') return broken;
    at += 4;
    return code;
  }
};

/// Goes through a text, and makes its value where it is given a place for it.
class CanonicalReader {
 public:
  explicit CanonicalReader(std::string_view text)
      : at_(text.data()), end_(text.data() + text.size()) {}

  bool document(Json* into) { return value(0, into) && at_ == end_; }

 private:
  bool value(int depth, Json* into) {
    if (at_ == end_) return false;
    switch (*at_) {
      case '{':
        return depth < Json::max_depth && object(depth + 1, into);
      case '[':
        return depth < Json::max_depth && array(depth + 1, into);
      case '"':
        return text(into);
      case 't':
        return word("true") && put(true, into);
      case 'f':
        return word("false") && put(false, into);
      case 'n':
        return word("null") && put(nullptr, into);
      default:
        return number(into);
    }
  }

  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  template <class T>
  static bool put(T value, Json* into) {
    if (into != nullptr) *into = value;
    return true;
  }

  bool word(std::string_view text) {
    if (std::string_view(at_, static_cast<std::size_t>(end_ - at_)).substr(0, text.size()) != text)
      return false;
    at_ += text.size();
    return true;
  }

  bool text(Json* into) {
    ++at_;
    if (into == nullptr) return string(nullptr);
    std::string value;
    if (!string(&value)) return false;
    *into = std::move(value);
    return true;
  }

  /// From behind the opening quote to behind the closing one.
  bool string(std::string* into) {
    StringReader reader{at_, end_};
    for (;;) {
      const std::size_t plain = detail::plain_json_prefix({reader.at, end_});
      if (into != nullptr) into->append(reader.at, plain);
      reader.at += plain;
      const int c = reader.next();
      if (c < 0) {
        at_ = reader.at;
        return c == StringReader::closed;
      }
      if (into != nullptr) into->push_back(static_cast<char>(c));
    }
  }

  bool array(int depth, Json* into) {
    ++at_;
    if (into != nullptr) *into = Json::array();
    if (take(']')) return true;
    do {
      if (!value(depth, into == nullptr ? nullptr : &into->as_array()->emplace_back()))
        return false;
    } while (take(','));
    return take(']');
  }

  bool object(int depth, Json* into) {
    ++at_;
    if (into != nullptr) *into = Json::object();
    if (take('}')) return true;
    const char* previous = nullptr;
    std::string name;
    do {
      if (!take('"')) return false;
      const char* const key = at_;
      name.clear();
      if (!string(into == nullptr ? nullptr : &name)) return false;
      if (previous != nullptr && !less(previous, key)) return false;
      previous = key;
      if (!take(':')) return false;
      if (!value(depth, into == nullptr ? nullptr : &into->set(name, Json()))) return false;
    } while (take(','));
    return take('}');
  }

  /// Bytewise order of two keys that string() has accepted; a shorter one is less.
  bool less(const char* a, const char* b) const {
    StringReader first{a, end_};
    StringReader second{b, end_};
    for (;;) {
      const int x = first.next();
      const int y = second.next();
      if (x != y) return x < y;
      if (x == StringReader::closed) return false;
    }
  }

  bool number(Json* into) {
    const char* begin = at_;
    bool whole = true;
    while (at_ != end_ && ((*at_ >= '0' && *at_ <= '9') || *at_ == '-' || *at_ == '+' ||
                           *at_ == '.' || *at_ == 'e')) {
      whole = whole && *at_ != '.' && *at_ != 'e' && *at_ != '+';
      ++at_;
    }
    const std::string_view token(begin, static_cast<std::size_t>(at_ - begin));
    char digits[40];
    const char* written = digits;
    if (whole) {
      std::int64_t number = 0;
      const auto read = std::from_chars(begin, at_, number);
      if (read.ec != std::errc() || read.ptr != at_) return false;
      put(number, into);
      written = std::to_chars(digits, digits + sizeof(digits), number).ptr;
    } else {
      double number = 0;
      const auto read = std::from_chars(begin, at_, number);
      if (read.ec != std::errc() || read.ptr != at_ || !std::isfinite(number)) return false;
      put(number, into);
      char* last = std::to_chars(digits, digits + sizeof(digits) - 2, number).ptr;
      const std::string_view text(digits, static_cast<std::size_t>(last - digits));
      if (text.find_first_of(".e") == std::string_view::npos) {
        *last++ = '.';
        *last++ = '0';
      }
      written = last;
    }
    return token == std::string_view(digits, static_cast<std::size_t>(written - digits));
  }

  const char* at_;
  const char* end_;
};

}  // namespace

namespace detail {

bool is_canonical_json(std::string_view text) noexcept {
  return is_valid_text(text) && CanonicalReader(text).document(nullptr);
}

std::optional<Json> read_canonical_json(std::string_view text) {
  std::optional<Json> value(std::in_place);
  if (!is_valid_text(text) || !CanonicalReader(text).document(&*value)) return std::nullopt;
  return value;
}

}  // namespace detail

BUREAU_END_NAMESPACE
