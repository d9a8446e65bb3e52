#pragma once

#include <memory>
#include <string>

#include "bureau/core/log.hpp"
#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

enum class Durability {
  power_safe,  ///< what returned survives a power cut
  relaxed,     ///< it survives the end of the process; a power cut may take the last commits
};

struct SqliteOptions {
  std::string path;  ///< created when it is not there; its folder must exist and be writable
  Durability durability = Durability::power_safe;
  int readers = 4;  ///< connections for reads; more are waited for
  /// Of the writer, and of the reader that is used first; the others have a quarter each.
  int cache_kib = 16 * 1024;
  std::string vfs;         ///< the name of a registered SQLite VFS; empty: the system's
  Clock* clock = nullptr;  ///< not owned; null: Clock::system()
  LogSink log;
  /// maintain() moves the log into the file once it has grown to this.
  std::int64_t checkpoint_bytes = 4 << 20;
  /// A closure that holds the write lock longer is named in the log.
  Duration slow_write = std::chrono::milliseconds(50);
};

/// One SQLite file in WAL mode: one writer at a time with group commit, a pool of readers, several
/// processes (docs/sqlite.md). Errors of open: `unavailable` (cannot be opened or is read-only),
/// `busy` (locked by another program), `corrupt` (not a database, damaged, or another program's),
/// `conflict` with field "format" (made by a newer bureau). Thread-safe.
[[nodiscard]] Result<std::shared_ptr<Storage>> open_sqlite(SqliteOptions options);

BUREAU_END_NAMESPACE
