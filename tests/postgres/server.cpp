#include "postgres/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "bureau/core/random.hpp"
#include "postgres/client.hpp"

namespace postgres_test {

namespace {

namespace fs = std::filesystem;

/// A server that says nothing for so long is broken: a test that hangs tells nobody why.
constexpr std::chrono::seconds patience{120};

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error("PostgreSQL: " + what);
}
[[noreturn]] void give_up_system(const std::string& what) {
  give_up(what + ": " + std::strerror(errno));
}

std::string quote(std::string_view value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

bool has_programs(const fs::path& folder) {
  return ::access((folder / "initdb").c_str(), X_OK) == 0 &&
         ::access((folder / "postgres").c_str(), X_OK) == 0;
}

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A port that nobody listens on, below those that the system gives to connections going out: one
/// of those could take it while the server is stopped, or, connecting to it, reach itself.
int free_port() {
  for (int tries = 0; tries < 1000; ++tries) {
    const int port = 15'000 + static_cast<int>(bureau::Random::system().below(15'000));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) give_up_system("socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (free) return port;
  }
  give_up("no free port");
}

/// The processes that this one has started and not yet waited for.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    // "PID (name) state parent ...", where the name may hold anything.
    const std::string stat = file_text(entry.path() / "stat");
    const auto end = stat.rfind(')');
    if (end == std::string::npos || stat.size() < end + 4) continue;
    if (std::atoi(stat.c_str() + end + 4) == parent) children.push_back(std::stoi(name));
  }
  return children;
}

/// Waits until the program is gone, which leaves the socket without another end; it has written the
/// process ids of the servers it started, each on a line. A shell, because a process that was
/// forked off a program with threads may do next to nothing itself. It is no child of the program,
/// nor in its session: whoever kills these with all that belongs to them does not kill it.
constexpr char watch[] = R"((
  while read -r pid <&3; do last=$pid; done
  if [ -n "$last" ] && grep -qF "$0/data" "/proc/$last/cmdline"; then
    kill -QUIT "$last"
    while grep -qF "$0/data" "/proc/$last/cmdline"; do sleep 0.05; done
  fi
  set -- $(sed -n 7p "$0/data/postmaster.pid")
  [ -z "$2" ] || ipcrm -m "$2"
  rm -rf "$0"
) </dev/null >/dev/null 2>&1 &)";

}  // namespace

std::string Address::conninfo() const {
  return "host=" + quote(host) + " port=" + std::to_string(port) + " dbname=" + quote(database) +
         " user=" + quote(user) + " password=" + quote(password) +
         " sslmode=disable gssencmode=disable" + (more.empty() ? "" : " " + more);
}

std::optional<std::string> Server::programs() {
  if (const char* named = std::getenv("BUREAU_POSTGRES_BIN")) {
    return has_programs(named) ? std::optional<std::string>(named) : std::nullopt;
  }
  std::optional<std::string> newest;
  int newest_version = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", none)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version > newest_version && has_programs(entry.path() / "bin")) {
      newest = entry.path() / "bin";
      newest_version = version;
    }
  }
  if (newest) return newest;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty() && has_programs(folder)) return folder;
  }
  return std::nullopt;
}

bool Server::can_follow() {
  const auto found = programs();
  return found && ::access((fs::path(*found) / "pg_basebackup").c_str(), X_OK) == 0;
}

Server& Server::shared() {
  static Server server;
  return server;
}

Server::User Server::unprivileged() {
  if (::geteuid() != 0) return {::geteuid(), ::getegid(), false};
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* found = ::getpwnam(name)) return {found->pw_uid, found->pw_gid, true};
  }
  give_up("neither postgres nor nobody is a user, and root may not run a server");
}

Server::Server(ServerOptions options) : options_(std::move(options)), owner_(::getpid()) {
  if (!programs()) give_up("initdb and postgres were not found");
  programs_ = *programs();
  user_ = unprivileged();
  for (int i = 0; i < 4; ++i) password_ += std::to_string(bureau::Random::system().next());
  folder_ = (fs::temp_directory_path() / "bureau-postgres-XXXXXX").string();
  if (::mkdtemp(folder_.data()) == nullptr) give_up_system(folder_);
  try {
    run_watcher();
    if (::chown(folder_.c_str(), user_.uid, user_.gid) != 0) give_up_system(folder_);
    if (options_.primary == nullptr) {
      run_initdb();
    } else {
      copy_primary();
    }
    // Between finding a port and taking it somebody else may take it.
    for (int tries = 0; port_ == 0; ++tries) {
      port_ = free_port();
      if (try_start()) break;
      if (tries == 20 || log_.find("could not bind") == std::string::npos) {
        give_up("the server does not start:\n" + log_);
      }
      port_ = 0;
    }
    if (options_.primary == nullptr) make_role();
  } catch (...) {
    clean_up();
    throw;
  }
}

