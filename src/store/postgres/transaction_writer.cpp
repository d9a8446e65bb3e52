#include "store/postgres/transaction_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "bureau/store/statement.hpp"
#include "store/postgres/alteration.hpp"
#include "store/postgres/functions.hpp"
#include "store/with_now.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

/// More numbers than any transaction changes rows.
constexpr std::int64_t draw_max = std::int64_t{1} << 40;
/// Statements that are not waited for at a time: what the server answers must be read some time.
constexpr std::size_t deferred_max = 64;

/// Rows: so many at a time cost less as a COPY, which is an exchange more.
constexpr std::size_t copied_from = 100;
/// Values: more of one insert are not kept back.
constexpr std::size_t deferred_values_max = 4096;

Result<void> check_draw(std::int64_t count) {
  if (count >= 1 && count <= draw_max) return {};
  return fail(Code::invalid, fmt::format("{} numbers cannot be drawn", count));
}

std::uint64_t changed_rows(PGresult* result) {
  const std::string_view text = PQcmdTuples(result);
  std::uint64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

}  // namespace

// The transaction -------------------------------------------------------------------------------

void TransactionWriter::begin() {
  begun_ = true;
  connection_.add("BEGIN ISOLATION LEVEL SERIALIZABLE");
  if (!mode_.commits.empty()) {
    connection_.add(fmt::format("SET LOCAL synchronous_commit={}", mode_.commits));
  }
  // A lock on a table is waited for before the snapshot is taken, one of a function's is not. Taken
  // by all, and before all others, so that nobody waits here for whoever waits for them.
  connection_.add(fmt::format("LOCK TABLE {}.{} IN {} MODE", connection_.settings().schema,
                              gate_table, mode_.alone ? "EXCLUSIVE" : "ROW SHARE"));
  if (mode_.lane != 0) {
    connection_.add(fmt::format("LOCK TABLE {}.{} IN EXCLUSIVE MODE", connection_.settings().schema,
                                lane_table(mode_.lane)));
  }
  // Known before anything can be lost: it tells later whether a commit was made. One that changes
  // nothing has a number for nothing, which costs the server less than the turn to ask later.
  xid_at_ = connection_.waiting();
  connection_.add(connection_.settings().ask_number);
}

template <class T>
Result<T> TransactionWriter::watch(Result<T> result) {
  // An error of the sink passes through here too; such a code dooms from wherever it comes.
  if (!result && !doom_ && dooms(result.error().code)) doom_ = result.error();
  return result;
}

bool TransactionWriter::wants_care(const Result<void>& answer) const {
  if (!spoilt_by_) return false;
  return used_since_ || answer || answer.error() != *spoilt_by_;
}

Result<void> TransactionWriter::check_usable() {
  if (doom_) return fail(*doom_);
  if (spoilt_by_) {
    used_since_ = true;
    return fail(*spoilt_by_);
  }
  if (met_conflict_) return fail(Code::busy, "the transaction met another and will be run again");
  return check_deadline(clock(), deadline_, connection_.where());
}

Unexpected TransactionWriter::failed(const Failure& failure, const Doing& doing) {
  Error error = to_error(failure, connection_.where(), doing);
  if (failure.is_read_only()) {
    // It follows another now. Elsewhere there may be one that takes writes.
    connection_.leave();
    error.code = Code::unavailable;
  }
  if (failure.is_conflict()) {
    met_conflict_ = true;
  } else if (failure.kind != Failure::Kind::server || dooms(error.code)) {
    doom_ = error;
  } else if (mode_.careful) {
    undo_statement();
  } else {
    spoilt_by_ = error;
  }
  return fail(std::move(error));
}

void TransactionWriter::undo_statement() {
  connection_.add("ROLLBACK TO bureau");
  connection_.add("RELEASE bureau");
  const Answers answers = connection_.exchange(Monotonic::never());
  if (!answers.good() && !doom_) {
    doom_ = to_error(*answers.failure, connection_.where(), {"undoing a statement"});
  }
}

