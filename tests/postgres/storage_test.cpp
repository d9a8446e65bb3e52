// What PostgreSQL's storage does beyond what every storage does: writers beside each other that
// conflict, errors that a closure goes on after, places that are lost.

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "basics.hpp"
#include "bureau/core/random.hpp"
#include "bureau/store/interruption.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "counts.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "store/sample.hpp"

namespace {

using bureau::Code;
using bureau::col;
using bureau::Id;
using bureau::Monotonic;
using bureau::Reader;
using bureau::Result;
using bureau::Storage;
using bureau::Update;
using bureau::Value;
using bureau::WriteOptions;
using bureau::Writer;
using sample::Counter;
using sample::Item;

const bureau::Catalog& catalog() {
  static const bureau::Catalog made = [] {
    bureau::Catalog c;
    must(c.add(bureau::table_of<sample::Crew>()));
    must(c.add(bureau::table_of<Item>()));
    must(c.add(bureau::table_of<Counter>()));
    return c;
  }();
  return made;
}

std::shared_ptr<Storage> open(const postgres_test::Database& database) {
  bureau::PostgresOptions options;
  options.connection = database.conninfo();
  auto storage = must(bureau::open_postgres(std::move(options)));
  must(storage->migrate(catalog()));
  return storage;
}

WriteOptions within(bureau::Duration time) {
  WriteOptions options;
  options.deadline = bureau::Clock::system().monotonic() + time;
  return options;
}

template <class T>
Result<void> insert(Writer& writer, const T& row) {
  std::vector<Value> values(bureau::table_of<T>().width());
  bureau::detail::Scratch scratch;
  bureau::to_values(row, values, scratch);
  return writer.insert(bureau::table_of<T>(), values);
}
Result<void> add_counter(Writer& writer, std::int64_t id) {
  return insert(writer, Counter{Id<Counter>(id), 0, 0});
}

Result<std::int64_t> stored(Reader& reader, std::int64_t id) {
  std::int64_t value = 0;
  BUREAU_TRY_VOID(
      reader.find(bureau::table_of<Counter>(), id, [&](std::span<const Value> row) -> Result<bool> {
        value = row[2].as_integer();
        return true;
      }));
  return value;
}
Result<void> store(Writer& writer, std::int64_t id, std::int64_t value) {
  Update update;
  update.which = bureau::select<Counter>().where(col(&Counter::id) == Id<Counter>(id));
  update.set = {{bureau::table_of<Counter>().find("stored"), Value::integer(value)}};
  BUREAU_TRY_VOID(writer.update(update));
  return {};
}
Result<void> count_up(Writer& writer, std::int64_t id) {
  BUREAU_TRY(const std::int64_t value, stored(writer, id));
  return store(writer, id, value + 1);
}
std::int64_t stored(Storage& storage, std::int64_t id) {
  std::int64_t value = 0;
  must(storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(value, stored(reader, id));
    return {};
  }));
  return value;
}

/// Runs on another thread to its end.
template <class Body>
auto elsewhere(Body body) {
  decltype(body()) result;
  std::thread([&] { result = body(); }).join();
  return result;
}

}  // namespace

TEST_CASE("one row that all want is counted right, by two processes of several threads") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const std::shared_ptr<Storage> storages[] = {open(database), open(database)};
  must(storages[0]->write({}, [](Writer& writer) { return add_counter(writer, 1); }));
  const int writes = counts::cases(25, 500);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < writes; ++i) {
        must(storages[t % 2]->write({}, [](Writer& writer) { return count_up(writer, 1); }));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(stored(*storages[0], 1) == 8 * writes);
}

TEST_CASE("a write that waits for a row ends when its thread is interrupted") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto holder = open(database), waiter = open(database);
  must(holder->write({}, [](Writer& writer) { return add_counter(writer, 1); }));
  int asked = 0;
  const auto at_the_third = [&] { return ++asked == 3; };
  must(holder->write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(store(writer, 1, 7));
    const bureau::Interruption interruption(at_the_third);
    const auto waited = waiter->write(within(std::chrono::seconds(60)),
                                      [](Writer& own) { return store(own, 1, 8); });
    CHECK((!waited && waited.error().code == Code::deadline));
    return {};
  }));
  CHECK(asked == 3);
  CHECK(stored(*waiter, 1) == 7);
  must(waiter->write({}, [](Writer& writer) { return store(writer, 1, 9); }));
  CHECK(stored(*holder, 1) == 9);
}

