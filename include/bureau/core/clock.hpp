#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE

/// A point on a clock that never steps: only differences mean something, and only within a process.
struct Monotonic {
  Duration since_start{0};
  friend constexpr auto operator<=>(const Monotonic&, const Monotonic&) = default;
  [[nodiscard]] static constexpr Monotonic never() { return {Duration::max()}; }
  /// Saturates: never() plus anything is never().
  friend constexpr Monotonic operator+(Monotonic m, Duration d) {
    if (m == never() || (d.count() > 0 && m.since_start > Duration::max() - d)) return never();
    return {m.since_start + d};
  }
  friend constexpr Duration operator-(Monotonic a, Monotonic b) {
    return a.since_start - b.since_start;
  }
};

/// The only source of time, and the owner of waiting, so that a manual clock can wake sleepers.
/// Thread-safe. Must outlive everything that was given it.
class Clock {
 public:
  virtual ~Clock() = default;

  /// The time of day. It may step in either direction.
  [[nodiscard]] virtual Timestamp now() const = 0;
  /// A clock that only goes forward.
  [[nodiscard]] virtual Monotonic monotonic() const = 0;

  /// Waits on `condition` (whose mutex `lock` holds) until it is notified or `deadline` is reached;
  /// may wake spuriously, so callers loop over their own predicate. Returns false once the deadline
  /// has been reached.
  virtual bool wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                          Monotonic deadline) = 0;

  /// The process's clock. Never destroyed.
  [[nodiscard]] static Clock& system();
};

/// A clock that stands still until told to move; moving it wakes those whose deadline it passed.
/// For tests and simulations.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Timestamp start = Timestamp::from_micros(1'760'000'000'000'000));
  ~ManualClock() override;

  [[nodiscard]] Timestamp now() const override;
  [[nodiscard]] Monotonic monotonic() const override;
  bool wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                  Monotonic deadline) override;

  /// Moves both clocks forward by `d`. Every waiter whose deadline it passes is awake, or on its
  /// way, when this returns. REQUIRES: `d` is not negative; the calling thread holds no mutex that
  /// somebody waits with on this clock (others are fine).
  void advance(Duration d);
  /// Steps the time of day alone, in either direction, as an administrator or NTP would.
  void step(Duration d);
  /// How many threads wait now; lets a test know that a worker has gone to sleep.
  [[nodiscard]] std::size_t waiting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

BUREAU_END_NAMESPACE
