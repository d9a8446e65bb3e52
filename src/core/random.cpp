#include "bureau/core/random.hpp"

#include <sodium.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

BUREAU_BEGIN_NAMESPACE

namespace {

class SystemRandom final : public Random {
 public:
  SystemRandom() {
    // It fails only where the system has no source of randomness at all; keys made without one
    // would be worse than stopping.
    if (sodium_init() < 0) std::abort();
  }
  void fill(std::span<std::byte> out) override { randombytes_buf(out.data(), out.size()); }
};

}  // namespace

std::uint64_t Random::next() {
  std::array<std::byte, 8> bytes{};
  fill(bytes);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

std::uint64_t Random::below(std::uint64_t bound) {
  if (bound < 2) return 0;
  // The first 2^64 mod bound values would make the low results likelier.
  const std::uint64_t biased = (0 - bound) % bound;
  std::uint64_t value = next();
  while (value < biased) value = next();
  return value % bound;
}

double Random::unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

Random& Random::system() {
  static auto* const random = new SystemRandom;
  return *random;
}

// xoshiro256**, seeded by splitmix64 (Blackman and Vigna).

SeededRandom::SeededRandom(std::uint64_t seed) {
  for (auto& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    std::uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    word = z ^ (z >> 31);
  }
}

void SeededRandom::fill(std::span<std::byte> out) {
  std::lock_guard guard(mutex_);
  auto& s = state_;
  while (!out.empty()) {
    std::uint64_t word = std::rotl(s[1] * 5, 7) * 9;
    const std::uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = std::rotl(s[3], 45);
    // The last word may be used in part; what is left of it is dropped.
    const std::size_t count = std::min<std::size_t>(out.size(), 8);
    for (std::size_t i = 0; i < count; ++i, word >>= 8) out[i] = static_cast<std::byte>(word);
    out = out.subspan(count);
  }
}

BUREAU_END_NAMESPACE
