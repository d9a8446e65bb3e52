// A host with an entity of its own. Policies, feed, journal and the command line work for it as for
// the library's entities:
//   own_entity demo FILE       a day in a workshop
//   own_entity list machines   and all else that `bureau` has

#include <cstdio>
#include <cstring>

#include "machine.hpp"
#include "office.hpp"  // of examples/cli: the command line as a library

BUREAU_DEFINE_ENTITY(workshop::Machine);

using namespace bureau;
using workshop::Condition;
using workshop::Machine;

namespace {

/// People see the machines of their teams, and may say how they are.
Result<Policies> policies() {
  Policies rules;
  BUREAU_TRY_VOID(rules.add({.name = "the team's",
                             .table = "machines",
                             .command = Command::select,
                             .using_rule = "team in ($teams)",
                             .roles = {"agent"}}));
  BUREAU_TRY_VOID(rules.add({.name = "the team keeps them",
                             .table = "machines",
                             .command = Command::update,
                             .using_rule = "team in ($teams)",
                             .roles = {"agent"}}));
  BUREAU_TRY_VOID(rules.add({.name = "managers keep all",
                             .table = "machines",
                             .using_rule = Rule::always(),
                             .roles = {"admin", "manager"}}));
  return rules;
}

Result<User> person(const Session& office, const char* email) {
  User user;
  user.email = email;
  user.role = "agent";
  user.status = UserStatus::active;
  return Repository<User>(office).insert(user);
}

Result<void> demo(const char* path) {
  BUREAU_TRY(auto rules, policies());
  EngineOptions options;
  options.path = path;
  options.tables = {&table_of<Machine>()};
  options.policies = std::move(rules);
  BUREAU_TRY(auto engine, Engine::open(std::move(options)));
  BUREAU_TRY(const Tenant tenant, engine->access().create_tenant("workshop"));
  const Session office = engine->system(tenant.id);

  Team team;
  team.name = "lathes";
  BUREAU_TRY(team, Repository<Team>(office).insert(team));
  BUREAU_TRY(const User ada, person(office, "ada@example.com"));
  BUREAU_TRY(const User ben, person(office, "ben@example.com"));
  Membership membership;
  membership.team = team.id;
  membership.user = ada.id;
  BUREAU_TRY_VOID(Repository<Membership>(office).insert(membership));

  // What Ada hears, and Ben does not.
  BUREAU_TRY(const Session as_ada, engine->session(tenant.id, ada.id));
  BUREAU_TRY(const Session as_ben, engine->session(tenant.id, ben.id));
  const auto hear = [](const char* who) {
    return [who](const RowEvent<Machine>& event) {
      std::printf("%s hears: %s %s\n", who, std::string(to_string(event.kind)).c_str(),
                  event.after ? event.after->name.c_str() : "");
    };
  };
  BUREAU_TRY(auto ears, engine->feed().subscribe<Machine>(as_ada, {}, hear("Ada")));
  BUREAU_TRY(auto other_ears, engine->feed().subscribe<Machine>(as_ben, {}, hear("Ben")));

  Machine lathe;
  lathe.name = "lathe 3";
  lathe.team = team.id;
  BUREAU_TRY(lathe, Repository<Machine>(office).insert(lathe));
  BUREAU_TRY(lathe, Repository<Machine>(as_ada).change(
                        lathe.id, [](Machine& machine) { machine.condition = Condition::noisy; }));
  while (engine->feed().pump()) {
  }

  const auto hidden = Repository<Machine>(as_ben).find(lathe.id);
  std::printf("Ben looks for it: %s\n", std::string(to_string(hidden.error().code)).c_str());

  // Every change is in the journal, with who made it.
  BUREAU_TRY(const ChangePage page,
             engine->feed().poll_changes(office, table_of<Machine>(), {}, 0, 100));
  for (const OwnedFeedEvent& event : page.events) {
    std::printf("journal: %s by %s\n", std::string(to_string(event.kind)).c_str(),
                event.actor == ada.id.value ? "Ada" : "the office");
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "demo") == 0) {
    const auto done = demo(argv[2]);
    if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
    return done ? 0 : 1;
  }
  auto rules = policies();
  if (!rules) return 1;
  cli::Program program;
  program.name = "own_entity";
  program.tables = {&table_of<Machine>()};
  program.policies = *std::move(rules);
  return cli::run_program(argc, argv, program);
}
