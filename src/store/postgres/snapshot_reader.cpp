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

/// Some statements in one exchange, and with the first ones the beginning of the transaction; an
/// error is of a statement's form.
Result<Answers> SnapshotReader::attempt(bool journal, WriteSql write) {
  std::vector<Sql> asked;
  if (begun_) {
    BUREAU_TRY_VOID(write(asked, journal ? horizon_ : no_horizon));
    for (const Sql& sql : asked) connection().add(sql);
    return connection().exchange(deadline_);
  }
  // A horizon is for snapshots that are taken after it was learnt.
  horizon_ = order_.known();
  const std::uint64_t news = order_.news();
  bool asks = false;
  if (journal) {
    BUREAU_TRY(horizon_, ask_horizon());
    BUREAU_TRY_VOID(write(asked, horizon_));
  } else {
    BUREAU_TRY_VOID(write(asked, no_horizon));
    asks = order_.is_behind();
  }
  if (asks) {
    order_.ask(connection());
    connection().separate();
  }
  connection().add("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  for (const Sql& sql : asked) connection().add(sql);
  Answers answers = connection().exchange(deadline_);
  begun_ = true;
  if (asks && !answers.results.empty()) {
    horizon_ = std::max(horizon_, order_.learn(answers.results[0].get(), news));
  }
  return answers;
}

/// The answers to what was asked, and to nothing before it.
Result<std::vector<ResultPtr>> SnapshotReader::run_all(bool journal, const Doing& doing,
                                                       WriteSql write) {
  if (failed_) return fail(*failed_);
  BUREAU_TRY_VOID(check_deadline(clock(), deadline_, connection().where()));
  const bool first = !begun_;
  std::size_t asked = 0;
  const auto counted = [&](std::vector<Sql>& sql, Horizon horizon) -> Result<void> {
    auto written = write(sql, horizon);
    asked = sql.size();
    return written;
  };
  auto answers = attempt(journal, counted);
  const bool late = answers && !answers->good() && answers->failure->kind == Failure::Kind::late;
  if (first && connection().is_broken() && !late) {
    // Nothing was read yet: the connection may have been a stale one, from before a restart.
    begun_ = false;
    BUREAU_TRY_VOID(check_deadline(clock(), deadline_, connection().where()));
    BUREAU_TRY_VOID(lease_.renew(deadline_));
    answers = attempt(journal, counted);
  }
  if (!answers) return fail(std::move(answers).error());
  if (!answers->good()) {
    failed_ = to_error(*answers->failure, connection().where(), doing);
    return fail(*failed_);
  }
  auto& results = answers->results;
  results.erase(results.begin(), results.end() - static_cast<std::ptrdiff_t>(asked));
  return std::move(results);
}

Result<ResultPtr> SnapshotReader::run(const TableInfo* table, const Doing& doing,
                                      FunctionRef<Result<void>(Sql&, Horizon)> write) {
  const auto one = [&](std::vector<Sql>& asked, Horizon horizon) {
    return write(asked.emplace_back(connection().settings().schema), horizon);
  };
  BUREAU_TRY(std::vector<ResultPtr> results, run_all(is_journal(table), doing, one));
  return std::move(results.back());
}

Result<void> SnapshotReader::scan(const Select& select, RowSink sink) {
  std::optional<Select> made;
  const Select& asked = with_now(clock(), select, made);
  BUREAU_TRY(const ResultPtr result, run(select.table, {"a scan"}, [&](Sql& sql, Horizon horizon) {
               return append_select(sql, asked, horizon);
             }));
  return give_rows(result.get(), sink);
}

/// Of the journal's rows each scan is asked by itself: they are few, and have a horizon.
Result<void> SnapshotReader::scan_all(std::span<const Scan> scans) {
  const auto of_journal = [](const Scan& one) { return is_journal(one.select->table); };
  if (std::any_of(scans.begin(), scans.end(), of_journal)) return Reader::scan_all(scans);
  if (scans.empty()) return failed_ ? fail(*failed_) : Result<void>();
  const auto write = [&](std::vector<Sql>& asked, Horizon) -> Result<void> {
    for (const Scan& one : scans) {
      std::optional<Select> made;
      Sql& sql = asked.emplace_back(connection().settings().schema);
      BUREAU_TRY_VOID(append_select(sql, with_now(clock(), *one.select, made)));
    }
    return {};
  };
  BUREAU_TRY(const std::vector<ResultPtr> results, run_all(false, {"a scan"}, write));
  for (std::size_t i = 0; i < scans.size(); ++i) {
    BUREAU_TRY_VOID(give_rows(results[i].get(), scans[i].sink));
  }
  return {};
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
