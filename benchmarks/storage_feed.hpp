#pragma once

// The feed across processes, and what a number of the journal costs those who write at a time.

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "postgres_office.hpp"

namespace storage_bench {
/// What a feed tells of: a row that says which it is.
struct Change {
  bureau::Id<Change> id;
  bureau::Id<bureau::Tenant> tenant;
  std::int64_t number = 0;
};
/// A row written through the storage alone, under the number that the journal would have given it.
struct Entry {
  bureau::Id<Entry> id;
  std::string text;
};
}  // namespace storage_bench
template <>
inline constexpr auto bureau::schema<storage_bench::Change> = bureau::table(
    "changes", "chg", bureau::journal::full, bureau::column("id", &storage_bench::Change::id),
    bureau::column("tenant", &storage_bench::Change::tenant),
    bureau::column("number", &storage_bench::Change::number));
template <>
inline constexpr auto bureau::schema<storage_bench::Entry> = bureau::table(
    "entries", "ent", bureau::journal::none, bureau::column("id", &storage_bench::Entry::id),
    bureau::column("text", &storage_bench::Entry::text, bureau::max_length(1000)));

namespace storage_bench {

inline constexpr int feed_writers = 4, changes_a_commit = 10, changes_a_second = 10'000;

/// What the process that writes and the one that hears both see.
struct FeedTimes {
  std::atomic<bool> go, over;
  std::atomic<double> seconds;  ///< that the writers took
  std::array<std::atomic<double>, 1'000'000> committed;
};

/// Commits at an even pace; who is late hurries. Never returns.
[[noreturn]] inline void write_changes(const Database& database, Id<Tenant> tenant,
                                       FeedTimes& times, int count) {
  EngineOptions options = engine_options(database, true);
  options.tables = {&table_of<Change>()};
  const auto engine = must(Engine::open(std::move(options)));
  while (!times.go) ::usleep(1000);
  const double start = bench::seconds_now();
  const double pause = double{changes_a_commit} * feed_writers / changes_a_second;
  std::vector<std::thread> writers;
  for (int w = 0; w < feed_writers; ++w) {
    writers.emplace_back([&, w] {
      const Repository<Change> changes(engine->system(tenant));
      int turn = 0;
      for (int i = w * changes_a_commit; i < count; i += feed_writers * changes_a_commit, ++turn) {
        const double wait = start + turn * pause - bench::seconds_now();
        if (wait > 0) std::this_thread::sleep_for(std::chrono::duration<double>(wait));
        std::vector<Change> rows(changes_a_commit);
        for (int k = 0; k < changes_a_commit; ++k) {
          rows[static_cast<std::size_t>(k)].number = i + k;
        }
        must(changes.insert_all(std::move(rows)));
        const double now = bench::seconds_now();
        for (int k = 0; k < changes_a_commit; ++k) {
          times.committed[static_cast<std::size_t>(i + k)] = now;
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  times.seconds = bench::seconds_now() - start;
  times.over = true;
  must(engine->stop());
  ::_exit(0);
}

inline void feed(const bench::Arguments& arguments, Server& server, double sync_us) {
  const int seconds = arguments.long_run ? 60 : 10;
  const int count = arguments.quick ? 2'000 : changes_a_second * seconds;
  const Database database = server.create_database();
  void* memory =
      ::mmap(nullptr, sizeof(FeedTimes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) bench::give_up("feed", "no shared memory");
  auto& times = *new (memory) FeedTimes{};
  Id<Tenant> tenant;
  {
    EngineOptions options = engine_options(database, true);
    options.tables = {&table_of<Change>()};
    tenant = must(must(Engine::open(std::move(options)))->access().create_tenant("bench")).id;
  }
  const auto child = ::fork();
  if (child < 0) bench::give_up("feed", "no process to be had");
  if (child == 0) write_changes(database, tenant, times, count);

  EngineOptions options = engine_options(database, true);
  options.tables = {&table_of<Change>()};
  options.log = [](const LogRecord& record) {  // why something was not told
    if (record.level < LogLevel::warning) return;
    std::fprintf(stderr, "%.*s: %.*s\n", int(record.source.size()), record.source.data(),
                 int(record.message.size()), record.message.data());
  };
  const auto engine = must(Engine::open(std::move(options)));
  std::vector<double> heard(static_cast<std::size_t>(count), 0.0);
  std::atomic<int> told{0};
  std::int64_t last = 0;
  std::atomic<bool> disordered{false};
  const auto subscription = must(engine->feed().subscribe<Change>(
      engine->system(tenant), {}, [&](const RowEvent<Change>& event) {
        if (!event.after) {
          std::fprintf(stderr, "feed: %s\n", std::string(to_string(event.kind)).c_str());
          return;
        }
        if (event.sequence <= last) disordered = true;
        last = event.sequence;
        double& at = heard[static_cast<std::size_t>(event.after->number)];
        if (at != 0) disordered = true;
        at = bench::seconds_now();
        ++told;
      }));
  must(engine->start());
  times.go = true;
  int status = 0;
  if (::waitpid(child, &status, 0) != child || status != 0) bench::give_up("feed", "the writer");
  for (const double end = bench::seconds_now() + 10; told < count && bench::seconds_now() < end;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  must(engine->stop());
  if (disordered) bench::give_up("feed", "a change came twice or out of turn");
  std::vector<double> delays;
  int missed = 0;
  for (std::size_t i = 0; i < heard.size(); ++i) {
    if (heard[i] == 0) {
      ++missed;
    } else {
      delays.push_back(std::max(0.0, heard[i] - times.committed[i]) * 1e3);
    }
  }
  const auto print = [&](std::string_view name, double value, std::string_view unit) {
    bench::print_metric(arguments, {.bench = "storage",
                                    .metric = name,
                                    .storage = "postgres",
                                    .durability = "power_safe",
                                    .value = value,
                                    .unit = unit,
                                    .sync_us = sync_us});
  };
  if (delays.empty()) bench::give_up("feed", "nothing was heard");
  print("feed_changes", count / times.seconds, "per_second");
  print("feed_p50_ms", bench::percentile(delays, 50), "ms");
  print("feed_p99_ms", bench::percentile(delays, 99), "ms");
  print("feed_missed", missed, "changes");
  ::munmap(memory, sizeof(FeedTimes));
}

// What a number of the journal costs those who write at a time
// -------------------------------------

inline constexpr int feed_ratio_writers = 16;

/// Commits a second of many threads, each of which calls `commit` again and again.
template <class Commit>
double commits_per_second(int each, Commit commit) {
  std::vector<std::thread> threads;
  std::atomic<bool> go{false};
  for (int t = 0; t < feed_ratio_writers; ++t) {
    threads.emplace_back([&, t] {
      while (!go) std::this_thread::yield();
      for (int i = 0; i < each; ++i) commit(t);
    });
  }
  const double start = bench::seconds_now();
  go = true;
  for (std::thread& thread : threads) thread.join();
  return feed_ratio_writers * each / (bench::seconds_now() - start);
}

/// The same by hand, with the number from a row that counts.
inline double counter_row_ratio(const Database& database, int each) {
  std::vector<std::unique_ptr<bench::PgLoop>> loops;
  for (int i = 0; i < feed_ratio_writers; ++i) {
    loops.push_back(std::make_unique<bench::PgLoop>(database.conninfo()));
    if (i == 0) {
      loops[0]->run(
          "CREATE SCHEMA counted; CREATE TABLE counted.counter(n bigint); "
          "INSERT INTO counted.counter VALUES(0); "
          "CREATE TABLE counted.entries(id bigint PRIMARY KEY, text text)");
    }
    loops.back()->use_schema("counted");
    loops.back()->prepare("counted",
                          "WITH drawn AS (UPDATE counter SET n=n+1 RETURNING n) "
                          "INSERT INTO entries SELECT n,$1 FROM drawn");
    loops.back()->prepare("plain", "INSERT INTO entries VALUES($1,$2)");
  }
  const std::string text(100, 'x');
  std::atomic<std::int64_t> next{std::int64_t{1} << 40};
  const auto commit = [&](int thread, bool counted) {
    bench::PgParameters parameters;
    if (!counted) parameters.add(++next);
    loops[static_cast<std::size_t>(thread)]->execute(counted ? "counted" : "plain",
                                                     parameters.add(std::string_view(text)),
                                                     [](const PGresult*) {});
  };
  const double with = commits_per_second(each, [&](int t) { commit(t, true); });
  return with / commits_per_second(each, [&](int t) { commit(t, false); });
}

inline void feed_commit_ratio(const bench::Arguments& arguments, Server& server, double sync_us) {
  const int each = arguments.quick ? 10 : 600;
  const Database database = server.create_database();
  PostgresOptions options = options_for(database, true);
  options.connections = feed_ratio_writers * 3 / 2;
  const auto storage = must(open_postgres(std::move(options)));
  Catalog catalog;
  must(catalog.add(table_of<Entry>()));
  must(storage->migrate(catalog));
  const std::string text(100, 'x');
  std::atomic<std::int64_t> next{std::int64_t{1} << 40};
  const auto commit = [&](bool numbered) {
    must(storage->write({}, [&](Writer& writer) -> Result<void> {
      const std::array<Value, 2> row{Value::integer(numbered ? 1 : ++next), Value::text(text)};
      if (numbered) return writer.insert_numbered(table_of<Entry>(), row, 1);
      return writer.insert(table_of<Entry>(), row);
    }));
  };
  const auto p = bench::measure_pairs(
      arguments.quick ? 1 : pairs, bench::Better::higher,
      [&] { return commits_per_second(each, [&](int) { commit(true); }); },
      [&] { return commits_per_second(each, [&](int) { commit(false); }); });
  const double counter = counter_row_ratio(database, std::max(each / 5, 1));  // it takes its time
  bench::print_metric(arguments, {.bench = "storage",
                                  .metric = "feed_commit_ratio",
                                  .storage = "postgres",
                                  .durability = "power_safe",
                                  .value = p.ratio,
                                  .unit = "ratio",
                                  .baseline = counter,  // of a counter row
                                  .ratio = p.ratio / counter,
                                  .spread = p.spread,
                                  .sync_us = sync_us});
}

}  // namespace storage_bench
