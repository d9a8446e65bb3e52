#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "bureau/work/scheduler.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::size_t max_replacements = 4;
/// What one poll may run: short tasks by the dozen, which then share a commit; a long one alone.
constexpr PollLimit at_a_time{256, std::chrono::milliseconds(10)};
/// With nothing known to be due a thread looks again after this long: the net under lost hints.
constexpr Duration recheck = std::chrono::seconds(5);
/// While every thread is inside a handler, another sees this often to what cannot wait for them:
/// heartbeats, time limits.
constexpr Duration between_duties = std::chrono::milliseconds(500);

class ThreadScheduler final : public Scheduler {
 public:
  ThreadScheduler(std::size_t threads, Clock& clock, LogSink log)
      : count_(threads == 0 ? 1 : threads), clock_(clock), log_(std::move(log)) {}

  ~ThreadScheduler() override {
    // Threads that hang in a handler cannot be joined; a destructor that waited for them would hang
    // too. stop() has named them.
    (void)stop(clock_.monotonic());
    for (auto& t : threads_) {
      if (t.joinable()) t.detach();
    }
  }

  Result<void> start(Runner& runner) override {
    std::lock_guard lock(shared_->mutex);
    if (!threads_.empty()) return fail(Code::conflict, "scheduler: it has started");
    shared_->stopping = false;
    runner_ = &runner;
    for (std::size_t i = 0; i < count_; ++i) spawn();
    ++shared_->alive;
    threads_.emplace_back(
        [shared = shared_, runner = runner_, &clock = clock_] { keep(*shared, *runner, clock); });
    if (runner.wake_fd() >= 0) {
      stop_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
      if (stop_fd_ < 0) return fail(Code::unavailable, "scheduler: no event descriptor to be had");
      watcher_ = std::thread([this] { watch(); });
    }
    return {};
  }

  void wake() override {
    {
      std::lock_guard lock(shared_->mutex);
      ++shared_->wakes;
    }
    shared_->condition.notify_one();
  }

  void replace_thread() override {
    std::lock_guard lock(shared_->mutex);
    if (shared_->stopping || replacements_ >= max_replacements) return;
    ++replacements_;
    spawn();
    log(log_, LogLevel::warning, "scheduler", "a thread was replaced",
        {{"replaced", static_cast<std::int64_t>(replacements_)}});
  }

  Result<void> stop(Monotonic deadline) override {
    if (watcher_.joinable()) {
      const std::uint64_t one = 1;
      (void)!::write(stop_fd_, &one, sizeof one);
      watcher_.join();
      ::close(stop_fd_);
    }
    std::unique_lock lock(shared_->mutex);
    shared_->stopping = true;
    shared_->condition.notify_all();
    shared_->keeper.notify_all();
    while (shared_->alive > 0) {
      if (!clock_.wait_until(lock, shared_->ended, deadline) && shared_->alive > 0) {
        return fail(Code::deadline, "scheduler: a thread is still inside a handler");
      }
    }
    lock.unlock();
    for (auto& t : threads_) t.join();
    threads_.clear();
    return {};
  }

 private:
  /// What a thread touches; it may outlive the scheduler when a handler hangs.
  struct Shared {
    std::mutex mutex;
    std::condition_variable condition, ended, keeper;
    std::uint64_t wakes = 0;
    std::size_t alive = 0;
    std::size_t workers = 0, polling = 0;  // how many there are, and are not asleep
    bool keeper_sleeps = false;
    bool stopping = false;
    bool has_leader = false;
    std::uint64_t leadership = 0;  // counts those who took the lead
    Monotonic leader_due{};        // until when the leader sleeps
  };

  void spawn() {
    ++shared_->alive;
    ++shared_->workers;
    threads_.emplace_back(
        [shared = shared_, runner = runner_, &clock = clock_] { work(*shared, *runner, clock); });
  }

  /// One sleeper, the leader, waits for the next due time; the others only for a wake.
  static void work(Shared& shared, Runner& runner, Clock& clock) {
    std::unique_lock lock(shared.mutex);
    while (!shared.stopping) {
      const std::uint64_t seen = shared.wakes;
      ++shared.polling;
      if (std::exchange(shared.keeper_sleeps, false)) shared.keeper.notify_one();
      lock.unlock();
      const PollResult result = runner.poll(at_a_time);
      lock.lock();
      --shared.polling;
      if (result.ran > 0) {
        // There may be more than one thread can do: pass the word on.
        shared.condition.notify_one();
        continue;
      }
      if (shared.wakes != seen || shared.stopping) continue;
      if (shared.has_leader && result.next_due >= shared.leader_due) {
        shared.condition.wait(lock);
        continue;
      }
      // Whoever knows of something earlier than the leader takes the lead from it.
      shared.has_leader = true;
      const std::uint64_t mine = ++shared.leadership;
      shared.leader_due = std::min(result.next_due, clock.monotonic() + recheck);
      clock.wait_until(lock, shared.condition, Monotonic(shared.leader_due));
      if (shared.leadership != mine) continue;
      shared.has_leader = false;
      // Somebody must take the lead while this thread works.
      shared.condition.notify_one();
    }
    --shared.alive;
    shared.condition.notify_all();
    shared.ended.notify_all();
  }

  /// Polls, without running tasks, while all the others are at work.
  static void keep(Shared& shared, Runner& runner, Clock& clock) {
    std::unique_lock lock(shared.mutex);
    while (!shared.stopping) {
      if (shared.polling == 0) {
        shared.keeper_sleeps = true;
        shared.keeper.wait(lock);
        continue;
      }
      clock.wait_until(lock, shared.keeper, clock.monotonic() + between_duties);
      if (shared.stopping || shared.polling < shared.workers) continue;
      lock.unlock();
      static_cast<void>(runner.poll({0, Duration(0)}));
      lock.lock();
    }
    --shared.alive;
    shared.ended.notify_all();
  }

  void watch() {
    for (;;) {
      pollfd fds[2] = {{runner_->wake_fd(), POLLIN, 0}, {stop_fd_, POLLIN, 0}};
      if (::poll(fds, 2, -1) < 0) continue;
      if ((fds[1].revents & POLLIN) != 0) return;
      if ((fds[0].revents & POLLIN) != 0) runner_->on_wake_fd();
    }
  }

  std::size_t count_;
  Clock& clock_;
  LogSink log_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  Runner* runner_ = nullptr;
  std::vector<std::thread> threads_;
  std::size_t replacements_ = 0;
  std::thread watcher_;
  int stop_fd_ = -1;
};

}  // namespace

std::shared_ptr<Scheduler> make_thread_scheduler(std::size_t threads, Clock& clock, LogSink log) {
  return std::make_shared<ThreadScheduler>(threads, clock, std::move(log));
}

BUREAU_END_NAMESPACE
