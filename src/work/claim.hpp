#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bureau/work/task_queue.hpp"
#include "work/flow.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// Where the round of the tenants goes on.
struct TenantTurn {
  std::int64_t tenant = 0;
  std::int64_t left = 0;  ///< of its turn
  /// How many of a tenant's tasks are read with the first: as many as it got the last time.
  std::uint64_t ahead = 1;
  /// The only tenant that the last claim which found any found, and the kind of its first lane: of
  /// them the next claim asks at once what it will ask of whom it finds. 0: there were several.
  std::int64_t alone = 0;
  std::string kind = {};
};

/// Leases up to `options.limit` ready tasks of a queue to the node. Of all that are ready, each
/// tenant gets its share of the batch by weight; of each tenant's, those of the best rank that no
/// rule holds back.
///
/// The index of what is ready has a lane for each queue, tenant and kind. Lanes that a rule holds
/// back are stepped over, whatever their length. A task that its flow key holds back is met once:
/// its gate is closed, which takes it out of the lane, until a lease of its key ends (admit_next)
/// or there is room for another reason (admit). So a claim costs what it takes, and a step for each
/// lane.
class Claim {
 public:
  Claim(Transaction& tx, const TaskQueue::ClaimOptions& options, Database::Node node,
        TenantTurn turn)
      : tx_(tx),
        options_(options),
        node_(node),
        turn_(turn),
        flow_(tx.reader()),
        remote_(tx.database().storage().capabilities().remote),
        kinds_(options.kinds) {
    std::sort(kinds_.begin(), kinds_.end());
  }

  /// Reads what the claim begins with, behind what `scans` ask for, in one turn. To be called
  /// again when something was made ready since.
  Result<void> look(std::vector<Scan> scans);
  /// REQUIRES: look() was called.
  Result<std::vector<Task>> run();
  /// Whose turn the next claim of the queue begins with.
  [[nodiscard]] TenantTurn turn() const { return turn_; }
  /// It closed so many gates that it left off: there may be more to take.
  [[nodiscard]] bool left_off() const { return held_.size() >= held_at_once; }

 private:
  static constexpr std::size_t held_at_once = 1000;

  struct Lane {
    std::string kind;
    std::vector<Task> tasks;  // read, the best first
    std::size_t next = 0;     // of them
    bool more = true;         // there may be more in the index
  };
  struct Party {
    Id<Tenant> tenant;
    TenantFlow flow;
    std::vector<Lane> lanes;
    std::int64_t weight = 1;
    std::string first_kind;  // of its lanes, whether or not something may be taken from it
    bool more = true;
  };

  /// What is read of a tenant that comes next, whose first lane has tasks of that kind.
  struct Beside {
    std::vector<Task> next_tenant;  // the first tasks of the tenant after it
    std::vector<Task> next_lane;    // of its second lane
    bool works = true;
    std::int64_t weight = 1;
  };

  /// The first tasks of one lane.
  struct Lead {
    std::vector<Task>& tasks;
    Result<bool> operator()(std::span<const Value> row) const;
  };

  [[nodiscard]] std::uint64_t ahead() const;
  [[nodiscard]] Predicate in_lane(Id<Tenant> tenant) const;
  [[nodiscard]] const std::string* next_kind(std::string_view after) const;
  [[nodiscard]] Select first_of_tenants(std::int64_t after, std::int64_t last) const;
  [[nodiscard]] std::optional<Select> next_lane(Id<Tenant> tenant, std::string_view kind) const;
  [[nodiscard]] std::int64_t start() const;
  Result<Beside> read_beside(std::vector<Scan> before, Id<Tenant> tenant, std::string_view kind,
                             std::int64_t last);
  Result<void> gather();
  Result<void> add_party(std::int64_t last);
  Result<void> add_lanes(Party& party, std::vector<Task> next);
  Result<void> add_lane(Party& party, std::vector<Task> first, bool more);
  Result<void> read_weights();

  Result<void> take_shares();
  Result<void> take_turns();
  Result<void> take(Party& party, std::uint64_t count);
  Result<Lane*> best_lane(Party& party, std::uint64_t wanted);
  Result<void> read_more(Party& party, Lane& lane, std::uint64_t count);
  static Result<void> load_keys(Party& party, const Lane& lane);
  Result<bool> may_begin(Party& party, const Task& task);

  Result<void> write_leases();
  Result<void> close_gates();

  Transaction& tx_;
  const TaskQueue::ClaimOptions& options_;
  Database::Node node_;
  TenantTurn turn_;
  SharedFlow flow_;
  bool remote_;  // what may be wanted is asked for at once, because each turn costs more than it
  std::vector<Task> first_;         // of the tenant that comes next; empty: there is none
  std::vector<Task> again_;         // the same from the first tenant on, if remote_
  std::optional<Beside> guessed_;   // of turn_.alone
  std::vector<std::string> kinds_;  // in order; empty: any
  std::vector<Party> parties_;
  bool blocked_ = false;  // some lane was stepped over
  bool all_ = false;      // parties_ are all tenants that have something
  std::vector<Task> taken_, held_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
