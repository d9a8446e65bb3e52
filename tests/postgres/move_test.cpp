// Moves between SQLite and a server, and what comes in between.

#include "bureau/store/move.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "bureau/store/postgres_storage.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "store/small_office.hpp"

using bureau::Code;
using bureau::Result;
using bureau::Storage;
using small_office::Office;

namespace {

std::shared_ptr<Storage> open_server(const std::string& connection) {
  bureau::PostgresOptions options;
  options.connection = connection;
  return must(bureau::open_postgres(std::move(options)));
}

std::shared_ptr<Storage> open_file(const std::string& path) {
  return must(bureau::open_sqlite({.path = path}));
}

void check_same(Storage& one, Storage& other) {
  for (const std::string& text :
       compare_digests(must(digest_office(one)), must(digest_office(other)))) {
    FAIL_CHECK(text);
  }
}

bool is_office(const std::shared_ptr<Storage>& storage) {
  bureau::DatabaseOptions options;
  options.storage = storage;
  return bureau::Database::open(std::move(options)).has_value();
}

}  // namespace

TEST_CASE("An office moves to a server, works there, and moves back") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(60);
  office.add_parcels(200);
  const auto there = open_server(database.conninfo());
  const auto report = must(move_office(office.storage(), *there));
  CHECK(report.moved == report.office.rows());
  CHECK(report.office.sequence == office.head());
  check_same(office.storage(), *there);

  Office works(there, 5);
  CHECK(works.head() == office.head());
  works.make_history(10);
  CHECK(works.head() > office.head());
  const auto back = open_file(folder.file("back.db"));
  must(move_office(*there, *back));
  check_same(*there, *back);
  Office home(back, 6);
  home.make_history(3);
  CHECK(home.head() > works.head());
}

TEST_CASE("A move whose connections are cut at any time goes on, and makes nothing twice") {
  BUREAU_NEED_POSTGRES(server);
  const Folder folder;
  Office office(open_file(folder.file()));
  office.make_history(40);
  office.add_parcels(3000);
  for (int cut = 1; cut <= 8; ++cut) {
    CAPTURE(cut);
    const auto database = server.create_database();
    {
      const auto there = open_server(database.conninfo());
      int steps = 0;
      bureau::MoveOptions options;
      options.progress = [&](const bureau::Progress&) {
        if (++steps == cut) {
          postgres_test::Client(server.admin())
              .ask(
                  "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                  "usename='tester'");
        }
        return steps < cut + 2;
      };
      (void)move_office(office.storage(), *there, options);
    }
    const auto there = open_server(database.conninfo());
    if (cut < 8) CHECK_FALSE(is_office(there));
    must(move_office(office.storage(), *there));
    check_same(office.storage(), *there);
    CHECK(is_office(there));
  }
}

TEST_CASE("A process that is killed in a move leaves no office, and another goes on") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const Folder folder;
  {
    Office office(open_file(folder.file()));
    office.make_history(40);
    office.add_parcels(500);
  }
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int steps = 0;
    bureau::MoveOptions options;
    options.progress = [&](const bureau::Progress&) {
      if (++steps == 4) ::raise(SIGKILL);
      return true;
    };
    const auto from = bureau::open_sqlite({.path = folder.file()});
    bureau::PostgresOptions to;
    to.connection = database.conninfo();
    const auto there = bureau::open_postgres(std::move(to));
    (void)move_office(**from, **there, options);
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  const auto there = open_server(database.conninfo());
  CHECK_FALSE(is_office(there));
  const auto source = open_file(folder.file());
  const auto report = must(move_office(*source, *there));
  CHECK(report.found > 0);
  check_same(*source, *there);
  CHECK(is_office(there));
}
