#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bureau/core/log.hpp"
#include "bureau/core/timestamp.hpp"
#include "bureau/store/progress.hpp"
#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

// Backups of an office in a SQLite file: copies of one moment, made while others read and write on
// (Storage::back_up()), each one file that says of itself which moment that is. Any thread; calls
// block for as long as the copy takes, on real time. docs/operating.md tells when to use what.

struct BackupOptions {
  /// A backup that is there already is replaced when the new one is whole. An office is not.
  bool replace = false;
  /// The share of its time in which it copies; the rest it waits, so that writers keep the disk.
  double share = 0.5;
  ProgressSink progress = {};  ///< in bytes
};

/// The moment that a backup holds.
struct BackupReport {
  std::int64_t sequence = 0;  ///< of the newest change in it; 0: none
  Timestamp at;               ///< when its snapshot was taken, by the storage's clock
  std::int64_t bytes = 0;
};

/// What the file says of itself. `not_found` when it is not there, `invalid` with field "backup"
/// when it is none, or an office has been made of it meanwhile; `corrupt` when it is no bureau's.
[[nodiscard]] Result<BackupReport> describe_backup(const std::string& path);

/// A backup as a storage that only reads: what would change it is `forbidden`. The file and its
/// folder may be read-only, and stay as they are. Errors as describe_backup().
[[nodiscard]] Result<std::shared_ptr<Storage>> open_backup(const std::string& path);

struct RestoreOptions {
  /// An office that is there is put aside (RestoreReport::put_aside); else that is `exists`.
  bool replace = false;
  ProgressSink progress = {};  ///< in bytes, then in changes
  /// The journal that is replayed onto the backup, of the office itself or of a later backup: not
  /// owned. Null: the backup alone.
  Storage* history = nullptr;
  /// Through this change, or through all that was made at or before this moment; at most one of the
  /// two. None: all that the history has. They need a history.
  std::optional<std::int64_t> to_sequence = {};
  std::optional<Timestamp> to_moment = {};
  LogSink log = {};
};

struct RestoreReport {
  BackupReport backup;            ///< that it began with
  std::int64_t sequence = 0;      ///< of the newest change in the office as it is now
  std::int64_t replayed = 0;      ///< changes of the history
  std::int64_t erased_since = 0;  ///< persons erased since the backup: see docs/operating.md
  std::string put_aside;          ///< where the office is that was there; empty: there was none
};

/// Makes an office of a backup, and replays what the history has after it. The file appears under
/// its name when it is whole, checked and synced; a call that is cut off before leaves a file
/// beside it that the next takes away. Leases are void, and ids differ from those that the
/// original draws. Columns that are secret, and tables without a journal, are as of the backup.
///
/// Errors: those of describe_backup(); `exists` and `busy` (the office is open) with field
/// "office"; `corrupt` when the backup is damaged; `unavailable` (disk full); `cancelled`. Of a
/// history: `gone` when it no longer has the first change after the backup; `conflict` with field
/// "history" when it is another office's, when its tables cannot take the backup's rows or the
/// backup's its changes, and when the replay would go beyond a migration that began after the
/// backup; `busy` with field "history" when one begins meanwhile; `invalid` with field "sequence"
/// or "moment" for what it does not reach, and for a number in the midst of a write.
[[nodiscard]] Result<RestoreReport> restore_backup(const std::string& backup,
                                                   const std::string& office,
                                                   const RestoreOptions& options = {});

BUREAU_END_NAMESPACE
