// `bureau migrate`: the tables of one version of a program become those of the next, and back.

#include <fmt/format.h>

#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

struct MigrateGiven {
  Format format = Format::table;
  bool finalize = false, down = false, accept_loss = false;
};

Json time_or_null(const std::optional<Timestamp>& time) {
  return time ? Json(time->to_string()) : Json();
}
std::string time_or_dash(const std::optional<Timestamp>& time) {
  return time ? time->to_string() : "-";
}

std::string state_of(const MigrationStatus& one) {
  std::string text(names<MigrationState>[static_cast<std::size_t>(one.state)]);
  if (one.changed) text += ", changed since";
  if (!one.known) text += ", of a newer program";
  return text;
}

Result<void> print_migrations(const Settings& settings, Format format) {
  BUREAU_TRY(Migrator migrator, open_migrator(settings));
  BUREAU_TRY(const auto list, migrator.status());
  RowPrinter printer(format, {"number", "name", "state", "applied_at", "finalized_at", "by"});
  for (const MigrationStatus& one : list) {
    printer.add({std::to_string(one.number), one.name, state_of(one), time_or_dash(one.applied_at),
                 time_or_dash(one.finalized_at), one.applied_by},
                Json::object({{"number", one.number},
                              {"name", one.name},
                              {"state", names<MigrationState>[static_cast<std::size_t>(one.state)]},
                              {"known", one.known},
                              {"changed", one.changed},
                              {"applied_at", time_or_null(one.applied_at)},
                              {"finalized_at", time_or_null(one.finalized_at)},
                              {"by", one.applied_by}}));
  }
  printer.finish();
  BUREAU_TRY(const auto unbuilt, migrator.unbuilt_indexes());
  for (const std::string& index : unbuilt) {
    fmt::print(
        stderr,
        "bureau: index {} is being built, or was cut off in that: the next program that opens "
        "the office builds it\n",
        index);
  }
  return {};
}

void print_steps(const MigrationPlan& plan, Format format) {
  RowPrinter printer(format, {"number", "step", "lost"});
  for (const MigrationPlan::Step& step : plan.steps) {
    printer.add({std::to_string(step.number), step.text, step.lost.empty() ? "-" : step.lost},
                Json::object({{"number", step.number}, {"step", step.text}, {"lost", step.lost}}));
  }
  printer.finish();
}

Result<void> print_plan(const Settings& settings, const MigrateGiven& given) {
  BUREAU_TRY(Migrator migrator, open_migrator(settings));
  BUREAU_TRY(const MigrationPlan plan, given.down       ? migrator.plan_down()
                                       : given.finalize ? migrator.plan_finalize()
                                                        : migrator.plan_up());
  print_steps(plan, given.format);
  return {};
}

Result<void> migrate(const Settings& settings, const MigrateGiven& given, bool down) {
  BUREAU_TRY(Migrator migrator, open_migrator(settings));
  MigrateOptions options;
  options.may_lose = given.accept_loss;
  options.by = "bureau migrate";
  options.progress = [](const Progress&) { return !is_interrupted(); };
  auto made = down             ? migrator.down(options)
              : given.finalize ? migrator.finalize(options)
                               : migrator.up(options);
  if (!made && made.error().code == Code::conflict && !given.accept_loss &&
      made.error().message.find("would be lost") != std::string::npos) {
    made.error().message += " (--accept-loss)";
  }
  BUREAU_TRY(const MigrationPlan plan, std::move(made));
  if (given.format == Format::table && plan.steps.empty()) {
    fmt::print(stderr, "bureau: there is nothing to do\n");
    return {};
  }
  print_steps(plan, given.format);
  return {};
}

}  // namespace

void add_migrate_commands(CLI::App& app, const Settings& settings,
                          const std::function<void(std::function<Result<void>()>)>& act) {
  auto given = std::make_shared<MigrateGiven>();
  const auto does = [act, &settings](auto call) {
    return [act, &settings, call] {
      act([&settings, call]() -> Result<void> {
        BUREAU_TRY_VOID(refuse_as(!settings.as.empty()));
        return call();
      });
    };
  };
  auto* up = app.add_subcommand("migrate", "bring the tables to this version of the program");
  up->require_subcommand(0, 1);
  up->add_flag("--finalize", given->finalize,
               "end the time of the version before: what only it needs goes");
  up->add_flag("--accept-loss", given->accept_loss, "what `plan` says is lost may go");
  add_format_option(*up, given->format);
  up->callback([up, given, &settings, does] {
    if (up->get_subcommands().empty()) {
      does([given, &settings] { return migrate(settings, *given, false); })();
    }
  });

  auto* status = up->add_subcommand("status", "the migrations, and how far they are");
  add_format_option(*status, given->format);
  status->callback(does([given, &settings] { return print_migrations(settings, given->format); }));

  auto* plan = up->add_subcommand("plan", "what `migrate` would do, and what would be lost");
  plan->add_flag("--finalize", given->finalize, "what `migrate --finalize` would do");
  plan->add_flag("--down", given->down, "what `migrate down` would do");
  add_format_option(*plan, given->format);
  plan->callback(does([given, &settings] { return print_plan(settings, *given); }));

  auto* down = up->add_subcommand("down", "take the newest migration back");
  down->add_flag("--accept-loss", given->accept_loss, "what `plan --down` says is lost may go");
  add_format_option(*down, given->format);
  down->callback(does([given, &settings] { return migrate(settings, *given, true); }));
}

}  // namespace cli
