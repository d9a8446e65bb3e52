// Workflows: what a node costs through the interpreter, beside a handler in C++ that makes the same
// steps; what a task as a node costs; what a workflow that rests costs; how fast changes start
// them.

#include <algorithm>
#include <filesystem>
#include <string>

#include "bench.hpp"
#include "office.hpp"

namespace {

using namespace bureau;
using namespace std::chrono_literals;
using bench::must;

constexpr int pairs = 9;
constexpr int nodes = 199;  // and an end

constexpr auto by_hand =
    task_kind<Nothing, Nothing>("by_hand", Effect::database, retry::exponential(5));
constexpr auto nothing = task_kind<Nothing, Nothing>("nothing", Effect::pure, retry::never);

/// The same steps as the workflow's, in C++.
class ByHand final : public AgentOf<by_hand> {
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    for (int i = 0; i <= nodes; ++i) {
      BUREAU_TRY_VOID(run.step("n" + std::to_string(i), Effect::pure, [&]() -> Result<Json> {
        return Json::object({{"x", i}});
      }));
    }
    return Nothing{};
  }
};

class DoesNothing final : public AgentOf<nothing> {
  using AgentOf::execute;
  Result<Nothing> execute(Run&, const Nothing&) override { return Nothing{}; }
};

struct Desk {
  bench::ScratchFolder scratch;
  bench::Office office;
  Orchestrator orchestrator;

  explicit Desk(bool power_safe)
      : office(bench::open_office(scratch.file(), power_safe)),
        orchestrator(office.engine->database(), office.engine->access(), {}) {
    WorkflowKinds kinds;
    kinds.add(nothing);
    must(orchestrator.add(std::make_shared<WorkflowAgent>(office.engine->access(), kinds)));
    must(orchestrator.add(std::make_shared<ByHand>()));
    must(orchestrator.add(std::make_shared<DoesNothing>()));
    must(orchestrator.start());
  }
  void activate(const std::string& document) {
    const Workflows workflows(office.system());
    const auto given = must(workflow_from_json(must(Json::parse(document))));
    must(workflows.activate(must(workflows.save(given)).id));
  }
  void work_off() {
    do {
      orchestrator.notice();
    } while (must(orchestrator.step()));
  }
};

std::string chain(const std::string& name, int count, const std::string& members) {
  std::string text = R"({"name": ")" + name + R"(", "nodes": [)";
  for (int i = 0; i < count; ++i) {
    text += R"({"id": "n)" + std::to_string(i) + "\", " + members + R"(, "next": "n)" +
            std::to_string(i + 1) + "\"}, ";
  }
  return text + R"({"id": "n)" + std::to_string(count) + R"(", "kind": "end"}]})";
}

void nodes_through(const bench::Arguments& arguments, int runs, bool power_safe, double sync_us) {
  Desk desk(power_safe);
  desk.activate(chain("chain", nodes, R"("kind": "set", "values": {"x": 1})"));
  const auto node_us = [&](auto start) {
    const double began = bench::seconds_now();
    for (int i = 0; i < runs; ++i) {
      start();
      desk.work_off();
    }
    return (bench::seconds_now() - began) * 1e6 / (runs * (nodes + 1));
  };
  const auto p = bench::measure_pairs(
      pairs, bench::Better::lower,
      [&] { return node_us([&] { must(Workflows(desk.office.system()).start("chain")); }); },
      [&] { return node_us([&] { must(Tasks(desk.office.system()).enqueue(by_hand, {})); }); });
  bench::print_metric(
      arguments, bench::with_pairs({.bench = "workflows",
                                    .metric = "node_us",
                                    .storage = "sqlite",
                                    .durability = power_safe ? "power_safe" : "relaxed",
                                    .unit = "microseconds",
                                    .sync_us = power_safe ? std::optional(sync_us) : std::nullopt},
                                   p));
}

