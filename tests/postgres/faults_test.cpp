// What goes wrong between an office and its server: clear errors, nothing lost, nothing twice.

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "basics.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "counts.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "postgres/proxy.hpp"
#include "store/promises.hpp"

namespace {

using namespace postgres_test;
using bureau::Code;
using bureau::Error;
using bureau::Result;
using bureau::Storage;
using bureau::WriteOptions;
using fixture::code_of;
using std::chrono::milliseconds;
using std::chrono::seconds;

bureau::Monotonic in(bureau::Duration time) { return bureau::Clock::system().monotonic() + time; }
WriteOptions until(bureau::Duration time) {
  WriteOptions options;
  options.deadline = in(time);
  return options;
}

/// Keeps all that was logged: no password may be among it.
class Log {
 public:
  bureau::LogSink sink() {
    return [this](const bureau::LogRecord& record) {
      const std::lock_guard lock(mutex_);
      text_ += record.message;
      for (const bureau::LogField& field : record.fields) {
        text_ += ' ';
        if (const auto* value = std::get_if<std::string_view>(&field.value)) text_ += *value;
      }
      text_ += '\n';
    };
  }
  [[nodiscard]] bool has(std::string_view what) const {
    const std::lock_guard lock(mutex_);
    return text_.find(what) != std::string::npos;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

bureau::PostgresOptions options_for(const Address& address, Log* log = nullptr) {
  bureau::PostgresOptions options;
  options.connection = address.conninfo();
  if (log != nullptr) options.log = log->sink();
  return options;
}

std::shared_ptr<Storage> open(const bureau::PostgresOptions& options) {
  auto storage = must(bureau::open_postgres(options));
  must(storage->migrate(fixture::catalog()));
  return storage;
}
std::shared_ptr<Storage> open(const Address& address) { return open(options_for(address)); }

/// What open answers; the error of migrate where that is the first to find it.
Error refusal(const bureau::PostgresOptions& options) {
  auto storage = bureau::open_postgres(options);
  if (!storage) return storage.error();
  const auto migrated = (*storage)->migrate(fixture::catalog());
  if (!migrated) return migrated.error();
  FAIL("it was opened");
  return {};
}

bool says(const Error& error, std::string_view what) {
  return error.message.find(what) != std::string::npos;
}

Address through(const Proxy& proxy, const Address& address) {
  Address other = address;
  other.port = proxy.port();
  return other;
}

/// Ends every session of the tests' role, as an administrator does.
std::string terminate_all(Server& server) {
  return Client(server.admin())
      .ask(
          "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
          "WHERE usename='tester'");
}

/// A pair of crews, so that half of a write shows.
Result<void> add_pair(bureau::Writer& writer, std::int64_t id) {
  for (const std::int64_t half : {id * 2, id * 2 + 1}) {
    BUREAU_TRY_VOID(fixture::add_crew(writer, half, "crew " + std::to_string(half)));
  }
  return {};
}
Result<void> write_pair(Storage& storage, std::int64_t id, WriteOptions options = {}) {
  return storage.write(options, [&](bureau::Writer& writer) { return add_pair(writer, id); });
}

/// Threads that write pairs until they are told to end, and know what they were promised.
class Writers {
 public:
  Writers(Storage& storage, int threads) : storage_(storage) {
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([this] {
        while (!over_) {
          const std::int64_t id = ++next_;
          promises_.start(id);
          const auto result = write_pair(storage_, id, until(seconds(20)));
          promises_.answered(id, result);
          const std::lock_guard lock(mutex_);
          if (result) ++made_;
          if (!result) ++refused_[result.error().code];
          answered_.notify_all();
        }
      });
    }
  }
  ~Writers() { end(); }
  /// Until so many more were acknowledged; false when that takes a minute.
  [[nodiscard]] bool wait_for(int more) {
    std::unique_lock lock(mutex_);
    const int enough = made_ + more;
    return answered_.wait_for(lock, std::chrono::minutes(1), [&] { return made_ >= enough; });
  }
  void end() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  [[nodiscard]] fixture::Promises& promises() { return promises_; }
  [[nodiscard]] std::map<Code, int> refused() const { return refused_; }

 private:
  Storage& storage_;
  std::atomic<bool> over_{false};
  std::atomic<std::int64_t> next_{0};
  fixture::Promises promises_;
  std::mutex mutex_;
  std::condition_variable answered_;
  int made_ = 0;
  std::map<Code, int> refused_;
  std::vector<std::thread> threads_;
};

}  // namespace

// Opening
// ------------------------------------------------------------------------------------------

TEST_CASE("G14_A wrong password is refused, and neither it nor the right one is told") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Log log;
  Address address = database.address();
  address.password = "open-sesame";
  const Error error = refusal(options_for(address, &log));
  CHECK(error.code == Code::unavailable);
  CHECK_MESSAGE(says(error, "password"), error.message);
  CHECK_MESSAGE(says(error, "tester"), error.message);
  CHECK_MESSAGE(says(error, std::to_string(address.port)), error.message);
  for (const std::string& secret : {address.password, database.address().password}) {
    CHECK_FALSE(says(error, secret));
    CHECK_FALSE(log.has(secret));
  }
}

