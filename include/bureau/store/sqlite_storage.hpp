#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bureau/core/log.hpp"
#include "bureau/store/durability.hpp"
#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

struct SqliteOptions {
  std::string path = {};  ///< created when it is not there; its folder must exist and be writable
  Durability durability = Durability::power_safe;
  int readers = 4;  ///< connections for reads; more are waited for
  /// Of the writer, and of the reader that is used first; the others have a quarter each.
  int cache_kib = 16 * 1024;
  std::string vfs = {};    ///< the name of a registered SQLite VFS; empty: the system's
  Clock* clock = nullptr;  ///< not owned; null: Clock::system()
  LogSink log = {};
  /// maintain() moves the log into the file once it has grown to this.
  std::int64_t checkpoint_bytes = 4 << 20;
  /// A closure that holds the write lock longer is named in the log.
  Duration slow_write = std::chrono::milliseconds(50);
  /// What kind of file system a folder is on, as Linux's statfs() numbers them (for tests). Empty:
  /// the system is asked.
  std::function<std::int64_t(const std::string& folder)> file_system = {};
};

/// One SQLite file in WAL mode: one writer at a time with group commit, a pool of readers, several
/// processes (docs/sqlite.md). Errors of open: `unavailable` (cannot be opened or is read-only),
/// `busy` (locked by another program), `corrupt` (not a database, damaged, or another program's),
/// `invalid` with field "path" (on a network file system), `upgraded` with field "format" (made for
/// newer bureaus only). A file that others may read is opened, and named in the log. Thread-safe.
[[nodiscard]] Result<std::shared_ptr<Storage>> open_sqlite(SqliteOptions options);

BUREAU_END_NAMESPACE
