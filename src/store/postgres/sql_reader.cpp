#include "store/postgres/sql_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "store/guarded.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// As on SQLite: no value that is given is longer.
constexpr std::int64_t longest_value = 256 << 10;
/// Rows come in batches, so that a sink that stops has not waited for all.
constexpr int rows_a_turn = 256;
constexpr std::string_view view = "pg_temp.bureau_sql_view";
constexpr Doing statement = {"an SQL statement"};

/// Tables of ours that hold no secrets, and are in no catalog.
constexpr std::array<std::string_view, 2> open_tables = {"bureau_meta", "bureau_catalog"};
/// What says which tables there are.
constexpr std::array<std::string_view, 4> describing = {
    "information_schema.tables", "information_schema.columns", "pg_catalog.pg_tables",
    "pg_catalog.pg_indexes"};

template <std::size_t size>
bool is_one_of(const std::array<std::string_view, size>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Functions of the server that only compute, as far as it says itself, and yet tell or do more.
bool does_more(std::string_view name) {
  return (name.starts_with("pg_") && name != "pg_typeof" && name != "pg_size_pretty") ||
         name.starts_with("lo_") || name.starts_with("txid_") || name.starts_with("inet_") ||
         name.find("_to_xml") != std::string_view::npos || name == "current_setting";
}

Unexpected forbidden(std::string why) { return fail(Code::forbidden, "sql: " + why, "sql"); }

/// A number of any size: a whole one that fits is one, others are the nearest double; null where
/// there is none.
Value number_of(std::string_view text) {
  std::int64_t whole = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (read.ec == std::errc() && read.ptr == text.data() + text.size()) return Value::integer(whole);
  double nearest = 0;
  const auto near = std::from_chars(text.data(), text.data() + text.size(), nearest);
  return near.ec == std::errc() && std::isfinite(nearest) ? Value::real(nearest) : Value();
}

Parameter oids(const std::vector<std::int64_t>& numbers) {
  Parameter parameter{ParameterType::integer, true, {}, {}};
  for (const std::int64_t one : numbers) parameter.values.push_back(Value::integer(one));
  return parameter;
}

}  // namespace

Unexpected SqlReader::refused(const Failure& failure) const {
  if (failure.kind != Failure::Kind::server) {
    return fail(to_error(failure, connection().where(), statement));
  }
  const std::string said = "sql: " + failure.message;
  const std::string_view state = failure.state;
  if (state == "42501" || state == "25006") return fail(Code::forbidden, said, "sql");
  if (state == "42601" && failure.message.find("multiple commands") != std::string::npos) {
    return fail(Code::invalid, "sql: one statement at a time; something follows the first", "sql");
  }
  if (state.starts_with("54")) return fail(Code::exhausted, said, "sql");
  const bool elsewhere = state.starts_with("08") || state.starts_with("53") ||
                         state.starts_with("57") || state.starts_with("58") ||
                         state.starts_with("XX");
  if (elsewhere) return fail(to_error(failure, connection().where(), statement));
  return fail(Code::invalid, said, "sql");
}

Result<Answers> SqlReader::ask(const Doing& doing) {
  Answers answers = connection().exchange(deadline_);
  if (!answers.good()) return fail(to_error(*answers.failure, connection().where(), doing));
  return answers;
}

Result<void> SqlReader::begin() {
  const auto attempt = [&] {
    const Duration left = deadline_ - connection().settings().clock->monotonic();
    const auto milliseconds = std::clamp<std::int64_t>(left.count() / 1000, 1, 2'000'000'000);
    connection().add("BEGIN ISOLATION LEVEL REPEATABLE READ");
    connection().add_once(fmt::format("SET LOCAL statement_timeout={}", milliseconds));
    connection().add_once("SET LOCAL search_path=" + connection().settings().schema);
    return connection().exchange(deadline_);
  };
  Answers begun = attempt();
  if (!begun.good() && connection().is_broken() && begun.failure->kind != Failure::Kind::late) {
    BUREAU_TRY_VOID(lease_.renew(deadline_));  // it may have been one from before a restart
    begun = attempt();
  }
  if (begun.good()) return {};
  return fail(to_error(*begun.failure, connection().where(), statement));
}

Result<void> SqlReader::describe(const QueryText& text, SqlSummary& summary) {
  connection().add_description(text.text);
  const Answers answers = connection().exchange(deadline_);
  if (!answers.good()) return refused(*answers.failure);
  if (!text.reads) return forbidden("only reading is allowed: a SELECT, VALUES, WITH or EXPLAIN");
  const PGresult* const described = answers.results.back().get();
  const int width = PQnfields(described);
  if (width == 0) return fail(Code::invalid, "sql: the statement gives no columns", "sql");
  for (int i = 0; i < width; ++i) {
    summary.columns.emplace_back(PQfname(described, i));
    columns_.push_back(column_of(PQftype(described, i)));
  }
  return {};
}

Result<void> SqlReader::analyse(const QueryText& text) {
  std::string names;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    names += fmt::format("{}c{}", i > 0 ? "," : "", i);
  }
  connection().add_once(fmt::format("CREATE TEMPORARY VIEW {}({}) AS\n{}",
                                    view.substr(view.find('.') + 1), names, text.text));
  const Answers made = connection().exchange(deadline_);
  if (!made.good()) {
    // It can be analysed, so it is what no view may hold: it writes, or calls what gives nothing.
    const std::string_view said = made.failure->message;
    if (said.find("must not contain") != std::string_view::npos) {
      return forbidden(fmt::format("only reading is allowed: {}", said));
    }
    if (said.find("pseudo-type void") != std::string_view::npos) {
      return forbidden("a function that gives no value does more than compute");
    }
    return refused(*made.failure);
  }
  connection().add_once(
      fmt::format("SELECT ev_action::text FROM pg_rewrite WHERE ev_class='{}'::regclass", view));
  BUREAU_TRY(const Answers kept, ask(statement));
  const auto reads = read_query_tree(kept.value().as_text());
  if (!reads) return forbidden("what it reads could not be found out on this server's version");
  BUREAU_TRY_VOID(judge_functions(*reads));
  return judge_relations(*reads);
}

