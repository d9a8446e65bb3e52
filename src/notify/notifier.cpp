#include "bureau/notify/notifier.hpp"

#include <fmt/format.h>

#include <ostream>

BUREAU_BEGIN_NAMESPACE

ConsoleNotifier::ConsoleNotifier(std::ostream& stream)
    : line_([&stream](std::string_view line) -> Result<void> {
        stream << line << '\n' << std::flush;
        if (stream) return {};
        return fail(Code::unavailable, "console: the stream cannot be written to");
      }) {}

Result<Receipt> ConsoleNotifier::deliver(const Delivery& delivery) {
  std::string line =
      fmt::format("{} {} {}: {}", delivery.created_at.to_string(),
                  delivery.name.empty() ? "-" : delivery.name, delivery.event, delivery.title);
  if (!delivery.body.empty()) line += " - " + delivery.body;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    if (byte < 0x20 || byte == 0x7F) line[i] = ' ';
    // U+0080 to U+009F are control characters too: 0xC2 and 0x80 to 0x9F.
    if (byte == 0xC2 && i + 1 < line.size() && static_cast<unsigned char>(line[i + 1]) < 0xA0) {
      line[i] = line[i + 1] = ' ';
    }
  }
  std::lock_guard lock(mutex_);
  BUREAU_TRY_VOID(line_(line));
  return Receipt{ReceiptStatus::sent, {}, {}};
}

BUREAU_END_NAMESPACE
