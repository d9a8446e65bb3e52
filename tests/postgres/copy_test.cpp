// Rows that go to the server as a COPY: many at a time, all or none of them.

#include <doctest/doctest.h>

#include "postgres/faults.hpp"

namespace {

using namespace postgres_test;
using bureau::Code;
using bureau::Result;
using bureau::Storage;
using bureau::Value;
using bureau::Writer;
using fixture::code_of;
using sample::Crew;

constexpr std::int64_t many = 1'500;
constexpr std::int64_t middle = many / 2;

std::string name_of(std::int64_t id) {
  return "crew " + std::to_string(id) + std::string(100, 'x');
}

/// The crews from 1 to `many`, in one call.
Result<void> add_many(Writer& writer) {
  const bureau::TableInfo& table = bureau::table_of<Crew>();
  std::vector<Crew> crews(static_cast<std::size_t>(many));
  std::vector<bureau::detail::Scratch> scratches(crews.size());
  std::vector<Value> values(crews.size() * table.width());
  for (std::size_t i = 0; i < crews.size(); ++i) {
    const auto id = static_cast<std::int64_t>(i) + 1;
    crews[i].id = bureau::Id<Crew>(id);
    crews[i].name = name_of(id);
    crews[i].owner = "owner " + std::to_string(id);
    if (id % 3 == 0) crews[i].code = -id;
    crews[i].active = id % 2 == 0;
    to_values(crews[i], std::span(values).subspan(i * table.width(), table.width()), scratches[i]);
  }
  return writer.insert(table, values);
}

bool all_there(Storage& storage) {
  const auto crews = fixture::all<Crew>(storage, bureau::select<Crew>());
  if (crews.size() != static_cast<std::size_t>(many)) return false;
  std::int64_t id = 0;
  for (const Crew& crew : crews) {
    ++id;
    const auto code = id % 3 == 0 ? std::optional(-id) : std::nullopt;
    if (crew.id.value != id || crew.name != name_of(id) || crew.code != code ||
        crew.active != (id % 2 == 0)) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("Many rows arrive as they were given") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  must(office->write({}, add_many));
  CHECK(all_there(*office));
}

TEST_CASE(
    "One of many whose id is taken: `exists`, none of them is there, and the closure goes on") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  must(fixture::add_crew(*office, middle, "was here before"));
  const auto refused = office->write({}, add_many);
  REQUIRE(!refused);
  CHECK(refused.error().code == Code::exists);
  CHECK(refused.error().field == "id");
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{middle});

  must(office->write({}, [](Writer& writer) -> Result<void> {
    CHECK(code_of(add_many(writer)) == "exists");
    return fixture::add_crew(writer, many + 1, "after it");
  }));
  CHECK(fixture::crew_ids(*office) == std::vector<std::int64_t>{middle, many + 1});
}

TEST_CASE("G2_A connection cut within a COPY: all of it is there, or nothing") {
  BUREAU_NEED_POSTGRES(server);
  for (const auto when : {Proxy::Cut::before, Proxy::Cut::after}) {
    for (const bool for_good : {false, true}) {
      CAPTURE(for_good);
      const Database database = server.create_database();
      Proxy proxy(server.admin().port);
      const auto office = open(through(proxy, database.address()));
      proxy.cut_at(Proxy::From::client, "crew " + std::to_string(middle), when, for_good);
      bureau::WriteOptions options;
      options.deadline = bureau::Clock::system().monotonic() + std::chrono::seconds(20);
      const auto written = office->write(options, add_many);
      CHECK(proxy.wait_until_cut());
      // What was not committed can be made again, where there is a server.
      CHECK(code_of(written) == (for_good ? "unavailable" : "success"));
      proxy.refuse(false);
      if (for_good) {
        CHECK(fixture::crew_ids(*office).empty());
      } else {
        CHECK(all_there(*office));
      }
      must(fixture::add_crew(*office, many + 1, "after it"));
    }
  }
}

TEST_CASE("A COPY that waits for a lock at its deadline is ended on the server too") {
  BUREAU_NEED_POSTGRES(server);
  const Database database = server.create_database();
  const auto office = open(database.address());
  Client holder(database.address());
  holder.ask("BEGIN");
  holder.ask("LOCK TABLE bureau.exercise_crews IN ACCESS EXCLUSIVE MODE");
  bureau::WriteOptions options;
  options.deadline = bureau::Clock::system().monotonic() + std::chrono::milliseconds(200);
  CHECK(code_of(office->write(options, add_many)) == "deadline");
  Client admin(server.admin());
  while (admin.ask("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0") {
  }
  holder.ask("ROLLBACK");
  CHECK(fixture::crew_ids(*office).empty());
  must(office->write({}, add_many));
  CHECK(all_there(*office));
}
