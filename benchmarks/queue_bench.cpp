// The task queue, beside a hand-written SQLite C loop that writes the same rows, indexes and
// journal records.

#include <sys/resource.h>

#include "bench.hpp"
#include "office.hpp"

namespace queue_bench {
struct Work {
  std::string text;
};
}  // namespace queue_bench
template <>
inline constexpr auto bureau::record<queue_bench::Work> =
    bureau::fields(bureau::column("text", &queue_bench::Work::text));

namespace {

using namespace bureau;
using bench::must;
using queue_bench::Work;

constexpr int pairs = 9;
constexpr std::uint64_t batch = 100;  // of claims and completions
constexpr int enqueue_batch = 1000;

constexpr auto work = task_kind<Work, Nothing>("work", Effect::pure, retry::never);

/// 200 bytes of JSON, as in the peers' workload.
Work payload() { return {std::string(200 - std::string_view("{\"text\":\"\"}").size(), 'x')}; }

/// A task's columns, by name, as parameters of the loop's statements.
std::string task_columns(bench::Loop& loop) {
  std::string names;
  bench::LoopStatement columns(loop.db(), "SELECT name FROM pragma_table_info('tasks')");
  while (columns.step()) {
    if (!names.empty()) names += ",";
    names += reinterpret_cast<const char*>(sqlite3_column_text(columns.raw(), 0));
  }
  return names;
}

/// The loop: the same tables, statements that a careful programmer would write by hand.
class QueueLoop {
 public:
  QueueLoop(const std::string& path, const bench::Office& office, bool power_safe, bool journal,
            std::string enqueue_body, std::string complete_body)
      : loop_(path, office.path, power_safe),
        insert_(loop_.db(), bench::insert_sql(loop_, "tasks")),
        journal_(loop_.db(), bench::insert_sql(loop_, "bureau_journal")),
        claim_(loop_.db(),
               "UPDATE tasks SET status=2,node=1,generation=1,attempt=attempt+1,started_at=?1,"
               "agent='loop' WHERE id IN (SELECT id FROM tasks WHERE status=1 AND gate<>1 AND "
               "queue='default' AND tenant=?2 AND kind='work' ORDER BY rank LIMIT 100) RETURNING " +
                   task_columns(loop_)),
        complete_(loop_.db(),
                  "UPDATE tasks SET status=5,result='{}',finished_at=?2,updated_at=?2,"
                  "version=version+1,error=NULL,error_code=NULL,progress=1.0 WHERE id=?1 AND "
                  "status=2 AND attempt=1 AND node=1 AND generation=1 AND cancel_requested=0"),
        begin_(loop_.db(), "BEGIN IMMEDIATE"),
        commit_(loop_.db(), "COMMIT"),
        tenant_(office.tenant.id.value),
        with_journal_(journal),
        enqueue_body_(std::move(enqueue_body)),
        complete_body_(std::move(complete_body)) {}

  void enqueue(const Task& like, int count) {
    std::vector<Value> values(table_of<Task>().width());
    for (int done = 0; done < count; done += enqueue_batch) {
      begin_.run();
      for (int i = 0; i < enqueue_batch && done + i < count; ++i) {
        Task task = like;
        task.id = Id<Task>((std::int64_t{1} << 40) + ++next_id_);
        detail::Scratch scratch;
        to_values(task, values, scratch);
        bench::bind_row(insert_, values);
        insert_.run();
      }
      record(enqueue_body_, 4);  // bureau splits its records at 256 KiB
      commit_.run();
    }
  }

  int drain() {
    int drained = 0;
    std::vector<std::int64_t> ids;
    for (;;) {
      ids.clear();
      claim_.bind(1, std::int64_t{1'760'000'000'000'000}).bind(2, tenant_);
      while (claim_.step()) ids.push_back(sqlite3_column_int64(claim_.raw(), 0));
      if (ids.empty()) return drained;
      begin_.run();
      for (const auto id : ids) {
        complete_.bind(1, id).bind(2, std::int64_t{1'760'000'000'000'000});
        complete_.run();
      }
      record(complete_body_, 1);
      commit_.run();
      drained += static_cast<int>(ids.size());
    }
  }

 private:
  void record(const std::string& body, int parts) {
    if (!with_journal_) return;
    const std::size_t size = body.size() / static_cast<std::size_t>(parts);
    for (int p = 0; p < parts; ++p) {
      for (int i = 1; i <= 8; ++i) journal_.bind(i, i == 1 ? ++next_record_ : std::int64_t{7});
      journal_.bind_bytes(9,
                          std::string_view(body).substr(static_cast<std::size_t>(p) * size, size));
      journal_.run();
    }
  }

  bench::Loop loop_;
  bench::LoopStatement insert_, journal_, claim_, complete_, begin_, commit_;
  std::int64_t tenant_;
  bool with_journal_;
  std::string enqueue_body_, complete_body_;
  std::int64_t next_id_ = 0, next_record_ = 1;
};

/// Bytes of the journal's newest transaction: what the loop must write too.
std::string newest_bodies(const bench::Office& office, std::int64_t changes) {
  std::string bodies;
  must(office.system().read([&](View& view) -> Result<int> {
    const TableInfo* table = office.engine->database().catalog().find("bureau_journal");
    Select newest{table};
    newest.order = {{&table->columns[0], true}};
    newest.limit = 64;
    std::int64_t left = changes;
    BUREAU_TRY_VOID(view.reader().scan(newest, [&](std::span<const Value> row) -> Result<bool> {
      bodies += row[8].as_text();
      left -= row[6].as_integer();
      return left > 0;
    }));
    return 0;
  }));
  return bodies;
}

void enqueue(const bench::Office& office, int count) {
  const Tasks tasks(office.system());
  const std::vector<Work> payloads(enqueue_batch, payload());
  for (int done = 0; done < count; done += enqueue_batch) {
    must(tasks.enqueue_all(work, payloads));
  }
}

int drain(TaskQueue& queue) {
  int drained = 0;
  std::vector<TaskQueue::Completion> done;
  for (;;) {
    auto claimed = must(queue.claim({"default", {"work"}, batch, "bench"}));
    if (claimed.empty()) return drained;
    done.clear();
    for (const Task& task : claimed) done.push_back({task.id, task.attempt, Json::object()});
    if (!must(queue.complete(done)).empty()) bench::give_up("drain", "a lease was lost");
    drained += static_cast<int>(done.size());
  }
}

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
  const std::string complete_body = newest_bodies(office, batch);

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
void claim_over_history(const bench::Arguments& arguments, int history, int rounds) {
  bench::ScratchFolder scratch;
  auto fresh = bench::open_office(scratch.file(), false);
  auto old = bench::open_office(scratch.file(), false);
  enqueue(old, enqueue_batch);
  const Task like = must(Tasks(old.system()).list({.limit = 1})).at(0);
  add_history(old, like, history, history);
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
                                                    .metric = "claim_over_history",
                                                    .storage = "sqlite",
                                                    .durability = "relaxed",
                                                    .unit = "per_second"},
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

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse_arguments(argc, argv);
  const int count = arguments.quick ? 1000 : arguments.long_run ? 100'000 : 20'000;
  const double sync_us = bench::measure_sync_us();
  enqueue_and_drain(arguments, count, true, sync_us);
  enqueue_and_drain(arguments, count, false, sync_us);
  limits_cost(arguments, arguments.quick ? 1000 : 100'000, arguments.long_run ? pairs : 3);
  claim_over_history(arguments, arguments.quick ? 2'000 : 1'000'000, arguments.quick ? 50 : 500);
}
