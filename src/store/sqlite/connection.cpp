#include "store/sqlite/connection.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <fmt/format.h>

#include "store/sqlite/failure.hpp"
#include "store/sqlite/functions.hpp"
#include "store/sqlite/table_plan.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

/// How long another program may hold the file before a call that has no deadline gives up.
constexpr Duration foreign_lock_patience = std::chrono::seconds(5);
/// Virtual machine steps between two looks at the clock: some ten microseconds.
constexpr int steps_between_looks = 2000;

}  // namespace

Statement& Statement::operator=(Statement&& other) noexcept {
  end();
  handle_ = std::exchange(other.handle_, nullptr);
  in_use_ = std::exchange(other.in_use_, nullptr);
  return *this;
}

void Statement::end() {
  if (handle_ == nullptr) return;
  if (in_use_ != nullptr) {
    sqlite3_reset(handle_);
    *in_use_ = false;
  } else {
    sqlite3_finalize(handle_);
  }
  handle_ = nullptr;
}

void bind_value(sqlite3_stmt* statement, int index, const Value& value) {
  // SQLITE_STATIC: the values outlive the statement's run, and each run binds anew. A null pointer
  // would bind NULL for an empty text.
  const auto data = [&] { return value.as_text().data() != nullptr ? value.as_text().data() : ""; };
  switch (value.kind()) {
    case Value::Kind::null:
      sqlite3_bind_null(statement, index);
      break;
    case Value::Kind::integer:
      sqlite3_bind_int64(statement, index, value.as_integer());
      break;
    case Value::Kind::real:
      sqlite3_bind_double(statement, index, value.as_real());
      break;
    case Value::Kind::text:
      sqlite3_bind_text64(statement, index, data(), value.as_text().size(), SQLITE_STATIC,
                          SQLITE_UTF8);
      break;
    case Value::Kind::bytes:
      sqlite3_bind_blob64(statement, index, data(), value.as_text().size(), SQLITE_STATIC);
      break;
  }
}

Value column_value(sqlite3_stmt* statement, int column) {
  // One call instead of three that each look the column up. SQLite calls such a value unprotected:
  // against other threads, of which a connection of ours sees one at a time.
  sqlite3_value* const value = sqlite3_column_value(statement, column);
  const auto bytes = [&](const void* data) {
    const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
    return std::string_view(size == 0 ? "" : static_cast<const char*>(data), size);
  };
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return Value::integer(sqlite3_value_int64(value));
    case SQLITE_FLOAT:
      return Value::real(sqlite3_value_double(value));
    case SQLITE_TEXT:
      return Value::text(bytes(sqlite3_value_text(value)));
    case SQLITE_BLOB:
      return Value::bytes(bytes(sqlite3_value_blob(value)));
    default:
      return {};
  }
}

Connection::Connection(const SqliteOptions& options, std::unique_ptr<SQLite::Database> database)
    : path_(options.path),
      clock_(options.clock != nullptr ? options.clock : &Clock::system()),
      database_(std::move(database)),
      handle_(database_->getHandle()) {}

Connection::~Connection() {
  plans_.clear();
  // Before SQLiteCpp closes: whatever was prepared here must be gone by then.
  while (sqlite3_stmt* statement = sqlite3_next_stmt(handle_, nullptr)) sqlite3_finalize(statement);
}

Result<std::unique_ptr<Connection>> Connection::open(const SqliteOptions& options, Role role) {
  // NOMUTEX: one thread at a time is our own rule. EXRESCODE: errors say which I/O failed.
  const int flags = (role == Role::sql ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (role == Role::writer ? SQLITE_OPEN_CREATE : 0);
  std::unique_ptr<Connection> made;
  try {
    made.reset(new Connection(
        options, std::make_unique<SQLite::Database>(options.path, flags, 0, options.vfs)));
  } catch (const SQLite::Exception& failure) {
    return fail(to_error(nullptr, failure.getExtendedErrorCode(), options.path, "opening it"));
  }
  sqlite3* const handle = made->handle_;
  // Before the first look into the file, which would make files beside it.
  if (role != Role::sql && sqlite3_db_readonly(handle, "main") == 1) {
    return fail(made->error(SQLITE_READONLY, "opening it"));
  }
  sqlite3_busy_handler(handle, &Connection::on_busy, made.get());
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // Nothing stored may run functions or change the schema behind our back, and "name" is never a
  // text.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  if (const int code = add_functions(handle); code != SQLITE_OK) {
    return fail(made->error(code, "opening it"));
  }
  const bool synced = options.durability == Durability::power_safe;
  // trusted_schema: see above. cell_size_check: a damaged page is found when it is read, before it
  // misleads. mmap_size: an I/O error in mapped memory is a signal that kills the host.
  // temp_store: what a statement or savepoint must be able to undo stays in memory, not in /tmp.
  // wal_autocheckpoint: SQLite's own would run beside another process's commit, outside our lock
  // file. synchronous FULL: each commit is synced; NORMAL: only checkpoints are.
  // secure_delete FAST: what is removed is overwritten where that costs no further I/O.
  const std::string pragmas = fmt::format(
      "PRAGMA trusted_schema=0; PRAGMA cell_size_check=1; PRAGMA mmap_size=0;"
      "PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0; PRAGMA synchronous={};"
      "PRAGMA cache_size=-{}; PRAGMA secure_delete=FAST; PRAGMA query_only={};",
      synced ? "FULL" : "NORMAL", std::max(options.cache_kib, 64), role == Role::writer ? 0 : 1);
  BUREAU_TRY_VOID(made->execute(pragmas, "opening it"));
  return made;
}

