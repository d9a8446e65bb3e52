// The file is taken away under an office: by a second copy of SQLite in the same process, by the
// host's own code, by a fork. What was acknowledged is there afterwards, and nothing more is.

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "store/sqlite_fixture.hpp"

using namespace bureau;
using fixture::add_crew;
using fixture::code_of;
using fixture::crew_ids;

namespace {

/// A copy of SQLite with globals of its own, as a plug-in or a Python wheel brings one along: the
/// same library, loaded into a namespace of its own.
class SecondSqlite {
 public:
  static SecondSqlite& get() {
    static SecondSqlite loaded;
    return loaded;
  }
  [[nodiscard]] bool there() const { return open_ != nullptr; }

  sqlite3* open(const std::string& path,
                const char* query = "SELECT count(*) FROM exercise_crews") {
    sqlite3* connection = nullptr;
    REQUIRE(open_(path.c_str(), &connection) == SQLITE_OK);
    if (query != nullptr) REQUIRE(exec_(connection, query, nullptr, nullptr, nullptr) == SQLITE_OK);
    return connection;
  }
  int exec(sqlite3* connection, const char* sql) {
    return exec_(connection, sql, nullptr, nullptr, nullptr);
  }
  void close(sqlite3* connection) { REQUIRE(close_(connection) == SQLITE_OK); }

