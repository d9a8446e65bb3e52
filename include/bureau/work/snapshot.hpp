#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bureau/core/json.hpp"
#include "bureau/store/storage.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

/// One task that somebody holds.
struct HeldTask {
  Id<Task> task;
  Id<Tenant> tenant;
  std::string kind, queue, agent;
  std::int64_t attempt = 0;
  std::int64_t node = -1;
  bool here = false;    ///< by this process: its age is exact; else it is as the row says
  bool begun = true;    ///< false: leased here, and its handler has not been called yet
  Duration age{};       ///< since its lease
  Duration limit{};     ///< of one attempt
  double progress = 0;  ///< as its handler last said
  std::string note;
  /// Of a durable run: the step that it is in; run by another process, the last that is recorded.
  std::string step;
};

/// A process that issues ids and may hold tasks.
struct NodeState {
  std::int64_t node = -1, generation = 0;
  bool here = false;
  bool alive = false;  ///< its lock in the node file is held
  std::vector<std::string> agents;
  std::uint64_t held = 0;  ///< tasks
  std::int64_t beats = 0;  ///< heartbeats that it has written; none while it holds nothing
  std::optional<Duration> heartbeat;  ///< how long ago: known of this process alone
};

struct QueueState {
  std::string queue;
  std::uint64_t ready = 0;
  /// The first in line (by rank) and since when it could run.
  Id<Task> first;
  Duration waits{};
};

/// Tasks that were given up, or whose outcome is unknown.
struct DeadLetters {
  TaskStatus status = TaskStatus::dead;
  std::string kind, error_code;
  std::uint64_t count = 0;
};

/// What an office does at a moment, and what it waits for. What `here` says of this process is
/// exact; of others it is what their rows and locks tell.
struct Snapshot {
  Timestamp at;
  std::vector<HeldTask> tasks;  ///< the oldest first; at most 1,000
  std::vector<NodeState> nodes;
  std::vector<QueueState> queues;
  std::uint64_t scheduled = 0;
  std::vector<DeadLetters> dead;  ///< the most first
  StorageState storage;
  std::size_t pending_async_writes = 0;
  std::size_t subscriptions = 0;   ///< to the feed, in this process
  std::int64_t feed_head = 0;      ///< the newest change
  std::int64_t feed_lag = 0;       ///< how far the slowest subscription is behind
  std::vector<std::string> stuck;  ///< handlers of this process past their time limit
};

[[nodiscard]] Json to_json(const Snapshot& snapshot);

BUREAU_END_NAMESPACE
