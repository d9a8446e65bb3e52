// What several threads may see of one another, and deadlines. No check waits for time to pass but
// where a storage makes one call wait for another; then until a deadline of its own clock.

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "store/internal_tables.hpp"
#include "testing/exercise/bench.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing::exercise {

namespace {

/// How long a call may wait for one that cannot end before it.
constexpr Duration patience = std::chrono::milliseconds(100);

/// Runs `body` on another thread to its end.
template <class Body>
auto elsewhere(Body body) {
  decltype(body()) result;
  std::thread thread([&] { result = body(); });
  thread.join();
  return result;
}

Result<void> read_is_a_snapshot(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert(writer, item(1, "a")); }));
  return bench.read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY_VOID(expect_ids(ids_of(reader, select<Item>()), {1}, "before another's write"));
    const auto written = elsewhere([&]() -> Result<void> {
      WriteOptions options;
      options.deadline = bench.soon(patience);
      return bench.storage->write(options,
                                  [](Writer& writer) { return insert(writer, item(2, "b")); });
    });
    if (!written)
      BUREAU_TRY_VOID(
          expect_error(written, {Code::deadline, Code::busy}, "a write that waits for a reader"));
    BUREAU_TRY_VOID(
        expect_ids(ids_of(reader, select<Item>()), {1}, "a read after another's write"));
    BUREAU_TRY(const bool found, reader.find(table_of<Item>(), 2, ignore_rows()));
    return expect(!found, "find sees a row that was written after the read began");
  });
}

Result<void> writes_are_hidden_until_committed(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert(writer, item(1, "a")); }));
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert(writer, item(2, "b")));
    Ids seen;
    const auto read = elsewhere([&]() -> Result<void> {
      return bench.storage->read(bench.soon(patience), [&](Reader& reader) -> Result<void> {
        BUREAU_TRY(seen, ids_of(reader, select<Item>()));
        return {};
      });
    });
    if (!read)
      return expect_error(read, {Code::deadline, Code::busy}, "a read that waits for a writer");
    return expect_ids(seen, {1}, "a read beside a write that has not ended");
  }));
  return expect_ids(bench.ids(select<Item>()), {1, 2}, "after it");
}

Result<void> write_deadline(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(insert(writer, item(1)));
    const auto late = elsewhere([&]() -> Result<void> {
      WriteOptions options;
      options.deadline = bench.soon(patience);
      return bench.storage->write(options, [](Writer& inner) { return insert(inner, item(2)); });
    });
    if (late && bench.storage->capabilities().concurrent_writers) return {};
    return expect_error(late, {Code::deadline, Code::busy}, "a write behind another");
  }));
  BUREAU_TRY(const Ids ids, bench.ids(select<Item>()));
  if (bench.storage->capabilities().concurrent_writers) return {};
  return expect_ids(ids, {1}, "after a write that missed its deadline");
}

Result<void> read_deadline(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) {
    std::vector<Counter> counters;
    for (std::int64_t i = 1; i <= 100; ++i) counters.push_back(counter(i));
    return insert(writer, counters);
  }));
  const Monotonic end = bench.soon(std::chrono::seconds(30));
  const auto late = bench.storage->read(bench.soon(patience), [&](Reader& reader) -> Result<void> {
    while (bench.clock.monotonic() < end) BUREAU_TRY_VOID(ids_of(reader, select<Counter>()));
    return {};
  });
  return expect_error(late, {Code::deadline}, "a read that goes on beyond its deadline");
}

/// Increments by adding and by reading and storing; a lost update shows in one or the other.
Result<void> increment(Bench& bench) {
  return bench.write([](Writer& writer) -> Result<void> {
    const TableInfo& table = table_of<Counter>();
    std::int64_t stored = 0;
    BUREAU_TRY_VOID(writer.find(table, 1, [&](std::span<const Value> row) -> Result<bool> {
      stored = row[table.find("stored")->index].as_integer();
      return true;
    }));
    Update update;
    update.which = select<Counter>().where(col(&Counter::id) == Id<Counter>(1));
    update.set.push_back({table.find("added"), Value::integer(1), true});
    update.set.push_back({table.find("stored"), Value::integer(stored + 1), false});
    BUREAU_TRY_VOID(writer.update(update));
    return {};
  });
}

