#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

#include "counts.hpp"
#include "crash_run.hpp"

using namespace bureau::testing;
using raw::Connection;
using raw::CrashFindings;
using raw::CrashRun;
using raw::CrashSettings;
using raw::Rows;

namespace {

/// How many runs of some kind found what.
struct Tally {
  int ends = 0;
  int lossy = 0;
  int corrupt = 0;
  int unknown_kept = 0;
  std::uint64_t faults = 0;
  std::string first = {};  // with its seed
};

Tally run_until(int ends, const CrashSettings& settings) {
  Tally tally;
  for (std::uint64_t seed = 1; tally.ends < ends; ++seed) {
    const auto found = CrashRun(seed, settings).run();
    tally.ends += found.ends;
    tally.lossy += found.lost.empty() ? 0 : 1;
    tally.corrupt += found.corrupt.empty() ? 0 : 1;
    tally.unknown_kept += found.unknown_kept;
    tally.faults += found.faults;
    if (tally.first.empty() && !found.clean()) {
      tally.first = "seed " + std::to_string(seed) + ": " + found.lost + found.corrupt;
    }
  }
  return tally;
}

int cuts() { return std::max(60, counts::cases(200, 2000)); }

}  // namespace

TEST_CASE("synchronous=FULL: a power cut loses nothing acknowledged and halves nothing") {
  const auto tally = run_until(cuts(), {});
  MESSAGE(tally.ends, " cuts, ", tally.unknown_kept, " kept an unacknowledged transaction");
  CHECK_MESSAGE(tally.lossy + tally.corrupt == 0, tally.first);
  CHECK(tally.unknown_kept > 0);  // else no cut ever fell between a write and its acknowledgement
}

TEST_CASE("the same on disks of other sectors, and where torn writes destroy their neighbours") {
  for (const std::uint32_t sector : {512U, 4096U}) {
    for (const bool safe : {true, false}) {
      CAPTURE(sector);
      CAPTURE(safe);
      const auto tally =
          run_until(cuts() / 4, {.sector_size = sector, .powersafe_overwrite = safe});
      CHECK_MESSAGE(tally.lossy + tally.corrupt == 0, tally.first);
    }
  }
}

// A failed sync is a trap: what it was to make durable stays readable, and later syncs may succeed
// without it. SQLite alone is safe only where the kernel keeps such data for the next sync.

TEST_CASE("failed syncs whose data waits for the next one, and other faults, lose nothing") {
  for (const auto failed_sync : {FailedSync::waiting, FailedSync::durable}) {
    const auto tally = run_until(cuts(), {.faults = true, .failed_sync = failed_sync});
    MESSAGE(tally.ends, " cuts, ", tally.faults, " faults, ", tally.unknown_kept,
            " kept an unacknowledged transaction");
    CHECK_MESSAGE(tally.lossy + tally.corrupt == 0, tally.first);
    CHECK(tally.faults > 0);
  }
}

TEST_CASE("failed syncs of any outcome lose nothing if the WAL is then rewritten and recovered") {
  for (const auto failed_sync : {FailedSync::lost, FailedSync::random}) {
    const auto tally =
        run_until(cuts(), {.faults = true,
                           .failed_sync = failed_sync,
                           .after_failed_sync = raw::AfterFailedSync::rewrite_and_reopen});
    MESSAGE(tally.ends, " cuts, ", tally.faults, " faults, ", tally.unknown_kept,
            " times an unacknowledged transaction was there");
    CHECK_MESSAGE(tally.lossy + tally.corrupt == 0, tally.first);
    CHECK(tally.faults > 0);
  }
}

TEST_CASE("canary: reopening alone after a failed sync reads what a power cut then takes away") {
  const auto tally = run_until(cuts(), {.faults = true,
                                        .failed_sync = FailedSync::lost,
                                        .after_failed_sync = raw::AfterFailedSync::reopen});
  MESSAGE(tally.lossy, " runs lost, ", tally.corrupt, " were corrupt");
  CHECK(tally.lossy > 0);
}

TEST_CASE("a killed process loses nothing acknowledged, synced or not") {
  for (const std::string synchronous : {"FULL", "NORMAL", "OFF"}) {
    CAPTURE(synchronous);
    const auto tally = run_until(cuts() / 2, {.synchronous = synchronous, .kill = true});
    CHECK_MESSAGE(tally.lossy + tally.corrupt == 0, tally.first);
  }
}

// Canaries: if these find nothing, the tests above prove nothing.

TEST_CASE("canary: syncs that lie lose acknowledged transactions") {
  const auto tally = run_until(cuts(), {.lying_syncs = true});
  MESSAGE(tally.lossy, " runs lost, ", tally.corrupt, " were corrupt");
  CHECK(tally.lossy > 0);
  CHECK(tally.corrupt > 0);
}

TEST_CASE("canary: synchronous=OFF loses acknowledged transactions") {
  const auto tally = run_until(cuts(), {.synchronous = "OFF"});
  MESSAGE(tally.lossy, " runs lost, ", tally.corrupt, " were corrupt");
  CHECK(tally.lossy > 0);
}

TEST_CASE("canary: synchronous=NORMAL loses acknowledged transactions, but corrupts nothing") {
  const auto tally = run_until(cuts(), {.synchronous = "NORMAL"});
  MESSAGE(tally.lossy, " runs lost, ", tally.corrupt, " were corrupt");
  CHECK(tally.lossy > 0);
  CHECK(tally.corrupt == 0);
}

TEST_CASE("a power cut under writers on several threads keeps what each was told") {
  const auto rounds = static_cast<std::uint64_t>(counts::cases(20, 200));
  for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
    CAPTURE(seed);
    constexpr int writers = 3;
    FaultVfs vfs({.seed = seed});
    {
      Connection db(vfs);
      REQUIRE(db.run("PRAGMA journal_mode=WAL; CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT);"
                     "INSERT INTO t VALUES(0, '0'), (1, '0'), (2, '0')") == SQLITE_OK);
    }
    std::mt19937_64 random(seed);
    vfs.cut_power_after(random() % 300);
    std::array<int, writers> acknowledged{};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < writers; ++i) {
      threads.emplace_back([&, i] {
        Connection db(vfs);
        sqlite3_busy_timeout(db.get(), 60'000);
        db.run("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=20");
        const auto sql = "UPDATE t SET v = v + 1 WHERE k = " + std::to_string(i);
        while (db.run(sql) == SQLITE_OK) ++acknowledged[i];
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(vfs.is_down());
    vfs.restore_power(PowerLoss::mixed, seed);

    Connection db(vfs);
    CHECK(db.ask("PRAGMA integrity_check") == "ok");
    int unknown = 0;
    for (std::size_t i = 0; i < writers; ++i) {
      const int found = std::atoi(db.ask("SELECT v FROM t WHERE k = " + std::to_string(i)).c_str());
      CHECK(found >= acknowledged[i]);
      CHECK(found <= acknowledged[i] + 1);
      unknown += found - acknowledged[i];
    }
    CHECK(unknown <= 1);  // only one can have been committing
  }
}
