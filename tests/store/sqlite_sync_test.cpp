// G1 and G2 where syncs fail: of commits, of checkpoints, of the log's header. The kernel may lose
// what such a sync was to make durable, goes on to show it, and lets later syncs succeed without
// it; a power cut then shows what was really there.

#include <doctest/doctest.h>

#include "bureau/core/random.hpp"
#include "counts.hpp"
#include "store/promises.hpp"
#include "testing/raw_sqlite.hpp"

using bureau::Durability;
using bureau::Monotonic;
using bureau::Reader;
using bureau::Result;
using bureau::SeededRandom;
using bureau::Storage;
using bureau::testing::DiskFile;
using bureau::testing::DiskOperation;
using bureau::testing::FailedSync;
using bureau::testing::FaultVfs;
using bureau::testing::PowerLoss;
using fixture::Promises;
using fixture::try_open;
using fixture::write_pair;

namespace {

/// One machine whose disk fails syncs, whose processes die, and whose power goes, one after the
/// other.
class Machine {
 public:
  Machine(std::uint64_t seed, Durability durability)
      : seed_(seed),
        random_(seed),
        vfs_({.seed = seed, .powersafe_overwrite = random_.below(4) != 0}) {
    options_.path = folder_.file();
    options_.vfs = vfs_.name();
    options_.durability = durability;
    options_.checkpoint_bytes = 1;
  }

  void live_through(int ends) {
    CAPTURE(seed_);
    for (int i = 0; i < ends; ++i) {
      CAPTURE(i);
      live();
      end();
      // A look opens and closes the file in good order: sometimes there is none.
      if (random_.below(2) == 0 || i + 1 == ends) look();
    }
  }
  [[nodiscard]] int power_cuts() const { return power_cuts_; }
  [[nodiscard]] int kept() const { return promises_.kept(); }
  [[nodiscard]] std::uint64_t faults() const { return vfs_.faults(); }

 private:
  void live() {
    const bool kill = random_.below(2) == 0;
    const std::uint64_t steps = random_.below(250);
    kill ? vfs_.kill_after(steps) : vfs_.cut_power_after(steps);
    add_faults();
    auto storage = try_open(options_);
    for (int i = 0; i < 14 && storage && !vfs_.is_down(); ++i) {
      switch (random_.below(8)) {
        case 0:
        case 1:
          (void)storage->maintain();
          break;
        case 2:
          work_beside_a_reader(*storage);
          break;
        case 3:
          storage.reset();  // the last to close moves the log into the database
          storage = try_open(options_);
          break;
        default:
          write(*storage);
      }
    }
  }

  void add_faults() {
    constexpr DiskFile files[] = {DiskFile::database, DiskFile::wal, DiskFile::any};
    constexpr FailedSync outcomes[] = {FailedSync::lost, FailedSync::random, FailedSync::waiting};
    const std::uint64_t count = 1 + random_.below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      vfs_.fail({.operation = DiskOperation::sync,
                 .file = files[random_.below(3)],
                 .failed_sync = outcomes[random_.below(3)],
                 .after = random_.below(15),
                 .times = random_.below(4) == 0 ? 1 + random_.below(12) : 1});
    }
  }

  void write(Storage& storage) {
    const std::int64_t id = next_++;
    promises_.start(id);
    promises_.answered(id, write_pair(storage, id, {}, random_.below(6000)));
  }

  /// A snapshot in use lets a checkpoint move a part only, and that part is not synced.
  void work_beside_a_reader(Storage& storage) {
    (void)storage.read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      const auto any = [](auto) -> Result<bool> { return true; };
      BUREAU_TRY_VOID(reader.find(bureau::table_of<sample::Crew>(), 2, any));
      write(storage);
      (void)storage.maintain();
      write(storage);
      return {};
    });
  }

  void end() {
    vfs_.heal();
    // Whether the process died or the power went, now the one or the other happens.
    if (random_.below(3) == 0) {
      vfs_.restart();
    } else {
      vfs_.restore_power(PowerLoss::mixed, random_.next());
      ++power_cuts_;
    }
  }

  void look() {
    const auto storage = try_open(options_);
    REQUIRE(storage);
    {
      raw::Connection database(vfs_, folder_.file());
      CHECK(database.ask("PRAGMA integrity_check") == "ok");
    }
    if (options_.durability == Durability::power_safe) promises_.check(*storage);
  }

  std::uint64_t seed_;
  SeededRandom random_;
  FaultVfs vfs_;
  Folder folder_;
  bureau::SqliteOptions options_;
  Promises promises_;
  std::int64_t next_ = 1;
  int power_cuts_ = 0;
};

}  // namespace

