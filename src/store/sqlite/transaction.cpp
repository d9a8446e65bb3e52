#include "store/sqlite/transaction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "store/sqlite/alteration.hpp"
#include "store/sqlite/failure.hpp"
#include "store/sqlite/row_run.hpp"
#include "store/sqlite/sql.hpp"
#include "store/sqlite/table_plan.hpp"
#include "store/with_now.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

using Runs = std::vector<RowRun*>;

/// The progress handler looks at the clock only now and then; a statement that begins late is told
/// at once.
Result<void> check_deadline(const Connection& connection, Monotonic deadline) {
  if (deadline == Monotonic::never() || connection.clock().monotonic() < deadline) return {};
  return fail(Code::deadline, connection.path() + ": the deadline has passed");
}

Result<Statement> start(Connection& connection, std::string_view sql,
                        std::span<const Value> values) {
  BUREAU_TRY(Statement statement, connection.prepare(sql));
  for (std::size_t i = 0; i < values.size(); ++i) {
    statement.bind(static_cast<int>(i) + 1, values[i]);
  }
  return statement;
}

Result<void> scan_rows(Connection& connection, const Select& asked, RowSink sink, Runs* active) {
  std::optional<Select> made;
  Sql sql;
  BUREAU_TRY_VOID(append_select(sql, with_now(connection.clock(), asked, made)));
  BUREAU_TRY(Statement statement, start(connection, sql.text, sql.values));
  return RowRun(connection, std::move(statement), active).run(sink);
}

Result<void> aggregate_rows(Connection& connection, const Aggregate& asked, RowSink sink,
                            Runs* active) {
  std::optional<Aggregate> made;
  const Aggregate& aggregate = with_now(connection.clock(), asked, made);
  Sql sql;
  BUREAU_TRY_VOID(append_aggregate(sql, aggregate));
  BUREAU_TRY(Statement statement, start(connection, sql.text, sql.values));
  const std::size_t width = aggregate.group_by.size() + aggregate.measures.size();
  return RowRun(connection, std::move(statement), active)
      .run([&](std::span<const Value> row) -> Result<bool> {
        for (std::size_t i = aggregate.group_by.size(); i < width; ++i) {
          if (row[i].kind() != Value::Kind::real || std::isfinite(row[i].as_real())) continue;
          const std::string_view column =
              aggregate.measures[i - aggregate.group_by.size()].column->name;
          return fail(Code::exhausted, fmt::format("{}: the sum of its reals is too large", column),
                      std::string(column));
        }
        return sink(row.first(width));
      });
}

/// Resets a plan's own statement when its use ends.
struct PlanUse {
  sqlite3_stmt* statement;
  bool& in_use;
  PlanUse(sqlite3_stmt* used, bool& flag) : statement(used), in_use(flag) { in_use = true; }
  PlanUse(const PlanUse&) = delete;
  PlanUse& operator=(const PlanUse&) = delete;
  ~PlanUse() {
    sqlite3_reset(statement);
    in_use = false;
  }
};

Result<bool> find_row(Connection& connection, const TableInfo& table, std::int64_t id,
                      RowSink sink) {
  BUREAU_TRY(TablePlan * plan, connection.plan(table));
  const PlanUse use(plan->find, plan->find_in_use);
  sqlite3_bind_int64(plan->find, 1, id);
  const int code = sqlite3_step(plan->find);
  if (code == SQLITE_DONE) return false;
  if (code != SQLITE_ROW) return fail(connection.error(code, "a look-up by id"));
  for (std::size_t i = 0; i < plan->width; ++i) {
    plan->row[i] = column_value(plan->find, static_cast<int>(i));
  }
  BUREAU_TRY_VOID(sink(plan->row));
  return true;
}

/// How many rows one statement names: it has so many parameters, and is kept prepared for each
/// power of two up to it.
constexpr std::size_t most_ids = 256;

Result<void> find_rows(Connection& connection, const TableInfo& table,
                       std::span<const std::int64_t> asked, RowSink sink, Runs* active) {
  std::vector<std::int64_t> each(asked.begin(), asked.end());
  std::sort(each.begin(), each.end());
  each.erase(std::unique(each.begin(), each.end()), each.end());
  std::span<const std::int64_t> ids = each;
  bool more = true;
  const auto watched = [&](std::span<const Value> row) -> Result<bool> {
    BUREAU_TRY(more, sink(row));
    return more;
  };
  while (more && !ids.empty()) {
    const auto some = ids.first(std::min(ids.size(), most_ids));
    ids = ids.subspan(some.size());
    const std::size_t places = std::bit_ceil(some.size());
    BUREAU_TRY(Statement statement, connection.prepare(select_by_ids(table, places)));
    for (std::size_t i = 0; i < places; ++i) {
      const std::int64_t id = some[std::min(i, some.size() - 1)];
      statement.bind(static_cast<int>(i) + 1, Value::integer(id));
    }
    BUREAU_TRY_VOID(RowRun(connection, std::move(statement), active).run(watched));
  }
  return {};
}

