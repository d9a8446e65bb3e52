#include "ai/text_grams.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>
#include <string>

#include "bureau/ai/text_classifier.hpp"

using bureau::TextClassifier;
using bureau::detail::cut_text;
using bureau::detail::fold_letter;
using bureau::detail::Gram;
using bureau::detail::TextGrams;

namespace {

std::set<std::uint32_t> keys_of(std::string_view text, std::size_t kind) {
  const TextGrams cut = cut_text(text);
  std::set<std::uint32_t> keys;
  for (const Gram& gram : cut.of(kind)) keys.insert(gram.key);
  return keys;
}

float heaviest_word(std::string_view text) {
  const TextGrams cut = cut_text(text);
  float largest = 0;
  for (const Gram& gram : cut.of(bureau::detail::words)) largest = std::max(largest, gram.weight);
  return largest;
}

bool same(const TextGrams& a, const TextGrams& b) {
  const auto equal = [](const Gram& x, const Gram& y) {
    return x.key == y.key && x.weight == y.weight;
  };
  return a.begin == b.begin &&
         std::equal(a.grams.begin(), a.grams.end(), b.grams.begin(), b.grams.end(), equal);
}

}  // namespace

TEST_CASE("letters fold as Unicode's simple case folding says") {
  const std::u32string upper = U"AÀÞĀĹŇŊŸŽΣΏΆЖЁҐẾẶ";
  const std::u32string lower = U"aàþāĺňŋÿžσώάжёґếặ";
  REQUIRE(upper.size() == lower.size());
  for (std::size_t i = 0; i < upper.size(); ++i) {
    CHECK_MESSAGE(fold_letter(upper[i]) == lower[i], i);
    CHECK_MESSAGE(fold_letter(lower[i]) == lower[i], i);
  }
  CHECK(fold_letter(U'ς') == U'σ');
  for (const char32_t c : std::u32string(U"[z×÷ß漢0_")) CHECK(fold_letter(c) == c);
  int twice = 0;
  for (char32_t c = 0; c < 0x3000; ++c) twice += fold_letter(fold_letter(c)) != fold_letter(c);
  CHECK(twice == 0);
}

TEST_CASE("a text is cut into words, pairs of words and pieces of words") {
  using namespace bureau::detail;
  // 3 words and 2 adjacent pairs; "lost" and "card" are two apart; " my " has 6 pieces of 2 to 5.
  CHECK(keys_of("lost my card", words).size() == 5);
  CHECK(keys_of("lost my card", pairs).size() == 1);
  CHECK(keys_of("my", pieces).size() == 6);
  CHECK(keys_of("", words).empty());
  CHECK(keys_of("?!... --- \n", words).empty());
  // Adjacent words count in their order, words further apart in either.
  CHECK(keys_of("card lost", words) != keys_of("lost card", words));
  CHECK(keys_of("card my lost", pairs) == keys_of("lost my card", pairs));
  // A pair knows the first five letters.
  CHECK(keys_of("transfer my payments", pairs) == keys_of("transferred my payment", pairs));
  // Case, punctuation and space do not matter.
  CHECK(same(cut_text("Wo ist MEINE Überweisung?"), cut_text("wo ist meine  überweisung")));
  CHECK(same(cut_text("ГДЕ моя карта"), cut_text("где, моя «карта»")));
  CHECK(keys_of("card", pieces) != keys_of("care", pieces));
}

TEST_CASE("a word that is repeated weighs more, but each time less") {
  CHECK(heaviest_word("a") == 1);
  CHECK(heaviest_word("a a") > 1);
  CHECK(heaviest_word("a a a a") - heaviest_word("a a a") < heaviest_word("a a") - 1);
}

TEST_CASE("bytes that are not UTF-8 separate words") {
  for (const char* bad : {"\x80", "\xC0\xAF", "\xFF", "\xED\xA0\x80", "\xF5\x80\x80", "\xE2\x82"}) {
    CHECK(same(cut_text("lost" + std::string(bad) + "card"), cut_text("lost card")));
  }
  CHECK(
      rc::check("any bytes give each kind's keys in ascending order", [](const std::string& text) {
        const TextGrams cut = cut_text(text);
        for (std::size_t kind = 0; kind < bureau::detail::gram_kinds; ++kind) {
          const auto grams = cut.of(kind);
          for (std::size_t i = 0; i < grams.size(); ++i) {
            RC_ASSERT(grams[i].weight >= 1);
            if (i > 0) RC_ASSERT(grams[i - 1].key < grams[i].key);
          }
        }
      }));
}

TEST_CASE("only the beginning of a long text is read") {
  const std::string begin(TextClassifier::max_text_bytes - 1, 'x');
  CHECK(same(cut_text(begin + " lost card"), cut_text(begin)));
  // A letter that the limit cuts in two is not read as another.
  CHECK(same(cut_text(begin + "é"), cut_text(begin)));
}
