#pragma once

// Several machines on one: namespaces of Linux, each with its own network, host name and process
// numbers, at a switch. Their cables delay, reorder and lose what they carry. All ends with the
// program. It takes root and the program `ip`.

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bureau/core/random.hpp"
#include "kill/processes.hpp"

namespace postgres_test {

/// Namespaces that the calling thread can go to.
class Namespaces {
 public:
  /// Where the calling thread is.
  static Namespaces here() {
    Namespaces all;
    all.network_ = open("net");
    all.name_ = open("uts");
    return all;
  }
  Namespaces(Namespaces&& other) noexcept
      : network_(std::exchange(other.network_, -1)), name_(std::exchange(other.name_, -1)) {}
  Namespaces& operator=(Namespaces&&) = delete;
  ~Namespaces() {
    if (network_ >= 0) ::close(network_);
    if (name_ >= 0) ::close(name_);
  }
  void enter() const {
    if (::setns(network_, CLONE_NEWNET) != 0 || ::setns(name_, CLONE_NEWUTS) != 0) {
      give_up("cannot enter a machine");
    }
  }
  static int open(const std::string& kind) {
    const int file = ::open(("/proc/thread-self/ns/" + kind).c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) give_up("no namespaces");
    return file;
  }

 private:
  Namespaces() = default;
  int network_ = -1, name_ = -1;
};

/// Carries frames between two network interfaces that it makes. Each takes a time of its own, so
/// that one may overtake another, and some never come.
class Cable {
 public:
  static constexpr std::chrono::microseconds longest{2000};
  static constexpr std::uint64_t lost_of_a_thousand = 5;

  /// The end of a cable, in the network where the calling thread is. Negative: it cannot be made.
  static int end(const std::string& name) {
    const int file = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ifreq interface {};
    interface.ifr_flags = IFF_TAP | IFF_NO_PI;
    name.copy(static_cast<char*>(interface.ifr_name), IFNAMSIZ - 1);
    if (file < 0 || ::ioctl(file, TUNSETIFF, &interface) == 0) return file;
    ::close(file);
    return -1;
  }
  /// Takes both ends.
  Cable(int one, int other, std::uint64_t seed)
      : ends_{one, other}, random_(seed), thread_([this] { carry(); }) {}
  ~Cable() {
    static_cast<void>(::eventfd_write(over_, 1));
    thread_.join();
    for (const int file : {ends_[0], ends_[1], over_}) ::close(file);
  }
  Cable(const Cable&) = delete;
  Cable& operator=(const Cable&) = delete;

 private:
  struct Frame {
    int to;
    std::string bytes;
  };

  void carry() {
    const bureau::Clock& clock = bureau::Clock::system();
    for (;;) {
      std::array<pollfd, 3> watched{
          {{ends_[0], POLLIN, 0}, {ends_[1], POLLIN, 0}, {over_, POLLIN, 0}}};
      timespec wait{1, 0};
      if (!frames_.empty()) {
        const auto left =
            std::max(bureau::Duration::zero(), frames_.begin()->first - clock.monotonic());
        wait = {0, left.count() * 1000};
      }
      ::ppoll(watched.data(), watched.size(), &wait, nullptr);
      if (watched[2].revents != 0) return;
      for (const int from : {0, 1}) take(from, clock.monotonic());
      while (!frames_.empty() && frames_.begin()->first <= clock.monotonic()) {
        const Frame& frame = frames_.begin()->second;
        // An interface that is down takes none.
        static_cast<void>(!::write(frame.to, frame.bytes.data(), frame.bytes.size()));
        frames_.erase(frames_.begin());
      }
    }
  }
  void take(int from, bureau::Monotonic now) {
    std::array<char, 2048> bytes;
    for (;;) {
      const auto size = ::read(ends_[static_cast<std::size_t>(from)], bytes.data(), bytes.size());
      if (size <= 0) return;
      if (random_.below(1000) < lost_of_a_thousand) continue;
      const std::chrono::microseconds takes(random_.below(longest.count()));
      frames_.emplace(now + takes,
                      Frame{ends_[static_cast<std::size_t>(1 - from)],
                            std::string(bytes.data(), static_cast<std::size_t>(size))});
    }
  }

