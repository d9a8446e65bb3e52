#include "store/memory/key.hpp"

#include <bit>

BUREAU_BEGIN_NAMESPACE

namespace detail::memory {

namespace {
constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

/// Negative ones below the others, and the further from zero the lower.
std::uint64_t in_order(double number) {
  const auto bits = std::bit_cast<std::uint64_t>(number == 0 ? 0.0 : number);
  return (bits & sign_bit) != 0 ? ~bits : bits ^ sign_bit;
}
}  // namespace

void Key::add(const Value& value) {
  bytes_.push_back(static_cast<char>(value.kind()));
  switch (value.kind()) {
    case Value::Kind::null:
      return;
    case Value::Kind::integer:
      return add_number(static_cast<std::uint64_t>(value.as_integer()) ^ sign_bit);
    case Value::Kind::real:
      return add_number(in_order(value.as_real()));
    case Value::Kind::text:
    case Value::Kind::bytes:
      return add_text(value.as_text());
  }
}

void Key::add_number(std::uint64_t number) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(number >> (56 - 8 * i));
  bytes_.append(bytes, bytes + 8);
}

/// A zero is followed by 255, the end is two zeros: what goes on is behind what ends.
void Key::add_text(std::string_view text) {
  for (auto zero = text.find('\0'); zero != std::string_view::npos; zero = text.find('\0')) {
    bytes_.append(text.data(), text.data() + zero + 1);
    bytes_.push_back('\xff');
    text.remove_prefix(zero + 1);
  }
  bytes_.append(text.data(), text.data() + text.size());
  bytes_.push_back('\0');
  bytes_.push_back('\0');
}

}  // namespace detail::memory

BUREAU_END_NAMESPACE
