// The four jobs that an office does for itself, and their recurring.

#include "bureau/work/housekeeping.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "counts.hpp"
#include "work/housekeeping_jobs.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

Timestamp at(std::string_view text) { return must(Timestamp::parse(text)); }

/// A machine that reads what it is told.
class TestMachine : public HostMachine {
 public:
  MachineReading read() override { return reading; }
  MachineReading reading;
};

class Adder : public AgentOf<add_up> {
 public:
  using AgentOf::execute;
  Result<Total> execute(Run&, const Sum& sum) override { return Total{sum.a + sum.b}; }
};

/// An office that keeps house, on a clock that is set by hand.
struct House {
  explicit House(std::string_view start = "2026-03-02T00:00:30Z") {
    office.clock.step(at(start) - office.clock.now());
    must(orchestrator.add(std::make_shared<HousekeepingAgent>(
        *office.process.access, HousekeepingOptions{.machine = machine, .batch = 3})));
    must(orchestrator.add(std::make_shared<Adder>()));
    must(orchestrator.start());
  }
  void work() {
    orchestrator.notice();
    for (int i = 0; must(orchestrator.duties()) <= office.clock.monotonic(); ++i) {
      REQUIRE(i < 1000);
    }
    while (must(orchestrator.step())) {
    }
  }
  void pass(Duration time) {
    office.clock.advance(time);
    work();
  }
  template <class Payload, class Output>
  Task run(const TaskKind<Payload, Output>& kind, const Payload& payload) {
    const Task task = must(office.tasks().enqueue(kind, payload));
    work();
    return office.find(task.id);
  }
  template <Entity T>
  std::vector<T> rows() {
    return must(Repository<T>(office.system()).list({.limit = 100'000}));
  }
  void configure(const std::string& name) {
    ConfiguredAgent agent;
    agent.name = name;
    must(Repository<ConfiguredAgent>(office.system()).insert(agent));
  }
  Id<User> user(const char* role) {
    User user;
    user.email = std::string(role) + "@example.com";
    user.name = role;
    user.role = role;
    user.status = UserStatus::active;
    return must(Repository<User>(office.system()).insert(user)).id;
  }

  Office office;
  std::shared_ptr<TestMachine> machine = std::make_shared<TestMachine>();
  Orchestrator orchestrator{*office.process.database, *office.process.access, {}};
};

double member(const Task& task, const char* name) {
  REQUIRE(task.result);
  const Json* value = task.result->find(name);
  REQUIRE(value != nullptr);
  return value->as_double() != nullptr ? *value->as_double()
                                       : static_cast<double>(*value->as_int());
}

}  // namespace

// On and off -------------------------------------------------------------------------------------

TEST_CASE("one call has the four jobs recur, the clean-up by the tenant's clock; another ends it") {
  House house;
  house.office.tenant.zone = "Asia/Tokyo";
  must(Repository<Tenant>(house.office.system()).update(house.office.tenant));
  const auto made = must(switch_on_housekeeping(house.office.system()));
  REQUIRE(made.size() == 4);
  const std::map<std::string, std::string> expected{{"agent-heartbeat", "*/5 * * * *"},
                                                    {"system-metrics", "*/10 * * * *"},
                                                    {"task-processor", "*/3 * * * *"},
                                                    {"cleanup-logs", "0 2 * * *"}};
  for (const Schedule& schedule : made) {
    CHECK(expected.at(schedule.name) == schedule.expression);
    CHECK_FALSE(schedule.zone);
    if (schedule.name == "cleanup-logs") CHECK(schedule.next_at == at("2026-03-02T17:00:00Z"));
  }
  must(Schedules(house.office.system()).pause(made[0].id));
  const auto again = must(switch_on_housekeeping(house.office.system(), {.metrics = "@hourly"}));
  REQUIRE(again.size() == 4);
  CHECK(again[0].id == made[0].id);
  CHECK(again[0].status == ScheduleStatus::paused);
  CHECK(again[1].expression == "@hourly");
  CHECK(house.rows<Schedule>().size() == 4);
  CHECK(must(switch_off_housekeeping(house.office.system())) == 4);
  CHECK(must(switch_off_housekeeping(house.office.system())) == 0);
  CHECK(house.rows<Schedule>().empty());
}

TEST_CASE("a plan that is wrong changes nothing, and says what is wrong") {
  House house;
  const Session session = house.office.system();
  const auto refused = [&](const HousekeepingPlan& plan, const char* field) {
    const auto made = switch_on_housekeeping(session, plan);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::invalid);
    CHECK(made.error().field == field);
    CHECK(house.rows<Schedule>().empty());
  };
  refused({.cleanup = "30 2 30 2 *"}, "expression");
  refused({.looks = {.gap_minutes = 0}}, "gap_minutes");
  refused({.keep = {.days = 0}}, "days");
  refused({.keep = {.days = 30, .dead_days = -1}}, "dead_days");
  for (const char* kinds :
       {"[]", "{\"k\":1}", "{\"k\":{\"ready\":1}}", "{\"k\":{\"dead\":0}}",
        "{\"k\":{\"dead\":1.5}}", "{\"k\":{\"dead\":\"1\"}}", "{\"k\":{\"dead\":99999999}}"}) {
    refused({.keep = {.kinds = must(Json::parse(kinds))}}, "kinds");
  }
  CHECK(must(switch_on_housekeeping(session, {.heartbeat = "", .metrics = "", .processor = ""}))
            .size() == 1);
}

TEST_CASE("a day of the four jobs is 288, 144, 480 and one") {
  House house;
  must(switch_on_housekeeping(house.office.system()));
  house.configure("nobody");
  // A sanitizer sees in three hours what it would in a day, which takes minutes with one.
  const std::size_t hours = counts::sanitized ? 3 : 24;
  for (std::size_t minute = 0; minute < hours * 60; ++minute) house.pass(1min);
  std::map<std::string, std::size_t> done;
  for (const Task& task : house.rows<Task>()) {
    CHECK(task.status == TaskStatus::completed);
    ++done[task.kind];
  }
  if (hours == 24) CHECK(done["cleanup_logs"] == 1);
  done.erase("cleanup_logs");
  CHECK(done == std::map<std::string, std::size_t>{{"agent_heartbeat", hours * 12},
                                                   {"system_metrics", hours * 6},
                                                   {"task_processor", hours * 20}});
  // "nobody" was offline all day, the two that run were idle: a row each.
  const auto stretches = house.rows<AgentHeartbeat>();
  REQUIRE(stretches.size() == 3);
  for (const AgentHeartbeat& stretch : stretches) {
    CHECK(stretch.looks == static_cast<std::int64_t>(hours * 12));
    CHECK(stretch.activity ==
          (stretch.agent == "nobody" ? AgentActivity::offline : AgentActivity::idle));
    CHECK(stretch.seen_until - stretch.seen_from == (hours * 12 - 1) * 5min);
  }
  CHECK(house.rows<SystemMetric>().empty());  // the machine measured nothing
}

TEST_CASE("the jobs are done for those who may change schedules, and for nobody else") {
  House house;
  Access& access = *house.office.process.access;
  const Session manager = must(access.session(house.office.tenant.id, house.user("manager")));
  const Session customer = must(access.session(house.office.tenant.id, house.user("customer")));
  CHECK(code_of(switch_on_housekeeping(customer)) == Code::forbidden);
  CHECK(must(switch_on_housekeeping(manager)).size() == 4);
  CHECK(must(switch_on_housekeeping(house.office.system())).size() == 4);
  // What a manager has paused and resumed is done in his name.
  for (const Schedule& schedule : house.rows<Schedule>()) {
    must(Schedules(manager).pause(schedule.id));
    must(Schedules(manager).resume(schedule.id));
  }
  house.pass(24h);
  for (const Task& task : house.rows<Task>()) {
    CAPTURE(task.kind);
    CHECK(task.status == TaskStatus::completed);
    CHECK(task.enqueued_by);
  }
  // A customer who may enqueue tasks has none of it.
  const Task asked = must(Repository<Task>(house.office.system()).insert([&] {
    Task task = house.rows<Task>().front();
    task.id = {};
    task.kind = task_processor.name;
    task.payload = Json::object();
    task.status = TaskStatus::ready;
    task.attempt = 0;
    task.result.reset();
    task.finished_at.reset();
    task.unique_key.reset();
    task.enqueued_by = customer.principal().user;
    return task;
  }()));
  house.work();
  const Task refused = house.office.find(asked.id);
  CHECK(refused.status == TaskStatus::dead);
  CHECK(refused.error_code == "forbidden");
  CHECK_FALSE(refused.result);
  CHECK(must(Repository<AgentHeartbeat>(manager).count()) > 0);
  CHECK(code_of(Repository<AgentHeartbeat>(customer).insert({})) == Code::forbidden);
  CHECK(code_of(Repository<SystemMetric>(manager).insert({})) == Code::forbidden);
}

// Heartbeats -------------------------------------------------------------------------------------

TEST_CASE("an agent is offline, idle or busy as its process and its tasks are") {
  House house;
  house.configure("add_up");
  house.configure("draft");
  Database& database = *house.office.process.database;
  const auto look = [&] { return must(detail::look_at_agents(database, house.office.tenant.id)); };
  CHECK(look() == detail::Activities{{"add_up", AgentActivity::idle},
                                     {"draft", AgentActivity::offline},
                                     {"housekeeping", AgentActivity::idle}});
  must(house.office.tasks().enqueue(add_up, Sum{1, 2}));
  TaskQueue queue(database);
  const auto claimed = must(queue.claim({"default", {"add_up"}, 1, "x"}));
  REQUIRE(claimed.size() == 1);
  CHECK(look().at("add_up") == AgentActivity::busy);
  const Tenant other = must(house.office.process.access->create_tenant("Other"));
  CHECK(must(detail::look_at_agents(database, other.id)).at("add_up") == AgentActivity::idle);

  // Another process sees the same, and once the first is gone, nobody runs.
  Process second(house.office.storage, house.office.clock, house.office.random);
  house.office.storage->release_node(must(database.node()).number);
  CHECK(must(detail::look_at_agents(*second.database, house.office.tenant.id)) ==
        detail::Activities{{"add_up", AgentActivity::offline}, {"draft", AgentActivity::offline}});
}

TEST_CASE("the stretches say of each look what it found, however looks and gaps fall") {
  rc::check("stretches", [] {
    Office office;
    constexpr Duration gap = 15min;
    std::map<std::string, std::vector<std::pair<Timestamp, AgentActivity>>> looks;
    const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
        rc::gen::pair(rc::gen::inRange(1, 30), rc::gen::inRange(0, 27)));
    for (const auto& [minutes, found] : steps) {
      office.clock.advance(std::chrono::minutes(minutes));
      const detail::Activities activities{{"a", static_cast<AgentActivity>(found % 3)},
                                          {"b", static_cast<AgentActivity>(found / 3 % 3)},
                                          {"c", static_cast<AgentActivity>(found / 9)}};
      for (const auto& [agent, activity] : activities) {
        looks[agent].emplace_back(office.clock.now(), activity);
      }
      const auto noted = must(office.system().write(
          [&](Unit& unit) { return detail::note_activities(unit, activities, gap); }));
      RC_ASSERT(noted.offline + noted.idle + noted.busy == 3);
    }
    for (const auto& [agent, seen] : looks) {
      const auto stretches = must(Repository<AgentHeartbeat>(office.system())
                                      .list({.where = col(&AgentHeartbeat::agent) == agent,
                                             .order = {{&col(&AgentHeartbeat::seen_from).info()}},
                                             .limit = 1000}));
      std::size_t next = 0;
      for (const AgentHeartbeat& stretch : stretches) {
        RC_ASSERT(next < seen.size());
        RC_ASSERT(stretch.seen_from == seen[next].first);
        for (std::int64_t i = 0; i < stretch.looks; ++i, ++next) {
          RC_ASSERT(next < seen.size());
          RC_ASSERT(seen[next].second == stretch.activity);
          if (i > 0) RC_ASSERT(seen[next].first - seen[next - 1].first <= gap);
        }
        RC_ASSERT(stretch.seen_until == seen[next - 1].first);
        // It ended for a reason: something else was found, or nobody looked for long.
        if (next == seen.size()) continue;
        RC_ASSERT(seen[next].second != stretch.activity ||
                  seen[next].first - seen[next - 1].first > gap);
      }
      RC_ASSERT(next == seen.size());
    }
  });
}

