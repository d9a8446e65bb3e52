// Durable runs: what a step costs, beside a hand-written SQLite C loop that writes the same row and
// journal record in a commit of its own; what reserving from a budget adds; what a run that rests
// costs.

#include <filesystem>

#include "bench.hpp"
#include "office.hpp"
#include "runs_steps.hpp"

namespace {

using namespace bureau;
using namespace std::chrono_literals;
using bench::must;
using namespace runs_bench;

constexpr int pairs = 9;

constexpr auto rest_kind = task_kind<Nothing, Nothing>("rest", Effect::pure, retry::never);
constexpr auto plain_kind =
    task_kind<Nothing, Nothing>("plain", Effect::pure, retry::never, "plain");

class Rester final : public AgentOf<rest_kind> {
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    BUREAU_TRY_VOID(run.sleep(24h));
    return Nothing{};
  }
};

/// The loop: looks whether the lease holds, writes the step and its record, commits.
class StepLoop {
 public:
  StepLoop(const std::string& path, const bench::Office& office, bool power_safe)
      : loop_(path, office.path, power_safe),
        begin_(loop_.db(), "BEGIN IMMEDIATE"),
        lease_(loop_.db(),
               "SELECT status,attempt,node,generation,cancel_requested FROM tasks "
               "WHERE id=?1"),
        insert_(loop_.db(), bench::insert_sql(loop_, "run_steps")),
        journal_(loop_.db(), bench::insert_sql(loop_, "bureau_journal")),
        commit_(loop_.db(), "COMMIT"),
        body_(newest_body(office)),
        like_(a_step(office)) {
    bench::copy_table(loop_, office.path, "tasks");
  }

  double step_us(int count) {
    std::vector<Value> values(table_of<RunStep>().width());
    ++task_;
    const double start = bench::seconds_now();
    for (int i = 0; i < count; ++i) {
      begin_.run();
      lease_.bind(1, like_.task.value);
      lease_.run();
      RunStep step = like_;
      step.id = Id<RunStep>((std::int64_t{1} << 40) + ++next_);
      step.task = Id<Task>(like_.task.value + task_);
      step.position = i;
      detail::Scratch scratch;
      to_values(step, values, scratch);
      bench::bind_row(insert_, values);
      insert_.run();
      for (int column = 1; column <= 8; ++column) {
        journal_.bind(column, column == 1 ? (std::int64_t{1} << 40) + next_ : std::int64_t{7});
      }
      journal_.bind_bytes(9, body_);
      journal_.run();
      commit_.run();
    }
    return (bench::seconds_now() - start) * 1e6 / count;
  }

 private:
  bench::Loop loop_;
  bench::LoopStatement begin_, lease_, insert_, journal_, commit_;
  std::string body_;
  RunStep like_;
  std::int64_t next_ = 0, task_ = 0;
};

void durable_steps(const bench::Arguments& arguments, int count, bool power_safe, double sync_us) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), power_safe);
  StepRuns runs(office);
  must(Tasks(office.system()).enqueue(steps_kind, {}));
  StepLoop loop(scratch.file(), office, power_safe);
  const auto p = bench::measure_pairs(
      pairs, bench::Better::lower, [&] { return runs.step_us(count); },
      [&] { return loop.step_us(count); });
  bench::print_metric(
      arguments, bench::with_pairs({.bench = "runs",
                                    .metric = "durable_step_us",
                                    .storage = "sqlite",
                                    .durability = power_safe ? "power_safe" : "relaxed",
                                    .unit = "microseconds",
                                    .sync_us = power_safe ? std::optional(sync_us) : std::nullopt},
                                   p));
}

/// What a step costs that reserves from a budget, with one more above it, beside one that does not.
void reserved_steps(const bench::Arguments& arguments, int count, bool power_safe, double sync_us) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), power_safe);
  StepRuns runs(office);
  const Budgets budgets(office.system());
  const Budget top = must(budgets.create({.name = "top", .limits = {.tokens = 1'000'000'000'000}}));
  EnqueueOptions options;
  options.budget =
      must(budgets.create(
               {.name = "part", .limits = {.tokens = 1'000'000'000'000}, .parent = top.id}))
          .id;
  const auto steps = [&](bool spends) { return runs.step_us(count, spends, options); };
  steps(true);
  steps(false);
  const auto p = bench::measure_pairs(
      pairs, bench::Better::lower, [&] { return steps(true); }, [&] { return steps(false); });
  bench::print_metric(
      arguments, bench::with_pairs({.bench = "runs",
                                    .metric = "reserved_step_us",
                                    .storage = "sqlite",
                                    .durability = power_safe ? "power_safe" : "relaxed",
                                    .unit = "microseconds",
                                    .sync_us = power_safe ? std::optional(sync_us) : std::nullopt},
                                   p));
}

