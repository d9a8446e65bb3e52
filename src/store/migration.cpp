#include "bureau/store/migration.hpp"

#include <sodium.h>

#include <algorithm>

#include "store/migration_list.hpp"
#include "store/sql_text.hpp"

BUREAU_BEGIN_NAMESPACE

using detail::OperationKind;

// A row that is filled --------------------------------------------------------------------------

const ColumnInfo* FillRow::find(std::string_view column) {
  const ColumnInfo* found = table_.find(column);
  if (found == nullptr && unknown_.empty()) unknown_ = column;
  return found;
}

Value FillRow::get(std::string_view column) {
  const ColumnInfo* found = find(column);
  return found == nullptr ? Value() : row_[found->index];
}

void FillRow::set(std::string_view column, const Value& value) {
  const ColumnInfo* found = find(column);
  if (found == nullptr) return;
  if (found->index == 0) {
    if (unknown_.empty()) unknown_ = "id (which stays)";
    return;
  }
  const auto put = [&](const ColumnInfo& one, OwnedValue content) {
    const auto same = [&](const Change& change) { return change.column == &one; };
    const auto known = std::find_if(changes_.begin(), changes_.end(), same);
    if (known != changes_.end()) {
      known->value = std::move(content);
    } else {
      changes_.push_back({&one, std::move(content)});
    }
  };
  put(*found, OwnedValue(value));
  if (!found->folded) return;
  put(table_.columns[found->folded_index],
      value.is_null() ? OwnedValue() : OwnedValue::text(fold_case(value.as_text())));
}

// The list --------------------------------------------------------------------------------------

Migration::Migration(std::int64_t number, std::string name)
    : number_(number), name_(std::move(name)) {}

Migration& Migration::add_table(std::string table) {
  operations_.push_back(
      {OperationKind::add_table, std::move(table), {}, {}, {}, {}, {}, {}, {}, {}});
  return *this;
}

Migration& Migration::add_column(std::string table, std::string column, Json value) {
  operations_.push_back({OperationKind::add_column,
                         std::move(table),
                         std::move(column),
                         {},
                         std::move(value),
                         {},
                         {},
                         {},
                         {},
                         {}});
  return *this;
}

Migration& Migration::rename_column(std::string table, std::string from, std::string to) {
  operations_.push_back({OperationKind::rename_column,
                         std::move(table),
                         std::move(from),
                         std::move(to),
                         {},
                         {},
                         {},
                         {},
                         {},
                         {}});
  return *this;
}

Migration& Migration::drop_column(std::string table, std::string column, Json stand_in) {
  operations_.push_back({OperationKind::drop_column,
                         std::move(table),
                         std::move(column),
                         {},
                         std::move(stand_in),
                         {},
                         {},
                         {},
                         {},
                         {}});
  return *this;
}

Migration& Migration::drop_table(std::string table) {
  operations_.push_back(
      {OperationKind::drop_table, std::move(table), {}, {}, {}, {}, {}, {}, {}, {}});
  return *this;
}

Migration& Migration::require(std::string table, std::string column, Json value) {
  operations_.push_back({OperationKind::require,
                         std::move(table),
                         std::move(column),
                         {},
                         std::move(value),
                         {},
                         {},
                         {},
                         {},
                         {}});
  return *this;
}

Migration& Migration::fill(std::string table, std::string where, std::string label, FillFunction up,
                           FillFunction down, std::string down_where) {
  operations_.push_back({OperationKind::fill,
                         std::move(table),
                         {},
                         {},
                         {},
                         std::move(where),
                         std::move(label),
                         std::move(down_where),
                         std::move(up),
                         std::move(down)});
  return *this;
}

namespace {

/// As a record holds it, and as the checksum has it: frozen.
Json operation_json(const Migration::Operation& one) {
  static constexpr std::string_view kinds[] = {
      "add_table", "add_column", "rename_column", "drop_column", "drop_table", "require", "fill"};
  Json json =
      Json::object({{"op", kinds[static_cast<std::size_t>(one.kind)]}, {"table", one.table}});
  if (!one.column.empty()) json.set("column", one.column);
  if (!one.to.empty()) json.set("to", one.to);
  if (!one.value.is_null()) json.set("value", one.value);
  if (one.kind == OperationKind::fill) {
    json.set("where", one.where);
    json.set("label", one.label);
    if (one.down) json.set("down_where", one.down_where);
  }
  return json;
}

}  // namespace

std::string Migration::checksum() const {
  const std::string text =
      Json::array({Json(number_), Json(name_), detail::operations_json(*this)}).dump();
  unsigned char hash[16];
  crypto_generichash(hash, sizeof hash, reinterpret_cast<const unsigned char*>(text.data()),
                     text.size(), nullptr, 0);
  return detail::hex_digits({reinterpret_cast<const char*>(hash), sizeof hash});
}

bool MigrationPlan::loses() const {
  return std::any_of(steps.begin(), steps.end(),
                     [](const Step& step) { return !step.lost.empty(); });
}

namespace detail {

Json operations_json(const Migration& migration) {
  Json::Array operations;
  for (const Migration::Operation& one : migration.operations())
    operations.push_back(operation_json(one));
  return Json::array(std::move(operations));
}

}  // namespace detail
BUREAU_END_NAMESPACE