TEST_CASE("what an agent has done is counted by the kinds that it does, whoever else means to") {
  House house;
  ConfiguredAgent wishful;
  wishful.name = "another adder";
  wishful.kinds = {"add_up"};
  must(Repository<ConfiguredAgent>(house.office.system()).insert(wishful));
  for (int i = 0; i < 3; ++i) house.run(add_up, Sum{1, i});
  for (const AgentInfo& agent :
       must(list_agents(*house.office.process.database, house.office.tenant.id))) {
    CAPTURE(agent.name);
    CHECK(agent.completed == (agent.name == "add_up" ? 3 : 0));
    CHECK(agent.efficiency().has_value() == (agent.name == "add_up"));
  }
}

// Metrics ----------------------------------------------------------------------------------------

TEST_CASE("what was measured is a time series, what was not has no row") {
  House house;
  house.machine->reading = {};
  house.machine->reading.cpu_time = 100s;
  house.machine->reading.cpu_busy = 10s;
  house.machine->reading.received_bytes = 1000;
  house.office.clock.advance(10min);
  const Task first = house.run(system_metrics, Nothing{});
  CHECK(*first.result == Json::object());  // nothing had been read before: nothing is known
  house.machine->reading.cpu_time = 1300s;
  house.machine->reading.cpu_busy = 1090s;
  house.machine->reading.received_bytes = 61'000;
  house.machine->reading.disk_bytes = 1000;
  house.machine->reading.disk_available_bytes = 100;
  house.office.clock.advance(10min);
  const Task second = house.run(system_metrics, Nothing{});
  CHECK(member(second, "cpu") == 0.9);
  CHECK(member(second, "disk") == 0.9);
  CHECK(member(second, "network_received") == 100);
  CHECK(second.result->find("memory") == nullptr);
  CHECK(member(second, "health_score") == doctest::Approx(50));
  std::map<std::string, SystemMetric> rows;
  for (const auto& row : house.rows<SystemMetric>()) rows[row.name] = row;
  REQUIRE(rows.size() == 4);
  CHECK(rows.at("cpu").value == 0.9);
  CHECK(rows.at("cpu").unit == "ratio");
  CHECK(rows.at("cpu").at == house.office.clock.now());
  CHECK(rows.at("network_received").category == MetricCategory::network);
  // Another tenant's look at the same moment is the same look.
  house.office.clock.advance(1s);
  CHECK(house.run(system_metrics, Nothing{}).result == second.result);
}

