// G1 and G2 on the SQLite storage: the power is cut, the process killed, at any of its operations
// on the disk.

#include <doctest/doctest.h>

#include <thread>

#include "bureau/core/random.hpp"
#include "counts.hpp"
#include "store/promises.hpp"

using bureau::SeededRandom;
using bureau::Storage;
using bureau::testing::DiskFault;
using bureau::testing::DiskFile;
using bureau::testing::DiskOperation;
using bureau::testing::FailedSync;
using bureau::testing::FaultVfs;
using bureau::testing::PowerLoss;
using fixture::Promises;
using fixture::try_open;
using fixture::write_pair;

namespace {

/// Writers in `threads` threads until each has made its number of writes or the machine is down.
void write_some(FaultVfs& vfs, Storage& storage, Promises& promises, std::int64_t first,
                int threads, std::uint64_t seed, bool lossy) {
  constexpr int each = 6;
  std::vector<std::thread> running;
  const auto work = [&, first, seed, lossy](int thread) {
    SeededRandom random(seed * 64 + static_cast<std::uint64_t>(thread));
    for (int i = 0; i < each && !vfs.is_down(); ++i) {
      const std::int64_t id = first + thread * each + i;
      promises.start(id);
      fixture::Pair how{.portable = random.below(2) == 0};
      if (lossy) {
        how.may_be_lost = random.below(2) == 0;
        how.drawing = random.below(4) == 0;
      }
      promises.answered(id, write_pair(storage, id, how, random.below(6000)),
                        how.may_be_lost && !how.drawing);
      if (random.below(5) == 0) (void)storage.maintain();
    }
  };
  for (int t = 1; t < threads; ++t) running.emplace_back(work, t);
  work(0);
  for (auto& thread : running) thread.join();
}

/// A fault now and then beside the cut, so that commits fail in their sync while others run.
void add_fault(FaultVfs& vfs, bureau::Random& random) {
  if (random.below(3) != 0) return;
  constexpr DiskFault faults[] = {DiskFault::io_error, DiskFault::disk_full,
                                  DiskFault::partial_write};
  vfs.fail({.operation = random.below(2) == 0 ? DiskOperation::sync : DiskOperation::write,
            .file = DiskFile::wal,
            .fault = faults[random.below(3)],
            .failed_sync = FailedSync::random,
            .after = random.below(20),
            .times = random.below(4) == 0 ? 1 + random.below(12) : 1});
}

struct Ending {
  bool kill = false;  ///< the process dies; otherwise the power goes
  int threads = 1;
  bool lossy = false;  ///< some writes may be lost
};

/// One machine that goes down again and again. Returns how many writes were kept.
int live_through(std::uint64_t seed, int downs, Ending how) {
  CAPTURE(seed);
  SeededRandom random(seed);
  FaultVfs vfs({.seed = seed, .powersafe_overwrite = random.below(4) != 0});
  const Folder folder;
  Promises promises(!how.kill);
  std::int64_t next = 1;
  for (int down = 0; down < downs; ++down) {
    CAPTURE(down);
    if (how.kill) {
      vfs.kill_after(random.below(120));
    } else {
      vfs.cut_power_after(random.below(120));
    }
    add_fault(vfs, random);
    if (auto storage = try_open(vfs, folder.file())) {
      write_some(vfs, *storage, promises, next, how.threads, seed + random.next() % 1000,
                 how.lossy);
      next += 64 * 8;
    }
    vfs.heal();
    if (how.kill) {
      vfs.restart();
    } else {
      vfs.restore_power(PowerLoss::mixed, random.next());
    }
    // A look at what survived; its end is another orderly or disorderly one.
    const auto storage = try_open(vfs, folder.file());
    REQUIRE(storage);
    promises.check(*storage);
  }
  return promises.kept();
}

}  // namespace

TEST_CASE("G1, G2: what was acknowledged survives power cuts; what failed does not come back") {
  const int cuts = counts::cases(200, 2000);
  constexpr int per_machine = 5;
  int kept = 0;
  for (int i = 0; i < cuts / per_machine; ++i) {
    kept += live_through(static_cast<std::uint64_t>(i), per_machine,
                         {.kill = false, .threads = i % 2 == 0 ? 1 : 4, .lossy = i % 3 == 2});
  }
  CHECK(kept > cuts);
}

TEST_CASE("G1, G2: the same when the process dies") {
  const int kills = counts::cases(100, 1000);
  constexpr int per_machine = 5;
  int kept = 0;
  for (int i = 0; i < kills / per_machine; ++i) {
    kept += live_through(10'000 + static_cast<std::uint64_t>(i), per_machine,
                         {.kill = true, .threads = i % 2 == 0 ? 1 : 4, .lossy = i % 3 == 2});
  }
  CHECK(kept > kills);
}

TEST_CASE(
    "G1: these tests can fail: on a disk that lies about syncs, acknowledged writes are lost") {
  FaultVfs vfs;
  const Folder folder;
  vfs.set_lying_syncs(true);
  {
    const auto storage = try_open(vfs, folder.file());
    REQUIRE(storage);
    for (std::int64_t id = 1; id <= 5; ++id) REQUIRE(write_pair(*storage, id, {}, 10));
    vfs.cut_power_after(0);
    (void)write_pair(*storage, 6, {}, 10);
  }
  vfs.restore_power(PowerLoss::drop, 1);
  vfs.set_lying_syncs(false);
  const auto storage = try_open(vfs, folder.file());
  REQUIRE(storage);
  CHECK(fixture::crew_ids(*storage).size() < 10);
}

TEST_CASE("G1: a power cut takes what may be lost, and nothing that was promised after it") {
  const auto survivors = [](bool promised) {
    FaultVfs vfs;
    const Folder folder;
    {
      const auto storage = try_open(vfs, folder.file());
      REQUIRE(storage);
      REQUIRE(write_pair(*storage, 1, {.may_be_lost = true, .drawing = false}, 10));
      if (promised) REQUIRE(write_pair(*storage, 2, {}, 10));
      REQUIRE(write_pair(*storage, 3, {.may_be_lost = true, .drawing = false}, 10));
      CHECK(fixture::crew_ids(*storage).size() == (promised ? 6 : 4));
      vfs.cut_power_after(0);
      (void)write_pair(*storage, 4, {}, 10);
    }
    vfs.restore_power(PowerLoss::drop, 1);
    const auto storage = try_open(vfs, folder.file());
    REQUIRE(storage);
    return fixture::crew_ids(*storage);
  };
  CHECK(survivors(false).empty());
  CHECK(survivors(true) == std::vector<std::int64_t>{2, 3, 4, 5});
}

TEST_CASE("G1: what draws journal numbers is kept, whatever its writer allowed") {
  FaultVfs vfs;
  const Folder folder;
  {
    const auto storage = try_open(vfs, folder.file());
    REQUIRE(storage);
    REQUIRE(write_pair(*storage, 1, {.may_be_lost = true, .drawing = true}, 10));
    vfs.cut_power_after(0);
    (void)write_pair(*storage, 2, {}, 10);
  }
  vfs.restore_power(PowerLoss::drop, 1);
  const auto storage = try_open(vfs, folder.file());
  REQUIRE(storage);
  CHECK(fixture::crew_ids(*storage).size() == 2);
}
