#include "access/feed_subscription.hpp"

#include <unordered_map>

BUREAU_BEGIN_NAMESPACE

namespace {
using State = FeedSubscription::State;

/// Which thread waits for which subscription's callback to return. A callback that ends another's
/// subscription waits for that one's callback, which may wait for the first: whoever would close
/// such a circle is told so, and does not wait.
class Waits {
 public:
  /// False when the thread that calls `state` waits, directly or through others, for this one.
  bool begin(const State& state);
  void end() {
    const std::lock_guard lock(mutex_);
    waiting_.erase(std::this_thread::get_id());
  }
  static Waits& instance() {
    static Waits waits;
    return waits;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::thread::id, const State*> waiting_;
};
bool Waits::begin(const State& state) {
  const std::lock_guard lock(mutex_);
  const std::thread::id self = std::this_thread::get_id();
  for (const State* at = &state;;) {
    const std::thread::id runner = at->runner.load();
    if (runner == self) return false;
    const auto next = waiting_.find(runner);
    if (next == waiting_.end()) break;
    at = next->second;
  }
  waiting_[self] = &state;
  return true;
}
}  // namespace

bool FeedSubscription::State::claim() {
  const std::lock_guard lock(mutex);
  if (busy || ended) return false;
  busy = true;
  runner = std::this_thread::get_id();
  return true;
}

void FeedSubscription::State::release() {
  Feed::Callback dead;  // destroyed without the lock: it may own anything
  {
    const std::lock_guard lock(mutex);
    busy = false;
    runner = std::thread::id();
    if (ended) dead = std::move(callback);
  }
  idle.notify_all();
}

void FeedSubscription::State::end() {
  Feed::Callback dead;
  std::unique_lock lock(mutex);
  ended = true;
  listen(false);
  if (busy && runner == std::this_thread::get_id()) return;  // release() does the rest
  if (busy) {
    if (!Waits::instance().begin(*this)) return;
    idle.wait(lock, [&] { return !busy; });
    Waits::instance().end();
  }
  dead = std::move(callback);
  lock.unlock();
}

void FeedSubscription::State::listen(bool on) {
  if (listens.exchange(on) == on) return;
  if (!on) {
    signals->listening.fetch_sub(1);
    return;
  }
  signals->listening.fetch_add(1);
  if (ended) listen(false);
}

FeedSubscription& FeedSubscription::operator=(FeedSubscription&& other) noexcept {
  if (this != &other) {
    end();
    state_ = std::move(other.state_);
  }
  return *this;
}
void FeedSubscription::end() noexcept {
  if (state_) state_->end();
}
bool FeedSubscription::active() const { return state_ && !state_->ended; }
std::int64_t FeedSubscription::position() const { return state_ ? state_->position.load() : 0; }

BUREAU_END_NAMESPACE
