// `bureau achievements ...`, `bureau points` and `bureau leaderboard`: who has earned what.

#include <fmt/format.h>

#include <algorithm>

#include "commands.hpp"
#include "sheet.hpp"

namespace cli {

using namespace bureau;

namespace {

/// What the commands were given; lives as long as they do.
struct RewardsOptions {
  std::string file, key, user, period = "all_time", day;
  bool history = false;
  std::uint64_t limit = 100;
  Format format = Format::table;
  ListOptions list;
};
using RewardsGiven = std::shared_ptr<RewardsOptions>;

/// What was done since is counted first: nobody need wait for `bureau work`.
InOffice counted(const InOffice& in_office) {
  return [in_office](std::function<Result<void>(Office&)> f) {
    return in_office([f = std::move(f)](Office& office) -> Result<void> {
      BUREAU_TRY_VOID(rewards::catch_up(office.system()));
      return f(office);
    });
  };
}

/// A user by his id, his address or his name.
Result<User> find_user(const Session& session, const std::string& text) {
  const Repository<User> users{session};
  if (const auto id = id::from_text(schema<User>.prefix, text)) return users.find(Id<User>(*id));
  if (!is_valid_text(text)) {
    return fail(Code::invalid, "user: it is not valid UTF-8 without NUL", "user");
  }
  BUREAU_TRY(const auto by_email, users.first(col(&User::email).equals_folded(text)));
  if (by_email) return *by_email;
  BUREAU_TRY(const auto named, users.list({.where = col(&User::name) == text, .limit = 2}));
  if (named.size() == 1) return named.front();
  return fail(named.empty() ? Code::not_found : Code::invalid,
              named.empty() ? fmt::format("user: there is no \"{}\"", text)
                            : fmt::format("user: several are named \"{}\"; give the address", text),
              "user");
}

class UserNames {
 public:
  explicit UserNames(const Session& session) : users_(session) {}
  Result<std::string> of(Id<User> id) const {
    auto found = users_.find(id);
    if (found) return found->name;
    const Code code = found.error().code;
    if (code == Code::not_found || code == Code::forbidden) {
      return id::to_text(schema<User>.prefix, id.value);
    }
    return fail(std::move(found).error());
  }