TEST_CASE("two that each read what the other writes are not both right") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  must(storage->write({}, [](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(add_counter(writer, 1));
    return add_counter(writer, 2);
  }));
  // Each takes one away only if both are there: together they must not take both.
  const auto take = [](Writer& writer, std::int64_t mine) -> Result<void> {
    BUREAU_TRY(const std::int64_t one, stored(writer, 1));
    BUREAU_TRY(const std::int64_t two, stored(writer, 2));
    if (one + two > 0) return bureau::fail(Code::conflict, "one is taken already");
    return store(writer, mine, 1);
  };
  int runs = 0;
  const auto first = storage->write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(take(writer, 1));
    if (++runs == 1) {
      must(elsewhere(
          [&] { return storage->write({}, [&](Writer& other) { return take(other, 2); }); }));
    }
    return {};
  });
  CHECK(runs == 1);  // the second run was refused before it counted
  REQUIRE(!first);
  CHECK(first.error().code == Code::conflict);
  CHECK(stored(*storage, 1) == 0);
  CHECK(stored(*storage, 2) == 1);
}

TEST_CASE("a write that always meets another comes to its end") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database), other = open(database);
  must(storage->write({}, [](Writer& writer) { return add_counter(writer, 1); }));
  int runs = 0, kept_out = 0;
  must(storage->write({}, [&](Writer& writer) -> Result<void> {
    ++runs;
    BUREAU_TRY(const std::int64_t value, stored(writer, 1));
    // Somebody else is always quicker, until he is kept out.
    const auto interfered = elsewhere([&] {
      return other->write(within(std::chrono::milliseconds(300)),
                          [](Writer& quick) { return count_up(quick, 1); });
    });
    if (!interfered) {
      CHECK(interfered.error().code == Code::deadline);
      ++kept_out;
    }
    return store(writer, 1, value + 100);
  }));
  CHECK(runs == 5);
  CHECK(kept_out == 1);
  CHECK(stored(*storage, 1) == 104);
}

TEST_CASE("a closure goes on after an insert that is refused: it is run again, and told") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  must(storage->write({}, [](Writer& writer) { return add_counter(writer, 1); }));
  int runs = 0;
  must(storage->write({}, [&](Writer& writer) -> Result<void> {
    ++runs;
    BUREAU_TRY_VOID(add_counter(writer, 2));
    const auto taken = add_counter(writer, 1);
    BUREAU_TRY_VOID(add_counter(writer, 3));
    const auto again = add_counter(writer, 3);
    // What follows an insert travels with it.
    CHECK(taken.has_value() == (runs == 1));
    CHECK(again.has_value() == (runs == 1));
    if (!again) {
      CHECK(again.error().code == Code::exists);
      CHECK(again.error().field == "id");
    }
    return store(writer, 3, 33);
  }));
  CHECK(runs == 2);
  CHECK(stored(*storage, 3) == 33);
}

TEST_CASE("what a closure makes of an insert that was refused is not its answer") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  must(storage->write({}, [](Writer& writer) { return add_counter(writer, 1); }));
  int runs = 0;
  const auto answer = [&](bool reads) {
    runs = 0;
    return storage->write({}, [&, reads](Writer& writer) -> Result<void> {
      ++runs;
      if (const auto taken = add_counter(writer, 1); !taken)
        return bureau::fail(Code::busy, "taken");
      if (reads) BUREAU_TRY_VOID(stored(writer, 1).map([](std::int64_t) {}));
      return bureau::fail(Code::gone, "it was free");
    });
  };
  for (const bool reads : {false, true}) {
    const auto written = answer(reads);
    REQUIRE(!written);
    CHECK(written.error().code == Code::busy);
    CHECK(runs == 2);
  }
}

TEST_CASE("a closure that answers with a statement's error is run once") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  must(storage->write({}, [](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(add_counter(writer, 1));
    return store(writer, 1, INT64_MAX);
  }));
  Update update;
  update.which = bureau::select<Counter>();
  update.set = {{bureau::table_of<Counter>().find("stored"), Value::integer(1), true}};
  int runs = 0;
  const auto written = storage->write({}, [&](Writer& writer) -> Result<void> {
    ++runs;
    return writer.update(update).map([](std::uint64_t) {});
  });
  REQUIRE(!written);
  CHECK(written.error().code == Code::exhausted);
  CHECK(runs == 1);
}

