// Files: those that cannot be opened and why, several storages on one, migrations, checkpoints.

#include <doctest/doctest.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "bureau/store/interruption.hpp"
#include "bureau/testing/fault_vfs.hpp"
#include "counts.hpp"
#include "store/sqlite_fixture.hpp"

using bureau::Code;
using bureau::ColumnInfo;
using bureau::Monotonic;
using bureau::Reader;
using bureau::Result;
using bureau::Storage;
using bureau::TableInfo;
using bureau::Type;
using bureau::Value;
using bureau::Writer;
using fixture::code_of;

namespace {

Result<std::shared_ptr<Storage>> try_open(const std::string& path) {
  bureau::SqliteOptions options;
  options.path = path;
  return bureau::open_sqlite(options);
}

void run_sql(const std::string& path, const std::string& sql) {
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
  char* message = nullptr;
  const int code = sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, &message);
  CHECK_MESSAGE(code == SQLITE_OK, std::string(message == nullptr ? "" : message));
  sqlite3_free(message);
  sqlite3_close(raw);
}

/// An error of open() has the code, and its message the file's name and the words.
void check_refused(const std::string& path, Code code, const std::string& words) {
  const auto storage = try_open(path);
  REQUIRE_FALSE(storage);
  CHECK(to_string(storage.error().code) == to_string(code));
  CHECK(storage.error().message.find(path) != std::string::npos);
  CHECK_MESSAGE(storage.error().message.find(words) != std::string::npos, storage.error().message);
}

/// A table made at run time, as it was described at different times.
struct Version {
  TableInfo table;
  Version() {
    table.name = "things";
    table.prefix = "thg";
    add("id", Type::id, false);
    add("name", Type::text, false);
  }
  ColumnInfo& add(std::string_view name, Type type, bool nullable) {
    ColumnInfo column;
    column.name = name;
    column.type = type;
    column.nullable = nullable;
    column.index = static_cast<std::uint16_t>(table.columns.size());
    table.columns.push_back(column);
    return table.columns.back();
  }
  [[nodiscard]] Result<void> migrate(Storage& storage) const {
    bureau::Catalog catalog;
    BUREAU_TRY_VOID(catalog.add(table));
    return storage.migrate(catalog);
  }
};

}  // namespace

TEST_CASE("a file that is not ours is refused, named and left as it was") {
  const Folder folder;
  const std::string text = folder.file("notes.txt");
  std::ofstream(text) << std::string(5000, 'n');
  check_refused(text, Code::corrupt, "not a database");
  const std::string other = folder.file("other.db");
  run_sql(other, "PRAGMA application_id=77; CREATE TABLE t(a)");
  check_refused(other, Code::corrupt, "another program");
  const std::string unmarked = folder.file("unmarked.db");
  run_sql(unmarked, "CREATE TABLE t(a)");
  check_refused(unmarked, Code::corrupt, "another program");
  for (const auto& path : {text, other, unmarked}) {
    CHECK_FALSE(std::filesystem::exists(path + "-lock"));
    CHECK_FALSE(std::filesystem::exists(path + "-wal"));
  }
}

TEST_CASE(
    "a file of a newer bureau is refused with field format, unless it says that we can read it") {
  const Folder folder;
  fixture::open(folder.file()).reset();
  run_sql(folder.file(), "PRAGMA user_version=2; UPDATE bureau_meta SET value='2'");
  check_refused(folder.file(), Code::upgraded, "newer bureau");
  CHECK(try_open(folder.file()).error().field == "format");
  run_sql(folder.file(), "UPDATE bureau_meta SET value='1' WHERE key='oldest_reader'");
  CHECK(try_open(folder.file()));
}

TEST_CASE("folders and files that cannot be written") {
  const Folder folder;
  check_refused(folder.file("no/such/office.db"), Code::unavailable, "folder");
  check_refused("/sys/office.db", Code::unavailable, "folder");
  CHECK(code_of(try_open("")) == "invalid");
  CHECK(code_of(try_open(":memory:")) == "invalid");
  std::filesystem::create_directory(folder.file("folder"));
  check_refused(folder.file("folder"), Code::unavailable, "it is a folder");
}

