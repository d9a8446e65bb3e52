#pragma once

#include <string>
#include <string_view>

#include "bureau/core/civil.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// Reads a text from left to right. Each step that does not fit leaves the position where it was.
class TextScanner {
 public:
  explicit TextScanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Exactly `count` decimal digits (at most 9).
  [[nodiscard]] bool take_digits(std::size_t count, int& value) {
    if (leading_digits() < count) return false;
    value = 0;
    for (const char c : rest_.substr(0, count)) value = value * 10 + (c - '0');
    rest_.remove_prefix(count);
    return true;
  }
  [[nodiscard]] std::size_t leading_digits() const {
    std::size_t count = 0;
    while (count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9') ++count;
    return count;
  }

 private:
  std::string_view rest_;
};

/// A valid date: YYYY-MM-DD, or a sign and six digits of year.
[[nodiscard]] bool scan_date(TextScanner& scanner, CivilDate& date);

/// What an error shows of a text that may be long or hold anything: quoted, cut, printable.
[[nodiscard]] std::string shown(std::string_view text);

}  // namespace detail

BUREAU_END_NAMESPACE
