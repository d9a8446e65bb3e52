// What an engine costs that has an agent, has done a task, and has nothing to do: processor time
// and memory.

#include <sys/resource.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "bench.hpp"
#include "office.hpp"

namespace {

constexpr auto idle_kind = bureau::task_kind<bureau::Nothing, bureau::Nothing>(
    "idle", bureau::Effect::pure, bureau::retry::never);

class Idler final : public bureau::AgentOf<idle_kind> {
 public:
  using AgentOf::execute;
  bureau::Result<bureau::Nothing> execute(bureau::Run&, const bureau::Nothing&) override {
    return bureau::Nothing{};
  }
};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double rss_mb() {
  std::ifstream statm("/proc/self/statm");
  long pages = 0, resident = 0;
  statm >> pages >> resident;
  return static_cast<double>(resident) * 4096 / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse_arguments(argc, argv);
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), true);
  bench::must(office.engine->add(std::make_shared<Idler>()));
  bench::must(office.engine->start());
  const bureau::Tasks tasks(office.system());
  const auto task = bench::must(tasks.enqueue(idle_kind, {}));
  bench::must(tasks.wait(task.id, std::chrono::seconds(10)));
  const auto wait = std::chrono::seconds(arguments.quick ? 1 : arguments.long_run ? 120 : 30);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const double before = cpu_seconds();
  const double start = bench::seconds_now();
  std::this_thread::sleep_for(wait);
  const double share = (cpu_seconds() - before) / (bench::seconds_now() - start) * 100;
  bench::print_metric(arguments, {.bench = "idle",
                                  .metric = "cpu_percent",
                                  .storage = "sqlite",
                                  .durability = "power_safe",
                                  .value = share,
                                  .unit = "percent"});
  bench::print_metric(arguments, {.bench = "idle",
                                  .metric = "rss_mb",
                                  .storage = "sqlite",
                                  .durability = "power_safe",
                                  .value = rss_mb(),
                                  .unit = "MB"});
  bench::must(office.engine->stop());
}
