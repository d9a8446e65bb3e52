// Several hosts, of which one takes writes; and a standby that takes over, with all that was
// committed or without the last of it.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <string>
#include <vector>

#include "bureau/engine.hpp"
#include "postgres/faults.hpp"
#include "store/journal_leap.hpp"

namespace {

using namespace postgres_test;
using bureau::Code;
using bureau::Result;
using bureau::Team;
using fixture::code_of;
using std::chrono::milliseconds;

/// Both on loopback, the first one asked first.
Address both(Address first, int second_port) {
  first.host = "127.0.0.1,127.0.0.1";
  first.more = fmt::format("port={},{}", first.port, second_port);
  return first;
}

/// Runs the query there until it gives this.
void wait_until(const Address& address, const std::string& query, const std::string& answer) {
  Client client(address);
  for (int i = 0; client.ask(query) != answer; ++i) {
    REQUIRE_MESSAGE(i < 1200, query);
    client.ask("SELECT pg_sleep(0.1)");
  }
}

/// What was written is on the standby.
void catch_up(const Server& primary, const Server& standby) {
  const std::string written = Client(primary.admin()).ask("SELECT pg_current_wal_lsn()");
  wait_until(standby.admin(), "SELECT pg_last_wal_replay_lsn() >= '" + written + "'", "t");
}

}  // namespace

TEST_CASE("Of several hosts the next is asked when one refuses or does not answer") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy proxy(database.address().port);
  Address address = database.address();
  address.port = proxy.port();
  auto options = options_for(both(address, database.address().port));
  options.connect_timeout = std::chrono::seconds(2);
  SUBCASE("the first refuses") { proxy.refuse(true); }
  SUBCASE("the first does not answer") { proxy.stall(); }
  SUBCASE("the first is found silent later") {
    const auto office = open(options);
    must(fixture::add_crew(*office, 1, "ada"));
    proxy.refuse(true);
    proxy.cut();
    must(fixture::add_crew(*office, 2, "bob"));
    CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1, 2});
    return;
  }
  const auto office = open(options);
  must(fixture::add_crew(*office, 1, "ada"));
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1});
  // Where it was found is where it is looked for.
  const std::size_t asked = proxy.connections();
  Client(server.admin())
      .ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname='" +
           address.database + "'");
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1});
  CHECK(proxy.connections() == asked);
}

TEST_CASE("Where none of several hosts is a server, the error says so of each") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  Proxy silent(database.address().port), closed(database.address().port);
  silent.stall();
  closed.refuse(true);
  Address address = database.address();
  address.port = silent.port();
  auto options = options_for(both(address, closed.port()));
  options.connect_timeout = milliseconds(200);
  const auto opened = bureau::open_postgres(options);
  REQUIRE(!opened);
  const bureau::Error& error = opened.error();
  CHECK(error.code == Code::unavailable);
  CHECK_MESSAGE(says(error, "no answer"), error.message);
  CHECK_MESSAGE(says(error, std::to_string(closed.port())), error.message);
  CHECK_FALSE(says(error, address.password));
}

TEST_CASE("A standby is passed over until it has taken over") {
  BUREAU_NEED_STANDBY();
  Server primary;
  const Database database = primary.create_database();
  Server standby({.primary = &primary});
  primary.wait_for_standby();
  // The standby stands first.
  Address address = database.address();
  address.port = standby.admin().port;
  const auto options = options_for(both(address, database.address().port));
  const auto office = open(options);
  must(fixture::add_crew(*office, 1, "ada"));
  catch_up(primary, standby);

  auto alone = options_for(database.address());
  alone.connection += " port=" + std::to_string(standby.admin().port);
  const auto refused = bureau::open_postgres(alone);
  REQUIRE(!refused);
  CHECK(refused.error().code == Code::unavailable);

  primary.crash();
  standby.promote();
  must(fixture::add_crew(*office, 2, "bob"));
  must(fixture::add_crew(*open(options), 3, "eve"));
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1, 2, 3});
}

