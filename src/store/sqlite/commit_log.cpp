#include "store/sqlite/commit_log.hpp"

#include <fmt/format.h>

#include "store/sqlite/file_format.hpp"
#include "store/sqlite/log_repair.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

/// Rows kept in bureau_commits, and how many commits lie between two trims.
constexpr std::int64_t kept_commits = 1024;
constexpr std::int64_t trim_interval = 256;
constexpr int settle_attempts = 3;

bool has_powersafe_overwrite(sqlite3* connection) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  return file != nullptr && file->pMethods != nullptr &&
         (file->pMethods->xDeviceCharacteristics(file) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) != 0;
}

}  // namespace

/// Compiling the statement carries it out, so it cannot be kept. Between transactions only.
int CommitLog::set_synced(bool synced) {
  if (!power_safe_ || synced == synced_) return SQLITE_OK;
  const int code = sqlite3_exec(connection_.handle(),
                                synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                                nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) synced_ = synced;
  return code;
}

Result<void> CommitLog::begin(bool synced) {
  BUREAU_TRY_VOID(guard_.check());
  if (lock_file_.is_marked()) {
    BUREAU_TRY_VOID(repair_log(connection_, "beginning a write"));
    lock_file_.set_mark(false);
  }
  int code = set_synced(synced);
  if (code == SQLITE_OK) code = connection_.run("BEGIN IMMEDIATE");
  if (code != SQLITE_OK) return fail(connection_.error(code, "beginning a write"));
  if (auto well = look_for_upgrade(); !well) {
    rollback();
    return well;
  }
  auto statement = connection_.prepare(newest_commit_sql);
  if (!statement) {
    rollback();
    return fail(std::move(statement).error());
  }
  code = statement->step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    Error error = connection_.error(code, "beginning a write");
    statement->reset();
    rollback();
    return fail(std::move(error));
  }
  const bool any = code == SQLITE_ROW;
  last_ = any ? sqlite3_column_int64(statement->get(), 0) : 0;
  last_writer_ = any ? sqlite3_column_int64(statement->get(), 1) : 0;
  sequence_ = any ? sqlite3_column_int64(statement->get(), 2) : 0;
  if (any && last_writer_ != writer_) others_ = last_;
  sequence_begun_ = sequence_;
  changes_begun_ = connection_.changes();
  return {};
}

/// SQLite's count of the commits that this connection has seen, its own among them.
std::uint32_t CommitLog::data_version() const {
  std::uint32_t version = 0;
  sqlite3_file_control(connection_.handle(), "main", SQLITE_FCNTL_DATA_VERSION, &version);
  return version;
}

/// Only after others have written, which a look at data_version() tells without a statement.
Result<void> CommitLog::look_for_upgrade() {
  const std::uint32_t version = data_version();
  if (version == data_version_) return {};
  if (auto well = check_upgrade(connection_); !well) {
    if (well.error().code == Code::upgraded) guard_.refuse(well.error());
    return well;
  }
  data_version_ = version;
  return {};
}

void CommitLog::rollback() {
  if (is_open()) connection_.run("ROLLBACK");
}

bool CommitLog::changed() const { return has_drawn() || connection_.changes() != changes_begun_; }

int CommitLog::append_row() {
  auto insert = connection_.prepare("INSERT INTO bureau_commits(id,writer,sequence) VALUES(?,?,?)");
  if (!insert) return sqlite3_extended_errcode(connection_.handle());
  insert->bind(1, Value::integer(last_ + 1));
  insert->bind(2, Value::integer(writer_));
  insert->bind(3, Value::integer(sequence_));
  if (const int code = insert->step(); code != SQLITE_DONE) return code;
  if ((last_ + 1) % trim_interval != 0) return SQLITE_OK;
  auto trim = connection_.prepare("DELETE FROM bureau_commits WHERE id<=?");
  if (!trim) return sqlite3_extended_errcode(connection_.handle());
  trim->bind(1, Value::integer(last_ + 1 - kept_commits));
  const int code = trim->step();
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

/// What a COMMIT that failed with this code left. SQLite writes all frames, the one that marks the
/// commit last, then syncs, and only then shows them to readers. So the frames of a commit that
/// failed may all be in the log, unseen until a recovery reads it.
CommitLog::Outcome CommitLog::judge(int code) const {
  // A write for which there was no room leaves its frame incomplete, and nothing is written behind
  // the marked frame unless the disk needs whole sectors. Over the remains of an unclear commit
  // even an incomplete frame could be whole.
  if ((code & 0xff) == SQLITE_FULL && unclear_ == 0 &&
      has_powersafe_overwrite(connection_.handle())) {
    return Outcome::absent;
  }
  return Outcome::unclear;
}

CommitLog::Ending CommitLog::commit() {
  if (!changed()) {
    connection_.run("COMMIT");
    rollback();
    return {};
  }
  int code = append_row();
  if (code != SQLITE_OK) {
    Error error = connection_.error(code, "a commit");
    rollback();
    return {Outcome::absent, std::move(error)};
  }
  if (auto well = guard_.check(); !well) {
    rollback();
    return {Outcome::absent, std::move(well).error()};
  }
  code = connection_.run("COMMIT");
  if (code == SQLITE_OK) {
    if (auto well = guard_.verify(); !well) {
      unclear_ = last_ + 1;
      return {Outcome::unclear, std::move(well).error()};
    }
    data_version_ = data_version();
    ++last_;
    last_writer_ = writer_;
    unclear_ = 0;
    return {};
  }
  Error error = connection_.error(code, "a commit");
  const Outcome outcome = judge(code);
  if (outcome == Outcome::unclear) {
    unclear_ = last_ + 1;
    lock_file_.set_mark(true);
  }
  rollback();
  return {outcome, std::move(error)};
}

CommitLog::Ending CommitLog::settle_once() {
  const std::int64_t unclear = unclear_;
  if (auto begun = begin(); !begun) return {Outcome::unclear, std::move(begun).error()};
  // SQLite shows a commit only after its sync, so one that is seen is also durable.
  const bool there = last_ == unclear && last_writer_ == writer_;
  int code = append_row();
  if (code == SQLITE_OK) code = connection_.run("COMMIT");
  if (code != SQLITE_OK) {
    Error error = connection_.error(code, "a commit");
    lock_file_.set_mark(true);
    rollback();
    return {Outcome::unclear, std::move(error)};
  }
  if (auto well = guard_.verify(); !well) return {Outcome::unclear, std::move(well).error()};
  ++last_;
  unclear_ = 0;
  return {there ? Outcome::committed : Outcome::absent, {}};
}

CommitLog::Ending CommitLog::settle(Ending ending) {
  for (int i = 0; i < settle_attempts && ending.outcome == Outcome::unclear; ++i) {
    Ending settled = settle_once();
    if (settled.outcome != Outcome::unclear) ending.outcome = settled.outcome;
  }
  if (ending.outcome == Outcome::unclear) {
    ending.error = {
        Code::unknown_outcome,
        fmt::format("the write may or may not be there after a restart: {}", ending.error.message)};
  }
  return ending;
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
