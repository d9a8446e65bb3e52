#include "store/memory/tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "store/altered_table.hpp"
#include "store/predicate_parse.hpp"
#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail::memory {

namespace {

tl::unexpected<Error> loses(const TableInfo& table, std::string_view column,
                            std::string_view rule) {
  return fail(Code::conflict, fmt::format("{}.{} {}", table.name, column, rule),
              std::string(column));
}

/// What a column that is new gets in the rows that are there.
Result<Value> new_value(const TableInfo& table, const ColumnInfo& column) {
  if (!column.nullable && column.type == Type::id)
    return loses(table, column.name, "is new, may not be null and has no natural zero");
  return natural_zero(column);
}

/// `conflict` when the new description could not hold what the old one did.
Result<void> check_change(const TableInfo& old, const TableInfo& table) {
  for (const ColumnInfo& before : old.columns) {
    const ColumnInfo* after = table.find(before.name);
    if (after == nullptr) return loses(table, before.name, "is gone; its values would be lost");
    if (after->type != before.type)
      return loses(table, before.name, "has another type than its stored values");
    if (before.nullable && !after->nullable)
      return loses(table, before.name, "may hold nulls and is now described as one that may not");
    const bool frozen = after->names.size() >= before.names.size() &&
                        std::equal(before.names.begin(), before.names.end(), after->names.begin());
    if (!frozen) return loses(table, before.name, "has other names than its stored values");
  }
  return {};
}

/// A row of `old` as a row of `table`.
Result<RowPtr> convert(const TableInfo& old, const TableInfo& table, const Row& row) {
  std::vector<Value> values(table.width());
  std::deque<std::string> folded;
  for (const ColumnInfo& column : table.columns) {
    if (const ColumnInfo* before = old.find(column.name)) {
      values[column.index] = row[before->index];
    } else {
      BUREAU_TRY(values[column.index], new_value(table, column));
    }
  }
  for (const ColumnInfo& column : table.columns) {
    if (!column.folded || old.find(table.columns[column.folded_index].name) != nullptr) continue;
    const Value text = values[column.index];
    if (text.is_null()) continue;
    values[column.folded_index] = Value::text(folded.emplace_back(fold_case(text.as_text())));
  }
  return RowPtr(std::make_shared<const Row>(values));
}

Result<std::unique_ptr<Table>> migrated(const Table* old, const TableInfo& info) {
  if (old == nullptr) return std::make_unique<Table>(info);
  auto table = std::make_unique<Table>(info, old->upkeep());
  BUREAU_TRY_VOID(check_change(old->info(), info));
  // Also without rows: whether a description is allowed does not depend on data.
  for (const ColumnInfo& column : info.columns)
    if (old->info().find(column.name) == nullptr) BUREAU_TRY_VOID(new_value(info, column));
  for (const auto& [id, row] : old->rows()) {
    BUREAU_TRY(RowPtr converted, convert(old->info(), info, *row));
    if (auto put = table->insert(id, std::move(converted)); !put)
      return fail(Code::conflict,
                  fmt::format("table '{}': rows that are there break a new unique index: {}",
                              info.name, put.error().message),
                  put.error().field);
  }
  return table;
}

using Kind = Alteration::Kind;

Upkeep changed(Upkeep upkeep, const Alteration& alteration) {
  switch (alteration.kind) {
    case Kind::mirror:
      upkeep.mirrors.emplace_back(alteration.column, alteration.other);
      upkeep.defaults.erase(alteration.column);
      break;
    case Kind::end_mirror:
      std::erase(upkeep.mirrors, std::pair(alteration.column, alteration.other));
      break;
    case Kind::stand_in:
      upkeep.defaults.erase(alteration.column);
      upkeep.stand_ins[alteration.column] = alteration.value;
      break;
    case Kind::end_stand_in:
      upkeep.stand_ins.erase(alteration.column);
      break;
    case Kind::drop_column:
      upkeep.defaults.erase(alteration.column);
      break;
    default:
      break;
  }
  return upkeep;
}

/// The rows of `old` in the form of what is made of it.
Result<std::unique_ptr<Table>> altered(const Table& old, const AlteredTable& made,
                                       const Alteration& alteration) {
  Upkeep upkeep = changed(old.upkeep(), alteration);
  const bool adds = alteration.kind == Kind::add_column;
  if (adds) upkeep.defaults[std::string(made.added->name)] = alteration.value;
  auto table = std::make_unique<Table>(*made.after, std::move(upkeep));
  for (const auto& [id, row] : old.rows()) {
    if (alteration.kind == Kind::require && (*row)[made.column->index].is_null()) {
      return fail(holds_nulls("memory", alteration));
    }
    std::vector<Value> values;
    for (const ColumnInfo& column : made.after->columns) {
      const ColumnInfo* before = made.before->find(column.name);
      values.push_back(before != nullptr ? (*row)[before->index]
                       : adds            ? alteration.value.view()
                                         : Value());
    }
    BUREAU_TRY_VOID(table->insert(id, std::make_shared<const Row>(values)));
  }
  return table;
}

}  // namespace

