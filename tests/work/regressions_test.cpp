// Defects that other queues, schedulers and workflow engines have had in public, each as a test
// that fails where the defect is. docs/guarantees.md lists them.

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "bureau/work/flow.hpp"
#include "bureau/work/schedule.hpp"
#include "work/file_office.hpp"
#include "work/run_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

TaskQueue::ClaimOptions up_to(std::uint64_t limit) {
  TaskQueue::ClaimOptions claim;
  claim.limit = limit;
  return claim;
}

}  // namespace

TEST_CASE("Regression: two workers on one SQLite file claim the same job") {
  // A select and a later update, or an update that lost its retry on SQLITE_BUSY.
  File file;
  const auto first = file.open(), second = file.open();
  const Tenant tenant = must(first->access->create_tenant("Larkfield"));
  constexpr int count = 400;
  std::vector<Sum> payloads(count);
  must(Tasks(first->access->system(tenant.id)).enqueue_all(add_up, payloads));
  std::mutex mutex;
  std::multiset<std::int64_t> claimed;
  std::vector<std::thread> workers;
  for (Process* process : {first.get(), second.get(), first.get(), second.get()}) {
    workers.emplace_back([&, process] {
      TaskQueue queue(*process->database);
      for (;;) {
        const auto tasks = queue.claim(up_to(3));
        if (!tasks || tasks->empty()) return;
        const std::lock_guard lock(mutex);
        for (const Task& task : *tasks) claimed.insert(task.id.value);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(claimed.size() == count);
  CHECK(std::set(claimed.begin(), claimed.end()).size() == count);
}

TEST_CASE("Regression: a job whose worker lives is rescued because it takes long") {
  // A fixed "stuck after an hour", whatever the worker says.
  Office office;
  Process other(office.storage, office.clock, office.random);
  TaskQueue worker(*office.process.database), rescuer(*other.database);
  must(office.tasks().enqueue(add_up, {}));
  const Task task = must(worker.claim(up_to(1))).at(0);
  for (int i = 0; i < 24 * 60; ++i) {  // two hours of work
    office.clock.advance(5s);
    must(worker.heartbeat());
    REQUIRE(must(rescuer.rescue()) == 0);
  }
  const TaskQueue::Completion done{task.id, task.attempt, Json::object()};
  CHECK(must(worker.complete(std::span(&done, 1))).empty());
}

TEST_CASE(
    "Regression: long jobs fill the rescuer's batch, and the orphans behind them wait for ever") {
  // A query "the 1000 oldest running jobs", most of which are rightly running.
  Office office;
  auto dying = std::make_unique<Process>(office.storage, office.clock, office.random);
  Process living(office.storage, office.clock, office.random);
  TaskQueue worker(*living.database), rescuer(*office.process.database);
  std::vector<Sum> payloads(1200);
  must(office.tasks().enqueue_all(add_up, payloads));
  while (!must(worker.claim(up_to(200))).empty()) {
  }
  const auto orphan = must(office.tasks().enqueue(add_up, {}));
  REQUIRE(must(TaskQueue(*dying->database).claim(up_to(1))).size() == 1);
  dying.reset();
  CHECK(must(rescuer.rescue()) == 1);
  CHECK(office.find(orphan.id).status == TaskStatus::ready);
}

TEST_CASE("Regression: a cancellation is lost when it comes while the worker is away") {
  // It went to the worker's connection, and the job was run again by the next.
  RunDesk desk([](Run&, const Sum&) -> Result<Total> { return Total{1}; });
  auto dying =
      std::make_unique<Process>(desk.office.storage, desk.office.clock, desk.office.random);
  const auto id = desk.enqueue();
  REQUIRE(must(TaskQueue(*dying->database).claim(up_to(1))).size() == 1);
  must(desk.office.tasks().cancel(id, "the customer has left"));
  dying.reset();
  must(TaskQueue(*desk.office.process.database).rescue());
  desk.run_all();
  CHECK(desk.status(id) == TaskStatus::cancelled);
  CHECK(desk.find(id).error == "the customer has left");
}

TEST_CASE("Regression: a job that is deleted while it runs keeps its concurrency slot") {
  // A counter in a row of its own, which only the job's end counts down.
  Office office;
  TaskQueue queue(*office.process.database);
  must(FlowRules(office.system()).limit({.scope = {.kind = "add_up"}, .at_most = 1}));
  const Task holder = must(office.tasks().enqueue(add_up, {}));
  must(office.tasks().enqueue(add_up, {}));
  REQUIRE(must(queue.claim(up_to(5))).size() == 1);
  REQUIRE(must(queue.claim(up_to(5))).empty());
  must(Repository<Task>(office.system()).remove(holder.id));
  CHECK(must(queue.claim(up_to(5))).size() == 1);
}

TEST_CASE("Regression: a wait's time-out is kept in memory, and a restart begins it anew") {
  int waited = 0;
  const Body body = [&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY(const auto payment, run.wait_for(paid, 24h));
    ++waited;
    return Total{payment ? 1 : 0};
  };
  Office office;
  auto process = std::make_unique<Process>(office.storage, office.clock, office.random);
  auto worker = std::make_unique<Worker>(*process, body);
  const auto id = must(office.tasks().enqueue(plan, {})).id;
  for (int hour = 0; hour < 23; ++hour) {  // a deploy an hour
    worker->run_all();
    office.clock.advance(1h);
    worker.reset();
    process = std::make_unique<Process>(office.storage, office.clock, office.random);
    worker = std::make_unique<Worker>(*process, body);
  }
  worker->run_all();
  CHECK(office.find(id).status == TaskStatus::waiting);
  office.clock.advance(1h);
  worker->run_all();
  CHECK(waited == 1);
  CHECK(must(office.tasks().wait(plan, id, 0s)).value == 0);
}

TEST_CASE("Regression: a signal whose value is null is taken for a time-out") {
  constexpr Signal<std::optional<std::int64_t>> said{"said"};
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY(const auto value, run.wait_for(said, 1h));
    if (!value) return Total{-1};
    return Total{value->value_or(0)};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  REQUIRE(must(desk.runs().signal(id, said, std::optional<std::int64_t>())));
  desk.run_all();
  CHECK(desk.value(id) == 0);
}

TEST_CASE("Regression: a run under an id that was used before replays the old one's results") {
  // The run was collected as garbage, its steps were not.
  int done = 0;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    BUREAU_TRY(const auto value,
               run.step("work", [&]() -> Result<std::int64_t> { return ++done; }));
    if (run.task().attempt == 1) return fail(Code::unavailable, "once more");
    return Total{value};
  });
  const auto id = desk.enqueue();
  desk.run_all();
  desk.after(10s);
  REQUIRE(desk.value(id) == 1);
  Task again = desk.find(id);
  must(desk.office.tasks().remove(id));
  CHECK(must(Repository<RunStep>(desk.office.system()).count()) == 0);
  again.status = TaskStatus::ready;
  again.result.reset();
  again.attempt = 0;
  again.finished_at.reset();
  must(Repository<Task>(desk.office.system()).insert(again));
  desk.run_all();
  desk.after(10s);
  CHECK(desk.value(id) == 2);
}

TEST_CASE("Regression: a job that is delayed past the visibility time-out is delivered twice") {
  int ran = 0;
  RunDesk desk([&](Run&, const Sum&) -> Result<Total> { return Total{++ran}; });
  Process other(desk.office.storage, desk.office.clock, desk.office.random);
  Worker second(other, [&](Run&, const Sum&) -> Result<Total> { return Total{++ran}; });
  const auto id = must(desk.office.tasks().enqueue(plan, {}, {.delay = 72h})).id;
  for (int hour = 0; hour < 100; ++hour) {
    for (Process* process : {&desk.office.process, &other}) {
      must(TaskQueue(*process->database).rescue());
    }
    desk.run_all();
    second.run_all();
    CHECK(ran == (hour < 72 ? 0 : 1));
    desk.office.clock.advance(1h);
  }
  CHECK(desk.value(id) == 1);
  CHECK(desk.find(id).attempt == 1);
}

TEST_CASE("Regression: after two weeks of standstill every missed cron run is fired at once") {
  Office office;
  Orchestrator orchestrator(*office.process.database, *office.process.access, {});
  int ran = 0;
  must(orchestrator.add(std::make_shared<Doer<plan>>(
      [&](Run&, const Sum&) -> Result<Total> { return Total{++ran}; })));
  must(orchestrator.start());
  must(Schedules(office.system()).save({.name = "minutely", .expression = "* * * * *"}, plan, {}));
  office.clock.advance(14 * 24h);
  for (int i = 0; i < 5; ++i) {
    static_cast<void>(must(orchestrator.duties()));
    do {
      orchestrator.notice();
    } while (must(orchestrator.step()));
  }
  CHECK(ran == 1);
}

TEST_CASE("Regression: a claim reads the history of what has finished") {
  // 14 million of them took a claim to 30 seconds elsewhere. What counts is what is read, not how
  // long it takes: a process that has just opened the file has nothing of it in memory.
  const auto reads_of_a_claim = [](int finished) {
    File file;
    {
      const auto process = file.open();
      const Tenant tenant = must(process->access->create_tenant("Larkfield"));
      const Session system = process->access->system(tenant.id);
      std::vector<Task> rows(static_cast<std::size_t>(finished));
      for (Task& row : rows) {
        row.kind = "add_up";
        row.status = TaskStatus::completed;
        row.finished_at = file.clock.now();
      }
      if (!rows.empty()) must(Repository<Task>(system).insert_all(std::move(rows)));
      must(Tasks(system).enqueue(add_up, {}));
    }
    const auto process = file.open();
    TaskQueue queue(*process->database);
    REQUIRE(must(queue.rescue()) == 0);  // takes its node
    const std::uint64_t before = file.disk.count(testing::DiskOperation::read);
    REQUIRE(must(queue.claim(up_to(1))).size() == 1);
    return file.disk.count(testing::DiskOperation::read) - before;
  };
  const std::uint64_t empty = reads_of_a_claim(0);
  const std::uint64_t full = reads_of_a_claim(10'000);  // some 500 pages
  INFO(empty, " and ", full, " reads");
  CHECK(full < empty + 25);
}

TEST_CASE("Regression: one approval is used for two effects") {
  std::vector<Code> second;
  RunDesk desk([&](Run& run, const Sum&) -> Result<Total> {
    const Json what = Json::object({{"refund", 12}});
    BUREAU_TRY(const auto verdict, run.approval({.title = "Refund?", .subject = what}));
    return run.complete([&](Unit& unit) -> Result<Total> {
      BUREAU_TRY_VOID(Approvals::use(unit, verdict.approval, what));
      const auto again = Approvals::use(unit, verdict.approval, what);
      if (!again) second.push_back(again.error().code);
      return Total{1};
    });
  });
  const auto id = desk.enqueue();
  desk.run_all();
  must(Approvals(desk.office.system())
           .decide(must(Approvals(desk.office.system()).list()).at(0).id, true));
  desk.run_all();
  CHECK(desk.value(id) == 1);
  CHECK(second == std::vector{Code::conflict});
}

TEST_CASE("Regression: the answer to one of several parallel interrupts wakes the wrong branch") {
  RunDesk desk(
      [](Run& run, const Sum&) -> Result<Total> {
        std::vector<Child<Total>> branches;
        for (std::int64_t i = 0; i < 3; ++i) {
          BUREAU_TRY(const auto child, run.spawn(part, Sum{i, 0}));
          branches.push_back(child);
        }
        BUREAU_TRY(const auto answers, run.join_all(branches));
        std::int64_t in_order = 0;
        for (const auto& answer : answers) in_order = in_order * 10 + answer->value;
        return Total{in_order};
      },
      [](Run& run, const Sum& sum) -> Result<Total> {
        BUREAU_TRY(const Verdict verdict,
                   run.approval({.title = "Branch " + std::to_string(sum.a),
                                 .subject = Json::object({{"branch", sum.a}})}));
        return Total{std::stoll(verdict.comment)};
      });
  const auto id = desk.enqueue();
  desk.run_all();
  const auto children = must(desk.runs().children(id));
  REQUIRE(children.size() == 3);
  for (const int answered : {2, 0, 1}) {  // not in the order in which they asked
    for (const Approval& open : must(Approvals(desk.office.system()).list())) {
      if (open.task != children[static_cast<std::size_t>(answered)].id) continue;
      must(Approvals(desk.office.system()).decide(open.id, true, std::to_string(answered + 4)));
    }
    desk.run_all();
    for (std::size_t i = 0; i < 3; ++i) {
      const bool over =
          static_cast<int>(i) == answered || answered == 1 || (answered == 0 && i == 2);
      CHECK((desk.status(children[i].id) == TaskStatus::completed) == over);
    }
  }
  CHECK(desk.value(id) == 456);
}