  std::array<int, 2> ends_;
  int over_ = ::eventfd(0, EFD_CLOEXEC);
  bureau::SeededRandom random_;
  std::multimap<bureau::Monotonic, Frame> frames_;  ///< by when they arrive
  std::thread thread_;
};

/// One thread uses it: the one that made it.
class Machines {
 public:
  static constexpr char server[] = "10.77.0.1";
  static constexpr char network[] = "10.77.0.0/24";

  /// Puts the whole program, which has one thread as yet, behind the switch too. Null: this machine
  /// lets nobody do that, or has no `ip`.
  static std::unique_ptr<Machines> make() {
    if (::unshare(CLONE_NEWNET) != 0) return nullptr;
    if (!ip({"link", "set", "lo", "up"}) || !ip({"link", "add", "switch", "type", "bridge"}) ||
        !ip({"addr", "add", server + std::string("/24"), "dev", "switch"}) ||
        !ip({"link", "set", "switch", "up"}) || ::unshare(CLONE_NEWUTS) != 0) {
      return nullptr;
    }
    const int end = Cable::end("cable");
    if (end < 0) return nullptr;
    ::close(end);
    return std::unique_ptr<Machines>(new Machines);
  }

  /// Switches a new one on; its number.
  int add() {
    const int number = static_cast<int>(machines_.size());
    const std::string name = fmt::format("machine-{}", number);
    if (::unshare(CLONE_NEWNET | CLONE_NEWUTS) != 0 ||
        ::sethostname(name.data(), name.size()) != 0) {
      give_up("no machine to be had");
    }
    machines_.push_back(std::make_unique<Namespaces>(Namespaces::here()));
    need({"link", "set", "lo", "up"});
    const int there = Cable::end("eth0");
    need({"addr", "add", address(number) + "/24", "dev", "eth0"});
    need({"link", "set", "eth0", "up"});
    home_.enter();
    const int here = Cable::end(port(number));
    if (here < 0 || there < 0) give_up("no cable to be had");
    need({"link", "set", port(number), "master", "switch"});
    need({"link", "set", port(number), "up"});
    cables_.push_back(std::make_unique<Cable>(here, there, static_cast<std::uint64_t>(number)));
    return number;
  }
  static std::string address(int number) { return fmt::format("10.77.0.{}", number % 250 + 2); }
  /// Pulls its cable out, and plugs it in again.
  void cut(int number) { need({"link", "set", port(number), "down"}); }
  void join(int number) { need({"link", "set", port(number), "up"}); }
  /// After its cable was pulled and its processes killed: nobody hears of it any more.
  void remove(int number) {
    cables_[static_cast<std::size_t>(number)].reset();
    machines_[static_cast<std::size_t>(number)].reset();
  }

  /// What `start` starts runs there, among the processes of this machine.
  void at(int number, const std::function<void()>& start) {
    machines_[static_cast<std::size_t>(number)]->enter();
    start();
    home_.enter();
  }
  /// What `start` starts runs there, as process 1.
  void on(int number, const std::function<void()>& start) {
    const int processes = Namespaces::open("pid");
    machines_[static_cast<std::size_t>(number)]->enter();
    if (::unshare(CLONE_NEWPID) != 0) give_up("no process numbers to be had");
    start();
    if (::setns(processes, CLONE_NEWPID) != 0) give_up("cannot leave a machine");
    ::close(processes);
    home_.enter();
  }

 private:
  Machines() = default;
  static std::string port(int number) { return fmt::format("port{}", number); }
  static void need(std::vector<std::string> words) {
    if (!ip(std::move(words))) give_up("ip failed");
  }
  static bool ip(std::vector<std::string> words) {
    words.insert(words.begin(), "ip");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    int status = 1;
    return ::posix_spawnp(&pid, "ip", nullptr, nullptr, argv.data(), environ) == 0 &&
           ::waitpid(pid, &status, 0) == pid && status == 0;
  }

  Namespaces home_ = Namespaces::here();
  std::vector<std::unique_ptr<Namespaces>> machines_;
  std::vector<std::unique_ptr<Cable>> cables_;  ///< of each
};

}  // namespace postgres_test