TEST_CASE("a foreign file in WAL mode is refused with its log as it was, and no file beside it") {
  const Folder folder;
  const std::string idle = folder.file("idle.db");
  run_sql(idle, "PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
  check_refused(idle, Code::corrupt, "another program");
  for (const char* suffix : {"-wal", "-shm", "-lock"})
    CHECK_FALSE(std::filesystem::exists(idle + suffix));

  // Its program died, and its log holds what its file does not.
  const std::string dead = folder.file("dead.db");
  run_sql(folder.file("live.db"), "PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
  sqlite3* live = nullptr;
  REQUIRE(sqlite3_open(folder.file("live.db").c_str(), &live) == SQLITE_OK);
  REQUIRE(sqlite3_exec(live, "INSERT INTO t VALUES(1)", nullptr, nullptr, nullptr) == SQLITE_OK);
  std::filesystem::copy(folder.file("live.db"), dead);
  std::filesystem::copy(folder.file("live.db-wal"), dead + "-wal");
  sqlite3_close(live);
  const auto log_size = std::filesystem::file_size(dead + "-wal");
  const auto file_size = std::filesystem::file_size(dead);
  check_refused(dead, Code::corrupt, "another program");
  CHECK(std::filesystem::file_size(dead + "-wal") == log_size);
  CHECK(std::filesystem::file_size(dead) == file_size);
}

TEST_CASE("damaged and shortened files say so") {
  const Folder folder;
  fixture::open(folder.file()).reset();
  const auto damaged = [&](const char* name, std::uintmax_t size) {
    std::filesystem::copy(folder.file(), folder.file(name));
    std::filesystem::resize_file(folder.file(name), size);
    return folder.file(name);
  };
  check_refused(damaged("page.db", 4096), Code::corrupt, "damaged; restore a backup");
  check_refused(damaged("part.db", 5000), Code::corrupt, "damaged; restore a backup");
  check_refused(damaged("header.db", 60), Code::corrupt, "damaged; restore a backup");
  const std::string empty = damaged("empty.db", 0);
  CHECK(fixture::add_crew(*fixture::open(empty), 1, "an empty file becomes ours"));
}

TEST_CASE("a disk without room for a new file: nothing half made, and made wholly when there is") {
  for (std::uint64_t room = 0; room < 200'000; room += 3000) {
    CAPTURE(room);
    bureau::testing::FaultVfs vfs;
    const Folder folder;
    vfs.set_disk_capacity(room);
    bureau::SqliteOptions options;
    options.path = folder.file();
    options.vfs = vfs.name();
    {
      auto storage = bureau::open_sqlite(options);
      auto done = storage ? (*storage)->migrate(fixture::catalog())
                          : Result<void>(bureau::fail(storage.error()));
      if (!done) {
        CHECK_MESSAGE(done.error().message.find("the disk is full") != std::string::npos,
                      done.error().message);
        CHECK(done.error().message.find(folder.file()) != std::string::npos);
      }
    }
    vfs.set_disk_capacity(UINT64_MAX);
    const auto storage = fixture::open(options);
    CHECK(fixture::add_crew(*storage, 1, "a"));
  }
}

TEST_CASE("a file that another program has locked is busy") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open(folder.file().c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  bureau::WriteOptions options;
  options.deadline = bureau::Clock::system().monotonic() + std::chrono::milliseconds(20);
  const auto busy = fixture::add_crew(*storage, 1, "a", options);
  REQUIRE_FALSE(busy);
  CHECK(to_string(busy.error().code) == "busy");
  CHECK(busy.error().message.find(folder.file()) != std::string::npos);
  CHECK(busy.error().message.find("another program") != std::string::npos);
  REQUIRE(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(other);
  CHECK(fixture::add_crew(*storage, 1, "a"));
}

TEST_CASE("a damaged page is an error when it is read, and nothing is made up") {
  const Folder folder;
  {
    const auto storage = fixture::open(folder.file());
    REQUIRE(storage->write({}, [](Writer& writer) -> Result<void> {
      for (std::int64_t id = 1; id <= 2000; ++id)
        BUREAU_TRY_VOID(fixture::add_crew(writer, id, std::to_string(id) + std::string(100, 'x')));
      return {};
    }));
  }
  const auto size = std::filesystem::file_size(folder.file());
  {
    std::fstream file(folder.file(), std::ios::in | std::ios::out | std::ios::binary);
    for (std::uintmax_t page = 10; page < size / 4096; ++page) {
      file.seekp(static_cast<std::streamoff>(page * 4096));
      file << std::string(200, '\xff');
    }
  }
  const auto storage = try_open(folder.file());
  REQUIRE(storage);
  const auto read = (*storage)->read(Monotonic::never(), [](Reader& reader) {
    return reader.scan(bureau::select<sample::Crew>(), [](auto) -> Result<bool> { return true; });
  });
  CHECK(code_of(read) == "corrupt");
}

TEST_CASE("the file and those beside it are their owner's alone") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  REQUIRE(fixture::add_crew(*storage, 1, "a"));
  for (const char* suffix : {"", "-wal", "-shm", "-lock", "-nodes", "-wake"}) {
    struct stat status {};
    CAPTURE(suffix);
    REQUIRE(stat((folder.file() + suffix).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
}

TEST_CASE("what another storage committed without a word is found, and hinted at once") {
  const Folder folder;
  const auto a = fixture::open(folder.file());
  const auto b = fixture::open(folder.file());
  int hints = 0;
  const auto subscription = a->on_commit([&] { ++hints; });
  REQUIRE(subscription);
  REQUIRE(fixture::add_crew(*a, 1, "of a"));
  CHECK(hints == 1);
  a->observe();
  a->observe();
  CHECK(hints == 1);                          // its own
  REQUIRE(fixture::add_crew(*b, 2, "of b"));  // nobody watches the wake file: it is not written
  a->observe();
  CHECK(hints == 2);
  a->observe();
  CHECK(hints == 2);
  CHECK_FALSE(a->drain_wake());
  // With one of its own after it, of which the write that made it has heard.
  REQUIRE(fixture::add_crew(*b, 3, "of b too"));
  REQUIRE(fixture::add_crew(*a, 4, "of a too"));
  a->observe();
  CHECK(a->drain_wake());
  CHECK_FALSE(a->drain_wake());
}

TEST_CASE("two storages on one file: both write, each sees the other's, and is told of them") {
  const Folder folder;
  const auto a = fixture::open(folder.file());
  const auto b = fixture::open(folder.file());
  const int wake = a->wake_fd();
  REQUIRE(wake >= 0);
  const auto woken = [&] {
    pollfd waiting{wake, POLLIN, 0};
    return poll(&waiting, 1, 0) == 1;
  };
  CHECK_FALSE(woken());
  REQUIRE(fixture::add_crew(*b, 1, "of b"));
  CHECK(woken());
  CHECK(a->drain_wake());
  CHECK_FALSE(woken());
  CHECK_FALSE(a->drain_wake());
  CHECK(fixture::has_crew(*a, 1));
  REQUIRE(fixture::add_crew(*a, 2, "of a"));
  CHECK_FALSE(a->drain_wake());  // its own
  const auto count = [&](Storage& storage, std::int64_t first) {
    for (std::int64_t id = first; id < first + 100; ++id)
      CHECK(fixture::add_crew(storage, id, std::to_string(id)));
  };
  std::thread other([&] { count(*b, 1000); });
  count(*a, 2000);
  other.join();
  CHECK(fixture::crew_ids(*a).size() == 202);
}

TEST_CASE(
    "a write that waits for another's ends when its thread is interrupted, and keeps nothing") {
  const Folder folder;
  const auto holder = fixture::open(folder.file());
  const auto waiter = fixture::open(folder.file());
  int asked = 0;
  const auto at_the_third = [&] { return ++asked % 3 == 0; };
  const auto interrupted = [&](std::int64_t id) {
    const bureau::Interruption interruption(at_the_third);
    CHECK(code_of(fixture::add_crew(*waiter, id, std::to_string(id))) == "deadline");
  };
  REQUIRE(holder->write({}, [&](Writer& writer) {
    interrupted(1);
    interrupted(2);  // goes on where the first one stood
    return fixture::add_crew(writer, 3, "3");
  }));
  CHECK(asked == 6);
  // Whoever waited in its place has given back what came too late, or does so soon.
  CHECK(fixture::add_crew(*holder, 4, "4"));
  CHECK(fixture::add_crew(*waiter, 5, "5"));
  CHECK(fixture::crew_ids(*waiter) == std::vector<std::int64_t>{3, 4, 5});
  // One that is left behind is taken over by the next, which nobody interrupts.
  std::thread next;
  REQUIRE(holder->write({}, [&](Writer& writer) {
    interrupted(6);
    next = std::thread([&] { CHECK(fixture::add_crew(*waiter, 7, "7")); });
    return fixture::add_crew(writer, 8, "8");
  }));
  next.join();
  CHECK(fixture::add_crew(*holder, 9, "9"));
  // And one that another thread of its own process keeps waiting.
  REQUIRE(waiter->write({}, [&](Writer& writer) {
    std::thread([&] { interrupted(10); }).join();
    return fixture::add_crew(writer, 11, "11");
  }));
  CHECK(fixture::crew_ids(*holder) == std::vector<std::int64_t>{3, 4, 5, 7, 8, 9, 11});
}

TEST_CASE("a node is held by one storage at a time, until it lets go or is gone") {
  const Folder folder;
  const auto a = fixture::open(folder.file());
  auto b = fixture::open(folder.file());
  CHECK(*b->hold_node(5));
  CHECK_FALSE(*b->hold_node(5));
  CHECK_FALSE(*a->hold_node(5));
  CHECK(*a->hold_node(6));
  CHECK(*a->node_is_alive(5));
  CHECK(*b->node_is_alive(5));
  CHECK_FALSE(*a->node_is_alive(7));
  b->release_node(5);
  CHECK_FALSE(*a->node_is_alive(5));
  CHECK(*b->hold_node(5));
  b.reset();
  CHECK_FALSE(*a->node_is_alive(5));
  CHECK(code_of(a->hold_node(1024)) == "invalid");
  CHECK(code_of(a->node_is_alive(-1)) == "invalid");
}

TEST_CASE(
    "G1: a process that is killed leaves what it acknowledged, and its node is known to be free") {
  const Folder folder;
  fixture::open(folder.file()).reset();
  const int rounds = counts::cases(8, 100);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    int told[2];
    REQUIRE(pipe(told) == 0);
    const pid_t child = fork();
    if (child == 0) {
      // No doctest in here: a child that fails simply acknowledges nothing.
      bureau::SqliteOptions options;
      options.path = folder.file();
      auto storage = bureau::open_sqlite(options);
      if (!storage || !(*storage)->hold_node(3)) _exit(1);
      for (std::int64_t id = round * 100'000 + 1;; ++id) {
        if (!fixture::add_crew(**storage, id, std::to_string(id))) _exit(1);
        if (write(told[1], &id, sizeof id) != sizeof id) _exit(1);
      }
    }
    close(told[1]);
    std::int64_t last = 0;
    const int wanted = 1 + round * 7 % 23;
    for (int i = 0; i < wanted; ++i) REQUIRE(read(told[0], &last, sizeof last) == sizeof last);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(told[0], &last, sizeof last) == sizeof last) {
    }
    close(told[0]);
    const auto storage = fixture::open(folder.file());
    for (std::int64_t id = round * 100'000 + 1; id <= last; ++id)
      CHECK(fixture::has_crew(*storage, id));
    CHECK_FALSE(*storage->node_is_alive(3));
    CHECK(fixture::add_crew(*storage, round * 100'000 + 99'999, "after " + std::to_string(round)));
  }
  run_sql(folder.file(), "PRAGMA integrity_check");
}

TEST_CASE("maintain moves the log into the file, and shortens it when nobody reads") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  const auto grow = [&](std::int64_t first, std::int64_t rows) {
    REQUIRE(storage->write({}, [&](Writer& writer) -> Result<void> {
      for (std::int64_t id = first; id < first + rows; ++id)
        BUREAU_TRY_VOID(
            fixture::add_crew(writer, id, std::to_string(id) + std::string(10'000, 'x')));
      return {};
    }));
  };
  const auto wal = [&] { return std::filesystem::file_size(folder.file() + "-wal"); };
  grow(1, 4000);
  CHECK(wal() > 32U << 20U);  // its writer has moved it, and keeps its length
  grow(10'000, 600);
  CHECK(storage->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const bool found, reader.find(bureau::table_of<sample::Crew>(), 1,
                                             [](auto) -> Result<bool> { return true; }));
    CHECK(found);
    CHECK(storage->maintain());
    return {};
  }));
  CHECK(wal() > 32U << 20U);
  grow(20'000, 600);
  CHECK(storage->maintain());
  CHECK(wal() == 0);
  // One that is not unusually long keeps its length: it will be needed again.
  grow(30'000, 600);
  CHECK(storage->maintain());
  CHECK(wal() > 4U << 20U);
  CHECK(std::filesystem::file_size(folder.file()) > 32U << 20U);
  CHECK(fixture::has_crew(*storage, 1));
}

TEST_CASE("a writer that nobody maintains keeps its log in bounds") {
  const Folder folder;
  const auto storage = fixture::open(folder.file());
  for (std::int64_t round = 0; round < 30; ++round) {
    REQUIRE(storage->write({}, [&](Writer& writer) -> Result<void> {
      for (std::int64_t id = round * 1000; id < round * 1000 + 600; ++id)
        BUREAU_TRY_VOID(
            fixture::add_crew(writer, id + 1, std::to_string(id) + std::string(10'000, 'x')));
      return {};
    }));
  }
  CHECK(std::filesystem::file_size(folder.file() + "-wal") < 32U << 20U);
}

TEST_CASE("migrations add tables, columns and indexes, and keep the rows") {
  const Folder folder;
  const auto storage = *try_open(folder.file());
  const Version first;
  REQUIRE(first.migrate(*storage));
  const std::vector<Value> row = {Value::integer(1), Value::text("one")};
  REQUIRE(storage->write({}, [&](Writer& w) { return w.insert(first.table, row); }));
  Version second;
  second.add("size", Type::integer, false);
  second.add("note", Type::text, true);
  second.table.indexes.push_back({"by_size", {2}, false, ""});
  REQUIRE(second.migrate(*storage));
  REQUIRE(second.migrate(*storage));
  int seen = 0;
  CHECK(storage->read(Monotonic::never(), [&](Reader& reader) {
    bureau::Select select;
    select.table = &second.table;
    return reader.scan(select, [&](auto values) -> Result<bool> {
      ++seen;
      CHECK(values[1].as_text() == "one");
      CHECK(values[2] == Value::integer(0));
      CHECK(values[3].is_null());
      return true;
    });
  }));
  CHECK(seen == 1);
  second.table.indexes[0].unique = true;
  CHECK(second.migrate(*storage));
  second.table.indexes.clear();
  CHECK(second.migrate(*storage));
}

TEST_CASE("migrations that would lose data are refused wholly and name the column") {
  const Folder folder;
  const auto storage = *try_open(folder.file());
  static constexpr std::string_view names[] = {"low", "high"};
  static constexpr std::string_view other_names[] = {"low", "middle", "high"};
  static constexpr std::string_view more_names[] = {"low", "high", "top"};
  Version first;
  first.add("level", Type::enumeration, false).names = names;
  first.add("note", Type::text, true);
  REQUIRE(first.migrate(*storage));
  const auto refused = [&](const Version& version, std::string_view column) {
    const auto result = version.migrate(*storage);
    REQUIRE_FALSE(result);
    CHECK(to_string(result.error().code) == "conflict");
    CHECK(result.error().field == column);
    CHECK(result.error().message.find("things") != std::string::npos);
  };
  Version removed;
  removed.add("level", Type::enumeration, false).names = names;
  removed.add("added", Type::integer, false);
  refused(removed, "note");
  Version retyped = first;
  retyped.table.columns[1].type = Type::integer;
  refused(retyped, "name");
  Version tightened = first;
  tightened.table.columns[3].nullable = false;
  refused(tightened, "note");
  Version renamed = first;
  renamed.table.columns[2].names = other_names;
  refused(renamed, "level");
  Version no_zero = first;
  no_zero.add("owner", Type::id, false);
  refused(no_zero, "owner");
  Version appended = first;
  appended.table.columns[2].names = more_names;
  CHECK(appended.migrate(*storage));
  CHECK(code_of(first.migrate(*storage)) == "conflict");
}

TEST_CASE("a unique index over values that are there twice is refused") {
  const Folder folder;
  const auto storage = *try_open(folder.file());
  Version first;
  REQUIRE(first.migrate(*storage));
  const std::vector<Value> rows = {Value::integer(1), Value::text("same"), Value::integer(2),
                                   Value::text("same")};
  REQUIRE(storage->write({}, [&](Writer& w) { return w.insert(first.table, rows); }));
  Version second;
  second.table.indexes.push_back({"by_name", {1}, true, ""});
  const auto refused = second.migrate(*storage);
  CHECK(code_of(refused) == "conflict");
  CHECK(refused.error().field == "name");
}
