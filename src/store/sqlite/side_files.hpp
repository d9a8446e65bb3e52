#pragma once

#include <fcntl.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "bureau/core/clock.hpp"
#include "bureau/core/id.hpp"
#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

// The files beside the database. Linux only: open-file-description locks, which belong to one
// open() and not to the process (so that two storages in one process exclude each other, and
// closing one drops nothing of the other's), and inotify.

/// By the system's clock, whatever clock the office has: the file is shared with other programs.
void wait_real_time(Duration time);

/// An open file, closed with the object.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  FileHandle(FileHandle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileHandle();
  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

/// Opens a file of ours, and makes it (for its owner alone) when it is not there.
[[nodiscard]] Result<FileHandle> open_side_file(const std::string& path);

/// A lock on some bytes of a file, to be set or asked for.
[[nodiscard]] struct flock lock_range(short type, off_t start, off_t length);
/// fcntl, begun again when a signal interrupts it. 0, or the error's number.
int control_lock(int descriptor, int command, struct flock& lock);

/// `<file>-lock`: held around each write transaction and each checkpoint, by one storage at a time
/// on the whole machine. Its first byte is the mark of a failed sync, and says nothing after a
/// restart of the machine. A second lock tells who is the first to open the file.
class LockFile {
 public:
  static Result<std::unique_ptr<LockFile>> open(const std::string& database);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;
  /// Waits until it is free; `deadline` when it was not by then. Without a deadline the kernel
  /// queues those who wait; with one they ask again, after at most a millisecond. `asks`: the
  /// thread's Interruption, if it has one, is heard meanwhile: `deadline` too. One thread at a time
  /// calls this and try_lock().
  Result<void> lock(Clock& clock, Monotonic deadline, bool asks = false);
  [[nodiscard]] bool try_lock();
  void unlock();

  /// True when no other storage on the machine has the database open. From then on this one has,
  /// for the others, until its end. REQUIRES: it is locked.
  Result<bool> join();
  /// Set while a checkpoint runs and after a sync has failed: whoever finds it repairs the log
  /// (log_repair.hpp) before anything else, should he who set it be dead. REQUIRES: it is locked.
  void set_mark(bool marked);
  [[nodiscard]] bool is_marked() const;

  /// Who holds it and where, for those who ask in other processes. A call that holds it for long
  /// leaves it (any thread); unlock() takes it away.
  struct Word {
    std::int64_t pid = 0;
    std::int64_t since = 0;  ///< microseconds UTC
    int line = 0;
    std::string file, function;
  };
  void leave_word(const Word& word);
  void take_word_away();
  /// The word of whoever else holds it; empty fields where he left none. None: nobody does.
  [[nodiscard]] std::optional<Word> other_holder() const;

  /// What is known of another holder, to be put behind an error's message; empty when there is
  /// none.
  [[nodiscard]] std::string said_of_holder() const;

 private:
  explicit LockFile(FileHandle file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  struct StandIn;
  Result<void> send_stand_in();
  Result<bool> await_stand_in(Clock& clock, Monotonic deadline, bool asks);
  [[nodiscard]] Unexpected too_late() const;

  FileHandle file_;
  std::string path_;
  bool marked_ = false;
  std::atomic<bool> has_word_{false};
  std::shared_ptr<StandIn> stand_in_;  ///< who waits in the kernel's queue; null: nobody
};

/// `<file>-nodes`: one byte for each node, locked by the storage that has the node. The kernel
/// unlocks it when the process dies. Thread-safe.
class NodeFile {
 public:
  static Result<std::unique_ptr<NodeFile>> open(const std::string& database);
  Result<bool> hold(int node);
  void release(int node);
  Result<bool> is_alive(int node);

 private:
  explicit NodeFile(FileHandle file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  FileHandle file_;
  std::string path_;
  std::mutex mutex_;
  std::array<bool, id::node_count> held_{};
};

/// `<file>-wake`: the number of the last commit that other processes should look at. Those who
/// watch hold a shared lock on its second half, so that a writer with no audience writes nothing.
/// Thread-safe.
class WakeFile {
 public:
  static Result<std::unique_ptr<WakeFile>> open(const std::string& database);
  /// After a commit with that number.
  void announce(std::int64_t commit);
  /// Begins to watch at the first call; -1 when that cannot be done.
  int watch();
  /// Empties the watcher. The commit that the file names; 0 when nothing was told, or it is the
  /// last of our own.
  std::int64_t drain();

 private:
  explicit WakeFile(FileHandle file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  [[nodiscard]] bool has_audience() const;
  FileHandle file_;
  std::string path_;
  std::mutex mutex_;  ///< guards inotify_'s making
  FileHandle inotify_;
  std::atomic<std::int64_t> own_{0};
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
