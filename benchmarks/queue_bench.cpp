// The task queue, beside a hand-written SQLite C loop that writes the same rows, indexes and
// journal records.

#include <chrono>
#include <thread>

#include "bench.hpp"
#include "queue_latency.hpp"
#include "queue_loop.hpp"

namespace {

using namespace queue_bench;

constexpr int pairs = 9;

void enqueue_and_drain(const bench::Arguments& arguments, int count, bool power_safe,
                       double sync_us) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), power_safe);
  TaskQueue queue(office.engine->database());
  // One round to have everything prepared, and to see what the journal gets.
  enqueue(office, enqueue_batch);
  const std::string enqueue_body = newest_bodies(office, enqueue_batch);
  const Task like = must(Tasks(office.system()).list({.limit = 1})).at(0);
  if (drain(queue) != enqueue_batch) bench::give_up("drain", "not all were drained");
  const std::string complete_body = newest_bodies(office, 1);

  QueueLoop loop(scratch.file(), office, power_safe, true, enqueue_body, complete_body);
  QueueLoop bare(scratch.file(), office, power_safe, false, enqueue_body, complete_body);
  double ours_drain = 0, loop_drain = 0;
  auto ours = [&] {
    double start = bench::seconds_now();
    enqueue(office, count);
    const double rate = count / (bench::seconds_now() - start);
    start = bench::seconds_now();
    if (drain(queue) != count) bench::give_up("drain", "not all were drained");
    ours_drain = count / (bench::seconds_now() - start);
    return rate;
  };
  auto by_loop = [&](QueueLoop& of) {
    double start = bench::seconds_now();
    of.enqueue(like, count);
    const double rate = count / (bench::seconds_now() - start);
    start = bench::seconds_now();
    if (of.drain() != count) bench::give_up("loop", "not all were drained");
    loop_drain = count / (bench::seconds_now() - start);
    return rate;
  };
  bench::PairedRuns enqueues, drains;
  for (int i = 0; i < pairs; ++i) {
    const double a = ours();
    const double b = by_loop(loop);
    enqueues.add(a, b);
    drains.add(ours_drain, loop_drain);
  }
  const double bare_enqueue = by_loop(bare);
  const double bare_drain = loop_drain;
  const bench::Pairs enqueued = enqueues.result();
  const bench::Pairs drained = drains.result();
  const char* durability = power_safe ? "power_safe" : "relaxed";
  const std::optional<double> sync = power_safe ? std::optional(sync_us) : std::nullopt;
  bench::print_metric(arguments,
                      bench::with_pairs({.bench = "queue",
                                         .metric = "enqueue_bulk",
                                         .storage = "sqlite",
                                         .durability = durability,
                                         .unit = "per_second",
                                         .ratio_no_journal = enqueued.ours / bare_enqueue,
                                         .sync_us = sync},
                                        enqueued));
  bench::print_metric(arguments, bench::with_pairs({.bench = "queue",
                                                    .metric = "drain",
                                                    .storage = "sqlite",
                                                    .durability = durability,
                                                    .unit = "per_second",
                                                    .ratio_no_journal = drained.ours / bare_drain,
                                                    .sync_us = sync},
                                                   drained));
}

/// Fills the tasks table with finished and delayed rows, without the journal: they stand for a
/// history, not for work of this run.
void add_history(const bench::Office& office, const Task& like, int finished, int delayed) {
  const TableInfo& table = table_of<Task>();
  const Timestamp far = Clock::system().now() + std::chrono::hours(24);
  int made = 0;
  while (made < finished + delayed) {
    must(office.engine->database().write({}, {}, [&](Transaction& tx) -> Result<void> {
      std::vector<Value> values(table.width());
      for (int i = 0; i < 10'000 && made < finished + delayed; ++i, ++made) {
        Task task = like;
        BUREAU_TRY(task.id.value, tx.next_id());
        if (made < finished) {
          task.status = TaskStatus::completed;
          task.finished_at = tx.now();
        } else {
          task.status = TaskStatus::scheduled;
          task.run_at = far;
          task.rank = task_rank(tx.now() - std::chrono::hours(1), Priority::urgent);
        }
        detail::Scratch scratch;
        to_values(task, values, scratch);
        BUREAU_TRY_VOID(tx.unjournalled().insert(table, values));
      }
      return {};
    }));
  }
}

