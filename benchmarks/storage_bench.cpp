// The office on PostgreSQL, on a server of its own on loopback, beside hand-written libpq loops
// that write the same rows, indexes and journal records; and the queue on memory storage beside
// SQLite's.

#include <atomic>
#include <stdexcept>
#include <thread>

#include "bench.hpp"
#include "bureau/store/memory_storage.hpp"
#include "copy_figures.hpp"
#include "policies_office.hpp"
#include "postgres_office.hpp"
#include "queue_latency.hpp"
#include "runs_steps.hpp"
#include "storage_feed.hpp"

namespace {

using namespace bureau;
using namespace storage_bench;
using postgres_test::Database;
using postgres_test::Server;
using queue_bench::enqueue_batch;

/// When the loops' tasks are said to have begun and ended.
constexpr std::int64_t some_time = 1'760'000'000'000'000;

/// The queue by hand. Its schema is made by whoever comes first.
class QueueLoop {
 public:
  enum class Schema { make, use };
  QueueLoop(const Database& database, const bench::Office& office, bool power_safe, bool journal,
            std::string enqueue_body, std::string complete_body, const std::string& schema,
            Schema how = Schema::make)
      : loop_(database.conninfo()),
        tenant_(office.tenant.id.value),
        with_journal_(journal),
        enqueue_body_(std::move(enqueue_body)),
        complete_body_(std::move(complete_body)) {
    as_durable(loop_, power_safe);
    if (how == Schema::make) {
      loop_.copy_schema("bureau", schema);
    } else {
      loop_.use_schema(schema);
    }
    const TableInfo& tasks = table_of<Task>();
    loop_.prepare("insert", bench::pg_insert_sql(tasks));
    bench::prepare_journal(loop_);
    // The index serves the order; an array is looked up once, whatever the planner believes.
    const std::string which =
        "UPDATE tasks SET status=2,node=1,generation=1,attempt=attempt+1,started_at=$1,"
        "agent='loop' WHERE id=ANY(ARRAY(SELECT id FROM tasks WHERE status=1 AND gate<>1 AND "
        "queue='default' AND tenant=$2 AND kind='work' ORDER BY rank NULLS FIRST,id LIMIT ";
    const std::string rest = " FOR UPDATE SKIP LOCKED)) RETURNING " + bench::pg_columns(tasks);
    loop_.prepare("claim", which + std::to_string(queue_bench::batch) + rest);
    loop_.prepare("claim_one", which + "1" + rest);
    loop_.prepare("complete",
                  "UPDATE tasks SET status=5,result='{}',finished_at=$2,updated_at=$2,"
                  "version=version+1,error=NULL,error_code=NULL,progress=1.0 WHERE id=ANY($1) AND "
                  "status+0=2 AND attempt=1 AND node=1 AND generation=1 AND cancel_requested=0");
    loop_.prepare("tell", "NOTIFY work");
  }

  [[nodiscard]] bench::PgLoop& loop() { return loop_; }

  /// Rows by COPY, a thousand a transaction.
  void enqueue(const Task& like, int count) {
    const std::string table = "tasks(" + bench::pg_columns(table_of<Task>()) + ")";
    std::string rows;
    for (int done = 0; done < count; done += enqueue_batch) {
      rows.clear();
      for (int i = 0; i < enqueue_batch && done + i < count; ++i) {
        add_task(like);
        parameters_.append_copied(rows);
      }
      loop_.copy_in("BEGIN", table, rows);
      loop_.begin();
      record(enqueue_body_, 4);  // bureau splits its records at 256 KiB
      loop_.send("commit_of_copy", parameters_.clear());
      loop_.finish();
    }
  }
  void prepare_bulk() { loop_.prepare("commit_of_copy", "COMMIT"); }

  /// A commit of its own; tells a worker that listens, if there is one.
  void enqueue_one(const Task& like, bool tell = false) {
    add_task(like);
    loop_.begin();
    loop_.send("insert", parameters_);
    record(enqueue_body_, 1);
    if (tell) loop_.send("tell", parameters_.clear());
    loop_.finish();
  }

  /// Leases one, if there is one. Its completion is left to complete().
  std::optional<std::int64_t> claim_one() {
    claim("claim_one");
    return ids_.empty() ? std::nullopt : std::optional(ids_[0]);
  }
  void complete(std::int64_t id) {
    ids_ = {id};
    complete_claimed();
  }

  int drain() {
    for (int drained = 0;;) {
      claim("claim");
      if (ids_.empty()) return drained;
      complete_claimed();
      drained += static_cast<int>(ids_.size());
    }
  }

