#pragma once

// A small sales office in memory: two teams, some people, the default pipeline.

#include <doctest/doctest.h>

#include <map>
#include <optional>

#include "basics.hpp"
#include "bureau/access/access.hpp"
#include "bureau/sales/sales.hpp"
#include "bureau/store/memory_storage.hpp"

namespace office {

using namespace bureau;

inline Money money(const char* text) { return must(Money::parse(text)); }
inline Timestamp at(const char* text) { return must(Timestamp::parse(text)); }

struct Office {
  ManualClock clock;
  SeededRandom random{7};
  std::unique_ptr<Database> database;
  std::unique_ptr<Access> access;
  Id<Tenant> tenant;
  std::map<std::string, Id<User>> people;
  std::map<std::string, Id<Team>> teams;

  explicit Office(Policies policies = {}) {
    DatabaseOptions options;
    options.storage = make_memory_storage(clock);
    options.clock = &clock;
    options.random = &random;
    must(Access::add_tables(options.catalog));
    must(sales::add_tables(options.catalog));
    database = must(Database::open(std::move(options)));
    must(sales::add_policies(policies));
    access = must(Access::open(*database, policies));
    tenant = must(access->create_tenant("Larkfield")).id;
    must(sales::create_default_pipeline(system()));
    for (const auto& [name, role] : std::map<std::string, std::string>{{"ada", "agent"},
                                                                       {"ben", "agent"},
                                                                       {"cora", "customer"},
                                                                       {"eve", "agent"},
                                                                       {"mia", "manager"},
                                                                       {"uma", "user"},
                                                                       {"vic", "viewer"}}) {
      User user;
      user.name = name;
      user.email = name + "@example.com";
      user.role = role;
      people[name] = must(Repository<User>{system()}.insert(user)).id;
    }
    team("north", {"ada", "ben"});
    team("south", {"eve"});
  }

  [[nodiscard]] Session system() { return access->system(tenant); }
  [[nodiscard]] Session as(const std::string& name) {
    return must(access->session(tenant, people.at(name)));
  }
  /// With the system's rights.
  [[nodiscard]] Deals desk() { return Deals{system()}; }

  void team(const std::string& name, const std::vector<std::string>& members) {
    Team made;
    made.name = name;
    teams[name] = must(Repository<Team>{system()}.insert(made)).id;
    for (const std::string& member : members) {
      Membership m;
      m.team = teams[name];
      m.user = people.at(member);
      must(Repository<Membership>{system()}.insert(m));
    }
  }

  [[nodiscard]] NewDeal draft(const char* value = "1000.00 USD") {
    NewDeal given;
    given.title = "Forty anvils";
    given.value = money(value);
    return given;
  }
  Deal open(const char* value = "1000.00 USD") { return must(desk().open(draft(value))); }
  [[nodiscard]] Id<Stage> stage(const std::string& name) {
    return must(Repository<Stage>{system()}.first(col(&Stage::name) == name))->id;
  }
  /// How many journal records there are: tells whether anything was written.
  std::int64_t changes() {
    std::int64_t head = 0;
    must(database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(head, database->journal_head(reader));
      return {};
    }));
    return head;
  }
};

/// The call is refused with this code, names this field, and writes nothing.
template <class F>
void refused(Office& office, Code code, const std::string& field, F&& call) {
  const std::int64_t before = office.changes();
  auto result = call();
  REQUIRE(!result);
  INFO(to_string(result.error()));
  CHECK(result.error().code == code);
  CHECK(result.error().field == field);
  CHECK_FALSE(result.error().message.empty());
  CHECK(office.changes() == before);
}

}  // namespace office
