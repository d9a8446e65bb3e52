#pragma once

// What the programs that kill their own processes have in common.

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bureau/core/clock.hpp"
#include "bureau/core/result.hpp"

extern char** environ;

[[noreturn]] inline void give_up(const std::string& why) {
  fmt::print(stderr, "{}: {}\n", program_invocation_short_name, why);
  std::exit(1);
}
template <class R>
auto must(R result) {
  if (!result) give_up(to_string(result.error()));
  if constexpr (!std::is_void_v<typename R::value_type>) return *std::move(result);
}

/// Lets the others work.
inline void pause(bureau::Duration duration) {
  bureau::Clock& clock = bureau::Clock::system();
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  clock.wait_until(lock, never, clock.monotonic() + duration);
}

/// What `ask` gives. A server may be away for a moment, and asked again: what it did then is seen
/// the next time.
template <class Ask>
auto patiently(Ask ask) {
  const bureau::Clock& clock = bureau::Clock::system();
  const bureau::Monotonic deadline = clock.monotonic() + std::chrono::minutes(2);
  auto answer = ask();
  const auto is_away = [&] {
    const bureau::Code code = answer ? bureau::Code::internal : answer.error().code;
    return code == bureau::Code::unavailable || code == bureau::Code::unknown_outcome ||
           code == bureau::Code::deadline;
  };
  while (is_away() && clock.monotonic() < deadline) {
    pause(std::chrono::milliseconds(50));
    answer = ask();
  }
  return must(std::move(answer));
}

inline void wait_for_end_of_input() {
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

/// A process of this program, which is told to end by the end of its standard input.
class Process {
 public:
  using Arguments = std::vector<std::string>;  ///< the program first
  explicit Process(Arguments arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) give_up("no pipe to be had");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    std::vector<char*> argv;
    for (std::string& one : arguments) argv.push_back(one.data());
    argv.push_back(nullptr);
    const int error = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[0]);
    if (error != 0) give_up("cannot start " + arguments[0]);
    input_ = ends[1];
  }
  ~Process() {
    if (pid_ > 0) kill();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const { ::kill(pid_, signal); }
  void kill() {
    send(SIGKILL);
    wait();
  }
  /// Asks it to end. True when it did so well.
  bool end() {
    ::close(input_);
    input_ = -1;
    return wait() == 0;
  }

 private:
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    if (input_ >= 0) ::close(input_);
    input_ = -1;
    return status;
  }
  pid_t pid_ = 0;
  int input_ = -1;
};
