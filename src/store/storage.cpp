#include "bureau/store/storage.hpp"

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

void Storage::write_all(std::span<BatchedWrite> writes) {
  for (BatchedWrite& one : writes) one.result = write(one.options, one.closure);
}

BUREAU_END_NAMESPACE