TEST_CASE("G14_Where there is no server, the error says where it was sought") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Address address = database.address();
  SUBCASE("an unknown host") {
    address.host = "no-such-host.invalid";
    const Error error = refusal(options_for(address));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, address.host), error.message);
  }
  SUBCASE("nobody listens") {
    Proxy proxy(address.port);
    proxy.refuse(true);
    const Error error = refusal(options_for(through(proxy, address)));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, std::to_string(proxy.port())), error.message);
  }
  SUBCASE("somebody listens who never answers") {
    Proxy proxy(address.port);
    proxy.stall();
    bureau::PostgresOptions options = options_for(through(proxy, address));
    options.connect_timeout = milliseconds(200);
    const Error error = refusal(options);
    CHECK((error.code == Code::unavailable || error.code == Code::deadline));
    CHECK_MESSAGE(says(error, std::to_string(proxy.port())), error.message);
  }
  SUBCASE("no such database") {
    address.database = "nowhere";
    const Error error = refusal(options_for(address));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, "nowhere"), error.message);
  }
  SUBCASE("too many connections") {
    Client admin(server.admin());
    admin.ask("ALTER ROLE tester CONNECTION LIMIT 0");
    const Error error = refusal(options_for(address));
    admin.ask("ALTER ROLE tester CONNECTION LIMIT -1");
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, "connections"), error.message);
  }
}

TEST_CASE("G14_Options that break a rule are named, before a server is asked") {
  bureau::PostgresOptions options;
  options.connection = "host=127.0.0.1 port=1";
  const auto refused = [&](const std::string& field) {
    const Error error = refusal(options);
    CHECK(error.code == Code::invalid);
    CHECK(error.field == field);
    CHECK_FALSE(error.message.empty());
  };
  SUBCASE("a connection string that is none") {
    options.connection = "host='never closed password=hush";
    refused("connection");
    CHECK_FALSE(says(refusal(options), "hush"));
  }
  SUBCASE("an unknown setting in it") {
    options.connection = "host=127.0.0.1 colour=blue";
    refused("connection");
  }
  for (const char* schema :
       {"", "Bureau", "1st", "a-b", "a\"b", "a b", "pg_x",
        "an_identifier_that_is_longer_than_sixty_three_bytes_is_cut_by_the_server"}) {
    options.schema = schema;
    CAPTURE(schema);
    refused("schema");
  }
  options.schema = "bureau";
  options.connections = 1;
  refused("connections");
}

