#pragma once

// A server on this machine that answers as it is told: nothing of it is simulated.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace http_test {

/// One connection, after its request has been read.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  /// False once the client is gone.
  bool send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void answer(int status, std::string_view more = "") const {
    send("HTTP/1.1 " + std::to_string(status) + " Said\r\n" + std::string(more) +
         "Content-Length: 0\r\nConnection: close\r\n\r\n");
  }
  /// The connection ends with RST, not FIN, when it is closed.
  void end_with_reset() const {
    const linger at_once{1, 0};
    REQUIRE(::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
  }
  void answer_with(int status, std::string_view type, std::string_view body) const {
    send("HTTP/1.1 " + std::to_string(status) + " Said\r\nContent-Type: " + std::string(type) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
         std::string(body));
  }
  /// Says nothing more until the client has had enough; how many bytes it still sent.
  std::size_t wait_until_client_is_gone() const {
    char buffer[4096];
    for (std::size_t bytes = 0;;) {
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) return bytes;
      bytes += static_cast<std::size_t>(got);
    }
  }

 private:
  int fd_;
};

class Server {
 public:
  /// Called with each request, one at a time; the connection is closed when it returns.
  using Handler = std::function<void(const Connection&, const std::string& request)>;

  /// What it has read of a request when it calls the handler.
  enum class Reads { all, headers };

  explicit Server(Handler handler, Reads reads = Reads::all)
      : handler_(std::move(handler)), reads_(reads) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(listener_ >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_, 16) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  explicit Server(int status)
      : Server([status](const Connection& c, const std::string&) { c.answer(status); }) {}
  ~Server() {
    ::shutdown(listener_, SHUT_RDWR);  // wakes accept()
    thread_.join();
    ::close(listener_);
  }

  [[nodiscard]] std::string url(std::string_view scheme = "http",
                                std::string_view host = "127.0.0.1") const {
    return std::string(scheme) + "://" + std::string(host) + ":" + std::to_string(port_) + "/in";
  }
  [[nodiscard]] std::vector<std::string> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    for (;;) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      const std::string request = read_request(fd, reads_);
      if (!request.empty()) {
        {
          std::lock_guard lock(mutex_);
          requests_.push_back(request);
        }
        handler_(Connection(fd), request);
      }
      ::close(fd);
    }
  }
  /// Headers and body; empty when it was no request.
  static std::string read_request(int fd, Reads reads) {
    std::string text;
    char buffer[4096];
    std::size_t wanted = std::string::npos;
    while (text.size() < wanted) {
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return {};
      text.append(buffer, static_cast<std::size_t>(got));
      if (text.front() < 'A' || text.front() > 'Z') return {};  // no method: TLS
      const std::size_t end = text.find("\r\n\r\n");
      if (end == std::string::npos || wanted != std::string::npos) continue;
      if (reads == Reads::headers) return text;
      const std::size_t length = text.find("Content-Length: ");
      wanted = end + 4 + (length < end ? std::stoul(text.substr(length + 16)) : 0);
    }
    return text;
  }

  Handler handler_;
  Reads reads_ = Reads::all;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

inline std::string header_of(const std::string& request, const std::string& name) {
  const std::size_t at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 4;
  return request.substr(begin, request.find("\r\n", begin) - begin);
}
inline std::string body_of(const std::string& request) {
  const std::size_t end = request.find("\r\n\r\n");
  return end == std::string::npos ? std::string() : request.substr(end + 4);
}

}  // namespace http_test
