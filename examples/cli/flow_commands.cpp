// `bureau flow`: what holds tasks back. `bureau tasks why`: whether it holds one back.

#include <fmt/format.h>

#include <memory>

#include "bureau/work/flow.hpp"
#include "bureau/work/why.hpp"
#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

struct FlowOptions {
  ListOptions list;
  FlowScope scope;
  PauseOptions pause;
  ConcurrencyLimit limit;
  RateLimit rate;
  double seconds = 0;
  std::int64_t weight = 1;
  std::string rule, task;
  Format format = Format::table;
};
using FlowGiven = std::shared_ptr<FlowOptions>;

std::string text_of(const FlowScope& scope) {
  std::string text;
  for (const auto& [what, name] : {std::pair("queue", &scope.queue), std::pair("kind", &scope.kind),
                                   std::pair("key", &scope.flow_key)}) {
    if (name->empty()) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, without_controls(*name));
  }
  return text.empty() ? "everything" : text;
}

void add_scope_options(CLI::App& app, FlowScope& scope) {
  app.add_option("--queue", scope.queue, "the tasks of this queue");
  app.add_option("--kind", scope.kind, "of this kind");
  app.add_option("--key", scope.flow_key, "with this flow key");
}

Result<void> pause(const Office& office, FlowOptions& given) {
  if (given.seconds > 0) {
    given.pause.until = office.engine->database().clock().now() +
                        Duration(static_cast<std::int64_t>(given.seconds * 1e6));
  }
  BUREAU_TRY(const auto rule, FlowRules(office.session()).pause(given.scope, given.pause));
  fmt::print("{}: paused{}\n", text_of(given.scope),
             rule.until ? ", until " + rule.until->to_string() : "");
  return {};
}

Result<void> resume(const Office& office, FlowOptions& given) {
  BUREAU_TRY_VOID(FlowRules(office.session()).resume(given.scope));
  fmt::print("{}: resumed\n", text_of(given.scope));
  return {};
}

Result<void> limit(const Office& office, FlowOptions& given) {
  given.limit.scope = given.scope;
  BUREAU_TRY_VOID(FlowRules(office.session()).limit(given.limit));
  fmt::print("{}: at most {} at a time{}\n", text_of(given.scope), given.limit.at_most,
             given.limit.each_key ? " for each flow key" : "");
  return {};
}

Result<void> rate(const Office& office, FlowOptions& given) {
  given.rate.scope = given.scope;
  given.rate.period = Duration(static_cast<std::int64_t>(given.seconds * 1e6));
  BUREAU_TRY_VOID(FlowRules(office.session()).rate(given.rate));
  fmt::print("{}: at most {} in {} s{}\n", text_of(given.scope), given.rate.at_most, given.seconds,
             given.rate.each_key ? " for each flow key" : "");
  return {};
}

Result<void> remove(const Office& office, FlowOptions& given) {
  BUREAU_TRY(const auto id, id::from_text(schema<FlowRule>.prefix, given.rule));
  BUREAU_TRY_VOID(FlowRules(office.session()).remove(Id<FlowRule>(id)));
  fmt::print("{}: removed\n", given.rule);
  return {};
}

Result<void> set_weight(const Office& office, FlowOptions& given) {
  BUREAU_TRY_VOID(FlowRules(office.session()).set_weight(given.weight));
  fmt::print("{}: weight {}\n", without_controls(office.tenant.name), given.weight);
  return {};
}

Result<void> list(const Office& office, FlowOptions& given) {
  const TableInfo& table = table_of<FlowRule>();
  return list_rows(office, table, given.list, {{table.find("created_at"), false}},
                   {"id", "type", "queue", "kind", "flow_key", "each_key", "at_most", "period",
                    "until", "reason", "made_by", "created_at"});
}

Result<void> print_why(const Office& office, FlowOptions& given) {
  BUREAU_TRY(const auto id, parse_task(given.task));
  BUREAU_TRY(const Why answer, why(office.session(), id));
  if (given.format == Format::json) {
    fmt::print("{}\n", to_json(answer).dump());
    return {};
  }
  const auto status = names<TaskStatus>[static_cast<std::size_t>(answer.status)];
  fmt::print("{}: {}{}\n", given.task, status,
             answer.claimable ? ", the next worker that is free takes it" : "");
  for (const WaitReason& reason : answer.reasons) {
    fmt::print("  {}\n", without_controls(reason.text));
  }
  return {};
}

}  // namespace

void add_flow_commands(CLI::App& app, CLI::App& tasks, const InOffice& in_office) {
  auto given = std::make_shared<FlowOptions>();
  auto* flow = app.add_subcommand("flow", "what holds tasks back: pauses and limits");
  flow->require_subcommand(1);
  const auto add = [&](CLI::App& to, const char* name, const char* what,
                       Result<void> (*act)(const Office&, FlowOptions&)) {
    auto* command = to.add_subcommand(name, what);
    command->callback(in_office([given, act](Office& office) { return act(office, *given); }));
    return command;
  };
  add_list_options(*add(*flow, "list", "which rules there are", list), given->list,
                   "type = \"pause\"");
  auto* paused = add(*flow, "pause", "none of these tasks is begun until it is resumed", pause);
  add_scope_options(*paused, given->scope);
  paused->add_option("--reason", given->pause.reason, "why");
  paused->add_option("--seconds", given->seconds, "resumes by itself after so long")
      ->check(CLI::Range(0.001, 1e9));
  add_scope_options(*add(*flow, "resume", "end a pause of exactly this", resume), given->scope);
  auto* limited = add(*flow, "limit", "at most so many of these run at a time", limit);
  add_scope_options(*limited, given->scope);
  limited->add_option("--at-most", given->limit.at_most, "how many")->required();
  limited->add_flag("--each-key", given->limit.each_key, "each flow key for itself");
  auto* rated = add(*flow, "rate", "at most so many of these begin in a while", rate);
  add_scope_options(*rated, given->scope);
  rated->add_option("--at-most", given->rate.at_most, "how many")->required();
  rated->add_option("--seconds", given->seconds, "in how long")
      ->required()
      ->check(CLI::Range(0.001, 3e7));
  rated->add_option("--burst", given->rate.burst, "how many at once after a rest");
  rated->add_flag("--each-key", given->rate.each_key, "each flow key for itself");
  add(*flow, "remove", "remove a rule", remove)
      ->add_option("RULE", given->rule, "its id")
      ->required();
  add(*flow, "weight", "how much of each batch the tenant gets", set_weight)
      ->add_option("WEIGHT", given->weight, "1 to 1000; 1 where nothing is said")
      ->required();
  auto* why = add(tasks, "why", "why a task is not running", print_why);
  why->add_option("TASK", given->task, "its id")->required();
  add_format_option(*why, given->format);
}

}  // namespace cli