Result<void> SqlReader::judge_functions(const QueryReads& reads) {
  if (reads.functions.empty()) return {};
  std::vector<std::int64_t> called = reads.functions;
  std::sort(called.begin(), called.end());
  called.erase(std::unique(called.begin(), called.end()), called.end());
  connection().add_once(
      "SELECT n.nspname::text,p.proname::text,p.provolatile='v',l.lanname IN ('internal','sql')"
      " FROM pg_proc p JOIN pg_namespace n ON n.oid=p.pronamespace"
      " JOIN pg_language l ON l.oid=p.prolang WHERE p.oid::int8=ANY($1) ORDER BY p.oid",
      std::vector<Parameter>{oids(called)});
  BUREAU_TRY(const Answers answers, ask(statement));
  const PGresult* const rows = answers.results.back().get();
  for (int row = 0; row < PQntuples(rows); ++row) {
    const std::string_view schema = value_at(rows, row, 0).as_text();
    const std::string_view name = value_at(rows, row, 1).as_text();
    const bool acts = value_at(rows, row, 2).as_integer() != 0;
    const bool built_in = value_at(rows, row, 3).as_integer() != 0;
    if (schema == connection().settings().schema_name && name.starts_with("bureau_json_")) continue;
    if (schema == "pg_catalog" && built_in && !acts && !does_more(name)) continue;
    return forbidden(fmt::format("{}(): a function that does more than compute", name));
  }
  const auto found = static_cast<std::size_t>(PQntuples(rows));
  return found == called.size() ? Result<void>() : forbidden("a function that is not there");
}

Result<void> SqlReader::judge_relations(const QueryReads& reads) {
  std::vector<std::int64_t> numbers;
  for (const auto& relation : reads.relations) numbers.push_back(relation.oid);
  if (numbers.empty()) return {};
  connection().add_once(
      "SELECT c.oid::int8,n.nspname::text,c.relname::text,a.attnum::int8,a.attname::text,"
      "c.relkind IN ('r','p') FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace"
      " JOIN pg_attribute a ON a.attrelid=c.oid AND a.attnum>0 AND NOT a.attisdropped"
      " WHERE c.oid::int8=ANY($1)",
      std::vector<Parameter>{oids(numbers)});
  BUREAU_TRY(const Answers answers, ask(statement));
  std::map<std::int64_t, Known> known;
  const PGresult* const rows = answers.results.back().get();
  for (int row = 0; row < PQntuples(rows); ++row) {
    Known& one = known[value_at(rows, row, 0).as_integer()];
    one.schema = value_at(rows, row, 1).as_text();
    one.name = value_at(rows, row, 2).as_text();
    one.is_table = value_at(rows, row, 5).as_integer() != 0;
    one.columns[static_cast<int>(value_at(rows, row, 3).as_integer())] =
        value_at(rows, row, 4).as_text();
  }
  for (const auto& relation : reads.relations) {
    BUREAU_TRY_VOID(judge(known[relation.oid], relation.columns));
  }
  return {};
}

Result<void> SqlReader::judge(const Known& one, const std::vector<int>& columns) const {
  const bool ours = one.schema == connection().settings().schema_name && one.is_table;
  // Up to version 15 a view's tree names the view itself.
  const bool itself = one.schema.starts_with("pg_temp") && columns.empty();
  if (itself || (ours && is_one_of(open_tables, one.name)) ||
      is_one_of(describing, one.schema + "." + one.name)) {
    return {};
  }
  const TableInfo* const info = ours ? catalog_.find(one.name) : nullptr;
  if (info == nullptr) {
    return forbidden(
        fmt::format("{}: no table of this program's; what is secret in it is not known", one.name));
  }
  const bool closed = one.columns.size() != info->width() ||
                      std::any_of(info->columns.begin(), info->columns.end(),
                                  [](const ColumnInfo& column) { return column.secret; });
  for (const int number : columns) {
    if (number < 0 || (number == 0 && !closed)) continue;
    if (number == 0) {
      return forbidden(
          fmt::format("{}: a secret column is never read, nor a row as a whole", one.name));
    }
    const auto name = one.columns.find(number);
    const ColumnInfo* const column = name == one.columns.end() ? nullptr : info->find(name->second);
    if (column == nullptr) {
      return forbidden(fmt::format("{}: no column of this program's", one.name));
    }
    if (column->secret) {
      return forbidden(fmt::format("{}.{}: a secret column is never read", one.name, column->name));
    }
  }
  return {};
}

