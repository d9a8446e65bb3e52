// Restores and moves onto a disk that fills up: an error that says so, nothing half there, and all
// of it once there is room.

#include <sys/stat.h>

#include "bureau/store/backup.hpp"
#include "bureau/store/move.hpp"
#include "bureau/store/verify.hpp"
#include "small_disk.hpp"
#include "store/small_office.hpp"
#include "store/sqlite_fixture.hpp"

using namespace bureau;
using small_office::Office;

namespace {

constexpr std::uint64_t little = 256 * 1024;
constexpr std::uint64_t plenty = 64 << 20;

std::shared_ptr<Storage> open_file(const std::string& path) {
  SqliteOptions options;
  options.path = path;
  return must(open_sqlite(options));
}

void check_same(Storage& one, Storage& other) {
  for (const std::string& text :
       compare_digests(must(digest_office(one)), must(digest_office(other)))) {
    FAIL_CHECK(text);
  }
}

template <class T>
void check_full(const Result<T>& result) {
  REQUIRE_FALSE(result);
  CAPTURE(result.error().message);
  CHECK(result.error().code == Code::unavailable);
  CHECK(result.error().message.find("full") != std::string::npos);
}

std::uint64_t size_of(const std::string& path) {
  return static_cast<std::uint64_t>(std::filesystem::file_size(path));
}

}  // namespace

TEST_CASE("a restore onto a full disk leaves no office, and is made once there is room") {
  BUREAU_NEED_SMALL_DISK(disk);
  const Folder folder;
  Office office(open_file(folder.file()));
  office.add_parcels(3000);
  const std::string backup = folder.file("backup.db");
  must(office.storage().back_up(backup, {.share = 1}));
  RestoreOptions options;
  SUBCASE("that has no room for the backup") { disk.leave(little); }
  SUBCASE("that has none for what came after it") {
    office.add_parcels(20000);
    options.history = &office.storage();
    disk.leave(size_of(backup) + little);
  }
  check_full(restore_backup(backup, disk.file(), options));
  CHECK_FALSE(std::filesystem::exists(disk.file()));
  disk.leave(plenty);
  must(restore_backup(backup, disk.file(), options));
  Office restored(open_file(disk.file()), 5);
  CHECK(restored.head() == (options.history != nullptr ? office.head() : 3000));
  restored.make_history(3);
}

TEST_CASE("an office whose disk is full stays what it is when it cannot be replaced") {
  BUREAU_NEED_SMALL_DISK(disk);
  const Folder folder;
  const std::string backup = folder.file("backup.db");
  {
    Office other(open_file(folder.file()));
    other.add_parcels(3000);
    must(other.storage().back_up(backup, {.share = 1}));
  }
  std::int64_t head = 0;
  {
    Office office(open_file(disk.file()), 5);
    office.make_history(20);
    head = office.head();
  }
  disk.leave(little);
  check_full(restore_backup(backup, disk.file(), {.replace = true}));
  CHECK(Office(open_file(disk.file()), 6).head() == head);
  disk.leave(plenty);
  const auto report = must(restore_backup(backup, disk.file(), {.replace = true}));
  CHECK(Office(open_file(disk.file()), 6).head() == 3000);
  CHECK(Office(open_file(report.put_aside), 6).head() == head);
}

TEST_CASE("a move onto a full disk leaves no office, and goes on once there is room") {
  BUREAU_NEED_SMALL_DISK(disk);
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(40);
  office.add_parcels(20000);
  const auto there = open_file(disk.file());
  disk.leave(4 * little);
  check_full(move_office(office.storage(), *there));
  DatabaseOptions options;
  options.storage = there;
  CHECK(fixture::code_of(Database::open(options)) == "unavailable");
  disk.leave(plenty);
  const auto report = must(move_office(office.storage(), *there));
  CHECK(report.moved + report.found == report.office.rows());
  check_same(office.storage(), *there);
  Office(there, 5).make_history(3);
}