 private:
  void add_task(const Task& like) {
    Task task = like;
    task.id = Id<Task>((std::int64_t{1} << 40) + ++next_id_);
    detail::Scratch scratch;
    values_.resize(table_of<Task>().width());
    to_values(task, values_, scratch);
    parameters_.clear().add_row(values_);
  }
  void record(const std::string& body, int parts) {
    if (!with_journal_) return;
    const std::size_t size = body.size() / static_cast<std::size_t>(parts);
    for (int p = 0; p < parts; ++p) {
      bench::send_journal(loop_, parameters_,
                          std::string_view(body).substr(static_cast<std::size_t>(p) * size, size));
    }
  }
  void claim(const char* statement) {
    ids_.clear();
    loop_.execute(statement, parameters_.clear().add(some_time).add(tenant_),
                  [&](const PGresult* rows) {
                    for (int i = 0; i < PQntuples(rows); ++i) {
                      ids_.push_back(bench::int8_at(rows, i, 0));
                    }
                  });
  }
  void complete_claimed() {
    loop_.begin();
    loop_.send("complete",
               parameters_.clear().add(std::span<const std::int64_t>(ids_)).add(some_time));
    record(complete_body_, 1);
    loop_.finish();
  }

  bench::PgLoop loop_;
  bench::PgParameters parameters_;
  std::vector<Value> values_;
  std::vector<std::int64_t> ids_;
  std::int64_t tenant_;
  bool with_journal_;
  std::string enqueue_body_, complete_body_;
  std::int64_t next_id_ = 0;
};

/// What the loops must write too: a task as it was enqueued, and the journal's bytes.
struct Sample {
  Task like;
  std::string enqueue_body, complete_body;
};
Sample sample_of(const bench::Office& office, int enqueued) {
  TaskQueue queue(office.engine->database());
  const std::vector<queue_bench::Work> payloads(static_cast<std::size_t>(enqueued),
                                                queue_bench::payload());
  must(Tasks(office.system()).enqueue_all(queue_bench::work, payloads));
  Sample sample;
  sample.enqueue_body = queue_bench::newest_bodies(office, enqueued);
  sample.like = must(Tasks(office.system()).list({.limit = 1})).at(0);
  if (queue_bench::drain(queue) != enqueued) bench::give_up("drain", "not all were drained");
  sample.complete_body = queue_bench::newest_bodies(office, 1);
  return sample;
}

void enqueue_and_drain(const bench::Arguments& arguments, Server& server, int count,
                       bool power_safe, double sync_us) {
  const Database database = server.create_database();
  auto office = open_office(database, power_safe);
  TaskQueue queue(office.engine->database());
  const Sample sample = sample_of(office, enqueue_batch);
  QueueLoop loop(database, office, power_safe, true, sample.enqueue_body, sample.complete_body,
                 "loop");
  QueueLoop bare(database, office, power_safe, false, sample.enqueue_body, sample.complete_body,
                 "bare");
  loop.prepare_bulk();
  bare.prepare_bulk();
  double drain_rate = 0;
  const auto ours = [&] {
    double start = bench::seconds_now();
    queue_bench::enqueue(office, count);
    const double rate = count / (bench::seconds_now() - start);
    start = bench::seconds_now();
    if (queue_bench::drain(queue) != count) bench::give_up("drain", "not all were drained");
    drain_rate = count / (bench::seconds_now() - start);
    return rate;
  };
  const auto by_loop = [&](QueueLoop& of) {
    double start = bench::seconds_now();
    of.enqueue(sample.like, count);
    const double rate = count / (bench::seconds_now() - start);
    start = bench::seconds_now();
    if (of.drain() != count) bench::give_up("loop", "not all were drained");
    drain_rate = count / (bench::seconds_now() - start);
    return rate;
  };
  bench::PairedRuns enqueues, drains;
  for (int i = 0; i < (arguments.quick ? 1 : pairs); ++i) {
    const double a = ours(), a_drain = drain_rate;
    const double b = by_loop(loop), b_drain = drain_rate;
    enqueues.add(a, b);
    drains.add(a_drain, b_drain);
  }
  const double bare_enqueue = by_loop(bare), bare_drain = drain_rate;
  const auto print = [&](std::string_view name, const bench::Pairs& p, double without_journal) {
    bench::print_metric(arguments, bench::with_pairs({.bench = "storage",
                                                      .metric = name,
                                                      .storage = "postgres",
                                                      .durability = name_of(power_safe),
                                                      .unit = "per_second",
                                                      .ratio_no_journal = p.ours / without_journal,
                                                      .sync_us = power_safe ? std::optional(sync_us)
                                                                            : std::nullopt},
                                                     p));
  };
  print("enqueue_bulk", enqueues.result(), bare_enqueue);
  print("drain", drains.result(), bare_drain);
}

/// A backlog done by an agent under Engine::start(): heartbeats, leases ahead, all of it.
void agents_drain(const bench::Arguments& arguments, Server& server, int count, double sync_us) {
  const Database database = server.create_database();
  const bench::Office office = open_office(database, true);
  const Sample sample = sample_of(office, enqueue_batch);
  QueueLoop loop(database, office, true, true, sample.enqueue_body, sample.complete_body, "loop");
  loop.prepare_bulk();
  const auto p = bench::measure_pairs(
      arguments.quick ? 1 : pairs, bench::Better::higher,
      [&] {
        const auto engine = must(Engine::open(engine_options(database, true)));
        queue_bench::enqueue(office, count);
        return count / queue_bench::drain_by_agents(*engine, Tasks(office.system()), count);
      },
      [&] {
        loop.enqueue(sample.like, count);
        const double start = bench::seconds_now();
        if (loop.drain() != count) bench::give_up("loop", "not all were drained");
        return count / (bench::seconds_now() - start);
      });
  bench::print_metric(arguments, bench::with_pairs({.bench = "storage",
                                                    .metric = "agents_drain",
                                                    .storage = "postgres",
                                                    .durability = "power_safe",
                                                    .unit = "per_second",
                                                    .sync_us = sync_us},
                                                   p));
}

void enqueue_single(const bench::Arguments& arguments, Server& server, double sync_us) {
  const int count = arguments.quick ? 20 : 1000;
  const Database database = server.create_database();
  const bench::Office office = open_office(database, true);
  const Tasks tasks(office.system());
  const Sample sample = sample_of(office, 1);
  QueueLoop loop(database, office, true, true, sample.enqueue_body, sample.complete_body, "loop");
  const auto one = queue_bench::payload();
  const auto p = bench::measure_pairs(
      arguments.quick ? 1 : pairs, bench::Better::higher,
      [&] {
        const double start = bench::seconds_now();
        for (int i = 0; i < count; ++i) must(tasks.enqueue(queue_bench::work, one));
        return count / (bench::seconds_now() - start);
      },
      [&] {
        const double start = bench::seconds_now();
        for (int i = 0; i < count; ++i) loop.enqueue_one(sample.like);
        return count / (bench::seconds_now() - start);
      });
  bench::print_metric(arguments, bench::with_pairs({.bench = "storage",
                                                    .metric = "enqueue_single",
                                                    .storage = "postgres",
                                                    .durability = "power_safe",
                                                    .unit = "per_second",
                                                    .sync_us = sync_us},
                                                   p));
}

/// The loop: a worker with a connection of its own that listens; the commit notifies it.
queue_bench::Wakes wake_by_loop(Server& server, int count) {
  const Database database = server.create_database();
  const bench::Office office = open_office(database, true);
  const Sample sample = sample_of(office, 1);
  QueueLoop producer(database, office, true, true, sample.enqueue_body, sample.complete_body,
                     "loop");
  QueueLoop worker(database, office, true, true, sample.enqueue_body, sample.complete_body, "loop",
                   QueueLoop::Schema::use);
  worker.loop().run("LISTEN work");
  std::atomic<double> began{0};
  std::thread thread([&] {
    for (int done = 0; done < count; ++done) {
      worker.loop().wait_for_notification();
      const auto id = worker.claim_one();
      if (!id) bench::give_up("wake", "nothing to claim");
      began = bench::seconds_now();
      worker.complete(*id);
    }
  });
  queue_bench::Wakes wakes;
  for (int i = 0; i < count; ++i) {
    queue_bench::rest();
    began = 0;
    const double called = bench::seconds_now();
    producer.enqueue_one(sample.like, true);
    const double returned = bench::seconds_now();
    while (began == 0) std::this_thread::yield();
    wakes.add(called, returned, began);
  }
  thread.join();
  return wakes;
}

void start_latency(const bench::Arguments& arguments, Server& server, double sync_us) {
  const int count = arguments.quick ? 20 : arguments.long_run ? 1000 : 600;
  const Database near = server.create_database(), far = server.create_database();
  const auto opener = [](const Database& database) {
    return [&database] { return must(Engine::open(engine_options(database, true))); };
  };
  const auto loop = wake_by_loop(server, count);
  const auto print = [&](const std::string& name, const queue_bench::Wakes& wakes) {
    for (const auto& [which, suffix] : {std::pair(50.0, "_p50_us"), std::pair(99.0, "_p99_us")}) {
      const double value = bench::percentile(wakes.from_return, which);
      const double baseline = bench::percentile(loop.from_return, which);
      const std::string metric = name + suffix;
      bench::print_metric(arguments, {.bench = "storage",
                                      .metric = metric,
                                      .storage = "postgres",
                                      .durability = "power_safe",
                                      .value = value,
                                      .unit = "us",
                                      .baseline = baseline,
                                      .ratio = baseline / value,
                                      .sync_us = sync_us});
    }
  };
  print("start_latency", queue_bench::wake_in_process(opener(near), count));
  print("start_latency_cross_process", queue_bench::wake_cross_process(opener(far), count));
}

/// The loop: reads the lease, writes the step and its record, in one turn.
class StepLoop {
 public:
  StepLoop(const Database& database, const bench::Office& office, bool power_safe)
      : loop_(database.conninfo()),
        body_(runs_bench::newest_body(office)),
        like_(runs_bench::a_step(office)) {
    as_durable(loop_, power_safe).copy_schema("bureau", "loop");
    const std::string columns = bench::pg_columns(table_of<Task>());
    loop_.run("INSERT INTO tasks(" + columns + ") SELECT " + columns + " FROM bureau.tasks");
    loop_.prepare("lease",
                  "SELECT status,attempt,node,generation,cancel_requested FROM tasks WHERE id=$1");
    loop_.prepare("insert", bench::pg_insert_sql(table_of<RunStep>()));
    bench::prepare_journal(loop_);
  }

