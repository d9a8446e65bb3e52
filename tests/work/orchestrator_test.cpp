#include "bureau/work/orchestrator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "bureau/work/scheduler.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

using Adder = Doer<add_up>;

struct Desk {
  explicit Desk(Adder::Body body, OrchestratorOptions options = {})
      : orchestrator(*office.process.database, *office.process.access, options) {
    must(orchestrator.add(std::make_shared<Adder>(std::move(body))));
    must(orchestrator.start());
  }
  Id<Task> enqueue(Sum sum = {1, 2}) { return must(office.tasks().enqueue(add_up, sum)).id; }
  void run_all() {
    orchestrator.notice();
    while (must(orchestrator.step())) {
    }
  }
  Office office;
  Orchestrator orchestrator;
};

Result<Total> add_numbers(Run& run, const Sum& sum) {
  return run.complete([&](Unit& unit) -> Result<Total> {
    Team team;
    team.name = "sum " + std::to_string(sum.a + sum.b);
    BUREAU_TRY_VOID(Repository<Team>(unit).insert(team));
    return Total{sum.a + sum.b};
  });
}

}  // namespace

TEST_CASE("An agent's result and effects are there when its task is completed") {
  Desk desk(add_numbers);
  const auto id = desk.enqueue({20, 22});
  desk.run_all();
  const Task task = desk.office.find(id);
  CHECK(task.status == TaskStatus::completed);
  CHECK(*task.result == Json::object({{"value", 42}}));
  CHECK(must(Repository<Team>(desk.office.system()).count()) == 1);
  CHECK(desk.orchestrator.agents().at(0).completed == 1);
}

TEST_CASE("A handler that only returns its result is completed with it") {
  Desk desk([](Run&, const Sum& sum) -> Result<Total> { return Total{sum.a * sum.b}; });
  const auto id = desk.enqueue({6, 7});
  desk.run_all();
  CHECK(*desk.office.find(id).result == Json::object({{"value", 42}}));
}

TEST_CASE("A handler that throws or returns an error is retried, the others go on") {
  Desk desk([](Run& run, const Sum& sum) -> Result<Total> {
    if (sum.a == 1) throw std::runtime_error("the belt has slipped");
    if (sum.a == 2) return fail(Code::unavailable, "no beans");
    return add_numbers(run, sum);
  });
  const auto throws = desk.enqueue({1, 0});
  const auto fails = desk.enqueue({2, 0});
  const auto good = desk.enqueue({3, 0});
  desk.run_all();
  CHECK(desk.office.find(good).status == TaskStatus::completed);
  CHECK(desk.office.find(throws).status == TaskStatus::scheduled);
  CHECK(desk.office.find(throws).error == "the handler threw: the belt has slipped");
  CHECK(desk.office.find(fails).error_code == "unavailable");
  for (int i = 0; i < 3; ++i) {
    desk.office.clock.advance(10s);
    desk.run_all();
  }
  CHECK(desk.office.find(throws).status == TaskStatus::dead);
  CHECK(desk.office.find(fails).status == TaskStatus::dead);
  CHECK(desk.office.find(fails).attempt == 3);
}

TEST_CASE("An engine runs no more handlers at a time than its limit") {
  Desk* at = nullptr;
  int inside = 0, most = 0;
  auto body = [&](Run&, const Sum&) -> Result<Total> {
    most = std::max(most, ++inside);
    while (must(at->orchestrator.step())) {  // as another thread would
    }
    --inside;
    return Total{};
  };
  OrchestratorOptions options;
  options.max_running = 2;
  Desk desk(body, options);
  at = &desk;
  for (int i = 0; i < 5; ++i) desk.enqueue();
  desk.run_all();
  CHECK(most == 2);
  CHECK(must(desk.office.tasks().count(col(&Task::status) == TaskStatus::completed)) == 5);
}

TEST_CASE("A payload that is not the kind's goes straight to the dead letters") {
  Desk desk(add_numbers);
  const auto id =
      must(desk.office.tasks().enqueue_json(add_up, {Json::object({{"a", "one"}, {"b", 2}})}, {}))
          .at(0)
          .id;
  desk.run_all();
  const Task task = desk.office.find(id);
  CHECK(task.status == TaskStatus::dead);
  CHECK(task.attempt == 1);
  CHECK(task.error_code == "invalid");
  CHECK(task.error->find("a") != std::string::npos);
}

TEST_CASE("A task past its time limit is fenced: its late completion leaves nothing") {
  Desk* at = nullptr;
  bool refused = false;
  Desk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    if (run.task().attempt > 1) return add_numbers(run, sum);
    at->office.clock.advance(3min);  // longer than the limit of two minutes
    must(at->orchestrator.duties());
    CHECK(run.stop_requested());
    CHECK(at->orchestrator.stuck().size() == 1);
    auto late = add_numbers(run, sum);
    refused = !late && late.error().code == Code::deadline;
    return late;
  });
  at = &desk;
  const auto id = desk.enqueue();
  desk.run_all();
  CHECK(refused);
  CHECK(desk.office.find(id).status == TaskStatus::scheduled);
  CHECK(desk.office.find(id).error_code == "deadline");
  CHECK(must(Repository<Team>(desk.office.system()).count()) == 0);
  desk.office.clock.advance(10s);
  desk.run_all();
  CHECK(desk.office.find(id).status == TaskStatus::completed);
  CHECK(must(Repository<Team>(desk.office.system()).count()) == 1);
}