Result<sqlite3_stmt*> Connection::compile(std::string_view sql, unsigned flags) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), flags,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return fail(error(code, "preparing a statement"));
  return statement;
}

Result<sqlite3_stmt*> Connection::prepare_forever(std::string_view sql) {
  return compile(sql, SQLITE_PREPARE_PERSISTENT);
}

Result<Statement> Connection::prepare(std::string_view sql) {
  if (const auto found = by_text_.find(sql); found != by_text_.end()) {
    Cached& entry = *found->second;
    if (entry.in_use) {
      BUREAU_TRY(sqlite3_stmt * own, compile(sql, 0));
      return Statement(own, nullptr);
    }
    cached_.splice(cached_.begin(), cached_, found->second);
    entry.in_use = true;
    return Statement(entry.handle, &entry.in_use);
  }
  BUREAU_TRY(sqlite3_stmt * made, compile(sql, SQLITE_PREPARE_PERSISTENT));
  make_room();
  cached_.push_front({std::string(sql), made, true});
  by_text_.emplace(cached_.front().sql, cached_.begin());
  return Statement(made, &cached_.front().in_use);
}

void Connection::make_room() {
  auto oldest = cached_.end();
  while (cached_.size() >= cache_size && oldest != cached_.begin()) {
    --oldest;
    if (oldest->in_use) continue;
    sqlite3_finalize(oldest->handle);
    by_text_.erase(oldest->sql);
    oldest = cached_.erase(oldest);
  }
}

Result<void> Connection::execute(const std::string& sql, std::string_view doing) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(code, doing));
  return {};
}

Result<std::int64_t> Connection::query_integer(const std::string& sql, std::string_view doing) {
  sqlite3_stmt* handle = nullptr;
  int code = sqlite3_prepare_v2(handle_, sql.c_str(), -1, &handle, nullptr);
  if (code != SQLITE_OK) return fail(error(code, doing));
  const Statement statement(handle, nullptr);
  code = statement.step();
  if (code == SQLITE_ROW) return sqlite3_column_int64(handle, 0);
  if (code == SQLITE_DONE) return std::int64_t{0};
  return fail(error(code, doing));
}

int Connection::run(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return sqlite3_extended_errcode(handle_);
  const int code = statement->step();
  return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

void Connection::checkpoint_on_close() {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
}

Error Connection::error(int code, std::string_view doing) const {
  return to_error(handle_, code, path_, doing);
}

void Connection::set_deadline(Monotonic deadline) {
  if (deadline == deadline_) return;
  deadline_ = deadline;
  const bool watch = deadline != Monotonic::never();
  sqlite3_progress_handler(handle_, watch ? steps_between_looks : 0,
                           watch ? &Connection::on_progress : nullptr, this);
}

int Connection::on_progress(void* self) {
  const auto* connection = static_cast<const Connection*>(self);
  return connection->clock_->monotonic() >= connection->deadline_ ? 1 : 0;
}

int Connection::on_busy(void* self, int count) {
  const auto* connection = static_cast<const Connection*>(self);
  if (connection->clock_->monotonic() >= connection->deadline_) return 0;
  // Bureau's processes queue at the lock file, so this is another program or the moments of a
  // recovery. The wait is real time whatever the clock is: that program does not follow it.
  constexpr Duration step = std::chrono::milliseconds(1);
  if (count >= foreign_lock_patience / step) return 0;
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  Clock& clock = Clock::system();
  clock.wait_until(lock, never, clock.monotonic() + step);
  return 1;
}

Result<TablePlan*> Connection::plan(const TableInfo& table) {
  auto& place = plans_[&table];
  if (!place || !place->is_of(table)) {
    BUREAU_TRY(place, make_plan(*this, table));
  }
  return place.get();
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