bool find_is_running(Connection& connection, const TableInfo& table) {
  const auto plan = connection.plan(table);
  return plan && (*plan)->find_in_use;
}

}  // namespace

Result<void> SnapshotReader::scan(const Select& select, RowSink sink) {
  BUREAU_TRY_VOID(check_deadline(connection_, deadline_));
  return scan_rows(connection_, select, sink, nullptr);
}

Result<void> SnapshotReader::aggregate(const Aggregate& aggregate, RowSink sink) {
  BUREAU_TRY_VOID(check_deadline(connection_, deadline_));
  return aggregate_rows(connection_, aggregate, sink, nullptr);
}

Result<bool> SnapshotReader::find(const TableInfo& table, std::int64_t id, RowSink sink) {
  BUREAU_TRY_VOID(check_deadline(connection_, deadline_));
  if (find_is_running(connection_, table)) return Reader::find(table, id, sink);
  return find_row(connection_, table, id, sink);
}

Result<void> SnapshotReader::find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                                      RowSink sink) {
  BUREAU_TRY_VOID(check_deadline(connection_, deadline_));
  return find_rows(connection_, table, ids, sink, nullptr);
}

template <class T>
Result<T> TransactionWriter::watch(Result<T> result) {
  // An error of the sink passes through here too; such a code dooms from wherever it comes.
  if (!result && !doom_ && dooms(result.error().code)) doom_ = result.error();
  return result;
}

Result<void> TransactionWriter::prepare_to_write() {
  BUREAU_TRY_VOID(check_deadline(connection_, deadline_));
  for (RowRun* run : runs_) BUREAU_TRY_VOID(run->read_rest());
  return {};
}

Result<void> TransactionWriter::scan(const Select& select, RowSink sink) {
  BUREAU_TRY_VOID(check_deadline(connection_, deadline_));
  return watch(scan_rows(connection_, select, sink, &runs_));
}

Result<void> TransactionWriter::aggregate(const Aggregate& aggregate, RowSink sink) {
  BUREAU_TRY_VOID(check_deadline(connection_, deadline_));
  return watch(aggregate_rows(connection_, aggregate, sink, &runs_));
}

Result<bool> TransactionWriter::find(const TableInfo& table, std::int64_t id, RowSink sink) {
  BUREAU_TRY_VOID(check_deadline(connection_, deadline_));
  if (find_is_running(connection_, table)) return Reader::find(table, id, sink);
  return watch(find_row(connection_, table, id, sink));
}

Result<void> TransactionWriter::find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                                         RowSink sink) {
  BUREAU_TRY_VOID(check_deadline(connection_, deadline_));
  return watch(find_rows(connection_, table, ids, sink, &runs_));
}

Result<void> TransactionWriter::insert_row(const TableInfo& table, TablePlan& plan,
                                           std::span<const Value> row) {
  BUREAU_TRY_VOID(check_row(table, row));
  const PlanUse use(plan.insert, plan.insert_in_use);
  for (std::size_t i = 0; i < row.size(); ++i) {
    bind_value(plan.insert, static_cast<int>(i) + 1, row[i]);
  }
  const int code = sqlite3_step(plan.insert);
  if (code != SQLITE_DONE) return fail(connection_.error(code, "an insert"));
  return {};
}

Result<void> TransactionWriter::insert_rows(const TableInfo& table, std::span<const Value> rows) {
  const std::size_t width = table.width();
  if (width == 0 || rows.size() % width != 0) {
    return fail(Code::invalid, fmt::format("{}: {} values are not rows of {} columns", table.name,
                                           rows.size(), width));
  }
  BUREAU_TRY_VOID(prepare_to_write());
  BUREAU_TRY(TablePlan * plan, connection_.plan(table));
  if (rows.size() <= width) {
    return rows.empty() ? Result<void>() : insert_row(table, *plan, rows);
  }
  // Several rows are one statement to the caller: all of them or none.
  if (const int code = connection_.run("SAVEPOINT rows"); code != SQLITE_OK) {
    return fail(connection_.error(code, "an insert"));
  }
  Result<void> result;
  for (std::size_t at = 0; at < rows.size() && result; at += width) {
    result = insert_row(table, *plan, rows.subspan(at, width));
  }
  if (!connection_.in_transaction()) return result;
  if (!result) connection_.run("ROLLBACK TO rows");
  const int code = connection_.run("RELEASE rows");
  if (result && code != SQLITE_OK) return fail(connection_.error(code, "an insert"));
  return result;
}

Result<void> TransactionWriter::insert(const TableInfo& table, std::span<const Value> rows) {
  return watch(insert_rows(table, rows));
}

Result<std::uint64_t> TransactionWriter::change(const std::string& sql,
                                                std::span<const Value> values,
                                                const TableInfo& table, const RowSink* sink) {
  BUREAU_TRY_VOID(prepare_to_write());
  BUREAU_TRY(Statement statement, start(connection_, sql, values));
  RowRun run(connection_, std::move(statement), &runs_);
  run.set_returning(table);
  if (sink == nullptr) {
    BUREAU_TRY_VOID(run.finish());
    return static_cast<std::uint64_t>(sqlite3_changes64(connection_.handle()));
  }
  BUREAU_TRY_VOID(run.run(*sink));
  // A sink that stops early does not stop the change.
  BUREAU_TRY_VOID(run.finish());
  return run.rows();
}

