// The server and the network that the tests of PostgreSQL run on, by libpq alone.

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "postgres/proxy.hpp"

namespace {

using namespace postgres_test;

/// Whether the connection's socket has something to read within some milliseconds.
bool speaks(const Client& client, int milliseconds) {
  pollfd waited{PQsocket(client.get()), POLLIN, 0};
  return ::poll(&waited, 1, milliseconds) == 1;
}

}  // namespace

TEST_CASE("A test's database is its own, and sorts by a language") {
  BUREAU_NEED_POSTGRES(server);
  const Database first = server.create_database(), second = server.create_database();
  Client one(first.address()), other(second.address());
  REQUIRE_MESSAGE(one.connected(), one.error());
  REQUIRE_MESSAGE(other.connected(), other.error());
  one.ask("CREATE TABLE t(a text)");
  CHECK(other.state_of("SELECT * FROM t") == "42P01");
  CHECK(one.ask("SELECT current_setting('is_superuser')") == "off");
  if (PQserverVersion(one.get()) >= 150'000 &&
      one.ask("SELECT datlocprovider FROM pg_database WHERE datname=current_database()") == "i") {
    CHECK(one.ask("SELECT 'a' < 'B'") == "t");
  }
  CHECK(one.ask("SELECT 'a' COLLATE \"C\" < 'B'") == "f");
}

TEST_CASE("A dropped database takes its connections with it") {
  BUREAU_NEED_POSTGRES(server);
  std::optional<Client> left;
  {
    const Database database = server.create_database();
    left.emplace(database.address());
    REQUIRE(left->connected());
  }
  CHECK_FALSE(left->state_of("SELECT 1").empty());
  CHECK_FALSE(left->connected());
}

TEST_CASE("Passwords are asked for, and compared") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Address address = database.address();
  for (const char* password : {"wrong", ""}) {
    address.password = password;
    const Client client(address);
    CHECK_FALSE(client.connected());
    CHECK(client.error().find("password") != std::string::npos);
  }
  const Client by_socket(server.admin_by_socket());
  CHECK_MESSAGE(by_socket.connected(), by_socket.error());
  Client admin(server.admin());
  CHECK(admin.ask("SELECT count(*) FROM pg_authid WHERE rolcanlogin AND rolpassword NOT LIKE "
                  "'SCRAM-SHA-256$%'") == "0");
  CHECK(server.log().find(database.address().password) == std::string::npos);
}

TEST_CASE("A server that stops or crashes has its data and its port when it starts again") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Client(database.address()).ask("CREATE TABLE t(a int)");
  int rows = 0;
  const auto again = [&](const char* how, auto&& end) {
    CAPTURE(how);
    Client before(database.address());
    before.ask("INSERT INTO t VALUES(1)");
    ++rows;
    before.ask("BEGIN; INSERT INTO t VALUES(2)");
    const pid_t pid = server.pid();
    end();
    CHECK_FALSE(server.running());
    CHECK_FALSE(before.state_of("COMMIT").empty());
    CHECK_FALSE(Client(database.address()).connected());
    server.start();
    CHECK(server.pid() != pid);
    CHECK(Client(database.address()).ask("SELECT count(*) FROM t") == std::to_string(rows));
  };
  again("fast", [&] { server.stop(Server::Stop::fast); });
  again("immediate", [&] { server.stop(Server::Stop::immediate); });
  again("crash", [&] { server.crash(); });
}

TEST_CASE("A crash leaves none of the server's processes, busy ones too") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Client busy(database.address());
  REQUIRE(busy.connected());
  REQUIRE(PQsendQuery(busy.get(), "SELECT count(*) FROM generate_series(1, 100000000000)") == 1);
  PQflush(busy.get());
  Client admin(server.admin());
  while (admin.ask("SELECT count(*) FROM pg_stat_activity WHERE state='active' AND "
                   "query LIKE '%generate_series(1, 1000%' AND pid<>pg_backend_pid()") != "1") {
  }
  const std::string process = "/proc/" + std::to_string(PQbackendPID(busy.get())) + "/cmdline";
  const auto alive = [&] { return std::ifstream(process).peek() != EOF; };
  CHECK(alive());
  server.crash();  // returns when nobody holds its log any more
  CHECK_FALSE(alive());
  server.start();
}

TEST_CASE("Servers differ by their options") {
  BUREAU_NEED_POSTGRES(server);
  const Server durable({.fsync = true, .settings = {"max_connections=20"}});
  CHECK(durable.admin().port != server.admin().port);
  CHECK(Client(durable.admin()).ask("SHOW fsync") == "on");
  CHECK(Client(durable.admin()).ask("SHOW full_page_writes") == "on");
  CHECK(Client(durable.admin()).ask("SHOW max_connections") == "20");
  CHECK(Client(server.admin()).ask("SHOW fsync") == "off");
  CHECK_THROWS_WITH_AS(Server({.settings = {"no_such_setting=1"}}),
                       doctest::Contains("no_such_setting"), std::runtime_error);
}

TEST_CASE("The log is waited for") {
  BUREAU_NEED_POSTGRES(server);
  const std::size_t from = server.log().size();
  Client admin(server.admin());
  CHECK(admin.state_of("SELECT heard_by_nobody") == "42703");
  const std::size_t after = server.wait_for_log("\"heard_by_nobody\" does not exist", from);
  CHECK(after > from);
}

