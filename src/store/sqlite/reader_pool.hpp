#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "store/sqlite/connection.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// Connections that read, opened when first needed and used by one thread at a time. Thread-safe.
class ReaderPool {
 public:
  explicit ReaderPool(const SqliteOptions& options);

  /// Runs the closure on a snapshot. `deadline` when no connection was free by then.
  Result<void> read(Monotonic deadline, ReadClosure closure);
  /// The newest commit in `bureau_commits`; zeros: there is none.
  struct Commit {
    std::int64_t number = 0, writer = 0;
  };
  Result<Commit> newest_commit(Monotonic deadline);
  /// How many reads run now.
  [[nodiscard]] int running() const;
  /// And how long the oldest of them has run; zero when there is none.
  [[nodiscard]] Duration longest() const;

 private:
  Result<Connection*> take(Monotonic deadline);
  Connection* note(Connection* connection);
  void give_back(Connection* connection);

  SqliteOptions options_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Connection>> all_;
  std::vector<Connection*> free_;  ///< the last used is the next to be used: its cache is warm
  std::vector<std::pair<Connection*, Monotonic>> active_;  ///< since when each reads
  int running_ = 0;
  int waiting_ = 0;
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
