// bureau: the command line of an office.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "commands.hpp"
#include "import.hpp"
#include "office.hpp"
#include "output.hpp"

namespace {

using namespace bureau;
using namespace cli;

std::atomic<int> good_exit{0};
std::atomic<bool> interrupted{false};
/// The first asks for an end, which what waits for a lock does not hear; the second is one.
void on_signal(int number) {
  interrupted.store(true);
  std::signal(number, SIG_DFL);
}

Result<void> show_task(const Office& office, const std::string& text) {
  BUREAU_TRY(auto id, parse_task(text));
  const TableInfo& table = table_of<Task>();
  return Rows(Scope(office.session()), table).find(id.value, [&](std::span<const Value> row) {
    for (const ColumnInfo& c : table.columns) {
      const std::string value = to_text(c, row[c.index]);
      if (!value.empty()) fmt::print("{:<18}{}\n", c.name, without_controls(value));
    }
  });
}

/// Rows of a table by the value of one column.
Result<Json> count_by(const Office& office, const TableInfo& table, std::string_view column) {
  Json counts = Json::object();
  const ColumnInfo* by = table.find(column);
  Aggregate aggregate;
  aggregate.group_by = {by};
  aggregate.measures = {{Aggregate::Function::count, nullptr}};
  BUREAU_TRY_VOID(Rows(Scope(office.session()), table)
                      .aggregate(aggregate, [&](std::span<const Value> row) -> Result<bool> {
                        counts.set(to_text(*by, row[0]), Json(row[1].as_integer()));
                        return true;
                      }));
  return counts;
}

Result<void> print_stats(const Office& office, Format format) {
  std::int64_t changes = 0;
  BUREAU_TRY_VOID(
      office.engine->database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
        BUREAU_TRY(changes, office.engine->database().journal_head(reader));
        return {};
      }));
  BUREAU_TRY(Json tickets, count_by(office, table_of<Ticket>(), "state"));
  BUREAU_TRY(Json tasks, count_by(office, table_of<Task>(), "status"));
  BUREAU_TRY(Json reviews, count_by(office, table_of<Message>(), "review"));
  if (format == Format::json) {
    fmt::print("{}\n", Json::object({{"tickets", tickets},
                                     {"tasks", tasks},
                                     {"suggestions", reviews},
                                     {"changes", changes}})
                           .dump());
    return {};
  }
  RowPrinter printer(format, {"of", "which", "count"});
  for (const auto& [of, counts] : {std::pair("tickets", &tickets), std::pair("tasks", &tasks),
                                   std::pair("suggestions", &reviews)}) {
    for (const auto& [name, count] : *counts->as_object()) {
      printer.add({of, name, std::to_string(*count.as_int())}, {});
    }
  }
  printer.add({"changes", "", std::to_string(changes)}, {});
  printer.finish();
  return {};
}

Result<void> work(const Settings& settings, std::size_t threads, bool until_idle, double accept) {
  BUREAU_TRY(Office office, open_office(settings, threads));
  auto model = load_model(office.system(), "triage");
  if (!model) {
    return fail(model.error().code,
                model.error().code == Code::not_found
                    ? "no classifier has been trained in this office; run `bureau train FILE.csv`"
                    : model.error().message);
  }
  BUREAU_TRY_VOID(office.engine->add(
      std::make_shared<TriageAgent>(model->classifier, std::map<std::string, Priority>{})));
  BUREAU_TRY_VOID(office.engine->add(std::make_shared<RoutingAgent>()));
  BUREAU_TRY_VOID(
      office.engine->add(std::make_shared<ResponderAgent>(col(&Message::confidence) >= accept)));
  BUREAU_TRY_VOID(office.engine->add(std::make_shared<RewardsAgent>(office.engine->access())));
  BUREAU_TRY_VOID(office.engine->add(std::make_shared<HousekeepingAgent>(
      office.engine->access(),
      HousekeepingOptions{.machine = make_machine(settings.on_server() ? "." : settings.office)})));
  WorkflowKinds kinds;
  if (settings.program != nullptr) kinds = settings.program->workflow_kinds;
  BUREAU_TRY_VOID(
      office.engine->add(std::make_shared<WorkflowAgent>(office.engine->access(), kinds)));
  const Tasks tasks(office.system());
  const Predicate dead = col(&Task::status) == TaskStatus::dead;
  BUREAU_TRY(const auto dead_before, tasks.count(dead));
  BUREAU_TRY_VOID(office.engine->start());
  const Predicate open = col(&Task::status) < TaskStatus::completed;
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  std::mutex mutex;
  std::condition_variable never;
  while (!interrupted.load()) {
    BUREAU_TRY(auto left, tasks.count(open));
    if (terminal) fmt::print(stderr, "\r{} tasks open ", left);
    if (until_idle && left == 0) break;
    std::unique_lock lock(mutex);
    Clock::system().wait_until(lock, never,
                               Clock::system().monotonic() + std::chrono::milliseconds(200));
  }
  if (terminal) fmt::print(stderr, "\n");
  BUREAU_TRY(const auto dead_now, tasks.count(dead));
  if (dead_now > dead_before) {
    fmt::print(stderr,
               "bureau: {} tasks were given up; `bureau tasks list --where 'status = \"dead\"'` "
               "says why\n",
               dead_now - dead_before);
  }
  auto stopped = office.engine->stop();
  // A thread is still in there: the process ends with it, and not the engine under it.
  if (!stopped) (void)office.engine.release();
  return stopped;
}

