// Where the file is and whose: its mode, its file system, its name, copies of it, newer programs.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "store/sqlite_fixture.hpp"

using namespace bureau;
using fixture::add_crew;
using fixture::code_of;

namespace {

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

void run_sql(const std::string& path, const char* sql) {
  sqlite3* connection = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &connection) == SQLITE_OK);
  char* message = nullptr;
  CHECK_MESSAGE(sqlite3_exec(connection, sql, nullptr, nullptr, &message) == SQLITE_OK,
                (message != nullptr ? message : ""));
  sqlite3_free(message);
  sqlite3_close(connection);
}

struct Options : SqliteOptions {
  explicit Options(const std::string& file) {
    path = file;
    log = [this](const LogRecord& entry) { lines.push_back(std::string(entry.message)); };
  }
  std::vector<std::string> lines;
};

}  // namespace

TEST_CASE("the file and those beside it belong to their owner alone") {
  const Folder folder;
  const auto before = ::umask(0);
  auto storage = fixture::open(folder.file());
  REQUIRE(add_crew(*storage, 1, "one"));
  ::umask(before);
  for (const char* suffix : {"", "-wal", "-shm", "-lock", "-nodes", "-wake"}) {
    CAPTURE(suffix);
    CHECK(mode_of(folder.file() + suffix) == 0600);
  }
  storage.reset();
  Options options(folder.file());
  CHECK(open_sqlite(options));
  CHECK(options.lines.empty());
  std::filesystem::permissions(folder.file(), std::filesystem::perms(0644));
  CHECK(open_sqlite(options));
  REQUIRE(options.lines.size() == 1);
  CHECK(options.lines[0].find("chmod 600") != std::string::npos);
}

TEST_CASE("network file systems are refused before anything is made") {
  const Folder folder;
  for (const std::int64_t type : {0x6969L, 0x517BL, 0xFF534D42L, 0x01021997L, 0x00C36400L}) {
    Options options(folder.file());
    std::string asked;
    options.file_system = [&](const std::string& path) {
      asked = path;
      return type;
    };
    const auto refused = open_sqlite(options);
    CHECK(code_of(refused) == "invalid");
    CHECK(refused.error().field == "path");
    CHECK(refused.error().message.find("network file system") != std::string::npos);
    CHECK(folder.file() == asked + "/office.db");
  }
  CHECK(std::filesystem::is_empty(std::filesystem::path(folder.file()).parent_path()));
  Options fuse(folder.file());
  fuse.file_system = [](const std::string&) { return std::int64_t{0x65735546}; };
  CHECK(open_sqlite(fuse));
  REQUIRE(fuse.lines.size() == 1);
  CHECK(fuse.lines[0].find("FUSE") != std::string::npos);
}

TEST_CASE("a symbolic link leads to the same files beside the file") {
  const Folder folder;
  auto storage = fixture::open(folder.file());
  std::filesystem::create_symlink(folder.file(), folder.file("link.db"));
  auto linked = fixture::open(folder.file("link.db"));
  CHECK(add_crew(*storage, 1, "one"));
  CHECK(add_crew(*linked, 2, "two"));
  CHECK_FALSE(std::filesystem::exists(folder.file("link.db-lock")));
  REQUIRE(*storage->hold_node(3));
  CHECK_FALSE(*linked->hold_node(3));
}

TEST_CASE("a copied file gets places of its own, and its leases are void") {
  const Folder folder;
  fixture::open(folder.file()).reset();
  run_sql(folder.file(),
          "CREATE TABLE bureau_nodes(id INTEGER PRIMARY KEY, generation INTEGER);"
          "INSERT INTO bureau_nodes VALUES(4, 7)");
  auto original = fixture::open(folder.file());
  const auto range = original->node_range();
  CHECK(range.count == 32);
  original.reset();
  CHECK(fixture::open(folder.file())->node_range().first == range.first);  // it is the same file

  std::vector<int> firsts{range.first};
  std::string from = folder.file();
  for (int i = 0; i < 5; ++i) {
    const std::string to = folder.file("copy" + std::to_string(i) + ".db");
    std::filesystem::copy_file(from, to);
    Options options(to);
    auto copy = open_sqlite(options);
    REQUIRE(copy);
    REQUIRE(options.lines.size() == 1);
    CHECK(options.lines[0].find("copy of another file") != std::string::npos);
    const int first = (*copy)->node_range().first;
    CHECK(std::find(firsts.begin(), firsts.end(), first) == firsts.end());
    firsts.push_back(first);
    from = to;
    copy->reset();
  }
  // The generation was raised once for each copy.
  run_sql(from,
          "CREATE TABLE seen(g INTEGER CHECK(g = 12)); INSERT INTO seen SELECT generation "
          "FROM bureau_nodes");
  // Renamed it is what it was.
  std::filesystem::rename(folder.file(), folder.file("renamed.db"));
  CHECK(fixture::open(folder.file("renamed.db"))->node_range().first == range.first);
}

