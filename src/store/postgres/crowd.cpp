#include "store/postgres/crowd.hpp"

#include <algorithm>

#include "store/interruptible_wait.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

Crowd::Place::~Place() {
  if (crowd_ == nullptr) return;
  const std::lock_guard lock(crowd_->mutex_);
  --crowd_->inside_;
  crowd_->freed_.notify_one();
}

Result<Crowd::Place> Crowd::enter(Monotonic deadline) {
  std::unique_lock lock(mutex_);
  const auto full = [this] { return room_ < most_ && inside_ >= room_; };
  while (full()) {
    if (!wait_interruptibly(lock, freed_, clock_, deadline) && full()) {
      return fail(Code::deadline, "the deadline passed behind other writes");
    }
  }
  ++inside_;
  return Place(*this);
}

void Crowd::met_nobody() {
  const std::lock_guard lock(mutex_);
  if (room_ == most_) return;
  ++room_;
  freed_.notify_one();
}

void Crowd::met_another() {
  const std::lock_guard lock(mutex_);
  room_ = std::max(1, room_ / 2);
}

int Crowd::room() const {
  const std::lock_guard lock(mutex_);
  return room_;
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
