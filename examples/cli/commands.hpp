#pragma once

// What the commands of every entity share.

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "office.hpp"
#include "output.hpp"

namespace cli {

inline const std::map<std::string, Format> formats{
    {"table", Format::table}, {"json", Format::json}, {"csv", Format::csv}};

struct ListOptions {
  std::string where;
  Format format = Format::table;
  std::uint64_t limit = 100;
};

void add_format_option(CLI::App& app, Format& format);
/// `example` is a predicate that the help shows.
void add_list_options(CLI::App& app, ListOptions& options, std::string_view example);

/// What --where says of the table; everything when it is empty.
[[nodiscard]] bureau::Result<bureau::Predicate> parse_where(const Office& office,
                                                            const bureau::TableInfo& table,
                                                            const std::string& where);
/// Lists any table: what --where, --limit and --format say. `columns` and `only` as in
/// EntityPrinter.
[[nodiscard]] bureau::Result<void> list_rows(const Office& office, const bureau::TableInfo& table,
                                             const ListOptions& options,
                                             std::vector<bureau::Order> order,
                                             std::vector<std::string_view> columns,
                                             std::vector<std::string_view> only = {});

/// `invalid` naming "JSON" where the text is none.
[[nodiscard]] bureau::Result<bureau::Json> parse_json(const std::string& text);

template <bureau::Entity T>
[[nodiscard]] bureau::Result<bureau::Id<T>> parse_id(const std::string& text) {
  BUREAU_TRY(const std::int64_t value, bureau::id::from_text(bureau::schema<T>.prefix, text));
  return bureau::Id<T>(value);
}
template <bureau::Entity T>
void add_row(EntityPrinter& printer, const T& row) {
  std::vector<bureau::Value> values(bureau::table_of<T>().width());
  bureau::detail::Scratch scratch;
  bureau::to_values(row, values, scratch);
  printer.add(values);
}

/// Makes the callback of a command of what it does in an office that is open.
using InOffice = std::function<std::function<void()>(std::function<bureau::Result<void>(Office&)>)>;

/// The same for what shows or runs the whole office, whatever its users may see: refused with --as.
[[nodiscard]] InOffice for_whole_office(const InOffice& in_office);
[[nodiscard]] bureau::Result<void> refuse_as(bool given);

/// `bureau tickets link|merge|split|bulk`, `bureau views|macros|triggers ...`.
void add_tickets_commands(CLI::App& app, CLI::App& tickets, const InOffice& in_office);
/// `bureau agents list|import`.
void add_agents_commands(CLI::App& app, const InOffice& in_office);
/// Whether somebody wants the program to end: SIGINT or SIGTERM has come.
[[nodiscard]] bool is_interrupted();

/// What the program ends with when nothing went wrong; 0 unless a command says so.
void end_with(int exit_code);

/// `bureau sql`.
void add_sql_commands(CLI::App& app, const InOffice& in_office);
/// `bureau policies`.
void add_policies_commands(CLI::App& app, const InOffice& in_office);
/// `bureau ps`, `top` and `doctor`.
void add_health_commands(CLI::App& app, const InOffice& in_office, const Settings& settings);
/// `bureau metrics` and `health`.
void add_monitor_commands(CLI::App& app, const InOffice& in_office);
/// `bureau deals ...`.
void add_deals_commands(CLI::App& app, const InOffice& in_office);
/// `bureau schedules ...`.
void add_schedules_commands(CLI::App& app, const InOffice& in_office);
/// `bureau runs ...` and `bureau approvals ...`.
void add_runs_commands(CLI::App& app, const InOffice& in_office);
/// `bureau workflows ...`.
void add_workflows_commands(CLI::App& app, const InOffice& in_office);
/// `bureau housekeeping ...`.
void add_housekeeping_commands(CLI::App& app, const InOffice& in_office);
/// `bureau flow ...` and `bureau tasks why`.
void add_flow_commands(CLI::App& app, CLI::App& tasks, const InOffice& in_office);
/// `bureau budgets ...`.
void add_budgets_commands(CLI::App& app, const InOffice& in_office);
/// `bureau inbox`, `notifications`, `preferences` and `webhooks`.
void add_notify_commands(CLI::App& app, const InOffice& in_office);
/// `bureau backup`, `restore`, `verify`, `move` and `journal`. `act` takes what the command does.
void add_backup_commands(CLI::App& app, const InOffice& in_office, const Settings& settings,
                         const std::function<void(std::function<bureau::Result<void>()>)>& act);
/// `bureau migrate ...`. `act` as above.
void add_migrate_commands(CLI::App& app, const Settings& settings,
                          const std::function<void(std::function<bureau::Result<void>()>)>& act);
/// `bureau tables|list|show|create|change|delete|export|import`: what every entity has.
void add_rows_commands(CLI::App& app, const InOffice& in_office);
/// `bureau completion|manual`: made of the commands that `app` has; the last to be added.
void add_help_commands(CLI::App& app,
                       std::function<void(std::function<bureau::Result<void>()>)> act);
/// `bureau achievements ...`, `bureau points` and `bureau leaderboard`.
void add_rewards_commands(CLI::App& app, const InOffice& in_office);

}  // namespace cli
