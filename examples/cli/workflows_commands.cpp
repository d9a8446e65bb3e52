// `bureau workflows`: workflows as data, their runs, and the forms that they ask people to fill in.

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <memory>

#include "bureau/work/workflows.hpp"
#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

struct WorkflowOptions {
  ListOptions list, forms;
  std::string name, file, json = "{}", task, form, picture = "json";
  std::int64_t number = 0;
  Format format = Format::table;
};
using WorkflowGiven = std::shared_ptr<WorkflowOptions>;
using ActOnWorkflow = Result<void> (*)(const Office&, const WorkflowOptions&);

Result<NewWorkflow> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Code::not_found, fmt::format("{}: cannot be read", path), "FILE");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  BUREAU_TRY(const Json document, parse_json(text));
  return workflow_from_json(document);
}

/// The version that is meant: of --version, else what the name means.
Result<Workflow> chosen(const Office& office, const WorkflowOptions& given) {
  const Workflows workflows(office.session());
  return given.number > 0 ? workflows.named(given.name, given.number) : workflows.named(given.name);
}

void print_version(const Workflow& row) {
  fmt::print("{}: version {}, {}\n", without_controls(row.name), row.number,
             names<WorkflowStatus>[static_cast<std::size_t>(row.status)]);
}

Result<void> show(const Office& office, const WorkflowOptions& given) {
  BUREAU_TRY(const Workflow row, chosen(office, given));
  if (given.picture == "json") {
    fmt::print("{}\n", printable(to_json(row)));
    return {};
  }
  BUREAU_TRY(const std::string text,
             workflow_graph(row, given.picture == "dot" ? GraphFormat::dot : GraphFormat::mermaid));
  fmt::print("{}", text);
  return {};
}

Result<void> check(const Office& office, const WorkflowOptions& given) {
  BUREAU_TRY(const NewWorkflow read, read_file(given.file));
  BUREAU_TRY_VOID(Workflows(office.session()).check(read));
  fmt::print("{}: good\n", without_controls(read.name));
  return {};
}

Result<void> import(const Office& office, const WorkflowOptions& given) {
  BUREAU_TRY(const NewWorkflow read, read_file(given.file));
  BUREAU_TRY(const Workflow saved, Workflows(office.session()).save(read));
  print_version(saved);
  return {};
}

/// The newest version when none is named: that is the draft, if there is one.
Result<void> activate(const Office& office, const WorkflowOptions& given) {
  const Workflows workflows(office.session());
  Query newest;
  newest.where = col(&Workflow::name) == given.name;
  if (given.number > 0) newest.where = newest.where && col(&Workflow::number) == given.number;
  newest.order = {{&col(&Workflow::number).info(), true}};
  newest.limit = 1;
  BUREAU_TRY(const auto found, workflows.list(newest));
  if (found.empty()) {
    return fail(Code::not_found, fmt::format("name: there is no workflow \"{}\"", given.name),
                "name");
  }
  BUREAU_TRY(const Workflow active, workflows.activate(found.front().id));
  print_version(active);
  return {};
}

Result<void> retire(const Office& office, const WorkflowOptions& given) {
  BUREAU_TRY(const Workflow row, chosen(office, given));
  BUREAU_TRY(const Workflow retired, Workflows(office.session()).retire(row.id));
  print_version(retired);
  return {};
}

Result<void> remove(const Office& office, const WorkflowOptions& given) {
  BUREAU_TRY(const Workflow row, chosen(office, given));
  BUREAU_TRY_VOID(Workflows(office.session()).remove(row.id));
  fmt::print("{}: version {} removed\n", without_controls(row.name), row.number);
  return {};
}

Result<void> start(const Office& office, const WorkflowOptions& given) {
  BUREAU_TRY(Json input, parse_json(given.json));
  BUREAU_TRY(const Task task, Workflows(office.session()).start(given.name, std::move(input)));
  fmt::print("{}\n", id::to_text(schema<Task>.prefix, task.id.value));
  return {};
}

Result<void> raise(const Office& office, const WorkflowOptions& given) {
  BUREAU_TRY(const Json input, parse_json(given.json));
  BUREAU_TRY(const auto started, Workflows(office.session()).raise(given.name, input));
  for (const Task& task : started) {
    fmt::print("{}\n", id::to_text(schema<Task>.prefix, task.id.value));
  }
  return {};
}

/// The nodes at which it rests: "legal (approval), finance (approval)".
Result<std::string> waited_at(const Workflows& workflows, const Task& task) {
  std::string text;
  if (has_ended(task.status)) return text;
  BUREAU_TRY(const auto waits, workflows.waits(task.id));
  for (const WorkflowWait& wait : waits) {
    if (waits.size() > 1 && wait.step == "join") continue;  // it waits for the others
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", wait.node, wait.step);
  }
  return text;
}

