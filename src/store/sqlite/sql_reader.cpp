#include "store/sqlite/sql_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bureau/store/table.hpp"
#include "store/guarded.hpp"
#include "store/sqlite/failure.hpp"
#include "store/sqlite/reader_pool.hpp"
#include "store/sqlite/sql_program.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

/// No value that a statement reads or makes is longer; nor is its text. The clock is looked at
/// between the steps of a statement, not within a function: over two values of 256 KiB the slowest,
/// instr() and replace(), take half a second at worst.
constexpr int longest_value = 256 << 10;
constexpr int longest_pattern = 1000;
constexpr int longest_text = 100'000;
constexpr std::size_t kept_connections = 2;

/// What a statement may ask of the file's form; none of them changes anything.
constexpr std::array<std::string_view, 8> harmless_pragmas{
    "index_info",  "index_list", "index_xinfo", "integrity_check",
    "quick_check", "table_info", "table_list",  "table_xinfo"};
/// And only without an argument, which would set them.
constexpr std::array<std::string_view, 11> readable_pragmas{
    "application_id", "compile_options", "data_version", "database_list",
    "encoding",       "freelist_count",  "journal_mode", "page_count",
    "page_size",      "schema_version",  "user_version"};
/// Their first use declares a table, which the gate would take for one that a statement makes.
constexpr std::string_view table_functions =
    "SELECT 1 FROM json_each('[]'), json_tree('[]'), pragma_table_info('x'), "
    "pragma_table_xinfo('x'), pragma_table_list, pragma_index_list('x'), pragma_index_info('x'), "
    "pragma_index_xinfo('x'), pragma_database_list, pragma_compile_options, pragma_page_count, "
    "pragma_page_size, pragma_freelist_count, pragma_encoding, pragma_user_version, "
    "pragma_application_id, pragma_schema_version LIMIT 0";
