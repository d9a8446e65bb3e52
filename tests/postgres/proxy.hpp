#pragma once

// A network between a client and a server on this machine that can be told to fail.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "bureau/core/clock.hpp"
#include "postgres/server.hpp"

namespace postgres_test {

/// Forwards TCP connections from a port of its own to another, both on loopback. Thread-safe. What
/// a call asks for holds when it returns.
class Proxy {
 public:
  /// Which bytes are meant: those that the client sends, or those of the server.
  enum class From { client, server };

  explicit Proxy(int to) : to_(to) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error(std::string("proxy: ") + std::strerror(errno));
    }
    port_ = ntohs(address.sin_port);
    bell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    thread_ = std::thread([this] { run(); });
  }
  ~Proxy() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    ring();
    thread_.join();
    for (Link& link : links_) end(link, false);
    ::close(listener_);
    ::close(bell_);
  }
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  [[nodiscard]] int port() const { return port_; }

  /// The network falls silent: nothing gets through in either direction and nobody is told. New
  /// connections are made by the kernel and then hear nothing.
  void stall() {
    set([this] { stalled_ = true; });
  }
  /// What was held back goes on.
  void resume() {
    set([this] { stalled_ = false; });
  }
  /// All connections are reset. New ones are taken.
  void cut() {
    set([this] {
      for (Link& link : links_) end(link, true);
    });
  }
  /// New connections are made to another port, as where a name leads to another host.
  void lead_to(int port) {
    set([this, port] { to_ = port; });
  }
  /// While refused, new connections are reset at once, as by a host where nobody listens.
  void refuse(bool refused) {
    set([this, refused] { refused_ = refused; });
  }
  /// Every byte is so long on its way, in each direction.
  void delay(bureau::Duration each_way) {
    set([this, each_way] { delay_ = each_way; });
  }
  /// When on its way the text is cut.
  enum class Cut { before, after };
  /// Resets the connection on which that side next sends this text, before the other side has it or
  /// after that. Once only. With `for_good` new connections are refused from that moment on.
  void cut_at(From side, std::string text, Cut when, bool for_good = false) {
    set([&] {
      trap_ = {side, std::move(text), when == Cut::after, for_good};
      trapped_ = false;
    });
  }
  /// What the server sends is changed where it has this text. REQUIRES: both are of one length.
  void replace(std::string text, std::string by) {
    set([&] {
      replaced_ = std::move(text);
      replacement_ = std::move(by);
    });
  }
  /// Waits until cut_at() has cut; false when it did not within a minute.
  [[nodiscard]] bool wait_until_cut() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [this] { return trapped_; });
  }

  /// Bytes that were passed on.
  [[nodiscard]] std::uint64_t bytes(From side) const {
    const std::lock_guard lock(mutex_);
    return passed_[side == From::client ? 0 : 1];
  }
  /// How many were made until now, and how many of them are open.
  [[nodiscard]] std::size_t connections() const {
    const std::lock_guard lock(mutex_);
    return made_;
  }
  [[nodiscard]] std::size_t open_connections() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(links_.begin(), links_.end(), [](const Link& l) { return l.open; }));
  }

 private:
  struct Chunk {
    std::string text;
    bureau::Monotonic due;
    bool cut_after = false;
  };
  /// What one side has sent and the other does not have yet.
  struct Way {
    std::deque<Chunk> chunks;
    std::string tail;  ///< the end of what was read before, for texts that come in two parts
    std::size_t size = 0;
    bool ended = false;
  };
  struct Link {
    int fds[2] = {-1, -1};  ///< the client's and the server's
    Way ways[2];            ///< from the client, from the server
    bool open = true;
  };
  struct Trap {
    From side = From::client;
    std::string text;
    bool after = false, for_good = false;
  };
  static constexpr std::size_t most_held = 1 << 20;

  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
  }
  template <class Change>
  void set(Change change) {
    {
      const std::lock_guard lock(mutex_);
      change();
    }
    ring();
  }
  void ring() const { [[maybe_unused]] const int ignored = ::eventfd_write(bell_, 1); }

  static void end(Link& link, bool reset) {
    if (!link.open) return;
    link.open = false;
    for (const int fd : link.fds) {
      const linger at_once{1, 0};
      if (reset) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      ::close(fd);
    }
  }

  void accept_all() {
    for (;;) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (client < 0) return;
      // Connecting on loopback does not wait: the kernel answers.
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(to_);
      Link link{{client, server}, {}, true};
      if (refused_ ||
          ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        end(link, true);
        continue;
      }
      ::fcntl(server, F_SETFL, O_NONBLOCK);
      const int at_once = 1;
      for (const int fd : link.fds) {
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
      }
      links_.push_back(std::move(link));
      ++made_;
    }
  }

  /// Takes what the side has sent; looks for the trap's text in it.
  void receive(Link& link, std::size_t side) {
    Way& way = link.ways[side];
    char buffer[16384];
    const ssize_t got = ::recv(link.fds[side], buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
      way.ended = true;
      return;
    }
    Chunk chunk{{buffer, static_cast<std::size_t>(got)},
                bureau::Clock::system().monotonic() + delay_,
                false};
    if (side == 1 && !replaced_.empty()) {
      const std::size_t at = chunk.text.find(replaced_);
      if (at != std::string::npos) chunk.text.replace(at, replaced_.size(), replacement_);
    }
    if (!trap_.text.empty() && (trap_.side == From::client) == (side == 0)) {
      const std::string seen = way.tail + chunk.text;
      if (seen.find(trap_.text) != std::string::npos) {
        trap_.text.clear();
        if (!trap_.after) return spring(link, true);
        chunk.cut_after = true;
      } else {
        way.tail = seen.substr(seen.size() - std::min(seen.size(), trap_.text.size() - 1));
      }
    }
    way.size += chunk.text.size();
    way.chunks.push_back(std::move(chunk));
  }

  void spring(Link& link, bool reset) {
    end(link, reset);
    trapped_ = true;
    refused_ = refused_ || trap_.for_good;
    changed_.notify_all();
  }

  /// Passes on what is due of one side.
  void send_due(Link& link, std::size_t side, bureau::Monotonic now) {
    Way& way = link.ways[side];
    while (link.open && !way.chunks.empty() && way.chunks.front().due <= now) {
      Chunk& chunk = way.chunks.front();
      const ssize_t sent =
          ::send(link.fds[1 - side], chunk.text.data(), chunk.text.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) end(link, false);
        return;
      }
      passed_[side] += static_cast<std::uint64_t>(sent);
      way.size -= static_cast<std::size_t>(sent);
      chunk.text.erase(0, static_cast<std::size_t>(sent));
      if (!chunk.text.empty()) return;
      const bool cut = chunk.cut_after;
      way.chunks.pop_front();
      if (cut) {
        // A reset throws away what has not been read yet: the other side is told the ordinary way.
        ::shutdown(link.fds[1 - side], SHUT_WR);
        const linger at_once{1, 0};
        ::setsockopt(link.fds[side], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        spring(link, false);
      }
    }
    if (link.open && way.ended && way.chunks.empty()) end(link, false);
  }

  /// How long poll() may wait, in milliseconds; -1: until something happens.
  [[nodiscard]] int until_next_due(bureau::Monotonic now) const {
    auto least = bureau::Duration::max();
    for (const Link& link : links_) {
      for (const Way& way : link.ways) {
        // What is due already waits for POLLOUT.
        if (!way.chunks.empty() && way.chunks.front().due > now) {
          least = std::min(least, way.chunks.front().due - now);
        }
      }
    }
    if (least == bureau::Duration::max()) return -1;
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(least).count());
  }

  void run() {
    std::vector<pollfd> polled;
    std::unique_lock lock(mutex_);
    while (!over_) {
      links_.remove_if([](const Link& link) { return !link.open; });
      polled = {{bell_, POLLIN, 0}};
      int wait = -1;
      if (!stalled_) {
        polled.push_back({listener_, POLLIN, 0});
        const auto now = bureau::Clock::system().monotonic();
        for (const Link& link : links_) {
          for (std::size_t side = 0; side < 2; ++side) {
            const Way& in = link.ways[side];
            const Way& out = link.ways[1 - side];
            short events = 0;
            if (!in.ended && in.size < most_held) events |= POLLIN;
            if (!out.chunks.empty() && out.chunks.front().due <= now) events |= POLLOUT;
            // One that is asked nothing is left out: poll() would tell of its end again and again.
            polled.push_back({link.open && events != 0 ? link.fds[side] : -1, events, 0});
          }
        }
        wait = until_next_due(now);
      }
      lock.unlock();
      ::poll(polled.data(), polled.size(), wait);
      lock.lock();
      eventfd_t rung = 0;
      [[maybe_unused]] const int ignored = ::eventfd_read(bell_, &rung);
      if (stalled_ || over_) continue;
      const auto now = bureau::Clock::system().monotonic();
      std::size_t at = 2;
      for (Link& link : links_) {
        // What was polled is a prefix of the list: only this thread adds to it, and only below.
        for (std::size_t side = 0; side < 2 && at < polled.size(); ++side, ++at) {
          if (link.open && (polled[at].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
              !link.ways[side].ended) {
            receive(link, side);
          }
        }
      }
      for (Link& link : links_) {
        for (std::size_t side = 0; side < 2; ++side) send_due(link, side, now);
      }
      accept_all();
    }
  }

  int to_, port_ = 0, listener_ = -1, bell_ = -1;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Link> links_;
  std::uint64_t passed_[2] = {0, 0};
  std::size_t made_ = 0;
  bool stalled_ = false, refused_ = false, over_ = false, trapped_ = false;
  bureau::Duration delay_{0};
  Trap trap_;
  std::string replaced_, replacement_;
  std::thread thread_;
};

/// The same database, reached by the proxy.
inline Address through(const Proxy& proxy, const Address& address) {
  Address other = address;
  other.port = proxy.port();
  return other;
}

}  // namespace postgres_test
