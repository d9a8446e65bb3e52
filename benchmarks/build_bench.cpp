// How long a compiler needs for a file that includes all of bureau.

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "bench.hpp"
#include "loop.hpp"

int main(int argc, char** argv) {
  const auto arguments = bench::parse_arguments(argc, argv);
  bench::ScratchFolder scratch;
  const std::string source = scratch.file() + ".cpp";
  std::ofstream(source) << "#include <bureau/bureau.hpp>\nint main() {}\n";
  const std::string command = std::string(BUREAU_CXX) +
                              " -std=c++20 -I" BUREAU_SOURCE_DIR "/include -c -o /dev/null " +
                              source;
  std::vector<double> times;
  for (int i = 0; i < (arguments.quick ? 1 : 5); ++i) {
    const double start = bench::seconds_now();
    if (std::system(command.c_str()) != 0) bench::give_up("build", command);
    times.push_back(bench::seconds_now() - start);
  }
  bench::print_metric(arguments, {.bench = "build",
                                  .metric = "include_seconds",
                                  .value = bench::median(times),
                                  .unit = "seconds"});
}
