// Several writes that are made together, and writes that are begun and told of later.

#include <condition_variable>
#include <mutex>
#include <thread>

#include "bureau/store/database.hpp"
#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

using Closure = std::function<Result<void>(Writer&)>;

std::vector<Result<void>> write_all(Storage& storage, std::vector<Closure>& closures) {
  std::vector<BatchedWrite> writes;
  for (std::size_t i = 0; i < closures.size(); ++i) {
    WriteOptions options;
    options.portable = i % 2 == 0;
    writes.push_back({options, closures[i], {}});
  }
  storage.write_all(writes);
  std::vector<Result<void>> results;
  for (BatchedWrite& one : writes) results.push_back(std::move(one.result));
  return results;
}

Result<void> batched_writes_stand_for_themselves(Bench& bench) {
  std::vector<Closure> closures;
  closures.emplace_back([](Writer& w) { return insert(w, counter(1)); });
  closures.emplace_back([](Writer& w) -> Result<void> {
    BUREAU_TRY_VOID(insert(w, counter(2)));
    return fail(Code::conflict, "of the closure");
  });
  closures.emplace_back([](Writer& w) { return insert(w, counter(1)); });
  closures.emplace_back([](Writer& w) { return insert(w, counter(3)); });
  closures.emplace_back([](Writer& w) -> Result<void> {
    // Sees those before it, and nothing of the one that failed.
    BUREAU_TRY(const Ids seen, ids_of(w, select<Counter>()));
    BUREAU_TRY_VOID(expect_ids(seen, {1, 3}, "what a batched write sees"));
    return insert(w, counter(4));
  });
  const auto results = write_all(*bench.storage, closures);
  for (const std::size_t i : {0U, 3U, 4U}) BUREAU_TRY_VOID(results[i]);
  BUREAU_TRY_VOID(
      expect_error(results[1], {Code::conflict}, "a batched write whose closure fails"));
  BUREAU_TRY_VOID(expect_error(results[2], {Code::exists}, "a batched write of a taken id", "id"));
  return expect_ids(bench.ids(select<Counter>()), {1, 3, 4}, "after a batch");
}

Result<void> batched_writes_are_in_order(Bench& bench) {
  constexpr std::int64_t count = 150;  // more than share a commit
  std::vector<Closure> closures;
  for (std::int64_t i = 1; i <= count; ++i) {
    closures.emplace_back([i](Writer& w) -> Result<void> {
      BUREAU_TRY(const std::int64_t number, w.draw_sequence(1));
      return insert(w, counter(i, number));
    });
  }
  for (const auto& result : write_all(*bench.storage, closures)) BUREAU_TRY_VOID(result);
  BUREAU_TRY_VOID(bench.read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const Rows rows, rows_of(reader, select<Counter>()));
    BUREAU_TRY_VOID(
        expect_number(static_cast<std::int64_t>(rows.size()), count, "rows of a batch"));
    for (const auto& row : rows) {
      BUREAU_TRY_VOID(expect_number(row[1].view().as_integer(), row[0].view().as_integer(),
                                    "the place of a batched write"));
    }
    return {};
  }));
  std::vector<Closure> none;
  write_all(*bench.storage, none);
  return {};
}

Result<void> batch_in_a_write_is_refused(Bench& bench) {
  return bench.write([&](Writer& writer) -> Result<void> {
    std::vector<Closure> closures{[](Writer& w) { return insert(w, counter(1)); },
                                  [](Writer& w) { return insert(w, counter(2)); }};
    for (const auto& result : write_all(*bench.storage, closures)) {
      BUREAU_TRY_VOID(expect_error(result, {Code::invalid}, "a batch inside a write"));
    }
    return insert(writer, counter(3));
  });
}

