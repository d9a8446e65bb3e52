#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bureau/testing/fault_vfs.hpp"

namespace raw {

/// The table that the tests work on: t(k INTEGER PRIMARY KEY, v TEXT).
using Rows = std::map<std::int64_t, std::string>;

/// A connection by SQLite's own interface; one thread at a time.
class Connection {
 public:
  explicit Connection(const bureau::testing::FaultVfs& vfs, const std::string& path = "/office.db",
                      int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) {
    opened_ = sqlite3_open_v2(path.c_str(), &db_, flags | SQLITE_OPEN_NOMUTEX, vfs.name().c_str());
  }
  ~Connection() { sqlite3_close(db_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] sqlite3* get() const { return db_; }
  [[nodiscard]] int opened() const { return opened_; }
  int run(const std::string& sql) {
    return sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  }
  [[nodiscard]] std::string error() const { return sqlite3_errmsg(db_); }

  /// The first column of the first row; the error's text when there is none.
  std::string ask(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    std::string answer;
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      answer = text ? text : "";
    } else {
      answer = "error: " + error();
    }
    sqlite3_finalize(statement);
    return answer;
  }

  int read(Rows& out) {
    out.clear();
    sqlite3_stmt* statement = nullptr;
    int result = sqlite3_prepare_v2(db_, "SELECT k, v FROM t", -1, &statement, nullptr);
    while (result == SQLITE_OK || result == SQLITE_ROW) {
      result = sqlite3_step(statement);
      if (result != SQLITE_ROW) break;
      out[sqlite3_column_int64(statement, 0)] =
          reinterpret_cast<const char*>(sqlite3_column_text(statement, 1));
    }
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
  }

 private:
  sqlite3* db_ = nullptr;
  int opened_ = SQLITE_OK;
};

inline bool long_run() {
  const char* text = std::getenv("BUREAU_LONG");
  return text && *text && *text != '0';
}

}  // namespace raw
