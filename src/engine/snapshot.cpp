#include <algorithm>
#include <map>

#include "bureau/engine.hpp"
#include "bureau/work/agent_registry.hpp"
#include "bureau/work/run_step.hpp"
#include "store/internal_tables.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::uint64_t most_tasks = 1000;
constexpr Duration looks_for = std::chrono::seconds(5);

/// The last step that a run has recorded; empty when it has none.
Result<std::string> last_step(Reader& reader, Id<Task> task) {
  std::string name;
  const Select last = select<RunStep>()
                          .where(col(&RunStep::task) == task)
                          .order_by(col(&RunStep::position), true)
                          .limit(1);
  BUREAU_TRY_VOID(reader.scan(last, [&](std::span<const Value> row) -> Result<bool> {
    RunStep step;
    from_values(row, step);
    name = std::move(step.name);
    return false;
  }));
  return name;
}

/// Running tasks by their rows. Of those that this process holds more is known: `here`.
Result<void> add_tasks(Reader& reader, Snapshot& snapshot, const std::vector<HeldTask>& here) {
  std::map<std::int64_t, const HeldTask*> own;
  for (const HeldTask& held : here) own.emplace(held.task.value, &held);
  const Select running = select<Task>()
                             .where(col(&Task::status) == TaskStatus::running)
                             .order_by(col(&Task::started_at))
                             .limit(most_tasks);
  BUREAU_TRY_VOID(reader.scan(running, [&](std::span<const Value> row) -> Result<bool> {
    Task task;
    from_values(row, task);
    const auto known = own.find(task.id.value);
    HeldTask& held = snapshot.tasks.emplace_back();
    if (known != own.end() && known->second->attempt == task.attempt) held = *known->second;
    held.task = task.id;
    held.tenant = task.tenant;
    held.kind = task.kind;
    held.queue = task.queue;
    if (held.agent.empty()) held.agent = task.agent;
    held.attempt = task.attempt;
    held.node = task.node;
    held.progress = task.progress;
    held.note = task.progress_note;
    if (!held.here) {
      held.limit = task.time_limit;
      if (task.started_at) held.age = snapshot.at - *task.started_at;
    }
    return true;
  }));
  for (HeldTask& held : snapshot.tasks) {
    if (held.here) continue;
    BUREAU_TRY(held.step, last_step(reader, held.task));
  }
  return {};
}

/// Of what is ready, that which claims look at lies in one index, and that which flow control keeps
/// from them in another.
Result<void> add_ready(Reader& reader, Snapshot& snapshot, const Predicate& gate) {
  const TableInfo& tasks = table_of<Task>();
  const Predicate is_ready = col(&Task::status) == TaskStatus::ready && gate;
  Aggregate ready;
  ready.table = &tasks;
  ready.where = is_ready;
  ready.group_by = {tasks.find("queue")};
  ready.measures = {{Aggregate::Function::count, nullptr}};
  std::vector<std::pair<std::string, std::uint64_t>> counts;
  BUREAU_TRY_VOID(reader.aggregate(ready, [&](std::span<const Value> row) -> Result<bool> {
    counts.emplace_back(row[0].as_text(), static_cast<std::uint64_t>(row[1].as_integer()));
    return true;
  }));
  for (const auto& of_queue : counts) {
    const std::string& name = of_queue.first;
    auto queue = std::find_if(snapshot.queues.begin(), snapshot.queues.end(),
                              [&](const QueueState& state) { return state.queue == name; });
    const bool is_new = queue == snapshot.queues.end();
    if (is_new) queue = snapshot.queues.insert(queue, QueueState{name, 0, {}, {}});
    queue->ready += of_queue.second;
    const Select first = select<Task>()
                             .where(is_ready && col(&Task::queue) == name)
                             .order_by(col(&Task::rank))
                             .limit(1);
    BUREAU_TRY_VOID(reader.scan(first, [&](std::span<const Value> row) -> Result<bool> {
      Task task;
      from_values(row, task);
      const Duration waits = std::max(Duration(0), snapshot.at - task.run_at);
      if (!is_new && waits <= queue->waits) return false;
      queue->first = task.id;
      queue->waits = waits;
      return false;
    }));
  }
  return {};
}