Result<void> batches_beside_writers(Bench& bench) {
  constexpr int batch = 20;
  const int threads = bench.options.threads;
  const int rounds = bench.options.writes;
  std::mutex mutex;
  Result<void> outcome;
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (int round = 0; round < rounds; ++round) {
        const std::int64_t base = (t * rounds + round) * 100 + 1;
        std::vector<Closure> closures;
        for (std::int64_t i = 0; i < (t == 0 ? 1 : batch); ++i) {
          closures.emplace_back([id = base + i](Writer& w) -> Result<void> {
            BUREAU_TRY_VOID(insert(w, counter(id)));
            // Every fourth fails after its change.
            return id % 4 == 0 ? fail(Code::conflict, "of the closure") : Result<void>();
          });
        }
        const auto results = write_all(*bench.storage, closures);
        const std::lock_guard lock(mutex);
        for (std::size_t i = 0; i < results.size(); ++i) {
          const bool fails = (base + static_cast<std::int64_t>(i)) % 4 == 0;
          if (results[i].has_value() == fails && outcome) {
            outcome = wrong("a batched write beside others has not its own outcome");
          }
        }
      }
    });
  }
  for (auto& thread : running) thread.join();
  BUREAU_TRY_VOID(std::move(outcome));
  BUREAU_TRY(const Ids ids, bench.ids(select<Counter>()));
  for (const std::int64_t id : ids) {
    if (id % 4 == 0) return wrong("a batched write that failed left its row");
  }
  const int want = rounds + (threads - 1) * rounds * batch * 3 / 4;
  // Of the thread that writes one at a time, ids are 1 modulo 4: none fails.
  return expect_number(static_cast<std::int64_t>(ids.size()), want, "rows of batches");
}

// Begun, told of later --------------------------------------------------------------------------

Result<std::unique_ptr<Database>> open_database(Bench& bench, int waiting = 500) {
  DatabaseOptions options;
  options.storage = bench.storage;
  options.catalog = catalog();
  options.clock = &bench.clock;
  options.async_writes_max = static_cast<std::size_t>(waiting);
  return Database::open(std::move(options));
}

Database::AsyncClosure adds(std::int64_t id, Code code = Code()) {
  return [id, code](Transaction& tx) -> Result<void> {
    BUREAU_TRY_VOID(insert(tx.unjournalled(), counter(id)));
    return code == Code() ? Result<void>() : fail(code, "of the closure");
  };
}

Result<void> begun_writes_are_told_in_order(Bench& bench) {
  BUREAU_TRY(const auto database, open_database(bench));
  std::vector<std::pair<std::int64_t, Result<void>>> told;
  const auto thread = std::this_thread::get_id();
  bool elsewhere = false;
  constexpr std::int64_t count = 200;
  for (std::int64_t i = 1; i <= count; ++i) {
    BUREAU_TRY_VOID(database->write_async(
        {}, {}, adds(i, i % 5 == 0 ? Code::conflict : Code()), [&, i](Result<void> outcome) {
          elsewhere = elsewhere || std::this_thread::get_id() != thread;
          told.emplace_back(i, std::move(outcome));
        }));
  }
  BUREAU_TRY_VOID(expect(told.empty(), "a write was told of inside the call that began it"));
  BUREAU_TRY_VOID(expect_ids(bench.ids(select<Counter>()), {}, "before anybody makes the writes"));
  while (database->run_async_writes()) {
  }
  BUREAU_TRY_VOID(expect(!elsewhere, "a callback ran on a thread that makes no writes"));
  BUREAU_TRY_VOID(
      expect_number(static_cast<std::int64_t>(told.size()), count, "writes that were told of"));
  Ids want;
  for (std::int64_t i = 1; i <= count; ++i) {
    const auto& [id, outcome] = told[static_cast<std::size_t>(i - 1)];
    BUREAU_TRY_VOID(expect_number(id, i, "the order in which writes are told of"));
    if (i % 5 == 0) {
      BUREAU_TRY_VOID(expect_error(outcome, {Code::conflict}, "a begun write that fails"));
    } else {
      BUREAU_TRY_VOID(outcome);
      want.push_back(i);
    }
  }
  return expect_ids(bench.ids(select<Counter>()), want, "after begun writes");
}

Result<void> callbacks_of_begun_writes_write(Bench& bench) {
  BUREAU_TRY(const auto database, open_database(bench));
  Result<void> second = wrong("the second was not told of");
  Result<void> inside = wrong("the first was not told of");
  bool nested = true;
  BUREAU_TRY_VOID(database->write_async({}, {}, adds(1), [&](Result<void>) {
    inside = database->write({}, {}, adds(2));
    static_cast<void>(database->write_async(
        {}, {}, adds(3), [&](Result<void> outcome) { second = std::move(outcome); }));
    nested = database->run_async_writes();  // not inside itself
  }));
  while (database->run_async_writes()) {
  }
  BUREAU_TRY_VOID(inside);
  BUREAU_TRY_VOID(second);
  BUREAU_TRY_VOID(expect(!nested, "writes were made inside a callback of another"));
  return expect_ids(bench.ids(select<Counter>()), {1, 2, 3}, "after callbacks that write");
}