TEST_CASE("G14_A server that is too old is refused by its version") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy proxy(server.admin().port);
  const std::string name = "server_version" + std::string(1, '\0');
  proxy.replace(name + Client(server.admin()).ask("SHOW server_version").substr(0, 2), name + "12");
  const Error error = refusal(options_for(through(proxy, database.address())));
  CHECK(error.code == Code::invalid);
  CHECK_FALSE(error.field.empty());
  CHECK_MESSAGE(says(error, "12"), error.message);
  CHECK_MESSAGE(says(error, "13"), error.message);
}

TEST_CASE("G14_A database whose encoding is not UTF-8 is refused and left as it is") {
  BUREAU_NEED_POSTGRES(server);
  for (const std::string encoding : {"SQL_ASCII", "LATIN1"}) {
    CAPTURE(encoding);
    const Database database = server.create_database(
        "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING '" + encoding + "'");
    const Error error = refusal(options_for(database.address()));
    CHECK(error.code == Code::invalid);
    CHECK_FALSE(error.field.empty());
    CHECK_MESSAGE(says(error, encoding), error.message);
    CHECK(Client(database.admin())
              .ask("SELECT count(*) FROM pg_namespace WHERE "
                   "nspname='bureau'") == "0");
  }
}

TEST_CASE("G14_A missing right is said") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Client admin(database.admin());
  admin.ask("DROP ROLE IF EXISTS stranger");
  admin.ask("CREATE ROLE stranger LOGIN PASSWORD 'a stranger'");
  Address address = database.address();
  address.user = "stranger";
  address.password = "a stranger";
  const auto refused = [&](const char* where) {
    CAPTURE(where);
    const Error error = refusal(options_for(address));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, "permission"), error.message);
    CHECK_MESSAGE(says(error, "bureau"), error.message);
  };
  admin.ask("REVOKE CREATE ON DATABASE " + address.database + " FROM PUBLIC");
  SUBCASE("to make the schema") {
    const Error error = refusal(options_for(address));
    CHECK(error.code == Code::unavailable);
    CHECK_MESSAGE(says(error, "permission"), error.message);
    CHECK(admin.ask("SELECT count(*) FROM pg_namespace WHERE nspname='bureau'") == "0");
  }
  SUBCASE("to use an office that is there") {
    const auto office = open(database.address());
    refused("the schema");
    admin.ask("GRANT USAGE ON SCHEMA bureau TO stranger");
    refused("its tables");
  }
  SUBCASE("to write, taken while the office is open") {
    const auto office = open(database.address());
    admin.ask("REVOKE INSERT ON bureau.exercise_crews FROM tester");
    const auto written = fixture::add_crew(*office, 1, "ada");
    CHECK(code_of(written) == "unavailable");
    if (!written) CHECK_MESSAGE(says(written.error(), "exercise_crews"), written.error().message);
    admin.ask("GRANT INSERT ON bureau.exercise_crews TO tester");
    CHECK(code_of(fixture::add_crew(*office, 2, "bob")) == "success");
    CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{2});
  }
  admin.ask("DROP OWNED BY stranger");
  admin.ask("DROP ROLE stranger");
}

TEST_CASE("G14_A schema that something else made is refused, and nothing in it is touched") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Client client(database.address());
  client.ask(
      "CREATE SCHEMA bureau; CREATE TABLE bureau.stuff(a text); "
      "INSERT INTO bureau.stuff VALUES('ours')");
  const Error error = refusal(options_for(database.address()));
  CHECK(error.code == Code::corrupt);
  CHECK_MESSAGE(says(error, "bureau"), error.message);
  CHECK(client.ask("SELECT string_agg(relname, ',') FROM pg_class WHERE "
                   "relnamespace='bureau'::regnamespace") == "stuff");
  CHECK(client.ask("SELECT a FROM bureau.stuff") == "ours");
  // Beside it there is room.
  bureau::PostgresOptions options = options_for(database.address());
  options.schema = "office";
  const auto office = open(options);
  CHECK(code_of(fixture::add_crew(*office, 1, "ada")) == "success");
}

