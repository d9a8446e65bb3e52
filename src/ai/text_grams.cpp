#include "ai/text_grams.hpp"

#include <algorithm>
#include <cmath>

#include "bureau/ai/text_classifier.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {
namespace {

constexpr char32_t not_a_letter = 0;
constexpr std::size_t window = 16;         // how far apart the words of a pair may be
constexpr std::size_t prefix_letters = 5;  // of the words of a pair
constexpr std::size_t shortest_piece = 2;
constexpr std::size_t longest_piece = 5;

struct Decoded {
  char32_t letter;
  std::size_t bytes;
};

/// The code point at `at`; what is not UTF-8 is one byte and no letter.
Decoded decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + length > text.size()) return {not_a_letter, 1};
  char32_t value = first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return {not_a_letter, 1};
    value = (value << 6U) | (byte(i) & 0x3FU);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < smallest[length] || value > 0x10FFFF || surrogate) return {not_a_letter, 1};
  return {value, length};
}

bool in(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

bool belongs_to_word(char32_t c) {
  if (c < 0x80) return in(c, '0', '9') || in(c, 'a', 'z') || in(c, 'A', 'Z') || c == '_';
  if (c < 0xC0) return c == 0xAA || c == 0xB2 || c == 0xB3 || c == 0xB5 || c == 0xB9 || c == 0xBA;
  if (c == 0xD7 || c == 0xF7) return false;
  // Punctuation, currency, arrows and drawings; ideographic punctuation; variation selectors; the
  // full-width forms of ASCII punctuation.
  return !in(c, 0x2000, 0x20CF) && !in(c, 0x2190, 0x25FF) && !in(c, 0x3000, 0x3004) &&
         !in(c, 0x3008, 0x3020) && !in(c, 0xFE00, 0xFE6F) && !in(c, 0xFF00, 0xFF0F) &&
         !in(c, 0xFF1A, 0xFF20) && c != 0xFEFF && c != 0xFFFD;
}

void append_utf8(std::vector<unsigned char>& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<unsigned char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0U | c >> 6U);
    put(0x80U | (c & 0x3FU));
  } else {
    if (c < 0x10000) {
      put(0xE0U | c >> 12U);
    } else {
      put(0xF0U | c >> 18U);
      put(0x80U | (c >> 12U & 0x3FU));
    }
    put(0x80U | (c >> 6U & 0x3FU));
    put(0x80U | (c & 0x3FU));
  }
}

/// The folded words, each with a space before and after it.
struct Words {
  std::vector<unsigned char> bytes;
  std::vector<std::uint32_t> letters;  // where each letter begins in `bytes`; one more at the end
  struct Word {
    std::uint32_t first;  // index into `letters` of the space before the word
    std::uint32_t count;  // letters with both spaces
  };
  std::vector<Word> words;
};

Words split(std::string_view text) {
  Words out;
  out.bytes.reserve(text.size() + text.size() / 2 + 8);
  out.letters.reserve(text.size() + text.size() / 2 + 8);
  bool inside = false;
  const auto put = [&](char32_t c) {
    out.letters.push_back(static_cast<std::uint32_t>(out.bytes.size()));
    append_utf8(out.bytes, c);
  };
  const auto close = [&] {
    if (!inside) return;
    put(U' ');
    out.words.back().count =
        static_cast<std::uint32_t>(out.letters.size()) - out.words.back().first;
    inside = false;
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto [letter, bytes] = decode(text, at);
    at += bytes;
    if (letter == not_a_letter || !belongs_to_word(letter)) {
      close();
      continue;
    }
    if (!inside) {
      out.words.push_back({static_cast<std::uint32_t>(out.letters.size()), 0});
      put(U' ');
      inside = true;
    }
    put(fold_letter(letter));
  }
  close();
  out.letters.push_back(static_cast<std::uint32_t>(out.bytes.size()));
  return out;
}

// FNV-1a over the bytes, then a mixer, because FNV's high bits alone are weak on short texts.
constexpr std::uint64_t fnv_prime = 1099511628211U;
constexpr std::uint64_t fnv_basis = 14695981039346656037U;

std::uint64_t mix(std::uint64_t h) {
  h ^= h >> 32U;
  h *= 0xD6E8FEB86659FD93U;
  h ^= h >> 32U;
  h *= 0xD6E8FEB86659FD93U;
  h ^= h >> 32U;
  return h;
}

std::uint32_t key_of(std::uint64_t hash, GramKind kind) {
  return static_cast<std::uint32_t>(mix(hash + kind * 0x9E3779B97F4A7C15U) >> 32U);
}

std::uint64_t hash_letters(const Words& words, std::size_t first, std::size_t count) {
  std::uint64_t h = fnv_basis;
  for (std::size_t i = words.letters[first]; i < words.letters[first + count]; ++i) {
    h = (h ^ words.bytes[i]) * fnv_prime;
  }
  return h;
}

