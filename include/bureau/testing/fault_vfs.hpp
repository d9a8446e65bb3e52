#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/timestamp.hpp"

BUREAU_BEGIN_NAMESPACE
namespace testing {

/// What SQLite asks of a file. `size`, `access`, `lock`, `shm_map` and `shm_lock` cannot change the
/// disk; taking a lock may fail, giving it back never does.
enum class DiskOperation {
  open,
  read,
  write,
  truncate,
  sync,
  remove,
  size,
  access,
  lock,
  shm_map,
  shm_lock
};

/// Whose file it is. `temporary` files are SQLite's own and never survive anything.
enum class DiskFile { any, database, wal, journal, temporary };

enum class DiskFault {
  io_error,      ///< SQLITE_IOERR of the operation (SQLITE_CANTOPEN for `open`); nothing is done.
  disk_full,     ///< For writes: SQLITE_FULL after a part of the bytes; else as `io_error`.
  partial_write  ///< For writes: SQLITE_IOERR_WRITE after a part of the bytes; else as `io_error`.
};

/// What became of the data that a failed sync was to make durable. All of it stays readable until
/// the power goes.
enum class FailedSync {
  lost,     ///< The kernel calls the pages clean, so later syncs succeed without writing them.
  waiting,  ///< Still unsynced: the next sync that succeeds makes them durable.
  durable,  ///< The data did arrive; only the answer was bad.
  random    ///< Any mixture that a kernel can leave.
};

/// Which of the unsynced writes, truncations, and new or removed names survive a power cut.
enum class PowerLoss {
  drop,     ///< None.
  keep,     ///< All.
  reorder,  ///< A random subset, whatever their order.
  tear,     ///< The same, but each write is torn into sectors of 512 bytes or less.
  mixed     ///< Any of these, drawn for each file.
};

/// Which operations fail, and how. Operations are counted from the call of `fail`.
struct FaultRule {
  static constexpr std::uint64_t always = UINT64_MAX;

  DiskOperation operation = DiskOperation::write;
  DiskFile file = DiskFile::any;
  DiskFault fault = DiskFault::io_error;
  FailedSync failed_sync = FailedSync::random;
  std::uint64_t after = 0;  ///< So many matching operations succeed first;
  std::uint64_t times = 1;  ///< then so many fail.
};

struct FaultVfsOptions {
  /// The name under which SQLite finds it; one is made up when empty. REQUIRES: not registered.
  std::string name = {};
  /// Decides what is drawn at random while the machine runs (power cuts have their own seed).
  std::uint64_t seed = 0;
  /// What SQLite is told of the disk; the defaults are those of SQLite on Linux. Without power-safe
  /// overwrite, a torn write may also destroy the rest of the sectors that it touches.
  std::uint32_t sector_size = 4096;
  bool powersafe_overwrite = true;
};

/// An SQLite VFS on a simulated disk in memory, whose machine can lose power and whose processes
/// can be killed at any operation, thousands of times a minute; and whose operations fail on
/// demand.
///
/// Open a database on it by naming it as the VFS; paths are taken as they are and name nothing on
/// the real disk. Connections of one VFS see each other as those of one machine do, with SQLite's
/// locks and WAL-mode shared memory. It keeps what each file holds now apart from what has been
/// synced. Like SQLite on Linux it syncs the directory with the first sync of a journal or WAL it
/// opened for creation, and after a removal when asked; a name made or removed otherwise is
/// unsynced.
///
/// Thread-safe. Its connections must be closed before it is destroyed (the process is aborted
/// otherwise). Not simulated: memory mapping, running out of space in shared memory, the clock.
class FaultVfs {
 public:
  explicit FaultVfs(FaultVfsOptions options = {});
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  [[nodiscard]] const std::string& name() const;

  // Faults ---------------------------------------------------------------------------------------

  /// Adds a rule. Each rule counts by itself; when several fire at once, the oldest decides.
  void fail(FaultRule rule);
  /// Removes all rules.
  void heal();
  /// How many operations have failed because of a rule.
  [[nodiscard]] std::uint64_t faults() const;
  /// Writes that would make the files larger than this together get SQLITE_FULL, after as many
  /// bytes as fit. Unlimited at first.
  void set_disk_capacity(std::uint64_t bytes);
  /// Each sync calls `wait(delay)` before it takes effect, without holding up other operations.
  /// `wait` is called on the syncing thread and must not use this object.
  void set_sync_delay(Duration delay, std::function<void(Duration)> wait);
  /// A disk that says "synced" and has not written. For harnesses that must be seen to fail.
  void set_lying_syncs(bool lying);

  // Power cuts and killed processes --------------------------------------------------------------

  /// How many operations so far changed the disk or could have: writes, truncations, syncs of files
  /// and directories, creations and removals. These are the moments at which the power can go.
  [[nodiscard]] std::uint64_t steps() const;
  /// After so many further steps the power goes in the midst of the next one: what it wrote is
  /// unsynced, what it synced may not be. From then on every operation fails.
  void cut_power_after(std::uint64_t steps);
  /// After so many further steps the process dies before the next one. From then on every operation
  /// fails.
  void kill_after(std::uint64_t steps);
  /// Whether the power is off or the process dead.
  [[nodiscard]] bool is_down() const;
  /// Cuts the power if it is on, then starts the machine again with what survived. Plans of cuts
  /// are void; rules stay. Connections from before are dead: all they do fails, except closing.
  void restore_power(PowerLoss loss, std::uint64_t seed);
  /// Kills the process if it lives, then starts another: what was written is there, synced or not;
  /// locks and shared memory are gone. Otherwise like `restore_power`.
  void restart();

  // Looking at the disk --------------------------------------------------------------------------

  /// How often the operation was asked for, whether or not it failed. Temporary files count too.
  [[nodiscard]] std::uint64_t count(DiskOperation operation) const;
  [[nodiscard]] std::uint64_t syncs() const { return count(DiskOperation::sync); }
  /// The paths that exist, sorted.
  [[nodiscard]] std::vector<std::string> files() const;
  /// The bytes of a file as a process reads them now; nothing when there is no such file.
  [[nodiscard]] std::optional<std::vector<std::byte>> contents(std::string_view path) const;
  /// Makes a file of these bytes, or replaces one's, durably. For a damaged database, say.
  /// REQUIRES: no connection has it open.
  void set_contents(std::string_view path, std::vector<std::byte> bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace testing
BUREAU_END_NAMESPACE
