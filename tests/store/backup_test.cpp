// Backups: made while others write, restored, refused.

#include "bureau/store/backup.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>

#include "bureau/store/verify.hpp"
#include "store/internal_tables.hpp"
#include "store/small_office.hpp"
#include "store/sqlite_fixture.hpp"

using namespace bureau;
using fixture::code_of;
using small_office::check_refused;
using small_office::Office;
using small_office::Parcel;
using small_office::Stamp;

namespace {

std::shared_ptr<Storage> open_file(const std::string& path, Clock* clock = nullptr) {
  SqliteOptions options;
  options.path = path;
  options.clock = clock;
  return must(open_sqlite(options));
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_file(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

}  // namespace

TEST_CASE("a backup is the office of one moment, in one file that says which") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(30);
  const std::int64_t head = office.head();
  const auto report = must(office.storage().back_up(folder.file("backup.db"), {}));
  CHECK(report.sequence == head);
  CHECK(report.bytes == static_cast<std::int64_t>(content(folder.file("backup.db")).size()));
  const OfficeDigest then = must(digest_office(office.storage()));
  office.make_history(5);

  const auto said = must(describe_backup(folder.file("backup.db")));
  CHECK(said.sequence == report.sequence);
  CHECK(said.at == report.at);
  CHECK(said.bytes == report.bytes);
  struct stat status {};
  REQUIRE(::stat(folder.file("backup.db").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  const std::string before = content(folder.file("backup.db"));
  {
    const auto backup = must(open_backup(folder.file("backup.db")));
    CHECK(compare_digests(must(digest_office(*backup)), then).empty());
    CHECK_FALSE(compare_digests(must(digest_office(office.storage())), then).empty());
    CHECK(backup->check_integrity());
    CHECK(code_of(backup->write({}, [](Writer&) -> Result<void> { return {}; })) == "forbidden");
    CHECK(code_of(backup->migrate({})) == "forbidden");
  }
  // Reading it leaves it as it was, and nothing beside it.
  CHECK(content(folder.file("backup.db")) == before);
  for (const char* suffix : {"-wal", "-shm", "-lock", "-partial"}) {
    CHECK_FALSE(is_file(folder.file("backup.db") + suffix));
  }
}

TEST_CASE("G13_a backup under load has each write wholly or not at all") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.add_parcels(2000);
  std::atomic<bool> end{false};
  std::atomic<int> written{0};
  // Each write adds a parcel and a stamp: as many of one as of the other.
  std::thread writer([&] {
    while (!end) {
      must(office.database().write({}, {}, [&](Transaction& t) -> Result<void> {
        Parcel parcel;
        BUREAU_TRY(const auto id, t.next_id());
        parcel.id = Id<Parcel>(id);
        parcel.weight = -1;
        BUREAU_TRY_VOID(Office::insert(t, parcel));
        Stamp stamp;
        BUREAU_TRY(const auto other, t.next_id());
        stamp.id = Id<Stamp>(other);
        return Office::insert(t, stamp);
      }));
      ++written;
    }
  });
  while (written < 20) std::this_thread::yield();
  // It goes on only once something was written meanwhile: so there is load, however fast this is.
  BackupOptions options;
  options.share = 1;
  options.progress = [&](const Progress& at) {
    CHECK(at.done <= at.all);
    const int now = written;
    while (written == now) std::this_thread::yield();
    return true;
  };
  const auto report = must(office.storage().back_up(folder.file("backup.db"), options));
  end = true;
  writer.join();

  const auto backup = must(open_backup(folder.file("backup.db")));
  CHECK(backup->check_integrity());
  const auto stamps = small_office::rows_of(*backup, table_of<Stamp>()).size();
  CHECK(small_office::rows_of(*backup, table_of<Parcel>()).size() == 2000 + stamps);
  CHECK(report.sequence == static_cast<std::int64_t>(2000 + 2 * stamps));
  CHECK(stamps < static_cast<std::size_t>(written));
}

TEST_CASE("what may not be lost is not written over by a backup") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(5);
  Storage& storage = office.storage();
  check_refused(storage.back_up("", {}), Code::invalid, "backup", "needs a file");
  check_refused(storage.back_up(folder.file(), {}), Code::exists, "backup", "is there already");
  check_refused(storage.back_up(folder.file(), {.replace = true}), Code::conflict, "backup",
                "only a backup is replaced");
  std::ofstream(folder.file("letter.txt")) << "Dear Sir or Madam";
  check_refused(storage.back_up(folder.file("letter.txt"), {.replace = true}), Code::conflict,
                "backup", "only a backup is replaced");
  CHECK(content(folder.file("letter.txt")) == "Dear Sir or Madam");
  check_refused(storage.back_up(folder.file("absent/backup.db"), {}), Code::unavailable, "",
                "absent");

  must(storage.back_up(folder.file("backup.db"), {}));
  check_refused(storage.back_up(folder.file("backup.db"), {}), Code::exists, "backup", "");
  office.make_history(5);
  CHECK(must(storage.back_up(folder.file("backup.db"), {.replace = true})).sequence ==
        office.head());
}

TEST_CASE("a backup that is given up leaves nothing") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.add_parcels(500);
  BackupOptions stop;
  stop.progress = [](const Progress&) { return false; };
  check_refused(office.storage().back_up(folder.file("backup.db"), stop), Code::cancelled, "", "");
  CHECK_FALSE(is_file(folder.file("backup.db")));
  CHECK_FALSE(is_file(folder.file("backup.db-partial")));
}

