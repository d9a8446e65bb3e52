#pragma once

// The hand-written SQLite C loop that bureau is measured against: prepared statements on one
// connection, the same tables, indexes and journal records as an office has (its DDL is copied from
// one), the same settings. No checks, no ids to issue, no rights, one thread.

#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

[[nodiscard]] inline double seconds_now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

/// A folder that is removed with all its files at the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  /// A new name in it, every time.
  [[nodiscard]] std::string file();

 private:
  std::string path_;
  int next_ = 0;
};

/// Ends the program with a message: a benchmark has nothing better to do with an error.
[[noreturn]] void give_up(std::string_view what, std::string_view why);

/// Unwraps a Result.
template <class R>
auto must(R result, std::string_view what = "setup") {
  if (!result) give_up(what, result.error().message);
  if constexpr (!std::is_void_v<typename R::value_type>) return *std::move(result);
}

/// Microseconds that one fdatasync after a small write takes in the scratch folder's file system.
[[nodiscard]] double measure_sync_us();

/// One prepared statement.
class LoopStatement {
 public:
  LoopStatement(sqlite3* db, const std::string& sql);
  ~LoopStatement() { sqlite3_finalize(statement_); }
  LoopStatement(const LoopStatement&) = delete;
  LoopStatement& operator=(const LoopStatement&) = delete;

  LoopStatement& bind(int at, std::int64_t v);
  LoopStatement& bind(int at, double v);
  LoopStatement& bind(int at, std::string_view v);
  LoopStatement& bind_bytes(int at, std::string_view v);
  LoopStatement& bind_null(int at);
  /// True while there is a row; resets itself after the last.
  bool step();
  void run() {
    while (step()) {
    }
  }
  void reset() { sqlite3_reset(statement_); }
  [[nodiscard]] sqlite3_stmt* raw() { return statement_; }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

class Loop {
 public:
  /// Creates `path` with the tables and indexes of the office file `like`.
  Loop(const std::string& path, const std::string& like, bool power_safe);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  [[nodiscard]] sqlite3* db() { return db_; }
  void execute(const std::string& sql);

 private:
  sqlite3* db_ = nullptr;
};

/// "INSERT INTO table VALUES(?1,...,?n)" for a table of the loop's database.
[[nodiscard]] std::string insert_sql(Loop& loop, const std::string& table);
/// Every row of a table, copied from an office file into the loop's: the same data to work on.
void copy_table(Loop& loop, const std::string& office, const std::string& table);

}  // namespace bench