/// Travels with the next statement, or with the end.
void TransactionWriter::release() { connection_.add("RELEASE bureau"); }

Result<ResultPtr> TransactionWriter::run(const Sql& sql, const Doing& doing, Savepoint savepoint,
                                         bool writes) {
  BUREAU_TRY_VOID(check_usable());
  if (!begun_) begin();
  wrote_ = wrote_ || writes;
  const bool saves = mode_.careful && savepoint != Savepoint::none;
  if (saves) connection_.add("SAVEPOINT bureau");
  const std::size_t at = connection_.waiting();
  connection_.add(sql);
  if (saves && savepoint == Savepoint::released) release();
  Answers answers = connection_.exchange(deadline_);
  if (!take_in(answers)) return fail(*spoilt_by_);
  if (!answers.good()) return failed(*answers.failure, doing);
  return std::move(answers.results[at]);
}

/// Nobody waits for it. REQUIRES: no savepoints.
Result<void> TransactionWriter::defer(const Sql& sql, bool draws) {
  BUREAU_TRY_VOID(check_usable());
  if (!begun_) begin();
  wrote_ = true;
  if (draws) draws_at_.push_back(connection_.waiting());
  connection_.add(sql);
  deferred_end_ = connection_.waiting();
  return deferred_end_ < deferred_max ? Result<void>() : flush();
}

Result<void> TransactionWriter::flush() {
  if (deferred_end_ == 0) return {};
  const Answers answers = connection_.exchange(deadline_);
  if (!take_in(answers)) return fail(*spoilt_by_);
  if (!answers.good()) return failed(*answers.failure, {"a change"});
  return {};
}

/// False: one that was not waited for was refused, and the closure is to run again.
bool TransactionWriter::take_in(const Answers& answers) {
  if (xid_at_ && answers.results.size() > *xid_at_) {
    xid_ = value_at(answers.results[*xid_at_].get(), 0, 0).as_integer();
  }
  xid_at_.reset();
  const bool stopped = !answers.good() && !answers.failure->is_conflict() &&
                       std::count(draws_at_.begin(), draws_at_.end(), answers.results.size()) > 0;
  // It may have been in the door to the sequence, which the session holds.
  if (stopped) connection_.mark_broken();
  draws_at_.clear();
  const bool refused = !answers.good() && answers.failure->kind == Failure::Kind::server &&
                       !answers.failure->is_conflict() && answers.results.size() < deferred_end_;
  deferred_end_ = 0;
  if (!refused) return true;
  spoilt_by_ = to_error(*answers.failure, connection_.where(), {"a change"});
  used_since_ = true;
  return false;
}

// Reading ---------------------------------------------------------------------------------------

Result<void> TransactionWriter::scan(const Select& select, RowSink sink) {
  std::optional<Select> made;
  const Select& asked = with_now(clock(), select, made);
  Sql sql = new_sql();
  BUREAU_TRY_VOID(append_select(sql, asked));
  BUREAU_TRY(const ResultPtr result, run(sql, {"a scan"}, Savepoint::released, false));
  return watch(give_rows(result.get(), sink));
}

Result<void> TransactionWriter::scan_all(std::span<const Scan> scans) {
  if (mode_.careful) return Writer::scan_all(scans);
  std::vector<Sql> asked;
  for (const Scan& one : scans) {
    std::optional<Select> made;
    BUREAU_TRY_VOID(
        append_select(asked.emplace_back(new_sql()), with_now(clock(), *one.select, made)));
  }
  BUREAU_TRY_VOID(check_usable());
  if (asked.empty()) return {};
  if (!begun_) begin();
  const std::size_t at = connection_.waiting();
  for (const Sql& sql : asked) connection_.add(sql);
  const Answers answers = connection_.exchange(deadline_);
  if (!take_in(answers)) return fail(*spoilt_by_);
  if (!answers.good()) return failed(*answers.failure, {"a scan"});
  for (std::size_t i = 0; i < scans.size(); ++i) {
    BUREAU_TRY_VOID(watch(give_rows(answers.results[at + i].get(), scans[i].sink)));
  }
  return {};
}

