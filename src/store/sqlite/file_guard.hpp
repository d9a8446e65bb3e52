#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "store/sqlite/connection.hpp"
#include "store/sqlite/side_files.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

/// Watches that the file is not taken away under this process. POSIX locks, SQLite's among them,
/// belong to a process and a file: whoever closes any descriptor of the file drops them all, and
/// within the process they keep nobody out. So a second copy of SQLite, which does not know of
/// ours, counts itself as the first to open the file and the last to close it: it makes the shared
/// memory anew, and removes the log under us. docs/sqlite.md says what is looked at.
///
/// One for each storage; those of one process share what they find. Linux only. Thread-safe.
class FileGuard {
 public:
  /// Refuses a path whose file was taken away from a storage of this process that is still there:
  /// a new connection would share its shared memory.
  static Result<void> may_open(const std::string& path);
  /// Begins to watch. Files of a VFS of the host's are not watched: only forks are seen then.
  /// REQUIRES: the file is in WAL mode, the lock file is held; `writer` outlives check() and
  /// verify().
  static Result<std::unique_ptr<FileGuard>> begin(Connection& writer, bool has_own_vfs);
  /// REQUIRES: the storage's connections are closed.
  ~FileGuard();
  FileGuard(const FileGuard&) = delete;
  FileGuard& operator=(const FileGuard&) = delete;

  /// What is known, and what the shared memory says: no system call. `unavailable` once the file
  /// was taken away, for good; `invalid` in a process that was forked.
  [[nodiscard]] Result<void> check() const {
    if (is_well()) [[likely]] {
      return {};
    }
    return explain();
  }
  /// That nobody takes the log away: to be asked between a commit and its acknowledgement.
  [[nodiscard]] Result<void> verify() const;
  /// That the path still leads to the file; to be asked now and then.
  [[nodiscard]] Result<void> verify_name() const;
  /// Refuses everything from now on, for this reason.
  void refuse(Error why) const;
  [[nodiscard]] bool is_forked() const;
  /// Of the log, in use. 0 where it cannot be seen.
  [[nodiscard]] std::int64_t log_bytes() const;

  struct File;

 private:
  FileGuard() = default;
  [[nodiscard]] bool is_well() const;
  [[nodiscard]] Result<void> explain() const;
  [[nodiscard]] tl::unexpected<Error> lose(std::string_view how) const;
  [[nodiscard]] tl::unexpected<Error> give_up(std::string message) const;

  std::string path_;
  std::uint32_t forks_ = 0;
  std::shared_ptr<File> file_;  ///< without a descriptor: of a VFS of the host's
  FileHandle log_;              ///< only names the log; null: there was none
  /// In the shared memory; null: not used.
  const std::uint32_t* mark_ = nullptr;
  std::uint32_t marked_ = 0;
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
