#pragma once

// A program that hangs tells nobody why, and takes as long as it is let.

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

/// Ends the program when it has taken five minutes for one step, and says for which. Each step is
/// of seconds, or has a deadline of its own.
class Watchdog {
 public:
  /// `more` tells what else may say why; it runs in a thread of its own.
  explicit Watchdog(std::function<std::string()> more = {})
      : more_(std::move(more)), thread_([this] { watch(); }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  void begin(std::string step) {
    const std::lock_guard lock(mutex_);
    step_ = std::move(step);
    ++steps_;
    changed_.notify_all();
  }

 private:
  static constexpr std::chrono::minutes patience{5};

  void watch() {
    std::unique_lock lock(mutex_);
    for (;;) {
      const int seen = steps_;
      const auto moved = [&] { return over_ || steps_ != seen; };
      if (!changed_.wait_for(lock, patience, moved)) break;
      if (over_) return;
    }
    fmt::print("FAILED: it hangs in: {}\n", step_);
    std::fflush(stdout);
    if (more_) fmt::print("{}\n", more_());
    std::fflush(stdout);
    ::_exit(1);
  }

  std::function<std::string()> more_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string step_ = "the beginning";
  int steps_ = 0;
  bool over_ = false;
  std::thread thread_;
};