TEST_CASE("the clean-up takes months of measurements whole, and of others what is old") {
  House house;
  ManualClock& clock = house.office.clock;
  const auto measured = [&](const Session& session, int times) {
    for (int i = 0; i < times; ++i) {
      SystemMetric row;
      row.name = "cpu";
      row.unit = "ratio";
      row.at = clock.now();
      must(Repository<SystemMetric>(session).insert(row));
    }
  };
  const Tenant other = must(house.office.process.access->create_tenant("Other"));
  const Session others = house.office.process.access->system(other.id);
  clock.advance(1h);
  must(house.office.process.database->storage().maintain());  // where partitions are made
  measured(house.office.system(), 5);
  clock.advance(24h * 40);  // 11 April
  measured(house.office.system(), 4);
  measured(others, 1);
  clock.advance(24h * 45);  // 26 May
  measured(house.office.system(), 3);
  const Task cleaned = house.run(cleanup_logs, CleanupPayload{});
  REQUIRE(cleaned.result);
  CHECK(*cleaned.result->find("rows")->find("system_metrics") == Json(9));
  CHECK(house.rows<SystemMetric>().size() == 3);
  CHECK(must(Repository<SystemMetric>(others).list({})).size() == 1);
}

// The task processor ---------------------------------------------------------------------------