Server::~Server() {
  if (::getpid() == owner_) {
    clean_up();
  } else {
    static_cast<void>(reader_.release());  // a forked child has no such thread
  }
}

void Server::clean_up() {
  if (running()) stop(Stop::immediate);
  remove_shared_memory();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
  if (watcher_ >= 0) ::close(watcher_);
}

/// What a killed server leaves in the kernel; one that stops removes it, with the file.
void Server::remove_shared_memory() const {
  std::ifstream file(folder_ + "/data/postmaster.pid");
  std::string line;
  for (int i = 0; i < 7; ++i) std::getline(file, line);
  unsigned long key = 0;
  int id = -1;
  if (std::istringstream(line) >> key >> id && id >= 0) ::shmctl(id, IPC_RMID, nullptr);
}

/// Starts a program as the server's user, in a session of its own, all it says going to `output`.
pid_t Server::spawn(const std::vector<std::string>& command, int output) const {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  // Nothing of the caller's PG... variables, and messages in English.
  std::string path = "PATH=/usr/bin:/bin", language = "LC_ALL=C";
  char* environment[] = {path.data(), language.data(), nullptr};
  const pid_t pid = ::fork();
  if (pid < 0) give_up_system("fork");
  if (pid > 0) return pid;
  // From here on only what a child of a program with threads may call.
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (::setsid() < 0 || ::dup2(nothing, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) {
    ::_exit(126);
  }
  ::close(nothing);
  if (user_.change &&
      (::setgroups(0, nullptr) != 0 || ::setgid(user_.gid) != 0 || ::setuid(user_.uid) != 0)) {
    ::_exit(126);
  }
  if (::chdir("/") != 0) ::_exit(126);
  ::execve(arguments[0], arguments.data(), environment);
  ::_exit(127);
}

void Server::run_watcher() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) give_up_system("socketpair");
  watcher_ = ends[1];
  const pid_t pid = ::fork();
  if (pid < 0) give_up_system("fork");
  if (pid == 0) {
    ::setsid();
    if (ends[0] == 3) {
      ::fcntl(3, F_SETFD, 0);
    } else {
      ::dup2(ends[0], 3);
    }
    ::execl("/bin/sh", "sh", "-c", watch, folder_.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[0]);
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid || status != 0) give_up("no watcher: /bin/sh failed");
}

void Server::run_to_its_end(const std::vector<std::string>& command) const {
  const std::string said = folder_ + "/first.log";
  const int output = ::open(said.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (output < 0) give_up_system(said);
  const pid_t pid = spawn(command, output);
  ::close(output);
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid || status != 0) {
    give_up(command[0] + ":\n" + file_text(said));
  }
}

void Server::run_initdb() {
  const std::string password_file = folder_ + "/password";
  std::ofstream(password_file) << password_ << '\n';
  if (::chmod(password_file.c_str(), 0600) != 0 ||
      ::chown(password_file.c_str(), user_.uid, user_.gid) != 0) {
    give_up_system(password_file);
  }
  run_to_its_end({programs_ + "/initdb", "--pgdata=" + folder_ + "/data", "--username=postgres",
                  "--pwfile=" + password_file, "--auth=scram-sha-256", "--encoding=UTF8",
                  "--locale=C", "--no-sync"});
  if (options_.network.empty()) return;
  std::ofstream(folder_ + "/data/pg_hba.conf", std::ios::app)
      << "host all,replication all " << options_.network << " scram-sha-256\n";
}

void Server::copy_primary() {
  password_ = options_.primary->password_;
  run_to_its_end({programs_ + "/pg_basebackup", "--pgdata=" + folder_ + "/data", "--dbname",
                  options_.primary->admin().conninfo(), "--write-recovery-conf",
                  "--checkpoint=fast", "--no-sync"});
}

void Server::promote() { Client(admin()).ask("SELECT pg_promote()"); }

void Server::wait_for_standby() {
  Client client(admin());
  client.ask("ALTER SYSTEM SET synchronous_standby_names='*'");
  client.ask("SELECT pg_reload_conf()");
  for (int i = 0; client.ask("SELECT sync_state FROM pg_stat_replication") != "sync"; ++i) {
    if (i == 1200) give_up("no standby follows:\n" + log());
    client.ask("SELECT pg_sleep(0.1)");
  }
}