/// `bureau tasks retry`: the one that is named, or all of the dead for which the predicate holds.
Result<void> retry_tasks(const Office& office, const std::string& task, const std::string& where) {
  if (task.empty() == where.empty()) {
    return fail(Code::invalid, "retry: say either which task, or --where", "where");
  }
  const Tasks tasks(office.session());
  if (!task.empty()) {
    BUREAU_TRY(auto id, parse_task(task));
    BUREAU_TRY_VOID(tasks.redrive(id));
    fmt::print("{}: ready\n", task);
    return {};
  }
  BUREAU_TRY(const Predicate dead, parse_where(office, table_of<Task>(), where));
  std::uint64_t all = 0;
  for (std::uint64_t some = 1; some > 0; all += some) {
    BUREAU_TRY(some, tasks.redrive_all(dead));
  }
  fmt::print("{} ready\n", all);
  return {};
}

/// Prints each change of a table's rows as it is committed, until interrupted.
Result<void> watch(const Office& office, const TableInfo& table, const std::string& text,
                   std::optional<std::int64_t> after, bool until_idle) {
  Predicate where;
  if (!text.empty()) {
    auto parsed = Predicate::parse(table, text, &office.engine->database().catalog());
    if (!parsed) return fail(Error(Code::invalid, "--where, " + parsed.error().message, "where"));
    where = *parsed;
  }
  const Feed& feed = office.engine->feed();
  std::int64_t position = 0;
  if (after) {
    position = *after;
  } else {
    BUREAU_TRY(position, feed.head());
  }
  std::mutex mutex;
  std::condition_variable never;
  while (!interrupted.load()) {
    BUREAU_TRY(auto page, feed.poll_changes(office.session(), table, where, position, 256));
    position = page.next;
    for (const OwnedFeedEvent& event : page.events) {
      Json row;
      if (!event.after.empty()) {
        std::vector<Value> values;
        for (const OwnedValue& v : event.after) values.push_back(v.view());
        row = row_to_json(table, values);
      }
      fmt::print("{}\n", printable(Json::object({{"sequence", event.sequence},
                                                 {"change", to_string(event.kind)},
                                                 {"id", id::to_text(table.prefix, event.id)},
                                                 {"row", std::move(row)}})));
    }
    std::fflush(stdout);
    if (page.more) continue;
    if (until_idle) break;
    std::unique_lock lock(mutex);
    Clock::system().wait_until(lock, never,
                               Clock::system().monotonic() + std::chrono::milliseconds(50));
  }
  return {};
}

