// Journal numbers under concurrent writers: a read sees the journal without holes that fill later,
// and what it was not shown is hinted at. A plain sequence, read as it stands, fails the same
// tests.

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "basics.hpp"
#include "bureau/core/random.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "counts.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "store/internal_tables.hpp"
#include "store/sample.hpp"

namespace {

using bureau::Code;
using bureau::Monotonic;
using bureau::Reader;
using bureau::Result;
using bureau::Storage;
using bureau::Value;
using bureau::Writer;
using bureau::detail::JournalRow;
using Ids = std::vector<std::int64_t>;

const bureau::Catalog& catalog() {
  static const bureau::Catalog made = [] {
    bureau::Catalog c;
    must(c.add(bureau::table_of<sample::Counter>()));
    must(c.add_internal(bureau::table_of<JournalRow>()));
    return c;
  }();
  return made;
}

std::shared_ptr<Storage> open(const postgres_test::Database& database) {
  bureau::PostgresOptions options;
  options.connection = database.conninfo();
  options.connections = 16;
  auto storage = must(bureau::open_postgres(std::move(options)));
  must(storage->migrate(catalog()));
  return storage;
}

/// Draws, and writes the record that the last number stands for.
Result<std::int64_t> draw(Writer& writer, std::int64_t count) {
  BUREAU_TRY(const std::int64_t last, writer.draw_sequence(count));
  JournalRow record;
  record.id = bureau::Id<JournalRow>(last);
  record.count = count;
  std::vector<Value> values(bureau::table_of<JournalRow>().width());
  bureau::detail::Scratch scratch;
  bureau::to_values(record, values, scratch);
  BUREAU_TRY_VOID(writer.insert(bureau::table_of<JournalRow>(), values));
  return last;
}

std::int64_t write_record(Storage& storage, std::int64_t count = 1) {
  std::int64_t last = 0;
  must(storage.write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY(last, draw(writer, count));
    return {};
  }));
  return last;
}

Result<Ids> journal_of(Reader& reader) {
  Ids ids;
  BUREAU_TRY_VOID(
      reader.scan(bureau::select<JournalRow>(), [&](std::span<const Value> row) -> Result<bool> {
        ids.push_back(row[0].as_integer());
        return true;
      }));
  return ids;
}

Ids journal(Storage& storage) {
  Ids ids;
  must(storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(ids, journal_of(reader));
    return {};
  }));
  return ids;
}

/// What a plain sequence gives its readers: the rows that are committed.
Ids plain_journal(postgres_test::Client& client) {
  Ids ids;
  const std::string text = client.ask(
      "SELECT coalesce(string_agg(id::text,' ' ORDER BY id),'') FROM "
      "bureau.bureau_journal");
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t used = 0;
    ids.push_back(std::stoll(text.substr(at), &used));
    at += used + 1;
  }
  return ids;
}

/// Counts hints; waits for the next.
class Hints {
 public:
  explicit Hints(Storage& storage)
      : subscription_(must(storage.on_commit([this] {
          const std::lock_guard lock(mutex_);
          ++count_;
          changed_.notify_all();
        }))) {}
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  /// False when none came within a minute.
  bool wait_for_more_than(int before) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [&] { return count_ > before; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
  bureau::Subscription subscription_;
};

/// A write on a thread of its own that has drawn one number and stands still.
class OpenWrite {
 public:
  explicit OpenWrite(Storage& storage) {
    thread_ = std::thread([this, &storage] {
      result_ = storage.write({}, [this](Writer& writer) -> Result<void> {
        BUREAU_TRY(const std::int64_t number, draw(writer, 1));
        if (!told_) {
          told_ = true;
          drawn_.set_value(number);
        }
        return end_.get_future().get();
      });
    });
    number_ = drawn_.get_future().get();
  }
  ~OpenWrite() {
    if (thread_.joinable()) static_cast<void>(end({}));
  }
  [[nodiscard]] std::int64_t number() const { return number_; }
  Result<void> end(Result<void> answer) {
    end_.set_value(std::move(answer));
    thread_.join();
    return result_;
  }

 private:
  std::promise<std::int64_t> drawn_;
  std::promise<Result<void>> end_;
  std::thread thread_;
  Result<void> result_;
  std::int64_t number_ = 0;
  bool told_ = false;
};

}  // namespace

TEST_CASE("a number is not seen before a smaller one that may still come") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  const auto elsewhere = open(database);
  postgres_test::Client client(database.conninfo());
  CHECK(write_record(*storage) == 1);
  Hints hints(*storage);
  OpenWrite first(*storage);
  CHECK(first.number() == 2);
  CHECK(write_record(*elsewhere) == 3);
  CHECK(write_record(*storage) == 4);
  // The sequence alone shows what comes after a hole.
  CHECK(plain_journal(client) == Ids{1, 3, 4});
  CHECK(journal(*storage) == Ids{1});
  CHECK(journal(*elsewhere) == Ids{1});
  const int before = hints.count();
  must(first.end({}));
  CHECK(hints.wait_for_more_than(before));
  CHECK(journal(*storage) == Ids{1, 2, 3, 4});
  CHECK(journal(*elsewhere) == Ids{1, 2, 3, 4});
}