TEST_CASE("Two schemas of a database are two offices") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  bureau::PostgresOptions options = options_for(database.address());
  const auto one = open(options);
  options.schema = "other";
  const auto other = open(options);
  must(fixture::add_crew(*one, 1, "ada"));
  CHECK(fixture::crew_ids(*other).empty());
  CHECK(must(one->hold_node(3)));
  CHECK(must(other->hold_node(3)));
}

TEST_CASE("G14_Somebody changed a table by hand: the error names it, and it is no success") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  auto office = open(database.address());
  must(fixture::add_crew(*office, 1, "ada"));
  Client client(database.address());
  client.ask("ALTER TABLE bureau.exercise_crews DROP COLUMN code");
  const auto written = fixture::add_crew(*office, 2, "bob");
  REQUIRE_FALSE(written);
  CHECK_MESSAGE(says(written.error(), "code"), written.error().message);
  office.reset();
  CHECK(client.ask("SELECT count(*) FROM bureau.exercise_crews") == "1");
}

// While it is used
// ---------------------------------------------------------------------------------

TEST_CASE("An administrator who ends the sessions is no failure") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  for (std::int64_t i = 1; i <= 5; ++i) {
    CHECK(code_of(fixture::add_crew(*office, i, "crew " + std::to_string(i))) == "success");
    CHECK(terminate_all(server) != "0");
    CHECK(fixture::has_crew(*office, i));
    terminate_all(server);
  }
}

TEST_CASE("G2_A session ended inside a write leaves the whole of it or nothing") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  fixture::Promises promises;
  for (std::int64_t id = 1; id <= 3; ++id) {
    promises.start(id);
    bool ended = false;
    promises.answered(
        id, office->write(until(seconds(20)), [&](bureau::Writer& writer) -> Result<void> {
          BUREAU_TRY_VOID(fixture::add_crew(writer, id * 2, "crew " + std::to_string(id * 2)));
          if (!ended) terminate_all(server);
          ended = true;
          return fixture::add_crew(writer, id * 2 + 1, "crew " + std::to_string(id * 2 + 1));
        }));
  }
  promises.check(*office);
  CHECK(code_of(write_pair(*office, 9)) == "success");
}

TEST_CASE("G1_G2_What writers were promised is so, whatever becomes of the server") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  Writers writers(*office, 4);
  const int rounds = counts::cases(2, 20);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    REQUIRE(writers.wait_for(20));
    server.stop(Server::Stop::immediate);
    server.start();
    REQUIRE(writers.wait_for(20));
    server.crash();
    server.start();
    REQUIRE(writers.wait_for(20));
    server.stop(Server::Stop::fast);
    server.start();
    REQUIRE(writers.wait_for(20));
    terminate_all(server);
  }
  writers.end();
  writers.promises().check(*office);
  CHECK(writers.promises().kept() >= rounds * 80);
  for (const auto& [refused, times] : writers.refused()) {
    const std::string code(bureau::to_string(refused));
    CAPTURE(code);
    CHECK((refused == Code::unavailable || refused == Code::unknown_outcome ||
           refused == Code::deadline));
  }
}

TEST_CASE("G1_G2_A network that is cut again and again") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy proxy(server.admin().port);
  const auto office = open(through(proxy, database.address()));
  Writers writers(*office, 4);
  for (int round = counts::cases(20, 500); round > 0; --round) {
    REQUIRE(writers.wait_for(5));
    proxy.cut();
  }
  writers.end();
  writers.promises().check(*office);
}

