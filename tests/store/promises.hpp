#pragma once

// What the tests of failing disks share: writes whose fate is known by what the storage answered.

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "bureau/testing/fault_vfs.hpp"
#include "store/sqlite_fixture.hpp"

namespace fixture {

using bureau::Storage;

enum class Promise { there, absent, either };

/// What the storage has promised of each write, told by its answers. A write inserts a pair of
/// crews, so that half of one shows. Thread-safe.
class Promises {
 public:
  void start(std::int64_t id) { set(id, Promise::either); }
  void answered(std::int64_t id, const Result<void>& result) {
    if (result) {
      set(id, Promise::there);
    } else if (result.error().code != bureau::Code::unknown_outcome) {
      set(id, Promise::absent);
    }
  }
  /// Compares with what is there, and fixes what was open: it must stay so.
  void check(Storage& storage) {
    std::map<std::int64_t, int> halves;
    for (const std::int64_t id : crew_ids(storage)) ++halves[id / 2];
    for (auto& [write_id, promise] : promises_) {
      const std::int64_t id = write_id;  // Clang 14 does not let CAPTURE take a binding
      const int found = halves.count(id) > 0 ? halves[id] : 0;
      CAPTURE(id);
      CHECK(found != 1);
      if (promise == Promise::there) CHECK(found == 2);
      if (promise == Promise::absent) CHECK(found == 0);
      promise = found == 2 ? Promise::there : Promise::absent;
    }
  }
  [[nodiscard]] int kept() const {
    return static_cast<int>(std::count_if(promises_.begin(), promises_.end(), [](const auto& p) {
      return p.second == Promise::there;
    }));
  }

 private:
  void set(std::int64_t id, Promise promise) {
    const std::lock_guard guard(mutex_);
    promises_[id] = promise;
  }
  std::mutex mutex_;
  std::map<std::int64_t, Promise> promises_;
};

inline Result<void> write_pair(Storage& storage, std::int64_t id, bool portable, std::size_t size) {
  bureau::WriteOptions options;
  options.portable = portable;
  return storage.write(options, [&](bureau::Writer& writer) -> Result<void> {
    const std::string name = std::to_string(id) + std::string(size, 'x');
    BUREAU_TRY_VOID(add_crew(writer, 2 * id, name));
    BUREAU_TRY_VOID(writer.draw_sequence(1));
    return add_crew(writer, 2 * id + 1, name + "b");
  });
}

/// With the sample tables; null when that fails.
inline std::shared_ptr<Storage> try_open(bureau::SqliteOptions options) {
  auto storage = bureau::open_sqlite(std::move(options));
  if (!storage || !(*storage)->migrate(catalog())) return nullptr;
  return *storage;
}
inline std::shared_ptr<Storage> try_open(const bureau::testing::FaultVfs& vfs,
                                         const std::string& path) {
  bureau::SqliteOptions options;
  options.path = path;
  options.vfs = vfs.name();
  return try_open(std::move(options));
}

}  // namespace fixture
