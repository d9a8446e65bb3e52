#include "store/postgres/snapshot_reader.hpp"

#include <algorithm>

#include "store/with_now.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

bool is_journal(const TableInfo* table) { return table != nullptr && table->name == journal_table; }

}  // namespace

Result<Horizon> SnapshotReader::ask_horizon() {
  const std::uint64_t news = order_.news();
  order_.ask(connection());
  const Answers answers = connection().exchange(deadline_);
  if (!answers.good()) {
    return fail(to_error(*answers.failure, connection().where(), {"a look at the journal"}));
  }
  return order_.learn(answers.results[0].get(), news);
}

/// One statement, and with the first one the beginning of the transaction; an error is of the
/// statement's form.
Result<Answers> SnapshotReader::attempt(const TableInfo* table,
                                        FunctionRef<Result<void>(Sql&, Horizon)> write) {
  Sql sql(connection().settings().schema);
  if (begun_) {
    BUREAU_TRY_VOID(write(sql, is_journal(table) ? horizon_ : no_horizon));
    connection().add(sql);
    return connection().exchange(deadline_);
  }
  // A horizon is for snapshots that are taken after it was learnt.
  horizon_ = order_.known();
  const std::uint64_t news = order_.news();
  bool asks = false;
  if (is_journal(table)) {
    BUREAU_TRY(horizon_, ask_horizon());
    BUREAU_TRY_VOID(write(sql, horizon_));
  } else {
    BUREAU_TRY_VOID(write(sql, no_horizon));
    asks = order_.is_behind();
  }
  if (asks) {
    order_.ask(connection());
    connection().separate();
  }
  connection().add("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  connection().add(sql);
  Answers answers = connection().exchange(deadline_);
  begun_ = true;
  if (asks && !answers.results.empty()) {
    horizon_ = std::max(horizon_, order_.learn(answers.results[0].get(), news));
  }
  return answers;
}

Result<ResultPtr> SnapshotReader::run(const TableInfo* table, const Doing& doing,
                                      FunctionRef<Result<void>(Sql&, Horizon)> write) {
  if (failed_) return fail(*failed_);
  BUREAU_TRY_VOID(check_deadline(clock(), deadline_, connection().where()));
  const bool first = !begun_;
  auto answers = attempt(table, write);
  const bool late = answers && !answers->good() && answers->failure->kind == Failure::Kind::late;
  if (first && connection().is_broken() && !late) {
    // Nothing was read yet: the connection may have been a stale one, from before a restart.
    begun_ = false;
    BUREAU_TRY_VOID(check_deadline(clock(), deadline_, connection().where()));
    BUREAU_TRY_VOID(lease_.renew(deadline_));
    answers = attempt(table, write);
  }
  if (!answers) return fail(std::move(answers).error());
  if (!answers->good()) {
    failed_ = to_error(*answers->failure, connection().where(), doing);
    return fail(*failed_);
  }
  return std::move(answers->results.back());
}

Result<void> SnapshotReader::scan(const Select& select, RowSink sink) {
  std::optional<Select> made;
  const Select& asked = with_now(clock(), select, made);
  BUREAU_TRY(const ResultPtr result, run(select.table, {"a scan"}, [&](Sql& sql, Horizon horizon) {
               return append_select(sql, asked, horizon);
             }));
  return give_rows(result.get(), sink);
}

Result<void> SnapshotReader::aggregate(const Aggregate& aggregate, RowSink sink) {
  std::optional<Aggregate> made;
  const Aggregate& asked = with_now(clock(), aggregate, made);
  BUREAU_TRY(const ResultPtr result,
             run(aggregate.table, {"an aggregate", nullptr, summed_columns(aggregate)},
                 [&](Sql& sql, Horizon horizon) { return append_aggregate(sql, asked, horizon); }));
  return give_figures(result.get(), asked, sink);
}

Result<bool> SnapshotReader::find(const TableInfo& table, std::int64_t id, RowSink sink) {
  if (begun_ && is_journal(&table) && id > horizon_) return false;
  BUREAU_TRY(const ResultPtr result,
             run(&table, {"a look-up by id"}, [&](Sql& sql, Horizon horizon) -> Result<void> {
               append_find(sql, table, id > horizon ? 0 : id);
               return {};
             }));
  BUREAU_TRY_VOID(give_rows(result.get(), sink));
  return PQntuples(result.get()) > 0;
}

Result<void> SnapshotReader::find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                                      RowSink sink) {
  if (ids.empty()) return failed_ ? fail(*failed_) : Result<void>();
  BUREAU_TRY(const ResultPtr result,
             run(&table, {"a look-up by ids"}, [&](Sql& sql, Horizon horizon) -> Result<void> {
               std::vector<std::int64_t> seen;
               for (const std::int64_t id : ids) seen.push_back(id > horizon ? 0 : id);
               append_find_all(sql, table, seen);
               return {};
             }));
  return give_rows(result.get(), sink);
}

void SnapshotReader::end() {
  if (!begun_ || connection().is_broken()) return;
  connection().add("COMMIT");
  connection().send_off();
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
