// Engine::health(): each component at its limit, and the worst that decides.

#include <doctest/doctest.h>

#include <algorithm>

#include "basics.hpp"
#include "bureau/engine.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/testing/faulty_storage.hpp"
#include "bureau/work/schedule.hpp"

using namespace bureau;
using namespace std::chrono_literals;

namespace {

inline constexpr auto wait_kind =
    task_kind<Nothing, Nothing>("wait", Effect::pure, retry::never, "desk");

class Waiter : public AgentOf<wait_kind> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run&, const Nothing&) override {
    if (inside) inside();
    return Nothing{};
  }
  Result<void> on_start() override { return starts ? Result<void>() : fail(Code::internal, "no"); }
  std::function<void()> inside;
  bool starts = true;
};

class TestMachine : public HostMachine {
 public:
  MachineReading read() override { return reading; }
  MachineReading reading;
};

struct Office {
  Office() {
    EngineOptions options;
    options.clock = &clock;
    options.machine = machine;
    options.storage = std::make_shared<testing::FaultyStorage>(
        make_memory_storage(clock), [this](bool is_write, std::uint64_t) {
          if (is_write && slow.count() > 0) clock.advance(slow);
          return is_write ? fault : std::optional<testing::Fault>();
        });
    engine = must(Engine::open(std::move(options)));
    tenant = must(engine->access().create_tenant("Larkfield"));
  }
  [[nodiscard]] Health look(const HealthLimits& limits = {}) {
    Health health = must(engine->health(limits));
    HealthStatus worst = HealthStatus::ok;
    for (const HealthComponent& component : health.components) {
      CHECK_FALSE(component.reason.empty());
      worst = std::max(worst, component.status);
    }
    CHECK(health.status == worst);
    return health;
  }
  /// None: there is no such component.
  [[nodiscard]] std::optional<HealthStatus> of(const char* component,
                                               const HealthLimits& limits = {}) {
    for (const HealthComponent& found : look(limits).components) {
      if (found.name == component) return found.status;
    }
    return std::nullopt;
  }
  [[nodiscard]] Session system() const { return engine->system(tenant.id); }

  ManualClock clock;
  std::shared_ptr<TestMachine> machine = std::make_shared<TestMachine>();
  std::optional<testing::Fault> fault;
  Duration slow{0};
  std::unique_ptr<Engine> engine;
  Tenant tenant;
};

}  // namespace

TEST_CASE("an office at rest is well, and of what cannot be told there is no component") {
  Office office;
  const Health health = office.look();
  CHECK(health.status == HealthStatus::ok);
  CHECK(health.at == office.clock.now());
  std::vector<std::string> components;
  for (const auto& component : health.components) components.push_back(component.name);
  CHECK(components ==
        std::vector<std::string>{"storage", "queues", "schedules", "dead_letters", "journal"});
  CHECK(to_json(health).dump().find("\"component\":\"storage\"") != std::string::npos);
}

TEST_CASE("storage: a slow write is degraded, one that is not made has failed") {
  Office office;
  office.slow = 1s;
  CHECK(office.of("storage") == HealthStatus::ok);
  office.slow = 1s + 1us;
  CHECK(office.of("storage") == HealthStatus::degraded);
  office.slow = 0s;
  office.fault = testing::Fault{testing::Fault::At::before};
  const Health health = office.look();
  CHECK(health.status == HealthStatus::failed);
  CHECK(health.components[0].name == "storage");
  CHECK(health.components[0].reason.find("unavailable") != std::string::npos);
  office.fault.reset();
  CHECK(office.of("storage") == HealthStatus::ok);
}

TEST_CASE("disk: by what is free, and not at all when that is unknown") {
  Office office;
  const HealthLimits limits;
  CHECK_FALSE(office.of("disk"));
  office.machine->reading.disk_available_bytes = limits.little_space_bytes;
  CHECK(office.of("disk") == HealthStatus::ok);
  office.machine->reading.disk_available_bytes = limits.little_space_bytes - 1;
  CHECK(office.of("disk") == HealthStatus::degraded);
  office.machine->reading.disk_available_bytes = limits.no_space_bytes - 1;
  CHECK(office.of("disk") == HealthStatus::failed);
}

