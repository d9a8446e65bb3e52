// Engine::metrics_text(): what was counted, and what the rows say at this moment.

#include "bureau/core/metrics.hpp"

#include <algorithm>
#include <map>

#include "bureau/engine.hpp"
#include "bureau/work/budget.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using Type = PrometheusText::Type;

/// Names that come from rows are open-ended, and each is a time series that a monitoring system
/// keeps: beyond so many, the smaller ones are told as one.
constexpr std::size_t most_names = 100;
constexpr const char* others = "(others)";

constexpr Duration patience = std::chrono::seconds(5);

double seconds(Duration time) { return static_cast<double>(time.count()) / 1e6; }

using Counts = std::map<std::pair<std::string, std::string>, std::uint64_t>;

/// Keeps the most frequent first names; what the others have goes by the second name.
Counts bounded(const Counts& counts) {
  std::map<std::string, std::uint64_t> sums;
  for (const auto& [names, count] : counts) sums[names.first] += count;
  if (sums.size() <= most_names) return counts;
  std::vector<std::pair<std::uint64_t, std::string>> order;
  for (const auto& [name, sum] : sums) order.emplace_back(sum, name);
  std::sort(order.rbegin(), order.rend());
  order.resize(most_names);
  std::map<std::string, bool> kept;
  for (const auto& [sum, name] : order) kept[name] = true;
  Counts out;
  for (const auto& [names, count] : counts) {
    out[{kept.contains(names.first) ? names.first : others, names.second}] += count;
  }
  return out;
}

Result<void> count_by_queue(Reader& reader, TaskStatus status, Counts& counts) {
  const TableInfo& tasks = table_of<Task>();
  Aggregate by_queue;
  by_queue.table = &tasks;
  by_queue.where = col(&Task::status) == status;
  by_queue.group_by = {tasks.find("queue")};
  by_queue.measures = {{Aggregate::Function::count, nullptr}};
  return reader.aggregate(by_queue, [&](std::span<const Value> row) -> Result<bool> {
    counts[{std::string(row[0].as_text()),
            std::string(names<TaskStatus>[static_cast<std::size_t>(status)])}] +=
        static_cast<std::uint64_t>(row[1].as_integer());
    return true;
  });
}

void write_tasks(PrometheusText& text, const Snapshot& snapshot, const Counts& by_queue) {
  text.family("bureau_tasks", Type::gauge,
              "Tasks of all tenants that have not ended, by queue and status.");
  for (const auto& [names, count] : bounded(by_queue)) {
    text.sample({{"queue", names.first}, {"status", names.second}}, count);
  }
  Counts unresolved;
  for (const DeadLetters& letters : snapshot.dead) {
    unresolved[{letters.kind,
                std::string(names<TaskStatus>[static_cast<std::size_t>(letters.status)])}] +=
        letters.count;
  }
  text.family("bureau_tasks_unresolved", Type::gauge,
              "Tasks that were given up or are in doubt, by kind: they wait for somebody.");
  for (const auto& [names, count] : bounded(unresolved)) {
    text.sample({{"kind", names.first}, {"status", names.second}}, count);
  }
  // The queues that wait longest: a gauge of the others would mean nothing.
  std::vector<QueueState> queues = snapshot.queues;
  std::stable_sort(queues.begin(), queues.end(),
                   [](const auto& a, const auto& b) { return a.waits > b.waits; });
  queues.resize(std::min(queues.size(), most_names));
  text.family("bureau_queue_first_in_line_wait_seconds", Type::gauge,
              "For how long the task that is first in line of a queue could have run.");
  for (const QueueState& queue : queues) {
    text.sample({{"queue", queue.queue}}, seconds(queue.waits));
  }
}

void write_agents(PrometheusText& text, const std::vector<AgentState>& agents) {
  text.family("bureau_agent_operational", Type::gauge,
              "Whether this process runs the agent: 1 or 0.");
  for (const AgentState& agent : agents) {
    text.sample({{"agent", agent.name}}, std::int64_t{agent.operational});
  }
  text.family("bureau_agent_running_tasks", Type::gauge, "Tasks that the agent does here now.");
  for (const AgentState& agent : agents) {
    text.sample({{"agent", agent.name}}, static_cast<std::uint64_t>(agent.running));
  }
}

