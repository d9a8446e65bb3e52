#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "bureau/store/sqlite_storage.hpp"
#include "store/sqlite/commit_log.hpp"
#include "store/sqlite/side_files.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// Lets the writers of one storage share commits (docs/sqlite.md tells how). Thread-safe.
///
/// One thread at a time has the *turn*: the right to use the writer's connection. It runs what
/// waits, and passes the turn on to a thread whose closure must run there; whoever finds nothing
/// more to run commits for all, and passes the turn to the first who waits then.
class WriteQueue {
 public:
  struct Settings {
    Clock* clock = nullptr;
    LogSink log;
    Duration slow_write{};
    std::string path;
    std::function<void()> before_unlock;  ///< after a commit, with the turn and the lock file
    std::function<void(std::int64_t commit)> committed;  ///< after a commit, on any thread
  };
  WriteQueue(Connection& connection, CommitLog& commits, LockFile& lock_file, Settings settings);
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  Result<void> write(const WriteOptions& options, WriteClosure closure);
  /// They stand in the queue one behind the other, and so share commits as those of several threads
  /// do.
  void write_all(std::span<BatchedWrite> writes);
  /// Runs `work` on this thread while nobody writes here or in another process, with no
  /// transaction open.
  Result<void> run_alone(Monotonic deadline, FunctionRef<Result<void>()> work);
  /// Whether the outcome of an earlier commit is still unknown. run_alone() settles it, or fails.
  [[nodiscard]] bool is_unsettled() const { return unsettled_.load(std::memory_order_acquire); }
  /// The write that has the lock now, to be asked by any thread.
  struct Holder {
    bool any = false;
    CodeLocation where;
    Monotonic since;  ///< the lock was taken
    Monotonic begun;  ///< by this closure; a group's have one lock
  };
  [[nodiscard]] Holder holder() const;
  /// How many wait for their turn.
  [[nodiscard]] std::size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }
  /// The number of the last commit of another storage that a write here has met; 0: none.
  [[nodiscard]] std::int64_t others_commit() const {
    return others_commit_.load(std::memory_order_acquire);
  }

 private:
  struct Ticket;

  Ticket& new_ticket();
  Result<void> refuse_nested(const WriteOptions& options) const;
  Result<void> serve(Ticket& ticket);
  Result<void> enter(const WriteOptions* options, Monotonic deadline,
                     std::optional<WriteClosure> closure,
                     std::optional<FunctionRef<Result<void>()>> work);
  int await(Ticket& ticket);
  [[nodiscard]] tl::unexpected<Error> too_late() const;
  bool leave_queue(Ticket& ticket);
  static void signal(Ticket& ticket, int value);
  static void wake(Ticket& ticket);
  static void pass_to_front(const std::deque<Ticket*>& line);

  void proceed(Ticket& self);
  Ticket* next_to_run();
  bool claim();
  [[nodiscard]] bool is_group_full() const;
  [[nodiscard]] bool is_unsynced() const;
  [[nodiscard]] bool wants_more() const;
  enum class Gathered { more, enough, left };
  Gathered gather(Ticket& self);
  void run(Ticket& ticket);
  void run_work(Ticket& ticket);
  bool lock_file(Ticket& ticket);
  bool open_transaction(Ticket& ticket);
  void run_closure(Ticket& ticket);
  Result<void> call(Ticket& ticket, std::optional<Error>& doom);
  void undo_group();
  void end_transaction();
  void finish();
  void pass_turn();

  Connection& connection_;
  CommitLog& commits_;
  LockFile& lock_file_;
  Settings settings_;
  std::atomic<bool> unsettled_{false};
  std::atomic<std::int64_t> others_commit_{0};
  void show_holder(const CodeLocation& where, Monotonic begun);

  // What holder() tells. begun_ is 0 while the others change or nobody holds the lock.
  std::atomic<std::int64_t> begun_{0}, since_{0};
  std::atomic<const char*> file_{""}, function_{""};
  std::atomic<int> line_{0};

  std::mutex mutex_;  ///< guards what follows, up to the next comment
  std::deque<Ticket*> queue_;
  bool turn_taken_ = false;
  Ticket* gatherer_ = nullptr;  ///< of the open group; its thread waits in gather()
  std::vector<std::unique_ptr<Ticket>> tickets_;
  std::vector<Ticket*> spare_;
  std::atomic<std::size_t> queued_{0};      ///< queue_.size(), to be looked at without the mutex
  std::atomic<std::uint64_t> arrivals_{0};  ///< to gatherings
  std::atomic<std::size_t> waiting_{0};     ///< in queue_ and claimed_
  std::atomic<bool> committing_{false};

  // Belongs to whoever has the turn.
  std::deque<Ticket*> claimed_;    ///< taken from the queue, not run yet; the front runs next
  std::vector<Ticket*> members_;   ///< closures that succeeded in the open transaction
  std::deque<Ticket*> reruns_;     ///< to be run once more, alone
  std::vector<Ticket*> finished_;  ///< with their results, to be told
  bool alone_ = false;             ///< reruns are under way
  bool ran_exclusive_ = false;     ///< run_alone() work was done: it shares with nobody
  bool file_locked_ = false;
  bool asks_ = false;       ///< the write that runs is its thread's own
  bool committed_ = false;  ///< something was committed in this turn
  int careful_ = 0;         ///< so many closures more get a savepoint
  Monotonic group_began_;
  std::size_t group_size_ = 0;  ///< closures run since the group began
  std::size_t last_group_size_ = 0;
  Duration last_commit_took_{};
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
