#pragma once

#include <memory>
#include <utility>

#include "bureau/core/random.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "bureau/testing/fault_vfs.hpp"
#include "work/work_office.hpp"

namespace bureau::work_test {

/// An office on an SQLite file of a disk in memory, which several processes have open.
struct File {
  testing::FaultVfs disk;
  ManualClock clock;
  SeededRandom random{7};

  std::unique_ptr<Process> open() {
    SqliteOptions options;
    options.path = "/office.db";
    options.vfs = disk.name();
    options.clock = &clock;
    return std::make_unique<Process>(must(open_sqlite(std::move(options))), clock, random);
  }
};

}  // namespace bureau::work_test
