#pragma once

// A small office in memory: two teams, some people, a customer or two.

#include <doctest/doctest.h>

#include <map>
#include <optional>

#include "basics.hpp"
#include "bureau/access/access.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/support/support.hpp"
#include "bureau/work/task_policies.hpp"

namespace office {

using namespace bureau;

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
    must(add_task_tables(options.catalog));
    must(support::add_tables(options.catalog));
    database = must(Database::open(std::move(options)));
    must(add_task_policies(policies));
    must(support::add_policies(policies));
    access = must(Access::open(*database, policies));
    tenant = must(access->create_tenant("Larkfield")).id;
    must(support::create_default_statuses(system()));
    for (const auto& [name, role] : std::map<std::string, std::string>{{"cora", "customer"},
                                                                       {"carl", "customer"},
                                                                       {"ada", "agent"},
                                                                       {"ben", "agent"},
                                                                       {"eve", "agent"},
                                                                       {"mia", "manager"},
                                                                       {"amy", "admin"},
                                                                       {"vic", "viewer"},
                                                                       {"uma", "user"}}) {
      person(name, role);
    }
    team("money", {"refund", "invoice"}, {"ada", "ben"});
    team("parcels", {"delivery"}, {"eve"});
  }

  [[nodiscard]] Session system() { return access->system(tenant); }
  [[nodiscard]] Session as(const std::string& name) {
    return must(access->session(tenant, people.at(name)));
  }
  /// With the system's rights.
  [[nodiscard]] Tickets desk() {
    if (!session_) session_ = system();
    return Tickets{*session_};
  }

  Id<User> person(const std::string& name, const std::string& role) {
    User user;
    user.name = name;
    user.email = name + "@example.com";
    user.role = role;
    user.status = UserStatus::active;
    const Session s = system();
    return people[name] = must(Repository<User>{s}.insert(user)).id;
  }
  Id<Team> team(const std::string& name, std::vector<std::string> skills,
                const std::vector<std::string>& members, std::int64_t capacity = 0) {
    Team made;
    made.name = name;
    made.skills = std::move(skills);
    const Session s = system();
    teams[name] = must(Repository<Team>{s}.insert(made)).id;
    for (const std::string& member : members) {
      Membership m;
      m.team = teams[name];
      m.user = people.at(member);
      m.capacity = capacity;
      must(Repository<Membership>{s}.insert(m));
    }
    return teams[name];
  }

  Ticket open(const std::string& customer = "cora", const std::string& body = "Where is it?") {
    NewTicket given;
    given.body = body;
    given.customer = people.at(customer);
    return must(desk().open(given));
  }
  /// A ticket that was triaged.
  Ticket triaged(const std::string& category, const std::string& customer = "cora") {
    const Ticket made = open(customer);
    return must(desk().classify(made.id, category, 0.9, Priority::normal));
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
  std::int64_t load(const std::string& name) {
    const Session s = system();
    auto row = Repository<Workload>{s}.find(Id<Workload>(people.at(name).value));
    return row ? row->open_tickets : 0;
  }

 private:
  std::optional<Session> session_;  // repositories refer to it
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
