#pragma once

// A PostgreSQL server for tests and benchmarks: its own data in a temporary folder, a free port on
// loopback, passwords by SCRAM. It ends with its object, and also when the program is killed: a
// small watcher outlives the program, ends the server and removes the folder. Failures throw
// std::runtime_error, with the server's log where that tells why.

#include <sys/types.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace postgres_test {

/// How to reach a database; change a member to be refused.
struct Address {
  std::string host;  ///< or the folder of a Unix socket
  int port = 0;
  std::string database, user, password;
  std::string more;  ///< further settings of libpq, such as "connect_timeout=2"
  /// For libpq; every value is quoted.
  [[nodiscard]] std::string conninfo() const;
};

class Server;

struct ServerOptions {
  /// Durable like a real one. The suite does without: its servers are killed, but no power is cut.
  bool fsync = false;
  std::vector<std::string> settings = {};  ///< "name=value", over those of the tests
  /// A further address that it listens on, and who may come from there: "10.0.0.1", "10.0.0.0/24".
  std::string address = {}, network = {};
  /// Begins as its copy and follows it, until promote(). The names and passwords are that one's.
  const Server* primary = nullptr;
};

/// A database that is dropped with the object. Its default collation is that of a language where
/// the server can do that, so that nothing passes by being sorted by bytes.
class Database;

class Server {
 public:
  /// Where PostgreSQL's programs are: BUREAU_POSTGRES_BIN, else Debian's newest, else PATH. Empty
  /// where there are none.
  [[nodiscard]] static std::optional<std::string> programs();
  /// Whether one can be another's standby: not every package has pg_basebackup.
  [[nodiscard]] static bool can_follow();
  /// The program's one server, started when first asked for. REQUIRES: programs().
  [[nodiscard]] static Server& shared();

  explicit Server(ServerOptions options = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Waits until it takes connections. The port stays what it was.
  void start();
  enum class Stop {
    fast,       ///< sessions are ended, all is written
    immediate,  ///< as when the server crashes: the next start recovers from the log
  };
  void stop(Stop how = Stop::fast);
  /// SIGKILL for all of its processes, the first one last, so that nobody sees the others go.
  void crash();
  [[nodiscard]] bool running() const { return pid_ != 0; }
  /// A standby takes over; what it follows is to be gone.
  void promote();
  /// From now on a commit waits until the standby has it. REQUIRES: one follows.
  void wait_for_standby();

  /// As the superuser, on the database "postgres".
  [[nodiscard]] Address admin() const;
  /// The same, by the Unix socket.
  [[nodiscard]] Address admin_by_socket() const;
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// A new, empty database that belongs to a role of its own, which is no superuser. `more` goes
  /// into CREATE DATABASE in place of the collation.
  [[nodiscard]] Database create_database(const std::string& more = {});

  /// All that it has said since it was first started.
  [[nodiscard]] std::string log() const;
  /// What each session does or waits for, and who is in its way, a line each: for a test that
  /// hangs.
  [[nodiscard]] std::string sessions() const;
  /// Waits until its log has the text at or after `from`; where it ends.
  std::size_t wait_for_log(std::string_view text, std::size_t from = 0);

 private:
  struct User {
    uid_t uid = 0;
    gid_t gid = 0;
    bool change = false;  ///< the program is root, which PostgreSQL does not run as
  };
  [[nodiscard]] static User unprivileged();
  [[nodiscard]] pid_t spawn(const std::vector<std::string>& command, int output) const;
  void run_watcher();
  void run_initdb();
  void copy_primary();
  void run_to_its_end(const std::vector<std::string>& command) const;
  void make_role();
  [[nodiscard]] bool try_start();
  void read_log(int fd);
  void wait_for_end();
  void remove_shared_memory() const;
  void clean_up();

  ServerOptions options_;
  User user_;
  std::string programs_, folder_, password_;
  pid_t owner_ = 0, pid_ = 0;
  int port_ = 0, watcher_ = -1;
  int databases_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable said_;
  std::string log_;
  bool silent_ = true;  ///< all that wrote the log have ended
  std::unique_ptr<std::thread> reader_;
};

class Database {
 public:
  Database(Server& server, Address address) : server_(&server), address_(std::move(address)) {}
  ~Database();
  Database(Database&& other) noexcept
      : server_(std::exchange(other.server_, nullptr)), address_(std::move(other.address_)) {}
  Database& operator=(Database&&) = delete;

  /// As its owner, by TCP.
  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] std::string conninfo() const { return address_.conninfo(); }
  /// As the superuser.
  [[nodiscard]] Address admin() const;

 private:
  Server* server_;
  Address address_;
};

}  // namespace postgres_test
