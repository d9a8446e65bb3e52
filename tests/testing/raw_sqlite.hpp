#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
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
  /// Closing it then does not checkpoint and remove the WAL.
  void leave_wal() { sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); }
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
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 1));
      out[sqlite3_column_int64(statement, 0)] = text ? text : "";
    }
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
  }

 private:
  sqlite3* db_ = nullptr;
  int opened_ = SQLITE_OK;
};

/// Writes the WAL's bytes over themselves and syncs them, so that what is read from it is durable
/// even if an earlier sync failed and lost it. REQUIRES: no connection has the database open.
inline bool rewrite_wal(const bureau::testing::FaultVfs& fault_vfs,
                        const std::string& path = "/office.db") {
  auto* vfs = sqlite3_vfs_find(fault_vfs.name().c_str());
  const auto length = static_cast<std::size_t>(vfs->szOsFile);
  const auto memory = std::make_unique<std::max_align_t[]>(length / sizeof(std::max_align_t) + 1);
  auto* file = reinterpret_cast<sqlite3_file*>(memory.get());
  const auto name = path + "-wal";
  int there = 0;
  int result = vfs->xAccess(vfs, name.c_str(), SQLITE_ACCESS_EXISTS, &there);
  if (result != SQLITE_OK || there == 0) return result == SQLITE_OK;
  result = vfs->xOpen(vfs, name.c_str(), file, SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE, nullptr);
  if (result != SQLITE_OK) return false;
  sqlite3_int64 size = 0;
  result = file->pMethods->xFileSize(file, &size);
  std::vector<char> bytes(static_cast<std::size_t>(size));
  const auto count = static_cast<int>(size);
  if (result == SQLITE_OK) result = file->pMethods->xRead(file, bytes.data(), count, 0);
  if (result == SQLITE_OK) result = file->pMethods->xWrite(file, bytes.data(), count, 0);
  if (result == SQLITE_OK) result = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
  file->pMethods->xClose(file);
  return result == SQLITE_OK;
}

}  // namespace raw
