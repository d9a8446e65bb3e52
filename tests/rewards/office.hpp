#pragma once

// A small office whose people earn something: deals by their owners, tickets by their assignees.

#include <doctest/doctest.h>

#include <map>
#include <optional>

#include "basics.hpp"
#include "bureau/access/access.hpp"
#include "bureau/rewards/rewards.hpp"
#include "bureau/sales/sales.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/support/tickets.hpp"
#include "bureau/work/agent_registry.hpp"
#include "bureau/work/orchestrator.hpp"
#include "bureau/work/task_policies.hpp"

namespace rewards_test {

using namespace bureau;

inline Timestamp at(const char* text) { return must(Timestamp::parse(text)); }
inline CivilDate day(const char* text) { return must(CivilDate::parse(text)); }

/// What a host counts in these tests.
enum class VisitState { planned, made, missed };

struct Visit {
  Id<Visit> id;
  Id<Tenant> tenant;
  VisitState state = VisitState::planned;
  std::optional<Id<User>> owner;
  std::int64_t value = 0;
  Json custom;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
/// The same, of which the journal does not say what was.
struct Call {
  Id<Call> id;
  Id<Tenant> tenant;
  std::string note;
  bool done = false;
  std::optional<Id<User>> owner;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

}  // namespace rewards_test

template <>
inline constexpr auto bureau::names<rewards_test::VisitState> = bureau::enum_names("planned",
                                                                                   "made",
                                                                                   "missed");
template <>
inline constexpr auto bureau::schema<rewards_test::Visit> = bureau::table(
    "visits", "vis", bureau::journal::full, bureau::column("id", &rewards_test::Visit::id),
    bureau::column("tenant", &rewards_test::Visit::tenant),
    bureau::column("state", &rewards_test::Visit::state),
    bureau::column("owner", &rewards_test::Visit::owner),
    bureau::column("value", &rewards_test::Visit::value),
    bureau::column("custom", &rewards_test::Visit::custom),
    bureau::column("version", &rewards_test::Visit::version),
    bureau::column("created_at", &rewards_test::Visit::created_at),
    bureau::column("updated_at", &rewards_test::Visit::updated_at));
template <>
inline constexpr auto bureau::schema<rewards_test::Call> = bureau::table(
    "calls", "cll", bureau::journal::after, bureau::column("id", &rewards_test::Call::id),
    bureau::column("tenant", &rewards_test::Call::tenant),
    bureau::column("note", &rewards_test::Call::note, bureau::max_length(100)),
    bureau::column("done", &rewards_test::Call::done),
    bureau::column("owner", &rewards_test::Call::owner),
    bureau::column("version", &rewards_test::Call::version),
    bureau::column("created_at", &rewards_test::Call::created_at),
    bureau::column("updated_at", &rewards_test::Call::updated_at));

namespace rewards_test {

/// What one program has open of an office.
struct Process {
  Process(std::shared_ptr<Storage> storage, Clock& clock, Random& random, LogSink log = {}) {
    DatabaseOptions options;
    options.storage = std::move(storage);
    options.clock = &clock;
    options.random = &random;
    options.log = std::move(log);
    must(Access::add_tables(options.catalog));
    must(add_task_tables(options.catalog));
    must(support::add_tables(options.catalog));
    must(sales::add_tables(options.catalog));
    must(rewards::add_tables(options.catalog));
    must(options.catalog.add(table_of<Visit>()));
    must(options.catalog.add(table_of<Call>()));
    database = must(Database::open(std::move(options)));
    Policies policies;
    must(add_task_policies(policies));
    must(support::add_policies(policies));
    must(sales::add_policies(policies));
    must(rewards::add_policies(policies));
    for (const char* table : {"visits", "calls"}) {
      Policy all;
      all.name = "all";
      all.table = table;
      all.using_rule = Rule::always();
      must(policies.add(std::move(all)));
    }
    access = must(Access::open(*database, policies));
  }
  std::unique_ptr<Database> database;
  std::unique_ptr<Access> access;
};

struct Office {
  ManualClock clock;
  SeededRandom random{7};
  std::shared_ptr<Storage> storage = make_memory_storage(clock);
  Process process{storage, clock, random};
  Id<Tenant> tenant = must(process.access->create_tenant("Larkfield")).id;
  std::map<std::string, Id<User>> people;

  Office() {
    for (const auto& [name, role] : std::map<std::string, std::string>{{"ada", "agent"},
                                                                       {"ben", "agent"},
                                                                       {"cora", "customer"},
                                                                       {"eve", "user"},
                                                                       {"mia", "manager"},
                                                                       {"vic", "viewer"}}) {
      User user;
      user.name = name;
      user.email = name + "@example.com";
      user.role = role;
      people[name] = must(Repository<User>{system()}.insert(user)).id;
    }
  }

  [[nodiscard]] Session system() { return process.access->system(tenant); }
  [[nodiscard]] Session as(const std::string& name) {
    return must(process.access->session(tenant, people.at(name)));
  }
  [[nodiscard]] Achievements achievements() { return Achievements{system()}; }
  [[nodiscard]] Points points() { return Points{system()}; }
  [[nodiscard]] Streaks streaks() { return Streaks{system()}; }

  Visit visit(const std::string& owner, VisitState state = VisitState::made) {
    Visit row;
    row.state = state;
    if (!owner.empty()) row.owner = people.at(owner);
    return must(Repository<Visit>{system()}.insert(row));
  }
  Visit set(Visit row, VisitState state) {
    row.state = state;
    return must(Repository<Visit>{system()}.update(row));
  }
  void remove(const Visit& row) { must(Repository<Visit>{system()}.remove(row.id)); }
  RewardsEvaluated evaluate() { return must(rewards::catch_up(system())); }
  std::int64_t points_of(const std::string& name) {
    return must(points().of(people.at(name))).points;
  }
  std::optional<UserAchievement> has(const std::string& name, const std::string& key) {
    const auto achievement = must(achievements().find(key));
    return must(Repository<UserAchievement>{system()}.first(
        col(&UserAchievement::user) == people.at(name) &&
        col(&UserAchievement::achievement) == achievement.id));
  }
  /// How many journal records there are: tells whether anything was written.
  std::int64_t changes() {
    std::int64_t head = 0;
    must(process.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(head, process.database->journal_head(reader));
      return {};
    }));
    return head;
  }
};

inline Criteria made_visits() {
  return {"visits", CountedChange::any, "state = \"made\"", "owner"};
}

inline NewAchievement visitor(std::int64_t target = 3) {
  NewAchievement given;
  given.key = "visitor";
  given.name = "Visitor";
  given.points = 50;
  given.criteria = made_visits();
  given.target = target;
  return given;
}
inline NewPointRule visit_rule() {
  NewPointRule given;
  given.key = "visit";
  given.name = "A visit";
  given.criteria = made_visits();
  given.points = 10;
  return given;
}

/// The call is refused with this code, names this field, says this, and writes nothing.
template <class F>
void refused(Office& office, Code code, const std::string& field, const std::string& text,
             F&& call) {
  const std::int64_t before = office.changes();
  auto result = call();
  REQUIRE(!result);
  INFO(to_string(result.error()));
  CHECK(result.error().code == code);
  CHECK(result.error().field == field);
  CHECK(result.error().message.find(text) != std::string::npos);
  CHECK(office.changes() == before);
}

}  // namespace rewards_test
