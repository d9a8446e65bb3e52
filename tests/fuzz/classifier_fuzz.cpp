#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bureau/ai/text_classifier.hpp"
#include "fuzz_check.hpp"

using bureau::TextClassifier;

/// Stored classifiers: what is accepted survives another round and predicts probabilities;
/// what is refused is `corrupt`. The input lacks the checksum, which no fuzzer would guess.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  std::uint64_t sum = 14695981039346656037U;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211U;
  for (unsigned i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(sum >> (8 * i)));

  const auto read = TextClassifier::deserialize(bytes);
  if (!read) {
    FUZZ_CHECK(read.error().code == bureau::Code::corrupt);
    FUZZ_CHECK(read.error().message.size() < 300);
    return 0;
  }
  const auto again = TextClassifier::deserialize(read->serialize());
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(again->serialize() == read->serialize());
  const std::string_view text = std::string_view(bytes).substr(0, 200);
  FUZZ_CHECK(again->top(text, 3) == read->top(text, 3));
  for (const auto& one : read->top(text, 3)) {
    FUZZ_CHECK(one.confidence >= 0 && one.confidence <= 1);
    FUZZ_CHECK(!one.label.empty());
  }
  return 0;
}
