// Engine::metrics_text(): what a monitoring system reads.

#include <doctest/doctest.h>

#include "basics.hpp"
#include "bureau/engine.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/work/schedule.hpp"
#include "prometheus.hpp"

using namespace bureau;
using namespace std::chrono_literals;

namespace {

inline constexpr auto good =
    task_kind<Nothing, Nothing>("good", Effect::database, retry::never, "desk");
inline constexpr auto bad =
    task_kind<Nothing, Nothing>("bad \"one\"", Effect::pure, retry::fixed(2, Duration(0)));
inline constexpr auto nobody =
    task_kind<Nothing, Nothing>("nobody", Effect::pure, retry::never, "far\naway");

class Good : public AgentOf<good> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run&, const Nothing&) override { return Nothing{}; }
};
class Bad : public AgentOf<bad> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run&, const Nothing&) override {
    return fail(Code::unavailable, "not today");
  }
};

class TestMachine : public HostMachine {
 public:
  MachineReading read() override { return reading; }
  MachineReading reading;
};

struct Office {
  explicit Office(bool in_memory = false) {
    EngineOptions options;
    options.path = folder.file();
    if (in_memory) options.storage = make_memory_storage(clock);
    options.clock = &clock;
    options.machine = machine;
    engine = must(Engine::open(std::move(options)));
    tenant = must(engine->access().create_tenant("Larkfield"));
  }
  prometheus::Reader read() {
    prometheus::Reader reader;
    CHECK(reader.read(must(engine->metrics_text())) == "");
    return reader;
  }
  void work() {
    while (engine->poll({.tasks = 100}).ran > 0) {
    }
  }
  Folder folder;
  ManualClock clock;
  std::shared_ptr<TestMachine> machine = std::make_shared<TestMachine>();
  std::unique_ptr<Engine> engine;
  Tenant tenant;
};

}  // namespace

TEST_CASE("the metrics of an office count what its agents did and what waits") {
  Office office;
  must(office.engine->add(std::make_shared<Good>()));
  must(office.engine->add(std::make_shared<Bad>()));
  must(office.engine->start_polled());
  const Session system = office.engine->system(office.tenant.id);
  const Tasks tasks(system);
  must(tasks.enqueue_all(good, std::vector<Nothing>(3)));
  must(tasks.enqueue(bad, Nothing{}));
  must(tasks.enqueue_all(nobody, std::vector<Nothing>(2)));
  must(tasks.enqueue(nobody, Nothing{}, {.delay = 1h}));
  must(Schedules(system).save({.name = "hourly", .expression = "@hourly"}, good, Nothing{}));
  office.work();
  auto metrics = office.read();
  const auto ended = [&](const char* kind, const char* outcome) {
    return metrics.value("bureau_task_attempts_total", {{"kind", kind}, {"outcome", outcome}});
  };
  CHECK(ended("good", "completed") == 3);
  CHECK(ended("good", "dead") == 0);
  CHECK(ended("bad \"one\"", "retried") == 1);
  CHECK(ended("bad \"one\"", "dead") == 1);
  CHECK(metrics.value("bureau_task_attempt_duration_seconds_count", {{"kind", "good"}}) == 3);
  CHECK(metrics.value("bureau_task_claim_batch_size_sum") == 5);
  CHECK(metrics.value("bureau_tasks", {{"queue", "far\naway"}, {"status", "ready"}}) == 2);
  CHECK(metrics.value("bureau_tasks", {{"queue", "far\naway"}, {"status", "scheduled"}}) == 1);
  CHECK(metrics.value("bureau_tasks_unresolved", {{"kind", "bad \"one\""}, {"status", "dead"}}) ==
        1);
  CHECK(metrics.value("bureau_agent_operational", {{"agent", "good"}}) == 1);
  CHECK(metrics.value("bureau_nodes_alive") == 1);
  CHECK(metrics.value("bureau_storage_file_bytes") > 0);
  CHECK(metrics.value("bureau_journal_head") > 0);
  CHECK(metrics.value("bureau_journal_oldest") == 1);
  CHECK(metrics.value("bureau_journal_oldest_age_seconds") >= 0);
  CHECK(metrics.value("bureau_schedule_occurrences_total", {{"outcome", "fired"}}) == 0);
  const double writes = metrics.value("bureau_write_duration_seconds_count");
  CHECK(writes > 0);
  // What the machine does not say is absent.
  CHECK_FALSE(metrics.families().contains("process_cpu_seconds_total"));
  CHECK_FALSE(metrics.families().contains("process_resident_memory_bytes"));

  office.machine->reading.process_cpu = 1500ms;
  office.machine->reading.process_resident_bytes = 4096;
  office.clock.advance(1h);
  office.work();
  CHECK_FALSE(office.engine->system(office.tenant.id).write([](Unit&) -> Result<int> {
    return fail(Code::conflict, "no");
  }));
  metrics = office.read();
  CHECK(ended("good", "completed") == 4);
  CHECK(metrics.value("bureau_schedule_occurrences_total", {{"outcome", "fired"}}) == 1);
  CHECK(metrics.value("bureau_tasks", {{"queue", "far\naway"}, {"status", "ready"}}) == 3);
  CHECK(metrics.value("bureau_queue_first_in_line_wait_seconds", {{"queue", "far\naway"}}) == 3600);
  CHECK(metrics.value("bureau_write_failures_total", {{"code", "conflict"}}) == 1);
  CHECK(metrics.value("bureau_write_duration_seconds_count") > writes);
  CHECK(metrics.value("process_cpu_seconds_total") == 1.5);
  CHECK(metrics.value("process_resident_memory_bytes") == 4096);
}

