#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "store/sqlite/write_queue.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// One call that waits for its turn and then for its outcome. Kept and used again, so that a late
/// notification never meets freed memory.
struct WriteQueue::Ticket {
  /// What its thread is told. `soon`: another's closure runs, and this thread's is next; it is
  /// awake by then, so that the turn need not wait for the scheduler.
  enum Signal : int { nothing, soon, turn, done };

  std::optional<WriteClosure> closure;
  std::optional<FunctionRef<Result<void>()>> work;  ///< of run_alone()
  const WriteOptions* options = nullptr;
  bool portable = false;
  bool may_be_lost = false;
  /// Through which its thread is given the turn: of writes that one thread makes together, the last
  /// one, for which the thread waits.
  Ticket* voice = this;
  bool is_batched = false;
  Monotonic deadline;
  bool careful = false;  ///< changes with a sink need savepoints: run again for that
  Result<void> result;
  std::atomic<int> signal{nothing};
  std::mutex mutex;
  std::condition_variable condition;

  [[nodiscard]] bool is_timed() const { return deadline != Monotonic::never(); }
  [[nodiscard]] bool is_portable() const { return closure && portable; }
};

/// The closures that this thread is running now, the innermost first: a write inside one of the
/// same storage would wait for itself.
struct Running {
  const WriteQueue* queue;
  Running* outer;
};
inline thread_local Running* running = nullptr;

inline bool runs_here(const WriteQueue* queue) {
  for (const Running* one = running; one != nullptr; one = one->outer) {
    if (one->queue == queue) return true;
  }
  return false;
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