/// Resident memory of this process, in bytes.
double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long size = 0, pages = 0;
  const int read = std::fscanf(file, "%ld %ld", &size, &pages);
  std::fclose(file);
  return read == 2 ? static_cast<double>(pages) * 4096 : 0;
}

double file_bytes(const bench::Office& office) {
  must(office.engine->database().storage().maintain());
  return static_cast<double>(std::filesystem::file_size(office.path));
}

int drain(const bench::Office& office, TaskQueue& queue, int count) {
  for (int made = 0; made < count; made += 1000) {
    must(Tasks(office.system()).enqueue_all(plain_kind, std::vector<Nothing>(1000)));
  }
  int drained = 0;
  std::vector<TaskQueue::Completion> done;
  for (;;) {
    auto claimed = must(queue.claim({"plain", {"plain"}, 100, "bench"}));
    if (claimed.empty()) return drained;
    done.clear();
    for (const Task& task : claimed) done.push_back({task.id, task.attempt, Json::object()});
    must(queue.complete(done));
    drained += static_cast<int>(done.size());
  }
}

double drains_per_second(const bench::Office& office, TaskQueue& queue, int count) {
  const double start = bench::seconds_now();
  if (drain(office, queue, count) != count) bench::give_up("drain", "not all were drained");
  return count / (bench::seconds_now() - start);
}

void sleeping_runs(const bench::Arguments& arguments, int runs, int tasks) {
  bench::ScratchFolder scratch;
  auto empty = bench::open_office(scratch.file(), false);
  auto office = bench::open_office(scratch.file(), false);
  Orchestrator orchestrator(office.engine->database(), office.engine->access(), {});
  must(orchestrator.add(std::make_shared<Rester>()));
  must(orchestrator.start());
  const auto lay_to_rest = [&](int count) {
    for (int made = 0; made < count; made += 1000) {
      must(Tasks(office.system())
               .enqueue_all(rest_kind, std::vector<Nothing>(static_cast<std::size_t>(
                                           std::min(1000, count - made)))));
      work_off(orchestrator);
    }
  };
  lay_to_rest(1000);  // caches are filled
  const double disk = file_bytes(office);
  const double memory = resident_bytes();
  lay_to_rest(runs);
  bench::print_metric(arguments, {.bench = "runs",
                                  .metric = "sleeping_run_disk_bytes",
                                  .storage = "sqlite",
                                  .value = (file_bytes(office) - disk) / runs,
                                  .unit = "bytes"});
  bench::print_metric(arguments, {.bench = "runs",
                                  .metric = "sleeping_run_memory_bytes",
                                  .storage = "sqlite",
                                  .value = (resident_bytes() - memory) / runs,
                                  .unit = "bytes"});
  TaskQueue queue(office.engine->database());
  TaskQueue empty_queue(empty.engine->database());
  const auto p = bench::measure_pairs(
      pairs, bench::Better::higher, [&] { return drains_per_second(office, queue, tasks); },
      [&] { return drains_per_second(empty, empty_queue, tasks); });
  bench::print_metric(arguments, bench::with_pairs({.bench = "runs",
                                                    .metric = "drain_beside_sleeping",
                                                    .storage = "sqlite",
                                                    .durability = "relaxed",
                                                    .unit = "per_second"},
                                                   p));
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse_arguments(argc, argv, {"steps", "reserved", "sleeping"});
  const double sync_us = bench::measure_sync_us();
  const int steps = arguments.quick ? 50 : 1000;
  for (const bool power_safe : {true, false}) {
    if (arguments.wants("steps")) durable_steps(arguments, steps, power_safe, sync_us);
  }
  for (const bool power_safe : {true, false}) {
    if (arguments.wants("reserved")) reserved_steps(arguments, steps, power_safe, sync_us);
  }
  if (!arguments.wants("sleeping")) return 0;
  sleeping_runs(arguments,
                arguments.quick      ? 1000
                : arguments.long_run ? 1'000'000
                                     : 20'000,
                arguments.quick ? 1000 : 20'000);
}
