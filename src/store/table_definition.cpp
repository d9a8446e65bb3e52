#include "store/table_definition.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

Json definition_of(const TableInfo& table, const IndexInfo& index) {
  Json::Array columns;
  for (const std::uint16_t column : index.columns) columns.emplace_back(table.columns[column].name);
  return Json::object({{"name", index.name},
                       {"columns", Json::array(std::move(columns))},
                       {"unique", index.unique},
                       {"where", index.where}});
}

/// Compares one table's description with its stored definition.
class Comparison {
 public:
  Comparison(std::string_view where, const TableInfo& table, const Json& stored)
      : where_(where), table_(table), stored_(stored) {}

  Result<TableChange> run() {
    BUREAU_TRY_VOID(check_kept());
    BUREAU_TRY_VOID(find_columns());
    find_indexes();
    return std::move(change_);
  }

 private:
  tl::unexpected<Error> refuse(std::string_view column, std::string_view rule) const {
    return fail(Code::conflict,
                fmt::format("{}: column {}.{} {}", where_, table_.name, column, rule),
                std::string(column));
  }

  /// That no stored column would be lost or read as something else.
  [[nodiscard]] Result<void> check_kept() const {
    for (const Json& old : list_member(stored_, "columns")) {
      const std::string name = text_member(old, "name");
      const ColumnInfo* const now = table_.find(name);
      if (now == nullptr) return refuse(name, "is no longer described");
      const std::string type = text_member(old, "type");
      if (type != to_string(now->type)) {
        return refuse(name,
                      fmt::format("was {} and is now described as {}", type, to_string(now->type)));
      }
      const Json* nullable = old.find("nullable");
      if (nullable != nullptr && *nullable == Json(true) && !now->nullable) {
        return refuse(name, "may hold nulls and is now described as one that may not");
      }
      const Json::Array& names = list_member(old, "names");
      const bool kept = names.size() <= now->names.size() &&
                        std::equal(names.begin(), names.end(), now->names.begin(),
                                   [](const Json& a, std::string_view b) { return a == Json(b); });
      if (!kept) return refuse(name, "has names that changed; names can only be appended");
    }
    return {};
  }

  Result<void> find_columns() {
    const Json::Array& old = list_member(stored_, "columns");
    std::vector<bool> added(table_.width());
    for (const ColumnInfo& column : table_.columns) {
      added[column.index] = std::none_of(old.begin(), old.end(), [&](const Json& one) {
        return text_member(one, "name") == column.name;
      });
      if (!added[column.index]) continue;
      if (column.type == Type::id && !column.nullable) {
        return refuse(column.name,
                      fmt::format("is new, of type {} and not null: the rows that are there have "
                                  "no value for it",
                                  to_string(column.type)));
      }
      change_.columns.push_back(&column);
    }
    for (const ColumnInfo& column : table_.columns) {
      if (column.folded && added[column.folded_index]) change_.folded.push_back(&column);
    }
    return {};
  }

  void find_indexes() {
    const Json::Array& old = list_member(stored_, "indexes");
    for (const Json& one : old) {
      const bool kept =
          std::any_of(table_.indexes.begin(), table_.indexes.end(),
                      [&](const IndexInfo& index) { return definition_of(table_, index) == one; });
      if (!kept) change_.dropped.push_back(text_member(one, "name"));
    }
    for (const IndexInfo& index : table_.indexes) {
      if (std::find(old.begin(), old.end(), definition_of(table_, index)) == old.end()) {
        change_.indexes.push_back(&index);
      }
    }
  }

  std::string_view where_;
  const TableInfo& table_;
  const Json& stored_;
  TableChange change_;
};

}  // namespace

std::string text_member(const Json& json, std::string_view key) {
  const Json* found = json.find(key);
  const std::string* text = found == nullptr ? nullptr : found->as_string();
  return text == nullptr ? std::string() : *text;
}

const Json::Array& list_member(const Json& json, std::string_view key) {
  static const Json::Array none;
  const Json* found = json.find(key);
  const Json::Array* items = found == nullptr ? nullptr : found->as_array();
  return items == nullptr ? none : *items;
}

Json column_definition(const ColumnInfo& column) {
  Json json = Json::object(
      {{"name", column.name}, {"type", to_string(column.type)}, {"nullable", column.nullable}});
  if (column.type != Type::enumeration) return json;
  Json::Array names;
  for (const std::string_view name : column.names) names.emplace_back(name);
  json.set("names", Json::array(std::move(names)));
  return json;
}

Json definition_of(const TableInfo& table) {
  Json::Array columns;
  Json::Array indexes;
  for (const ColumnInfo& column : table.columns) columns.push_back(column_definition(column));
  for (const IndexInfo& index : table.indexes) indexes.push_back(definition_of(table, index));
  return table_definition(std::move(columns), std::move(indexes), table.by_month);
}

Json table_definition(Json::Array columns, Json::Array indexes, bool by_month) {
  Json made = Json::object(
      {{"columns", Json::array(std::move(columns))}, {"indexes", Json::array(std::move(indexes))}});
  if (by_month) made.set("by_month", true);
  return made;
}

bool is_by_month(const Json& definition) {
  const Json* found = definition.find("by_month");
  return found != nullptr && *found == Json(true);
}

bool same_definition(const Json& stored, const Json& described) {
  const auto same = [&](std::string_view key) {
    const Json::Array& there = list_member(stored, key);
    const Json::Array& here = list_member(described, key);
    return there.size() == here.size() &&
           std::is_permutation(there.begin(), there.end(), here.begin());
  };
  return same("columns") && same("indexes") && (is_by_month(stored) || !is_by_month(described));
}

Result<Json> read_definition(std::string_view where, std::string_view table,
                             std::string_view text) {
  auto definition = Json::parse(text);
  if (definition) return definition;
  return fail(Code::corrupt, fmt::format("{}: the stored definition of table '{}': {}", where,
                                         table, definition.error().message));
}

Result<TableChange> change_of(std::string_view where, const TableInfo& table, const Json& stored) {
  return Comparison(where, table, stored).run();
}

Error breaks_index(std::string_view where, const TableInfo& table, const IndexInfo& index) {
  return {Code::conflict,
          fmt::format("{}: table '{}' holds values twice that index '{}' wants unique", where,
                      table.name, index.name),
          std::string(table.columns[index.columns.back()].name)};
}

}  // namespace detail
BUREAU_END_NAMESPACE