int run(int argc, char** argv, const Program& program) {
  CLI::App app(program.name + ": the back office in a library, from the command line",
               program.name);
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", fmt::format("bureau {}.{}.{}", BUREAU_VERSION_MAJOR,
                                                BUREAU_VERSION_MINOR, BUREAU_VERSION_PATCH));
  Settings settings;
  settings.program = &program;
  app.add_option("--office", settings.office,
                 "the office's file, or the URL of a PostgreSQL database (postgresql://...)")
      ->envname("BUREAU_OFFICE")
      ->capture_default_str();
  app.add_option("--direct", settings.direct,
                 "the URL of the server itself, where --office leads to a pooler (PgBouncer)")
      ->envname("BUREAU_DIRECT");
  app.add_option("--tenant", settings.tenant, "the tenant's name, where there are several");
  app.add_option("--as", settings.as, "act with this user's rights: an id or an e-mail address");

  Result<void> outcome;
  // Each command stores what it does; it runs when the whole command line is known to be right.
  std::function<Result<void>()> action;
  auto in_office = [&](auto f) {
    return [&, f] {
      action = [&, f]() -> Result<void> {
        BUREAU_TRY(Office office, open_office(settings));
        return f(office);
      };
    };
  };

  std::string name = "office";
  auto* init = app.add_subcommand("init", "make an office: its file, a tenant, roles, statuses");
  init->add_option("--name", name, "the tenant's name")->capture_default_str();
  init->callback([&] {
    action = [&]() -> Result<void> {
      BUREAU_TRY_VOID(refuse_as(!settings.as.empty()));
      BUREAU_TRY(Office office, create_office(settings, name));
      BUREAU_TRY(const auto tenants, office.engine->access().tenants());
      fmt::print("{}: {} the tenant \"{}\"\n", settings.place(),
                 tenants.size() == 1 ? "made, with" : "was there, and now also has", name);
      return {};
    };
  });

  std::string file;
  bool skip_bad = false;
  ListOptions ticket_list, task_list;
  auto* tickets = app.add_subcommand("tickets", "customers' tickets");
  tickets->require_subcommand(1);
  auto* import_app = tickets->add_subcommand("import", "make a ticket of each row of a CSV file");
  import_app->add_option("FILE", file, "columns: text; optional: id, subject, customer, email")
      ->required();
  import_app->add_flag("--skip-bad", skip_bad, "import the good rows and list the bad ones");
  import_app->callback(in_office([&](Office& office) -> Result<void> {
    BUREAU_TRY(auto report, import_tickets(office, file, skip_bad));
    for (const auto& bad : report.bad)
      fmt::print(stderr, "bureau: left out: {}\n", without_controls(bad));
    fmt::print("{} imported, {} already there, {} left out\n", report.imported, report.present,
               report.bad.size());
    return {};
  }));
  auto* list = tickets->add_subcommand("list", "list tickets, the newest first");
  add_list_options(*list, ticket_list, "status = \"open\" and priority >= \"high\"");
  list->callback(in_office([&](Office& office) {
    const TableInfo& table = table_of<Ticket>();
    return list_rows(office, table, ticket_list, {{table.find("number"), true}},
                     {"number", "status", "priority", "category", "subject", "created_at"});
  }));

  add_tickets_commands(app, *tickets, in_office);
  add_deals_commands(app, in_office);
  add_notify_commands(app, in_office);
  add_schedules_commands(app, in_office);
  add_runs_commands(app, in_office);
  add_workflows_commands(app, in_office);
  add_housekeeping_commands(app, in_office);
  add_rows_commands(app, in_office);
  add_sql_commands(app, in_office);
  add_policies_commands(app, in_office);
  add_health_commands(app, in_office, settings);
  add_monitor_commands(app, in_office);
  add_rewards_commands(app, in_office);

  auto* train_app = app.add_subcommand("train", "learn categories from labelled messages");
  train_app->add_option("FILE", file, "columns: text and category")->required();
  train_app->callback(for_whole_office(in_office)([&](Office& office) -> Result<void> {
    BUREAU_TRY(auto report, train(office, file));
    fmt::print("version {}: learned from {} messages; {:.1f} % right in cross-validation\n",
               report.version, report.examples, report.accuracy * 100);
    return {};
  }));

  Format format = Format::table;
  add_agents_commands(app, in_office);

  std::string watch_where;
  std::optional<std::int64_t> watch_after;
  bool watch_once = false;
  auto* watch_app =
      app.add_subcommand("watch", "changes as they are committed, a JSON object a line");
  watch_app->require_subcommand(1);
  for (const TableInfo* table :
       {&table_of<Ticket>(), &table_of<Message>(), &table_of<Deal>(), &table_of<Task>()}) {
    auto* one = watch_app->add_subcommand(std::string(table->name), "changes of this table");
    one->add_option("--where", watch_where, "only rows for which this holds");
    one->add_option("--after", watch_after, "begin after this sequence number; else from now on");
    one->add_flag("--once", watch_once, "stop when there is no more");
    one->callback(in_office([&, table](Office& office) {
      return watch(office, *table, watch_where, watch_after, watch_once);
    }));
  }

  std::size_t threads = 4;
  bool until_idle = false;
  double accept = 0.8;
  auto* work_app = app.add_subcommand("work", "run the desk's agents until interrupted");
  work_app->add_option("--threads", threads, "how many")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  work_app->add_flag("--until-idle", until_idle, "stop when no task is left");
  work_app
      ->add_option("--journal-days", settings.journal_days,
                   "how long changes are kept, at least; 0: for ever")
      ->capture_default_str()
      ->check(CLI::Range(0, 36'500));
  work_app->add_option("--accept", accept, "accept drafts of at least this confidence")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  work_app->callback([&] {
    action = [&]() -> Result<void> {
      BUREAU_TRY_VOID(refuse_as(!settings.as.empty()));
      return work(settings, threads, until_idle, accept);
    };
  });

  std::string task, reason = "cancelled from the command line";
  auto* tasks = app.add_subcommand("tasks", "the durable work of this office");
  tasks->require_subcommand(1);
  auto* tasks_list = tasks->add_subcommand("list", "list tasks, the newest first");
  add_list_options(*tasks_list, task_list, "status = \"dead\" and kind = \"draft_reply\"");
  tasks_list->callback(in_office([&](Office& office) {
    const TableInfo& table = table_of<Task>();
    return list_rows(office, table, task_list, {{&table.columns[0], true}},
                     {"id", "kind", "status", "priority", "attempt", "agent", "error"});
  }));
  auto* show = tasks->add_subcommand("show", "all that is known of one task");
  show->add_option("TASK", task, "its id")->required();
  show->callback(in_office([&](Office& office) { return show_task(office, task); }));
  std::string dead_where;
  auto* retry_app = tasks->add_subcommand("retry", "drive dead tasks again: one, or with --where");
  retry_app->add_option("TASK", task, "its id");
  retry_app->add_option("--where", dead_where, "those of the dead for which this holds");
  retry_app->callback(
      in_office([&](Office& office) { return retry_tasks(office, task, dead_where); }));
  double snooze_seconds = 0;
  auto* snooze = tasks->add_subcommand("snooze", "let a task that has not begun rest");
  snooze->add_option("TASK", task, "its id")->required();
  snooze->add_option("--seconds", snooze_seconds, "from now")
      ->required()
      ->check(CLI::Range(0.001, 1e9));
  snooze->callback(in_office([&](Office& office) -> Result<void> {
    BUREAU_TRY(auto id, parse_task(task));
    const Timestamp until = office.engine->database().clock().now() +
                            Duration(static_cast<std::int64_t>(snooze_seconds * 1e6));
    BUREAU_TRY(const Task now, Tasks(office.session()).snooze(id, until));
    fmt::print("{}: not before {}\n", task, now.run_at.to_string());
    return {};
  }));
  auto* cancel = tasks->add_subcommand("cancel", "end a task that has not ended");
  cancel->add_option("TASK", task, "its id")->required();
  cancel->add_option("--reason", reason, "why")->capture_default_str();
  cancel->callback(in_office([&](Office& office) -> Result<void> {
    BUREAU_TRY(auto id, parse_task(task));
    BUREAU_TRY(auto now, Tasks(office.session()).cancel(id, reason));
    fmt::print("{}: {}\n", task, now.status == TaskStatus::running ? "asked to stop" : "cancelled");
    return {};
  }));

  add_flow_commands(app, *tasks, in_office);
  add_budgets_commands(app, in_office);

  auto* stats = app.add_subcommand("stats", "how much there is of what");
  add_format_option(*stats, format);
  stats->callback(
      for_whole_office(in_office)([&](Office& office) { return print_stats(office, format); }));

  add_backup_commands(app, in_office, settings, [&](auto f) { action = f; });
  add_migrate_commands(app, settings, [&](auto f) { action = f; });
  add_help_commands(app, [&](auto f) { action = f; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : misused;
  }
  outcome = action();
  if (!outcome) return report(outcome.error());
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return good_exit.load();
  fmt::print(stderr, "bureau: what was to be printed could not be written\n");
  return failed;
}

}  // namespace

bool cli::is_interrupted() { return interrupted.load(); }
void cli::end_with(int exit_code) { good_exit.store(exit_code); }

int cli::run_program(int argc, char** argv, const cli::Program& program) {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  try {
    return run(argc, argv, program);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", program.name.c_str(), e.what());
    return failed;
  }
}
