#include "bureau/work/agent_network.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <limits>
#include <sstream>

#include "basics.hpp"
#include "bureau/access/access.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/work/agent_roster.hpp"
#include "storages.hpp"
#include "tree.hpp"

using namespace bureau;

namespace {

struct Office {
  ManualClock clock;
  SeededRandom random{7};
  std::unique_ptr<Database> database;
  std::unique_ptr<Access> access;
  Id<Tenant> tenant;
  std::vector<Id<ConfiguredAgent>> agents;

  Office() {
    DatabaseOptions options;
    options.storage = tests::new_storage(clock);
    options.clock = &clock;
    options.random = &random;
    must(Access::add_tables(options.catalog));
    must(add_network_tables(options.catalog));
    database = must(Database::open(std::move(options)));
    Policies policies;
    must(add_network_policies(policies));
    access = must(Access::open(*database, policies));
    tenant = must(access->create_tenant("Larkfield")).id;
    must(import_roster(system(), {{"scout"}, {"planner"}, {"builder"}}));
    const Session s = system();
    for (const auto& agent : must(Repository<ConfiguredAgent>{s}.list({}))) {
      agents.push_back(agent.id);
    }
  }
  [[nodiscard]] Session system() { return access->system(tenant); }
  [[nodiscard]] AgentNetwork network() { return AgentNetwork{system()}; }
};

template <class R>
void refused(const R& result, Code code, const char* field) {
  REQUIRE(!result);
  INFO(to_string(result.error()));
  CHECK(result.error().code == code);
  CHECK(result.error().field == field);
}

}  // namespace

TEST_CASE("a response has its request, and goes back to who asked") {
  Office office;
  const AgentNetwork network = office.network();
  const auto a = office.agents[0], b = office.agents[1], c = office.agents[2];
  const auto said = [&](Id<ConfiguredAgent> from, Id<ConfiguredAgent> to, InteractionType type,
                        std::optional<Id<AgentInteraction>> about = {}) {
    return network.record({from, to, type, about, "Stock?", Json::object({{"n", 3}})});
  };
  const AgentInteraction request = must(said(a, b, InteractionType::request));
  const AgentInteraction notice = must(said(a, b, InteractionType::notification));
  must(said(b, c, InteractionType::alert));
  const AgentInteraction response = must(said(b, a, InteractionType::response, request.id));
  CHECK(must(network.responses(request.id)).size() == 1);
  CHECK(must(network.interactions().find(response.id)).in_reply_to == request.id);

  refused(said(a, a, InteractionType::alert), Code::invalid, "to");
  refused(said(b, a, InteractionType::response), Code::invalid, "in_reply_to");
  refused(said(c, a, InteractionType::response, request.id), Code::invalid, "in_reply_to");
  refused(said(a, b, InteractionType::response, request.id), Code::invalid, "in_reply_to");
  refused(said(b, a, InteractionType::response, notice.id), Code::invalid, "in_reply_to");
  refused(said(b, a, InteractionType::alert, request.id), Code::invalid, "in_reply_to");
  refused(said(b, a, InteractionType::response, Id<AgentInteraction>(4711)), Code::not_found, "id");
  refused(said(a, Id<ConfiguredAgent>(4711), InteractionType::alert), Code::not_found, "to_agent");
  CHECK(must(network.interactions().count()) == 4);
}

TEST_CASE("a pair has one connection; its status goes along the edges") {
  Office office;
  const AgentNetwork network = office.network();
  const auto a = office.agents[0], b = office.agents[1], c = office.agents[2];
  AgentConnection made = must(network.connect({b, a, ConnectionType::neural, 0.5}));
  CHECK(made.a == a);
  CHECK(made.b == b);
  refused(network.connect({a, b}), Code::exists, "b");
  refused(network.connect({b, a}), Code::exists, "b");
  refused(network.connect({a, a}), Code::invalid, "b");
  for (const double wrong : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    refused(network.connect({a, c, ConnectionType::data, wrong}), Code::invalid, "strength");
  }
  refused(network.connect({a, c, ConnectionType::data, 1, Duration(-1)}), Code::invalid, "latency");
  refused(network.connect({a, c, ConnectionType::data, 1, {}, -1}), Code::invalid,
          "bandwidth_kbps");
  for (std::size_t f = 0; f < names<ConnectionStatus>.size(); ++f) {
    for (std::size_t t = 0; t < names<ConnectionStatus>.size(); ++t) {
      const auto from = static_cast<ConnectionStatus>(f), to = static_cast<ConnectionStatus>(t);
      AgentConnection row = must(network.connections().find(made.id));
      row.status = from;
      must(network.connections().update(row));
      const auto moved = network.set_status(made.id, to);
      CHECK(moved.has_value() == (from == to || may_become(from, to)));
      if (!moved) CHECK(moved.error().code == Code::conflict);
    }
  }

  const auto node = [&](const char* name, std::optional<Id<ConfiguredAgent>> agent) {
    NetworkNode given;
    given.name = name;
    given.agent = agent;
    if (!agent) given.node_type = NodeType::hub;
    return given;
  };
  const NetworkNode first = must(network.place(node("a", a)));
  const NetworkNode hub = must(network.place(node("hub", {})));
  CHECK(must(network.degree(first.id)) == 1);
  must(network.connect({a, c}));
  CHECK(must(network.degree(first.id)) == 2);
  CHECK(must(network.degree(hub.id)) == 0);
  NetworkNode again = node("a", b);
  again.color = "#00ff7F";
  CHECK(must(network.place(again)).id == first.id);
  CHECK(must(network.degree(first.id)) == 1);
  NetworkNode bad = node("", {});
  refused(network.place(bad), Code::invalid, "name");
  bad = node("n", {});
  bad.node_type = NodeType::agent;
  refused(network.place(bad), Code::invalid, "agent");
  bad = node("n", {});
  bad.size = 0;
  refused(network.place(bad), Code::invalid, "size");
  bad = node("n", {});
  bad.y = std::numeric_limits<double>::infinity();
  refused(network.place(bad), Code::invalid, "y");
  bad = node("n", {});
  bad.color = "green";
  refused(network.place(bad), Code::invalid, "color");
}

