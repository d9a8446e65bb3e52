#pragma once

// What the tests of failing disks share: writes whose fate is known by what the storage answered.

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "bureau/testing/fault_vfs.hpp"
#include "store/sqlite_fixture.hpp"

namespace fixture {

using bureau::Storage;

enum class Promise { there, absent, either };

/// What the storage has promised of each write, told by its answers. A write inserts a pair of
/// crews, so that half of one shows. One that a power cut may take is promised when another began
/// after it was acknowledged, and was acknowledged too. Thread-safe.
class Promises {
 public:
  /// `loses`: the power goes, and takes what may be lost.
  explicit Promises(bool loses = true) : loses_(loses) {}

  void start(std::int64_t id) {
    set(id, Promise::either);
    const std::lock_guard guard(mutex_);
    begun_behind_[id] = loose_.size();
  }
  void answered(std::int64_t id, const Result<void>& result, bool may_be_lost = false) {
    if (!result) {
      if (result.error().code != bureau::Code::unknown_outcome) set(id, Promise::absent);
      return;
    }
    if (may_be_lost && loses_) {
      const std::lock_guard guard(mutex_);
      loose_.push_back(id);
      return;
    }
    set(id, Promise::there);
    const std::lock_guard guard(mutex_);
    for (std::size_t i = 0; i < begun_behind_[id]; ++i) promises_[loose_[i]] = Promise::there;
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
    loose_.clear();
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
  bool loses_;
  std::mutex mutex_;
  std::map<std::int64_t, Promise> promises_;
  std::vector<std::int64_t> loose_;                   // acknowledged, in that order
  std::map<std::int64_t, std::size_t> begun_behind_;  // so many of them
};

struct Pair {
  bool portable = false;
  bool may_be_lost = false;
  bool drawing = true;  ///< a journal number
};
inline Result<void> write_pair(Storage& storage, std::int64_t id, Pair how, std::size_t size) {
  bureau::WriteOptions options;
  options.portable = how.portable;
  options.may_be_lost = how.may_be_lost;
  return storage.write(options, [&](bureau::Writer& writer) -> Result<void> {
    const std::string name = std::to_string(id) + std::string(size, 'x');
    BUREAU_TRY_VOID(add_crew(writer, 2 * id, name));
    if (how.drawing) BUREAU_TRY_VOID(writer.draw_sequence(1));
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
