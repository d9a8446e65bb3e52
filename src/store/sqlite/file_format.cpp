#include "store/sqlite/file_format.hpp"

#include <fmt/format.h>

#include "store/sqlite/failure.hpp"
#include "store/sqlite/log_repair.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

tl::unexpected<Error> newer(const Connection& connection, std::int64_t format) {
  return fail(Code::upgraded,
              fmt::format("{}: made by a newer bureau: its format is {}, this one reads up to {}; "
                          "update the program",
                          connection.path(), format, format_version),
              "format");
}

Result<void> check_format(Connection& connection) {
  BUREAU_TRY(const std::int64_t format, connection.query_integer("PRAGMA user_version", opening));
  if (format <= format_version) return {};
  BUREAU_TRY(
      const std::int64_t oldest,
      connection.query_integer(
          "SELECT CAST(value AS INTEGER) FROM bureau_meta WHERE key='oldest_reader'", opening));
  if (oldest <= format_version) return {};
  return newer(connection, format);
}

Result<void> make_ours(Connection& connection) {
  // In one transaction, so that a file is ours wholly or not at all.
  const std::string sql = fmt::format(
      "BEGIN IMMEDIATE;"
      "PRAGMA application_id={}; PRAGMA user_version={};"
      "CREATE TABLE bureau_meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
      "INSERT INTO bureau_meta VALUES('format','{}'),('oldest_reader','{}');"
      "CREATE TABLE bureau_catalog(name TEXT PRIMARY KEY, definition TEXT NOT NULL)"
      " STRICT, WITHOUT ROWID;"
      "CREATE TABLE bureau_commits(id INTEGER PRIMARY KEY, writer INTEGER NOT NULL,"
      " sequence INTEGER NOT NULL) STRICT;"
      "COMMIT",
      application_id, format_version, format_version, format_version);
  auto made = connection.execute(sql, "making the file");
  if (!made && connection.in_transaction()) connection.run("ROLLBACK");
  return made;
}

Result<void> set_wal(Connection& connection) {
  sqlite3_stmt* handle = nullptr;
  int code =
      sqlite3_prepare_v2(connection.handle(), "PRAGMA journal_mode=WAL", -1, &handle, nullptr);
  if (code != SQLITE_OK) return fail(connection.error(code, opening));
  const Statement statement(handle, nullptr);
  code = statement.step();
  if (code != SQLITE_ROW) return fail(connection.error(code, opening));
  const bool is_wal = column_value(handle, 0).as_text() == "wal";
  // The file's header is committed only now; what fails here leaves the mode as it was.
  if (code = statement.step(); code != SQLITE_DONE) return fail(connection.error(code, opening));
  if (is_wal) return {};
  return fail(Code::unavailable,
              fmt::format("{}: its file system does not allow SQLite's WAL mode (shared memory)",
                          connection.path()));
}

}  // namespace

Result<bool> check_file(Connection& connection) {
  BUREAU_TRY(const std::int64_t owner, connection.query_integer("PRAGMA application_id", opening));
  BUREAU_TRY(const std::int64_t objects,
             connection.query_integer("SELECT COUNT(*) FROM sqlite_schema", opening));
  const bool empty = owner == 0 && objects == 0;
  if (!empty && owner != application_id) {
    return fail(Code::corrupt,
                fmt::format("{}: it belongs to another program (application_id {:#x}, bureau's is "
                            "{:#x})",
                            connection.path(), static_cast<std::uint32_t>(owner), application_id));
  }
  if (!empty) BUREAU_TRY_VOID(check_format(connection));
  return empty;
}

Result<void> check_upgrade(Connection& connection) {
  BUREAU_TRY(const auto statement,
             connection.prepare(
                 "SELECT CAST(value AS INTEGER) FROM bureau_meta WHERE key='oldest_reader'"));
  const int code = statement.step();
  if (code != SQLITE_ROW) return {};  // the statement that follows says what is wrong
  const std::int64_t oldest = sqlite3_column_int64(statement.get(), 0);
  if (oldest <= format_version) return {};
  return newer(connection, oldest);
}

Result<void> prepare_file(Connection& connection, bool first) {
  BUREAU_TRY(const bool empty, check_file(connection));
  BUREAU_TRY_VOID(set_wal(connection));
  if (first) BUREAU_TRY_VOID(repair_log(connection, opening));
  return empty ? make_ours(connection) : Result<void>();
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