  double step_us(int count) {
    std::vector<Value> values(table_of<RunStep>().width());
    ++task_;
    const double start = bench::seconds_now();
    for (int i = 0; i < count; ++i) {
      loop_.begin();
      loop_.send("lease", parameters_.clear().add(like_.task.value));
      RunStep step = like_;
      step.id = Id<RunStep>((std::int64_t{1} << 40) + ++next_);
      step.task = Id<Task>(like_.task.value + task_);
      step.position = i;
      detail::Scratch scratch;
      to_values(step, values, scratch);
      loop_.send("insert", parameters_.clear().add_row(values));
      bench::send_journal(loop_, parameters_, body_);
      loop_.finish();
    }
    return (bench::seconds_now() - start) * 1e6 / count;
  }

 private:
  bench::PgLoop loop_;
  bench::PgParameters parameters_;
  std::string body_;
  RunStep like_;
  std::int64_t next_ = 0, task_ = 0;
};

void durable_steps(const bench::Arguments& arguments, Server& server, bool power_safe,
                   double sync_us) {
  const int count = arguments.quick ? 50 : 1000;
  const Database database = server.create_database();
  const bench::Office office = open_office(database, power_safe);
  runs_bench::StepRuns runs(office);
  must(Tasks(office.system()).enqueue(runs_bench::steps_kind, {}));
  StepLoop loop(database, office, power_safe);
  const auto p = bench::measure_pairs(
      arguments.quick ? 1 : pairs, bench::Better::lower, [&] { return runs.step_us(count); },
      [&] { return loop.step_us(count); });
  bench::print_metric(
      arguments, bench::with_pairs({.bench = "storage",
                                    .metric = "durable_step_us",
                                    .storage = "postgres",
                                    .durability = name_of(power_safe),
                                    .unit = "us",
                                    .sync_us = power_safe ? std::optional(sync_us) : std::nullopt},
                                   p));
}

void query_policies(const bench::Arguments& arguments, Server& server) {
  using policies_bench::Paper;
  using policies_bench::Readers;
  const int queries = arguments.quick ? 20 : 500;
  const Database database = server.create_database();
  const Readers readers(engine_options(database, false));
  bench::PgLoop loop(database.conninfo());
  loop.run("ANALYZE bureau.papers,bureau.memberships");  // both read the same tables
  loop.use_schema("bureau");
  loop.prepare("read",
               "SELECT id,tenant,team,title,body,pages FROM papers WHERE tenant=$1 AND team IN "
               "(SELECT team FROM memberships WHERE tenant=$1 AND \"user\"=$2) "
               "ORDER BY id LIMIT 1000");
  bench::PgParameters parameters;
  const auto by_hand = [&] {
    const double start = bench::seconds_now();
    for (int i = 0; i < queries; ++i) {
      std::vector<Paper> papers;
      const auto take = [&](const PGresult* rows) {
        for (int row = 0; row < PQntuples(rows); ++row) {
          Paper& p = papers.emplace_back();
          p.id = Id<Paper>(bench::int8_at(rows, row, 0));
          p.tenant = Id<Tenant>(bench::int8_at(rows, row, 1));
          p.team = Id<Team>(bench::int8_at(rows, row, 2));
          p.title = bench::text_at(rows, row, 3);
          p.body = bench::text_at(rows, row, 4);
          p.pages = bench::int8_at(rows, row, 5);
        }
      };
      parameters.clear().add(readers.tenant().value).add(readers.user(i).value);
      loop.execute("read", parameters, take);
      if (papers.size() != Readers::seen) bench::give_up("query", "the loop misses papers");
    }
    return queries / (bench::seconds_now() - start);
  };
  const auto p = bench::measure_pairs(
      arguments.quick ? 1 : pairs, bench::Better::higher,
      [&] { return readers.queries_per_second(queries); }, by_hand);
  bench::print_metric(arguments, bench::with_pairs({.bench = "storage",
                                                    .metric = "query_policies_sql",
                                                    .storage = "postgres",
                                                    .durability = "relaxed",
                                                    .unit = "per_second"},
                                                   p));
}

/// Nothing here is of PostgreSQL: what the queue's own code costs, without a disk.
void memory_drain(const bench::Arguments& arguments, int count) {
  bench::ScratchFolder scratch;
  for (const bool power_safe : {true, false}) {
    const auto sqlite = bench::open_office(scratch.file(), power_safe);
    const auto memory = bench::open_office({}, power_safe, make_memory_storage());
    const auto drained = [&](const bench::Office& office) {
      queue_bench::enqueue(office, count);
      TaskQueue queue(office.engine->database());
      const double start = bench::seconds_now();
      if (queue_bench::drain(queue) != count) bench::give_up("drain", "not all were drained");
      return count / (bench::seconds_now() - start);
    };
    const auto p = bench::measure_pairs(
        arguments.quick ? 1 : pairs, bench::Better::higher, [&] { return drained(memory); },
        [&] { return drained(sqlite); });
    bench::print_metric(arguments, bench::with_pairs({.bench = "storage",
                                                      .metric = "drain",
                                                      .storage = "memory",
                                                      .durability = name_of(power_safe),
                                                      .unit = "per_second"},
                                                     p));
  }
}

/// An office as it is after some work: tasks that have ended, with their journal.
void move_to_server(const bench::Arguments& arguments, Server& server, int count, double sync_us) {
  bench::ScratchFolder scratch;
  const auto office = bench::open_office(scratch.file(), false);
  queue_bench::enqueue(office, count);
  TaskQueue queue(office.engine->database());
  if (queue_bench::drain(queue) != count) bench::give_up("move", "not all were drained");
  const auto database = server.create_database();
  copy_bench::move(arguments, office.engine->database().storage(),
                   must(open_postgres(options_for(database, true))), "postgres", sync_us);
}

void on_a_server(const bench::Arguments& arguments, int count, double sync_us) {
  // As durable as it comes; the memory and log of a small machine, as the peers had them.
  Server server(
      {.fsync = true,
       .settings = {"shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=15min"}});
  if (arguments.wants("queue")) {
    for (const bool power_safe : {true, false}) {
      enqueue_and_drain(arguments, server, count, power_safe, sync_us);
    }
  }
  if (arguments.wants("agents")) agents_drain(arguments, server, count, sync_us);
  if (arguments.wants("single")) enqueue_single(arguments, server, sync_us);
  if (arguments.wants("latency")) start_latency(arguments, server, sync_us);
  if (arguments.wants("steps")) {
    durable_steps(arguments, server, true, sync_us);
    durable_steps(arguments, server, false, sync_us);
  }
  if (arguments.wants("policies")) query_policies(arguments, server);
  if (arguments.wants("feed")) feed(arguments, server, sync_us);
  if (arguments.wants("feed_commit")) feed_commit_ratio(arguments, server, sync_us);
  if (arguments.wants("move")) {
    move_to_server(arguments, server, arguments.quick ? count : std::max(count * 2, 40'000),
                   sync_us);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments =
      bench::parse_arguments(argc, argv,
                             {"memory", "backup", "queue", "agents", "single", "latency", "steps",
                              "policies", "feed", "feed_commit", "move"});
  const int count = arguments.quick ? 1000 : arguments.long_run ? 100'000 : 12'000;
  const double sync_us = bench::measure_sync_us();
  if (arguments.wants("memory")) memory_drain(arguments, count);
  if (arguments.wants("backup")) copy_bench::backups(arguments);
  if (!Server::programs()) {
    bench::print_skip("postgres", "no PostgreSQL server is installed");
    return 0;
  }
  try {
    on_a_server(arguments, count, sync_us);
  } catch (const std::exception& failed) {
    bench::give_up("storage", failed.what());
  }
}