/// A change is made before its sink sees a row. When the sink fails it must be undone, alone; but a
/// savepoint for each change would cost as much as a small change does. So there is none at first,
/// and when one is missed, the closure runs again with them.
Result<std::uint64_t> TransactionWriter::change_shown(const std::string& sql,
                                                      std::span<const Value> values,
                                                      const TableInfo& table, RowSink sink) {
  std::optional<Error> refused;
  const auto watched = [&](std::span<const Value> row) -> Result<bool> {
    auto more = sink(row);
    if (!more) refused = more.error();
    return more;
  };
  const RowSink shown = watched;
  if (!careful_) {
    auto changed = change(sql, values, table, &shown);
    if (refused) wants_care_ = true;
    return changed;
  }
  BUREAU_TRY_VOID(prepare_to_write());  // no savepoint while a statement that writes goes on
  const std::int64_t sequence = sequence_;
  if (const int code = connection_.run("SAVEPOINT change"); code != SQLITE_OK) {
    return fail(connection_.error(code, "a change"));
  }
  auto changed = change(sql, values, table, &shown);
  if (!connection_.in_transaction()) return changed;
  if (refused) {
    sequence_ = sequence;
    connection_.run("ROLLBACK TO change");
  }
  const int code = connection_.run("RELEASE change");
  if (changed && code != SQLITE_OK) return fail(connection_.error(code, "a change"));
  return changed;
}

Result<std::uint64_t> TransactionWriter::update(const Update& update, RowSink returning) {
  std::optional<Update> made;
  Sql sql;
  BUREAU_TRY_VOID(append_update(sql, with_now(connection_.clock(), update, made), true));
  return watch(change_shown(sql.text, sql.values, *update.which.table, returning));
}

Result<std::uint64_t> TransactionWriter::update(const Update& update) {
  std::optional<Update> made;
  Sql sql;
  BUREAU_TRY_VOID(append_update(sql, with_now(connection_.clock(), update, made), false));
  return watch(change(sql.text, sql.values, *update.which.table, nullptr));
}

/// Rows that follow each other and become the same are one statement.
Result<void> TransactionWriter::change_rows(const TableInfo& table,
                                            std::span<const ColumnInfo* const> columns,
                                            std::span<const Value> rows) {
  BUREAU_TRY_VOID(prepare_to_write());
  const std::size_t width = columns.size() + 1;
  const auto values = [&](std::size_t at) { return rows.subspan(at + 1, width - 1); };
  for (std::size_t at = 0, end = 0; at < rows.size(); at = end) {
    for (end = at + width; end < rows.size() && end < at + most_ids * width; end += width) {
      if (!std::ranges::equal(values(at), values(end))) break;
    }
    // As many places as a power of two, so that few statements are kept; what is left over waits.
    const std::size_t places = std::bit_floor((end - at) / width);
    end = at + places * width;
    BUREAU_TRY(const Statement statement,
               start(connection_, update_by_ids(table, columns, places), values(at)));
    for (std::size_t i = 0; i < places; ++i) {
      statement.bind(static_cast<int>(width + i), rows[at + i * width]);
    }
    const int code = statement.step();
    if (code != SQLITE_DONE) return fail(connection_.error(code, "an update"));
    const auto changed = static_cast<std::size_t>(sqlite3_changes64(connection_.handle()));
    if (changed != places) return fail(row_is_gone(table));
  }
  return {};
}

Result<void> TransactionWriter::update_rows(const TableInfo& table,
                                            std::span<const ColumnInfo* const> columns,
                                            std::span<const Value> rows) {
  BUREAU_TRY_VOID(check_row_updates(table, columns, rows));
  if (rows.empty()) return {};
  return watch(change_rows(table, columns, rows));
}

Result<std::uint64_t> TransactionWriter::remove(const Select& which, RowSink removed) {
  std::optional<Select> made;
  Sql sql;
  BUREAU_TRY_VOID(append_remove(sql, with_now(connection_.clock(), which, made)));
  return watch(change_shown(sql.text, sql.values, *which.table, removed));
}

Result<std::int64_t> TransactionWriter::draw_sequence(std::int64_t count) {
  std::int64_t last = 0;
  if (count < 1 || __builtin_add_overflow(sequence_, count, &last)) {
    return fail(Code::invalid, fmt::format("{} numbers cannot be drawn", count));
  }
  sequence_ = last;
  return last;
}

Result<void> TransactionWriter::alter(const Alteration& alteration) {
  BUREAU_TRY_VOID(prepare_to_write());
  auto altered = alter_table(connection_, alteration);
  if (!altered && !doom_) doom_ = altered.error();
  return altered;
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