TEST_CASE("queues: by how long the first in line could have run") {
  Office office;
  must(Tasks(office.system()).enqueue(wait_kind, Nothing{}));
  const HealthLimits limits;
  office.clock.advance(limits.long_wait);
  CHECK(office.of("queues") == HealthStatus::ok);
  office.clock.advance(1us);
  CHECK(office.of("queues") == HealthStatus::degraded);
  CHECK(office.look().components[1].reason.find("desk") != std::string::npos);
  office.clock.advance(limits.lost_wait - limits.long_wait);
  CHECK(office.of("queues") == HealthStatus::failed);
  CHECK(office.of("queues", {.long_wait = 24h, .lost_wait = 48h}) == HealthStatus::ok);
}

TEST_CASE("schedules: those of active tenants that are due for long") {
  Office office;
  must(Schedules(office.system()).save({.name = "hourly", .expression = "@hourly"}, wait_kind, {}));
  const Schedule schedule = must(Schedules(office.system()).named("hourly"));
  office.clock.advance(schedule.next_at - office.clock.now() + 5min);
  CHECK(office.of("schedules") == HealthStatus::ok);
  office.clock.advance(1us);
  CHECK(office.of("schedules") == HealthStatus::degraded);
  office.tenant.status = TenantStatus::suspended;
  must(Repository<Tenant>(office.system()).update(office.tenant));
  CHECK(office.of("schedules") == HealthStatus::ok);
}

TEST_CASE("dead letters: by how many were given up lately") {
  Office office;
  std::vector<Task> rows(3);
  for (Task& task : rows) {
    task.kind = "wait";
    task.status = TaskStatus::dead;
    task.run_at = office.clock.now();
    task.finished_at = office.clock.now();
  }
  must(Repository<Task>(office.system()).insert_all(rows));
  CHECK(office.of("dead_letters", {.dead_tasks = 3}) == HealthStatus::ok);
  CHECK(office.of("dead_letters", {.dead_tasks = 2}) == HealthStatus::degraded);
  office.clock.advance(1h);
  CHECK(office.of("dead_letters", {.dead_tasks = 2}) == HealthStatus::ok);
}

TEST_CASE("scheduler and node: an engine that nobody polls, and a node that writes no heartbeat") {
  Office office;
  auto waiter = std::make_shared<Waiter>();
  must(office.engine->add(waiter));
  CHECK_FALSE(office.of("scheduler"));
  must(office.engine->start_polled());
  CHECK(office.of("scheduler") == HealthStatus::ok);
  office.clock.advance(30s);
  CHECK(office.of("scheduler") == HealthStatus::ok);
  office.clock.advance(1us);
  CHECK(office.of("scheduler") == HealthStatus::failed);
  static_cast<void>(office.engine->poll({}));
  CHECK(office.of("scheduler") == HealthStatus::ok);
  CHECK_FALSE(office.of("node"));  // it holds no task

  must(Tasks(office.system()).enqueue(wait_kind, Nothing{}));
  int looked = 0;
  waiter->inside = [&] {
    static_cast<void>(office.engine->poll({.tasks = 0}));  // the heartbeat
    CHECK(office.of("node") == HealthStatus::ok);
    office.clock.advance(31s);
    CHECK(office.of("node") == HealthStatus::failed);
    ++looked;
  };
  while (looked == 0) static_cast<void>(office.engine->poll({.tasks = 1}));
  must(office.engine->stop());
  CHECK_FALSE(office.of("scheduler"));
}

TEST_CASE("scheduler: agents that did not start") {
  Office office;
  auto waiter = std::make_shared<Waiter>();
  waiter->starts = false;
  must(office.engine->add(waiter));
  must(office.engine->start_polled());
  CHECK(office.of("scheduler") == HealthStatus::failed);
}