Result<void> begun_writes_end_with_the_database(Bench& bench) {
  std::vector<Code> told;
  const auto tell = [&](Result<void> outcome) {
    told.push_back(outcome ? Code() : outcome.error().code);
  };
  {
    BUREAU_TRY(const auto database, open_database(bench));
    // Finishing makes what was begun, and what its callbacks begin.
    BUREAU_TRY_VOID(database->write_async({}, {}, adds(1), [&](Result<void> outcome) {
      tell(std::move(outcome));
      static_cast<void>(database->write_async({}, {}, adds(2), tell));
    }));
    BUREAU_TRY_VOID(database->finish_async_writes(Monotonic::never()));
    BUREAU_TRY_VOID(expect(told == std::vector<Code>(2), "writes that finishing makes"));
    BUREAU_TRY_VOID(expect_error(database->write_async({}, {}, adds(3), tell), {Code::unavailable},
                                 "beginning a write after the end"));
  }
  told.clear();
  {
    BUREAU_TRY(const auto database, open_database(bench));
    std::int64_t accepted = 0;
    Result<void> begun;
    while ((begun = database->write_async({}, {}, adds(100 + accepted), tell))) ++accepted;
    BUREAU_TRY_VOID(expect_error(begun, {Code::busy}, "beginning more writes than may wait"));
    BUREAU_TRY_VOID(expect_number(accepted, 500, "writes that may wait"));
    BUREAU_TRY_VOID(expect(told.empty(), "waiting writes were told of"));
  }
  BUREAU_TRY_VOID(
      expect(told == std::vector<Code>(500, Code::cancelled), "writes that were dropped"));
  return expect_ids(bench.ids(select<Counter>()), {1, 2}, "after dropped writes");
}

Result<void> begun_writes_of_threads(Bench& bench) {
  const int threads = bench.options.threads;
  const int each = bench.options.writes;
  BUREAU_TRY(const auto database, open_database(bench, threads * each));
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Ids> told(static_cast<std::size_t>(threads));
  int left = threads * each;
  int inside = 0;
  Result<void> outcome;
  std::uint64_t wakes = 0;
  database->on_async_write([&] {
    const std::lock_guard lock(mutex);
    ++wakes;
    changed.notify_all();
  });
  std::vector<std::thread> running;
  for (int t = 0; t < 2; ++t) {
    running.emplace_back([&] {
      for (;;) {
        std::uint64_t seen = 0;
        {
          const std::lock_guard lock(mutex);
          if (left == 0) return;
          seen = wakes;
        }
        while (database->run_async_writes()) {
        }
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return left == 0 || wakes != seen; });
      }
    });
  }
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        auto begun = database->write_async({}, {}, adds(t * each + i + 1), [&, t, i](auto result) {
          const std::lock_guard lock(mutex);
          if (++inside != 1 && outcome) outcome = wrong("two callbacks ran at a time");
          --inside;
          if (!result && outcome) outcome = std::move(result);
          told[static_cast<std::size_t>(t)].push_back(i);
          if (--left == 0) changed.notify_all();
        });
        const std::lock_guard lock(mutex);
        if (begun) continue;
        if (outcome) outcome = std::move(begun);
        if (--left == 0) changed.notify_all();
      }
    });
  }
  for (auto& thread : running) thread.join();
  database->on_async_write({});
  BUREAU_TRY_VOID(std::move(outcome));
  for (const Ids& one : told) {
    for (std::size_t i = 0; i < one.size(); ++i) {
      BUREAU_TRY_VOID(expect_number(one[i], static_cast<std::int64_t>(i),
                                    "the order in which a thread's writes are told of"));
    }
  }
  BUREAU_TRY(const Ids ids, bench.ids(select<Counter>()));
  return expect_number(static_cast<std::int64_t>(ids.size()), threads * each, "begun writes");
}

}  // namespace

std::vector<CheckEntry> batch_checks() {
  return {{"batched_writes_stand_for_themselves", batched_writes_stand_for_themselves},
          {"batched_writes_are_in_order", batched_writes_are_in_order},
          {"batch_in_a_write_is_refused", batch_in_a_write_is_refused},
          {"batches_beside_writers", batches_beside_writers},
          {"begun_writes_are_told_in_order", begun_writes_are_told_in_order},
          {"callbacks_of_begun_writes_write", callbacks_of_begun_writes_write},
          {"begun_writes_end_with_the_database", begun_writes_end_with_the_database},
          {"begun_writes_of_threads", begun_writes_of_threads}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
