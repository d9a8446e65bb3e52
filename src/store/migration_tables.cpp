#include "store/migration_tables.hpp"

#include <algorithm>

#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

bool tolerates(const Tolerance::Columns& columns, const StoredTable& table,
               std::string_view column) {
  const auto holds = [&](std::string_view name) {
    return columns.count({table.name, std::string(name)}) > 0;
  };
  if (holds(column)) return true;
  // What holds of a column holds of its companion.
  return column.ends_with(companion_suffix) &&
         holds(column.substr(0, column.size() - companion_suffix.size()));
}

const Json* entry_named(const Json::Array& list, std::string_view name) {
  const auto found = std::find_if(
      list.begin(), list.end(), [&](const Json& one) { return text_member(one, "name") == name; });
  return found == list.end() ? nullptr : &*found;
}

/// A table as it is stored and as the program describes it, put together. The program's columns
/// come first, in its order.
class TableMerge {
 public:
  TableMerge(const StoredTable& stored, const TableInfo& table, const Tolerance& tolerance)
      : stored_(stored),
        tolerance_(tolerance),
        described_(definition_of(table)),
        columns_(list_member(stored.definition, "columns")),
        indexes_(list_member(stored.definition, "indexes")) {}

  [[nodiscard]] Json run() const {
    Json::Array columns = this->columns();
    Json::Array indexes = this->indexes();
    // Of a column that is not made now, or that is left out for the storage to refuse.
    std::erase_if(indexes, [&](const Json& index) {
      const Json::Array& of = list_member(index, "columns");
      return std::any_of(of.begin(), of.end(), [&](const Json& one) {
        return entry_named(columns, one.as_string() == nullptr ? "" : *one.as_string()) == nullptr;
      });
    });
    return table_definition(std::move(columns), std::move(indexes), is_by_month(described_));
  }

 private:
  [[nodiscard]] Json::Array columns() const {
    Json::Array all;
    for (const Json& own : list_member(described_, "columns")) {
      const std::string name = text_member(own, "name");
      const Json* there = entry_named(columns_, name);
      if (there != nullptr) {
        all.push_back(put_together(own, *there, name));
      } else if (tolerance_.adds && !tolerates(tolerance_.withheld, stored_, name)) {
        all.push_back(own);
      }
    }
    for (const Json& there : columns_) {
      const std::string name = text_member(there, "name");
      if (entry_named(list_member(described_, "columns"), name) != nullptr) continue;
      if (tolerance_.older || tolerates(tolerance_.kept, stored_, name)) all.push_back(there);
    }
    return all;
  }

  [[nodiscard]] Json put_together(Json own, const Json& there, std::string_view name) const {
    const Json* nullable = there.find("nullable");
    if (nullable != nullptr && *nullable == Json(true) &&
        (tolerance_.older || tolerates(tolerance_.nullable, stored_, name))) {
      own.set("nullable", true);
    }
    // Names are only appended, so that the longer list holds the other.
    const Json::Array& names = list_member(there, "names");
    if (tolerance_.older && names.size() > list_member(own, "names").size()) {
      own.set("names", Json::array(names));
    }
    return own;
  }

  [[nodiscard]] Json::Array indexes() const {
    if (tolerance_.older || tolerance_.indexes == Tolerance::Indexes::stored) return indexes_;
    Json::Array all = list_member(described_, "indexes");
    if (tolerance_.indexes == Tolerance::Indexes::own) return all;
    const std::size_t own = all.size();
    for (const Json& there : indexes_) {
      const auto begin = all.begin();
      const bool replaced = std::any_of(
          begin, begin + static_cast<std::ptrdiff_t>(own),
          [&](const Json& one) { return text_member(one, "name") == text_member(there, "name"); });
      if (!replaced) all.push_back(there);
    }
    return all;
  }

  const StoredTable& stored_;
  const Tolerance& tolerance_;
  Json described_;
  const Json::Array& columns_;
  const Json::Array& indexes_;
};

const StoredTable* stored_under(std::span<const StoredTable> stored, std::string_view name) {
  for (const StoredTable& one : stored) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

}  // namespace

Result<Catalog> tolerant_catalog(const Catalog& program, std::span<const StoredTable> stored,
                                 const Tolerance& tolerance) {
  Catalog all;
  for (const TableInfo* table : program.tables()) {
    const TableInfo* form = table;
    const StoredTable* there = stored_under(stored, table->name);
    if (there == nullptr && !tolerance.adds) continue;
    if (there != nullptr) {
      const StoredTable merged{there->name, TableMerge(*there, *table, tolerance).run()};
      if (!same_definition(merged.definition, definition_of(*table))) {
        BUREAU_TRY(const Catalog made, make_catalog(std::span(&merged, 1)));
        form = made.find(table->name);
      }
    }
    const bool internal = table->name.starts_with("bureau_");
    BUREAU_TRY_VOID(internal ? all.add_internal(*form) : all.add(*form));
  }
  return all;
}

bool is_stored(const Catalog& catalog, std::span<const StoredTable> stored) {
  const auto tables = catalog.tables();
  return std::all_of(tables.begin(), tables.end(), [&](const TableInfo* table) {
    const StoredTable* there = stored_under(stored, table->name);
    return there != nullptr && same_definition(there->definition, definition_of(*table)) &&
           list_member(there->definition, unbuilt_member).empty();
  });
}

}  // namespace detail
BUREAU_END_NAMESPACE