TEST_CASE("G2_A connection cut at COMMIT: its outcome is looked up") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy proxy(server.admin().port);
  const auto office = open(through(proxy, database.address()));
  fixture::Promises promises;
  const auto cut = [&](Proxy::From side, Proxy::Cut when, bool for_good) {
    static std::int64_t id = 0;
    promises.start(++id);
    proxy.cut_at(side, "COMMIT", when, for_good);
    const auto result = write_pair(*office, id, until(seconds(for_good ? 2 : 30)));
    CHECK(proxy.wait_until_cut());
    promises.answered(id, result);
    proxy.refuse(false);
    return code_of(result);
  };
  // The server never saw it: made again, or refused, but known.
  const std::string before = cut(Proxy::From::client, Proxy::Cut::before, false);
  CHECK((before == "success" || before == "unavailable"));
  // It did commit, and is asked.
  CHECK(cut(Proxy::From::client, Proxy::Cut::after, false) == "success");
  CHECK(cut(Proxy::From::server, Proxy::Cut::before, false) == "success");
  // It cannot be asked.
  CHECK(cut(Proxy::From::server, Proxy::Cut::before, true) == "unknown_outcome");
  CHECK(cut(Proxy::From::client, Proxy::Cut::before, true) == "unknown_outcome");
  promises.check(*office);
  CHECK(code_of(write_pair(*office, 100)) == "success");
}

TEST_CASE("A network that stops: calls end at their deadline, and nothing is made twice") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy proxy(server.admin().port);
  const auto office = open(through(proxy, database.address()));
  must(write_pair(*office, 1));
  fixture::Promises promises;
  proxy.stall();
  const auto read = office->read(in(milliseconds(200)), [](bureau::Reader& reader) -> Result<void> {
    BUREAU_TRY_VOID(
        reader.find(bureau::table_of<sample::Crew>(), 2,
                    [](std::span<const bureau::Value>) -> Result<bool> { return true; }));
    return {};
  });
  CHECK(code_of(read) == "deadline");
  promises.start(2);
  const auto written = write_pair(*office, 2, until(milliseconds(200)));
  CHECK((code_of(written) == "deadline" || code_of(written) == "unknown_outcome"));
  promises.answered(2, written);
  proxy.resume();
  CHECK(fixture::has_crew(*office, 2));
  must(write_pair(*office, 3));
  promises.check(*office);
}

TEST_CASE("A statement that still runs at the deadline is ended on the server too") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  must(fixture::add_crew(*office, 1, "ada"));
  Client holder(database.address());
  holder.ask("BEGIN");
  holder.ask("LOCK TABLE bureau.exercise_crews IN ACCESS EXCLUSIVE MODE");
  CHECK(code_of(fixture::add_crew(*office, 2, "bob", until(milliseconds(100)))) == "deadline");
  Client admin(server.admin());
  // Nobody waits for the lock any more, or never did.
  while (admin.ask("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0") {
  }
  holder.ask("ROLLBACK");
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1});
}

TEST_CASE("When every connection is taken, others wait until their deadline") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  bureau::PostgresOptions options = options_for(database.address());
  options.connections = 3;
  const auto office = open(options);
  std::mutex mutex;
  std::condition_variable changed;
  int inside = 0;
  bool over = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < options.connections; ++t) {
    threads.emplace_back([&] {
      const auto done =
          office->read(bureau::Monotonic::never(), [&](bureau::Reader& reader) -> Result<void> {
            BUREAU_TRY_VOID(
                reader.find(bureau::table_of<sample::Crew>(), 1,
                            [](std::span<const bureau::Value>) -> Result<bool> { return true; }));
            std::unique_lock lock(mutex);
            ++inside;
            changed.notify_all();
            changed.wait(lock, [&] { return over; });
            return {};
          });
      CHECK_MESSAGE(done, (done ? std::string() : done.error().message));
    });
  }
  {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::minutes(1), [&] { return inside == 3; }));
  }
  const auto read = office->read(in(milliseconds(100)), [](bureau::Reader& reader) -> Result<void> {
    BUREAU_TRY_VOID(
        reader.find(bureau::table_of<sample::Crew>(), 1,
                    [](std::span<const bureau::Value>) -> Result<bool> { return true; }));
    return {};
  });
  CHECK(code_of(read) == "deadline");
  CHECK(code_of(fixture::add_crew(*office, 1, "ada", until(milliseconds(100)))) == "deadline");
  {
    const std::lock_guard lock(mutex);
    over = true;
  }
  changed.notify_all();
  for (std::thread& thread : threads) thread.join();
  CHECK(code_of(fixture::add_crew(*office, 2, "bob")) == "success");
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{2});
}