Result<void> runs(const Office& office, const WorkflowOptions& given) {
  const Workflows workflows(office.session());
  BUREAU_TRY(const auto tasks, workflows.runs(given.name, given.list.limit));
  RowPrinter printer(given.format, {"task", "status", "waits at", "created_at", "error"});
  for (const Task& task : tasks) {
    BUREAU_TRY(const std::string at, waited_at(workflows, task));
    const std::string id = id::to_text(schema<Task>.prefix, task.id.value);
    const std::string status(names<TaskStatus>[static_cast<std::size_t>(task.status)]);
    const std::string made = task.created_at.to_string();
    const std::string error = task.error.value_or("");
    printer.add({id, status, at, made, error}, Json::object({{"task", id},
                                                             {"status", status},
                                                             {"waits_at", at},
                                                             {"created_at", made},
                                                             {"error", error}}));
  }
  printer.finish();
  return {};
}

Result<void> steps(const Office& office, const WorkflowOptions& given) {
  BUREAU_TRY(const auto task, parse_id<Task>(given.task));
  BUREAU_TRY(const auto done, Workflows(office.session()).steps(task));
  RowPrinter printer(given.format, {"branch", "node", "step", "open", "result", "at"});
  for (const WorkflowStep& step : done) {
    const Json result = step.result.value_or(Json());
    const std::string text = step.error ? *step.error : result.is_null() ? "" : printable(result);
    const std::string at = step.at.to_string();
    printer.add({step.branch, step.node, step.step, step.open ? "yes" : "", text, at},
                Json::object({{"branch", step.branch},
                              {"node", step.node},
                              {"step", step.step},
                              {"open", step.open},
                              {"result", result},
                              {"error", step.error ? Json(*step.error) : Json()},
                              {"at", at}}));
  }
  printer.finish();
  return {};
}

Result<void> list_forms(const Office& office, const WorkflowOptions& given) {
  const TableInfo& table = table_of<WorkflowForm>();
  return list_rows(office, table, given.forms, {{table.find("created_at"), false}},
                   {"id", "title", "status", "assignee", "team", "due_at", "fields"});
}

Result<void> answer(const Office& office, const WorkflowOptions& given) {
  BUREAU_TRY(const auto form, parse_id<WorkflowForm>(given.form));
  BUREAU_TRY(const Json json, parse_json(given.json));
  BUREAU_TRY_VOID(WorkflowForms(office.session()).answer(form, json));
  fmt::print("{}: answered\n", given.form);
  return {};
}

}  // namespace

void add_workflows_commands(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<WorkflowOptions>();
  auto* workflows = app.add_subcommand("workflows", "what people define as data, and its runs");
  workflows->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, ActOnWorkflow act) {
    auto* command = workflows->add_subcommand(name, what);
    command->callback(in_office([given, act](Office& office) { return act(office, *given); }));
    return command;
  };
  auto* list = workflows->add_subcommand("list", "all versions, by name");
  add_list_options(*list, given->list, "status = \"active\"");
  list->callback(in_office([given](Office& office) {
    const TableInfo& table = table_of<Workflow>();
    return list_rows(office, table, given->list,
                     {{table.find("name"), false}, {table.find("number"), false}},
                     {"name", "number", "status", "trigger", "owner", "updated_at"});
  }));
  const auto named = [&](CLI::App* command) {
    command->add_option("NAME", given->name, "its name")->required();
    return command;
  };
  const auto versioned = [&](CLI::App* command) {
    named(command)->add_option("--version", given->number, "the version's number");
    return command;
  };
  const auto of_file = [&](CLI::App* command) {
    command->add_option("FILE", given->file, "its document, as JSON")->required();
  };
  versioned(add("show", "the document of a version, or a picture of its nodes", show))
      ->add_option("--format", given->picture, "json, dot (Graphviz) or mermaid")
      ->check(CLI::IsMember({"json", "dot", "mermaid"}))
      ->capture_default_str();
  of_file(add("check", "whether a document could be saved", check));
  of_file(add("import", "save a document as a draft", import));
  versioned(add("activate", "make the draft what the name means", activate));
  versioned(add("retire", "nothing starts it any more; its runs go on", retire));
  versioned(add("remove", "remove a draft", remove));
  named(add("start", "start a run, and print its task", start))
      ->add_option("JSON", given->json, "its input")
      ->capture_default_str();
  auto* event = add("raise", "start what waits for an event", raise);
  event->add_option("EVENT", given->name, "its name")->required();
  event->add_option("JSON", given->json, "the input")->capture_default_str();
  auto* of_name = named(add("runs", "its runs, and the nodes at which they wait", runs));
  add_format_option(*of_name, given->format);
  of_name->add_option("--limit", given->list.limit, "how many")->capture_default_str();
  auto* of_run = add("steps", "what a run and its branches have done", steps);
  of_run->add_option("TASK", given->task, "the run's task")->required();
  add_format_option(*of_run, given->format);
  add_list_options(*add("forms", "what people are asked to fill in", list_forms), given->forms,
                   "status = \"open\"");
  auto* answered = add("answer", "fill in a form", answer);
  answered->add_option("FORM", given->form, "its id")->required();
  answered->add_option("JSON", given->json, "an object of its fields")->required();
}

}  // namespace cli
