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

void Storage::write_all(std::span<BatchedWrite> writes) {
  for (BatchedWrite& one : writes) one.result = write(one.options, one.closure);
}

BUREAU_END_NAMESPACE
