#pragma once

// PgBouncer between a test and its server. Failures throw std::runtime_error, with what it said.

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "basics.hpp"
#include "bureau/core/random.hpp"
#include "postgres/server.hpp"

namespace postgres_test {

class Pooler {
 public:
  /// BUREAU_PGBOUNCER, else Debian's; empty where there is none.
  [[nodiscard]] static std::optional<std::string> program() {
    const char* const named = std::getenv("BUREAU_PGBOUNCER");
    const std::string path = named != nullptr ? named : "/usr/sbin/pgbouncer";
    return ::access(path.c_str(), X_OK) == 0 ? std::optional(path) : std::nullopt;
  }

  /// `mode`: "transaction" or "session"; `sessions`: of the server's, for each database.
  Pooler(const Address& user, const std::string& mode, int sessions) {
    for (int tries = 0; tries < 20 && port_ == 0; ++tries) {
      const int port = 10'000 + static_cast<int>(bureau::Random::system().below(5'000));
      write_files(user, mode, sessions, port);
      if (start()) port_ = port;
    }
    if (port_ == 0) throw std::runtime_error("pgbouncer: " + said_);
    // It waits for whoever is to read what it says.
    listener_ = std::thread([this] {
      while (hear() > 0) {
      }
    });
  }
  ~Pooler() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    listener_.join();
    ::close(output_);
  }
  Pooler(const Pooler&) = delete;
  Pooler& operator=(const Pooler&) = delete;

  [[nodiscard]] Address in_front_of(Address address) const {
    address.port = port_;
    return address;
  }

 private:
  void write_files(const Address& user, const std::string& mode, int sessions, int port) const {
    ::chmod(folder_.file("").c_str(), 0755);  // it gives up being root
    std::ofstream(folder_.file("users")) << '"' << user.user << "\" \"" << user.password << "\"\n";
    std::ofstream config(folder_.file("ini"));
    config << "[databases]\n* = host=" << user.host << " port=" << user.port << "\n[pgbouncer]\n"
           << "listen_addr = 127.0.0.1\nlisten_port = " << port << "\nunix_socket_dir =\n"
           << "auth_type = trust\nauth_file = " << folder_.file("users") << "\npool_mode = " << mode
           << "\ndefault_pool_size = " << sessions << "\nmax_client_conn = 500\n";
    if (::geteuid() == 0) config << "user = " << (::getpwnam("postgres") ? "postgres" : "nobody");
    config << "\n";
  }

  bool start() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    const std::string program_path = *program(), config = folder_.file("ini");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(ends[1], 1);
      ::dup2(ends[1], 2);
      ::execl(program_path.c_str(), "pgbouncer", config.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ends[0];
    said_.clear();
    // It says so when it listens; when it cannot, it ends.
    while (said_.find("process up") == std::string::npos) {
      if (hear() > 0) continue;
      ::waitpid(pid_, nullptr, 0);
      ::close(output_);
      return false;
    }
    return true;
  }

  ssize_t hear() {
    char text[4096];
    const ssize_t got = ::read(output_, text, sizeof text);
    if (got > 0) said_.append(text, static_cast<std::size_t>(got));
    return got;
  }

  Folder folder_;
  std::string said_;
  pid_t pid_ = 0;
  int port_ = 0, output_ = -1;
  std::thread listener_;
};

}  // namespace postgres_test

/// Without PgBouncer the test says that it was skipped.
#define BUREAU_NEED_POOLER()                                                 \
  if (!::postgres_test::Pooler::program()) {                                 \
    MESSAGE("skipped: no pgbouncer is installed (or set BUREAU_PGBOUNCER)"); \
    return;                                                                  \
  }                                                                          \
  static_cast<void>(0)