void gauge(PrometheusText& text, std::string_view name, std::string_view help, double value) {
  text.family(name, Type::gauge, help);
  text.sample({}, value);
}
template <class N>
void gauge(PrometheusText& text, std::string_view name, std::string_view help, N value) {
  text.family(name, Type::gauge, help);
  text.sample({}, static_cast<std::int64_t>(value));
}

void write_storage(PrometheusText& text, const Snapshot& snapshot) {
  const StorageState& storage = snapshot.storage;
  gauge(text, "bureau_storage_file_bytes", "Size of the database.", storage.file_bytes);
  gauge(text, "bureau_storage_wal_bytes", "Bytes of the write-ahead log that are in use.",
        storage.log_bytes);
  gauge(text, "bureau_storage_wal_file_bytes", "Size of the write-ahead log's file.",
        storage.log_file_bytes);
  gauge(text, "bureau_storage_readers", "Reads that run in this process.", storage.readers);
  gauge(text, "bureau_storage_longest_reader_seconds",
        "Age of the oldest snapshot that a read of this process holds.",
        seconds(storage.longest_reader));
  gauge(text, "bureau_storage_waiting_writers", "Writes of this process that wait for their turn.",
        storage.waiting_writers);
  gauge(text, "bureau_async_writes_pending", "Writes that were begun here and not told of.",
        snapshot.pending_async_writes);
  gauge(text, "bureau_journal_head", "Number of the newest change.", snapshot.feed_head);
  gauge(text, "bureau_feed_subscriptions", "Subscriptions of this process.",
        snapshot.subscriptions);
  gauge(text, "bureau_feed_lag_changes",
        "How many changes the slowest subscription of this process is behind.", snapshot.feed_lag);
}

void write_journal(PrometheusText& text, const JournalReach& reach, Duration keep, Timestamp now) {
  if (!reach.since) return;
  gauge(text, "bureau_journal_oldest", "Number of the oldest change that is kept.", reach.oldest);
  gauge(text, "bureau_journal_oldest_age_seconds", "Age of the oldest change that is kept.",
        seconds(now - *reach.since));
  if (!reach.held_since) return;
  text.family(
      "bureau_journal_held_seconds", Type::gauge,
      "How far beyond its time the journal is kept for the reader that is furthest behind.");
  text.sample({{"reader", reach.held_by}}, seconds(now - *reach.held_since - keep));
}

void write_process(PrometheusText& text, const Snapshot& snapshot,
                   const std::optional<Duration>& heartbeat, const MachineReading& reading) {
  const auto alive = std::count_if(snapshot.nodes.begin(), snapshot.nodes.end(),
                                   [](const NodeState& node) { return node.alive; });
  gauge(text, "bureau_nodes_alive", "Processes that hold a place in this office.", alive);
  gauge(text, "bureau_handlers_stuck", "Handlers of this process past their time limit.",
        snapshot.stuck.size());
  if (heartbeat) {
    gauge(text, "bureau_node_heartbeat_age_seconds",
          "Since this process last wrote a heartbeat; it writes none while it holds no task.",
          seconds(*heartbeat));
  }
  if (reading.process_cpu) {
    text.family("process_cpu_seconds_total", Type::counter,
                "CPU time of this process, in user and kernel mode.");
    text.sample({}, seconds(*reading.process_cpu));
  }
  if (reading.process_resident_bytes) {
    gauge(text, "process_resident_memory_bytes", "Memory that this process has in use.",
          *reading.process_resident_bytes);
  }
  if (reading.disk_available_bytes) {
    gauge(text, "bureau_storage_available_bytes", "Free space of the database's volume.",
          *reading.disk_available_bytes);
  }
}

struct BudgetFigure {
  Budget budget;
  BudgetUse use;
};

