#include "store/sqlite/failure.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>
#include <system_error>

#include "store/sqlite/functions.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

/// "UNIQUE constraint failed: tickets.tenant, tickets.number" names the index's columns.
Error taken(std::string_view message) {
  const auto colon = message.rfind(": ");
  const std::string_view columns =
      colon == std::string_view::npos ? message : message.substr(colon + 2);
  const std::string named = without_companions(columns);
  const auto dot = named.rfind('.');
  std::string field(dot == std::string::npos ? named : named.substr(dot + 1));
  std::string text = fmt::format("{}: this value is taken, and must be unique", named);
  return {Code::exists, std::move(text), std::move(field)};
}

Code code_of(int primary) {
  switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return Code::busy;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
      return Code::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return Code::corrupt;
    case SQLITE_INTERRUPT:
      return Code::deadline;
    case SQLITE_TOOBIG:
      return Code::exhausted;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
      return Code::invalid;
    default:
      return Code::internal;
  }
}

std::string_view rule_of(int primary) {
  switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "it is locked by another program; try again when that has let go";
    case SQLITE_READONLY:
      return "it is read-only; the file and its folder must be writable";
    case SQLITE_CANTOPEN:
      return "it cannot be opened; its folder must exist and be writable";
    case SQLITE_FULL:
      return "the disk is full; make room and try again";
    case SQLITE_NOTADB:
      return "it is not a database; name another file, or restore a backup";
    case SQLITE_CORRUPT:
      return "it is damaged; restore a backup";
    default:
      return {};
  }
}

}  // namespace

Error to_error(sqlite3* connection, int code, std::string_view path, std::string_view doing) {
  const int primary = code & 0xff;
  const std::string_view said =
      connection != nullptr && (sqlite3_errcode(connection) & 0xff) == primary
          ? sqlite3_errmsg(connection)
          : sqlite3_errstr(code);
  if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
      code == SQLITE_CONSTRAINT_ROWID) {
    return taken(said);
  }
  if (primary == SQLITE_ERROR) {
    if (said.ends_with(does_not_fit)) {
      return {Code::exhausted, std::string(said), std::string(said.substr(0, said.find(':')))};
    }
    // Limits of SQLite's on the form of a statement.
    if (said == "parser stack overflow" || said.starts_with("too many ") ||
        said.starts_with("Expression tree is too large")) {
      return {
          Code::exhausted,
          fmt::format("{}: the query is nested too deeply or has too many parts ({})", path, said)};
    }
    if (said.starts_with("no such table") || said.starts_with("no such column") ||
        said.find("has no column named") != std::string_view::npos) {
      return {Code::invalid,
              fmt::format("{}: {}; migrate() makes what a catalog describes", path, said)};
    }
  }
  // The shared memory beside the file grows before anything else does.
  const std::string_view rule = rule_of(code == SQLITE_IOERR_SHMSIZE ? SQLITE_FULL : primary);
  if (primary == SQLITE_INTERRUPT) {
    return {Code::deadline, fmt::format("{}: the deadline passed during {}", path, doing)};
  }
  return {code_of(primary),
          rule.empty()
              ? fmt::format("{}: {} failed: {} (SQLite {})", path, doing, said, code)
              : fmt::format("{}: {} failed: {} (SQLite {}: {})", path, doing, rule, code, said)};
}

bool dooms(Code code) {
  return code == Code::unavailable || code == Code::unknown_outcome || code == Code::corrupt;
}

Error system_error(int number, std::string_view path, std::string_view doing) {
  const bool closed = number == EACCES || number == EPERM || number == EROFS;
  return {Code::unavailable,
          fmt::format("{}: {} failed: {}{}", path, doing, std::generic_category().message(number),
                      closed ? "; the file and its folder must be writable" : "")};
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