/// Runs `body(thread)` on each of the threads; the first error of any.
Result<void> on_threads(Bench& bench, FunctionRef<Result<void>(int)> body) {
  std::vector<Result<void>> results(static_cast<std::size_t>(bench.options.threads));
  std::vector<std::thread> threads;
  for (int t = 0; t < bench.options.threads; ++t)
    threads.emplace_back([&, t] { results[static_cast<std::size_t>(t)] = body(t); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) BUREAU_TRY_VOID(result);
  return {};
}

Result<void> concurrent_writers(Bench& bench) {
  BUREAU_TRY_VOID(bench.write([](Writer& writer) { return insert(writer, counter(1)); }));
  BUREAU_TRY_VOID(on_threads(bench, [&](int) -> Result<void> {
    for (int i = 0; i < bench.options.writes; ++i) BUREAU_TRY_VOID(increment(bench));
    return {};
  }));
  const std::int64_t want = std::int64_t{bench.options.threads} * bench.options.writes;
  Rows rows;
  BUREAU_TRY_VOID(bench.read([&](Reader& reader) -> Result<void> {
    BUREAU_TRY(rows, rows_of(reader, select<Counter>()));
    return {};
  }));
  BUREAU_TRY_VOID(expect_number(static_cast<std::int64_t>(rows.size()), 1, "counters"));
  BUREAU_TRY_VOID(expect_number(rows[0][1].view().as_integer(), want, "increments by adding"));
  return expect_number(rows[0][2].view().as_integer(), want, "increments by reading and storing");
}

/// The number as the id of a row of the journal.
Result<void> insert_record(Writer& writer, std::int64_t number) {
  detail::JournalRow record;
  record.id = Id<detail::JournalRow>(number);
  record.count = 1;
  return insert(writer, record);
}

/// Of concurrent writers, some of which fail, beside readers.
Result<void> sequence_has_no_late_numbers(Bench& bench) {
  Catalog with_journal = catalog();
  BUREAU_TRY_VOID(with_journal.add_internal(table_of<detail::JournalRow>()));
  BUREAU_TRY_VOID(bench.storage->migrate(with_journal));
  std::mutex mutex;
  std::set<std::int64_t> committed;
  std::vector<Ids> seen;
  BUREAU_TRY_VOID(on_threads(bench, [&](int thread) -> Result<void> {
    for (int i = 0; i < bench.options.writes; ++i) {
      std::int64_t number = 0;
      const bool fails = (i + thread) % 4 == 3;
      const auto written = bench.write([&](Writer& writer) -> Result<void> {
        BUREAU_TRY(number, writer.draw_sequence(1));
        BUREAU_TRY_VOID(insert_record(writer, number));
        if (fails) return fail(Code::conflict, "of the closure");
        return {};
      });
      if (!fails) BUREAU_TRY_VOID(written);
      BUREAU_TRY(Ids now, bench.ids(select<detail::JournalRow>()));
      const std::lock_guard lock(mutex);
      if (!fails && !committed.insert(number).second)
        return wrong("number " + std::to_string(number) + " was drawn twice");
      seen.push_back(std::move(now));
    }
    return {};
  }));
  for (const Ids& ids : seen) {
    if (ids.empty()) continue;
    const Ids want(committed.begin(), committed.upper_bound(ids.back()));
    BUREAU_TRY_VOID(expect_ids(ids, want, "a number became visible after a larger one"));
  }
  return expect_ids(bench.ids(select<detail::JournalRow>()),
                    Ids(committed.begin(), committed.end()), "numbers when nobody draws any more");
}

}  // namespace

std::vector<CheckEntry> thread_checks() {
  return {{"read_is_a_snapshot", read_is_a_snapshot},
          {"writes_are_hidden_until_committed", writes_are_hidden_until_committed},
          {"write_deadline", write_deadline},
          {"read_deadline", read_deadline},
          {"concurrent_writers", concurrent_writers},
          {"sequence_has_no_late_numbers", sequence_has_no_late_numbers}};
}

}  // namespace testing::exercise

BUREAU_END_NAMESPACE
