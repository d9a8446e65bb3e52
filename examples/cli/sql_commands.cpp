// `bureau sql`: a look at the rows themselves, with a gate that lets nothing but reading through.

#include <fmt/format.h>

#include <charconv>
#include <csignal>
#include <memory>
#include <optional>

#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += hex_digits[byte >> 4];
    text += hex_digits[byte & 15];
  }
  return text;
}

/// What SQL gives has no type of ours: a number stays one, an instant is its microseconds.
Json to_json(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::null:
      return {};
    case Value::Kind::integer:
      return value.as_integer();
    case Value::Kind::real:
      return value.as_real();
    case Value::Kind::text:
      return is_valid_text(value.as_text()) ? std::string(value.as_text()) : hex(value.as_text());
    case Value::Kind::bytes:
      return hex(value.as_text());
  }
  return {};
}

std::string to_text(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::null:
      return {};
    case Value::Kind::integer:
      return std::to_string(value.as_integer());
    case Value::Kind::real:
      return fmt::format("{}", value.as_real());
    case Value::Kind::text:
      return is_valid_text(value.as_text()) ? std::string(value.as_text()) : hex(value.as_text());
    case Value::Kind::bytes:
      return hex(value.as_text());
  }
  return {};
}

/// A parameter from the command line: a whole number where it is one, else a text.
OwnedValue parameter(const std::string& text) {
  std::int64_t number = 0;
  const auto* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec == std::errc() && read.ptr == end) return OwnedValue(Value::integer(number));
  return OwnedValue(Value::text(text));
}

struct SqlOptions {
  std::string text;
  std::vector<std::string> params;
  std::uint64_t limit = 1000;
  double seconds = 5;
  Format format = Format::table;
};

Result<void> run_sql(const Office& office, const SqlOptions& options) {
  // It only reads: a signal may end it wherever it is, also inside one long function.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  SqlQuery query;
  query.text = options.text;
  for (const auto& text : options.params) query.params.push_back(parameter(text));
  query.limit = options.limit;
  query.timeout = Duration(static_cast<std::int64_t>(options.seconds * 1e6));
  std::optional<RowPrinter> printer;
  BUREAU_TRY(
      const SqlSummary summary,
      office.engine->sql(
          query,
          [&](std::span<const std::string> columns, std::span<const Value> row) -> Result<bool> {
            if (!printer) {
              printer.emplace(options.format, std::vector(columns.begin(), columns.end()));
            }
            std::vector<std::string> cells;
            Json object = Json::object();
            for (std::size_t i = 0; i < row.size(); ++i) {
              cells.push_back(to_text(row[i]));
              object.set(columns[i], to_json(row[i]));
            }
            printer->add(std::move(cells), std::move(object));
            return true;
          }));
  if (!printer) printer.emplace(options.format, summary.columns);
  printer->finish();
  if (summary.more) {
    fmt::print(stderr, "bureau: there is more than {} rows; --limit raises that\n", summary.rows);
  }
  return {};
}

}  // namespace

void add_sql_commands(CLI::App& app, const InOffice& in_office) {
  auto options = std::make_shared<SqlOptions>();
  auto* sql = app.add_subcommand(
      "sql", "read rows by SQL, of all tenants; nothing can be written, nothing secret read");
  sql->add_option("STATEMENT", options->text, "one SELECT")->required();
  sql->add_option("--param", options->params, "the value of $1, then of $2, ...; once for each");
  sql->add_option("--limit", options->limit, "at most so many rows")->capture_default_str();
  sql->add_option("--seconds", options->seconds, "how long it may take")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 3600.0));
  add_format_option(*sql, options->format);
  sql->callback(
      for_whole_office(in_office)([options](Office& office) { return run_sql(office, *options); }));
}

}  // namespace cli
