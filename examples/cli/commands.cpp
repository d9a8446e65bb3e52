#include "commands.hpp"

#include <fmt/format.h>

namespace cli {

using namespace bureau;

void add_format_option(CLI::App& app, Format& format) {
  app.add_option_function<std::string>(
         "--format", [&format](const std::string& name) { format = formats.at(name); },
         "how rows are printed")
      ->check(CLI::IsMember({"table", "json", "csv"}))
      ->default_str("table");
}

void add_list_options(CLI::App& app, ListOptions& options, std::string_view example) {
  app.add_option("--where", options.where,
                 fmt::format("only rows for which this holds, such as '{}'", example));
  add_format_option(app, options.format);
  app.add_option("--limit", options.limit, "at most so many rows")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'000'000'000));
}

Result<void> refuse_as(bool given) {
  if (!given) return {};
  return fail(Code::forbidden,
              "--as: this command is about the whole office, which no user's rights are for; give "
              "it without --as",
              "as");
}

InOffice for_whole_office(const InOffice& in_office) {
  return [in_office](std::function<Result<void>(Office&)> f) {
    return in_office([f = std::move(f)](Office& office) -> Result<void> {
      BUREAU_TRY_VOID(refuse_as(office.as.has_value()));
      return f(office);
    });
  };
}

Result<Json> parse_json(const std::string& text) {
  auto json = Json::parse(text);
  if (json) return json;
  return fail(Code::invalid, fmt::format("JSON: {}", json.error().message), "JSON");
}

Result<Predicate> parse_where(const Office& office, const TableInfo& table,
                              const std::string& where) {
  if (where.empty()) return Predicate();
  auto parsed = Predicate::parse(table, where, &office.engine->database().catalog());
  if (!parsed) return fail(Error(Code::invalid, "--where, " + parsed.error().message, "where"));
  return parsed;
}

Result<void> list_rows(const Office& office, const TableInfo& table, const ListOptions& options,
                       std::vector<Order> order, std::vector<std::string_view> columns,
                       std::vector<std::string_view> only) {
  Query query;
  BUREAU_TRY(query.where, parse_where(office, table, options.where));
  query.order = std::move(order);
  query.limit = options.limit;
  const Session session = office.session();
  EntityPrinter printer(options.format, table, std::move(columns), std::move(only));
  BUREAU_TRY_VOID(Rows(Scope(session), table).list(query, [&](std::span<const Value> row) {
    printer.add(row);
    return true;
  }));
  printer.finish();
  return {};
}

}  // namespace cli
