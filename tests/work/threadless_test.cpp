#include <doctest/doctest.h>

#include <mutex>
#include <thread>
#include <vector>

#include "bureau/work/orchestrator.hpp"
#include "work/work_office.hpp"

using namespace bureau;
using namespace bureau::work_test;
using namespace std::chrono_literals;

namespace {

/// Keeps what it was given, until the test ends it.
class Loop final : public AgentOf<add_up> {
 public:
  using AgentOf::execute;
  Result<Total> execute(Run&, const Sum&) override { return fail(Code::internal, "not called"); }
  [[nodiscard]] bool holds_no_thread() const override { return true; }
  void begin(const std::shared_ptr<Run>& run, Done done) override {
    const std::lock_guard lock(mutex);
    begun.emplace_back(run, std::move(done));
  }
  std::mutex mutex;
  std::vector<std::pair<std::shared_ptr<Run>, Done>> begun;
};

struct LoopDesk {
  explicit LoopDesk(OrchestratorOptions options = {})
      : orchestrator(*office.process.database, *office.process.access, options) {
    must(orchestrator.add(loop));
    must(orchestrator.start());
  }
  void run_all() {
    orchestrator.notice();
    while (must(orchestrator.step())) {
    }
  }
  TaskStatus status(Id<Task> id) { return office.find(id).status; }
  Id<Task> enqueue(std::int64_t a) { return must(office.tasks().enqueue(add_up, {a, 0})).id; }

  Office office;
  std::shared_ptr<Loop> loop = std::make_shared<Loop>();
  Orchestrator orchestrator;
};

Json total(std::int64_t value) { return Json::object({{"value", value}}); }

}  // namespace

TEST_CASE("Handlers that hold no thread are many at a time, and end in any order, on any thread") {
  LoopDesk desk;
  std::size_t heard = 0;
  desk.orchestrator.on_outcome([&] { ++heard; });
  std::vector<Id<Task>> tasks;
  for (int i = 0; i < 20; ++i) tasks.push_back(desk.enqueue(i));
  desk.run_all();
  REQUIRE(desk.loop->begun.size() == 20);
  for (const auto id : tasks) CHECK(desk.status(id) == TaskStatus::running);
  CHECK(desk.orchestrator.held().size() == 20);
  std::thread other([&] {
    for (std::size_t i = desk.loop->begun.size(); i-- > 0;) desk.loop->begun[i].second(total(7));
  });
  other.join();
  CHECK(heard == 20);
  must(desk.orchestrator.stop(Monotonic::never()));
  for (const auto id : tasks) CHECK(desk.status(id) == TaskStatus::completed);
  CHECK(desk.orchestrator.agents().at(0).completed == 20);
}

TEST_CASE("What a handler without a thread says a second time is not heard") {
  LoopDesk desk;
  const auto id = desk.enqueue(1);
  desk.run_all();
  desk.loop->begun.at(0).second(fail(Code::invalid, "no"));
  desk.loop->begun.at(0).second(total(7));
  CHECK(desk.status(id) == TaskStatus::dead);
}

TEST_CASE("max_running holds back handlers without threads too") {
  OrchestratorOptions options;
  options.max_running = 3;
  LoopDesk desk(options);
  for (int i = 0; i < 5; ++i) desk.enqueue(i);
  desk.run_all();
  CHECK(desk.loop->begun.size() == 3);
  desk.loop->begun.at(0).second(total(1));
  desk.run_all();
  CHECK(desk.loop->begun.size() == 4);
  for (std::size_t i = 1; i < 4; ++i) desk.loop->begun.at(i).second(total(1));
  desk.run_all();
  desk.loop->begun.at(4).second(total(1));
}

TEST_CASE("A handler without a thread that is past its limit loses its attempt, and no thread") {
  LoopDesk desk;
  std::size_t stuck = 0;
  desk.orchestrator.on_stuck([&] { ++stuck; });
  const auto id = desk.enqueue(1);
  desk.run_all();
  desk.office.clock.advance(add_up.time_limit + 1s);
  must(desk.orchestrator.duties());
  CHECK(desk.status(id) != TaskStatus::running);
  CHECK(stuck == 0);
  desk.loop->begun.at(0).second(total(7));
  must(desk.orchestrator.stop(Monotonic::never()));
  CHECK(desk.status(id) != TaskStatus::completed);
}