TEST_CASE("G1, G2: syncs of commits and checkpoints fail, then the process or the power goes") {
  const int cuts = counts::cases(600, 10'000);
  int done = 0;
  int kept = 0;
  std::uint64_t faults = 0;
  for (std::uint64_t seed = 1; done < cuts; ++seed) {
    Machine machine(seed, Durability::power_safe);
    machine.live_through(6);
    done += machine.power_cuts();
    kept += machine.kept();
    faults += machine.faults();
  }
  MESSAGE(done, " power cuts, ", faults, " failed syncs, ", kept, " writes kept");
  CHECK(kept > cuts);
  CHECK(faults > static_cast<std::uint64_t>(cuts));
}

TEST_CASE("with relaxed durability the same leaves a sound file") {
  const int cuts = counts::cases(200, 3000);
  int done = 0;
  for (std::uint64_t seed = 1; done < cuts; ++seed) {
    Machine machine(seed, Durability::relaxed);
    machine.live_through(6);
    done += machine.power_cuts();
  }
}

TEST_CASE("a file in whose making any sync fails is made wholly later, or was made") {
  for (const FailedSync outcome : {FailedSync::lost, FailedSync::waiting, FailedSync::durable}) {
    for (std::uint64_t first = 0;; ++first) {
      CAPTURE(first);
      FaultVfs vfs;
      const Folder folder;
      vfs.fail({.operation = DiskOperation::sync, .failed_sync = outcome, .after = first});
      auto storage = try_open(vfs, folder.file());
      const bool failed = vfs.faults() > 0;
      vfs.heal();
      if (!storage) storage = try_open(vfs, folder.file());
      REQUIRE(storage);
      CHECK(raw::Connection(vfs, folder.file()).ask("PRAGMA journal_mode") == "wal");
      CHECK(write_pair(*storage, 1, {}, 10));
      storage.reset();
      vfs.restore_power(PowerLoss::drop, first);
      storage = try_open(vfs, folder.file());
      REQUIRE(storage);
      CHECK(fixture::crew_ids(*storage).size() == 2);
      if (!failed) break;
    }
  }
}

// A checkpoint that a reader stops half-way does not sync the database, but notes how far it came;
// a later one only adds to that. When the sync at its end fails and the kernel forgets, the first
// half is gone as well.
TEST_CASE("a checkpoint's failed sync may lose what an earlier, partial one moved") {
  FaultVfs vfs;
  const Folder folder;
  bureau::SqliteOptions options;
  options.path = folder.file();
  options.vfs = vfs.name();
  options.checkpoint_bytes = 1;
  {
    const auto storage = try_open(options);
    REQUIRE(storage);
    REQUIRE(storage->maintain());
    REQUIRE(write_pair(*storage, 1, {}, 8000));
    REQUIRE(storage->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      const auto any = [](auto) -> Result<bool> { return true; };
      BUREAU_TRY_VOID(reader.find(bureau::table_of<sample::Crew>(), 2, any));
      BUREAU_TRY_VOID(write_pair(*storage, 2, {}, 100));
      const std::uint64_t syncs = vfs.syncs();
      CHECK(storage->maintain());
      CHECK(vfs.syncs() == syncs + 1);  // the log's; the database's is put off
      return {};
    }));
    vfs.fail({.operation = DiskOperation::sync,
              .file = DiskFile::database,
              .failed_sync = FailedSync::lost});
    CHECK_FALSE(storage->maintain());
    CHECK(storage->maintain());
    REQUIRE(write_pair(*storage, 3, {}, 100));
    CHECK(storage->maintain());
  }
  vfs.restore_power(PowerLoss::drop, 1);
  const auto storage = try_open(options);
  REQUIRE(storage);
  CHECK(raw::Connection(vfs, folder.file()).ask("PRAGMA integrity_check") == "ok");
  CHECK(fixture::crew_ids(*storage).size() == 6);
}

TEST_CASE("a file whose log cannot be made durable is not opened, and not touched by that") {
  for (std::uint64_t steps = 0; steps < 40; ++steps) {
    CAPTURE(steps);
    FaultVfs vfs;
    const Folder folder;
    bureau::SqliteOptions options;
    options.path = folder.file();
    options.vfs = vfs.name();
    options.durability = Durability::relaxed;
    {
      const auto storage = try_open(options);
      REQUIRE(storage);
      for (int i = 1; i < 8; ++i) REQUIRE(write_pair(*storage, i, {}, 3000));
      vfs.kill_after(0);
    }
    vfs.restart();
    vfs.fail(
        {.operation = DiskOperation::sync, .file = DiskFile::wal, .failed_sync = FailedSync::lost});
    vfs.cut_power_after(steps);
    CHECK_FALSE(try_open(options));
    vfs.heal();
    vfs.restore_power(PowerLoss::reorder, steps);
    const auto storage = try_open(options);
    REQUIRE(storage);
    CHECK(raw::Connection(vfs, folder.file()).ask("PRAGMA integrity_check") == "ok");
  }
}