TEST_CASE("names that rows bring are told apart up to a hundred, and none is lost") {
  Office office(true);
  const Session system = office.engine->system(office.tenant.id);
  std::vector<Task> rows;
  for (int i = 0; i < 250; ++i) {
    Task task;
    task.kind = "kind " + std::to_string(i);
    task.queue = "queue " + std::to_string(i);
    task.status = i % 2 == 0 ? TaskStatus::ready : TaskStatus::dead;
    task.run_at = office.clock.now();
    rows.push_back(task);
    if (i < 4) rows.push_back(task);
  }
  must(Repository<Task>(system).insert_all(rows));
  const auto metrics = office.read();
  for (const char* family : {"bureau_tasks", "bureau_tasks_unresolved"}) {
    double sum = 0;
    for (const auto& [sample, value] : metrics.families().at(family).samples) sum += value;
    CHECK(sum == 127);
    CHECK(metrics.families().at(family).samples.size() == 101);
  }
  CHECK(metrics.value("bureau_tasks", {{"queue", "queue 2"}, {"status", "ready"}}) == 2);
  CHECK(metrics.value("bureau_tasks", {{"queue", "(others)"}, {"status", "ready"}}) == 25);
  CHECK(metrics.families().at("bureau_queue_first_in_line_wait_seconds").samples.size() == 100);
}

namespace {

class Spender : public AgentOf<good> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    Spend spend;
    spend.most = {.tokens = 100, .calls = 1};
    BUREAU_TRY_VOID(run.spend("ask", spend, [](Amounts& used) -> Result<void> {
      used.tokens = 40;
      return {};
    }));
    return Nothing{};
  }
};

}  // namespace

TEST_CASE("budgets tell what they have given, in their units") {
  Office office(true);
  const Session system = office.engine->system(office.tenant.id);
  CHECK_FALSE(office.read().families().contains("bureau_budget_spent"));
  const Budget budget =
      must(Budgets(system).create({.name = "clerk", .limits = {.tokens = 500, .time = 90s}}));
  must(office.engine->add(std::make_shared<Spender>()));
  must(office.engine->start_polled());
  EnqueueOptions options;
  options.budget = budget.id;
  must(Tasks(system).enqueue(good, {}, options));
  office.work();
  const auto metrics = office.read();
  const std::string id = id::to_text(schema<Budget>.prefix, budget.id.value);
  const auto value = [&](const char* family, const char* unit) {
    return metrics.value(family, {{"budget", id}, {"name", "clerk"}, {"unit", unit}});
  };
  CHECK(value("bureau_budget_spent", "tokens") == 40);
  CHECK(value("bureau_budget_spent", "calls") == 1);
  CHECK(value("bureau_budget_reserved", "tokens") == 0);
  CHECK(value("bureau_budget_limit", "tokens") == 500);
  CHECK(value("bureau_budget_limit", "seconds") == 90);
}
