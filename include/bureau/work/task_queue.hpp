#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bureau/store/database.hpp"
#include "bureau/work/task_kind.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {
struct CallDoor;
}  // namespace detail

/// The worker's side of the tasks, over all tenants: claim, complete, give back, rescue. What an
/// Orchestrator is made of; a host that brings its own workers may use it directly. Thread-safe.
///
/// A lease belongs to a node, not to a task: one heartbeat keeps all of a node's leases, and a node
/// without leases writes none. A node is taken for dead when its lock is gone (known at once on the
/// same host), when its place was taken anew, or when its heartbeat stood still for two intervals
/// of the watcher's own monotonic clock; no wall clock decides.
class TaskQueue {
 public:
  struct Options {
    Duration heartbeat = std::chrono::seconds(5);
  };
  explicit TaskQueue(Database& database) : TaskQueue(database, Options{}) {}
  TaskQueue(Database& database, Options options);
  ~TaskQueue();

  struct ClaimOptions {
    std::string queue = "default";
    std::vector<std::string> kinds;  ///< empty: any
    std::uint64_t limit = 1;
    std::string agent;  ///< the name that the rows will show
  };
  /// Promotes what is due, then leases up to `limit` ready tasks to this node: of each tenant those
  /// of the best rank that no FlowRule holds back, of all tenants their shares. Best rank first.
  /// A power cut may take a lease of tasks of which none is external_unsafe: they are ready then.
  /// What was leased by a claim that answers `unknown_outcome`, rescue() gives back.
  Result<std::vector<Task>> claim(const ClaimOptions& options) { return claim(options, {}); }
  /// Makes `before` first, in the same commit where the storage can share one. Their results are
  /// set as by Database::write_all(); one that was not begun is left as it was.
  Result<std::vector<Task>> claim(const ClaimOptions& options, std::span<Database::Write> before);
  /// Lets tasks through that wait for others with their flow key though there is room: a claim
  /// looks for some ten times a second, this for more. Call about once every Options::heartbeat.
  /// Returns how many.
  Result<std::uint64_t> admit();
  /// Makes scheduled tasks that are due ready, and runs that have rested long enough; at most
  /// `limit` of each. Returns how many.
  Result<std::uint64_t> promote(std::uint64_t limit = 1000);

  /// What rests encrypted of a claimed task, opened; errors as Tasks::payload().
  Result<Json> payload(const Task& task) const;
  /// Its result as it is to rest: what a Completion of it takes.
  Result<Json> sealed(const Task& task, const Json& result) const;

  struct Completion {
    Id<Task> task;
    std::int64_t attempt = 0;
    Json result;
  };
  /// Ends the tasks in one commit. Those whose lease is gone (stale attempt, cancelled) are left
  /// alone: their ids are returned.
  Result<std::vector<Id<Task>>> complete(std::span<const Completion> completions);
  /// The same in the caller's transaction.
  Result<std::vector<Id<Task>>> complete(Transaction& transaction,
                                         std::span<const Completion> completions);
  /// Ends a task in the caller's transaction, so that its effects commit with it. `conflict` when
  /// the lease is gone, `cancelled` when its cancellation was asked for; the caller then must fail.
  Result<void> complete(Transaction& transaction, const Task& task, const Json& result);

  /// Ends an attempt that failed: scheduled again after the retry's pause, or dead; in_doubt for an
  /// unsafe effect whose outcome is unknown; cancelled when that was asked for. Returns what it
  /// became; `conflict` when the lease is gone.
  Result<TaskStatus> fail(const Task& task, const Error& error, const Retry& retry);
  /// Ends an attempt of whose step nobody knows what it did outside: in_doubt.
  Result<void> put_in_doubt(const Task& task, const Error& error);
  /// Hands leased tasks back that were not begun: ready again (after `pause`), with as many
  /// attempts left as before.
  Result<void> release(std::span<const Task> tasks, Duration pause = Duration(0),
                       Monotonic deadline = Monotonic::never());

  Result<void> progress(const Task& task, double fraction, std::string_view note);

  /// Keeps this node's leases. Call once every Options::heartbeat while tasks are leased.
  Result<void> heartbeat();
  /// Takes the tasks of nodes that died: ready again; dead when no attempt is left; in_doubt for an
  /// unsafe effect. And those that this node has by a claim of which it was not told. Call about
  /// once every Options::heartbeat. Returns how many were taken.
  Result<std::uint64_t> rescue();
  /// Those of this node's attempts whose cancellation was asked for, or whose lease is gone.
  struct Attempt {
    Id<Task> task;
    std::int64_t attempt = 0;
    friend bool operator==(const Attempt&, const Attempt&) = default;
  };
  Result<std::vector<Attempt>> interrupted(std::span<const Attempt> running);

  /// When the next scheduled task or resting run is due, a deadline passes or a pause ends; never()
  /// when there is none.
  Result<Timestamp> next_due();

  /// Counts what lost attempts had reserved of budgets as spent, and wakes runs that wait for room
  /// where there is some. Call about once every Options::heartbeat. Returns how many of both.
  Result<std::uint64_t> see_to_budgets();

  [[nodiscard]] Database& database() const { return database_; }
  /// By what calls that are answered later come back; closed with this object.
  [[nodiscard]] const std::shared_ptr<detail::CallDoor>& call_door() const { return call_door_; }
  [[nodiscard]] Duration heartbeat_interval() const { return options_.heartbeat; }

 private:
  struct Seen {
    std::int64_t generation = 0;
    std::int64_t beats = 0;
    Monotonic since;
  };
  Result<TaskStatus> end_attempt(const Task& task, const Error& error, const Retry& retry,
                                 bool doubtful);
  Result<bool> is_dead(Reader& reader, const Database::Node& own, std::int64_t node,
                       std::int64_t generation);
  Result<std::uint64_t> take_from(std::int64_t node, std::int64_t generation);
  void note_claim(const std::vector<Task>& tasks, bool is_known);
  Result<std::uint64_t> give_back_untold();

  Database& database_;
  Options options_;
  std::mutex seen_mutex_;
  std::map<std::int64_t, Seen> seen_;
  struct Flow;
  std::unique_ptr<Flow> flow_;
  std::shared_ptr<detail::CallDoor> call_door_;
};

/// How long the pause after this failed attempt (from 1) is. `random` only when the retry jitters.
[[nodiscard]] Duration retry_pause(const Retry& retry, std::int64_t attempt, Random& random);
/// And after one that failed with this code.
[[nodiscard]] Duration retry_pause(const Retry& retry, Code code, std::int64_t attempt,
                                   Random& random);

BUREAU_END_NAMESPACE