TEST_CASE("the task processor says what waits, for how long, and who does it") {
  House house;
  const Tasks tasks = house.office.tasks();
  constexpr auto orphan = task_kind<Sum, Total>("orphan", Effect::pure, retry::never, "slow");
  must(tasks.enqueue_all(orphan, {{1, 1}, {2, 2}}));
  must(tasks.enqueue(orphan, Sum{3, 3}, {.delay = 30s}));
  must(tasks.enqueue(orphan, Sum{4, 4}, {.delay = 1h}));
  must(tasks.enqueue(add_up, Sum{5, 5}, {.delay = 1h}));
  const Task held = must(tasks.enqueue(send_out, Sum{6, 6}));
  TaskQueue queue(*house.office.process.database);
  must(queue.claim({"default", {"send_out"}, 1, "x"}));
  house.office.clock.advance(59s);
  Task seen = house.run(task_processor, Nothing{});
  CHECK(member(seen, "unattended") == 0);  // somebody may be starting
  CHECK(member(seen, "overdue") == 0);
  house.office.clock.advance(2min);
  seen = house.run(task_processor, Nothing{});
  CHECK(member(seen, "ready") == 3);  // a claim by anybody makes what is due ready, of every queue
  CHECK(member(seen, "scheduled") == 2);
  CHECK(member(seen, "late") == 0);
  CHECK(member(seen, "running") == 2);  // and the look itself
  CHECK(member(seen, "overdue") == 1);
  CHECK(member(seen, "unattended") == 1);
  const Json::Array& kinds = *seen.result->find("kinds")->as_array();
  REQUIRE_FALSE(kinds.empty());
  CHECK(kinds[0] == Json::object({{"queue", "slow"},
                                  {"kind", "orphan"},
                                  {"ready", 3},
                                  {"scheduled", 1},
                                  {"late", 0},
                                  {"running", 0},
                                  {"oldest_ready_seconds", 179},
                                  {"workers", 0}}));
  const auto adds = std::find_if(kinds.begin(), kinds.end(), [](const Json& kind) {
    return *kind.find("kind") == Json("add_up");
  });
  REQUIRE(adds != kinds.end());
  CHECK(*adds->find("workers") == Json(1));
  CHECK(adds->find("oldest_ready_seconds")->is_null());
  CHECK(house.office.find(held.id).status == TaskStatus::running);
}
