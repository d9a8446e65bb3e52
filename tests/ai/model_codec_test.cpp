#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "bureau/ai/text_classifier.hpp"

using bureau::Code;
using bureau::LabelledText;
using bureau::Prediction;
using bureau::TextClassifier;

namespace {

TextClassifier trained() {
  const std::vector<LabelledText> examples = {
      {"I lost my card", "card"},     {"a new card please", "card"},
      {"my card is lost", "card"},    {"refund my order", "refund"},
      {"I want a refund", "refund"},  {"where is my refund", "refund"},
      {"wrong password", "password"}, {"I forgot the password", "password"},
      {"new password", "password"},
  };
  return *TextClassifier::train(examples);
}

void check_corrupt(const bureau::Result<TextClassifier>& result, std::string_view rule) {
  REQUIRE(!result.has_value());
  CHECK(result.error().code == Code::corrupt);
  CHECK(result.error().field == "model");
  CHECK_MESSAGE(result.error().message.find(rule) != std::string::npos, result.error().message);
}

/// The bytes with their checksum made to fit.
std::string sealed(std::string bytes) {
  bytes.resize(bytes.size() - 8);
  std::uint64_t sum = 14695981039346656037U;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211U;
  for (unsigned i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(sum >> (8 * i)));
  return bytes;
}

/// Written by the first version: "yes" is "a", "no" is "b".
constexpr std::string_view version_1 =
    "4254584301000202120161016217104f8c81b4a93f000000000000f03f020000000000000000000000000000"
    "00000000000000000000c2c0aea40101f6cd9e0901be88c01801cffcc93901cbecf59102018ee4fd4501d3ad"
    "8b1d01ccff970a01c1cfbfeb0101dfd6940801dcb3bc4201d1f7924601c7f18eed0101e19ff70701c087abde"
    "0201b3f8efdc010195e8801701a8a68136010fe07a3b00907939070fe07a3b009079b907a09ef5f3837a827a"
    "3a43e7af0fea09ea09eae90c0deae90c0deae90ced0c0deae90c0dea0945c3c004b8c6cbca";

std::string from_hex(std::string_view digits) {
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out.push_back(static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1])));
  }
  return out;
}

}  // namespace

TEST_CASE("classifiers stored by the first version are read and predict what they did") {
  // When this fails, models in users' databases no longer mean what they meant: the cutting of
  // texts, their keys or the format have changed. Raise the format's version and keep the old way.
  const auto read = TextClassifier::deserialize(from_hex(version_1));
  REQUIRE(read.has_value());
  CHECK(read->serialize() == from_hex(version_1));
  CHECK(read->threshold() == 1);
  CHECK(read->predict("yes").label == "a");
  CHECK(read->predict("no").label == "b");
  CHECK(read->predict("yes").confidence == doctest::Approx(0.51543797).epsilon(1e-6));
  CHECK(read->predict("no").confidence == doctest::Approx(0.51547972).epsilon(1e-6));
  CHECK(read->predict("yes no").confidence == doctest::Approx(0.50134571).epsilon(1e-6));
}

TEST_CASE("a stored classifier predicts exactly as the original") {
  const TextClassifier original = trained();
  const std::string bytes = original.serialize();
  const auto read = TextClassifier::deserialize(bytes);
  REQUIRE(read.has_value());
  CHECK(read->serialize() == bytes);
  CHECK(read->threshold() == original.threshold());
  CHECK(read->cross_validation() == original.cross_validation());
  for (const char* text :
       {"my card", "refund", "", "zzz", "the new order of my password", "\xFF"}) {
    CHECK(read->top(text, 3) == original.top(text, 3));
  }
  // The threshold that was set is the one that is stored.
  const std::string other = original.with_threshold(0.125)->serialize();
  CHECK(TextClassifier::deserialize(other)->threshold() == 0.125);
}

TEST_CASE("damage to a stored classifier is always found") {
  const std::string bytes = trained().serialize();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    const auto read = TextClassifier::deserialize(damaged);
    REQUIRE_MESSAGE(!read.has_value(), at);
    REQUIRE(read.error().code == Code::corrupt);
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    REQUIRE(!TextClassifier::deserialize(std::string_view(bytes).substr(0, size)).has_value());
  }
  check_corrupt(TextClassifier::deserialize(bytes + "x"), "checksum");
  check_corrupt(TextClassifier::deserialize("{}"), "begin");
  check_corrupt(TextClassifier::deserialize(""), "begin");
  std::string newer = bytes;
  newer[4] = 2;
  check_corrupt(TextClassifier::deserialize(newer), "version is 2, newer");
}

TEST_CASE("damage under a checksum that fits is refused or harmless") {
  const std::string bytes = trained().serialize();
  CHECK(sealed(bytes) == bytes);
  int refused = 0, harmless = 0;
  for (std::size_t at = 6; at + 8 < bytes.size(); ++at) {
    for (const int value : {0, 1, 0x7F, 0x80, 0xFF}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(value);
      const auto read = TextClassifier::deserialize(sealed(damaged));
      ++(read ? harmless : refused);
      if (!read) {
        REQUIRE(read.error().code == Code::corrupt);
        continue;
      }
      for (const Prediction& one : read->top("my card, my refund", 5)) {
        REQUIRE(one.confidence >= 0);
        REQUIRE(one.confidence <= 1);
      }
    }
  }
  CHECK(refused > 100);
  CHECK(harmless > 100);
  for (std::size_t size = 14; size < bytes.size(); ++size) {
    REQUIRE(!TextClassifier::deserialize(sealed(bytes.substr(0, size))).has_value());
  }
  // Something between the weights and the checksum.
  std::string longer = bytes;
  longer.insert(bytes.size() - 8, 1, '\0');
  check_corrupt(TextClassifier::deserialize(sealed(longer)), "follows its end");
}