TEST_CASE("Writes that meet a standby are refused until it has taken over, and numbers leap then") {
  BUREAU_NEED_STANDBY();
  Server primary;
  const Database database = primary.create_database();
  std::int64_t last = 0;
  const auto draw = [&](bureau::Storage& office) {
    return office.write({}, [&](bureau::Writer& writer) -> Result<void> {
      BUREAU_TRY(last, writer.draw_sequence(1));
      return {};
    });
  };
  // One name for both, which a proxy stands for.
  Proxy name(database.address().port);
  Address address = database.address();
  address.port = name.port();
  const auto office = open(options_for(address));
  must(draw(*office));
  const std::int64_t drawn = last;
  const std::uint64_t losses = office->losses();
  Server standby({.primary = &primary});
  catch_up(primary, standby);
  primary.crash();
  name.lead_to(standby.admin().port);
  const auto refused = draw(*office);
  REQUIRE(!refused);
  CHECK_MESSAGE(refused.error().code == Code::unavailable, refused.error().message);
  CHECK(fixture::crew_ids(*office).empty());  // and the connection is kept
  CHECK(office->losses() > losses);
  standby.promote();
  must(draw(*office));
  CHECK(last >= drawn + bureau::detail::journal_leap);
  must(draw(*office));
  CHECK(last < drawn + bureau::detail::journal_leap + 1000);
}

TEST_CASE("A server that only follows from now on is left, whatever it was") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  must(fixture::add_crew(*office, 1, "ada"));
  Client owner(server.admin());
  // Its sessions go on and refuse to write; new ones do not.
  const std::string set = "ALTER ROLE tester IN DATABASE " + database.address().database + " ";
  owner.ask(set + "SET default_transaction_read_only=on");
  Client(server.admin())
      .ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname='" +
           database.address().database + "'");
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1});
  const auto refused = fixture::add_crew(*office, 2, "bob");
  REQUIRE(!refused);
  CHECK(refused.error().code == Code::unavailable);
  CHECK_MESSAGE(says(refused.error(), "read-only"), refused.error().message);
  owner.ask(set + "RESET default_transaction_read_only");
  must(fixture::add_crew(*office, 2, "bob"));
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("G9_Subscribers are told that a standby lacks what they heard, and of all that follows") {
  BUREAU_NEED_STANDBY();
  Server primary;
  const Database database = primary.create_database();
  Server standby({.primary = &primary});
  bureau::ManualClock clock;
  auto options = options_for(both(database.address(), standby.admin().port));
  options.clock = &clock;
  bureau::EngineOptions of_engine;
  of_engine.storage = must(bureau::open_postgres(options));
  of_engine.clock = &clock;
  const auto engine = must(bureau::Engine::open(of_engine));
  const auto tenant = must(engine->access().create_tenant("Larkfield")).id;
  using Heard = std::vector<std::string>;
  const auto hear = [](Heard& heard, std::int64_t& last) {
    return [&](const bureau::RowEvent<Team>& event) {
      heard.push_back(event.after ? event.after->name : std::string(to_string(event.kind)));
      last = event.sequence;
    };
  };
  const auto add = [&](const std::string& name) {
    Team team;
    team.name = name;
    must(bureau::Repository<Team>(engine->system(tenant)).insert(team));
  };
  const auto settle = [&] {
    for (int quiet = 0; quiet < 3; ++quiet) {
      while (engine->feed().pump()) {
      }
    }
  };
  Heard heard, early;
  std::int64_t last = 0, last_early = 0;
  const auto listener =
      must(engine->feed().subscribe<Team>(engine->system(tenant), {}, hear(heard, last)));
  auto leaver =
      must(engine->feed().subscribe<Team>(engine->system(tenant), {}, hear(early, last_early)));
  add("kept");
  settle();
  leaver.end();
  catch_up(primary, standby);
  standby.stop();
  for (int i = 0; i < 50; ++i) add(fmt::format("lost {}", i));
  settle();
  CHECK(heard.size() == 51);
  const std::int64_t last_lost = last;

  primary.crash();
  standby.start();
  standby.promote();
  heard.clear();
  // Fewer than were lost: numbers that go on where the standby stood would be passed over.
  add("after");
  settle();
  CHECK(fmt::format("{}", fmt::join(heard, " ")) == "resync after");
  CHECK(last > last_lost);

  // Whoever comes again knows how far it was.
  Heard again, at_ease;
  const auto one = must(
      engine->feed().subscribe<Team>(engine->system(tenant), {{}, last_lost}, hear(again, last)));
  const auto other = must(engine->feed().subscribe<Team>(engine->system(tenant), {{}, last_early},
                                                         hear(at_ease, last)));
  settle();
  CHECK(fmt::format("{}", fmt::join(again, " ")) == "resync after");
  CHECK(fmt::format("{}", fmt::join(at_ease, " ")) == "after");
}
