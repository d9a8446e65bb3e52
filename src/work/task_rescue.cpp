// Who lives: the heartbeat of a node, and the tasks of those that died.

#include <algorithm>
#include <unordered_map>

#include "bureau/work/task_queue.hpp"
#include "store/internal_tables.hpp"
#include "work/task_columns.hpp"
#include "work/task_end.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using detail::add;
using detail::by_system;
using detail::columns;
using detail::portable;
using detail::set;
using Columns = detail::TaskColumns;

}  // namespace

Result<void> TaskQueue::heartbeat() {
  BUREAU_TRY(auto node, database_.node());
  const TableInfo& nodes = table_of<detail::NodeRow>();
  return database_.write(detail::liveness(), by_system, [&](Transaction& tx) -> Result<void> {
    Update beat;
    beat.which.table = &nodes;
    beat.which.where = col(&detail::NodeRow::id) == Id<detail::NodeRow>(node.number + 1) &&
                       col(&detail::NodeRow::generation) == node.generation;
    beat.set = {add(nodes.find("beats"), 1)};
    BUREAU_TRY(auto changed, tx.unjournalled().update(beat));
    if (changed != 1) {
      return bureau::fail(Code::conflict, "node: this process's place was taken by another");
    }
    return {};
  });
}

Result<bool> TaskQueue::is_dead(Reader& reader, const Database::Node& own, std::int64_t node,
                                std::int64_t generation) {
  if (node == own.number) return generation != own.generation;
  BUREAU_TRY(bool alive, database_.storage().node_is_alive(static_cast<int>(node)));
  if (!alive) return true;
  detail::NodeRow row;
  BUREAU_TRY(bool found, reader.find(table_of<detail::NodeRow>(), node + 1,
                                     [&](std::span<const Value> values) -> Result<bool> {
                                       from_values(values, row);
                                       return true;
                                     }));
  if (!found || row.generation != generation) return true;
  const Monotonic now = database_.clock().monotonic();
  std::lock_guard lock(seen_mutex_);
  auto [seen, is_new] = seen_.try_emplace(node, Seen{generation, row.beats, now});
  if (is_new) return false;
  if (seen->second.generation != generation || seen->second.beats != row.beats) {
    seen->second = {generation, row.beats, now};
    return false;
  }
  return now - seen->second.since >= 2 * options_.heartbeat;
}

Result<std::uint64_t> TaskQueue::rescue() {
  struct Holder {
    std::int64_t node, generation;
  };
  std::vector<Holder> holders;
  std::vector<Holder> dead;
  BUREAU_TRY(auto own, database_.node());
  BUREAU_TRY_VOID(database_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    Aggregate by_node;
    by_node.table = &columns().table;
    by_node.where = col(&Task::status) == TaskStatus::running;
    by_node.group_by = {columns().node, columns().generation};
    by_node.measures = {{Aggregate::Function::count, nullptr}};
    BUREAU_TRY_VOID(reader.aggregate(by_node, [&](std::span<const Value> row) -> Result<bool> {
      holders.push_back({row[0].as_integer(), row[1].as_integer()});
      return true;
    }));
    for (const Holder& h : holders) {
      BUREAU_TRY(bool gone, is_dead(reader, own, h.node, h.generation));
      if (gone) dead.push_back(h);
    }
    return {};
  }));
  {
    // A node that holds nothing any more is not watched: its heartbeat may rightly stand still.
    std::lock_guard lock(seen_mutex_);
    std::erase_if(seen_, [&](const auto& entry) {
      return std::none_of(holders.begin(), holders.end(),
                          [&](const Holder& h) { return h.node == entry.first; });
    });
  }
  BUREAU_TRY(std::uint64_t taken, give_back_untold());
  for (const Holder& h : dead) {
    BUREAU_TRY(auto some, take_from(h.node, h.generation));
    taken += some;
  }
  return taken;
}