TEST_CASE("While the server is away calls are refused, and made when it is back") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  must(fixture::add_crew(*office, 1, "ada"));
  server.stop(Server::Stop::immediate);
  const std::string code = code_of(fixture::add_crew(*office, 2, "bob", until(milliseconds(300))));
  CHECK((code == "unavailable" || code == "deadline"));
  server.start();
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1});
  CHECK(code_of(fixture::add_crew(*office, 2, "bob")) == "success");
}

TEST_CASE("Another process's commit is told of again after the server was away") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address()), other = open(database.address());
  const int fd = office->wake_fd();
  REQUIRE(fd >= 0);
  const auto told = [&] {
    // Until the descriptor says so or the storage asks to be called: as an engine does.
    for (int turn = 0; turn < 600; ++turn) {
      static_cast<void>(office->maintain());
      pollfd waited{fd, POLLIN, 0};
      if (::poll(&waited, 1, 100) == 1 && office->drain_wake()) return true;
    }
    return false;
  };
  must(fixture::add_crew(*other, 1, "ada"));
  CHECK(told());
  server.crash();
  server.start();
  static_cast<void>(office->maintain());
  while (!fixture::add_crew(*other, 2, "bob")) {
  }
  CHECK(told());
  CHECK(office->wake_fd() == fd);
}

TEST_CASE("A place that was held is held again after the server was away") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address()), other = open(database.address());
  REQUIRE(must(office->hold_node(5)));
  CHECK_FALSE(must(other->hold_node(5)));
  CHECK(must(other->node_is_alive(5)));
  server.crash();
  server.start();
  // Its holder comes back as soon as it does anything; then nobody else can have it.
  while (!fixture::add_crew(*office, 1, "ada")) {
  }
  static_cast<void>(office->maintain());
  while (!fixture::add_crew(*other, 2, "bob")) {
  }
  CHECK_FALSE(must(other->hold_node(5)));
  CHECK(must(other->node_is_alive(5)));
  office->release_node(5);
  CHECK(must(other->hold_node(5)));
}

TEST_CASE("An office does not go through a fork") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  must(fixture::add_crew(*office, 1, "ada"));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto written = fixture::add_crew(*office, 2, "bob", until(seconds(5)));
    ::_exit(!written && written.error().code == Code::invalid && says(written.error(), "fork") ? 0
                                                                                               : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(code_of(fixture::add_crew(*office, 3, "cat")) == "success");
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1, 3});
}

// A disk that is full under one table: what it would grow by goes to a device that has no room.
TEST_CASE("G2_A server whose disk is full: unavailable, nothing of the write is there") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  auto office = open(database.address());
  must(fixture::add_crew(*office, 1, "ada"));
  office.reset();
  const std::string file =
      server.folder() + "/data/" +
      Client(database.address()).ask("SELECT pg_relation_filepath('bureau.exercise_items')");
  server.stop();
  std::filesystem::remove(file);
  std::filesystem::create_symlink("/dev/full", file);
  server.start();
  office = must(bureau::open_postgres(options_for(database.address())));
  sample::Item item;
  item.id = bureau::Id<sample::Item>(7);
  const auto written = office->write({}, [&](bureau::Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(fixture::add_crew(writer, 2, "bob"));
    return fixture::insert(writer, item);
  });
  CHECK(code_of(written) == "unavailable");
  if (!written) CHECK_MESSAGE(says(written.error(), "space"), written.error().message);
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1});
  CHECK(code_of(fixture::add_crew(*office, 3, "cat")) == "success");
}
