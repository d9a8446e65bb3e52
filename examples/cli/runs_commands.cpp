// `bureau runs` and `bureau approvals`: what durable runs have done, what is said to them, and what
// they ask of people.

#include <fmt/format.h>

#include <memory>

#include "bureau/work/runs.hpp"
#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

// Runs -----------------------------------------------------------------------------------------

struct RunOptions {
  std::string task, name, json = "null", key, reason = "from the command line";
  std::int64_t position = 0;
  Format format = Format::table;
};
using GivenRun = std::shared_ptr<RunOptions>;
using ActOnRun = Result<void> (*)(const Runs&, Id<Task>, const RunOptions&);

Result<void> print_steps(const Runs& runs, Id<Task> task, const RunOptions& given) {
  BUREAU_TRY(const auto steps, runs.steps(task));
  EntityPrinter printer(
      given.format, table_of<RunStep>(),
      {"position", "kind", "name", "status", "attempt", "due_at", "created_at", "result"});
  for (const RunStep& step : steps) add_row(printer, step);
  printer.finish();
  return {};
}

Result<void> say(const Runs& runs, Id<Task> task, const RunOptions& given) {
  BUREAU_TRY(Json payload, parse_json(given.json));
  std::optional<std::string> key;
  if (!given.key.empty()) key = given.key;
  BUREAU_TRY(const bool kept, runs.signal_json(task, given.name, std::move(payload), key));
  fmt::print("{}\n", kept ? "said" : "it was said before, with that key");
  return {};
}

Result<void> retry(const Runs& runs, Id<Task> task, const RunOptions& given) {
  BUREAU_TRY_VOID(runs.retry_from(task, given.position));
  fmt::print("{}: again from step {}\n", given.task, given.position);
  return {};
}

Result<void> fork(const Runs& runs, Id<Task> task, const RunOptions& given) {
  BUREAU_TRY(const Task made, runs.fork_from(task, given.position));
  fmt::print("{}\n", id::to_text(schema<Task>.prefix, made.id.value));
  return {};
}

Result<void> resolve(const Runs& runs, Id<Task> task, const RunOptions& given) {
  BUREAU_TRY(Json result, parse_json(given.json));
  BUREAU_TRY_VOID(runs.resolve_step(task, std::move(result), given.reason));
  fmt::print("{}: it goes on\n", given.task);
  return {};
}

Result<void> probe(const Runs& runs, Id<Task> task, const RunOptions& given) {
  BUREAU_TRY_VOID(runs.probe_again(task));
  fmt::print("{}: its probe is asked again\n", given.task);
  return {};
}

void add_runs(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<RunOptions>();
  auto* runs = app.add_subcommand("runs", "durable runs, by their task's id");
  runs->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, ActOnRun act) {
    auto* command = runs->add_subcommand(name, what);
    command->add_option("TASK", given->task, "its id")->required();
    command->callback(in_office([given, act](Office& office) -> Result<void> {
      BUREAU_TRY(const auto task, parse_id<Task>(given->task));
      return act(Runs(office.session()), task, *given);
    }));
    return command;
  };
  add_format_option(*add("steps", "what it has done", print_steps), given->format);
  auto* signal = add("signal", "say something to it", say);
  signal->add_option("NAME", given->name, "the signal's name")->required();
  signal->add_option("JSON", given->json, "what comes with it")->capture_default_str();
  signal->add_option("--key", given->key, "of a run's signals with one key only the first is kept");
  const auto from = [&](CLI::App* command) {
    command->add_option("STEP", given->position, "the step's position")->required();
  };
  from(add("retry", "forget what it did from a step on, and have it do that again", retry));
  from(add("fork", "a second run with the steps before that one behind it", fork));
  auto* resolved = add("resolve", "say what an unsafe step came to that is in doubt", resolve);
  resolved->add_option("JSON", given->json, "the step's result")->required();
  resolved->add_option("--reason", given->reason, "how that is known")->capture_default_str();
  add("probe", "have its probe asked again what an unsafe step came to", probe);
}

// Approvals ------------------------------------------------------------------------------------

struct ApprovalOptions {
  ListOptions list;
  std::string id, comment;
};
using GivenApproval = std::shared_ptr<ApprovalOptions>;
using ActOnApproval = Result<Approval> (*)(const Approvals&, Id<Approval>, const ApprovalOptions&);

Result<Approval> claim(const Approvals& approvals, Id<Approval> id, const ApprovalOptions&) {
  return approvals.claim(id);
}
Result<Approval> release(const Approvals& approvals, Id<Approval> id, const ApprovalOptions&) {
  return approvals.release(id);
}
Result<Approval> approve(const Approvals& approvals, Id<Approval> id,
                         const ApprovalOptions& given) {
  return approvals.decide(id, true, given.comment);
}
Result<Approval> reject(const Approvals& approvals, Id<Approval> id, const ApprovalOptions& given) {
  return approvals.decide(id, false, given.comment);
}

void add_approvals(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<ApprovalOptions>();
  auto* approvals = app.add_subcommand("approvals", "what runs ask of people");
  approvals->require_subcommand(1);
  auto* list = approvals->add_subcommand("list", "which there are, the first first");
  add_list_options(*list, given->list, "status = \"open\"");
  list->callback(in_office([given](Office& office) {
    const TableInfo& table = table_of<Approval>();
    return list_rows(office, table, given->list, {{table.find("created_at"), false}},
                     {"id", "title", "status", "assignee", "team", "claimed_by", "due_at"});
  }));
  const auto add = [&](const char* name, const char* what, ActOnApproval act) {
    auto* command = approvals->add_subcommand(name, what);
    command->add_option("ID", given->id, "the approval's id")->required();
    command->callback(in_office([given, act](Office& office) -> Result<void> {
      BUREAU_TRY(const auto id, parse_id<Approval>(given->id));
      BUREAU_TRY(const Approval now, act(Approvals(office.session()), id, *given));
      fmt::print("{}: {}\n", given->id,
                 names<ApprovalStatus>[static_cast<std::size_t>(now.status)]);
      return {};
    }));
    return command;
  };
  add("claim", "take it for oneself while one looks at it", claim);
  add("release", "give it back", release);
  for (auto* decision :
       {add("approve", "let it be done", approve), add("reject", "let it not be done", reject)}) {
    decision->add_option("--comment", given->comment, "what the run is told with it");
  }
}

}  // namespace

void add_runs_commands(CLI::App& app, const InOffice& in_office) {
  add_runs(app, in_office);
  add_approvals(app, in_office);
}

}  // namespace cli
