#pragma once

#include "bureau/store/sqlite_storage.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// The name of a kind of file system (as statfs() numbers it) on which SQLite's shared memory or
/// locks do not work between machines; empty for all others.
[[nodiscard]] std::string_view network_file_system(std::int64_t type);

/// Refuses a path on a network file system (`invalid`); names one that a program serves (FUSE) in
/// the log, since what that keeps of locks and syncs nobody can see from here.
Result<void> check_file_system(const SqliteOptions& options);

/// A symbolic link stands for the file that it leads to: so that the files beside it are the same
/// for all, whatever name they use. Any other path is given back.
[[nodiscard]] std::string resolve(const std::string& path);

/// Names a file that others than its owner may read or write in the log.
void look_at_mode(const SqliteOptions& options);

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
