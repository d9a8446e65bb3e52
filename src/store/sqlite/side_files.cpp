#include "store/sqlite/side_files.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <sstream>
#include <system_error>
#include <thread>

#include "bureau/store/interruption.hpp"
#include "store/interruptible_wait.hpp"
#include "store/sqlite/failure.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

/// Where the watchers' lock is in the wake file: behind the number.
constexpr off_t audience_byte = 8;
/// The lock file's bytes: the writer's lock (and, as its content, the mark), and the lock that all
/// who have the database open share.
constexpr off_t writer_byte = 0;
constexpr off_t joined_byte = 1;
/// Where its holder leaves word: lines of text, to the next zero.
constexpr off_t word_at = 16;
constexpr std::size_t longest_word = 496;

bool is_contention(int number) { return number == EAGAIN || number == EACCES; }

}  // namespace

void wait_real_time(Duration time) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  Clock& clock = Clock::system();
  clock.wait_until(lock, never, clock.monotonic() + time);
}

struct flock lock_range(short type, off_t start, off_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

int control_lock(int descriptor, int command, struct flock& lock) {
  while (fcntl(descriptor, command, &lock) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<FileHandle> open_side_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail(system_error(errno, path, "opening it"));
  return FileHandle(descriptor);
}

Result<std::unique_ptr<LockFile>> LockFile::open(const std::string& database) {
  const std::string path = database + "-lock";
  BUREAU_TRY(auto file, open_side_file(path));
  return std::unique_ptr<LockFile>(new LockFile(std::move(file), path));
}

/// A thread that waits in the kernel's queue for another one, which looks around meanwhile. What it
/// is given is the file's, as its descriptor is a copy. Left behind, it gives the lock back, unless
/// it is wanted again by then; it touches nothing but this, so that it may outlive everything.
struct LockFile::StandIn {
  enum class State { waits, has_it, failed, gave_back };

  explicit StandIn(FileHandle copy) : file(std::move(copy)) {}
  void run() {
    auto lock = lock_range(F_WRLCK, writer_byte, 1);
    const int number = control_lock(file.get(), F_OFD_SETLKW, lock);
    const std::lock_guard guard(mutex);
    error = number;
    state = number == 0 ? State::has_it : State::failed;
    if (!wanted) give_back();
    changed.notify_all();
  }
  /// REQUIRES: mutex.
  void give_back() {
    if (state != State::has_it) return;
    auto lock = lock_range(F_UNLCK, writer_byte, 1);
    control_lock(file.get(), F_OFD_SETLK, lock);
    state = State::gave_back;
  }

  FileHandle file;
  std::mutex mutex;  ///< guards what follows
  std::condition_variable changed;
  State state = State::waits;
  int error = 0;
  bool wanted = true;
};

LockFile::~LockFile() {
  if (stand_in_ == nullptr) return;
  const std::lock_guard guard(stand_in_->mutex);
  stand_in_->wanted = false;
  stand_in_->give_back();
}

bool LockFile::try_lock() {
  if (stand_in_ != nullptr) return false;  // it waits, as somebody else has the lock
  auto lock = lock_range(F_WRLCK, writer_byte, 1);
  return control_lock(file_.get(), F_OFD_SETLK, lock) == 0;
}

Result<void> LockFile::lock(Clock& clock, Monotonic deadline, bool asks) {
  auto lock = lock_range(F_WRLCK, writer_byte, 1);
  while (stand_in_ != nullptr || (asks && Interruption::is_there())) {
    if (stand_in_ == nullptr) {
      const int number = control_lock(file_.get(), F_OFD_SETLK, lock);
      if (number == 0) return {};
      if (!is_contention(number)) return fail(system_error(number, path_, "locking it"));
      BUREAU_TRY_VOID(send_stand_in());
    }
    BUREAU_TRY(const bool has_it, await_stand_in(clock, deadline, asks));
    if (has_it) return {};
  }
  if (deadline == Monotonic::never()) {
    const int number = control_lock(file_.get(), F_OFD_SETLKW, lock);
    if (number != 0) return fail(system_error(number, path_, "locking it"));
    return {};
  }
  constexpr Duration longest = std::chrono::milliseconds(1);
  for (Duration pause = std::chrono::microseconds(20);; pause = std::min(pause * 2, longest)) {
    const int number = control_lock(file_.get(), F_OFD_SETLK, lock);
    if (number == 0) return {};
    if (!is_contention(number)) return fail(system_error(number, path_, "locking it"));
    if (clock.monotonic() >= deadline) return too_late();
    // Real time whatever the clock is: the other process does not follow a manual one.
    wait_real_time(pause);
  }
}

Unexpected LockFile::too_late() const {
  return fail(Code::deadline, fmt::format("{}: another writer held it until the deadline{}", path_,
                                          said_of_holder()));
}

Result<void> LockFile::send_stand_in() {
  FileHandle copy(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.is_open()) return fail(system_error(errno, path_, "locking it"));
  auto made = std::make_shared<StandIn>(std::move(copy));
  try {
    std::thread([made] { made->run(); }).detach();
  } catch (const std::system_error& error) {
    return fail(system_error(error.code().value(), path_, "locking it"));
  }
  stand_in_ = std::move(made);
  return {};
}

/// False: it was left behind once, and has given the lock back.
Result<bool> LockFile::await_stand_in(Clock& clock, Monotonic deadline, bool asks) {
  const std::shared_ptr<StandIn> one = stand_in_;
  std::unique_lock guard(one->mutex);
  one->wanted = true;
  while (one->state == StandIn::State::waits) {
    const bool goes_on = asks ? wait_interruptibly(guard, one->changed, clock, deadline)
                              : clock.wait_until(guard, one->changed, deadline);
    if (goes_on || one->state != StandIn::State::waits) continue;
    one->wanted = false;
    one->give_back();
    return too_late();
  }
  stand_in_.reset();
  if (one->state == StandIn::State::failed) {
    return fail(system_error(one->error, path_, "locking it"));
  }
  return one->state == StandIn::State::has_it;
}

std::string LockFile::said_of_holder() const {
  const auto word = other_holder();
  if (!word) return {};
  if (word->pid == 0) {
    return "; it has not said who it is: it has only begun, or was stopped";
  }
  const Duration held = Clock::system().now() - Timestamp::from_micros(word->since);
  return fmt::format(": process {}{}{}, for {:.1f} s", word->pid,
                     word->function.empty() ? "" : " in " + word->function,
                     word->file.empty() ? "" : fmt::format(" at {}:{}", word->file, word->line),
                     static_cast<double>(held.count()) / 1e6);
}

void LockFile::unlock() {
  take_word_away();
  auto lock = lock_range(F_UNLCK, writer_byte, 1);
  control_lock(file_.get(), F_OFD_SETLK, lock);
}

void LockFile::leave_word(const Word& word) {
  std::string text = fmt::format("{}\n{}\n{}\n{}\n{}\n", word.pid, word.since, word.line,
                                 word.function, word.file);
  text.resize(longest_word);
  has_word_ = true;
  [[maybe_unused]] const auto written = ::pwrite(file_.get(), text.data(), text.size(), word_at);
}

void LockFile::take_word_away() {
  if (!has_word_.load(std::memory_order_relaxed)) return;
  has_word_ = false;
  const char zero = 0;
  [[maybe_unused]] const auto written = ::pwrite(file_.get(), &zero, 1, word_at);
}

std::optional<LockFile::Word> LockFile::other_holder() const {
  auto lock = lock_range(F_WRLCK, writer_byte, 1);
  if (control_lock(file_.get(), F_OFD_GETLK, lock) != 0 || lock.l_type == F_UNLCK) {
    return std::nullopt;
  }
  Word word;
  std::array<char, longest_word + 1> text{};
  if (::pread(file_.get(), text.data(), longest_word, word_at) <= 0) return word;
  std::istringstream lines{std::string(text.data())};
  if (!(lines >> word.pid >> word.since >> word.line)) return Word{};
  lines.ignore();
  std::getline(lines, word.function);
  std::getline(lines, word.file);
  return word;
}

Result<bool> LockFile::join() {
  auto lock = lock_range(F_WRLCK, joined_byte, 1);
  const int alone = control_lock(file_.get(), F_OFD_SETLK, lock);
  if (alone != 0 && !is_contention(alone)) return fail(system_error(alone, path_, "locking it"));
  lock = lock_range(F_RDLCK, joined_byte, 1);
  const int shared = control_lock(file_.get(), F_OFD_SETLK, lock);
  if (shared != 0) return fail(system_error(shared, path_, "locking it"));
  return alone == 0;
}

void LockFile::set_mark(bool marked) {
  marked_ = marked;
  // When it cannot be written, this storage still knows.
  const char byte = marked ? 1 : 0;
  [[maybe_unused]] const auto written = ::pwrite(file_.get(), &byte, 1, writer_byte);
}

bool LockFile::is_marked() const {
  char byte = 0;
  return marked_ || (::pread(file_.get(), &byte, 1, writer_byte) == 1 && byte != 0);
}

Result<std::unique_ptr<NodeFile>> NodeFile::open(const std::string& database) {
  const std::string path = database + "-nodes";
  BUREAU_TRY(auto file, open_side_file(path));
  return std::unique_ptr<NodeFile>(new NodeFile(std::move(file), path));
}

namespace {
Result<void> check_node(int node) {
  if (node >= 0 && node < id::node_count) return {};
  return fail(Code::invalid,
              fmt::format("node {}: nodes are from 0 to {}", node, id::node_count - 1), "node");
}
}  // namespace

Result<bool> NodeFile::hold(int node) {
  BUREAU_TRY_VOID(check_node(node));
  const std::lock_guard guard(mutex_);
  bool& held = held_[static_cast<std::size_t>(node)];
  if (held) return false;
  auto lock = lock_range(F_WRLCK, node, 1);
  const int number = control_lock(file_.get(), F_OFD_SETLK, lock);
  if (is_contention(number)) return false;
  if (number != 0) return fail(system_error(number, path_, "locking it"));
  held = true;
  return true;
}

void NodeFile::release(int node) {
  if (!check_node(node)) return;
  const std::lock_guard guard(mutex_);
  bool& held = held_[static_cast<std::size_t>(node)];
  if (!held) return;
  auto lock = lock_range(F_UNLCK, node, 1);
  control_lock(file_.get(), F_OFD_SETLK, lock);
  held = false;
}

Result<bool> NodeFile::is_alive(int node) {
  BUREAU_TRY_VOID(check_node(node));
  const std::lock_guard guard(mutex_);
  if (held_[static_cast<std::size_t>(node)]) return true;
  auto lock = lock_range(F_WRLCK, node, 1);
  const int number = control_lock(file_.get(), F_OFD_GETLK, lock);
  if (number != 0) return fail(system_error(number, path_, "asking for its locks"));
  return lock.l_type != F_UNLCK;
}

Result<std::unique_ptr<WakeFile>> WakeFile::open(const std::string& database) {
  const std::string path = database + "-wake";
  BUREAU_TRY(auto file, open_side_file(path));
  return std::unique_ptr<WakeFile>(new WakeFile(std::move(file), path));
}

bool WakeFile::has_audience() const {
  auto lock = lock_range(F_WRLCK, audience_byte, 1);
  return control_lock(file_.get(), F_OFD_GETLK, lock) != 0 || lock.l_type != F_UNLCK;
}

void WakeFile::announce(std::int64_t commit) {
  own_.store(commit, std::memory_order_release);
  if (!has_audience()) return;
  // A hint: when it cannot be written, those who wait look again at their next due time.
  [[maybe_unused]] const auto written = ::pwrite(file_.get(), &commit, sizeof commit, 0);
}

int WakeFile::watch() {
  const std::lock_guard guard(mutex_);
  if (inotify_.is_open()) return inotify_.get();
  FileHandle made(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!made.is_open() || inotify_add_watch(made.get(), path_.c_str(), IN_MODIFY) < 0) return -1;
  auto lock = lock_range(F_RDLCK, audience_byte, 1);
  if (control_lock(file_.get(), F_OFD_SETLK, lock) != 0) return -1;
  inotify_ = std::move(made);
  return inotify_.get();
}

std::int64_t WakeFile::drain() {
  const std::lock_guard guard(mutex_);
  if (!inotify_.is_open()) return 0;
  alignas(inotify_event) std::array<char, 4096> events;
  bool any = false;
  while (::read(inotify_.get(), events.data(), events.size()) > 0) any = true;
  std::int64_t commit = 0;
  if (!any || ::pread(file_.get(), &commit, sizeof commit, 0) != sizeof commit) return 0;
  return commit == own_.load(std::memory_order_acquire) ? 0 : commit;
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
