// The command line on a server, as its user meets it.

#ifdef BUREAU_CLI

#include <fmt/format.h>
#include <stdlib.h>

#include <array>
#include <cstdio>
#include <string>

#include "postgres/client.hpp"
#include "postgres/fixture.hpp"
#include "postgres/pooler.hpp"

namespace {

struct Said {
  int code = 0;
  std::string text;
};

Said bureau_says(const std::string& arguments) {
  Said said;
  const std::string command = fmt::format("{} {} 2>&1", BUREAU_CLI, arguments);
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> some{};
  while (const std::size_t n = std::fread(some.data(), 1, some.size(), pipe)) {
    said.text.append(some.data(), n);
  }
  said.code = WEXITSTATUS(::pclose(pipe));
  return said;
}

std::string url_of(const postgres_test::Address& at) {
  return fmt::format("postgresql://{}:{}@{}:{}/{}", at.user, at.password, at.host, at.port,
                     at.database);
}

}  // namespace

TEST_CASE("A password is not shown, not even one that looks like the end of the URL") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  postgres_test::Address at = database.address();
  postgres_test::Client admin(database.admin());
  at.user = "clerk";
  at.password = "quince?medlar:sorb";
  admin.ask(fmt::format("CREATE ROLE clerk LOGIN PASSWORD '{}'", at.password));
  admin.ask("GRANT CREATE ON DATABASE " + at.database + " TO clerk");
  const std::string shown =
      fmt::format("postgresql://{}@{}:{}/{}:", at.user, at.host, at.port, at.database);
  int tenants = 0;
  for (const std::string query :
       {"", "?password=quince%3Fmedlar%3Asorb", "?application_name=a@b"}) {
    const Said made =
        bureau_says(fmt::format("--office '{}{}' init --name t{}", url_of(at), query, ++tenants));
    CAPTURE(query);
    CAPTURE(made.text);
    CHECK(made.text.find(shown) != std::string::npos);
    for (const char* part : {"quince", "medlar", "sorb", "a@b"}) {
      CHECK(made.text.find(part) == std::string::npos);
    }
  }
  admin.ask("DROP OWNED BY clerk; DROP ROLE clerk");
}

TEST_CASE("An office on a server is made, filled and worked by the command line") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  const postgres_test::Address& at = database.address();
  ::setenv("BUREAU_OFFICE", url_of(at).c_str(), 1);

  const Said early = bureau_says("tickets list");
  CHECK(early.code == 1);
  CHECK(early.text.find("run `bureau init`") != std::string::npos);

  const Said made = bureau_says("init --name Larkfield");
  CAPTURE(made.text);
  CHECK(made.code == 0);
  CHECK(made.text.find("Larkfield") != std::string::npos);
  CHECK(made.text.find(at.password) == std::string::npos);

  for (const std::string command :
       {"tasks list", "tickets list --format json", "agents list", "stats", "ps"}) {
    const Said said = bureau_says(command);
    CAPTURE(command);
    CAPTURE(said.text);
    CHECK(said.code == 0);
  }
  const Said file_only = bureau_says("doctor");
  CHECK(file_only.code != 0);
  CHECK(file_only.text.find("on a server") != std::string::npos);
  ::unsetenv("BUREAU_OFFICE");
}

TEST_CASE("The command line works through a pooler that is told where the server is") {
  BUREAU_NEED_POSTGRES(server);
  BUREAU_NEED_POOLER();
  const auto database = server.create_database();
  const postgres_test::Pooler pooler(database.address(), "transaction", 4);
  const std::string office = url_of(pooler.in_front_of(database.address()));
  const Said alone = bureau_says("--office " + office + " init");
  CHECK(alone.code == 1);
  CHECK(alone.text.find("direct") != std::string::npos);
  const std::string both = "--office " + office + " --direct " + url_of(database.address());
  const Said made = bureau_says(both + " init --name Larkfield");
  CAPTURE(made.text);
  CHECK(made.code == 0);
  CHECK(bureau_says(both + " sql 'SELECT name FROM tenants'").text.find("Larkfield") !=
        std::string::npos);
}

TEST_CASE("Policies of the whole office are SQL that the server takes") {
  BUREAU_NEED_POSTGRES(server);
  const auto database = server.create_database();
  ::setenv("BUREAU_OFFICE", url_of(database.address()).c_str(), 1);
  CHECK(bureau_says("init --name Larkfield").code == 0);
  const Said user =
      bureau_says("create users name=Ann email=ann@example.com role=agent status=active");
  CAPTURE(user.text);
  REQUIRE(user.code == 0);
  postgres_test::Client admin(database.admin()), owner(database.address());
  const std::string ann = owner.ask("SELECT id FROM bureau.users");
  const std::string tenant = owner.ask("SELECT id FROM bureau.tenants");
  CHECK(bureau_says("policies --role desk").code == 2);
  CHECK(bureau_says("policies --sql").code == 2);
  CHECK(bureau_says("policies --sql --role desk --login ann").text.find("LOGIN=USER") !=
        std::string::npos);
  const Said made = bureau_says("policies --sql --role desk");
  REQUIRE(made.code == 0);
  admin.ask("CREATE ROLE desk");
  owner.ask(made.text);
  CHECK(std::stoi(owner.ask("SELECT count(DISTINCT polrelid) FROM pg_policy")) > 30);
  // Every table that may be read at all can be, and the server can plan all policies at once.
  admin.ask("SET ROLE desk; SET bureau.acting_tenant = '" + tenant +
            "'; SET bureau.acting_user = '" + ann + "'");
  admin.ask(
      "DO $$ DECLARE one record; BEGIN FOR one IN SELECT DISTINCT relname FROM pg_class"
      " WHERE relnamespace='bureau'::regnamespace AND has_any_column_privilege(oid, 'select') LOOP"
      " EXECUTE format('SELECT count(*) FROM bureau.%I', one.relname); END LOOP; END $$");
  CHECK(admin.ask("SELECT count(*) FROM bureau.users") == "1");
  CHECK(admin.ask("SELECT count(*) FROM bureau.ticket_statuses") != "0");
  admin.ask("RESET ROLE");
  CHECK(bureau_says("tickets list").code == 0);
  owner.ask(bureau_says("policies --sql --role desk --remove").text);
  CHECK(owner.ask("SELECT count(*) FROM pg_policy") == "0");
  admin.ask("DROP OWNED BY desk; DROP ROLE desk");
  ::unsetenv("BUREAU_OFFICE");
}

#endif
