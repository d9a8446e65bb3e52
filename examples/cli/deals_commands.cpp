// `bureau deals ...`: what the command line says about deals.

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "commands.hpp"
#include "deals_import.hpp"

namespace cli {

using namespace bureau;

namespace {

Json json_of(const DealSum& sum) {
  const auto code = sum.value.currency.code();
  return Json::object({{"count", sum.count},
                       {"value_minor", sum.value.minor},
                       {"currency", code.empty() ? Json() : Json(code)}});
}

Json json_of(const ForecastLine& line) {
  return Json::object({{"won", json_of(line.won)},
                       {"lost", json_of(line.lost)},
                       {"open", json_of(line.open)},
                       {"weighted", json_of(line.weighted)}});
}

struct ForecastOptions {
  std::string by = "month", where, currency;
  Format format = Format::table;
};

/// The group of a line: its member in JSON, and as a person reads it.
class LineNames {
 public:
  static Result<LineNames> read(const Session& session, ForecastBy by) {
    LineNames names;
    names.by_ = by;
    if (by == ForecastBy::stage) {
      BUREAU_TRY(const auto stages, Repository<Stage>{session}.list({.limit = 10'000}));
      for (const Stage& stage : stages) names.names_[stage.id.value] = stage.name;
    }
    if (by == ForecastBy::owner) {
      BUREAU_TRY(const auto users, Repository<User>{session}.list({.limit = 100'000}));
      for (const User& user : users) names.names_[user.id.value] = user.name;
    }
    return names;
  }
  [[nodiscard]] std::string of(const ForecastLine& line) const {
    if (by_ == ForecastBy::month) {
      if (!line.month) return {};
      return fmt::format("{:04}-{:02}", *line.month / 100, *line.month % 100);
    }
    const std::int64_t id = line.stage ? line.stage->value : line.owner ? line.owner->value : 0;
    const auto found = names_.find(id);
    return found == names_.end() ? std::string() : found->second;
  }

 private:
  ForecastBy by_ = ForecastBy::month;
  std::map<std::int64_t, std::string> names_;
};

Result<void> forecast_json(const Forecast& forecast, const LineNames& names,
                           const std::string& by) {
  if (forecast.totals.size() > 1) {
    std::string codes;
    for (const ForecastLine& line : forecast.totals) {
      codes += (codes.empty() ? "" : ", ") + std::string(line.currency.code());
    }
    return fail(Code::invalid,
                fmt::format("currency: the deals are in {}, and there is no rate between them; "
                            "name one with --currency",
                            codes),
                "currency");
  }
  Json json = json_of(forecast.totals.empty() ? ForecastLine() : forecast.totals.front());
  Json lines = Json::array();
  for (const ForecastLine& line : forecast.lines) {
    Json one = json_of(line);
    const std::string name = names.of(line);
    one.set(by, name.empty() ? Json() : Json(name));
    lines.push_back(std::move(one));
  }
  json.set(by + "s", std::move(lines));
  fmt::print("{}\n", printable(json));
  return {};
}

void add_line(RowPrinter& printer, const std::string& name, const ForecastLine& line) {
  std::vector<std::string> cells = {name};
  for (const DealSum* sum : {&line.won, &line.lost, &line.open}) {
    cells.push_back(std::to_string(sum->count));
    cells.push_back(sum->value.to_string());
  }
  for (const DealSum* sum : {&line.weighted, &line.commit, &line.best_case}) {
    cells.push_back(sum->value.to_string());
  }
  printer.add(std::move(cells), {});
}

Result<void> print_forecast(const Office& office, const ForecastOptions& options) {
  static const std::map<std::string, ForecastBy> keys = {
      {"month", ForecastBy::month}, {"stage", ForecastBy::stage}, {"owner", ForecastBy::owner}};
  ForecastQuery query;
  query.by = keys.at(options.by);
  BUREAU_TRY(query.where, parse_where(office, table_of<Deal>(), options.where));
  if (!options.currency.empty()) {
    BUREAU_TRY(const Currency currency, Currency::parse(options.currency));
    query.where = query.where && col(&Deal::currency) == std::string(currency.code());
  }
  BUREAU_TRY(const Forecast forecast, Deals{office.session()}.forecast(query));
  BUREAU_TRY(const LineNames names, LineNames::read(office.session(), query.by));
  if (options.format == Format::json) return forecast_json(forecast, names, options.by);
  RowPrinter printer(options.format, {options.by, "won", "won_value", "lost", "lost_value", "open",
                                      "open_value", "weighted", "commit", "best_case"});
  for (const ForecastLine& line : forecast.lines) {
    const std::string name = names.of(line);
    add_line(printer, name.empty() ? "-" : name, line);
  }
  for (const ForecastLine& line : forecast.totals) add_line(printer, "total", line);
  printer.finish();
  return {};
}

std::string percent(const std::optional<std::int64_t>& bp) {
  return bp ? fmt::format("{}.{:02} %", *bp / 100, *bp % 100) : std::string("-");
}

Json json_or_null(const std::optional<std::int64_t>& number) {
  return number ? Json(*number) : Json();
}

Result<void> print_funnel(const Office& office, const std::string& pipeline, Format format) {
  BUREAU_TRY(const Funnel funnel, Deals{office.session()}.funnel(pipeline));
  RowPrinter printer(
      format, {"stage", "entered", "entered_value", "reached", "reached_value", "conversion"});
  for (const FunnelOf& of : funnel.currencies) {
    for (const FunnelStep& step : of.steps) {
      printer.add({step.name, std::to_string(step.entered.count), step.entered.value.to_string(),
                   std::to_string(step.reached.count), step.reached.value.to_string(),
                   percent(step.conversion_bp)},
                  Json::object({{"stage", step.name},
                                {"entered", json_of(step.entered)},
                                {"reached", json_of(step.reached)},
                                {"conversion_bp", json_or_null(step.conversion_bp)}}));
    }
    printer.add({"won of closed", std::to_string(of.won.count), of.won.value.to_string(),
                 std::to_string(of.won.count + of.lost.count), "", percent(of.win_rate_bp)},
                Json::object({{"won", json_of(of.won)},
                              {"lost", json_of(of.lost)},
                              {"win_rate_bp", json_or_null(of.win_rate_bp)}}));
  }
  printer.finish();
  return {};
}

/// A deal by its id, or by the id that it had where it came from. Its id goes first: whoever makes
/// a deal chooses the other freely.
Result<Id<Deal>> find_deal(const Deals& deals, const std::string& text) {
  if (const auto id = id::from_text(schema<Deal>.prefix, text)) {
    const auto found = deals.find(Id<Deal>(*id));
    if (found) return found->id;
    if (found.error().code != Code::not_found) return fail(found.error());
  }
  BUREAU_TRY(const auto known, deals.by_external_id(text));
  if (known) return known->id;
  return fail(Code::not_found, fmt::format("deal: there is none with the external id \"{}\"", text),
              "deal");
}

const std::vector<std::string_view> deal_columns = {
    "id", "external_id", "title", "state", "value_minor", "currency", "month", "closed_at"};

Result<void> print_deal(const Deal& deal, Format format) {
  const TableInfo& table = table_of<Deal>();
  std::vector<Value> values(table.width());
  bureau::detail::Scratch scratch;
  to_values(deal, values, scratch);
  EntityPrinter printer(format, table, deal_columns);
  printer.add(values);
  printer.finish();
  return {};
}

/// What the commands were given; lives as long as they do.
struct DealsOptions {
  std::vector<std::string> open_stages, won_stages, lost_stages;
  std::string folder, currency = "USD", deal, stage, reason, value, pipeline;
  Format format = Format::table;
  ListOptions list;
  ForecastOptions forecast;
};

tl::unexpected<Error> bad_stage(const std::string& text) {
  return fail(Code::invalid,
              fmt::format("--open: \"{}\" is not NAME=PERCENT or NAME=PERCENT,DAYSd, such as "
                          "\"Offer=60%,30d\"",
                          text),
              "open");
}

/// "Offer=60%,30d": a name, how likely it is won, and after how many days without activity it rots.
Result<sales::NewStage> parse_open_stage(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) return bad_stage(text);
  sales::NewStage stage{text.substr(0, equals), StageCategory::open, 0, {}};
  std::string rest = text.substr(equals + 1);
  if (const std::size_t comma = rest.find(','); comma != std::string::npos) {
    const std::string days = rest.substr(comma + 1);
    rest.resize(comma);
    unsigned number = 0;
    const auto [end, wrong] = std::from_chars(days.data(), days.data() + days.size(), number);
    if (wrong != std::errc() || number == 0 || number > 36500 ||
        std::string_view(end, days.data() + days.size()) != "d") {
      return bad_stage(text);
    }
    stage.rot_after = std::chrono::hours(24) * number;
  }
  if (rest.empty() || rest.back() != '%') return bad_stage(text);
  rest.pop_back();
  double percent = 0;
  const auto [end, wrong] = std::from_chars(rest.data(), rest.data() + rest.size(), percent);
  if (wrong != std::errc() || end != rest.data() + rest.size() ||
      !(percent >= 0 && percent <= 100)) {
    return bad_stage(text);
  }
  stage.probability_bp = std::llround(percent * 100);
  return stage;
}

Result<void> make_pipeline(const Office& office, const DealsOptions& given) {
  std::vector<sales::NewStage> stages;
  for (const std::string& text : given.open_stages) {
    BUREAU_TRY(auto stage, parse_open_stage(text));
    stages.push_back(std::move(stage));
  }
  for (const std::string& name : given.won_stages) {
    stages.push_back({name, StageCategory::won, 0, {}});
  }
  for (const std::string& name : given.lost_stages) {
    stages.push_back({name, StageCategory::lost, 0, {}});
  }
  BUREAU_TRY(const Pipeline made, sales::create_pipeline(office.session(), given.pipeline, stages));
  fmt::print("{}: {} stages\n", made.name, stages.size());
  return {};
}

void add_pipeline(CLI::App& deals, const InOffice& in_office,
                  const std::shared_ptr<DealsOptions>& given) {
  auto* pipeline = deals.add_subcommand("pipeline", "make a pipeline with its stages, in order");
  pipeline->add_option("NAME", given->pipeline, "a name of its own")->required();
  pipeline
      ->add_option("--open", given->open_stages,
                   "an open stage, such as \"Offer=60%,30d\": how likely it is won, and after how "
                   "many days without activity it rots")
      ->required();
  pipeline->add_option("--won", given->won_stages, "the stage of what is won")->required();
  pipeline->add_option("--lost", given->lost_stages, "a stage of what is lost")->required();
  pipeline->callback(in_office([given](Office& office) { return make_pipeline(office, *given); }));
}

/// A command that changes one deal and prints it.
CLI::App* add_change(CLI::App& deals, const InOffice& in_office,
                     const std::shared_ptr<DealsOptions>& given, const char* name, const char* text,
                     const std::function<Result<Deal>(const Deals&, Id<Deal>)>& change) {
  auto* command = deals.add_subcommand(name, text);
  command->add_option("DEAL", given->deal, "its id, or its external id")->required();
  add_format_option(*command, given->format);
  command->callback(in_office([given, change](Office& office) -> Result<void> {
    const Deals desk{office.session()};
    BUREAU_TRY(const auto id, find_deal(desk, given->deal));
    BUREAU_TRY(const Deal deal, change(desk, id));
    return print_deal(deal, given->format);
  }));
  return command;
}

void add_changes(CLI::App& deals, const InOffice& in_office,
                 const std::shared_ptr<DealsOptions>& given) {
  auto* win = add_change(deals, in_office, given, "win", "an open deal is won",
                         [given](const Deals& desk, Id<Deal> id) -> Result<Deal> {
                           if (given->value.empty()) return desk.win(id);
                           BUREAU_TRY(const Money value, Money::parse(given->value));
                           return desk.win(id, value);
                         });
  win->add_option("--value", given->value, "what it was won at, such as \"1200.00 USD\"");
  auto* lose =
      add_change(deals, in_office, given, "lose", "an open deal is lost",
                 [given](const Deals& desk, Id<Deal> id) { return desk.lose(id, given->reason); });
  lose->add_option("--reason", given->reason, "why")->required();
  auto* move =
      add_change(deals, in_office, given, "move", "an open deal goes to another open stage",
                 [given](const Deals& desk, Id<Deal> id) { return desk.move(id, given->stage); });
  move->add_option("STAGE", given->stage, "its name")->required();
  auto* reopen =
      add_change(deals, in_office, given, "reopen", "a won or lost deal is open again",
                 [given](const Deals& desk, Id<Deal> id) { return desk.reopen(id, given->stage); });
  reopen->add_option("--stage", given->stage, "an open one; else the one it was closed from");
}

void add_figures(CLI::App& deals, const InOffice& in_office,
                 const std::shared_ptr<DealsOptions>& given) {
  auto* forecast = deals.add_subcommand("forecast", "what deals come to, by month, stage or owner");
  forecast->add_option("--by", given->forecast.by, "month, stage or owner")
      ->check(CLI::IsMember({"month", "stage", "owner"}))
      ->capture_default_str();
  forecast->add_option("--where", given->forecast.where, "only deals for which this holds");
  forecast->add_option("--currency", given->forecast.currency, "only deals in this currency");
  add_format_option(*forecast, given->forecast.format);
  forecast->callback(
      in_office([given](Office& office) { return print_forecast(office, given->forecast); }));
  auto* funnel = deals.add_subcommand("funnel", "how deals go through a pipeline");
  funnel->add_option("--pipeline", given->pipeline, "its name; else the first");
  add_format_option(*funnel, given->format);
  funnel->callback(in_office(
      [given](Office& office) { return print_funnel(office, given->pipeline, given->format); }));
}

}  // namespace

void add_deals_commands(CLI::App& app, const InOffice& in_office) {
  const auto given = std::make_shared<DealsOptions>();
  auto* deals = app.add_subcommand("deals", "chances to sell, and what they come to");
  deals->require_subcommand(1);
  auto* import_app =
      deals->add_subcommand("import", "read accounts, products, teams and opportunities");
  import_app
      ->add_option("FOLDER", given->folder,
                   "with accounts.csv, products.csv, sales_teams.csv and sales_pipeline.csv")
      ->required();
  import_app->add_option("--currency", given->currency, "of the amounts")->capture_default_str();
  import_app->callback(in_office([given](Office& office) -> Result<void> {
    BUREAU_TRY(const auto report, import_deals(office, given->folder, given->currency));
    fmt::print(
        "{} imported, {} already there; new: {} accounts, {} products, {} people, {} teams\n",
        report.imported, report.present, report.accounts, report.products, report.people,
        report.teams);
    fmt::print(
        "{} with a product by another spelling, {} without an account, {} without a close "
        "date\n",
        report.respelled, report.without_account, report.without_close);
    return {};
  }));
  auto* list = deals->add_subcommand("list", "list deals, the newest first");
  add_list_options(*list, given->list, "state = \"won\"");
  list->callback(in_office([given](Office& office) {
    const TableInfo& table = table_of<Deal>();
    return list_rows(office, table, given->list, {{&table.columns[0], true}}, deal_columns);
  }));
  add_pipeline(*deals, in_office, given);
  add_figures(*deals, in_office, given);
  add_changes(*deals, in_office, given);
}

}  // namespace cli