 private:
  SecondSqlite() {
    void* const library = dlmopen(LM_ID_NEWLM, "libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    open_ = reinterpret_cast<decltype(open_)>(dlsym(library, "sqlite3_open"));
    exec_ = reinterpret_cast<decltype(exec_)>(dlsym(library, "sqlite3_exec"));
    close_ = reinterpret_cast<decltype(close_)>(dlsym(library, "sqlite3_close"));
    const bool own = open_ != &sqlite3_open;
    REQUIRE(own);
  }
  decltype(&sqlite3_open) open_ = nullptr;
  decltype(&sqlite3_exec) exec_ = nullptr;
  decltype(&sqlite3_close) close_ = nullptr;
};

/// The same, and says where it cannot be had.
SecondSqlite* second_sqlite() {
  SecondSqlite& second = SecondSqlite::get();
  if (!second.there()) MESSAGE("skipped: no second copy of SQLite can be loaded: " << dlerror());
  return second.there() ? &second : nullptr;
}

std::string message_of(const Result<void>& result) {
  return result ? std::string() : result.error().message;
}

/// After the file was taken away: nothing is written or read any more, nobody can open it beside
/// the office that lost it, and once that is closed what was acknowledged is there.
void check_refusal(std::shared_ptr<Storage>& storage, const std::string& path,
                   const std::vector<std::int64_t>& acknowledged) {
  const auto written = add_crew(*storage, 900, "late");
  CHECK(code_of(written) == "unavailable");
  CHECK(message_of(written).find("another copy of SQLite") != std::string::npos);
  CHECK(message_of(written).find("open it again") != std::string::npos);
  CHECK(code_of(storage->read(Monotonic::never(), [](Reader&) -> Result<void> { return {}; })) ==
        "unavailable");
  CHECK(code_of(storage->maintain()) == "unavailable");
  SqliteOptions options;
  options.path = path;
  CHECK(code_of(open_sqlite(options)) == "unavailable");
  storage.reset();
  storage = fixture::open(path);
  const std::vector<std::int64_t> there = crew_ids(*storage);
  for (const std::int64_t id : acknowledged) {
    CHECK_MESSAGE(std::find(there.begin(), there.end(), id) != there.end(),
                  "lost although acknowledged: " << id);
  }
  CHECK(std::find(there.begin(), there.end(), 900) == there.end());
  CHECK(add_crew(*storage, 901, "again"));
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("a second copy of SQLite opens and closes the file between two writes") {
  SecondSqlite* const second = second_sqlite();
  if (second == nullptr) return;
  const Folder folder;
  auto storage = fixture::open(folder.file());
  for (std::int64_t id = 1; id <= 3; ++id) REQUIRE(add_crew(*storage, id, std::to_string(id)));
  second->close(second->open(folder.file()));
  CHECK_FALSE(std::filesystem::exists(folder.file() + "-wal"));  // the harm that it does
  check_refusal(storage, folder.file(), {1, 2, 3});
}

TEST_CASE("a second copy that is only open is refused as well: its closing could come too late") {
  SecondSqlite* const second = second_sqlite();
  if (second == nullptr) return;
  const Folder folder;
  auto storage = fixture::open(folder.file());
  REQUIRE(add_crew(*storage, 1, "one"));
  sqlite3* const connection = second->open(folder.file());
  CHECK(code_of(add_crew(*storage, 2, "two")) == "unavailable");
  second->close(connection);
  check_refusal(storage, folder.file(), {1});
}

TEST_CASE("a second copy that had the file open before us closes it") {
  SecondSqlite* const second = second_sqlite();
  if (second == nullptr) return;
  const Folder folder;
  fixture::open(folder.file()).reset();
  sqlite3* const connection = second->open(folder.file());
  auto storage = fixture::open(folder.file());
  REQUIRE(add_crew(*storage, 1, "one"));
  second->close(connection);
  const auto written = add_crew(*storage, 2, "two");
  CHECK(code_of(written) == "unknown_outcome");
  check_refusal(storage, folder.file(), {1});
}

TEST_CASE("a second copy closes the file, or makes a rollback journal of its log, inside a write") {
  SecondSqlite* const second = second_sqlite();
  if (second == nullptr) return;
  for (const bool journal : {false, true}) {
    CAPTURE(journal);
    const Folder folder;
    fixture::open(folder.file()).reset();
    sqlite3* const before = second->open(folder.file());
    auto storage = fixture::open(folder.file());
    REQUIRE(add_crew(*storage, 1, "one"));
    const auto written = storage->write({}, [&](Writer& writer) -> Result<void> {
      BUREAU_TRY_VOID(add_crew(writer, 2, "two"));
      if (journal) {
        second->exec(before, "PRAGMA journal_mode=DELETE");
      } else {
        second->close(before);
      }
      return {};
    });
    CHECK(!written);
    check_refusal(storage, folder.file(), {1});
    if (journal) second->close(before);
  }
}

TEST_CASE("the host's own code opens and closes the file") {
  const Folder folder;
  auto storage = fixture::open(folder.file());
  REQUIRE(add_crew(*storage, 1, "one"));
  { const std::ifstream peek(folder.file()); }
  CHECK(code_of(add_crew(*storage, 2, "two")) == "unknown_outcome");
  check_refusal(storage, folder.file(), {1});
}

TEST_CASE("the log is removed, or the file replaced") {
  const Folder folder;
  auto storage = fixture::open(folder.file());
  REQUIRE(add_crew(*storage, 1, "one"));
  SUBCASE("the log") {
    std::filesystem::remove(folder.file() + "-wal");
    CHECK(code_of(add_crew(*storage, 2, "two")) == "unknown_outcome");
  }
  SUBCASE("the file") {
    std::ofstream(folder.file("other.db")) << "";
    std::filesystem::rename(folder.file("other.db"), folder.file());
    CHECK(code_of(storage->maintain()) == "unavailable");
  }
  CHECK(code_of(add_crew(*storage, 3, "three")) == "unavailable");
}

TEST_CASE("what is no danger is let be") {
  const Folder folder;
  const std::size_t descriptors = open_descriptors();
  {
    auto storage = fixture::open(folder.file());
    REQUIRE(add_crew(*storage, 1, "one"));
    {
      auto beside = fixture::open(folder.file());  // a second office in this process
      REQUIRE(add_crew(*beside, 2, "two"));
    }
    CHECK(add_crew(*storage, 3, "three"));
    sqlite3* connection = nullptr;  // the host, through the same copy of SQLite
    REQUIRE(sqlite3_open(folder.file().c_str(), &connection) == SQLITE_OK);
    REQUIRE(sqlite3_exec(connection, "SELECT count(*) FROM exercise_crews", nullptr, nullptr,
                         nullptr) == SQLITE_OK);
    CHECK(add_crew(*storage, 4, "four"));
    storage.reset();
    // Nor is the host's connection harmed by our end.
    storage = fixture::open(folder.file());
    CHECK(add_crew(*storage, 5, "five"));
    REQUIRE(sqlite3_close(connection) == SQLITE_OK);
    CHECK(add_crew(*storage, 6, "six"));
    CHECK(crew_ids(*storage).size() == 6);
  }
  CHECK(open_descriptors() == descriptors);
}

TEST_CASE("an office does not go through a fork") {
  const Folder folder;
  auto storage = fixture::open(folder.file());
  REQUIRE(add_crew(*storage, 1, "one"));
  REQUIRE(*storage->hold_node(7));
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int wrong = 0;
    const auto refuses = [&](const Result<void>& result) {
      if (result || result.error().code != Code::invalid ||
          result.error().message.find("fork") == std::string::npos) {
        ++wrong;
      }
    };
    refuses(add_crew(*storage, 2, "two"));
    refuses(storage->read(Monotonic::never(), [](Reader&) -> Result<void> { return {}; }));
    SqliteOptions options;
    options.path = folder.file();
    const auto again = open_sqlite(options);
    if (again || again.error().code != Code::invalid) ++wrong;
    storage->release_node(7);
    storage.reset();  // must take nothing from the parent
    _exit(wrong);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(add_crew(*storage, 3, "three"));
  auto beside = fixture::open(folder.file());
  CHECK_FALSE(*beside->hold_node(7));
  CHECK(crew_ids(*storage) == std::vector<std::int64_t>{1, 3});
}