TEST_CASE("a process that is killed in a backup or a restore leaves nothing that looks whole") {
  const Folder folder;
  const std::string backup = folder.file("backup.db");
  OfficeDigest first;
  {
    Office office(open_file(folder.file()));
    office.add_parcels(2000);
    must(office.storage().back_up(backup, {}));
    first = must(digest_office(office.storage()));
    office.add_parcels(2000);
  }
  // No storage is open where it forks, so the child may open its own.
  const auto killed = [](FunctionRef<void(const ProgressSink&)> call) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int calls = 0;
      call([&](const Progress&) {
        if (++calls == 3) ::raise(SIGKILL);
        return true;
      });
      ::_exit(1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
  };
  killed([&](const ProgressSink& progress) {
    SqliteOptions options;
    options.path = folder.file();
    auto storage = open_sqlite(options);
    (void)(*storage)->back_up(backup, {.replace = true, .progress = progress});
  });
  CHECK(is_file(backup + "-partial"));
  CHECK(compare_digests(must(digest_office(*must(open_backup(backup)))), first).empty());
  killed([&](const ProgressSink& progress) {
    (void)restore_backup(backup, folder.file(), {.replace = true, .progress = progress});
  });
  {
    const auto storage = open_file(folder.file());
    CHECK(must(digest_office(*storage)).sequence == 4000);
    CHECK(must(storage->back_up(backup, {.replace = true})).sequence == 4000);
  }
  CHECK(must(restore_backup(backup, folder.file(), {.replace = true})).sequence == 4000);
  CHECK(must(digest_office(*open_file(folder.file()))).sequence == 4000);
  for (const char* suffix : {"-partial", "-restoring"}) {
    CHECK_FALSE(is_file(backup + suffix));
    CHECK_FALSE(is_file(folder.file() + suffix));
  }
}

