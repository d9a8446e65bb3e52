#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "bureau/work/flow.hpp"
#include "bureau/work/run_step.hpp"
#include "tree.hpp"

using namespace bureau;

namespace {

std::string text_of(const char* page) {
  std::ifstream file(std::string(BUREAU_SOURCE_DIR) + "/docs/" + page);
  REQUIRE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The picture of a table of transitions, in the language of Mermaid: `begins` are the states in
/// which a row is made; those that nothing leaves are ends.
template <class Status, class Edges>
std::string picture(std::initializer_list<Status> begins, const Edges& edges) {
  const auto name = [](Status status) {
    return std::string(names<Status>[static_cast<std::size_t>(status)]);
  };
  std::string out = "```mermaid\nstateDiagram-v2\n";
  for (const Status begin : begins) out += "  [*] --> " + name(begin) + "\n";
  std::set<Status> left, met(begins);
  for (const auto& edge : edges) {
    out += "  " + name(edge.from) + " --> " + name(edge.to) + "\n";
    left.insert(edge.from);
    met.insert(edge.to);
  }
  for (const Status status : met) {
    if (!left.contains(status)) out += "  " + name(status) + " --> [*]\n";
  }
  return out + "```\n";
}

void check_picture(const char* page, const std::string& wanted) {
  INFO(page, " must hold:\n", wanted);
  CHECK(text_of(page).find(wanted) != std::string::npos);
}

}  // namespace

TEST_CASE("The pictures of a task's and a step's life are made from the tables that decide") {
  check_picture("tasks.md", picture({TaskStatus::ready, TaskStatus::scheduled}, task_transitions));
  check_picture("runs.md", picture({StepStatus::open, StepStatus::finished, StepStatus::failed,
                                    StepStatus::timed_out},
                                   step_transitions));
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
