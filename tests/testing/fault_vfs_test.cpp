#include "bureau/testing/fault_vfs.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "raw_sqlite.hpp"

using namespace bureau::testing;
using raw::Connection;
using raw::Rows;

namespace {

constexpr auto wal_mode =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
    "CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, v TEXT)";

std::string put(std::int64_t key, const std::string& value) {
  return "INSERT OR REPLACE INTO t VALUES(" + std::to_string(key) + ", '" + value + "')";
}

}  // namespace

TEST_CASE("a database on the simulated disk answers like any other") {
  FaultVfs vfs;
  {
    Connection db(vfs);
    REQUIRE(db.run(wal_mode) == SQLITE_OK);
    CHECK(db.ask("PRAGMA journal_mode") == "wal");
    REQUIRE(db.run(put(1, "one")) == SQLITE_OK);
    CHECK(vfs.files() == std::vector<std::string>{"/office.db", "/office.db-wal"});
  }
  CHECK(vfs.files() == std::vector<std::string>{"/office.db"});
  Connection db(vfs);
  Rows rows;
  REQUIRE(db.read(rows) == SQLITE_OK);
  CHECK(rows == Rows{{1, "one"}});
  CHECK(db.ask("PRAGMA integrity_check") == "ok");
}

TEST_CASE("two simulated disks do not know each other") {
  FaultVfs a;
  FaultVfs b;
  CHECK(a.name() != b.name());
  Connection on_a(a);
  REQUIRE(on_a.run(wal_mode) == SQLITE_OK);
  CHECK(b.files().empty());
  CHECK(Connection(b, "/office.db", SQLITE_OPEN_READWRITE).opened() == SQLITE_CANTOPEN);
}

TEST_CASE("every journal mode works, and rollback leaves nothing") {
  for (const std::string mode : {"DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL"}) {
    CAPTURE(mode);
    FaultVfs vfs;
    Connection db(vfs);
    db.ask("PRAGMA journal_mode=" + mode);
    REQUIRE(db.run("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT)") == SQLITE_OK);
    REQUIRE(db.run(put(1, "one")) == SQLITE_OK);
    REQUIRE(db.run("BEGIN; " + put(2, "two") + "; ROLLBACK") == SQLITE_OK);
    Connection other(vfs);
    Rows rows;
    REQUIRE(other.read(rows) == SQLITE_OK);
    CHECK(rows == Rows{{1, "one"}});
  }
}

TEST_CASE("locks hold between connections") {
  for (const std::string mode : {"DELETE", "WAL"}) {
    CAPTURE(mode);
    FaultVfs vfs;
    Connection a(vfs);
    Connection b(vfs);
    a.ask("PRAGMA journal_mode=" + mode);
    REQUIRE(a.run("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT)") == SQLITE_OK);
    REQUIRE(a.run("BEGIN IMMEDIATE; " + put(1, "a")) == SQLITE_OK);
    CHECK(b.run("BEGIN IMMEDIATE") == SQLITE_BUSY);
    CHECK(b.ask("SELECT count(*) FROM t") == "0");
    CHECK(a.run("COMMIT") == SQLITE_OK);
    CHECK(b.ask("SELECT count(*) FROM t") == "1");

    // A reader holds up the writer's commit without a WAL, and sees its own moment with one.
    REQUIRE(b.run("BEGIN; SELECT * FROM t") == SQLITE_OK);
    const auto written = a.run(put(2, "a"));
    CHECK(written == (mode == "WAL" ? SQLITE_OK : SQLITE_BUSY));
    CHECK(b.ask("SELECT count(*) FROM t") == "1");
    CHECK(b.run("COMMIT") == SQLITE_OK);
    CHECK(a.run(put(2, "a")) == SQLITE_OK);
    CHECK(b.ask("SELECT count(*) FROM t") == "2");
  }
}

