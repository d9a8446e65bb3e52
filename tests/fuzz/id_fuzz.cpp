#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bureau/core/civil.hpp"
#include "bureau/core/id.hpp"
#include "bureau/core/json.hpp"
#include "bureau/core/money.hpp"
#include "fuzz_check.hpp"

namespace id = bureau::id;

/// The small texts of core/: ids, and with them times, dates, amounts and zones. What is accepted
/// is written back as a text of the same value.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view prefix = text.substr(0, text.find('_'));
  if (const auto value = id::from_text(prefix, text)) {
    FUZZ_CHECK(*value > 0);
    const std::string canonical = id::to_text(prefix, *value);
    FUZZ_CHECK(canonical.size() == text.size());
    FUZZ_CHECK(id::from_text(prefix, canonical).value() == *value);
    FUZZ_CHECK(id::node_of(*value) >= 0 && id::node_of(*value) < id::node_count);
  } else {
    FUZZ_CHECK(value.error().code == bureau::Code::invalid);
  }
  if (const auto time = bureau::Timestamp::parse(text))
    FUZZ_CHECK(bureau::Timestamp::parse(time->to_string()).value() == *time);
  if (const auto date = bureau::CivilDate::parse(text)) {
    FUZZ_CHECK(bureau::CivilDate::parse(date->to_string()).value() == *date);
    FUZZ_CHECK(bureau::CivilDate::from_days(date->days()) == *date);
  }
  if (const auto money = bureau::Money::parse(text))
    FUZZ_CHECK(bureau::Money::parse(money->to_string()).value() == *money);
  if (const auto zone = bureau::Zone::find(text)) FUZZ_CHECK(zone->name() == text);
  return 0;
}
