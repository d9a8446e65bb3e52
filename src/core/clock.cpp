#include "bureau/core/clock.hpp"

#include <algorithm>
#include <chrono>
#include <list>

BUREAU_BEGIN_NAMESPACE

namespace {

class SystemClock final : public Clock {
 public:
  Timestamp now() const override {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return Timestamp::from_micros(std::chrono::floor<Duration>(since_epoch).count());
  }

  Monotonic monotonic() const override {
    const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
    return {std::chrono::floor<Duration>(since_start)};
  }

  bool wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                  Monotonic deadline) override {
    if (monotonic() >= deadline) return false;
    // A far deadline would overflow the nanoseconds of steady_clock. Waking once a day for nothing
    // is within the contract.
    const auto at_most = monotonic() + std::chrono::hours(24);
    const auto until = std::min(deadline, at_most).since_start;
    condition.wait_until(lock, std::chrono::steady_clock::time_point(until));
    return monotonic() < deadline;
  }
};

}  // namespace

Clock& Clock::system() {
  // Leaked on purpose: threads may still ask for the time while statics are destroyed.
  static auto* const clock = new SystemClock;
  return *clock;
}

struct ManualClock::State {
  struct Waiter {
    std::mutex* mutex;
    std::condition_variable* condition;
    Monotonic deadline;
    /// How many advance() calls are about to touch mutex and condition.
    int pins = 0;
  };

  mutable std::mutex mutex;
  std::condition_variable unpinned;
  Timestamp now;
  Monotonic monotonic;
  std::list<Waiter> waiters;
};

ManualClock::ManualClock(Timestamp start) : state_(std::make_unique<State>()) {
  state_->now = start;
}

ManualClock::~ManualClock() = default;

Timestamp ManualClock::now() const {
  std::lock_guard guard(state_->mutex);
  return state_->now;
}

Monotonic ManualClock::monotonic() const {
  std::lock_guard guard(state_->mutex);
  return state_->monotonic;
}

std::size_t ManualClock::waiting() const {
  std::lock_guard guard(state_->mutex);
  return state_->waiters.size();
}

bool ManualClock::wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                             Monotonic deadline) {
  std::list<State::Waiter>::iterator self;
  {
    std::lock_guard guard(state_->mutex);
    if (state_->monotonic >= deadline) return false;
    self = state_->waiters.insert(state_->waiters.end(), {lock.mutex(), &condition, deadline});
  }
  // advance() takes lock's mutex before it notifies, so it cannot slip in between the registration
  // above and the wait.
  condition.wait(lock);
  // advance() may be about to use the caller's mutex and condition, which the caller may destroy
  // once this returns. It needs the mutex to get done, so it is given up meanwhile.
  lock.unlock();
  bool before_deadline = false;
  {
    std::unique_lock guard(state_->mutex);
    state_->unpinned.wait(guard, [&] { return self->pins == 0; });
    state_->waiters.erase(self);
    before_deadline = state_->monotonic < deadline;
  }
  lock.lock();
  return before_deadline;
}

void ManualClock::advance(Duration d) {
  std::vector<std::list<State::Waiter>::iterator> due;
  {
    std::lock_guard guard(state_->mutex);
    state_->now = state_->now + d;
    state_->monotonic = state_->monotonic + d;
    for (auto waiter = state_->waiters.begin(); waiter != state_->waiters.end(); ++waiter) {
      if (waiter->deadline > state_->monotonic) continue;
      ++waiter->pins;
      due.push_back(waiter);
    }
  }
  // Waiters lock their own mutex first and the clock's inside it; so the clock's is free here.
  for (const auto& waiter : due) {
    { std::lock_guard asleep(*waiter->mutex); }
    waiter->condition->notify_all();
  }
  std::lock_guard guard(state_->mutex);
  for (const auto& waiter : due) --waiter->pins;
  state_->unpinned.notify_all();
}

void ManualClock::step(Duration d) {
  std::lock_guard guard(state_->mutex);
  state_->now = state_->now + d;
}

BUREAU_END_NAMESPACE