Result<void> TransactionWriter::aggregate(const Aggregate& aggregate, RowSink sink) {
  std::optional<Aggregate> made;
  const Aggregate& asked = with_now(clock(), aggregate, made);
  Sql sql = new_sql();
  BUREAU_TRY_VOID(append_aggregate(sql, asked));
  BUREAU_TRY(const ResultPtr result, run(sql, {"an aggregate", nullptr, summed_columns(asked)},
                                         Savepoint::released, false));
  return watch(give_figures(result.get(), asked, sink));
}

Result<bool> TransactionWriter::find(const TableInfo& table, std::int64_t id, RowSink sink) {
  Sql sql = new_sql();
  append_find(sql, table, id);
  BUREAU_TRY(const ResultPtr result, run(sql, {"a look-up by id"}, Savepoint::released, false));
  BUREAU_TRY_VOID(watch(give_rows(result.get(), sink)));
  return PQntuples(result.get()) > 0;
}

Result<void> TransactionWriter::find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                                         RowSink sink) {
  if (ids.empty()) return check_usable();
  Sql sql = new_sql();
  append_find_all(sql, table, ids);
  BUREAU_TRY(const ResultPtr result, run(sql, {"a look-up by ids"}, Savepoint::released, false));
  return watch(give_rows(result.get(), sink));
}

// Writing ---------------------------------------------------------------------------------------

Result<void> TransactionWriter::insert(const TableInfo& table, std::span<const Value> rows) {
  const std::size_t width = table.width();
  if (width == 0 || rows.size() % width != 0) {
    return fail(Code::invalid, fmt::format("{}: {} values are not rows of {} columns", table.name,
                                           rows.size(), width));
  }
  BUREAU_TRY_VOID(check_usable());
  for (std::size_t at = 0; at < rows.size(); at += width) {
    BUREAU_TRY_VOID(check_row(table, rows.subspan(at, width)));
  }
  if (rows.empty()) return {};
  if (!mode_.careful && rows.size() >= copied_from * width) return copy(table, rows);
  Sql sql = new_sql();
  append_insert(sql, table, rows);
  if (!mode_.careful && rows.size() <= deferred_values_max) return defer(sql, false);
  BUREAU_TRY_VOID(run(sql, {"an insert", &table}, Savepoint::released, true));
  return {};
}

Result<void> TransactionWriter::copy(const TableInfo& table, std::span<const Value> rows) {
  const Doing doing{"an insert", &table};
  if (!begun_) begin();
  wrote_ = true;
  const Answers before = connection_.exchange(deadline_);
  if (!take_in(before)) return fail(*spoilt_by_);
  if (!before.good()) return failed(*before.failure, doing);
  Sql sql = new_sql();
  append_copy(sql, table);
  const Answers answers = connection_.copy_in(sql.text, copy_data(rows, table.width()), deadline_);
  if (!answers.good()) return failed(*answers.failure, doing);
  return {};
}

Result<void> TransactionWriter::insert_numbered(const TableInfo& table, std::span<const Value> rows,
                                                std::int64_t count) {
  // Numbers of what was undone are given out again: they are to be known here.
  if (mode_.careful) return Writer::insert_numbered(table, rows, count);
  BUREAU_TRY_VOID(check_draw(count));
  BUREAU_TRY_VOID(check_numbered(table, rows, count));
  BUREAU_TRY_VOID(check_usable());
  for (std::size_t at = 0; at < rows.size(); at += table.width()) {
    BUREAU_TRY_VOID(check_row(table, rows.subspan(at, table.width())));
  }
  if (rows.empty()) return {};
  Sql sql = new_sql();
  append_numbered_insert(sql, table, rows, count, order_.draw(count, !stock_.holds_lock()));
  stock_.note_lock();
  return defer(sql, true);
}

