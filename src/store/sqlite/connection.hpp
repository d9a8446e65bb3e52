#pragma once

#include <sqlite3.h>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bureau/core/clock.hpp"
#include "bureau/store/sqlite_storage.hpp"

namespace SQLite {
class Database;
}

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

struct TablePlan;

/// The value must live until the statement is reset.
void bind_value(sqlite3_stmt* statement, int index, const Value& value);
/// Reads one column of the row that a statement stands on.
[[nodiscard]] Value column_value(sqlite3_stmt* statement, int column);

/// A prepared statement on loan: reset when the loan ends. Must not outlive its connection.
class Statement {
 public:
  Statement() = default;
  Statement(sqlite3_stmt* handle, bool* in_use) : handle_(handle), in_use_(in_use) {}
  Statement(Statement&& other) noexcept { *this = std::move(other); }
  Statement& operator=(Statement&& other) noexcept;
  ~Statement() { end(); }
  [[nodiscard]] sqlite3_stmt* get() const { return handle_; }

  void bind(int index, const Value& value) const { bind_value(handle_, index, value); }
  /// SQLITE_ROW, SQLITE_DONE or an extended error.
  [[nodiscard]] int step() const { return sqlite3_step(handle_); }
  void reset() const { sqlite3_reset(handle_); }

 private:
  void end();
  sqlite3_stmt* handle_ = nullptr;
  bool* in_use_ = nullptr;  ///< of the cache's entry; null: the statement is ours alone
};

/// One connection to the file with its settings, functions and prepared statements. The only place
/// that knows SQLiteCpp; nothing it throws gets out. To be used by one thread at a time.
class Connection {
 public:
  enum class Role { writer, reader, sql };  ///< sql: cannot write, whatever is asked of it
  /// Opens the file, and creates it when the role is writer. Sets what concerns the connection;
  /// what concerns the file is prepare_file()'s.
  static Result<std::unique_ptr<Connection>> open(const SqliteOptions& options, Role role);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] sqlite3* handle() const { return handle_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Clock& clock() const { return *clock_; }

  /// From the cache, or prepared and kept there. A text that is running already (a scan inside a
  /// scan) gets a statement of its own.
  Result<Statement> prepare(std::string_view sql);
  /// Prepared for as long as the connection lives; for what a TablePlan keeps.
  Result<sqlite3_stmt*> prepare_forever(std::string_view sql);
  /// Runs statements that answer nothing and come once, such as those of a migration.
  Result<void> execute(const std::string& sql, std::string_view doing);
  /// The first column of the first row.
  Result<std::int64_t> query_integer(const std::string& sql, std::string_view doing);
  /// A statement without parameters that is run again and again, such as COMMIT. Returns SQLite's
  /// extended code.
  int run(std::string_view sql);

  /// The last connection to a file may move its log into the database when it closes, and remove
  /// it: a checkpoint, so the lock file must be held then. Without this call it does not: when
  /// another process writes just now, that is left to it; what a failed sync left, to the repair by
  /// whoever opens the file next; and the file of another program is left alone.
  void checkpoint_on_close();

  [[nodiscard]] Error error(int code, std::string_view doing) const;

  /// Statements are interrupted once the clock has passed it, and a foreign lock is waited for no
  /// longer.
  void set_deadline(Monotonic deadline);
  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

  /// Rows changed since the connection was opened, those of statements undone since among them.
  [[nodiscard]] std::int64_t changes() const { return sqlite3_total_changes64(handle_); }

  /// What is prepared for a table; made at its first use.
  Result<TablePlan*> plan(const TableInfo& table);

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  struct Cached {
    std::string sql;
    sqlite3_stmt* handle = nullptr;
    bool in_use = false;
  };
  static constexpr std::size_t cache_size = 256;

  Connection(const SqliteOptions& options, std::unique_ptr<SQLite::Database> database);
  Result<sqlite3_stmt*> compile(std::string_view sql, unsigned flags);
  void make_room();
  static int on_busy(void* self, int count);
  static int on_progress(void* self);

  std::string path_;
  Clock* clock_;
  std::unique_ptr<SQLite::Database> database_;
  sqlite3* handle_ = nullptr;
  Monotonic deadline_ = Monotonic::never();
  std::list<Cached> cached_;  ///< the most recently used first
  std::unordered_map<std::string_view, std::list<Cached>::iterator, TextHash, std::equal_to<>>
      by_text_;
  std::unordered_map<const TableInfo*, std::unique_ptr<TablePlan>> plans_;
};

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
