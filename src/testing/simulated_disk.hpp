#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/testing/fault_vfs.hpp"

BUREAU_BEGIN_NAMESPACE
namespace testing::detail {

using DiskBytes = std::vector<std::byte>;

/// Its output is fixed by the C++ standard, so a seed means the same everywhere.
using DiskRandom = std::mt19937_64;

/// What the next power cut does to one file or name. `survival` is in eighths.
struct LossPlan {
  PowerLoss loss = PowerLoss::drop;
  unsigned survival = 0;
  /// The sector size when overwriting is not power-safe, else 0.
  std::uint32_t fragile_sector = 0;
};

/// One file: its bytes as processes read them, its bytes as of the last sync, and what lies
/// between.
class SimulatedFile {
 public:
  SimulatedFile() = default;
  explicit SimulatedFile(DiskBytes durable) : current_(durable), durable_(std::move(durable)) {}

  [[nodiscard]] std::uint64_t size() const { return current_.size(); }
  [[nodiscard]] const DiskBytes& current() const { return current_; }
  /// Returns how many bytes there were to read.
  std::size_t read(std::uint64_t offset, std::span<std::byte> out) const;
  void write(std::uint64_t offset, std::span<const std::byte> data);
  void truncate(std::uint64_t size);

  /// Stands for all changes so far; later ones are not part of it.
  [[nodiscard]] std::uint64_t mark() const { return changes_made_; }
  void sync(std::uint64_t mark);
  void fail_sync(FailedSync outcome, DiskRandom& random);
  /// The bytes after a power cut.
  [[nodiscard]] DiskBytes survivors(const LossPlan& plan, DiskRandom& random) const;

 private:
  struct Change {
    std::uint64_t number = 0;
    std::uint64_t offset = 0;  // the new size, in a truncation
    DiskBytes data = {};
    bool truncation = false;
  };
  static void apply(const Change& change, DiskBytes& bytes);
  static void apply_torn(const Change& change, const LossPlan& plan, DiskRandom& random,
                         DiskBytes& bytes);
  /// Drops each unsynced write, or with one chance in two; truncations are kept, since they are in
  /// the file system's own journal.
  void lose_writes(bool all, DiskRandom& random);

  DiskBytes current_;
  DiskBytes durable_;
  std::deque<Change> unsynced_;
  std::uint64_t changes_made_ = 0;
};

/// The files and their names. Not thread-safe.
class SimulatedDisk {
 public:
  using FilePtr = std::shared_ptr<SimulatedFile>;

  [[nodiscard]] FilePtr find(std::string_view path) const;
  /// REQUIRES: there is none of that name.
  FilePtr create(std::string_view path);
  /// Returns false when there is no such file. Whoever has it open keeps it.
  bool remove(std::string_view path);
  /// Makes durable which names there are in the directory of `path`.
  void sync_directory(std::string_view path);
  void set_contents(std::string_view path, DiskBytes bytes);
  [[nodiscard]] std::vector<std::string> paths() const;

  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  /// Returns how many bytes were written: fewer than asked when the disk is full.
  std::size_t write(SimulatedFile& file, std::uint64_t offset, std::span<const std::byte> data);

  /// Leaves what survived, all of it durable, in new files: the old ones belong to the dead.
  void lose_power(PowerLoss loss, std::uint32_t fragile_sector, DiskRandom& random);

 private:
  using Names = std::map<std::string, FilePtr, std::less<>>;
  struct NameChange {
    std::string path;
    FilePtr file;  // null when the name was removed
  };
  static void apply(const NameChange& change, Names& names);
  [[nodiscard]] std::uint64_t used() const;

  Names names_;
  Names durable_names_;
  std::vector<NameChange> unsynced_names_;
  std::uint64_t capacity_ = UINT64_MAX;
};

}  // namespace testing::detail
BUREAU_END_NAMESPACE