TEST_CASE("an AI agent records what it says, and changes no roster") {
  Office office;
  const Session agent = office.access->agent(office.tenant, "scout", "agent");
  const AgentNetwork network{agent};
  must(network.record({office.agents[0], office.agents[1], InteractionType::alert}));
  must(network.connect({office.agents[0], office.agents[1]}));
  refused(import_roster(agent, {{"intruder"}}), Code::forbidden, "");
}

TEST_CASE("a roster is read as JSON and as CSV, and what is wrong in it is named") {
  const auto csv = must(parse_roster("kinds,name,squad\nb  a,One,\"x, y\"\n,Two,\n"));
  REQUIRE(csv.size() == 2);
  CHECK(csv[0].name == "One");
  CHECK(csv[0].squad == "x, y");
  CHECK(csv[0].kinds == std::vector<std::string>{"b", "a"});
  CHECK(csv[1].kinds.empty());
  const auto json = must(
      parse_roster(R"( [{"name": "One", "squad": "x, y", "kinds": ["b", "a"]}, {"name": "Two"}])"));
  REQUIRE(json.size() == 2);
  CHECK(json[0].kinds == csv[0].kinds);

  for (const auto& wrong :
       {std::pair("", "empty"), std::pair("name\nOne\nOne\n", "line 3"),
        std::pair("name,rank\nOne,1\n", "rank"), std::pair("name,squad\nOne\n", "line 2"),
        std::pair("squad\nx\n", "line 2"), std::pair("name\n\"One", "line"),
        std::pair("{\"name\": \"One\"}", "list"), std::pair("[3]", "agent 1"),
        std::pair("[{\"name\": \"One\"}, {\"name\": 3}]", "agent 2"),
        std::pair("[{\"name\": \"One\", \"kinds\": \"a\"}]", "kinds"),
        std::pair("[{\"name\": \"One\", \"kinds\": [3]}]", "kinds"),
        std::pair("[{\"nom\": \"One\"}]", "nom"), std::pair("[{\"squad\": \"x\"}]", "name"),
        std::pair("[", "roster")}) {
    CAPTURE(std::string(wrong.first));
    const auto read = parse_roster(wrong.first);
    REQUIRE(!read);
    CHECK(read.error().code == Code::invalid);
    INFO(read.error().message);
    CHECK(read.error().message.find(wrong.second) != std::string::npos);
  }
  CHECK(!parse_roster("name\n" + std::string(101, 'x') + "\n"));
}

TEST_CASE("importing a roster again changes only what is different") {
  Office office;
  const Session system = office.system();
  const RosterReport again = must(import_roster(system, {{"scout"}, {"planner", "x"}, {"new"}}));
  CHECK(again.added == 1);
  CHECK(again.changed == 1);
  CHECK(again.unchanged == 1);
  CHECK(must(Repository<ConfiguredAgent>{system}.count()) == 4);  // "builder" stays
}

TEST_CASE("the picture in docs/agents.md is what the table says") {
  std::string picture = "```mermaid\nstateDiagram-v2\n    [*] --> active\n";
  const auto name = [](ConnectionStatus s) {
    return std::string(names<ConnectionStatus>[static_cast<std::size_t>(s)]);
  };
  for (const ConnectionTransition& edge : connection_transitions) {
    picture += "    " + name(edge.from) + " --> " + name(edge.to) + "\n";
  }
  picture += "```\n";
  std::ifstream file(std::string(BUREAU_SOURCE_DIR) + "/docs/agents.md");
  std::stringstream text;
  text << file.rdbuf();
  CHECK(text.str().find(picture) != std::string::npos);
}

TEST_CASE("numbers and names of what is stored about agents are frozen") {
  CHECK(static_cast<int>(InteractionType::alert) == 3);
  CHECK(names<InteractionType>[0] == "request");
  CHECK(static_cast<int>(ConnectionType::sync) == 3);
  CHECK(names<ConnectionType>[0] == "neural");
  CHECK(static_cast<int>(ConnectionStatus::failed) == 3);
  CHECK(static_cast<int>(NodeType::store) == 3);
  CHECK(static_cast<int>(NodeStatus::maintenance) == 3);
}