/// Functions that do more than compute.
constexpr std::array<std::string_view, 6> acting_functions{
    "load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "sqlite_log"};

template <std::size_t size>
bool is_among(const std::array<std::string_view, size>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view text_of(const char* text) { return text == nullptr ? "" : text; }

/// Decides about each thing that a statement would do, while SQLite compiles it.
class Gate {
 public:
  explicit Gate(const Catalog& catalog) : catalog_(catalog) {}

  /// Why the statement was refused; empty: it was not.
  [[nodiscard]] const std::string& denial() const { return denial_; }
  /// Whether it is a SELECT, or holds one.
  [[nodiscard]] bool has_select() const { return has_select_; }
  /// A pragma that was let through: SQLite counts some of them as writing, whatever they are asked.
  [[nodiscard]] bool has_pragma() const { return has_pragma_; }

  static int ask(void* self, int action, const char* first, const char* second, const char*,
                 const char*) {
    return static_cast<Gate*>(self)->decide(action, text_of(first), text_of(second));
  }

 private:
  int decide(int action, std::string_view first, std::string_view second) {
    switch (action) {
      case SQLITE_SELECT:
        has_select_ = true;
        return SQLITE_OK;
      case SQLITE_RECURSIVE:
        return SQLITE_OK;
      case SQLITE_READ:
        return read(first, second);
      case SQLITE_FUNCTION:
        if (!is_among(acting_functions, second)) return SQLITE_OK;
        return deny(fmt::format("{}(): a function that does more than compute", second));
      case SQLITE_PRAGMA:
        if (is_among(harmless_pragmas, first) ||
            (second.empty() && is_among(readable_pragmas, first))) {
          has_pragma_ = true;
          return SQLITE_OK;
        }
        return deny(
            fmt::format("PRAGMA {}: only pragmas that describe the file are allowed", first));
      case SQLITE_ATTACH:
      case SQLITE_DETACH:
        return deny("ATTACH: no other file may be opened");
      default:
        return deny(fmt::format("{}: only reading is allowed", name_of(action)));
    }
  }

  int read(std::string_view table, std::string_view column) {
    // Without a column it is the count of rows alone, or the name of a part of the statement.
    if (column.empty() || is_open_table(table)) return SQLITE_OK;
    if (table.starts_with("pragma_")) return SQLITE_OK;  // the pragma itself is asked for as well
    const TableInfo* const info = catalog_.find(table);
    if (info == nullptr) {
      return deny(
          fmt::format("{}: no table of this program's; what is secret in it is not known", table));
    }
    const ColumnInfo* const described = info->find(column);
    if (described != nullptr && !described->secret) return SQLITE_OK;
    if (described == nullptr && (column == "ROWID" || column == "rowid")) return SQLITE_OK;
    return deny(described == nullptr
                    ? fmt::format("{}.{}: no column of this program's", table, column)
                    : fmt::format("{}.{}: a secret column is never read", table, column));
  }

  static std::string_view name_of(int action) {
    switch (action) {
      case SQLITE_INSERT:
        return "INSERT";
      case SQLITE_UPDATE:
        return "UPDATE";
      case SQLITE_DELETE:
        return "DELETE";
      case SQLITE_TRANSACTION:
        return "BEGIN, COMMIT or ROLLBACK";
      case SQLITE_SAVEPOINT:
        return "SAVEPOINT";
      case SQLITE_REINDEX:
        return "REINDEX";
      case SQLITE_ANALYZE:
        return "ANALYZE";
      default:
        return "a statement that changes tables, indexes, views or triggers";
    }
  }

  /// The first reason is the one that is told.
  int deny(std::string why) {
    if (denial_.empty()) denial_ = std::move(why);
    return SQLITE_DENY;
  }

  const Catalog& catalog_;
  std::string denial_;
  bool has_pragma_ = false;
  bool has_select_ = false;
};

/// The gate stands for one run, which is one transaction: what was looked through is what runs.
class Guarded {
 public:
  Guarded(Connection& connection, Gate& gate, Monotonic deadline) : connection_(connection) {
    connection_.set_deadline(deadline);
    connection_.run("BEGIN");
    sqlite3_set_authorizer(connection_.handle(), &Gate::ask, &gate);
  }
  ~Guarded() {
    sqlite3_set_authorizer(connection_.handle(), nullptr, nullptr);
    connection_.set_deadline(Monotonic::never());
    connection_.run("ROLLBACK");
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

 private:
  Connection& connection_;
};

/// The time that trim(X, Y) takes is the product of their lengths, with no look at the clock.
void refuse_to_trim(sqlite3_context* context, int, sqlite3_value**) {
  sqlite3_result_error(context, "trim(X, Y) is not there, because nothing bounds its time", -1);
}

Error sql_error(const Connection& connection, const Gate& gate, int code) {
  if (!gate.denial().empty()) return {Code::forbidden, "sql: " + gate.denial(), "sql"};
  const int primary = code & 0xff;
  const std::string said = fmt::format("sql: {}", sqlite3_errmsg(connection.handle()));
  if (primary == SQLITE_ERROR) return {Code::invalid, said, "sql"};
  if (primary == SQLITE_AUTH) return {Code::forbidden, said, "sql"};
  if (primary == SQLITE_TOOBIG) return {Code::exhausted, said, "sql"};
  return connection.error(code, "an SQL statement");
}

/// The one statement of the text.
Result<Statement> compile(Connection& connection, const Gate& gate, const Catalog& catalog,
                          std::string_view text) {
  if (text.size() > longest_text) {
    return fail(Code::exhausted,
                fmt::format("sql: the text has {} bytes, at most {} are allowed", text.size(),
                            longest_text),
                "sql");
  }
  sqlite3_stmt* made = nullptr;
  const char* tail = nullptr;
  int code = sqlite3_prepare_v3(connection.handle(), text.data(), static_cast<int>(text.size()), 0,
                                &made, &tail);
  Statement statement(made, nullptr);
  if (code != SQLITE_OK) return fail(sql_error(connection, gate, code));
  if (made == nullptr) return fail(Code::invalid, "sql: there is no statement in it", "sql");
  const std::string_view rest(tail, static_cast<std::size_t>(text.data() + text.size() - tail));
  // Blanks and comments compile to nothing; anything else, good or bad, is a second statement.
  sqlite3_stmt* second = nullptr;
  code = sqlite3_prepare_v3(connection.handle(), rest.data(), static_cast<int>(rest.size()), 0,
                            &second, nullptr);
  sqlite3_finalize(second);
  if (code != SQLITE_OK || second != nullptr) {
    return fail(Code::invalid, "sql: one statement at a time; something follows the first", "sql");
  }
  // What asks no gate, such as VACUUM.
  if (sqlite3_stmt_readonly(made) == 0 && !gate.has_pragma()) {
    return fail(Code::forbidden, "sql: the statement would write; only reading is allowed", "sql");
  }
  if (gate.has_select() && sqlite3_stmt_isexplain(made) == 0) {
    BUREAU_TRY(const std::string objection, objection_to(connection, catalog, text));
    if (!objection.empty()) return fail(Code::forbidden, "sql: " + objection, "sql");
  }
  return statement;
}

Result<void> bind(const Statement& statement, const std::vector<OwnedValue>& params) {
  const int wanted = sqlite3_bind_parameter_count(statement.get());
  if (static_cast<std::size_t>(wanted) != params.size()) {
    return fail(
        Code::invalid,
        fmt::format("sql: the statement has {} parameters, {} were given", wanted, params.size()),
        "params");
  }
  for (int i = 0; i < wanted; ++i) {
    statement.bind(i + 1, params[static_cast<std::size_t>(i)].view());
  }
  return {};
}

Result<SqlSummary> run_on(Connection& connection, const Gate& gate, const Catalog& catalog,
                          const SqlQuery& query, SqlSink sink) {
  BUREAU_TRY(const Statement statement, compile(connection, gate, catalog, query.text));
  BUREAU_TRY_VOID(bind(statement, query.params));
  SqlSummary summary;
  const int width = sqlite3_column_count(statement.get());
  for (int i = 0; i < width; ++i) {
    const char* const name = sqlite3_column_name(statement.get(), i);
    summary.columns.emplace_back(text_of(name));
  }
  std::vector<Value> row(static_cast<std::size_t>(width));
  for (;;) {
    const int code = statement.step();
    if (code == SQLITE_DONE) return summary;
    if (code != SQLITE_ROW) return fail(sql_error(connection, gate, code));
    if (summary.rows == query.limit) {
      summary.more = true;
      return summary;
    }
    for (int i = 0; i < width; ++i) {
      row[static_cast<std::size_t>(i)] = column_value(statement.get(), i);
    }
    ++summary.rows;
    BUREAU_TRY(const bool go_on, sink(summary.columns, row));
    if (!go_on) return summary;
  }
}

}  // namespace

Result<std::unique_ptr<Connection>> SqlReader::take() {
  {
    const std::lock_guard guard(mutex_);
    if (!free_.empty()) {
      auto taken = std::move(free_.back());
      free_.pop_back();
      return taken;
    }
  }
  SqliteOptions options = options_;
  options.cache_kib /= 4;
  BUREAU_TRY(auto made, Connection::open(options, Connection::Role::sql));
  sqlite3_limit(made->handle(), SQLITE_LIMIT_LENGTH, longest_value);
  sqlite3_limit(made->handle(), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, longest_pattern);
  sqlite3_limit(made->handle(), SQLITE_LIMIT_ATTACHED, 0);
  for (const char* const name : {"trim", "ltrim", "rtrim"}) {
    sqlite3_create_function_v2(made->handle(), name, 2, SQLITE_UTF8, nullptr, &refuse_to_trim,
                               nullptr, nullptr, nullptr);
  }
  BUREAU_TRY_VOID(made->execute(std::string(table_functions), "opening it"));
  return made;
}

void SqlReader::give_back(std::unique_ptr<Connection> connection) {
  const std::lock_guard guard(mutex_);
  if (free_.size() < kept_connections) free_.push_back(std::move(connection));
}

Result<SqlSummary> SqlReader::run(const Catalog& catalog, const SqlQuery& query, SqlSink sink) {
  BUREAU_TRY(auto connection, take());
  Gate gate(catalog);
  Result<SqlSummary> summary;
  {
    const Guarded guarded_run(*connection, gate, connection->clock().monotonic() + query.timeout);
    const auto done = guarded([&]() -> Result<void> {
      summary = run_on(*connection, gate, catalog, query, sink);
      return {};
    });
    if (!done) summary = fail(done.error());
  }
  give_back(std::move(connection));
  return summary;
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