TEST_CASE("A cancelled run sees it, and what it returns does not count") {
  Desk* at = nullptr;
  Desk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    must(at->office.tasks().cancel(run.task().id, "changed our mind"));
    at->orchestrator.notice();
    must(at->orchestrator.duties());
    CHECK(run.stop_requested());
    CHECK_FALSE(add_numbers(run, sum).has_value());
    CHECK_FALSE(run.progress(0.5).has_value());  // every further call gives the same error
    return Total{1};
  });
  at = &desk;
  const auto id = desk.enqueue();
  desk.run_all();
  const Task task = desk.office.find(id);
  CHECK(task.status == TaskStatus::cancelled);
  CHECK_FALSE(task.result.has_value());
  CHECK(must(Repository<Team>(desk.office.system()).count()) == 0);
}

TEST_CASE("A task that the agent does not take is offered again, with all its attempts") {
  class Choosy : public Adder {
   public:
    explicit Choosy(bool& willing) : Adder(add_numbers), willing_(willing) {}
    [[nodiscard]] bool can_process(const Task&) const override { return willing_; }

   private:
    bool& willing_;
  };
  bool willing = false;
  Office office;
  Orchestrator orchestrator(*office.process.database, *office.process.access, {});
  must(orchestrator.add(std::make_shared<Choosy>(willing)));
  must(orchestrator.start());
  const auto id = must(office.tasks().enqueue(add_up, {1, 2})).id;
  for (int i = 0; i < 5; ++i) {
    orchestrator.notice();
    CHECK(must(orchestrator.step()));
    CHECK(office.find(id).status == TaskStatus::scheduled);
    office.clock.advance(5s);
  }
  willing = true;
  CHECK(must(orchestrator.step()));
  CHECK(office.find(id).status == TaskStatus::completed);
}

TEST_CASE("Two agents for one kind, a kind that breaks a rule, an agent too late: refused") {
  Office office;
  Orchestrator orchestrator(*office.process.database, *office.process.access, {});
  must(orchestrator.add(std::make_shared<Adder>(add_numbers)));
  CHECK(code_of(orchestrator.add(std::make_shared<Adder>(add_numbers))) == Code::invalid);
  must(orchestrator.start());
  CHECK(code_of(orchestrator.add(std::make_shared<Adder>(add_numbers))) == Code::conflict);
  KindInfo unsafe{"pay", Effect::external_unsafe, retry::fixed(2, 1s)};
  CHECK_FALSE(check_kind(unsafe).empty());
}

TEST_CASE("Agents live through initialize, start and stop") {
  class Lively : public Adder {
   public:
    explicit Lively(std::string& log) : Adder(add_numbers), log_(log) {}
    Result<void> on_initialize() override { return note("i"); }
    Result<void> on_start() override { return note("s"); }
    Result<void> on_stop() override { return note("e"); }

   private:
    Result<void> note(const char* what) {
      log_ += what;
      return {};
    }
    std::string& log_;
  };
  std::string log;
  Office office;
  Orchestrator orchestrator(*office.process.database, *office.process.access, {});
  must(orchestrator.add(std::make_shared<Lively>(log)));
  CHECK(log == "i");
  CHECK_FALSE(orchestrator.agents().at(0).operational);
  must(orchestrator.start());
  CHECK(orchestrator.agents().at(0).operational);
  must(orchestrator.stop(Monotonic::never()));
  CHECK(log == "ise");
  CHECK_FALSE(orchestrator.agents().at(0).operational);
}

TEST_CASE("Stopping hands back what was leased but not begun") {
  Desk desk(add_numbers);
  for (int i = 0; i < 10; ++i) desk.enqueue();
  desk.orchestrator.notice();
  CHECK(must(desk.orchestrator.step()));
  CHECK(must(desk.orchestrator.step()));
  CHECK(must(desk.office.tasks().count(col(&Task::status) == TaskStatus::running)) == 8);
  must(desk.orchestrator.stop(Monotonic::never()));
  CHECK(must(desk.office.tasks().count(col(&Task::status) == TaskStatus::ready)) == 8);
  CHECK(must(desk.office.tasks().count(col(&Task::status) == TaskStatus::running)) == 0);
}

TEST_CASE("Threads run every task exactly once") {
  class Poller : public Runner {
   public:
    explicit Poller(Orchestrator& orchestrator) : orchestrator_(orchestrator) {}
    PollResult poll(const PollLimit&) override {
      auto ran = orchestrator_.step();
      return {ran && *ran ? 1U : 0U, Monotonic::never()};
    }
    [[nodiscard]] int wake_fd() const override { return -1; }
    void on_wake_fd() override {}

   private:
    Orchestrator& orchestrator_;
  };
  constexpr int count = 300;
  std::mutex mutex;
  std::condition_variable all_done;
  int done = 0;
  Desk desk([&](Run& run, const Sum& sum) -> Result<Total> {
    auto total = add_numbers(run, sum);
    std::lock_guard lock(mutex);
    if (++done == count) all_done.notify_all();
    return total;
  });
  for (int i = 0; i < count; ++i) desk.enqueue({i, 0});
  Poller poller(desk.orchestrator);
  auto scheduler = make_thread_scheduler(4, Clock::system());
  must(scheduler->start(poller));
  {
    std::unique_lock lock(mutex);
    all_done.wait(lock, [&] { return done == count; });
  }
  must(scheduler->stop(Monotonic::never()));
  CHECK(done == count);
  CHECK(must(desk.office.tasks().count(col(&Task::status) == TaskStatus::completed)) == count);
  CHECK(must(Repository<Team>(desk.office.system()).count()) == count);
}
