#include "testing/vfs_locks.hpp"

BUREAU_BEGIN_NAMESPACE
namespace testing::detail {

bool FileLock::lock(LockLevel& held, LockLevel wanted) {
  if (held >= wanted) return true;
  // Another one is about to write, or writes, or has reserved what is wanted here.
  if (held != level_ && (level_ >= LockLevel::pending || wanted > LockLevel::shared)) return false;
  if (wanted == LockLevel::shared) {
    if (level_ == LockLevel::none) level_ = LockLevel::shared;
    ++readers_;
    held = LockLevel::shared;
    return true;
  }
  if (wanted == LockLevel::exclusive && readers_ > 1) {
    held = level_ = LockLevel::pending;
    return false;
  }
  held = level_ = wanted;
  return true;
}

void FileLock::unlock(LockLevel& held, LockLevel wanted) {
  if (held <= wanted) return;
  if (held > LockLevel::shared) level_ = LockLevel::shared;
  if (wanted == LockLevel::none && --readers_ == 0) level_ = LockLevel::none;
  held = wanted;
}

void* SharedMemory::region(std::size_t index, std::size_t bytes, bool make) {
  if (index >= regions_.size() && !make) return nullptr;
  while (regions_.size() <= index) regions_.push_back(std::make_unique<std::byte[]>(bytes));
  return regions_[index].get();
}

bool SharedMemory::lock(SlotsHeld& held, int first, int count, bool exclusive) {
  if (!exclusive) {
    const auto bit = 1U << first;
    auto& slot = locks_[static_cast<std::size_t>(first)];
    if (held.shared & bit) return true;
    if (slot < 0) return false;
    ++slot;
    held.shared |= bit;
    return true;
  }
  for (int i = first; i < first + count; ++i) {
    const bool mine = (held.exclusive & (1U << i)) != 0;
    if (!mine && locks_[static_cast<std::size_t>(i)] != 0) return false;
  }
  for (int i = first; i < first + count; ++i) {
    locks_[static_cast<std::size_t>(i)] = -1;
    held.exclusive |= 1U << i;
  }
  return true;
}

void SharedMemory::unlock(SlotsHeld& held, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    const auto bit = 1U << i;
    auto& slot = locks_[static_cast<std::size_t>(i)];
    if (held.exclusive & bit) {
      slot = 0;
    } else if (held.shared & bit) {
      --slot;
    }
    held.exclusive &= ~bit;
    held.shared &= ~bit;
  }
}

void SharedMemory::leave() {
  if (--users_ == 0) regions_.clear();
}

}  // namespace testing::detail
BUREAU_END_NAMESPACE
