#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Those who want to hear of commits. Thread-safe. A subscription that has ended is not called any
/// more: its end waits for a call that is under way.
class CommitHints : public std::enable_shared_from_this<CommitHints> {
 public:
  Subscription subscribe(std::function<void()> hint) {
    const std::lock_guard guard(mutex_);
    const int key = next_++;
    hints_.emplace(key, std::move(hint));
    return Subscription(std::shared_ptr<void>(
        nullptr, [self = shared_from_this(), key](void*) { self->end(key); }));
  }
  void call() {
    const std::lock_guard guard(mutex_);
    for (const auto& [key, hint] : hints_) hint();
  }

 private:
  void end(int key) {
    const std::lock_guard guard(mutex_);
    hints_.erase(key);
  }
  std::mutex mutex_;
  std::map<int, std::function<void()>> hints_;
  int next_ = 0;
};

}  // namespace detail
BUREAU_END_NAMESPACE
