// What waits, for how long, and whether anybody does it.

#include <algorithm>

#include "bureau/work/task.hpp"
#include "work/agent_lookup.hpp"
#include "work/housekeeping_jobs.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

/// How long tasks of a kind that nobody does may wait before that is worth saying: a process may
/// just be starting.
constexpr Duration unattended_grace = std::chrono::minutes(1);
constexpr std::size_t most_kinds = 100;

struct KindState {
  std::int64_t ready = 0, scheduled = 0, late = 0, running = 0;
  std::optional<Timestamp> oldest;  ///< since when one could run
  std::int64_t workers = 0;
};
using KindStates = std::map<std::pair<std::string, std::string>, KindState>;  // queue, kind

Aggregate by_kind(const Predicate& where) {
  const TableInfo& tasks = table_of<Task>();
  Aggregate aggregate;
  aggregate.table = &tasks;
  aggregate.where = where;
  aggregate.group_by = {tasks.find("queue"), tasks.find("kind")};
  aggregate.measures = {{Aggregate::Function::count, nullptr},
                        {Aggregate::Function::minimum, tasks.find("run_at")}};
  return aggregate;
}

/// Counts into `count` of each kind; `waits`: and notes since when the oldest could run.
Result<void> count(Reader& reader, const Predicate& where, std::int64_t KindState::*count,
                   bool waits, KindStates& kinds) {
  return reader.aggregate(by_kind(where), [&](std::span<const Value> row) -> Result<bool> {
    KindState& state = kinds[{std::string(row[0].as_text()), std::string(row[1].as_text())}];
    state.*count += row[2].as_integer();
    if (waits) {
      const auto oldest = Timestamp::from_micros(row[3].as_integer());
      state.oldest = std::min(state.oldest.value_or(oldest), oldest);
    }
    return true;
  });
}

Result<void> look_at_running(Reader& reader, Id<Tenant> tenant, Timestamp now,
                             ProcessorResult& result, KindStates& kinds) {
  const Select running = select<Task>().where(col(&Task::status) == TaskStatus::running &&
                                              col(&Task::tenant) == tenant);
  return reader.scan(running, [&](std::span<const Value> row) -> Result<bool> {
    Task task;
    from_values(row, task);
    ++kinds[{task.queue, task.kind}].running;
    if (task.started_at && task.time_limit > Duration(0) &&
        now - *task.started_at > task.time_limit) {
      ++result.overdue;
    }
    return true;
  });
}

Result<std::int64_t> count_of(Reader& reader, Id<Tenant> tenant, TaskStatus status) {
  Aggregate all;
  all.table = &table_of<Task>();
  all.where = col(&Task::status) == status && col(&Task::tenant) == tenant;
  all.measures = {{Aggregate::Function::count, nullptr}};
  std::int64_t found = 0;
  BUREAU_TRY_VOID(reader.aggregate(all, [&](std::span<const Value> row) -> Result<bool> {
    found = row[0].as_integer();
    return true;
  }));
  return found;
}

Json to_json(const std::pair<std::string, std::string>& of, const KindState& state, Timestamp now) {
  Json oldest;
  if (state.oldest) oldest = std::max<std::int64_t>(0, (now - *state.oldest).count() / 1'000'000);
  return Json::object({{"queue", of.first},
                       {"kind", of.second},
                       {"ready", state.ready},
                       {"scheduled", state.scheduled},
                       {"late", state.late},
                       {"running", state.running},
                       {"oldest_ready_seconds", std::move(oldest)},
                       {"workers", state.workers}});
}

void add_workers(const AgentMap& agents, KindStates& kinds) {
  for (auto& [of, state] : kinds) {
    for (const auto& [name, agent] : agents) {
      if (agent.nodes == 0) continue;
      if (std::find(agent.kinds.begin(), agent.kinds.end(), of.second) == agent.kinds.end())
        continue;
      state.workers += static_cast<std::int64_t>(agent.nodes);
    }
  }
}

Backlog summed_up(ProcessorResult result, const KindStates& kinds, Timestamp now) {
  Backlog backlog;
  std::vector<KindStates::const_iterator> order;
  for (auto it = kinds.begin(); it != kinds.end(); ++it) {
    const KindState& state = it->second;
    order.push_back(it);
    result.ready += state.ready;
    result.scheduled += state.scheduled;
    result.late += state.late;
    result.running += state.running;
    if (state.workers > 0 || !state.oldest || now - *state.oldest <= unattended_grace) continue;
    ++result.unattended;
    backlog.unattended.push_back({it->first.second, now - *state.oldest});
  }
  std::stable_sort(order.begin(), order.end(),
                   [](auto a, auto b) { return a->second.ready > b->second.ready; });
  order.resize(std::min(order.size(), most_kinds));
  result.kinds = Json::array();
  for (const auto& it : order) result.kinds.push_back(to_json(it->first, it->second, now));
  backlog.result = std::move(result);
  return backlog;
}

}  // namespace

Result<Backlog> look_at_backlog(Database& database, Id<Tenant> tenant) {
  Backlog backlog;
  const Timestamp now = database.clock().now();
  const Predicate ours = col(&Task::tenant) == tenant;
  const Predicate scheduled = ours && col(&Task::status) == TaskStatus::scheduled;
  BUREAU_TRY_VOID(database.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    KindStates kinds;
    ProcessorResult result;
    BUREAU_TRY_VOID(count(reader, ours && col(&Task::status) == TaskStatus::ready,
                          &KindState::ready, true, kinds));
    BUREAU_TRY_VOID(count(reader, scheduled, &KindState::scheduled, false, kinds));
    BUREAU_TRY_VOID(
        count(reader, scheduled && col(&Task::run_at) <= now, &KindState::late, true, kinds));
    BUREAU_TRY_VOID(look_at_running(reader, tenant, now, result, kinds));
    BUREAU_TRY(result.in_doubt, count_of(reader, tenant, TaskStatus::in_doubt));
    BUREAU_TRY(result.dead, count_of(reader, tenant, TaskStatus::dead));
    AgentMap agents;
    BUREAU_TRY_VOID(add_presences(database, reader, agents));
    add_workers(agents, kinds);
    backlog = summed_up(std::move(result), kinds, now);
    return {};
  }));
  return backlog;
}

}  // namespace detail
BUREAU_END_NAMESPACE