Result<void> add_queues(Reader& reader, Snapshot& snapshot) {
  const TableInfo& tasks = table_of<Task>();
  BUREAU_TRY_VOID(add_ready(reader, snapshot, col(&Task::gate) != Gate::closed));
  BUREAU_TRY_VOID(add_ready(reader, snapshot, col(&Task::gate) == Gate::closed));
  Aggregate scheduled;
  scheduled.table = &tasks;
  scheduled.where = col(&Task::status) == TaskStatus::scheduled;
  scheduled.measures = {{Aggregate::Function::count, nullptr}};
  return reader.aggregate(scheduled, [&](std::span<const Value> row) -> Result<bool> {
    snapshot.scheduled = static_cast<std::uint64_t>(row[0].as_integer());
    return true;
  });
}

Result<void> add_dead(Reader& reader, Snapshot& snapshot) {
  const TableInfo& tasks = table_of<Task>();
  for (const TaskStatus status : {TaskStatus::dead, TaskStatus::in_doubt}) {
    Aggregate letters;
    letters.table = &tasks;
    letters.where = col(&Task::status) == status;
    letters.group_by = {tasks.find("kind"), tasks.find("error_code")};
    letters.measures = {{Aggregate::Function::count, nullptr}};
    BUREAU_TRY_VOID(reader.aggregate(letters, [&](std::span<const Value> row) -> Result<bool> {
      DeadLetters& some = snapshot.dead.emplace_back();
      some.status = status;
      some.kind = std::string(row[0].as_text());
      if (!row[1].is_null()) some.error_code = std::string(row[1].as_text());
      some.count = static_cast<std::uint64_t>(row[2].as_integer());
      return true;
    }));
  }
  std::stable_sort(snapshot.dead.begin(), snapshot.dead.end(),
                   [](const auto& a, const auto& b) { return a.count > b.count; });
  return {};
}

/// Nodes that live, or still hold tasks.
Result<void> add_nodes(Reader& reader, Storage& storage, Snapshot& snapshot) {
  std::map<std::int64_t, NodeState> nodes;
  const Select all{&table_of<detail::NodeRow>()};
  BUREAU_TRY_VOID(reader.scan(all, [&](std::span<const Value> row) -> Result<bool> {
    detail::NodeRow stored;
    from_values(row, stored);
    NodeState& node = nodes[stored.id.value - 1];
    node.node = stored.id.value - 1;
    node.generation = stored.generation;
    node.beats = stored.beats;
    return true;
  }));
  for (const HeldTask& held : snapshot.tasks) {
    const auto node = nodes.find(held.node);
    if (node != nodes.end()) ++node->second.held;
  }
  const Select agents{&table_of<AgentPresence>()};
  BUREAU_TRY_VOID(reader.scan(agents, [&](std::span<const Value> row) -> Result<bool> {
    AgentPresence presence;
    from_values(row, presence);
    const auto node = nodes.find(presence.node);
    if (node != nodes.end() && node->second.generation == presence.generation) {
      node->second.agents.push_back(presence.name);
    }
    return true;
  }));
  for (auto& [number, node] : nodes) {
    BUREAU_TRY(node.alive, storage.node_is_alive(static_cast<int>(number)));
    if (node.alive || node.held > 0) snapshot.nodes.push_back(std::move(node));
  }
  return {};
}

}  // namespace

Result<Snapshot> Engine::snapshot() {
  Snapshot snapshot;
  BUREAU_TRY(snapshot.storage, database_->storage().state());
  const std::vector<HeldTask> here = orchestrator_->held();
  auto look = [&](Reader& reader) -> Result<void> {
    snapshot.tasks.clear();
    snapshot.nodes.clear();
    snapshot.queues.clear();
    snapshot.dead.clear();
    snapshot.at = options_.clock->now();
    BUREAU_TRY_VOID(add_tasks(reader, snapshot, here));
    BUREAU_TRY_VOID(add_queues(reader, snapshot));
    BUREAU_TRY_VOID(add_dead(reader, snapshot));
    BUREAU_TRY_VOID(add_nodes(reader, database_->storage(), snapshot));
    BUREAU_TRY(snapshot.feed_head, database_->journal_head(reader));
    return {};
  };
  BUREAU_TRY_VOID(database_->read(options_.clock->monotonic() + looks_for, look));
  for (const HeldTask& held : here) {
    for (NodeState& node : snapshot.nodes) {
      if (node.node != held.node) continue;
      node.here = true;
      node.heartbeat = orchestrator_->heartbeat_age();
    }
  }
  const Feed::Progress progress = feed_->progress(snapshot.feed_head);
  snapshot.subscriptions = progress.subscriptions;
  snapshot.feed_lag = std::max<std::int64_t>(0, snapshot.feed_head - progress.slowest);
  snapshot.pending_async_writes = database_->pending_async_writes();
  snapshot.stuck = orchestrator_->stuck();
  return snapshot;
}

BUREAU_END_NAMESPACE
