#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "bureau/testing/fault_vfs.hpp"
#include "testing/simulated_disk.hpp"
#include "testing/vfs_locks.hpp"

BUREAU_BEGIN_NAMESPACE
namespace testing::detail {

/// What a refused operation did and why; `none` means that it is done.
enum class Refusal { none, missing, exists, busy, disk_full, io_error };

/// A file as all connections of one life of the machine share it.
struct OpenNode {
  SimulatedDisk::FilePtr file;
  FileLock lock = {};
  SharedMemory memory = {};
};

/// One connection's hold on a file.
struct OpenFile {
  std::shared_ptr<OpenNode> node;
  std::string path;
  DiskFile kind = DiskFile::database;
  std::uint64_t life = 0;
  LockLevel level = LockLevel::none;
  SlotsHeld slots = {};
  bool in_memory_of_node = false;
  bool remove_on_close = false;
  /// The directory is to be synced with the next sync of the file.
  bool sync_directory = false;
};

/// The machine under a FaultVfs: the disk, what is open, the planned faults, and whether it runs.
/// Knows nothing of SQLite's calling conventions. Thread-safe.
class FaultMachine {
 public:
  explicit FaultMachine(const FaultVfsOptions& options)
      : random_(options.seed),
        fragile_sector_(options.powersafe_overwrite ? 0 : options.sector_size) {}

  // Faults, life and death, and looking: see FaultVfs.
  void fail(FaultRule rule);
  void heal();
  std::uint64_t faults() const;
  void set_disk_capacity(std::uint64_t bytes);
  void set_sync_delay(Duration delay, std::function<void(Duration)> wait);
  void set_lying_syncs(bool lying);
  std::uint64_t steps() const;
  void plan_end(std::uint64_t steps, bool power_cut);
  bool is_down() const;
  void restore_power(PowerLoss loss, std::uint64_t seed);
  void restart();
  std::uint64_t count(DiskOperation operation) const;
  std::vector<std::string> files() const;
  std::optional<DiskBytes> contents(std::string_view path) const;
  void set_contents(std::string_view path, DiskBytes bytes);
  std::size_t open_files() const;

  struct OpenMode {
    bool create = false;
    bool exclusive = false;
    bool remove_on_close = false;
  };
  /// An empty path is a nameless temporary file.
  Refusal open(std::string_view path, DiskFile kind, OpenMode mode, OpenFile& out);
  void close(OpenFile& file);
  Refusal read(OpenFile& file, std::uint64_t offset, std::span<std::byte> out, std::size_t& count);
  Refusal write(OpenFile& file, std::uint64_t offset, std::span<const std::byte> data);
  Refusal truncate(OpenFile& file, std::uint64_t size);
  Refusal sync(OpenFile& file);
  Refusal size(OpenFile& file, std::uint64_t& bytes);
  Refusal remove(std::string_view path, DiskFile kind, bool sync_directory);
  Refusal access(std::string_view path, bool& there, std::uint64_t& bytes);
  bool is_moved(const OpenFile& file) const;

  Refusal lock(OpenFile& file, LockLevel wanted);
  void unlock(OpenFile& file, LockLevel wanted);
  bool reserved(const OpenFile& file) const;
  Refusal map_memory(OpenFile& file, std::size_t index, std::size_t bytes, bool make, void*& out);
  Refusal lock_memory(OpenFile& file, int first, int count, bool exclusive);
  void unlock_memory(OpenFile& file, int first, int count);
  void leave_memory(OpenFile& file);
  /// Other threads' writes to shared memory before theirs are seen after this one.
  void memory_barrier() const;

 private:
  struct ActiveRule {
    FaultRule rule;
    std::uint64_t seen = 0;
  };
  enum class Step { done, dead, in_flight };

  // All of these REQUIRE mutex_.
  bool is_dead(const OpenFile& file) const { return down_ || file.life != life_; }
  /// Counts the operation and finds the rule that makes it fail, if any.
  const FaultRule* count_and_find_fault(DiskOperation operation, DiskFile kind);
  /// Counts a moment at which the machine may stop, and stops it when it is the planned one.
  Step step();
  Refusal sync_directory(std::string_view path);
  void begin_life();

  mutable std::mutex mutex_;
  SimulatedDisk disk_;
  DiskRandom random_;
  std::uint32_t fragile_sector_;
  std::map<const SimulatedFile*, std::weak_ptr<OpenNode>> nodes_;
  std::size_t open_files_ = 0;

  std::vector<ActiveRule> rules_;
  std::uint64_t faults_ = 0;
  std::array<std::uint64_t, 11> counts_{};
  Duration sync_delay_{0};
  std::function<void(Duration)> wait_;
  bool lying_syncs_ = false;

  std::uint64_t steps_ = 0;
  std::optional<std::uint64_t> end_at_step_;
  bool end_is_power_cut_ = false;
  bool down_ = false;
  std::uint64_t life_ = 1;
};

}  // namespace testing::detail
BUREAU_END_NAMESPACE
