#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "bureau/core/cron.hpp"
#include "fuzz_check.hpp"

namespace {

using bureau::CronExpression;
using bureau::Timestamp;

/// Where clocks are set by an hour, by half of one, by a day.
const bureau::Zone& zone(std::size_t which) {
  static const bureau::Zone zones[] = {bureau::Zone(),
                                       bureau::Zone::find("America/New_York").value(),
                                       bureau::Zone::find("Australia/Lord_Howe").value(),
                                       bureau::Zone::find("Pacific/Apia").value()};
  return zones[which % 4];
}

/// What next() finds is later and a whole second, and nothing lies between it and where it was
/// asked from.
void check_occurrences(const CronExpression& cron, Timestamp at, const bureau::Zone& zone) {
  for (int i = 0; i < 10; ++i) {
    const auto next = cron.next(at, zone);
    if (!next) return;
    FUZZ_CHECK(*next > at && next->micros() % 1'000'000 == 0);
    FUZZ_CHECK(cron.next(*next - bureau::Duration(1), zone) == next);
    const auto middle = Timestamp::from_micros(at.micros() / 2 + next->micros() / 2);
    if (middle > at && middle < *next) FUZZ_CHECK(cron.next(middle, zone) == next);
    at = *next;
  }
}

}  // namespace

/// Eight bytes of a moment, then the text. An accepted text is written in one form, which is read
/// back to the same value.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::int64_t micros = 0;
  for (int i = 0; i < 8 && size > 0; ++i, ++data, --size)
    micros = static_cast<std::int64_t>(static_cast<std::uint64_t>(micros) << 8 | *data);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto days : {CronExpression::Days::either, CronExpression::Days::both}) {
    const auto cron = CronExpression::parse(text, days);
    if (!cron) {
      FUZZ_CHECK(cron.error().code == bureau::Code::invalid && !cron.error().message.empty());
      continue;
    }
    const auto again = CronExpression::parse(cron->to_string(), days);
    FUZZ_CHECK(again.has_value() && *again == *cron && again->to_string() == cron->to_string());
    check_occurrences(*cron, Timestamp::from_micros(micros),
                      zone(static_cast<std::size_t>(micros & 3)));
  }
  return 0;
}
