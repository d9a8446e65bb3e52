#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "bureau/core/config.hpp"

BUREAU_BEGIN_NAMESPACE
namespace testing::detail {

/// In the order of SQLite's SQLITE_LOCK_NONE to SQLITE_LOCK_EXCLUSIVE.
enum class LockLevel { none, shared, reserved, pending, exclusive };

/// The lock on a database file, as SQLite's VFS for Unix keeps it among the connections of one
/// process. Each holder passes its own level, which is changed. Not thread-safe.
class FileLock {
 public:
  /// Returns false when others are in the way; a holder that wanted `exclusive` may then have risen
  /// to `pending`, which lets no new readers in.
  bool lock(LockLevel& held, LockLevel wanted);
  /// REQUIRES: `wanted` is none or shared.
  void unlock(LockLevel& held, LockLevel wanted);
  [[nodiscard]] bool reserved() const { return level_ > LockLevel::shared; }

 private:
  LockLevel level_ = LockLevel::none;  // the highest that is held
  int readers_ = 0;                    // holders of shared or more
};

/// What one connection holds of a WAL's shared memory: a bit for each slot.
struct SlotsHeld {
  unsigned shared = 0;
  unsigned exclusive = 0;
};

/// The shared memory of a WAL: regions that never move and the lock slots. Not thread-safe; what is
/// in the regions is SQLite's to guard, by the slots.
class SharedMemory {
 public:
  static constexpr int slots = 8;

  /// Null when there is no such region yet and it is not to be made.
  void* region(std::size_t index, std::size_t bytes, bool make);
  bool lock(SlotsHeld& held, int first, int count, bool exclusive);
  void unlock(SlotsHeld& held, int first, int count);
  void unlock_all(SlotsHeld& held) { unlock(held, 0, slots); }

  /// Once its last user is gone nothing of it is left: SQLite's VFS for Unix empties the file when
  /// the next one comes.
  void join() { ++users_; }
  void leave();

 private:
  std::vector<std::unique_ptr<std::byte[]>> regions_;
  std::array<int, slots> locks_{};  // -1: exclusive, else how many share it
  int users_ = 0;
};

}  // namespace testing::detail
BUREAU_END_NAMESPACE
