#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "bureau/core/random.hpp"
#include "store/postgres/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// Connections that are used by one thread at a time, made when they are first needed.
/// Thread-safe. Must outlive its leases.
class Pool {
 public:
  enum class Use { read, write };

  /// A connection on loan; given back at the end unless it broke.
  class Lease {
   public:
    Lease(Pool& pool, Use use, std::unique_ptr<Connection> connection)
        : pool_(&pool), use_(use), connection_(std::move(connection)) {}
    Lease(Lease&& other) noexcept
        : pool_(other.pool_), use_(other.use_), connection_(std::move(other.connection_)) {
      other.pool_ = nullptr;
    }
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    [[nodiscard]] Connection& connection() const { return *connection_; }
    /// A new connection instead of one that broke. The idle ones are let go of too: what broke this
    /// one broke them. When there is none to be had the lease keeps the broken one.
    Result<void> renew(Monotonic deadline);

   private:
    friend class Pool;
    Result<void> open(Monotonic deadline);
    Pool* pool_;
    Use use_;
    std::unique_ptr<Connection> connection_;
  };

  /// Of at most `size` connections a quarter is for reads only, so that writes can always read.
  /// `reborn` is called when a connection meets another incarnation of the server than the one
  /// before, and before that connection is used.
  Pool(const Settings& settings, int size, Random& random, std::function<void()> reborn);

  /// `deadline` when all were in use until then.
  Result<Lease> take(Use use, Monotonic deadline);
  /// Opens a connection that does not count, for what must not wait for others.
  Result<std::unique_ptr<Connection>> open_extra(Monotonic deadline);
  void drop_idle();
  [[nodiscard]] int writers_max() const { return writers_max_; }
  /// How many are in use for reads, and wait for one to write.
  [[nodiscard]] int reading() const;
  [[nodiscard]] int waiting_writers() const;

 private:
  [[nodiscard]] bool has_room(Use use) const;
  void give_back(Use use, std::unique_ptr<Connection> connection);

  Result<std::unique_ptr<Connection>> open(Monotonic deadline);

  const Settings& settings_;
  Random& random_;
  int size_, writers_max_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Connection>> idle_;  ///< the last used is the next to be used
  int in_use_ = 0, writing_ = 0, waiting_writers_ = 0;
  std::function<void()> reborn_;
  std::mutex incarnation_mutex_;
  bool met_ = false;
  std::optional<std::int64_t> incarnation_;  ///< of the server, as the last connection met it
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