/// Claims and completions of single tasks with a long history, beside an empty table.
void claim_over_history(const bench::Arguments& arguments, std::string_view name, int finished,
                        int delayed, int rounds) {
  bench::ScratchFolder scratch;
  auto fresh = bench::open_office(scratch.file(), false);
  auto old = bench::open_office(scratch.file(), false);
  enqueue(old, enqueue_batch);
  const Task like = must(Tasks(old.system()).list({.limit = 1})).at(0);
  add_history(old, like, finished, delayed);
  must(old.engine->database().storage().maintain());
  TaskQueue fresh_queue(fresh.engine->database());
  TaskQueue old_queue(old.engine->database());
  drain(old_queue);
  auto claims = [&](const bench::Office& office, TaskQueue& queue) {
    enqueue(office, enqueue_batch);
    int claimed = 0;
    const double start = bench::seconds_now();
    for (int i = 0; i < rounds; ++i) {
      auto tasks = must(queue.claim({"default", {"work"}, 1, "bench"}));
      claimed += static_cast<int>(tasks.size());
    }
    const double rate = rounds / (bench::seconds_now() - start);
    if (claimed != rounds) bench::give_up("claim", "nothing to claim");
    must(office.engine->database().write({}, {}, [&](Transaction& tx) -> Result<void> {
      BUREAU_TRY_VOID(
          tx.unjournalled().remove(select<Task>().where(col(&Task::status) <= TaskStatus::running &&
                                                        col(&Task::status) >= TaskStatus::ready),
                                   [](std::span<const Value>) -> Result<bool> { return true; }));
      return {};
    }));
    return rate;
  };
  const auto p = bench::measure_pairs(
      pairs, bench::Better::higher, [&] { return claims(old, old_queue); },
      [&] { return claims(fresh, fresh_queue); });
  bench::print_metric(arguments, bench::with_pairs({.bench = "queue",
                                                    .metric = name,
                                                    .storage = "sqlite",
                                                    .durability = "relaxed",
                                                    .unit = "per_second"},
                                                   p));
}

/// The same backlog done by an agent under Engine::start(), beside claim and complete by hand.
void agents_drain(const bench::Arguments& arguments, int count, bool power_safe, double sync_us) {
  bench::ScratchFolder scratch;
  const std::string path = scratch.file();
  bench::Office office = bench::open_office(path, power_safe);
  auto by_agents = [&] {
    EngineOptions options;
    options.path = path;
    options.durability = power_safe ? Durability::power_safe : Durability::relaxed;
    const auto engine = must(Engine::open(std::move(options)));
    enqueue(office, count);
    return count / drain_by_agents(*engine, Tasks(office.system()), count);
  };
  auto by_hand = [&] {
    enqueue(office, count);
    TaskQueue queue(office.engine->database());
    const double start = bench::seconds_now();
    if (drain(queue) != count) bench::give_up("agents_drain", "not all were drained");
    return count / (bench::seconds_now() - start);
  };
  const auto p = bench::measure_pairs(pairs, bench::Better::higher, by_agents, by_hand);
  bench::print_metric(
      arguments, bench::with_pairs({.bench = "queue",
                                    .metric = "agents_drain",
                                    .storage = "sqlite",
                                    .durability = power_safe ? "power_safe" : "relaxed",
                                    .unit = "per_second",
                                    .sync_us = power_safe ? std::optional(sync_us) : std::nullopt},
                                   p));
}

constexpr int sharing_tenants = 10;

/// What flow control costs: tasks of ten tenants, each task with a flow key of its own, under
/// limits of the queue and of each key, beside as many of one tenant under no rule.
class FlowCost {
 public:
  FlowCost(const bench::Office& office, int count)
      : office_(office), count_(count), queue_(office.engine->database()) {
    for (int i = 0; i < sharing_tenants; ++i) {
      const Tenant tenant = must(office.engine->access().create_tenant("sharing"));
      const FlowRules rules(office.engine->system(tenant.id));
      must(rules.limit({.scope = {.queue = "default"}, .each_key = false, .at_most = 1000}));
      must(rules.limit({.scope = {.kind = "work"}, .each_key = true, .at_most = 1}));
      must(rules.set_weight(1 + i % 3));
      tenants_.push_back(tenant);
    }
  }

  double with_rules() {
    const Json text = record_to_json(payload());
    for (int done = 0; done < count_;) {
      const Session system = office_.engine->system(tenants_[next_++ % tenants_.size()].id);
      must(system.write([&](Unit& unit) -> Result<int> {
        EnqueueOptions options;
        for (int i = 0; i < enqueue_batch && done < count_; ++i, ++done) {
          options.flow_key = "customer:" + std::to_string(done);
          BUREAU_TRY_VOID(Tasks(unit).enqueue_json(work, {text}, options));
        }
        return 0;
      }));
    }
    return drained();
  }