void tasks_through(const bench::Arguments& arguments, int runs) {
  Desk desk(false);
  desk.activate(chain("tasks", 20, R"("kind": "task", "task": "nothing")"));
  must(Workflows(desk.office.system()).start("tasks"));
  desk.work_off();
  const double began = bench::seconds_now();
  for (int i = 0; i < runs; ++i) {
    must(Workflows(desk.office.system()).start("tasks"));
    desk.work_off();
  }
  bench::print_metric(arguments, {.bench = "workflows",
                                  .metric = "task_node_us",
                                  .storage = "sqlite",
                                  .durability = "relaxed",
                                  .value = (bench::seconds_now() - began) * 1e6 / (runs * 20),
                                  .unit = "microseconds"});
}

double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long size = 0, pages = 0;
  const int read = std::fscanf(file, "%ld %ld", &size, &pages);
  std::fclose(file);
  return read == 2 ? static_cast<double>(pages) * 4096 : 0;
}

void resting(const bench::Arguments& arguments, int runs) {
  Desk desk(false);
  desk.activate(R"({"name": "rest", "nodes": [{"id": "d", "kind": "delay", "for": "30d"}]})");
  const auto lay_to_rest = [&](int count) {
    for (int i = 0; i < count; ++i) {
      must(Workflows(desk.office.system()).start("rest"));
      if (i % 500 == 499) desk.work_off();
    }
    desk.work_off();
    must(desk.office.engine->database().storage().maintain());
  };
  const auto disk = [&] {
    return static_cast<double>(std::filesystem::file_size(desk.office.path));
  };
  lay_to_rest(500);
  const double disk_before = disk();
  const double memory_before = resident_bytes();
  lay_to_rest(runs);
  bench::print_metric(arguments, {.bench = "workflows",
                                  .metric = "resting_disk_bytes",
                                  .storage = "sqlite",
                                  .value = (disk() - disk_before) / runs,
                                  .unit = "bytes"});
  bench::print_metric(arguments, {.bench = "workflows",
                                  .metric = "resting_memory_bytes",
                                  .storage = "sqlite",
                                  .value = (resident_bytes() - memory_before) / runs,
                                  .unit = "bytes"});
}

void changes_start(const bench::Arguments& arguments, int changes) {
  Desk desk(false);
  desk.activate(R"({"name": "made", "trigger": {"on": "change", "table": "teams",
      "changes": ["insert"], "where": "name prefix \"t\""},
      "nodes": [{"id": "e", "kind": "end"}]})");
  std::vector<Team> teams(static_cast<std::size_t>(changes));
  for (std::size_t i = 0; i < teams.size(); ++i) teams[i].name = "t" + std::to_string(i);
  must(Repository<Team>(desk.office.system()).insert_all(teams));
  const double began = bench::seconds_now();
  desk.orchestrator.notice();
  must(desk.orchestrator.duties());
  desk.work_off();
  const double took = bench::seconds_now() - began;
  const auto done = must(Tasks(desk.office.system())
                             .count(col(&Task::kind) == std::string(workflow_run.name) &&
                                    col(&Task::status) == TaskStatus::completed));
  if (done != static_cast<std::uint64_t>(changes)) bench::give_up("changes", "not all were run");
  bench::print_metric(arguments, {.bench = "workflows",
                                  .metric = "changes_started_and_run",
                                  .storage = "sqlite",
                                  .durability = "relaxed",
                                  .value = changes / took,
                                  .unit = "per_second"});
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse_arguments(argc, argv);
  const double sync_us = bench::measure_sync_us();
  nodes_through(arguments, arguments.quick ? 1 : 2, true, sync_us);
  nodes_through(arguments, arguments.quick ? 1 : 10, false, sync_us);
  tasks_through(arguments, arguments.quick ? 1 : 50);
  resting(arguments, arguments.quick ? 500 : 10'000);
  changes_start(arguments, arguments.quick ? 100 : 10'000);
}