TEST_CASE("a disk that takes no more fails a backup, which says so") {
  const Folder folder;
  Office office(open_file(folder.file()));
  office.add_parcels(3000);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  struct sigaction before {};
  ::sigaction(SIGXFSZ, &ignore, &before);
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  rlimit small = old;
  small.rlim_cur = 100'000;
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto result = office.storage().back_up(folder.file("backup.db"), {});
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::sigaction(SIGXFSZ, &before, nullptr);
  REQUIRE_FALSE(result);
  CAPTURE(result.error().message);
  CHECK(result.error().code == Code::unavailable);
  CHECK(result.error().message.find("backup.db") != std::string::npos);
  CHECK_FALSE(is_file(folder.file("backup.db")));
  CHECK_FALSE(is_file(folder.file("backup.db-partial")));
  must(office.storage().back_up(folder.file("backup.db"), {}));
}

TEST_CASE(
    "G13_an office that is restored is the one of that moment, with ids and leases of its own") {
  const Folder folder;
  std::int64_t generation = 0;
  int node = 0;
  OfficeDigest then;
  {
    Office office(open_file(folder.file()));
    office.make_history(20);
    generation = must(office.database().node()).generation;
    node = must(office.database().node()).number;
    must(office.storage().back_up(folder.file("backup.db"), {}));
    then = must(digest_office(office.storage()));
    office.make_history(20);
    check_refused(restore_backup(folder.file("backup.db"), folder.file(), {}), Code::exists,
                  "office", "there is an office already");
    check_refused(restore_backup(folder.file("backup.db"), folder.file(), {.replace = true}),
                  Code::busy, "office", "it is open");
  }
  const auto report =
      must(restore_backup(folder.file("backup.db"), folder.file(), {.replace = true}));
  CHECK(report.sequence == then.sequence);
  CHECK(report.put_aside == folder.file() + "-replaced-1");
  CHECK(compare_digests(must(digest_office(*open_file(report.put_aside))), then).size() > 0);

  const auto storage = open_file(folder.file());
  CHECK(compare_digests(must(digest_office(*storage)), then).empty());
  CHECK(storage->node_range().first / 32 != node / 32);  // none that the original draws from
  bool found = false;
  must(storage->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    const TableInfo& nodes = table_of<detail::NodeRow>();
    BUREAU_TRY(found, reader.find(nodes, node + 1, [&](std::span<const Value> row) -> Result<bool> {
      CHECK(row[1].as_integer() > generation);  // leases name the old one
      return true;
    }));
    return {};
  }));
  CHECK(found);
  Office again(storage);
  again.add_parcels(50);
  CHECK(again.head() == then.sequence + 50);
  // It is an office now, and no backup.
  check_refused(describe_backup(folder.file()), Code::invalid, "backup", "it is an office");
}

TEST_CASE("what is no backup, or a damaged one, is not restored") {
  const Folder folder;
  {
    Office office(open_file(folder.file()));
    office.add_parcels(3000);
    must(office.storage().back_up(folder.file("backup.db"), {}));
  }
  check_refused(restore_backup(folder.file("none.db"), folder.file("new.db"), {}), Code::not_found,
                "backup", "no such backup");
  check_refused(restore_backup(folder.file(), folder.file("new.db"), {}), Code::invalid, "backup",
                "it is an office");
  std::ofstream(folder.file("letter.txt")) << std::string(5000, 'x');
  check_refused(restore_backup(folder.file("letter.txt"), folder.file("new.db"), {}), Code::corrupt,
                "", "not a database");
  std::string bytes = content(folder.file("backup.db"));
  bytes.replace(bytes.size() / 2, 4096, std::string(4096, '\x5a'));
  std::ofstream(folder.file("damaged.db"), std::ios::binary) << bytes;
  check_refused(restore_backup(folder.file("damaged.db"), folder.file("new.db"), {}), Code::corrupt,
                "", "damaged");
  CHECK_FALSE(is_file(folder.file("new.db")));
  CHECK_FALSE(is_file(folder.file("new.db-restoring")));
  // An office stands as it stood after all of this.
  const std::string before = content(folder.file());
  check_refused(restore_backup(folder.file("damaged.db"), folder.file(), {.replace = true}),
                Code::corrupt, "", "damaged");
  CHECK(content(folder.file()) == before);
}
