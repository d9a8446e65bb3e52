// What goes wrong between an office and its server: clear errors, nothing lost, nothing twice.

#include "postgres/faults.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "bureau/store/interruption.hpp"
#include "counts.hpp"

namespace {

using namespace postgres_test;
using bureau::Code;
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

/// Ends every session of the tests' role, as an administrator does.
std::string terminate_all(Server& server) {
  return Client(server.admin())
      .ask(
          "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
          "WHERE usename='tester'");
}

/// Asks the server something.
Result<void> find_any(bureau::Reader& reader) {
  BUREAU_TRY_VOID(reader.find(bureau::table_of<sample::Crew>(), 1,
                              [](std::span<const bureau::Value>) -> Result<bool> { return true; }));
  return {};
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
  const auto read = office->read(in(milliseconds(200)), find_any);
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

TEST_CASE("When every connection is taken, others wait until their deadline or an interruption") {
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
            BUREAU_TRY_VOID(find_any(reader));
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
  const auto read = office->read(in(milliseconds(100)), find_any);
  CHECK(code_of(read) == "deadline");
  CHECK(code_of(fixture::add_crew(*office, 1, "ada", until(milliseconds(100)))) == "deadline");
  {
    int asked = 0;
    const auto at_the_third = [&] { return ++asked == 3; };
    const bureau::Interruption interruption(at_the_third);
    CHECK(code_of(office->read(in(std::chrono::minutes(1)), find_any)) == "deadline");
    CHECK(asked == 3);
  }
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
