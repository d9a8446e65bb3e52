// What an office means to have, and what works: the roster of 139 beside the agents that run.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "basics.hpp"
#include "bureau/engine.hpp"
#include "bureau/support/support.hpp"
#include "bureau/work/agent_registry.hpp"
#include "bureau/work/agent_roster.hpp"
#include "tree.hpp"

using namespace bureau;

namespace {

struct Counted {
  std::size_t configured = 0;
  std::set<std::string> operational;
};

Counted count(Engine& engine, Id<Tenant> tenant) {
  Counted counted;
  for (const AgentInfo& agent : must(list_agents(engine.database(), tenant))) {
    if (agent.configured) ++counted.configured;
    if (agent.operational()) counted.operational.insert(agent.name);
  }
  return counted;
}

}  // namespace

TEST_CASE("139 agents are configured, none is operational, and then exactly those that run") {
  const Folder folder;
  const auto open = [&] {
    EngineOptions options;
    options.path = folder.file();
    options.threads = 1;
    return must(Engine::open(std::move(options)));
  };
  auto looking = open();
  const Id<Tenant> tenant = must(looking->access().create_tenant("Larkfield")).id;
  std::ifstream file(std::string(BUREAU_SOURCE_DIR) + "/examples/cli/data/agents/roster.csv");
  std::stringstream text;
  text << file.rdbuf();
  CHECK(must(import_roster(looking->system(tenant), must(parse_roster(text.str())))).added == 139);
  Counted counted = count(*looking, tenant);
  CHECK(counted.configured == 139);
  CHECK(counted.operational.empty());

  {
    auto working = open();  // as another process would
    must(working->add(std::make_shared<RoutingAgent>()));
    must(working->add(std::make_shared<ResponderAgent>(col(&Message::confidence) >= 0.8)));
    must(working->start());
    counted = count(*looking, tenant);
    CHECK(counted.configured == 139);
    CHECK(counted.operational == std::set<std::string>{"route_ticket", "draft_reply"});
    must(working->stop());
  }
  counted = count(*looking, tenant);
  CHECK(counted.configured == 139);
  CHECK(counted.operational.empty());
  // Nothing of it is stored where it could go stale: the rows say what is configured, no more.
  CHECK(table_of<ConfiguredAgent>().find("status") == nullptr);
}