SqlReader::Column SqlReader::column_of(Oid type) {
  switch (type) {
    case 20:  // int8
    case 21:  // int2
    case 23:  // int4
    case 26:  // oid
      return {"::int8", false, false};
    case 16:  // bool
      return {"::int4", false, false};
    case 700:  // float4
    case 701:  // float8
      return {"::float8", false, false};
    case 1700:  // numeric
      return {"::text", true, true};
    case 17:  // bytea
      return {"", false, true};
    default:
      return {"::text", false, true};
  }
}

Result<bool> SqlReader::give(const PGresult* rows, const SqlQuery& query, SqlSink sink,
                             SqlSummary& summary) const {
  std::vector<Value> row(summary.columns.size());
  for (int place = 0; place < PQntuples(rows); ++place) {
    if (summary.rows == query.limit) {
      summary.more = true;
      return false;
    }
    int at = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const Column column = i < columns_.size() ? columns_[i] : Column();
      row[i] = value_at(rows, place, at++);
      if (column.is_long) {
        const Value size = value_at(rows, place, at++);
        if (!size.is_null() && size.as_integer() > longest_value) {
          return fail(Code::exhausted,
                      fmt::format("sql: {}: a value of {} bytes, at most {} are given",
                                  summary.columns[i], size.as_integer(), longest_value),
                      "sql");
        }
      }
      if (column.is_number && !row[i].is_null()) row[i] = number_of(row[i].as_text());
    }
    ++summary.rows;
    BUREAU_TRY(const bool go_on, sink(summary.columns, row));
    if (!go_on) return false;
  }
  return true;
}

Result<void> SqlReader::fetch(const SqlQuery& query, SqlSink sink, SqlSummary& summary) {
  std::string outer, inner;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const char* const comma = i > 0 ? "," : "";
    inner += fmt::format("{0}c{1}{2} AS c{1}", comma, i, columns_[i].cast);
    outer += columns_[i].is_long ? fmt::format(
                                       "{0}CASE WHEN octet_length(c{1})<={2} THEN c{1} END,"
                                       "octet_length(c{1})",
                                       comma, i, longest_value)
                                 : fmt::format("{}c{}", comma, i);
  }
  // OFFSET 0 keeps the two apart: what is long is made once.
  connection().add_once("SET TRANSACTION READ ONLY");
  connection().add_once(
      fmt::format("DECLARE bureau_sql NO SCROLL CURSOR FOR SELECT {} FROM (SELECT {} FROM {} "
                  "OFFSET 0) AS given",
                  outer, inner, view));
  for (bool more = true; more;) {
    connection().add_once(fmt::format("FETCH {} FROM bureau_sql", rows_a_turn));
    const Answers answers = connection().exchange(deadline_);
    if (!answers.good()) return refused(*answers.failure);
    const PGresult* const rows = answers.results.back().get();
    BUREAU_TRY(more, give(rows, query, sink, summary));
    more = more && PQntuples(rows) == rows_a_turn;
  }
  return {};
}

Result<void> SqlReader::explain(const SqlQuery& query, SqlSink sink, SqlSummary& summary) {
  connection().add_once("SET TRANSACTION READ ONLY");
  connection().add_once(fmt::format("EXPLAIN SELECT * FROM {}", view));
  const Answers answers = connection().exchange(deadline_);
  if (!answers.good()) return refused(*answers.failure);
  summary.columns = {"QUERY PLAN"};
  columns_.clear();
  BUREAU_TRY_VOID(give(answers.results.back().get(), query, sink, summary));
  return {};
}

Result<SqlSummary> SqlReader::run_begun(const QueryText& text, const SqlQuery& query,
                                        SqlSink sink) {
  SqlSummary summary;
  BUREAU_TRY_VOID(describe(text, summary));
  BUREAU_TRY_VOID(analyse(text));
  if (text.explain) {
    BUREAU_TRY_VOID(explain(query, sink, summary));
  } else {
    BUREAU_TRY_VOID(fetch(query, sink, summary));
  }
  return summary;
}

Result<SqlSummary> SqlReader::run(const SqlQuery& query, SqlSink sink) {
  BUREAU_TRY(const QueryText text, read_query_text(query.text, query.params));
  BUREAU_TRY_VOID(begin());
  Result<SqlSummary> summary;
  const auto done = guarded([&]() -> Result<void> {
    summary = run_begun(text, query, sink);
    return {};
  });
  if (!done) summary = fail(done.error());
  if (!connection().is_broken()) {
    connection().add("ROLLBACK");
    connection().send_off();
  }
  return summary;
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
