// Generated offices of several processes, whose calls fail, which are killed, fall silent and come
// back, leave the same rows and the same journal on every storage.

#include <doctest/doctest.h>

#include "basics.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "counts.hpp"
#include "postgres/above/schemas.hpp"
#include "work/simulation.hpp"

using namespace bureau;
using namespace bureau::work_test;

namespace {

/// Its nodes take the first places that are free, so that ids are the same everywhere.
class FirstPlaces : public StorageWrapper {
 public:
  using StorageWrapper::StorageWrapper;
  [[nodiscard]] NodeRange node_range() const override { return {}; }
};

std::string trace_of(std::uint64_t seed, const Simulation::MakeStorage& make) {
  Simulation simulation(seed, Canary::none,
                        [&](Clock& clock) { return std::make_shared<FirstPlaces>(make(clock)); });
  CHECK(simulation.run() == "");
  return simulation.trace();
}

}  // namespace

TEST_CASE("G15_offices with faults and crashes leave the same on memory, SQLite and PostgreSQL") {
  const int offices = counts::cases(4, 200);
  for (int seed = 1; seed <= offices; ++seed) {
    CAPTURE(seed);
    const auto of = static_cast<std::uint64_t>(seed);
    const std::string memory = trace_of(of, make_memory_storage);
    CHECK(memory.find("run_steps") != std::string::npos);
    const Folder folder;
    const std::string sqlite = trace_of(of, [&](Clock& clock) {
      SqliteOptions options;
      options.path = folder.file("office.db");
      options.durability = Durability::relaxed;
      options.clock = &clock;
      return must(open_sqlite(std::move(options)));
    });
    CHECK(sqlite == memory);
    CHECK(trace_of(of, postgres_test::new_schema) == memory);
  }
}