Result<void> TransactionWriter::update_rows(const TableInfo& table,
                                            std::span<const ColumnInfo* const> columns,
                                            std::span<const Value> rows) {
  BUREAU_TRY_VOID(check_row_updates(table, columns, rows));
  if (rows.empty()) return {};
  Sql sql = new_sql();
  if (!mode_.careful) {
    append_row_updates(sql, table, columns, rows, IfGone::fails);
    return defer(sql, false);
  }
  append_row_updates(sql, table, columns, rows, IfGone::counts);
  BUREAU_TRY(const ResultPtr result, run(sql, {"an update", &table}, Savepoint::released, true));
  const std::size_t changed = changed_rows(result.get());
  if (changed * (columns.size() + 1) != rows.size()) return fail(row_is_gone(table));
  return {};
}

/// A change is made before its sink sees a row. When the sink fails it must be undone, alone; but a
/// savepoint for each change would cost as much as a small change does. So there is none at first,
/// and when one is missed, the closure runs again with them.
Result<std::uint64_t> TransactionWriter::change_shown(const Sql& sql, const Doing& doing,
                                                      RowSink sink) {
  const NumberStock::Mark mark = stock_.mark();
  BUREAU_TRY(const ResultPtr result, run(sql, doing, Savepoint::open, true));
  if (auto shown = give_rows(result.get(), sink); !shown) {
    if (dooms(shown.error().code) || met_conflict_) return fail(std::move(shown).error());
    if (mode_.careful) {
      undo_statement();
      stock_.go_back(mark);
    } else if (!spoilt_by_) {
      spoilt_by_ = shown.error();
    }
    return fail(std::move(shown).error());
  }
  if (mode_.careful) release();
  return changed_rows(result.get());
}

Result<std::uint64_t> TransactionWriter::update(const Update& update, RowSink returning) {
  std::optional<Update> made;
  const Update& asked = with_now(clock(), update, made);
  Sql sql = new_sql();
  BUREAU_TRY_VOID(append_update(sql, asked, true));
  return watch(
      change_shown(sql, {"an update", asked.which.table, added_columns(asked)}, returning));
}

Result<std::uint64_t> TransactionWriter::update(const Update& update) {
  std::optional<Update> made;
  const Update& asked = with_now(clock(), update, made);
  Sql sql = new_sql();
  BUREAU_TRY_VOID(append_update(sql, asked, false));
  BUREAU_TRY(
      const ResultPtr result,
      run(sql, {"an update", asked.which.table, added_columns(asked)}, Savepoint::released, true));
  return changed_rows(result.get());
}

Result<std::uint64_t> TransactionWriter::remove(const Select& which, RowSink removed) {
  std::optional<Select> made;
  const Select& asked = with_now(clock(), which, made);
  Sql sql = new_sql();
  BUREAU_TRY_VOID(append_remove(sql, asked));
  return watch(change_shown(sql, {"a removal", asked.table}, removed));
}

Result<std::int64_t> TransactionWriter::draw_sequence(std::int64_t count) {
  BUREAU_TRY_VOID(check_draw(count));
  BUREAU_TRY_VOID(check_usable());
  if (const auto last = stock_.take(count)) return *last;
  stock_.note_draw();
  auto drawn = run(order_.draw(count, !stock_.holds_lock()), {"drawing journal numbers"},
                   Savepoint::released, true);
  if (!drawn) {
    // It may have been stopped with the door to the sequence still held by the session.
    connection_.mark_broken();
    return fail(std::move(drawn).error());
  }
  const std::int64_t last = value_at(drawn->get(), 0, 0).as_integer();
  stock_.add_taken(last - count + 1, last);
  return last;
}

Result<void> TransactionWriter::alter(const Alteration& alteration) {
  const auto ask = [&](const Sql& sql) {
    return run(sql, {"a migration"}, Savepoint::released, true);
  };
  auto altered = alter_table({connection_.where(), connection_.settings().schema, ask}, alteration);
  if (!altered && !doom_ && !met_conflict_) doom_ = altered.error();
  return altered;
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