TEST_CASE("a writer and a pool of readers on threads see whole transactions in order") {
  FaultVfs vfs;
  Connection setup(vfs);
  REQUIRE(setup.run(wal_mode) == SQLITE_OK);
  REQUIRE(setup.run("INSERT INTO t VALUES(1, '0'), (2, '0')") == SQLITE_OK);

  constexpr int writers = 2;
  constexpr int transactions = 300;
  std::atomic<int> running{writers};
  std::atomic<int> torn{0};
  std::atomic<int> errors{0};
  std::atomic<std::uint64_t> reads{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < writers; ++i) {
    threads.emplace_back([&] {
      Connection db(vfs);
      sqlite3_busy_timeout(db.get(), 60'000);
      for (int n = 0; n < transactions; ++n) {
        if (db.run("BEGIN IMMEDIATE; UPDATE t SET v = v + 1 WHERE k = 1;"
                   "UPDATE t SET v = v + 1 WHERE k = 2; COMMIT") != SQLITE_OK) {
          ++errors;
        }
        if (n % 50 == 0) db.run("PRAGMA wal_checkpoint(PASSIVE)");
      }
      --running;
    });
  }
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      Connection db(vfs);
      sqlite3_busy_timeout(db.get(), 60'000);
      int last = 0;
      do {
        Rows rows;
        if (db.read(rows) != SQLITE_OK) ++errors;
        const int now = std::atoi(rows[1].c_str());
        if (rows[1] != rows[2] || now < last) ++torn;
        last = now;
        ++reads;
      } while (running > 0);
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(errors == 0);
  CHECK(torn == 0);
  CHECK(reads >= 3);
  CHECK(setup.ask("SELECT v FROM t WHERE k = 1") == std::to_string(writers * transactions));
  CHECK(setup.ask("PRAGMA integrity_check") == "ok");
}

TEST_CASE("a killed process loses nothing that it wrote, synced or not, and its locks") {
  FaultVfs vfs;
  {
    Connection db(vfs);
    REQUIRE(db.run(wal_mode) == SQLITE_OK);
    REQUIRE(db.run("PRAGMA synchronous=OFF") == SQLITE_OK);
    REQUIRE(db.run(put(1, "one")) == SQLITE_OK);
    REQUIRE(db.run("BEGIN IMMEDIATE; " + put(2, "two")) == SQLITE_OK);
    vfs.restart();
    CHECK(db.run("COMMIT") == SQLITE_IOERR);

    Connection next(vfs);
    CHECK(next.run("BEGIN IMMEDIATE; " + put(3, "three") + "; COMMIT") == SQLITE_OK);
    Rows rows;
    REQUIRE(next.read(rows) == SQLITE_OK);
    CHECK(rows == Rows{{1, "one"}, {3, "three"}});
  }
  // The dead connection's close must not have touched the disk of the living.
  Connection last(vfs);
  CHECK(last.ask("SELECT count(*) FROM t") == "2");
}

TEST_CASE("everything fails while the machine is down") {
  FaultVfs vfs;
  {
    Connection db(vfs);
    REQUIRE(db.run(wal_mode) == SQLITE_OK);
    vfs.cut_power_after(0);
    CHECK_FALSE(vfs.is_down());
    CHECK(db.run(put(1, "one")) == SQLITE_IOERR);
    CHECK(vfs.is_down());
    CHECK(Connection(vfs).opened() == SQLITE_CANTOPEN);
    CHECK(db.ask("SELECT count(*) FROM t").starts_with("error"));
  }
  vfs.restore_power(PowerLoss::drop, 1);
  CHECK_FALSE(vfs.is_down());
  Connection db(vfs);
  CHECK(db.ask("SELECT count(*) FROM t") == "0");
}

TEST_CASE("a full disk refuses what does not fit, and goes on when there is room") {
  FaultVfs vfs;
  Connection db(vfs);
  REQUIRE(db.run(wal_mode) == SQLITE_OK);
  vfs.set_disk_capacity(100'000);
  Rows expected;
  int result = SQLITE_OK;
  std::int64_t key = 0;
  while (result == SQLITE_OK && key < 1000) {
    result = db.run(put(++key, std::string(1000, 'x')));
    if (result == SQLITE_OK) expected[key] = std::string(1000, 'x');
  }
  CHECK(result == SQLITE_FULL);
  Rows rows;
  REQUIRE(db.read(rows) == SQLITE_OK);
  CHECK(rows == expected);
  std::size_t used = 0;
  for (const auto& path : vfs.files()) used += vfs.contents(path)->size();
  CHECK(used == 100'000);

  vfs.set_disk_capacity(200'000);
  CHECK(db.run(put(key, "fits")) == SQLITE_OK);
  CHECK(db.ask("PRAGMA integrity_check") == "ok");
}

TEST_CASE("a sync waits as long as it is told, on its own thread, without holding up readers") {
  FaultVfs vfs;
  Connection db(vfs);
  REQUIRE(db.run(wal_mode) == SQLITE_OK);
  Connection reader(vfs);
  REQUIRE(reader.ask("SELECT count(*) FROM t") == "0");
  std::vector<bureau::Duration> waited;
  std::string seen;
  vfs.set_sync_delay(std::chrono::milliseconds(2), [&](bureau::Duration delay) {
    waited.push_back(delay);
    seen = reader.ask("SELECT count(*) FROM t");  // deadlocks if the sync holds the disk
  });
  const auto before = vfs.syncs();
  REQUIRE(db.run(put(1, "one")) == SQLITE_OK);
  vfs.set_sync_delay(bureau::Duration::zero(), nullptr);
  CHECK(seen == "0");
  CHECK(waited.size() == vfs.syncs() - before);
  CHECK(waited.at(0) == std::chrono::milliseconds(2));
}

TEST_CASE("what is written while a sync waits is not made durable by it") {
  FaultVfs vfs;
  {
    Connection db(vfs);
    REQUIRE(db.run(wal_mode) == SQLITE_OK);
    REQUIRE(db.run("PRAGMA synchronous=NORMAL") == SQLITE_OK);
    REQUIRE(db.run(put(1, "one")) == SQLITE_OK);
    Connection other(vfs);
    REQUIRE(other.run("PRAGMA synchronous=NORMAL") == SQLITE_OK);
    int waits = 0;
    int written = SQLITE_ERROR;
    vfs.set_sync_delay(std::chrono::milliseconds(1), [&](bureau::Duration) {
      if (++waits == 1) written = other.run(put(2, "two"));
    });
    vfs.cut_power_after(4);
    // The checkpoint syncs the WAL, while the other one writes, and the power goes in what follows.
    CHECK(db.run("PRAGMA wal_checkpoint(PASSIVE)") == SQLITE_IOERR);
    CHECK(waits == 1);
    CHECK(written == SQLITE_OK);
    vfs.set_sync_delay(bureau::Duration::zero(), nullptr);
  }
  vfs.restore_power(PowerLoss::drop, 0);
  Connection db(vfs);
  Rows rows;
  REQUIRE(db.read(rows) == SQLITE_OK);
  CHECK(rows == Rows{{1, "one"}});
}

TEST_CASE("a damaged file is found") {
  FaultVfs vfs;
  {
    Connection db(vfs);
    REQUIRE(db.run(wal_mode) == SQLITE_OK);
    for (int i = 0; i < 100; ++i) REQUIRE(db.run(put(i, std::string(200, 'x'))) == SQLITE_OK);
  }
  auto bytes = *vfs.contents("/office.db");
  for (std::size_t i = 8192; i < 8192 + 512; ++i) bytes[i] = std::byte{0xa5};
  vfs.set_contents("/office.db", bytes);
  Connection db(vfs);
  CHECK(db.ask("PRAGMA integrity_check") != "ok");
}
