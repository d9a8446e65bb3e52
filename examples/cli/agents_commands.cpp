// `bureau agents list|import`: which agents the office means to have, and which of them work.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

Json json_of(const AgentInfo& agent) {
  const auto efficiency = agent.efficiency();
  Json kinds = Json::array();
  for (const auto& kind : agent.kinds) kinds.push_back(kind);
  return Json::object({{"agent", agent.name},
                       {"squad", agent.squad},
                       {"role", agent.role},
                       {"kinds", kinds},
                       {"configured", agent.configured},
                       {"operational", agent.operational()},
                       {"running", static_cast<std::int64_t>(agent.running)},
                       {"completed", static_cast<std::int64_t>(agent.completed)},
                       {"dead", static_cast<std::int64_t>(agent.dead)},
                       {"efficiency", efficiency ? Json(*efficiency) : Json()}});
}

Result<void> print_agents(const Office& office, Format format) {
  BUREAU_TRY(auto agents, list_agents(office.engine->database(), office.tenant.id));
  RowPrinter printer(format, {"agent", "squad", "kinds", "operational", "running", "completed",
                              "dead", "efficiency"});
  for (const AgentInfo& agent : agents) {
    const auto efficiency = agent.efficiency();
    printer.add({agent.name, agent.squad, fmt::format("{}", fmt::join(agent.kinds, " ")),
                 agent.operational() ? "yes" : "no", std::to_string(agent.running),
                 std::to_string(agent.completed), std::to_string(agent.dead),
                 efficiency ? fmt::format("{:.1f} %", *efficiency * 100) : "-"},
                json_of(agent));
  }
  printer.finish();
  if (format != Format::table) return {};
  const auto count = [&](auto which) { return std::count_if(agents.begin(), agents.end(), which); };
  fmt::print("{} configured, {} operational\n",
             count([](const AgentInfo& a) { return a.configured; }),
             count([](const AgentInfo& a) { return a.operational(); }));
  return {};
}

Result<void> import_agents(const Office& office, const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  if (!stream) return fail(Code::not_found, fmt::format("{}: it cannot be read", file), "FILE");
  auto entries = parse_roster(text.str());
  if (!entries) {
    return fail(
        Error(entries.error().code, file + ": " + entries.error().message, entries.error().field));
  }
  BUREAU_TRY(const auto report, import_roster(office.session(), *entries));
  fmt::print("{} added, {} changed, {} as they were\n", report.added, report.changed,
             report.unchanged);
  return {};
}

}  // namespace

void add_agents_commands(CLI::App& app, const InOffice& in_office) {
  auto format = std::make_shared<Format>(Format::table);
  auto file = std::make_shared<std::string>();
  auto* agents = app.add_subcommand("agents", "the agents of this office");
  agents->require_subcommand(1);
  auto* list = agents->add_subcommand("list", "which there are, and what they have done");
  add_format_option(*list, *format);
  list->callback(for_whole_office(in_office)(
      [format](Office& office) { return print_agents(office, *format); }));
  auto* import = agents->add_subcommand("import", "take the office's agents from a roster");
  import->add_option("FILE", *file, "JSON or CSV: name; optional: squad, role, kinds")->required();
  import->callback(in_office([file](Office& office) { return import_agents(office, *file);
}));
}  // namespace cli

}  // namespace cli
