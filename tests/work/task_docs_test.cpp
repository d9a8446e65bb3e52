#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "bureau/work/flow.hpp"

using namespace bureau;

TEST_CASE("docs/tasks.md shows the edges that the code knows, and no others") {
  std::ifstream file(std::string(BUREAU_SOURCE_DIR) + "/docs/tasks.md");
  REQUIRE(file.good());
  std::set<std::string> shown;
  for (std::string line; std::getline(file, line);) {
    const auto arrow = line.find(" -> ");
    if (arrow == std::string::npos) continue;
    std::istringstream targets(line.substr(arrow + 4));
    for (std::string target; targets >> target;) {
      if (target.back() == ',') target.pop_back();
      shown.insert(line.substr(0, arrow) + " " + target);
    }
  }
  std::set<std::string> known;
  for (const auto& edge : task_transitions) {
    known.insert(std::string(names<TaskStatus>[static_cast<std::size_t>(edge.from)]) + " " +
                 std::string(names<TaskStatus>[static_cast<std::size_t>(edge.to)]));
  }
  CHECK(shown == known);
}

TEST_CASE("Names and numbers that reach the disk are frozen") {
  CHECK(static_cast<int>(TaskStatus::scheduled) == 0);
  CHECK(static_cast<int>(TaskStatus::dead) == 7);
  CHECK(names<TaskStatus>[4] == "in_doubt");
  CHECK(names<Effect>[3] == "external_unsafe");
  CHECK(names<Priority>[3] == "urgent");
  CHECK(names<RunAs>[1] == "enqueuer");
  CHECK(names<Gate>[2] == "admitted");
  CHECK(names<FlowRuleType>[2] == "rate");
}