// Run by the next one, as a program of its own that is killed.
TEST_CASE("A server that is left" * doctest::skip()) {
  const Server server;
  const std::string told = server.folder() + "\n";
  REQUIRE(::write(9, told.data(), told.size()) == static_cast<ssize_t>(told.size()));
  for (;;) ::pause();
}

TEST_CASE("A program that is killed leaves no server and no folder") {
  BUREAU_NEED_POSTGRES(server);
  static_cast<void>(server);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    // All that it starts has this descriptor too.
    ::dup2(ends[1], 9);
    ::execl("/proc/self/exe", "left", "--test-case=A server that is left", "--no-skip", nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string folder;
  char byte = 0;
  while (::read(ends[0], &byte, 1) == 1 && byte != '\n') folder += byte;
  REQUIRE(std::filesystem::exists(folder + "/data/postmaster.pid"));
  REQUIRE(::kill(pid, SIGKILL) == 0);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  // Ends when the last of them has ended.
  pollfd waited{ends[0], POLLIN, 0};
  REQUIRE_MESSAGE(::poll(&waited, 1, 60'000) == 1, "the server of ", folder, " was left running");
  ::close(ends[0]);
  CHECK_FALSE(std::filesystem::exists(folder));
}

TEST_CASE("The proxy passes on, counts, and holds back") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy proxy(server.admin().port);
  const Address address = through(proxy, database.address());
  Client client(address);
  REQUIRE_MESSAGE(client.connected(), client.error());
  const auto sent = proxy.bytes(Proxy::From::client), got = proxy.bytes(Proxy::From::server);
  const std::string large(3'000'000, 'x');
  CHECK(client.ask("SELECT length('" + large + "')") == "3000000");
  CHECK(proxy.bytes(Proxy::From::client) - sent > large.size());
  CHECK(client.ask("SELECT repeat('y', 3000000)") == std::string(3'000'000, 'y'));
  CHECK(proxy.bytes(Proxy::From::server) - got > large.size());

  proxy.stall();
  const auto before = proxy.bytes(Proxy::From::client);
  REQUIRE(PQsendQuery(client.get(), "SELECT 7") == 1);
  REQUIRE(PQflush(client.get()) == 0);
  CHECK_FALSE(speaks(client, 50));
  CHECK(proxy.bytes(Proxy::From::client) == before);
  proxy.resume();
  CHECK(speaks(client, 60'000));
  PQclear(PQgetResult(client.get()));
  CHECK(PQgetResult(client.get()) == nullptr);

  proxy.delay(std::chrono::milliseconds(30));
  const auto start = bureau::Clock::system().monotonic();
  CHECK(client.ask("SELECT 8") == "8");
  CHECK(bureau::Clock::system().monotonic() - start >= std::chrono::milliseconds(60));
}

TEST_CASE("The proxy cuts, and refuses") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy proxy(server.admin().port);
  const Address address = through(proxy, database.address());
  Client first(address);
  REQUIRE(first.connected());
  CHECK(proxy.open_connections() == 1);
  proxy.cut();
  CHECK(first.state_of("SELECT 1") == "08006");
  CHECK(proxy.open_connections() == 0);
  proxy.refuse(true);
  CHECK_FALSE(Client(address).connected());
  proxy.refuse(false);
  CHECK(Client(address).ask("SELECT 1") == "1");
  CHECK(proxy.connections() == 2);
}

TEST_CASE("The proxy lies for a server") {
  BUREAU_NEED_POSTGRES(server);
  Proxy proxy(server.admin().port);
  const std::string version = Client(server.admin()).ask("SHOW server_version");
  proxy.replace("server_version" + std::string(1, '\0') + version.substr(0, 2),
                "server_version" + std::string(1, '\0') + "12");
  const Address address = through(proxy, server.admin());
  const Client client(address);
  REQUIRE_MESSAGE(client.connected(), client.error());
  CHECK(PQserverVersion(client.get()) / 10'000 == 12);
}

TEST_CASE("The proxy cuts at a COMMIT, before it or after it") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy proxy(server.admin().port);
  const Address address = through(proxy, database.address());
  Client direct(database.address());
  direct.ask("CREATE TABLE t(a int)");
  const auto commit = [&](Proxy::From side, Proxy::Cut when) {
    Client client(address);
    client.ask("BEGIN");
    client.ask("INSERT INTO t VALUES(1)");
    const int pid = PQbackendPID(client.get());
    proxy.cut_at(side, "COMMIT", when);
    CHECK(client.state_of("COMMIT") == "08006");
    CHECK(proxy.wait_until_cut());
    // What the session did is decided when it is gone.
    while (direct.ask("SELECT count(*) FROM pg_stat_activity WHERE pid=" + std::to_string(pid)) !=
           "0") {
    }
    return direct.ask("SELECT count(*) FROM t");
  };
  CHECK(commit(Proxy::From::client, Proxy::Cut::before) == "0");
  CHECK(commit(Proxy::From::client, Proxy::Cut::after) == "1");
  CHECK(commit(Proxy::From::server, Proxy::Cut::before) == "2");
  CHECK(Client(address).connected());
  {
    Client client(address);
    proxy.cut_at(Proxy::From::server, "SELECT 1", Proxy::Cut::before, true);
    CHECK(client.state_of("SELECT 1") == "08006");
  }
  CHECK_FALSE(Client(address).connected());
}
