#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "bureau/store/database.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

struct AsyncWriteJob {
  WriteOptions options;
  Attribution attribution;
  Database::AsyncClosure closure;
  Database::AsyncDone done;
};

/// The writes that Database::write_async() was given and that have not been told of. Thread-safe.
///
/// One thread at a time makes them, many in one call of the storage, and tells of each in order.
/// Nothing is locked while closures and callbacks run.
class AsyncWrites {
 public:
  using Job = AsyncWriteJob;
  /// Makes the jobs and sets the outcome of each.
  using Make = std::function<std::vector<Result<void>>(std::span<const Job>)>;
  AsyncWrites(std::size_t most, LogSink log) : most_(most), log_(std::move(log)) {}
  ~AsyncWrites() { close(); }

  void on_work(std::function<void()> wake);
  Result<void> add(Job job);
  /// Makes what is there. True when there is more to do at once.
  bool run(const Make& make);
  /// Runs until nothing is left or `deadline` has come, then closes.
  Result<void> finish(const Make& make, Clock& clock, Monotonic deadline);
  /// Takes nothing more; what was not begun is told that it is cancelled.
  void close();
  [[nodiscard]] std::size_t pending() const { return pending_.load(std::memory_order_acquire); }

 private:
  [[nodiscard]] bool claim();
  void release();
  bool make_some(const Make& make);
  void tell(const Job& job, Result<void> outcome);

  const std::size_t most_;
  const LogSink log_;
  std::mutex wake_mutex_;
  std::function<void()> wake_;
  std::atomic<std::size_t> pending_{0};  // not told of yet

  std::mutex mutex_;
  std::condition_variable idle_;
  std::deque<Job> queue_;
  bool closed_ = false;
  bool busy_ = false;
  std::thread::id runner_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
