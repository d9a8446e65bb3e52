#include <doctest/doctest.h>

#include <string>

#include "counts.hpp"
#include "raw_sqlite.hpp"

using namespace bureau::testing;
using raw::Connection;
using raw::Rows;

namespace {

/// What a script was told before its first error, and what the transaction in doubt would have
/// left.
struct Told {
  Rows acknowledged = {};
  Rows next = {};
  bool failed = false;
  /// The error came from a commit whose sync failed: SQLite cannot know the outcome.
  bool unknown = false;
};

/// Makes a database and works on it through two connections, until an error or the end.
Told work(const FaultVfs& vfs) {
  Told told;
  Connection db(vfs);
  const auto succeeds = [&](int result) {
    told.failed = told.failed || result != SQLITE_OK;
    return !told.failed;
  };
  if (!succeeds(db.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=5;"
                       "PRAGMA wal_autocheckpoint=0;"
                       "CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, v TEXT)"))) {
    return told;
  }
  for (int round = 0; round < 4; ++round) {
    told.next = told.acknowledged;
    if (!succeeds(db.run("BEGIN IMMEDIATE"))) return told;
    for (int i = 0; i < 6; ++i) {
      const auto key = round * 4 + i;
      const std::string value(i == 0 ? 15'000 : 50, static_cast<char>('a' + round));
      told.next[key] = value;
      if (!succeeds(db.run("INSERT OR REPLACE INTO t VALUES(" + std::to_string(key) + ", '" +
                           value + "')"))) {
        return told;
      }
    }
    if (!succeeds(db.run("COMMIT"))) {
      told.unknown = sqlite3_extended_errcode(db.get()) == SQLITE_IOERR_FSYNC;
      return told;
    }
    told.acknowledged = told.next;
    Connection reader(vfs);
    Rows seen;
    if (!succeeds(reader.read(seen))) return told;
    CHECK(seen == told.acknowledged);
    if (!succeeds(db.run(round % 2 == 0 ? "PRAGMA wal_checkpoint(PASSIVE)"
                                        : "PRAGMA wal_checkpoint(TRUNCATE)"))) {
      return told;
    }
  }
  return told;
}

void check_state(const FaultVfs& vfs, const Told& told) {
  Connection db(vfs);
  CHECK(db.ask("PRAGMA integrity_check") == "ok");
  if (told.acknowledged.empty() && db.ask("SELECT count(*) FROM sqlite_schema") == "0") return;
  Rows found;
  REQUIRE(db.read(found) == SQLITE_OK);
  const bool as_told = found == told.acknowledged;
  CHECK((as_told || (told.unknown && found == told.next)));
  CHECK(db.run("INSERT OR REPLACE INTO t VALUES(1000, 'works again')") == SQLITE_OK);
}

struct Kind {
  const char* name;
  DiskOperation operation;
  DiskFault fault;
};

constexpr Kind kinds[] = {{"open", DiskOperation::open, DiskFault::io_error},
                          {"read", DiskOperation::read, DiskFault::io_error},
                          {"write", DiskOperation::write, DiskFault::io_error},
                          {"write, partial", DiskOperation::write, DiskFault::partial_write},
                          {"write, disk full", DiskOperation::write, DiskFault::disk_full},
                          {"truncate", DiskOperation::truncate, DiskFault::io_error},
                          {"sync", DiskOperation::sync, DiskFault::io_error},
                          {"remove", DiskOperation::remove, DiskFault::io_error},
                          {"size", DiskOperation::size, DiskFault::io_error},
                          {"access", DiskOperation::access, DiskFault::io_error},
                          {"lock", DiskOperation::lock, DiskFault::io_error},
                          {"shared memory", DiskOperation::shm_map, DiskFault::io_error},
                          {"lock in shared memory", DiskOperation::shm_lock, DiskFault::io_error}};

/// Fails each operation in turn, `times` times, until the script needs no more of them. Returns how
/// many runs saw an error.
int enumerate(const Kind& kind, std::uint64_t times) {
  int errors = 0;
  for (std::uint64_t n = 0;; ++n) {
    CAPTURE(kind.name);
    CAPTURE(n);
    FaultVfs vfs({.seed = n});
    vfs.fail({.operation = kind.operation,
              .fault = kind.fault,
              .failed_sync = FailedSync::waiting,
              .after = n,
              .times = times});
    const auto told = work(vfs);
    const bool reached = vfs.faults() > 0;
    errors += told.failed ? 1 : 0;
    vfs.heal();
    check_state(vfs, told);
    if (!reached) {
      CHECK_FALSE(told.failed);
      return errors;
    }
  }
}

}  // namespace

TEST_CASE("each operation failing once, in turn, gives an error or none, and a sound database") {
  for (const auto& kind : kinds) CHECK_MESSAGE(enumerate(kind, 1) > 0, kind.name);
}

TEST_CASE("the same with a disk that does not recover until it is healed") {
  for (const auto& kind : kinds) {
    CHECK_MESSAGE(enumerate(kind, FaultRule::always) > 0, kind.name);
  }
}

TEST_CASE("a disk that is full from any byte on refuses, and keeps what it acknowledged") {
  bool whole = false;
  for (std::uint64_t capacity = 0; !whole; capacity += counts::long_run() ? 512 : 4096) {
    CAPTURE(capacity);
    FaultVfs vfs;
    vfs.set_disk_capacity(capacity);
    const auto told = work(vfs);
    whole = !told.failed;
    vfs.set_disk_capacity(UINT64_MAX);
    check_state(vfs, told);
  }
}

TEST_CASE("rules count for themselves, by operation and by file") {
  FaultVfs vfs;
  Connection db(vfs);
  REQUIRE(db.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                 "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT)") == SQLITE_OK);
  vfs.fail({.operation = DiskOperation::sync, .file = DiskFile::wal, .after = 1, .times = 2});
  vfs.fail({.operation = DiskOperation::sync, .file = DiskFile::database, .times = 9});
  CHECK(db.run("INSERT INTO t VALUES(1, 'one')") == SQLITE_OK);
  CHECK(db.run("INSERT INTO t VALUES(2, 'two')") == SQLITE_IOERR);
  CHECK(sqlite3_extended_errcode(db.get()) == SQLITE_IOERR_FSYNC);
  CHECK(db.run("INSERT INTO t VALUES(2, 'two')") == SQLITE_IOERR);
  CHECK(db.run("INSERT INTO t VALUES(2, 'two')") == SQLITE_OK);
  CHECK(vfs.faults() == 2);
  CHECK(db.run("PRAGMA wal_checkpoint(TRUNCATE)") == SQLITE_IOERR);
  CHECK(vfs.faults() == 3);
  vfs.heal();
  CHECK(db.run("PRAGMA wal_checkpoint(TRUNCATE)") == SQLITE_OK);
  CHECK(vfs.contents("/office.db-wal")->empty());
}