TEST_CASE("what was held back is hinted at when the smaller number is given up") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  Hints hints(*storage);
  OpenWrite first(*storage);
  CHECK(write_record(*storage) == 2);
  CHECK(journal(*storage).empty());
  const int before = hints.count();
  const auto ended = first.end(bureau::fail(Code::conflict, "of the closure"));
  CHECK(ended.error().code == Code::conflict);
  CHECK(hints.wait_for_more_than(before));
  CHECK(journal(*storage) == Ids{2});
}

TEST_CASE("what a dead process held back is hinted at by maintain()") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  // A process that draws with plain SQL, and dies.
  auto other = std::make_unique<postgres_test::Client>(database.conninfo());
  other->ask("BEGIN");
  CHECK(other->ask("SELECT bureau.bureau_draw((SELECT oid::int8 FROM pg_namespace WHERE "
                   "nspname='bureau'),1,TRUE)") == "1");
  CHECK(write_record(*storage) == 2);
  CHECK(journal(*storage).empty());
  CHECK(must(storage->maintain()) < std::chrono::seconds(1));
  Hints hints(*storage);
  other.reset();
  // It is gone when the server has seen the end of its connection.
  while (journal(*storage).empty()) must(storage->maintain());
  CHECK(hints.count() > 0);  // also when it was a read that found it gone
  CHECK(journal(*storage) == Ids{2});
  CHECK(must(storage->maintain()) > std::chrono::seconds(1));
}

TEST_CASE("a read that comes to the journal late looks no further than its snapshot") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  CHECK(write_record(*storage) == 1);
  OpenWrite first(*storage);
  Ids late, again;
  must(storage->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY_VOID(reader.scan(bureau::select<sample::Counter>(),
                                [](std::span<const Value>) -> Result<bool> { return true; }));
    // All of this is after the snapshot, and a read in between learns that it is complete.
    std::thread([&] {
      write_record(*storage);
      must(first.end({}));
      again = journal(*storage);
    }).join();
    BUREAU_TRY(late, journal_of(reader));
    return {};
  }));
  CHECK(again == Ids{1, 2, 3});
  CHECK(late == Ids{1});
}

TEST_CASE("a read that comes to the journal late sees this process's own commits") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  for (std::int64_t number = 1; number <= 5; ++number) {
    CHECK(write_record(*storage) == number);
    must(storage->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY_VOID(reader.scan(bureau::select<sample::Counter>(),
                                  [](std::span<const Value>) -> Result<bool> { return true; }));
      BUREAU_TRY(const Ids seen, journal_of(reader));
      CHECK(seen.size() == static_cast<std::size_t>(number));
      return {};
    }));
  }
}

TEST_CASE("G9_ journal without late numbers under many writers, and a plain sequence with them") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const std::shared_ptr<Storage> storages[] = {open(database), open(database)};
  const int threads = 6;
  const int writes = counts::cases(60, 1500);
  std::atomic<int> running{threads};
  std::mutex mutex;
  std::set<std::int64_t> committed, drawn;
  bool overlaps = false;
  std::vector<std::thread> writers;
  for (int t = 0; t < threads; ++t) {
    writers.emplace_back([&, t] {
      bureau::SeededRandom random(static_cast<std::uint64_t>(t));
      for (int i = 0; i < writes; ++i) {
        const auto count = static_cast<std::int64_t>(1 + random.below(3));
        const bool fails = random.below(5) == 0;
        std::int64_t last = 0;
        const auto written = storages[t % 2]->write({}, [&](Writer& writer) -> Result<void> {
          BUREAU_TRY(last, draw(writer, count));
          if (fails) return bureau::fail(Code::conflict, "of the closure");
          return {};
        });
        const std::lock_guard lock(mutex);
        CHECK(written.has_value() != fails);
        if (!fails) committed.insert(last);
        for (std::int64_t n = last - count + 1; n <= last; ++n) {
          overlaps = overlaps || !drawn.insert(n).second;
        }
      }
      --running;
    });
  }
  std::vector<Ids> seen[2], plain;
  std::thread plain_reader([&] {
    postgres_test::Client client(database.conninfo());
    while (running > 0) plain.push_back(plain_journal(client));
  });
  std::vector<std::thread> readers;
  for (int s = 0; s < 2; ++s) {
    readers.emplace_back([&, s] {
      while (running > 0) seen[s].push_back(journal(*storages[s]));
    });
  }
  for (auto& thread : writers) thread.join();
  for (auto& thread : readers) thread.join();
  plain_reader.join();
  CHECK(!overlaps);
  const auto holes = [&](const std::vector<Ids>& reads) {
    return std::count_if(reads.begin(), reads.end(), [&](const Ids& ids) {
      if (ids.empty()) return false;
      return ids != Ids(committed.begin(), committed.upper_bound(ids.back()));
    });
  };
  CHECK(holes(seen[0]) == 0);
  CHECK(holes(seen[1]) == 0);
  MESSAGE("reads with a number missing that came later: ", holes(plain), " of ", plain.size(),
          " of the plain sequence, none of ", seen[0].size() + seen[1].size());
  CHECK(journal(*storages[0]) == Ids(committed.begin(), committed.end()));
  CHECK(journal(*storages[1]) == Ids(committed.begin(), committed.end()));
}
