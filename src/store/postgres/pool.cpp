#include "store/postgres/pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "store/interruptible_wait.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

Pool::Pool(const Settings& settings, int size, Random& random, std::function<void()> reborn)
    : settings_(settings),
      random_(random),
      size_(size),
      writers_max_(size - std::max(1, size / 4)),
      reborn_(std::move(reborn)) {}

Pool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->give_back(use_, std::move(connection_));
}

Result<void> Pool::Lease::renew(Monotonic deadline) {
  pool_->drop_idle();
  return open(deadline);
}

Result<void> Pool::Lease::open(Monotonic deadline) {
  BUREAU_TRY(connection_, pool_->open(deadline));
  return {};
}

bool Pool::has_room(Use use) const {
  return in_use_ < size_ && (use == Use::read || writing_ < writers_max_);
}

Result<Pool::Lease> Pool::take(Use use, Monotonic deadline) {
  const bool writes = use == Use::write;
  std::unique_lock lock(mutex_);
  waiting_writers_ += writes ? 1 : 0;
  while (!has_room(use)) {
    if (wait_interruptibly(lock, freed_, *settings_.clock, deadline) || has_room(use)) continue;
    waiting_writers_ -= writes ? 1 : 0;
    return fail(Code::deadline,
                fmt::format("{}: all connections ({}, of which {} may write) were in use until the "
                            "deadline",
                            settings_.where, size_, writers_max_));
  }
  waiting_writers_ -= writes ? 1 : 0;
  ++in_use_;
  writing_ += writes ? 1 : 0;
  std::unique_ptr<Connection> connection;
  if (!idle_.empty()) {
    connection = std::move(idle_.back());
    idle_.pop_back();
  }
  lock.unlock();
  Lease lease(*this, use, std::move(connection));  // counts are given back if opening fails
  if (lease.connection_ == nullptr) {
    BUREAU_TRY_VOID(lease.open(deadline));
  }
  return lease;
}

Result<std::unique_ptr<Connection>> Pool::open(Monotonic deadline) {
  BUREAU_TRY(auto connection, Connection::open(settings_, deadline));
  connection->keep_alive();
  connection->learn_incarnation(static_cast<std::int64_t>(random_.next() >> 1U), deadline);
  if (connection->is_broken()) return connection;
  // A standby has none that could be known.
  const std::lock_guard lock(incarnation_mutex_);
  const bool is_another = met_ && incarnation_ != connection->incarnation();
  met_ = true;
  incarnation_ = connection->incarnation();
  if (is_another) {
    drop_idle();
    reborn_();
  }
  return connection;
}

Result<std::unique_ptr<Connection>> Pool::open_extra(Monotonic deadline) { return open(deadline); }

void Pool::give_back(Use use, std::unique_ptr<Connection> connection) {
  // The others lead to where this one led: each would be waited for in turn.
  if (connection != nullptr && connection->is_broken() && connection->leads_nowhere()) drop_idle();
  {
    const std::lock_guard lock(mutex_);
    --in_use_;
    writing_ -= use == Use::write ? 1 : 0;
    if (connection != nullptr && !connection->is_broken()) idle_.push_back(std::move(connection));
  }
  freed_.notify_all();  // readers and writers wait for different things
}

void Pool::drop_idle() {
  std::vector<std::unique_ptr<Connection>> dropped;
  const std::lock_guard lock(mutex_);
  dropped.swap(idle_);
}

int Pool::reading() const {
  const std::lock_guard lock(mutex_);
  return in_use_ - writing_;
}

int Pool::waiting_writers() const {
  const std::lock_guard lock(mutex_);
  return waiting_writers_;
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
