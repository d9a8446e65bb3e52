#pragma once

// By what a call that outlives its run comes back to the office, as long as that is open.

#include <shared_mutex>

#include "bureau/store/database.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

struct CallDoor {
  explicit CallDoor(Database& of) : database(&of) {}
  std::shared_mutex mutex;
  Database* database;  // null: closed

  /// Waits for those that are inside.
  void close() {
    std::unique_lock lock(mutex);
    database = nullptr;
  }
};

}  // namespace detail
BUREAU_END_NAMESPACE
