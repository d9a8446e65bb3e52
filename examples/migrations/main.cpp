// Two versions of a program and one office: what a release with other tables looks like to a host.
//   migrations 1 init                 the office of the first version
//   migrations 2 migrate plan         what the second would do to it
//   migrations 2 migrate              from now on both work: `1 list machines`, `2 list machines`
//   migrations 2 migrate --finalize   and from now on only the second

#include <cstdio>
#include <cstring>

#include "office.hpp"  // of examples/cli: the command line as a library
#include "version_1.hpp"
#include "version_2.hpp"

int main(int argc, char** argv) {
  const bool first = argc > 1 && std::strcmp(argv[1], "1") == 0;
  const bool second = argc > 1 && std::strcmp(argv[1], "2") == 0;
  if (!first && !second) {
    std::fputs("migrations 1|2 COMMAND: as which version\n", stderr);
    return 2;
  }
  cli::Program program;
  program.name = "migrations";
  program.tables = {first ? &bureau::table_of<workshop_1::Machine>()
                          : &bureau::table_of<workshop_2::Machine>()};
  program.migrations = first ? workshop_1::migrations() : workshop_2::migrations();
  argv[1] = argv[0];
  return cli::run_program(argc - 1, argv + 1, program);
}
