// A storage of a host's own: an office works on it, and the suite says whether it is right.

#include <cstdio>

#include "bureau/bureau.hpp"
#include "bureau/testing/exercise_storage.hpp"
#include "shelf_storage.hpp"

using namespace bureau;

namespace {

Result<void> run_an_office() {
  EngineOptions options;
  options.storage = shelf::make_shelf();
  BUREAU_TRY(const auto engine, Engine::open(std::move(options)));
  BUREAU_TRY(const Tenant tenant, engine->access().create_tenant("Larkfield"));
  const Repository<Team> teams(engine->system(tenant.id));
  for (const char* name : {"first line", "billing"}) {
    Team team;
    team.name = name;
    BUREAU_TRY_VOID(teams.insert(team));
  }
  BUREAU_TRY(const auto count, teams.count());
  std::printf("an office of %d teams\n", static_cast<int>(count));
  return {};
}

bool passes_the_suite() {
  const testing::Report report = testing::exercise_storage(
      {[] { return Result<std::shared_ptr<Storage>>(shelf::make_shelf()); }, {}});
  // What is not declared in its capabilities is skipped, with the reason.
  std::printf("%s\n", report.summary().c_str());
  return report.passed();
}

}  // namespace

int main() {
  if (auto done = run_an_office(); !done) {
    std::printf("%s\n", to_string(done.error()).c_str());
    return 1;
  }
  return passes_the_suite() ? 0 : 1;
}