TEST_CASE("a file that a newer program takes for itself is written no more by an older one") {
  const Folder folder;
  auto storage = fixture::open(folder.file());
  REQUIRE(add_crew(*storage, 1, "one"));
  run_sql(folder.file(), "UPDATE bureau_meta SET value='1' WHERE key='oldest_reader'");
  REQUIRE(add_crew(*storage, 2, "two"));
  run_sql(folder.file(),
          "PRAGMA user_version=2; UPDATE bureau_meta SET value='2' WHERE key='oldest_reader'");
  const auto written = add_crew(*storage, 3, "three");
  CHECK(code_of(written) == "upgraded");
  CHECK(written.error().field == "format");
  CHECK(written.error().message.find("update the program") != std::string::npos);
  CHECK(code_of(storage->read(Monotonic::never(), [](Reader&) -> Result<void> { return {}; })) ==
        "upgraded");
  storage.reset();
  SqliteOptions options;
  options.path = folder.file();
  CHECK(code_of(open_sqlite(options)) == "upgraded");
}

TEST_CASE("the storage says who holds the write lock, and who reads") {
  const Folder folder;
  auto storage = fixture::open(folder.file());
  auto beside = fixture::open(folder.file());  // to this one the other is another process
  ManualClock manual;
  SqliteOptions on_manual;
  on_manual.path = folder.file();
  on_manual.clock = &manual;
  auto timed = fixture::open(on_manual);
  REQUIRE(add_crew(*storage, 1, "one"));
  auto idle = storage->state();
  REQUIRE(idle);
  CHECK_FALSE(idle->writer.has_value());
  CHECK(idle->log_bytes > 0);
  CHECK(idle->readers == 0);

  WriteOptions options;
  options.where = CodeLocation::current();
  const int line = options.where.line;
  const auto written = storage->write(options, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY(const auto here, storage->state());
    REQUIRE(here.writer);
    CHECK(here.writer->here);
    CHECK(here.writer->line == line);
    CHECK(here.writer->file.find("sqlite_place_test.cpp") != std::string::npos);
    BUREAU_TRY(const auto there, beside->state());
    REQUIRE(there.writer);
    CHECK(there.writer->line == 0);  // no word was left yet
    // Long enough to be told of.
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    Clock& clock = Clock::system();
    clock.wait_until(lock, never, clock.monotonic() + std::chrono::milliseconds(60));
    storage->observe();
    BUREAU_TRY(const auto word, beside->state());
    REQUIRE(word.writer);
    CHECK(word.writer->line == line);
    CHECK(word.writer->pid == ::getpid());
    CHECK(word.writer->held >= std::chrono::milliseconds(50));
    // Whoever does not come to write, or to open the office, is told the same.
    WriteOptions brief;
    brief.deadline = clock.monotonic() + std::chrono::milliseconds(5);
    const auto late = beside->write(brief, [](Writer&) -> Result<void> { return {}; });
    REQUIRE_FALSE(late);
    CHECK(late.error().code == Code::deadline);
    CHECK(late.error().message.find(fmt::format("process {}", ::getpid())) != std::string::npos);
    CHECK(late.error().message.find("sqlite_place_test.cpp") != std::string::npos);
    std::atomic<bool> over = false;
    std::thread time([&] {
      while (!over) manual.advance(std::chrono::seconds(1));
    });
    const auto migrated = timed->migrate(fixture::catalog());
    over = true;
    time.join();
    CHECK(code_of(migrated) == "busy");
    REQUIRE_FALSE(migrated);
    CHECK(migrated.error().message.find("sqlite_place_test.cpp") != std::string::npos);
    return add_crew(writer, 2, "two");
  });
  CHECK(written);
  auto after = beside->state();
  REQUIRE(after);
  CHECK_FALSE(after->writer.has_value());

  const auto read = storage->read(Monotonic::never(), [&](Reader&) -> Result<void> {
    BUREAU_TRY(const auto state, storage->state());
    CHECK(state.readers == 1);
    return {};
  });
  CHECK(read);
}
