#include "bureau/store/stored_catalog.hpp"

#include <fmt/format.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// A table and the texts that its description points to.
struct KeptTable {
  TableInfo info;
  std::deque<std::string> texts;
  std::deque<std::vector<std::string_view>> names;

  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
};

std::optional<Type> type_named(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Type::bytes); ++i) {
    if (to_string(static_cast<Type>(i)) == name) return static_cast<Type>(i);
  }
  return std::nullopt;
}

/// Reads one stored definition.
class DefinitionReader {
 public:
  DefinitionReader(const StoredTable& stored, KeptTable& kept) : stored_(stored), kept_(kept) {}

  Result<void> run() {
    TableInfo& table = kept_.info;
    table.name = kept_.keep(stored_.name);
    table.prefix = table.name;  // unique, as a catalog wants it
    for (const Json& column : detail::list_member(stored_.definition, "columns")) {
      BUREAU_TRY_VOID(add_column(column));
    }
    for (const Json& index : detail::list_member(stored_.definition, "indexes")) {
      BUREAU_TRY_VOID(add_index(index));
    }
    if (table.columns.empty() || table.columns[0].name != "id") return damaged("has no id");
    table.by_month = detail::is_by_month(stored_.definition);
    mark_companions();
    table.tenant = position("tenant");
    table.version = position("version");
    table.created_at = position("created_at");
    table.updated_at = position("updated_at");
    return {};
  }

 private:
  [[nodiscard]] Unexpected damaged(std::string_view what) const {
    return fail(Code::corrupt,
                fmt::format("the stored definition of table '{}' {}", stored_.name, what));
  }
  [[nodiscard]] int position(std::string_view name) const {
    const ColumnInfo* column = kept_.info.find(name);
    return column == nullptr ? TableInfo::absent : column->index;
  }

  Result<void> add_column(const Json& json) {
    ColumnInfo column;
    column.name = kept_.keep(detail::text_member(json, "name"));
    const auto type = type_named(detail::text_member(json, "type"));
    if (column.name.empty() || !type) {
      return damaged(fmt::format("has a column '{}' of no known type", column.name));
    }
    column.type = *type;
    const Json* nullable = json.find("nullable");
    column.nullable = nullable != nullptr && *nullable == Json(true);
    auto& names = kept_.names.emplace_back();
    for (const Json& name : detail::list_member(json, "names")) {
      const std::string* text = name.as_string();
      if (text == nullptr) return damaged("has names that are no texts");
      names.push_back(kept_.keep(*text));
    }
    column.names = names;
    column.index = static_cast<std::uint16_t>(kept_.info.columns.size());
    kept_.info.columns.push_back(column);
    return {};
  }

  Result<void> add_index(const Json& json) {
    IndexInfo index;
    index.name = kept_.keep(detail::text_member(json, "name"));
    index.where = kept_.keep(detail::text_member(json, "where"));
    const Json* unique = json.find("unique");
    index.unique = unique != nullptr && *unique == Json(true);
    for (const Json& column : detail::list_member(json, "columns")) {
      const std::string* name = column.as_string();
      const ColumnInfo* found = name == nullptr ? nullptr : kept_.info.find(*name);
      if (found == nullptr) return damaged("has an index of a column that is not there");
      index.columns.push_back(found->index);
    }
    if (index.name.empty() || index.columns.empty()) return damaged("has an index without columns");
    kept_.info.indexes.push_back(std::move(index));
    return {};
  }

  void mark_companions() {
    TableInfo& table = kept_.info;
    for (ColumnInfo& column : table.columns) {
      if (!column.name.ends_with(detail::companion_suffix)) continue;
      column.hidden = true;
      const auto stem = column.name.substr(0, column.name.size() - detail::companion_suffix.size());
      for (ColumnInfo& folded : table.columns) {
        if (folded.name != stem) continue;
        folded.folded = true;
        folded.folded_index = column.index;
      }
    }
  }

  const StoredTable& stored_;
  KeptTable& kept_;
};

Result<const TableInfo*> keep_table(const StoredTable& stored) {
  static std::mutex mutex;
  // Never destroyed: storages may point into it until the very end.
  static auto* kept = new std::map<std::string, std::unique_ptr<KeptTable>>;
  const std::string key = stored.name + " " + stored.definition.dump();
  const std::lock_guard lock(mutex);
  if (const auto found = kept->find(key); found != kept->end()) return &found->second->info;
  auto made = std::make_unique<KeptTable>();
  BUREAU_TRY_VOID(DefinitionReader(stored, *made).run());
  return &kept->emplace(key, std::move(made)).first->second->info;
}

}  // namespace

Result<Catalog> make_catalog(std::span<const StoredTable> tables) {
  Catalog catalog;
  for (const StoredTable& stored : tables) {
    BUREAU_TRY(const TableInfo* table, keep_table(stored));
    auto added =
        stored.name.starts_with("bureau_") ? catalog.add_internal(*table) : catalog.add(*table);
    if (!added) return fail(Code::corrupt, "a stored definition: " + added.error().message);
  }
  return catalog;
}

BUREAU_END_NAMESPACE