TEST_CASE("a place that another has taken while the connection was away stops all writes") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database), other = open(database);
  REQUIRE(must(storage->hold_node(5)));
  postgres_test::Client admin(server.admin());
  const auto listeners = [&] {
    return admin.ask(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype='advisory' AND "
        "objsubid=1 AND objid=5");
  };
  CHECK(listeners() == "1");
  while (!must(other->hold_node(5))) {
  }
  must(other->write({}, [](Writer& writer) { return add_counter(writer, 1); }));
  // Until the storage has found out.
  Result<void> written;
  for (int i = 0; i < 100'000 && written; ++i) {
    static_cast<void>(storage->drain_wake());
    written = storage->write({}, [](Writer& writer) { return store(writer, 1, 1); });
  }
  REQUIRE(!written);
  CHECK(written.error().code == Code::unavailable);
  CHECK(written.error().field == "node");
}

TEST_CASE("a value that no index can hold is refused by its size") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  std::string name;
  bureau::SeededRandom random(3);  // what repeats itself would be compressed
  for (int i = 0; i < 9000; ++i) name += static_cast<char>('a' + random.below(26));
  sample::Crew crew;
  crew.id = Id<sample::Crew>(1);
  crew.name = name;
  const auto written = storage->write({}, [&](Writer& writer) { return insert(writer, crew); });
  REQUIRE(!written);
  CHECK(written.error().code == Code::exhausted);
}

TEST_CASE("sinks read and write while their rows are shown") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  must(storage->write({}, [](Writer& writer) -> Result<void> {
    for (std::int64_t id = 1; id <= 3; ++id) BUREAU_TRY_VOID(add_counter(writer, id));
    std::int64_t shown = 0;
    const auto copy = [&](std::span<const Value> row) -> Result<bool> {
      BUREAU_TRY_VOID(add_counter(writer, row[0].as_integer() + 100));
      BUREAU_TRY(const std::int64_t value, stored(writer, row[0].as_integer() + 100));
      CHECK(value == 0);
      ++shown;
      return true;
    };
    BUREAU_TRY_VOID(writer.scan(bureau::select<Counter>(), copy));
    CHECK(shown == 3);
    return {};
  }));
}

TEST_CASE("another storage's commit is told of once, and its own never") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database), other = open(database);
  must(other->write({}, [](Writer& writer) { return add_counter(writer, 1); }));
  bool told = false;
  for (int i = 0; i < 600 && !told; ++i) {
    pollfd waited{storage->wake_fd(), POLLIN, 0};
    static_cast<void>(::poll(&waited, 1, 100));
    told = storage->drain_wake();
  }
  CHECK(told);
  CHECK(!storage->drain_wake());
  must(storage->write({}, [](Writer& writer) { return store(writer, 1, 1); }));
  must(storage->write({}, [](Writer& writer) { return store(writer, 1, 2); }));
  CHECK(!storage->drain_wake());
  CHECK(stored(*storage, 1) == 2);
}

TEST_CASE("each commit of a program that only writes is told of, however soon after another") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database), writes = open(database);
  must(writes->write({}, [](Writer& writer) { return add_counter(writer, 1); }));
  std::atomic<std::int64_t> seen{0};
  std::atomic<bool> ends{false};
  std::thread hears([&] {
    while (!ends) {
      pollfd waited{storage->wake_fd(), POLLIN, 0};
      static_cast<void>(::poll(&waited, 1, 10));
      if (storage->drain_wake()) seen = stored(*storage, 1);
    }
  });
  const bureau::Clock& clock = bureau::Clock::system();
  constexpr std::int64_t rounds = 100;
  std::int64_t value = 0;
  bool told = true;
  for (int round = 0; round < rounds && told; ++round) {
    for (int i = 0; i < 3; ++i) {
      ++value;
      must(writes->write({}, [&](Writer& writer) { return store(writer, 1, value); }));
    }
    const Monotonic deadline = clock.monotonic() + std::chrono::seconds(10);
    while (seen != value && clock.monotonic() < deadline) std::this_thread::yield();
    told = seen == value;
  }
  ends = true;
  hears.join();
  CHECK(told);
  CHECK(value == 3 * rounds);
}

TEST_CASE("what was committed without a word is found, and hinted at once") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const auto storage = open(database);
  must(storage->write({}, [](Writer& writer) { return add_counter(writer, 1); }));
  int hints = 0;
  const auto subscription = must(storage->on_commit([&] { ++hints; }));
  // The server's own upkeep makes a look find something now and then.
  const auto is_quiet = [&] {
    for (int i = 0; i < 20; ++i) {
      const int before = hints;
      storage->observe();
      if (hints == before) return true;
    }
    return false;
  };
  REQUIRE(is_quiet());
  postgres_test::Client admin(database.conninfo());
  admin.ask("UPDATE bureau.exercise_counters SET stored=7");  // as one that dies before it can tell
  const int before = hints;
  storage->observe();
  CHECK(hints == before + 1);
  CHECK(is_quiet());
  CHECK(stored(*storage, 1) == 7);
}