Row::Row(std::span<const Value> from) : width_(from.size()) {
  const auto has_bytes = [](const Value& value) { return value.kind() >= Value::Kind::text; };
  std::size_t size = from.size_bytes();
  for (const Value& value : from) size += has_bytes(value) ? value.as_text().size() : 0;
  block_ = std::make_unique_for_overwrite<std::byte[]>(size);
  Value* const values = reinterpret_cast<Value*>(block_.get());
  std::uninitialized_copy(from.begin(), from.end(), values);
  char* at = reinterpret_cast<char*>(block_.get() + from.size_bytes());
  for (Value& value : std::span(values, width_)) {
    if (!has_bytes(value)) continue;
    const std::string_view given = value.as_text();
    const std::string_view kept(at, given.size());
    at = std::copy(given.begin(), given.end(), at);
    value = value.kind() == Value::Kind::text ? Value::text(kept) : Value::bytes(kept);
  }
  values_ = values;
}

bool KeyLess::operator()(const std::vector<Value>& a, const std::vector<Value>& b) const {
  return std::lexicographical_compare(
      a.begin(), a.end(), b.begin(), b.end(),
      [](const Value& x, const Value& y) { return compare(x, y) < 0; });
}

Table::Table(const TableInfo& info, Upkeep upkeep) : info_(&info), upkeep_(std::move(upkeep)) {
  for (const IndexInfo& index : info.indexes) indexes_.emplace_back(info, index);
}

std::vector<Value> Table::completed(std::span<const Value> given) const {
  std::vector<Value> row(given.begin(), given.end());
  for (std::size_t i = given.size(); i < info_->width(); ++i) {
    const ColumnInfo& column = info_->columns[i];
    Value value = detail::natural_zero(column);
    for (const auto* values : {&upkeep_.stand_ins, &upkeep_.defaults}) {
      const auto found = values->find(column.name);
      if (found != values->end()) value = found->second.view();
    }
    row.push_back(value);
  }
  for (const auto& [name, value] : upkeep_.stand_ins) {
    Value& held = row[info_->find(name)->index];
    if (held.is_null()) held = value.view();
  }
  for (const auto& [from, to] : upkeep_.mirrors) {
    Value& old = row[info_->find(from)->index];
    Value& renamed = row[info_->find(to)->index];
    // Which of the two was given: the one of the program that inserts.
    const bool gives_new = info_->find(to)->index < given.size();
    (gives_new ? old : renamed) = gives_new ? renamed : old;
  }
  return row;
}

void Table::follow(const std::vector<Assignment>& set, std::vector<Value>& row) const {
  for (const auto& [from, to] : upkeep_.mirrors) {
    const std::size_t old = info_->find(from)->index;
    const std::size_t renamed = info_->find(to)->index;
    for (const Assignment& one : set) {
      if (one.column->index == old) row[renamed] = row[old];
      if (one.column->index == renamed) row[old] = row[renamed];
    }
  }
}

Slot* Table::find(std::int64_t id) {
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : &*found;
}

const Slot* Table::find(std::int64_t id) const {
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : &*found;
}

ColumnBits Table::changed_by(const std::vector<Assignment>& set) const {
  if (!upkeep_.mirrors.empty()) return ~ColumnBits{0};
  ColumnBits bits = 0;
  for (const Assignment& one : set) bits |= bit_of(one.column->index);
  return bits;
}

std::optional<Index::Range> Table::range(const Predicate& where, const std::vector<Order>& order,
                                         const std::vector<OwnedValue>& after) const {
  const std::vector<Predicate> conditions = conditions_of(where);
  std::optional<Index::Range> best;
  const auto is_better = [](const Index::Range& a, const Index::Range& b) {
    return std::pair(a.fixed(), a.ordered) > std::pair(b.fixed(), b.ordered);
  };
  for (const Index& index : indexes_) {
    auto range = index.range(conditions, order, after);
    if (range && (!best || is_better(*range, *best))) best = std::move(range);
  }
  return best;
}

Result<void> Table::insert(std::int64_t id, RowPtr row) {
  BUREAU_TRY_VOID(check_unique(*row, ~ColumnBits{0}));
  const Slot& slot = *rows_.emplace_hint(rows_.end(), id, std::move(row));
  for (Index& index : indexes_) index.add(slot);
  return {};
}