class Cutter {
 public:
  explicit Cutter(const Words& words) : words_(words) { keys_.reserve(words.letters.size() * 6); }

  TextGrams cut() {
    TextGrams out;
    out.grams.reserve(words_.letters.size() * 6);
    add_words();
    close(out, words);
    add_pairs();
    close(out, pairs);
    add_pieces();
    close(out, pieces);
    return out;
  }

 private:
  void add_words() {
    for (const auto& word : words_.words) {
      whole_.push_back(hash_letters(words_, word.first + 1, word.count - 2));
      const std::size_t prefix = std::min<std::size_t>(word.count - 2, prefix_letters);
      prefix_.push_back(mix(hash_letters(words_, word.first + 1, prefix)));
    }
    for (std::size_t i = 0; i < whole_.size(); ++i) {
      keys_.push_back(key_of(whole_[i], words));
      if (i > 0) keys_.push_back(key_of(mix(whole_[i - 1]) * 31 + whole_[i], words));
    }
  }

  void add_pairs() {
    for (std::size_t i = 0; i < prefix_.size(); ++i) {
      const std::size_t end = std::min(prefix_.size(), i + window + 1);
      for (std::size_t j = i + 2; j < end; ++j) {  // adjacent ones are words' pairs already
        const auto [low, high] = std::minmax(prefix_[i], prefix_[j]);
        keys_.push_back(key_of(low * 77 + high, pairs));
      }
    }
  }

  void add_pieces() {
    for (const auto& word : words_.words) {
      const std::size_t end = word.first + word.count;
      for (std::size_t first = word.first; first + shortest_piece <= end; ++first) {
        std::uint64_t h = fnv_basis;
        std::size_t at = words_.letters[first];
        const std::size_t last = std::min(end, first + longest_piece);
        for (std::size_t next = first + 1; next <= last; ++next) {
          for (; at < words_.letters[next]; ++at) h = (h ^ words_.bytes[at]) * fnv_prime;
          if (next >= first + shortest_piece) keys_.push_back(key_of(h, pieces));
        }
      }
    }
  }

  /// Moves the collected keys to `out` as the grams of one kind.
  void close(TextGrams& out, GramKind kind) {
    std::sort(keys_.begin(), keys_.end());
    for (std::size_t i = 0; i < keys_.size();) {
      std::size_t next = i + 1;
      while (next < keys_.size() && keys_[next] == keys_[i]) ++next;
      const auto times = static_cast<float>(next - i);
      out.grams.push_back({keys_[i], times == 1 ? 1.0F : 1.0F + std::log(times)});
      i = next;
    }
    keys_.clear();
    out.begin[kind + 1] = out.grams.size();
  }

  const Words& words_;
  std::vector<std::uint64_t> whole_, prefix_;
  std::vector<std::uint32_t> keys_;
};

}  // namespace

char32_t fold_letter(char32_t c) noexcept {
  if (c < 0x80) return in(c, 'A', 'Z') ? c + 32 : c;
  if (c < 0x100) return in(c, 0xC0, 0xDE) && c != 0xD7 ? c + 32 : c == 0xB5 ? 0x3BC : c;
  if (c < 0x180) {  // Latin Extended-A: upper and lower case alternate, with three breaks
    if (c == 0x130) return 'i';
    if (c == 0x178) return 0xFF;
    if (c == 0x17F) return 's';
    if (c == 0x131 || c == 0x138 || c == 0x149) return c;
    const bool upper_is_odd = in(c, 0x139, 0x148) || in(c, 0x179, 0x17E);
    return (c % 2 == 1) == upper_is_odd ? c + 1 : c;
  }
  if (c == 0x386) return 0x3AC;
  if (in(c, 0x388, 0x38A)) return c + 37;
  if (c == 0x38C) return 0x3CC;
  if (c == 0x38E || c == 0x38F) return c + 63;
  if (in(c, 0x391, 0x3AB) && c != 0x3A2) return c + 32;
  if (c == 0x3C2) return 0x3C3;  // final sigma
  if (in(c, 0x400, 0x40F)) return c + 80;
  if (in(c, 0x410, 0x42F)) return c + 32;
  if (in(c, 0x460, 0x481) || in(c, 0x48A, 0x4BF) || in(c, 0x4D0, 0x52F)) return c | 1U;
  if (in(c, 0x1E00, 0x1E95) || in(c, 0x1EA0, 0x1EFF)) return c | 1U;  // Latin with more marks
  return c;
}

TextGrams cut_text(std::string_view text) {
  return Cutter(split(text.substr(0, TextClassifier::max_text_bytes))).cut();
}

}  // namespace detail
BUREAU_END_NAMESPACE