/// What the budgets of all tenants have given in their present periods, those that end first.
Result<void> read_budgets(Reader& reader, Timestamp now, std::vector<BudgetFigure>& figures) {
  const Select present = select<BudgetUse>()
                             .where(col(&BudgetUse::ends) > now)
                             .order_by(col(&BudgetUse::ends))
                             .limit(most_names);
  BUREAU_TRY_VOID(reader.scan(present, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, figures.emplace_back().use);
    return true;
  }));
  for (BudgetFigure& figure : figures) {
    BUREAU_TRY_VOID(reader.find(table_of<Budget>(), figure.use.budget.value,
                                [&](std::span<const Value> row) -> Result<bool> {
                                  from_values(row, figure.budget);
                                  return true;
                                }));
  }
  std::erase_if(figures, [](const BudgetFigure& figure) { return !figure.budget.id; });
  return {};
}

void write_budgets(PrometheusText& text, const std::vector<BudgetFigure>& figures) {
  const auto family = [&](std::string_view name, std::string_view help, auto&& value) {
    text.family(name, Type::gauge, help);
    for (const BudgetFigure& figure : figures) {
      const std::string id = id::to_text(schema<Budget>.prefix, figure.budget.id.value);
      const auto sample = [&](std::string_view unit, std::optional<double> of) {
        if (!of) return;
        text.sample({{"budget", id}, {"name", figure.budget.name}, {"unit", unit}}, *of);
      };
      value(figure, sample);
    }
  };
  const auto number = [](std::int64_t of) { return std::optional(static_cast<double>(of)); };
  const auto minor = [](std::int64_t micros) {
    return std::optional(static_cast<double>(micros) / 1e6);
  };
  family("bureau_budget_spent", "What a budget has spent in its period; money in minor units.",
         [&](const BudgetFigure& of, auto&& sample) {
           sample("tokens", number(of.use.spent_tokens));
           sample("calls", number(of.use.spent_calls));
           sample("seconds", seconds(of.use.spent_time));
           if (!of.budget.currency.empty()) {
             sample(of.budget.currency, minor(of.use.spent_money_micros));
           }
         });
  family("bureau_budget_reserved", "What is reserved of it by calls in progress.",
         [&](const BudgetFigure& of, auto&& sample) {
           sample("tokens", number(of.use.reserved_tokens));
           sample("calls", number(of.use.reserved_calls));
           sample("seconds", seconds(of.use.reserved_time));
           if (!of.budget.currency.empty()) {
             sample(of.budget.currency, minor(of.use.reserved_money_micros));
           }
         });
  family("bureau_budget_limit", "How much it may give in a period.",
         [&](const BudgetFigure& of, auto&& sample) {
           if (of.budget.tokens) sample("tokens", number(*of.budget.tokens));
           if (of.budget.calls) sample("calls", number(*of.budget.calls));
           if (of.budget.time) sample("seconds", seconds(*of.budget.time));
           if (of.budget.money) sample(of.budget.currency, number(*of.budget.money));
         });
}

}  // namespace

Result<std::string> Engine::metrics_text() {
  BUREAU_TRY(const Snapshot snapshot, this->snapshot());
  Counts by_queue;
  std::vector<BudgetFigure> budgets;
  BUREAU_TRY_VOID(
      database_->read(options_.clock->monotonic() + patience, [&](Reader& reader) -> Result<void> {
        by_queue.clear();
        for (const TaskStatus status : {TaskStatus::scheduled, TaskStatus::running}) {
          BUREAU_TRY_VOID(count_by_queue(reader, status, by_queue));
        }
        budgets.clear();
        return read_budgets(reader, options_.clock->now(), budgets);
      }));
  BUREAU_TRY(const JournalReach reach,
             journal_keeper_->reach(options_.clock->monotonic() + patience));
  for (const QueueState& queue : snapshot.queues) by_queue[{queue.queue, "ready"}] = queue.ready;
  PrometheusText text;
  orchestrator_->write_metrics(text);
  write_agents(text, orchestrator_->agents());
  write_tasks(text, snapshot, by_queue);
  if (!budgets.empty()) write_budgets(text, budgets);
  database_->write_metrics(text);
  write_storage(text, snapshot);
  write_journal(text, reach, journal_keeper_->keeping().keep, options_.clock->now());
  write_process(text, snapshot, orchestrator_->heartbeat_age(), options_.machine->read());
  return text.text();
}

BUREAU_END_NAMESPACE
