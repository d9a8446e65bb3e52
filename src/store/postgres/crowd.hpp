#pragma once

#include <condition_variable>
#include <mutex>

#include "bureau/core/clock.hpp"
#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// How many transactions of this process write at a time. Of those that meet each other one is run
/// again, so that with many on few rows most work is thrown away. As a sender in a network finds
/// how much it takes (Chiu and Jain, "Analysis of the increase and decrease algorithms for
/// congestion avoidance", 1989): one more is let in for each that met nobody, half as many for each
/// that did. Thread-safe.
class Crowd {
 public:
  /// One of those let in; goes out with the object.
  class Place {
   public:
    explicit Place(Crowd& crowd) : crowd_(&crowd) {}
    Place(Place&& other) noexcept : crowd_(other.crowd_) { other.crowd_ = nullptr; }
    Place& operator=(Place&&) = delete;
    ~Place();

   private:
    Crowd* crowd_;
  };

  /// At first as many are let in as come. With `most` and more there is no limit.
  Crowd(Clock& clock, int most) : clock_(clock), most_(most), room_(most) {}

  /// `deadline` when there was no room until then.
  Result<Place> enter(Monotonic deadline);
  void met_nobody();
  void met_another();
  [[nodiscard]] int room() const;

 private:
  Clock& clock_;
  const int most_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  int room_;
  int inside_ = 0;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
