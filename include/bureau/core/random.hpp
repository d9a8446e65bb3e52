#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE

/// The only source of randomness: keys, jitter, node choice. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::byte> out) = 0;

  [[nodiscard]] std::uint64_t next();
  /// Uniform in [0, bound); bound > 0. No modulo bias.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1).
  [[nodiscard]] double unit();

  /// The operating system's randomness, through libsodium. Never destroyed.
  [[nodiscard]] static Random& system();
};

/// The same bytes for the same seed, on every machine and in every version. For tests and
/// simulations; not for keys.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed);
  void fill(std::span<std::byte> out) override;

 private:
  std::mutex mutex_;
  std::array<std::uint64_t, 4> state_;
};

BUREAU_END_NAMESPACE
