#include "store/postgres/months.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/core/civil.hpp"
#include "bureau/core/id.hpp"
#include "core/stable_hash.hpp"
#include "store/predicate_check.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

constexpr Doing upkeep = {"the upkeep of tables by month"};
/// For a lock that others hold; who comes behind waits as long.
constexpr std::string_view patience = "SET LOCAL lock_timeout='50ms'";
constexpr int months_ahead = 2;
/// Of rows that were found in a default partition, in one call.
constexpr int months_behind = 24;
/// No table's name has it, so that a partition's is nobody else's.
constexpr char separator = '$';

std::string part_name(std::string_view table, std::string_view suffix) {
  return short_name(fmt::format("{}{}{}", table, separator, suffix));
}

std::optional<std::int64_t> bound_at(const PGresult* rows, int row, int column) {
  const Value value = value_at(rows, row, column);
  return value.is_null() ? std::nullopt : std::optional(value.as_integer());
}

Timestamp midnight(CivilDate date) {
  return Timestamp() + std::chrono::hours(24 * std::int64_t{date.days()});
}

CivilDate next_month(CivilDate date) {
  return date.month == 12 ? CivilDate{date.year + 1, 1, 1}
                          : CivilDate{date.year, date.month + 1, 1};
}

/// What is not true for a row keeps it: also what nobody knows.
void append_staying(Sql& sql, const Predicate& going) {
  sql << "((";
  append_predicate(sql, going);
  sql << ") IS NOT TRUE)";
}

}  // namespace

std::string default_partition(std::string_view schema, std::string_view table) {
  return fmt::format("CREATE TABLE {0}.{1} PARTITION OF {0}.{2} DEFAULT", schema,
                     quoted(part_name(table, "default")), quoted(table));
}

std::string_view partitioned_name(std::string_view name) {
  return name.substr(0, name.find(separator));
}

Months::Month Months::month_of(Timestamp moment) {
  CivilDate first = Zone().to_civil(moment).date;
  first.day = 1;
  return {fmt::format("{:04}_{:02}", first.year, first.month), id::first_at(midnight(first)),
          id::first_at(midnight(next_month(first)))};
}

std::string Months::in_schema(std::string_view name) const {
  return fmt::format("{}.{}", connection_.settings().schema, quoted(name));
}

Result<Answers> Months::ask(std::string_view text, std::vector<Parameter> parameters) {
  connection_.add_once(text, parameters);
  Answers answers = connection_.exchange(deadline_);
  if (!answers.good()) return fail(to_error(*answers.failure, connection_.where(), upkeep));
  return answers;
}

Result<void> Months::in_transaction(FunctionRef<Result<void>()> work) {
  // Each statement sees what was committed while it waited for its lock.
  connection_.add_once("BEGIN ISOLATION LEVEL READ COMMITTED");
  connection_.add_once(patience);
  auto done = work();
  if (connection_.is_broken()) return done;
  const auto ended = ask(done ? "COMMIT" : "ROLLBACK");
  if (done && !ended) return fail(ended.error());
  return done;
}

/// `table`: empty for all.
Result<std::vector<Months::Part>> Months::parts(std::string_view table) {
  BUREAU_TRY(
      const Answers answers,
      ask("SELECT c.relname::text,p.relname::text,"
          "(regexp_match(pg_get_expr(p.relpartbound,p.oid),'FROM \\(''(-?\\d+)''\\)'))[1]::int8,"
          "(regexp_match(pg_get_expr(p.relpartbound,p.oid),'TO \\(''(-?\\d+)''\\)'))[1]::int8,"
          "pg_get_expr(p.relpartbound,p.oid)='DEFAULT' FROM pg_partitioned_table t"
          " JOIN pg_class c ON c.oid=t.partrelid JOIN pg_namespace n ON n.oid=c.relnamespace"
          " JOIN pg_inherits i ON i.inhparent=c.oid JOIN pg_class p ON p.oid=i.inhrelid"
          " WHERE n.nspname=$1 AND ($2='' OR c.relname=$2) AND t.partstrat='r' AND t.partnatts=1"
          " ORDER BY 1,4,2",
          {text_parameter(connection_.settings().schema_name), text_parameter(table)}));
  const PGresult* const rows = answers.results.back().get();
  std::vector<Part> found;
  for (int row = 0; row < PQntuples(rows); ++row) {
    found.push_back({std::string(value_at(rows, row, 0).as_text()),
                     std::string(value_at(rows, row, 1).as_text()), bound_at(rows, row, 2),
                     bound_at(rows, row, 3), value_at(rows, row, 4).as_integer() != 0});
  }
  return found;
}

// Making them -----------------------------------------------------------------------------------

Result<std::set<std::string>> Months::make() {
  BUREAU_TRY(const std::vector<Part> all, parts(""));
  std::set<std::string> tables;
  for (const Part& part : all) tables.insert(part.table);
  const std::vector<Month> ahead = months_from_now();
  for (const std::string& table : tables) {
    const bool complete = std::all_of(ahead.begin(), ahead.end(), [&](const Month& month) {
      return std::any_of(all.begin(), all.end(), [&](const Part& part) {
        return part.table == table && meets(part, month);
      });
    });
    BUREAU_TRY(const auto strays, first_of_default(table));
    if (complete && !strays) continue;
    const auto made = alone([&] { return make(table, ahead); });
    if (!made && made.error().code != Code::busy) return fail(made.error());
  }
  return tables;
}