  double without() {
    enqueue(office_, count_);
    return drained();
  }

 private:
  double drained() {
    const double start = bench::seconds_now();
    if (drain(queue_) != count_) bench::give_up("limits_cost", "not all were drained");
    return count_ / (bench::seconds_now() - start);
  }

  const bench::Office& office_;
  int count_;
  TaskQueue queue_;
  std::vector<Tenant> tenants_;
  std::size_t next_ = 0;
};

void limits_cost(const bench::Arguments& arguments, int count, int of_pairs) {
  bench::ScratchFolder scratch;
  const auto office = bench::open_office(scratch.file(), false);
  FlowCost cost(office, count);
  const auto p = bench::measure_pairs(
      of_pairs, bench::Better::higher, [&] { return cost.with_rules(); },
      [&] { return cost.without(); });
  bench::Metric metric = bench::with_pairs({.bench = "queue",
                                            .metric = "limits_cost",
                                            .storage = "sqlite",
                                            .durability = "relaxed",
                                            .unit = "percent"},
                                           p);
  metric.value = (1 - p.ratio) * 100;
  metric.baseline = p.baseline;
  bench::print_metric(arguments, metric);
}

void latencies(const bench::Arguments& arguments, double sync_us) {
  const auto print = [&](std::string_view name, std::string_view unit, double value,
                         std::optional<double> loop = std::nullopt) {
    bench::Metric metric{.bench = "queue",
                         .metric = name,
                         .storage = "sqlite",
                         .durability = "power_safe",
                         .value = value,
                         .unit = unit,
                         .sync_us = sync_us};
    metric.baseline = loop;
    if (loop) metric.ratio = *loop / value;
    bench::print_metric(arguments, metric);
  };
  bench::print_metric(arguments, bench::with_pairs({.bench = "queue",
                                                    .metric = "enqueue_single",
                                                    .storage = "sqlite",
                                                    .durability = "power_safe",
                                                    .unit = "per_second",
                                                    .sync_us = sync_us},
                                                   enqueue_single(arguments.quick ? 20 : 1000,
                                                                  arguments.quick ? 1 : pairs)));
  const Threads threads = enqueue_threads(64, arguments.quick ? 10 : 1500);
  print("enqueue_threads_64", "per_second", threads.per_second);
  print("enqueue_threads_64_p99_ms", "ms", threads.p99_ms);
  const int count = arguments.quick ? 20 : 1000;
  const auto p = [](const std::vector<double>& of, double which) {
    return bench::percentile(of, which);
  };
  bench::ScratchFolder scratch;
  const Wakes here = wake_in_process(opener_of(scratch.file(), true), count);
  const Wakes loop = wake_by_loop(count);
  print("wake_in_process_p50_us", "us", p(here.from_return, 50), p(loop.from_return, 50));
  print("wake_in_process_p99_us", "us", p(here.from_return, 99), p(loop.from_return, 99));
  print("wake_in_process_from_call_p50_us", "us", p(here.from_call, 50), p(loop.from_call, 50));
  print("wake_in_process_from_call_p99_us", "us", p(here.from_call, 99), p(loop.from_call, 99));
  const Wakes other = wake_cross_process(opener_of(scratch.file(), true), count);
  print("wake_cross_process_p50_us", "us", p(other.from_return, 50));
  print("wake_cross_process_p99_us", "us", p(other.from_return, 99));
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments =
      bench::parse_arguments(argc, argv, {"queue", "agents", "latency", "limits", "history"});
  const int count = arguments.quick ? 1000 : arguments.long_run ? 100'000 : 20'000;
  const double sync_us = bench::measure_sync_us();
  for (const bool power_safe : {true, false}) {
    if (arguments.wants("queue")) enqueue_and_drain(arguments, count, power_safe, sync_us);
  }
  for (const bool power_safe : {true, false}) {
    if (arguments.wants("agents")) agents_drain(arguments, count, power_safe, sync_us);
  }
  if (arguments.wants("latency")) latencies(arguments, sync_us);
  if (arguments.wants("limits")) {
    limits_cost(arguments, arguments.quick ? 1000 : 100'000, arguments.long_run ? pairs : 3);
  }
  if (!arguments.wants("history")) return 0;
  const int history = arguments.quick ? 2'000 : 1'000'000;
  const int rounds = arguments.quick ? 50 : 500;
  claim_over_history(arguments, "claim_over_history", history, history, rounds);
  if (arguments.long_run) {
    claim_over_history(arguments, "claim_over_history_10m", 10 * history, history, rounds);
  }
}