bool Server::try_start() {
  std::vector<std::string> command = {programs_ + "/postgres", "-D", folder_ + "/data"};
  std::vector<std::string> settings = {
      "listen_addresses=127.0.0.1" + (options_.address.empty() ? "" : "," + options_.address),
      "port=" + std::to_string(port_),
      "unix_socket_directories=" + folder_,
      "password_encryption=scram-sha-256",
      "log_destination=stderr",
      "logging_collector=off",
      // What a client could take for granted, as it is not by default.
      "timezone=Australia/Lord_Howe",
      "datestyle=German",
      "bytea_output=escape",
      "intervalstyle=sql_standard",
      "extra_float_digits=0",
      // Small and quick to begin with.
      "shared_buffers=32MB",
      "max_connections=200",
      "wal_retrieve_retry_interval=100ms",
  };
  if (!options_.fsync) settings.insert(settings.end(), {"fsync=off", "full_page_writes=off"});
  settings.insert(settings.end(), options_.settings.begin(), options_.settings.end());
  for (const std::string& setting : settings) {
    command.insert(command.end(), {"-c", setting});
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) give_up_system("pipe");
  const std::size_t before = log().size();
  silent_ = false;
  pid_ = spawn(command, ends[1]);
  ::close(ends[1]);
  const std::string line = std::to_string(pid_) + "\n";
  if (::send(watcher_, line.data(), line.size(), MSG_NOSIGNAL) < 0) give_up_system("the watcher");
  reader_ = std::make_unique<std::thread>([this, fd = ends[0]] { read_log(fd); });
  constexpr std::string_view ready =
      "database system is ready to accept ";  // "connections", "read-only ..."
  std::unique_lock lock(mutex_);
  const bool told = said_.wait_for(
      lock, patience, [&] { return silent_ || log_.find(ready, before) != std::string::npos; });
  if (told && log_.find(ready, before) != std::string::npos) return true;
  lock.unlock();
  ::kill(pid_, SIGQUIT);
  wait_for_end();
  return false;
}

void Server::start() {
  if (running()) return;
  if (!try_start()) give_up("the server does not start again:\n" + log());
}

/// Ends when nobody can write any more: when the last process of the server is gone.
void Server::read_log(int fd) {
  char text[4096];
  for (;;) {
    const ssize_t got = ::read(fd, text, sizeof text);
    if (got < 0 && errno == EINTR) continue;
    const std::lock_guard lock(mutex_);
    if (got <= 0) break;
    log_.append(text, static_cast<std::size_t>(got));
    said_.notify_all();
  }
  ::close(fd);
  const std::lock_guard lock(mutex_);
  silent_ = true;
  said_.notify_all();
}

void Server::wait_for_end() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  reader_->join();
  reader_.reset();
  pid_ = 0;
}

void Server::stop(Stop how) {
  if (!running()) return;
  ::kill(pid_, how == Stop::fast ? SIGINT : SIGQUIT);
  wait_for_end();
}

void Server::crash() {
  if (!running()) return;
  // Stopped, it starts no others and does not take note of those that end.
  ::kill(pid_, SIGSTOP);
  for (const pid_t child : children_of(pid_)) ::kill(child, SIGKILL);
  ::kill(pid_, SIGKILL);
  wait_for_end();
}

std::string Server::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

std::string Server::sessions() const {
  Client client(admin());
  if (!client.connected()) return client.error();
  return client.ask(
      "SELECT string_agg(concat_ws(' ', pid, client_addr, state, wait_event_type, wait_event, "
      "now() - xact_start, 'behind ' || pg_blocking_pids(pid)::text, left(query, 200)), E'\\n') "
      "FROM pg_stat_activity WHERE backend_type = 'client backend'");
}

std::size_t Server::wait_for_log(std::string_view text, std::size_t from) {
  std::unique_lock lock(mutex_);
  std::size_t at = std::string::npos;
  said_.wait_for(lock, patience, [&] {
    at = log_.find(text, from);
    return at != std::string::npos || silent_;
  });
  if (at == std::string::npos) {
    give_up("it never said '" + std::string(text) + "':\n" + log_.substr(from));
  }
  return at + text.size();
}

Address Server::admin() const {
  const std::string host = options_.address.empty() ? "127.0.0.1" : options_.address;
  return {host, port_, "postgres", "postgres", password_, {}};
}

Address Server::admin_by_socket() const {
  Address address = admin();
  address.host = folder_;
  return address;
}

/// The owner of the tests' databases.
void Server::make_role() {
  Client client(admin());
  if (!client.connected()) give_up(client.error());
  client.ask("CREATE ROLE tester LOGIN PASSWORD '" + password_ + "'");
}

Database Server::create_database(const std::string& more) {
  Client client(admin());
  if (!client.connected()) give_up(client.error());
  const std::string name = "test" + std::to_string(++databases_);
  std::string options = more;
  if (options.empty() && PQserverVersion(client.get()) >= 150'000 &&
      client.ask("SELECT 1 FROM pg_collation WHERE collprovider='i' LIMIT 1") == "1") {
    options = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE'";
  }
  client.ask("CREATE DATABASE " + name + " OWNER tester " + options);
  Address address = admin();
  address.database = name;
  address.user = "tester";
  return {*this, std::move(address)};
}

Database::~Database() {
  if (server_ == nullptr || !server_->running()) return;
  const Client client(server_->admin());
  PQclear(PQexec(client.get(),
                 ("DROP DATABASE IF EXISTS " + address_.database + " WITH (FORCE)").c_str()));
}

Address Database::admin() const {
  Address address = server_->admin();
  address.database = address_.database;
  return address;
}

}  // namespace postgres_test
