#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bureau/core/json.hpp"
#include "fuzz_check.hpp"

using bureau::Json;

/// What is accepted has a canonical text that is read back as the same value; what is refused says
/// why, in few words.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = Json::parse(text);
  if (!json) {
    FUZZ_CHECK(json.error().code == bureau::Code::invalid);
    FUZZ_CHECK(json.error().message.size() < 300);
    FUZZ_CHECK(bureau::is_valid_text(json.error().message));
    return 0;
  }
  FUZZ_CHECK(bureau::is_valid_text(text));
  const std::string canonical = json->dump();
  const auto again = Json::parse(canonical);
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(*again == *json);
  FUZZ_CHECK(again->dump() == canonical);
  // What is canonical has a reader of its own; a space before it makes it the general parser's.
  const auto other = Json::parse(" " + canonical);
  FUZZ_CHECK(other.has_value());
  FUZZ_CHECK(*other == *again);
  return 0;
}
