// What an engine costs that has nothing to do: processor time and memory.

#include <sys/resource.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "bench.hpp"
#include "office.hpp"

namespace {

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
  bench::must(office.engine->start());
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