 private:
  Repository<User> users_;
};

Json date_json(const std::optional<Timestamp>& at) { return at ? Json(at->to_string()) : Json(); }

Result<void> print_achievement(const Office& office, const RewardsGiven& given) {
  const Achievements desk{office.session()};
  BUREAU_TRY(const Achievement row, desk.find(given->key));
  BUREAU_TRY(const auto holders, desk.holders(row.key, given->limit));
  const UserNames users(office.session());
  if (given->format == Format::table) {
    const TableInfo& table = table_of<Achievement>();
    std::vector<Value> values(table.width());
    bureau::detail::Scratch scratch;
    to_values(row, values, scratch);
    for (const ColumnInfo& column : table.columns) {
      const std::string text = to_text(column, values[column.index]);
      if (!text.empty()) fmt::print("{:<14}{}\n", column.name, without_controls(text));
    }
    fmt::print("\n");
  }
  RowPrinter printer(given->format, {"holder", "times", "unlocked_at"});
  for (const UserAchievement& holder : holders) {
    BUREAU_TRY(const std::string name, users.of(holder.user));
    printer.add({name, std::to_string(holder.times),
                 holder.unlocked_at ? holder.unlocked_at->to_string() : ""},
                Json::object({{"holder", name},
                              {"times", holder.times},
                              {"unlocked_at", date_json(holder.unlocked_at)}}));
  }
  printer.finish();
  return {};
}

Result<void> set_by_hand(const Office& office, const RewardsGiven& given, bool has) {
  const Achievements desk{office.session()};
  BUREAU_TRY(const User user, find_user(office.session(), given->user));
  const auto done = has ? desk.award(given->key, user.id) : desk.revoke(given->key, user.id);
  if (!done) return fail(done.error());
  fmt::print("{}: {} {}\n", without_controls(user.name), has ? "has" : "no longer has", given->key);
  return {};
}

Result<Json> achievements_of(const Office& office, Id<User> user, std::string& text) {
  BUREAU_TRY(const auto rows, Achievements{office.session()}.of(user));
  const Repository<Achievement> achievements{office.session()};
  Json list = Json::array();
  for (const UserAchievement& row : rows) {
    BUREAU_TRY(const Achievement achievement, achievements.find(row.achievement));
    const auto state = names<AchievementState>[static_cast<std::size_t>(row.state)];
    text += fmt::format("  {:<24}{:<12}{}/{}\n", without_controls(achievement.key), state,
                        row.progress, row.target);
    list.push_back(Json::object({{"key", achievement.key},
                                 {"state", state},
                                 {"progress", row.progress},
                                 {"target", row.target},
                                 {"times", row.times},
                                 {"unlocked_at", date_json(row.unlocked_at)}}));
  }
  return list;
}

/// Points, level, streak and achievements of one user, and the newest lines of his ledger.
Result<void> print_points(const Office& office, const RewardsGiven& given) {
  BUREAU_TRY(const User user, find_user(office.session(), given->user));
  const Points points{office.session()};
  BUREAU_TRY(const auto entries, points.entries(user.id, given->limit));
  if (given->format == Format::csv) {
    EntityPrinter printer(Format::csv, table_of<PointEntry>(), {});
    for (const PointEntry& entry : entries) {
      std::vector<Value> values(table_of<PointEntry>().width());
      bureau::detail::Scratch scratch;
      to_values(entry, values, scratch);
      printer.add(values);
    }
    printer.finish();
    return {};
  }
  BUREAU_TRY(const UserStats stats, points.of(user.id));
  BUREAU_TRY(const auto streak, Streaks{office.session()}.of(user.id));
  std::string text;
  BUREAU_TRY(Json achievements, achievements_of(office, user.id, text));
  if (given->format == Format::json) {
    Json lines = Json::array();
    for (const PointEntry& entry : entries) {
      lines.push_back(Json::object({{"points", entry.points},
                                    {"at", entry.at.to_string()},
                                    {"day", entry.day.to_string().substr(0, 10)},
                                    {"reverses", entry.reverses.has_value()},
                                    {"reason", entry.reason}}));
    }
    fmt::print("{}\n", printable(Json::object({{"user", user.name},
                                               {"points", stats.points},
                                               {"level", stats.level},
                                               {"next_level_at", points_for_level(stats.level + 1)},
                                               {"streak_days", streak.days},
                                               {"longest_streak", streak.longest},
                                               {"achievements", std::move(achievements)},
                                               {"entries", std::move(lines)}})));
    return {};
  }
  fmt::print("{}: {} points, level {} (the next at {}); a streak of {} days, the longest {}\n",
             without_controls(user.name), stats.points, stats.level,
             points_for_level(stats.level + 1), streak.days, streak.longest);
  fmt::print("{}", text);
  RowPrinter printer(Format::table, {"points", "at", "what"});
  for (const PointEntry& entry : entries) {
    const char* what = entry.rule ? "rule" : entry.achievement ? "achievement" : "by hand";
    printer.add({fmt::format("{:+}", entry.points), entry.at.to_string(),
                 fmt::format("{}{}{}{}", what, entry.reverses ? ", taken back" : "",
                             entry.reason.empty() ? "" : ": ", entry.reason)},
                {});
  }
  printer.finish();
  return {};
}

Result<void> print_leaderboard(const Office& office, const RewardsGiven& given) {
  std::string period = given->period;
  std::replace(period.begin(), period.end(), '-', '_');
  const auto& known = names<LeaderboardPeriod>;
  const auto found = std::find(known.begin(), known.end(), period);
  std::optional<CivilDate> day;
  if (!given->day.empty()) {
    BUREAU_TRY(day, CivilDate::parse(given->day));
  }
  BUREAU_TRY(const Leaderboard board,
             Leaderboards{office.session()}.board(
                 static_cast<LeaderboardPeriod>(found - known.begin()), day, given->limit));
  if (given->format == Format::table && board.period != LeaderboardPeriod::all_time) {
    fmt::print("{} to {}{}\n", board.start.to_string(),
               CivilDate::from_days(board.end.days() - 1).to_string(),
               board.frozen ? ", over" : "");
  }
  const UserNames users(office.session());
  RowPrinter printer(given->format, {"rank", "user", "points", "reached_at"});
  for (const LeaderboardLine& line : board.lines) {
    BUREAU_TRY(const std::string name, users.of(line.user));
    printer.add(
        {std::to_string(line.rank), name, std::to_string(line.points), line.reached_at.to_string()},
        Json::object({{"rank", line.rank},
                      {"user", name},
                      {"points", line.points},
                      {"reached_at", line.reached_at.to_string()}}));
  }
  printer.finish();
  return {};
}

void add_achievements(CLI::App& app, const InOffice& in_office, const RewardsGiven& given) {
  auto* achievements = app.add_subcommand("achievements", "what there is to achieve, and who has");
  achievements->require_subcommand(1);
  auto* import_app = achievements->add_subcommand(
      "import", "make achievements and point rules of a JSON file, or change them");
  import_app
      ->add_option("FILE", given->file,
                   "{\"achievements\": [{\"key\", \"name\", \"points\", \"target\", \"criteria\": "
                   "{\"table\", \"where\", \"user\"}}], \"rules\": [...]}")
      ->required();
  import_app->add_flag("--history", given->history, "count what the journal still has too");
  import_app->callback(in_office([given](Office& office) -> Result<void> {
    BUREAU_TRY(const std::string text, read_file(given->file));
    auto json = Json::parse(text);
    if (!json) {
      return fail(Code::invalid, fmt::format("{}: {}", given->file, json.error().message), "file");
    }
    auto imported = rewards::import_rewards(office.session(), *json, given->history);
    if (!imported) {
      Error error = imported.error();
      error.message = given->file + ": " + error.message;
      return fail(std::move(error));
    }
    fmt::print("{} achievements, {} point rules\n", imported->achievements, imported->rules);
    return {};
  }));
  auto* list = achievements->add_subcommand("list", "list them");
  add_list_options(*list, given->list, "rarity >= \"rare\" and active = true");
  list->callback(in_office([given](Office& office) {
    const TableInfo& table = table_of<Achievement>();
    return list_rows(office, table, given->list, {{table.find("key"), false}},
                     {"key", "name", "rarity", "points", "target", "repeatable", "active"});
  }));
  auto* show = achievements->add_subcommand("show", "one of them, and who has it");
  show->add_option("KEY", given->key, "its key")->required();
  show->add_option("--limit", given->limit, "at most so many holders")->capture_default_str();
  add_format_option(*show, given->format);
  show->callback(
      counted(in_office)([given](Office& office) { return print_achievement(office, given); }));
  for (const bool has : {true, false}) {
    auto* one = achievements->add_subcommand(
        has ? "award" : "revoke", has ? "give one that has no criteria" : "take it back");
    one->add_option("KEY", given->key, "its key")->required();
    one->add_option("USER", given->user, "his id, address or name")->required();
    one->callback(
        in_office([given, has](Office& office) { return set_by_hand(office, given, has); }));
  }
}

}  // namespace

void add_rewards_commands(CLI::App& app, const InOffice& in_office) {
  const auto given = std::make_shared<RewardsOptions>();
  add_achievements(app, in_office, given);
  auto* points = app.add_subcommand("points", "what a user has earned, and how");
  points->add_option("USER", given->user, "his id, address or name")->required();
  points->add_option("--limit", given->limit, "at most so many lines of the ledger")
      ->capture_default_str();
  add_format_option(*points, given->format);
  points->callback(
      counted(in_office)([given](Office& office) { return print_points(office, given); }));
  auto* board = app.add_subcommand("leaderboard", "who has the most points");
  board->add_option("--period", given->period, "day, week, month, year or all-time")
      ->check(CLI::IsMember({"day", "week", "month", "year", "all-time", "all_time"}))
      ->capture_default_str();
  board->add_option("--day", given->day, "a day within the period; else today");
  board->add_option("--limit", given->limit, "at most so many lines")->capture_default_str();
  add_format_option(*board, given->format);
  board->callback(
      counted(in_office)([given](Office& office) { return print_leaderboard(office, given); }));
}

}  // namespace cli
