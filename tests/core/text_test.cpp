#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "bureau/core/json.hpp"
#include "core/generators.hpp"

using namespace bureau;  // NOLINT: a test of this namespace

namespace {

/// Decodes code points one by one and says whether all are well formed: slow and obvious.
bool naive_valid(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80             ? 1
                               : (lead & 0xE0) == 0xC0 ? 2
                               : (lead & 0xF0) == 0xE0 ? 3
                               : (lead & 0xF8) == 0xF0 ? 4
                                                       : 0;
    if (length == 0 || i + length > text.size()) return false;
    std::uint32_t c = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xC0) != 0x80) return false;
      c = c << 6 | (byte & 0x3FU);
    }
    const std::uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    if (c < least[length] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

}  // namespace

TEST_CASE("text: every sequence of up to two bytes, and every lead with edges, at every offset") {
  const std::vector<unsigned char> edges = {0x00, 0x7F, 0x80, 0x8F, 0x90,
                                            0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  const auto check = [](const std::string& sequence) {
    for (const std::size_t before : {0, 3, 7, 8}) {
      const std::string text = std::string(before, 'a') + sequence + "bcdefghij";
      if (is_valid_text(text) != naive_valid(text)) FAIL(Json(text).dump());
    }
    if (is_valid_text(sequence) != naive_valid(sequence)) FAIL(Json(sequence).dump());
  };
  for (int a = 0; a < 256; ++a) {
    check(std::string(1, static_cast<char>(a)));
    for (int b = 0; b < 256; ++b) check({static_cast<char>(a), static_cast<char>(b)});
    for (const auto b : edges) {
      for (const auto c : edges) {
        check({static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)});
        for (const auto d : edges)
          check({static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                 static_cast<char>(d)});
      }
    }
  }
}

TEST_CASE("text: properties") {
  CHECK(rc::check("generated text is valid, and its code points are counted", [] {
    const auto points = *rc::gen::container<std::vector<std::uint32_t>>(gen::code_point());
    std::string text;
    for (const auto c : points) gen::append_code_point(text, c);
    RC_ASSERT(is_valid_text(text));
    RC_ASSERT(count_code_points(text) == points.size());
  }));

  CHECK(rc::check("any bytes: as the naive decoder says", [] {
    std::string text = *gen::text();
    if (!text.empty()) {
      const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
      text[at] = *rc::gen::arbitrary<char>();
    }
    const std::vector<char> exact(text.begin(), text.end());
    RC_ASSERT(is_valid_text({exact.data(), exact.size()}) == naive_valid(text));
  }));
}
