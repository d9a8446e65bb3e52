#pragma once

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "bureau/store/value.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail::memory {

/// Values as bytes whose order, that of memcmp, is the order of the values one after the other.
/// Each value ends by itself: the bytes of one never begin those of another, so that the keys
/// which begin with the bytes of some values are those whose first values are these.
class Key {
 public:
  Key() = default;
  explicit Key(std::span<const Value> values) {
    for (const Value& value : values) add(value);
  }

  void add(const Value& value);
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  void add_number(std::uint64_t number);
  void add_text(std::string_view text);

  fmt::basic_memory_buffer<char, 120> bytes_;
};

}  // namespace detail::memory

BUREAU_END_NAMESPACE
