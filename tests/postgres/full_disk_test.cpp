// A server whose disk fills up while an office moves there.

#include <sys/stat.h>

#include "bureau/store/move.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "bureau/store/verify.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "small_disk.hpp"
#include "store/small_office.hpp"

using namespace bureau;
using postgres_test::Client;
using small_office::Office;

namespace {

/// A place of the server's on a disk of its own, for databases that are made in it.
class Tablespace {
 public:
  Tablespace(postgres_test::Server& server, const SmallDisk& disk) : admin_(server.admin()) {
    struct stat data {};
    REQUIRE(::stat((server.folder() + "/data").c_str(), &data) == 0);
    // The folders above are the test's own.
    const auto parent = std::filesystem::path(disk.folder()).parent_path();
    REQUIRE(::chmod(parent.c_str(), 0711) == 0);
    REQUIRE(::chown(disk.folder().c_str(), data.st_uid, data.st_gid) == 0);
    admin_.ask("CREATE TABLESPACE small LOCATION '" + disk.folder() + "'");
    admin_.ask("GRANT CREATE ON TABLESPACE small TO PUBLIC");
  }
  ~Tablespace() { admin_.state_of("DROP TABLESPACE small"); }
  Tablespace(const Tablespace&) = delete;
  Tablespace& operator=(const Tablespace&) = delete;

 private:
  Client admin_;
};

std::shared_ptr<Storage> open_file(const std::string& path) {
  SqliteOptions options;
  options.path = path;
  return must(open_sqlite(options));
}

std::shared_ptr<Storage> open_server(const std::string& connection) {
  PostgresOptions options;
  options.connection = connection;
  return must(open_postgres(std::move(options)));
}

template <class T>
void check_full(const Result<T>& result) {
  REQUIRE_FALSE(result);
  CAPTURE(result.error().message);
  CHECK(result.error().code == Code::unavailable);
  CHECK(result.error().message.find("space") != std::string::npos);
}

}  // namespace

TEST_CASE(
    "A move to a server whose disk is full leaves no office, and goes on once there is room") {
  BUREAU_NEED_POSTGRES(server);
  BUREAU_NEED_SMALL_DISK(disk);
  const Tablespace tablespace(server, disk);
  const auto database = server.create_database("TABLESPACE small");
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(40);
  office.add_parcels(20000);
  const auto there = open_server(database.conninfo());
  disk.leave(1 << 20);
  check_full(move_office(office.storage(), *there));
  DatabaseOptions options;
  options.storage = there;
  const auto opened = Database::open(options);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::unavailable);
  disk.leave(64 << 20);
  const auto report = must(move_office(office.storage(), *there));
  CHECK(report.moved + report.found == report.office.rows());
  CHECK(
      compare_digests(must(digest_office(office.storage())), must(digest_office(*there))).empty());
  Office(there, 5).make_history(3);
}
