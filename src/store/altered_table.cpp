#include "store/altered_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "bureau/store/stored_catalog.hpp"
#include "store/predicate_parse.hpp"
#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

bool asks_for(const Predicate::NodePtr& node, const ColumnInfo& column) {
  if (node == nullptr) return false;
  if (node->column != nullptr && node->column->name == column.name) return true;
  return std::any_of(node->children.begin(), node->children.end(),
                     [&](const Predicate::NodePtr& child) { return asks_for(child, column); });
}

Result<const TableInfo*> altered_info(const std::string& name, const Json& definition) {
  const StoredTable stored{name, definition};
  BUREAU_TRY(const Catalog catalog, make_catalog(std::span(&stored, 1)));
  return catalog.find(name);
}

/// Makes the definition that comes after.
class TableAlteration {
 public:
  TableAlteration(std::string_view where, const Json& stored, const Alteration& alteration)
      : where_(where), stored_(stored), alteration_(alteration) {}

  Result<AlteredTable> run() {
    BUREAU_TRY(made_.before, altered_info(alteration_.table, stored_));
    columns_ = list_member(stored_, "columns");
    indexes_ = list_member(stored_, "indexes");
    BUREAU_TRY_VOID(find_column());
    BUREAU_TRY_VOID(change());
    if (alteration_.kind == Alteration::Kind::drop_table) return std::move(made_);
    made_.definition =
        table_definition(std::move(columns_), std::move(indexes_), is_by_month(stored_));
    if (const Json* unbuilt = stored_.find(unbuilt_member)) {
      made_.definition.set(std::string(unbuilt_member), *unbuilt);
    }
    BUREAU_TRY(made_.after, altered_info(alteration_.table, made_.definition));
    if (!added_.empty()) made_.added = made_.after->find(added_);
    return std::move(made_);
  }

 private:
  [[nodiscard]] Unexpected refuse(Code code, std::string_view column, std::string_view rule) const {
    return fail(code, fmt::format("{}: column {}.{} {}", where_, alteration_.table, column, rule),
                std::string(column));
  }

  Result<void> find_column() {
    if (alteration_.kind == Alteration::Kind::add_column ||
        alteration_.kind == Alteration::Kind::drop_table)
      return {};
    made_.column = made_.before->find(alteration_.column);
    if (made_.column == nullptr) {
      return refuse(Code::invalid, alteration_.column, "is not there");
    }
    if (made_.column->index == 0) return refuse(Code::invalid, "id", "stays as it is");
    return {};
  }

  Result<void> change() {
    switch (alteration_.kind) {
      case Alteration::Kind::add_column:
        return add(alteration_.described);
      case Alteration::Kind::mirror:
        return mirror();
      case Alteration::Kind::drop_column:
        return drop();
      case Alteration::Kind::require:
        described().set("nullable", false);
        return {};
      case Alteration::Kind::end_mirror:
        if (made_.before->find(alteration_.other) != nullptr) return {};
        return refuse(Code::invalid, alteration_.other, "is not there");
      default:
        return {};
    }
  }

  Result<void> add(Json column) {
    added_ = text_member(column, "name");
    if (!is_plain_name(added_)) {
      return refuse(Code::invalid, added_, "is no name: [a-z][a-z0-9_]*, at most 48 bytes");
    }
    if (made_.before->find(added_) != nullptr) return refuse(Code::exists, added_, "is there");
    columns_.push_back(std::move(column));
    return {};
  }

  Result<void> mirror() {
    Json column = described();
    column.set("name", alteration_.other);
    column.set("nullable", true);
    return add(std::move(column));
  }

  Result<void> drop() {
    const auto goes = [&](const Json& one) {
      return text_member(one, "name") == made_.column->name;
    };
    std::erase_if(columns_, goes);
    for (const IndexInfo& index : made_.before->indexes) {
      if (uses(*made_.before, index, *made_.column)) made_.dropped.emplace_back(index.name);
    }
    std::erase_if(indexes_, [&](const Json& one) {
      return std::find(made_.dropped.begin(), made_.dropped.end(), text_member(one, "name")) !=
             made_.dropped.end();
    });
    return {};
  }

  /// REQUIRES: it is there.
  Json& described() {
    return *std::find_if(columns_.begin(), columns_.end(), [&](const Json& one) {
      return text_member(one, "name") == alteration_.column;
    });
  }

  std::string_view where_;
  const Json& stored_;
  const Alteration& alteration_;
  AlteredTable made_;
  Json::Array columns_, indexes_;
  std::string added_;
};

}  // namespace

bool uses(const TableInfo& table, const IndexInfo& index, const ColumnInfo& column) {
  const auto is_it = [&](std::uint16_t place) { return place == column.index; };
  if (std::any_of(index.columns.begin(), index.columns.end(), is_it)) return true;
  if (index.where.empty()) return false;
  const auto condition = parse_index_condition(table, index.where);
  return !condition || asks_for(condition->node(), column);
}

Error holds_nulls(std::string_view where, const Alteration& alteration) {
  return {Code::conflict,
          fmt::format("{}: rows of {} have no {}", where, alteration.table, alteration.column),
          alteration.column};
}

Result<AlteredTable> altered_table(std::string_view where, const Json* stored,
                                   const Alteration& alteration) {
  if (stored != nullptr) return TableAlteration(where, *stored, alteration).run();
  return fail(Code::invalid, fmt::format("{}: there is no table '{}'", where, alteration.table),
              alteration.table);
}

}  // namespace detail
BUREAU_END_NAMESPACE