Result<RowPtr> Table::replace(Slot& slot, RowPtr row, ColumnBits changed) {
  BUREAU_TRY_VOID(check_unique(*row, changed));
  RowPtr before = std::exchange(slot.second, std::move(row));
  for (Index& index : indexes_) {
    if ((index.decisive() & changed) != 0) index.replace(*before, slot);
  }
  return before;
}

RowPtr Table::remove(std::int64_t id) {
  const auto at = rows_.find(id);
  if (at == rows_.end()) return nullptr;
  for (Index& index : indexes_) index.remove(*at->second);
  RowPtr before = std::move(at->second);
  rows_.erase(at);
  return before;
}

Result<void> Table::check_unique(const Row& row, ColumnBits changed) const {
  for (const Index& index : indexes_) {
    const bool concerned = index.info().unique && (index.decisive() & changed) != 0;
    if (!concerned || !index.holder(row)) continue;
    const ColumnInfo& last = info_->columns[index.info().columns.back()];
    return fail(Code::exists,
                fmt::format("{}.{}: a row with this value is there already (unique index '{}')",
                            info_->name, detail::without_companions(last.name), index.info().name),
                detail::without_companions(last.name));
  }
  return {};
}

Table* Database::find(std::string_view name) {
  const auto found = tables_.find(name);
  return found == tables_.end() ? nullptr : found->second.get();
}

std::vector<StoredTable> Database::stored() const {
  std::vector<StoredTable> all;
  for (const auto& [name, table] : tables_) all.push_back({name, definition_of(table->info())});
  return all;
}

Result<void> Database::migrate(const Catalog& catalog) {
  std::map<std::string, std::unique_ptr<Table>, std::less<>> next;
  for (const TableInfo* info : catalog.tables()) {
    BUREAU_TRY(next[std::string(info->name)], migrated(find(info->name), *info));
  }
  for (auto& [name, table] : next) tables_[name] = std::move(table);
  return {};
}

Result<void> Database::alter(const Alteration& alteration) {
  const auto found = tables_.find(alteration.table);
  const bool there = found != tables_.end();
  const Json stored = there ? definition_of(found->second->info()) : Json();
  BUREAU_TRY(const AlteredTable made,
             altered_table("memory", there ? &stored : nullptr, alteration));
  std::unique_ptr<Table> next;
  if (made.after != nullptr) {
    BUREAU_TRY(next, altered(*found->second, made, alteration));
  }
  auto before = std::make_unique<Altered>();
  before->name = alteration.table;
  before->table = std::move(found->second);
  undo_.push_back({nullptr, 0, nullptr, std::move(before)});
  if (next == nullptr) {
    tables_.erase(found);
  } else {
    found->second = std::move(next);
  }
  return {};
}

Result<void> Database::insert(Table& table, std::int64_t id, RowPtr row) {
  BUREAU_TRY_VOID(table.insert(id, std::move(row)));
  undo_.push_back({&table, id});
  return {};
}

Result<void> Database::replace(Table& table, Slot& slot, RowPtr row, ColumnBits changed) {
  BUREAU_TRY(RowPtr before, table.replace(slot, std::move(row), changed));
  undo_.push_back({&table, slot.first, std::move(before)});
  return {};
}

void Database::remove(Table& table, std::int64_t id) {
  undo_.push_back({&table, id, table.remove(id)});
}

Result<std::int64_t> Database::draw(std::int64_t count) {
  if (count < 1) return fail(Code::invalid, fmt::format("cannot draw {} numbers", count), "count");
  std::int64_t last = 0;
  if (__builtin_add_overflow(sequence_, count, &last))
    return fail(Code::exhausted, "the journal's numbers are used up");
  undo_.push_back({nullptr, sequence_});
  sequence_ = last;
  return last;
}

/// What was there once fits again, now that all after it is undone. Null: nothing was.
void Database::put_back(Table& table, std::int64_t id, RowPtr before) {
  Slot* const slot = table.find(id);
  if (before == nullptr) {
    table.remove(id);
  } else if (slot == nullptr) {
    static_cast<void>(table.insert(id, std::move(before)));
  } else {
    static_cast<void>(table.replace(*slot, std::move(before), ~ColumnBits{0}));
  }
}

void Database::roll_back(std::size_t mark) {
  while (undo_.size() > mark) {
    Undo undo = std::move(undo_.back());
    undo_.pop_back();
    if (undo.altered != nullptr) {
      tables_[undo.altered->name] = std::move(undo.altered->table);
    } else if (undo.table == nullptr) {
      sequence_ = undo.value;
    } else {
      put_back(*undo.table, undo.value, std::move(undo.before));
    }
  }
}

}  // namespace detail::memory

BUREAU_END_NAMESPACE
