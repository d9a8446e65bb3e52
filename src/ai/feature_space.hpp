#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "ai/text_grams.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

constexpr std::uint32_t no_feature = UINT32_MAX;

/// One coordinate of a text's vector.
struct Term {
  std::uint32_t feature;
  float value;
};

/// From gram keys to positions in a sorted list of them; a hash table, because a lookup by
/// bisection in 60,000 keys costs a dozen cache misses.
class KeyIndex {
 public:
  KeyIndex() = default;
  explicit KeyIndex(std::span<const std::uint32_t> keys) {
    std::size_t size = 16;
    while (size < keys.size() * 2) size *= 2;
    slots_.assign(size, {0, no_feature});
    for (std::size_t i = 0; i < keys.size(); ++i) {
      std::size_t at = keys[i] & (size - 1);
      while (slots_[at].position != no_feature) at = (at + 1) & (size - 1);
      slots_[at] = {keys[i], static_cast<std::uint32_t>(i)};
    }
  }

  /// The key's position, or no_feature.
  [[nodiscard]] std::uint32_t find(std::uint32_t key) const {
    if (slots_.empty()) return no_feature;
    for (std::size_t at = key & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].position == no_feature || slots_[at].key == key) return slots_[at].position;
    }
  }

 private:
  struct Slot {
    std::uint32_t key;
    std::uint32_t position;
  };
  std::vector<Slot> slots_;
};

/// How much a gram says that `frequency` of `texts` texts hold. One that no text held counts as if
/// one had.
inline float inverse_frequency(std::uint64_t texts, std::uint64_t frequency) {
  const auto held = static_cast<double>(std::max<std::uint64_t>(frequency, 1));
  return static_cast<float>(std::log((1 + static_cast<double>(texts)) / (1 + held)) + 1);
}

/// Squared weights of the kinds of gram, which add up to 1: words and pieces 1, pairs 0.7, squared
/// and divided by their sum.
constexpr std::array<float, gram_kinds> kind_shares = {1 / 2.49F, 0.49F / 2.49F, 1 / 2.49F};

/// Appends a text's vector: TF-IDF, each kind of gram normalised to its share. What is unknown
/// counts in the norm, so that a text of which little is known has small scores and low confidence.
/// `find` maps a gram's key to its feature or no_feature; `idf` is indexed by feature.
template <class Find>
void vectorize(const TextGrams& text, const Find& find, std::span<const float> idf,
               float unknown_idf, std::vector<Term>& out) {
  for (std::size_t kind = 0; kind < gram_kinds; ++kind) {
    const std::size_t first = out.size();
    float squares = 0;
    for (const Gram& gram : text.of(kind)) {
      const std::uint32_t feature = find(gram.key);
      const float value = gram.weight * (feature == no_feature ? unknown_idf : idf[feature]);
      squares += value * value;
      if (feature != no_feature) out.push_back({feature, value});
    }
    if (squares == 0) continue;
    const float scale = std::sqrt(kind_shares[kind] / squares);
    for (std::size_t i = first; i < out.size(); ++i) out[i].value *= scale;
  }
}

}  // namespace detail
BUREAU_END_NAMESPACE
