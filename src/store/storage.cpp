#include "bureau/store/storage.hpp"

#include "bureau/store/backup.hpp"
#include "bureau/store/stored_catalog.hpp"

BUREAU_BEGIN_NAMESPACE

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

Result<SqlSummary> Storage::sql(const Catalog&, const SqlQuery&, SqlSink) {
  return fail(Code::invalid,
              std::string(name()) + ": this storage has no SQL (Capabilities::sql); use predicates",
              "storage");
}

Result<std::vector<StoredTable>> Storage::stored_tables() {
  return fail(Code::invalid,
              std::string(name()) + ": this storage does not tell what tables it holds", "storage");
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

Result<BackupReport> StorageWrapper::back_up(const std::string& path,
                                             const BackupOptions& options) {
  return inner_->back_up(path, options);
}

Result<void> StorageWrapper::check_integrity() { return inner_->check_integrity(); }

void Storage::write_all(std::span<BatchedWrite> writes) {
  for (BatchedWrite& one : writes) one.result = write(one.options, one.closure);
}

BUREAU_END_NAMESPACE
