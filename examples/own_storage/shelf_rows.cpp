#include "shelf_rows.hpp"

#include <algorithm>

namespace shelf {

using namespace bureau;

namespace {

tl::unexpected<Error> loses(const TableInfo& table, const ColumnInfo& column, const char* how) {
  return fail(Code::conflict, std::string(table.name) + "." + std::string(column.name) + ": " + how,
              std::string(column.name));
}

/// What the rows that are there get in a new column: null, or the zero of its type.
Result<OwnedValue> natural_zero(const TableInfo& table, const ColumnInfo& column) {
  if (column.nullable) return OwnedValue();
  switch (column.type) {
    case Type::real:
      return OwnedValue(Value::real(0));
    case Type::text:
      return OwnedValue::text("");
    case Type::json:
      return OwnedValue::text("null");
    case Type::bytes:
      return OwnedValue::bytes("");
    case Type::id:
      return loses(table, column, "is new, may not be null, and no row has an id to give it");
    default:
      return OwnedValue(Value::integer(0));
  }
}

Result<void> check_kept(const TableInfo& old, const TableInfo& table) {
  for (const ColumnInfo& before : old.columns) {
    const ColumnInfo* after = table.find(before.name);
    if (after == nullptr) return loses(table, before, "is no longer described");
    if (after->type != before.type) return loses(table, before, "has another type now");
    if (before.nullable && !after->nullable) return loses(table, before, "may have nulls");
    const bool kept = before.names.size() <= after->names.size() &&
                      std::equal(before.names.begin(), before.names.end(), after->names.begin());
    if (!kept) return loses(table, before, "has names that changed; they can only be appended");
  }
  return {};
}

Result<Row> converted(const TableInfo& old, const TableInfo& table, const Row& row) {
  std::vector<OwnedValue> values(table.width());
  for (const ColumnInfo& column : table.columns) {
    if (const ColumnInfo* before = old.find(column.name)) {
      values[column.index] = (*row)[before->index];
    } else {
      BUREAU_TRY(values[column.index], natural_zero(table, column));
    }
  }
  // The companions of folded columns that are new, or that became so.
  for (const ColumnInfo& column : table.columns) {
    if (!column.folded) continue;
    const Value text = values[column.index].view();
    if (!text.is_null()) values[column.folded_index] = OwnedValue::text(fold_case(text.as_text()));
  }
  return std::make_shared<const std::vector<OwnedValue>>(std::move(values));
}

Result<std::shared_ptr<Table>> migrated(const Table* old, const TableInfo& info) {
  auto table = std::make_shared<Table>(info);
  if (old == nullptr) return table;
  BUREAU_TRY_VOID(check_kept(old->info(), info));
  for (const ColumnInfo& column : info.columns) {
    // Also without rows: what is allowed does not depend on them.
    if (old->info().find(column.name) == nullptr) BUREAU_TRY_VOID(natural_zero(info, column));
  }
  for (const auto& [id, row] : old->rows()) {
    BUREAU_TRY(const Row now, converted(old->info(), info, row));
    auto put = table->put(id, now);
    if (!put) return fail(Code::conflict, put.error().message, put.error().field);
  }
  return table;
}

/// Of a hidden companion, the column whose it is.
std::string visible_name(const TableInfo& table, std::uint16_t index) {
  for (const ColumnInfo& column : table.columns) {
    if (column.folded && column.folded_index == index) return std::string(column.name);
  }
  return std::string(table.columns[index].name);
}

bool same_columns(const TableInfo& a, const TableInfo& b) {
  return std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(),
                    [](const ColumnInfo& x, const ColumnInfo& y) {
                      return x.name == y.name && x.type == y.type;
                    });
}

}  // namespace

std::vector<Value> values_of(const Row& row) {
  std::vector<Value> values;
  values.reserve(row->size());
  for (const OwnedValue& value : *row) values.push_back(value.view());
  return values;
}

Row row_of(std::span<const Value> values) {
  std::vector<OwnedValue> owned;
  owned.reserve(values.size());
  for (const Value& value : values) owned.emplace_back(value);
  return std::make_shared<const std::vector<OwnedValue>>(std::move(owned));
}

bool ByValue::operator()(const std::vector<OwnedValue>& a, const std::vector<OwnedValue>& b) const {
  return std::lexicographical_compare(
      a.begin(), a.end(), b.begin(), b.end(),
      [](const OwnedValue& x, const OwnedValue& y) { return compare(x.view(), y.view()) < 0; });
}

Table::Table(const TableInfo& info) : info_(&info) {
  for (const IndexInfo& index : info.indexes) {
    if (!index.unique) continue;
    // A catalog takes only conditions that it could parse.
    uniques_.push_back(
        {&index, index.where.empty() ? Predicate() : *Predicate::parse(info, index.where), {}});
  }
}

Row Table::find(std::int64_t id) const {
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : found->second;
}

/// Nothing: the index does not concern the row. Nulls are never equal.
std::optional<Table::Key> Table::key_of(const Unique& unique, const Row& row) {
  if (row == nullptr) return std::nullopt;
  const auto covered = evaluate(unique.condition, values_of(row));
  if (!covered || *covered != Truth::yes) return std::nullopt;
  Key key;
  for (const std::uint16_t column : unique.index->columns) {
    key.push_back((*row)[column]);
    if (key.back().view().is_null()) return std::nullopt;
  }
  return key;
}

Result<void> Table::put(std::int64_t id, const Row& row) {
  for (const Unique& unique : uniques_) {
    const auto key = key_of(unique, row);
    const auto holder = key ? unique.keys.find(*key) : unique.keys.end();
    if (holder == unique.keys.end() || holder->second == id) continue;
    const std::string column = visible_name(*info_, unique.index->columns.back());
    return fail(
        Code::exists,
        std::string(info_->name) + "." + column + ": a row with this value is there already",
        column);
  }
  const Row before = find(id);
  for (Unique& unique : uniques_) {
    if (const auto key = key_of(unique, before)) unique.keys.erase(*key);
    if (const auto key = key_of(unique, row)) unique.keys.emplace(*key, id);
  }
  if (row == nullptr) {
    rows_.erase(id);
  } else {
    rows_[id] = row;
  }
  return {};
}

Result<const Table*> State::find(const TableInfo& info) const {
  const auto found = tables_.find(info.name);
  if (found != tables_.end() && same_columns(found->second->info(), info)) {
    return found->second.get();
  }
  return fail(Code::invalid, "table '" + std::string(info.name) + "' was not migrated so");
}

Result<Table*> State::change(const TableInfo& info) {
  BUREAU_TRY_VOID(find(info));
  std::shared_ptr<Table>& table = tables_.find(info.name)->second;
  if (own_.insert(info.name).second) table = std::make_shared<Table>(*table);
  return table.get();
}

State State::next() const {
  State next = *this;
  next.own_.clear();
  return next;
}

Result<void> State::migrate(const Catalog& catalog) {
  for (const TableInfo* info : catalog.tables()) {
    const auto old = tables_.find(info->name);
    BUREAU_TRY(tables_[std::string(info->name)],
               migrated(old == tables_.end() ? nullptr : old->second.get(), *info));
  }
  return {};
}

}  // namespace shelf
