// `bureau schedules`: what recurs, when it is next, and what became of it.

#include <fmt/format.h>

#include <memory>

#include "bureau/work/schedule.hpp"
#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

struct ScheduleOptions {
  ListOptions list, history;
  std::string name;
  std::size_t count = 5;
};
using ScheduleGiven = std::shared_ptr<ScheduleOptions>;
using ActOnSchedule = Result<void> (*)(const Office&, const ScheduleOptions&, const Schedule&);

Result<void> print_next(const Office& office, const ScheduleOptions& given,
                        const Schedule& schedule) {
  BUREAU_TRY(const auto moments, Schedules(office.session()).upcoming(schedule.id, given.count));
  for (const Timestamp at : moments) fmt::print("{}\n", at.to_string());
  return {};
}

Result<void> print_history(const Office& office, const ScheduleOptions& given,
                           const Schedule& schedule) {
  const TableInfo& table = table_of<ScheduleOccurrence>();
  ListOptions options = given.history;
  const std::string of_it =
      fmt::format("schedule = \"{}\"", id::to_text(schema<Schedule>.prefix, schedule.id.value));
  options.where = options.where.empty() ? of_it : fmt::format("{} and ({})", of_it, options.where);
  return list_rows(office, table, options, {{table.find("due_at"), true}},
                   {"due_at", "outcome", "task", "missed_since", "by_hand"});
}

Result<void> pause(const Office& office, const ScheduleOptions&, const Schedule& schedule) {
  BUREAU_TRY_VOID(Schedules(office.session()).pause(schedule.id));
  fmt::print("{}: paused\n", without_controls(schedule.name));
  return {};
}

Result<void> resume(const Office& office, const ScheduleOptions&, const Schedule& schedule) {
  BUREAU_TRY(const Schedule now, Schedules(office.session()).resume(schedule.id));
  const bool never = now.next_at == Timestamp::never();
  fmt::print("{}: active, next {}\n", without_controls(now.name),
             never ? std::string("never") : now.next_at.to_string());
  return {};
}

Result<void> run_now(const Office& office, const ScheduleOptions&, const Schedule& schedule) {
  BUREAU_TRY(const auto task, Schedules(office.session()).run_now(schedule.id));
  fmt::print("{}: {}\n", without_controls(schedule.name),
             id::to_text(schema<Task>.prefix, task.value));
  return {};
}

Result<void> remove(const Office& office, const ScheduleOptions&, const Schedule& schedule) {
  BUREAU_TRY_VOID(Schedules(office.session()).remove(schedule.id));
  fmt::print("{}: removed\n", without_controls(schedule.name));
  return {};
}

}  // namespace

void add_schedules_commands(CLI::App& app, const InOffice& in_office) {
  auto given = std::make_shared<ScheduleOptions>();
  auto* schedules = app.add_subcommand("schedules", "tasks that recur");
  schedules->require_subcommand(1);
  auto* list = schedules->add_subcommand("list", "which there are, and when they fire next");
  add_list_options(*list, given->list, "status = \"active\"");
  list->callback(in_office([given](Office& office) {
    const TableInfo& table = table_of<Schedule>();
    return list_rows(
        office, table, given->list, {{table.find("name"), false}},
        {"name", "expression", "zone", "status", "kind", "next_at", "last_at", "owner"});
  }));
  const auto add = [&](const char* name, const char* what, ActOnSchedule act) {
    auto* command = schedules->add_subcommand(name, what);
    command->add_option("NAME", given->name, "its name")->required();
    command->callback(in_office([given, act](Office& office) -> Result<void> {
      BUREAU_TRY(const Schedule schedule, Schedules(office.session()).named(given->name));
      return act(office, *given, schedule);
    }));
    return command;
  };
  add("next", "when it fires next, paused or not", print_next)
      ->add_option("--count", given->count, "how many moments")
      ->capture_default_str();
  add_list_options(*add("history", "what became of its occurrences, the last first", print_history),
                   given->history, "outcome = \"skipped\"");
  add("pause", "nothing fires until it is resumed", pause);
  add("resume", "it fires next after now; what passed is not made up for", resume);
  add("run", "enqueue its task now", run_now);
  add("remove", "remove it", remove);
}

}  // namespace cli
