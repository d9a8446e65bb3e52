#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "bureau/core/random.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "store/postgres/crowd.hpp"
#include "store/postgres/journal_order.hpp"
#include "store/postgres/pool.hpp"
#include "store/postgres/transaction_writer.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

/// Runs closures that write, each in a transaction of its own, again where another got in its way.
/// Thread-safe.
///
/// The more of them meet each other, the fewer run at a time. Whoever met a conflict twice takes a
/// lane in which one of this process runs at a time. Whoever met more keeps all others out, in all
/// processes, so that it comes to its end however many there are.
class Writes {
 public:
  struct Settings {
    std::string_view commits;  ///< what synchronous_commit is to be; empty: as it is
    LogSink log;
    Random* random = nullptr;
    Duration slow_write{};
    /// After a transaction that has written or drawn has ended; whether it was committed.
    std::function<void(bool committed, bool drew)> ended;
  };
  Writes(Pool& pool, JournalOrder& order, Clock& clock, Settings settings)
      : pool_(pool),
        order_(order),
        clock_(clock),
        settings_(std::move(settings)),
        crowd_(clock, pool.writers_max()) {}

  Result<void> run(const WriteOptions& options, WriteClosure closure);

 private:
  enum class Next { done, run_carefully, run_after_conflict, run_after_loss };
  struct Attempt {
    Next next = Next::done;
    Result<void> result = {};
  };
  class Lane;

  Attempt attempt(const WriteOptions& options, WriteClosure closure, WriteMode mode);
  Attempt end(Pool::Lease& lease, TransactionWriter& writer, const WriteOptions& options,
              Result<void> answer);
  Attempt commit(Connection& connection, TransactionWriter& writer, const WriteOptions& options);
  void roll_back(Connection& connection, const TransactionWriter& writer);
  /// A commit that was not answered.
  struct Unanswered {
    std::int64_t xid = 0;
    std::optional<std::int64_t> incarnation;  ///< of the server that it was sent to
    bool drew = false;
  };
  enum class Fate { committed, aborted, in_progress, unknowable };
  Attempt settle(Error lost, const Unanswered& commit, Monotonic until);
  [[nodiscard]] Result<Fate> ask_fate(const Unanswered& commit, Monotonic until);
  void pause(Monotonic until);
  void note_slow(const WriteOptions& options, Monotonic begun) const;

  Pool& pool_;
  JournalOrder& order_;
  Clock& clock_;
  Settings settings_;
  Crowd crowd_;
  std::mutex mutex_;
  std::condition_variable freed_;
  bool lane_taken_ = false;
};

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