bool Months::meets(const Part& part, const Month& month) {
  return !part.is_default && (!part.from || *part.from < month.to) &&
         (!part.to || *part.to > month.from);
}

std::vector<Months::Month> Months::months_from_now() const {
  CivilDate date = Zone().to_civil(clock_.now()).date;
  std::vector<Month> months;
  for (int i = 0; i <= months_ahead; ++i) {
    months.push_back(month_of(midnight({date.year, date.month, 1})));
    date = next_month(date);
  }
  return months;
}

/// In a transaction, unless somebody else is at it.
Result<void> Months::alone(FunctionRef<Result<void>()> work) {
  const std::string name = connection_.settings().schema_name + " months";
  const Value key = Value::integer(static_cast<std::int64_t>(stable_hash(name)));
  return in_transaction([&]() -> Result<void> {
    BUREAU_TRY(const Answers locked, ask("SELECT pg_try_advisory_xact_lock($1)",
                                         {{ParameterType::integer, false, key, {}}}));
    return locked.value().as_integer() == 0 ? Result<void>() : work();
  });
}

Result<void> Months::make(const std::string& table, const std::vector<Month>& ahead) {
  BUREAU_TRY(std::vector<Part> known, parts(table));  // now that nobody else makes any
  for (const Month& month : ahead) BUREAU_TRY_VOID(make(table, month, known));
  for (int i = 0; i < months_behind; ++i) {
    BUREAU_TRY(const auto first, first_of_default(table));
    if (!first) return {};
    BUREAU_TRY(const bool made, make(table, month_of(id::issued_at(*first)), known));
    if (!made) return {};
  }
  return {};
}

Result<std::optional<std::int64_t>> Months::first_of_default(const std::string& table) {
  BUREAU_TRY(const Answers answers, ask(fmt::format("SELECT min(\"id\") FROM {}",
                                                    in_schema(part_name(table, "default")))));
  return bound_at(answers.results.back().get(), 0, 0);
}

/// False: it is there, or something that somebody else made is in its way.
Result<bool> Months::make(const std::string& table, const Month& month, std::vector<Part>& known) {
  const bool is_there =
      std::any_of(known.begin(), known.end(), [&](const Part& part) { return meets(part, month); });
  if (is_there) return false;
  BUREAU_TRY_VOID(attach(table, month));
  known.push_back({table, part_name(table, month.suffix), month.from, month.to, false});
  return true;
}

/// Beside the table first, and then into it: that takes no lock that writers of other months meet.
/// Rows that came too early, or too late, are moved into it.
Result<void> Months::attach(const std::string& table, const Month& month) {
  const std::string whole = in_schema(table);
  const std::string part = in_schema(part_name(table, month.suffix));
  const std::string rest = in_schema(part_name(table, "default"));
  connection_.add_once(
      fmt::format("CREATE TABLE {}(LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING "
                  "STORAGE INCLUDING INDEXES)",
                  part, whole));
  connection_.add_once(fmt::format("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", rest));
  connection_.add_once(
      fmt::format("WITH moved AS (DELETE FROM {} WHERE \"id\">={} AND \"id\"<{} RETURNING *)"
                  " INSERT INTO {} SELECT * FROM moved",
                  rest, month.from, month.to, part));
  connection_.add_once(
      fmt::format("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})", whole, part,
                  month.from, month.to));
  // Who asks for a month by its name sees no more than through the table's policies: nothing.
  BUREAU_TRY(const Answers guarded,
             ask("SELECT relrowsecurity FROM pg_class WHERE oid=to_regclass($1)",
                 {text_parameter(whole)}));
  if (guarded.value().as_integer() == 0) return {};
  BUREAU_TRY_VOID(ask(fmt::format("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", part)));
  return {};
}

// Dropping them ---------------------------------------------------------------------------------

Result<std::uint64_t> Months::drop(const TableInfo& table, std::int64_t below,
                                   const Predicate& going) {
  BUREAU_TRY_VOID(check_predicate(table, going));
  BUREAU_TRY(const std::vector<Part> all, parts(table.name));
  std::uint64_t rows = 0;
  for (const Part& part : all) {
    if (part.is_default || !part.to || *part.to > below) continue;
    Sql stays(connection_.settings().schema);
    stays << "SELECT EXISTS(SELECT FROM " << in_schema(part.name) << " WHERE ";
    append_staying(stays, going);
    stays << ")";
    BUREAU_TRY(const Answers some, ask(stays.text, stays.parameters));
    if (some.value().as_integer() != 0) continue;
    std::uint64_t went = 0;
    const auto dropped = in_transaction([&] { return drop(part, going, went); });
    if (dropped) rows += went;
    // Else somebody uses it.
    if (!dropped && dropped.error().code != Code::busy) return fail(dropped.error());
  }
  return rows;
}

/// Nobody writes to the month from the look at its rows until it is gone.
Result<void> Months::drop(const Part& part, const Predicate& going, std::uint64_t& rows) {
  const std::string name = in_schema(part.name);
  connection_.add_once(fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", name));
  Sql count(connection_.settings().schema);
  count << "SELECT count(*),count(*) FILTER(WHERE ";
  append_staying(count, going);
  count << ") FROM " << name;
  BUREAU_TRY(const Answers counted, ask(count.text, count.parameters));
  if (counted.value(1).as_integer() != 0) return {};
  BUREAU_TRY_VOID(ask(fmt::format("DROP TABLE {}", name)));
  rows = static_cast<std::uint64_t>(counted.value(0).as_integer());
  return {};
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
