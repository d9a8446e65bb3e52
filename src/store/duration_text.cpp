#include "store/duration_text.hpp"

#include <array>
#include <charconv>

BUREAU_BEGIN_NAMESPACE

namespace detail {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t micros;
};

constexpr std::array units = std::to_array<Unit>({
    {"w", 604'800'000'000},
    {"d", 86'400'000'000},
    {"h", 3'600'000'000},
    {"m", 60'000'000},
    {"s", 1'000'000},
    {"ms", 1'000},
    {"us", 1},
});

}  // namespace

std::string duration_to_text(std::int64_t micros) {
  if (micros == 0) return "0s";
  std::string out;
  auto left = static_cast<std::uint64_t>(micros);
  if (micros < 0) {
    out = "-";
    left = 0 - left;  // also right for the smallest number
  }
  for (std::size_t i = 1; i < units.size(); ++i) {  // days are the largest that is written
    const auto size = static_cast<std::uint64_t>(units[i].micros);
    if (left < size) continue;
    out += std::to_string(left / size);
    out += units[i].name;
    left %= size;
  }
  return out;
}

std::optional<std::int64_t> duration_from_text(std::string_view text) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;  // kept negative, so that the smallest number fits
  std::size_t next_unit = 0;
  while (!text.empty()) {
    std::int64_t count = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), count);
    if (read.ec != std::errc() || text.front() == '-') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    std::size_t letters = 0;
    while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
    const std::string_view name = text.substr(0, letters);
    text.remove_prefix(letters);
    while (next_unit < units.size() && units[next_unit].name != name) ++next_unit;
    if (next_unit == units.size()) return std::nullopt;
    std::int64_t part = 0;
    if (__builtin_mul_overflow(count, -units[next_unit++].micros, &part) ||
        __builtin_add_overflow(total, part, &total))
      return std::nullopt;
  }
  if (negative) return total;
  if (total == INT64_MIN) return std::nullopt;
  return -total;
}

}  // namespace detail

BUREAU_END_NAMESPACE
