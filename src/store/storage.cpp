#include "bureau/store/storage.hpp"

#include <algorithm>

#include "bureau/store/backup.hpp"
#include "bureau/store/statement.hpp"
#include "bureau/store/stored_catalog.hpp"

BUREAU_BEGIN_NAMESPACE

Result<void> Reader::scan_all(std::span<const Scan> scans) {
  for (const Scan& one : scans) BUREAU_TRY_VOID(scan(*one.select, one.sink));
  return {};
}

Result<bool> Reader::find(const TableInfo& table, std::int64_t id, RowSink sink) {
  Select select;
  select.table = &table;
  select.where = detail::compare_column(table.columns[0], Predicate::Op::equal,
                                        {OwnedValue(Value::integer(id))});
  select.limit = 1;
  bool found = false;
  BUREAU_TRY_VOID(scan(select, [&](std::span<const Value> row) -> Result<bool> {
    found = true;
    return sink(row);
  }));
  return found;
}

Result<void> Reader::find_all(const TableInfo& table, std::span<const std::int64_t> ids,
                              RowSink sink) {
  std::vector<std::int64_t> each(ids.begin(), ids.end());
  std::sort(each.begin(), each.end());
  each.erase(std::unique(each.begin(), each.end()), each.end());
  bool more = true;
  for (std::size_t i = 0; i < each.size() && more; ++i) {
    BUREAU_TRY_VOID(find(table, each[i], [&](std::span<const Value> row) -> Result<bool> {
      BUREAU_TRY(more, sink(row));
      return more;
    }));
  }
  return {};
}

Result<void> Writer::update_rows(const TableInfo& table, std::span<const ColumnInfo* const> columns,
                                 std::span<const Value> rows) {
  BUREAU_TRY_VOID(check_row_updates(table, columns, rows));
  Update update;
  update.which.table = &table;
  for (std::size_t at = 0; at < rows.size(); at += columns.size() + 1) {
    update.which.where =
        detail::compare_column(table.columns[0], Predicate::Op::equal, {OwnedValue(rows[at])});
    update.set.clear();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      update.set.push_back({columns[i], rows[at + 1 + i], false});
    }
    BUREAU_TRY(const std::uint64_t changed, this->update(update));
    if (changed == 0) return fail(row_is_gone(table));
  }
  return {};
}

Result<void> Writer::insert_numbered(const TableInfo& table, std::span<const Value> rows,
                                     std::int64_t count) {
  BUREAU_TRY_VOID(check_numbered(table, rows, count));
  BUREAU_TRY(const std::int64_t last, draw_sequence(count));
  std::vector<Value> numbered(rows.begin(), rows.end());
  for (std::size_t at = 0; at < numbered.size(); at += table.width()) {
    numbered[at] = Value::integer(last - count + numbered[at].as_integer());
  }
  return insert(table, numbered);
}

Result<void> Writer::alter(const Alteration&) {
  return fail(Code::invalid,
              "this storage's tables can only be added to: it makes no migrations that rename or "
              "drop",
              "storage");
}

Result<SqlSummary> Storage::sql(const Catalog&, const SqlQuery&, SqlSink) {
  return fail(Code::invalid,
              std::string(name()) + ": this storage has no SQL (Capabilities::sql); use predicates",
              "storage");
}

Result<std::vector<StoredTable>> Storage::stored_tables() {
  return fail(Code::invalid,
              std::string(name()) + ": this storage does not tell what tables it holds", "storage");
}

Result<std::uint64_t> Storage::drop_months(const TableInfo&, std::int64_t, const Predicate&) {
  return 0;
}

Result<BackupReport> Storage::back_up(const std::string&, const BackupOptions&) {
  return fail(Code::invalid,
              std::string(name()) +
                  ": this storage makes no file of itself; move the office into "
                  "a file, or use the tools of its server",
              "storage");
}

Result<void> Storage::check_integrity() { return {}; }

Result<std::vector<StoredTable>> StorageWrapper::stored_tables() { return inner_->stored_tables(); }

Result<std::uint64_t> StorageWrapper::drop_months(const TableInfo& table, std::int64_t below,
                                                  const Predicate& going) {
  return inner_->drop_months(table, below, going);
}

Result<BackupReport> StorageWrapper::back_up(const std::string& path,
                                             const BackupOptions& options) {
  return inner_->back_up(path, options);
}

Result<void> StorageWrapper::check_integrity() { return inner_->check_integrity(); }

void Storage::write_all(std::span<BatchedWrite> writes) {
  for (BatchedWrite& one : writes) one.result = write(one.options, one.closure);
}

BUREAU_END_NAMESPACE