Result<std::uint64_t> TaskQueue::take_from(std::int64_t node, std::int64_t generation) {
  constexpr std::uint64_t batch = 500;
  const Columns& c = columns();
  std::uint64_t taken = 0;
  for (;;) {
    std::uint64_t now_taken = 0;
    auto take = [&](Transaction& tx) -> Result<void> {
      now_taken = 0;
      std::vector<Task> tasks;
      const Select held =
          select<Task>()
              .where(col(&Task::status) == TaskStatus::running && col(&Task::node) == node &&
                     col(&Task::generation) == generation)
              .order_by(col(&Task::tenant))  // as the index of leases has them
              .limit(batch);
      BUREAU_TRY_VOID(tx.reader().scan(held, [&](std::span<const Value> row) -> Result<bool> {
        from_values(row, tasks.emplace_back());
        return true;
      }));
      for (const Task& task : tasks) {
        Update rescue;
        rescue.which.table = &c.table;
        rescue.which.where = col(&Task::id) == task.id;
        TaskStatus becomes = TaskStatus::ready;
        if (task.effect == Effect::external_unsafe) {
          becomes = TaskStatus::in_doubt;
        } else if (task.cancel_requested) {
          becomes = TaskStatus::cancelled;
        } else if (is_last_attempt(task)) {
          becomes = TaskStatus::dead;
        }
        if (has_ended(becomes)) {
          BUREAU_TRY(const bool open, detail::has_intent(tx.reader(), task.id));
          if (open) becomes = TaskStatus::in_doubt;
        }
        rescue.set = {set(c.status, becomes), add(c.failures, 1)};
        const bool change = becomes != TaskStatus::ready;
        if (change) {
          const std::int64_t now = tx.now().micros();
          rescue.set.push_back(set(c.updated_at, now));
          rescue.set.push_back(add(c.version, 1));
          if (becomes != TaskStatus::cancelled) {
            rescue.set.push_back(
                {c.error, Value::text("the worker that ran it died or fell silent"), false});
            rescue.set.push_back(
                {c.error_code, Value::text(to_string(Code::unknown_outcome)), false});
          }
          if (has_ended(becomes)) rescue.set.push_back(set(c.finished_at, now));
          BUREAU_TRY_VOID(tx.update(rescue));
          if (has_ended(becomes)) {
            BUREAU_TRY_VOID(detail::after_end(tx, task.id, task.parent, task.awaited, becomes));
          }
          BUREAU_TRY_VOID(detail::lease_ended(tx, task));
        } else {
          BUREAU_TRY_VOID(tx.unjournalled().update(rescue));
        }
      }
      now_taken = tasks.size();
      return {};
    };
    BUREAU_TRY_VOID(database_.write(portable(), by_system, take));
    taken += now_taken;
    if (now_taken < batch) return taken;
  }
}

Result<std::vector<TaskQueue::Attempt>> TaskQueue::interrupted(std::span<const Attempt> running) {
  BUREAU_TRY(auto node, database_.node());
  const Columns& c = columns();
  std::vector<std::int64_t> ids;
  for (const Attempt& one : running) ids.push_back(one.task.value);
  std::vector<Attempt> out;
  BUREAU_TRY_VOID(database_.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    std::unordered_map<std::int64_t, std::int64_t> held;  // the attempt of each task
    const auto look = [&](std::span<const Value> row) -> Result<bool> {
      const auto is = [&](const ColumnInfo* column, std::int64_t value) {
        return row[column->index].as_integer() == value;
      };
      if (is(c.status, static_cast<std::int64_t>(TaskStatus::running)) && is(c.node, node.number) &&
          is(c.generation, node.generation) && is(c.cancel_requested, 0)) {
        held.emplace(row[0].as_integer(), row[c.attempt->index].as_integer());
      }
      return true;
    };
    BUREAU_TRY_VOID(reader.find_all(c.table, ids, look));
    out.clear();
    for (const Attempt& one : running) {
      const auto found = held.find(one.task.value);
      if (found == held.end() || found->second != one.attempt) out.push_back(one);
    }
    return {};
  }));
  return out;
}

BUREAU_END_NAMESPACE
