#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

/// A piece of a predicate's text.
struct PredicateToken {
  enum class Kind : std::uint8_t {
    end,
    word,      ///< a name or a keyword
    text,      ///< a string in quotes; `value` is what it stands for
    integer,   ///< -12
    real,      ///< 1.5, 1e9
    duration,  ///< 5m, 1d12h
    variable,  ///< $name; `value` is the name
    symbol,    ///< ( ) , . = != < <= > >=
  };
  Kind kind = Kind::end;
  std::size_t offset = 0;  ///< where it begins
  std::string_view raw;    ///< as it was written
  std::string value;

  [[nodiscard]] bool is(std::string_view symbol) const {
    return kind == Kind::symbol && raw == symbol;
  }
  /// Whether it is this keyword (lower case), in any case.
  [[nodiscard]] bool is_word(std::string_view keyword) const;
  /// How an error names it: "')'", "the end".
  [[nodiscard]] std::string shown() const;
};

/// `invalid`: "column 17: ", counted in code points from 1, and the message.
[[nodiscard]] tl::unexpected<Error> predicate_error(std::string_view text, std::size_t offset,
                                                    std::string_view message);

/// Cuts a predicate's text into tokens. REQUIRES: valid UTF-8, which outlives the tokens.
class PredicateLexer {
 public:
  explicit PredicateLexer(std::string_view text) : text_(text) {}
  Result<PredicateToken> next();

 private:
  Result<PredicateToken> string();
  Result<PredicateToken> number();
  Result<PredicateToken> symbol();
  Result<void> escape(std::string& out);
  Result<unsigned> hex4();
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  [[nodiscard]] PredicateToken token(PredicateToken::Kind kind, std::size_t begin) const {
    return {kind, begin, text_.substr(begin, at_ - begin), {}};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace detail

BUREAU_END_NAMESPACE
