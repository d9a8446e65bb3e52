#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// A piece of a text, known by a 32-bit hash. Two pieces of one hash are one feature: among 100,000
/// features an unknown piece meets one by chance once in 40,000 times, which no accuracy notices.
struct Gram {
  std::uint32_t key = 0;
  float weight = 0;  ///< 1 + ln(how often it occurs): the tenth "card" says less than the first.
};

/// The kinds of piece. Each kind is normalised by itself, so that the many pieces of words do not
/// drown the few words.
enum GramKind : std::size_t {
  words,   ///< Words, and pairs of adjacent words in order.
  pairs,   ///< Pairs of the first 5 letters of words up to 16 apart, in either order.
  pieces,  ///< 2 to 5 letters inside one word, whose ends count as a space.
  gram_kinds
};

/// The pieces of one text: per kind, each once, by ascending key.
struct TextGrams {
  std::vector<Gram> grams;
  std::array<std::size_t, gram_kinds + 1> begin{};

  [[nodiscard]] std::span<const Gram> of(std::size_t kind) const {
    return std::span(grams).subspan(begin[kind], begin[kind + 1] - begin[kind]);
  }
};

/// Cuts the first TextClassifier::max_text_bytes of a text into pieces. Letters are folded to lower
/// case (Latin, Greek, Cyrillic); what is neither letter, digit nor symbol of a writing system, and
/// every byte that is not UTF-8, separates words. Stored models depend on the result: it is frozen.
[[nodiscard]] TextGrams cut_text(std::string_view text);

/// The lower case of a letter by Unicode's simple case folding, for the scripts named above.
[[nodiscard]] char32_t fold_letter(char32_t letter) noexcept;

}  // namespace detail
BUREAU_END_NAMESPACE
