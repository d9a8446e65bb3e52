#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "bureau/core/json.hpp"
#include "bureau/store/predicate.hpp"
#include "store/predicate_check.hpp"
#include "store/sqlite/file_format.hpp"
#include "store/sqlite/sql.hpp"
#include "store/sqlite/table_plan.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

constexpr std::string_view migrating = "a migration";

std::string_view storage_type(Type type) {
  switch (kind_of(type)) {
    case Value::Kind::real:
      return "REAL";
    case Value::Kind::text:
      return "TEXT";
    case Value::Kind::bytes:
      return "BLOB";
    default:
      return "INTEGER";
  }
}

/// What rows that were there before the column get, where it may not be null. Empty: there is no
/// value that would be right.
std::string_view natural_zero(Type type) {
  switch (type) {
    case Type::boolean:
    case Type::integer:
    case Type::duration:
    case Type::timestamp:
    case Type::enumeration:
      return "0";
    case Type::real:
      return "0.0";
    case Type::text:
      return "''";
    case Type::json:
      return "'null'";
    case Type::bytes:
      return "x''";
    default:
      return {};
  }
}

// The stored definition of a table ---------------------------------------------------------------

Json definition_of(const ColumnInfo& column) {
  Json json = Json::object(
      {{"name", column.name}, {"type", to_string(column.type)}, {"nullable", column.nullable}});
  if (column.type != Type::enumeration) return json;
  Json::Array names;
  for (const std::string_view name : column.names) names.emplace_back(name);
  json.set("names", Json::array(std::move(names)));
  return json;
}

Json definition_of(const TableInfo& table, const IndexInfo& index) {
  Json::Array columns;
  for (const std::uint16_t column : index.columns) columns.emplace_back(table.columns[column].name);
  return Json::object({{"name", index.name},
                       {"columns", Json::array(std::move(columns))},
                       {"unique", index.unique},
                       {"where", index.where}});
}

Json definition_of(const TableInfo& table) {
  Json::Array columns;
  Json::Array indexes;
  for (const ColumnInfo& column : table.columns) columns.push_back(definition_of(column));
  for (const IndexInfo& index : table.indexes) indexes.push_back(definition_of(table, index));
  return Json::object(
      {{"columns", Json::array(std::move(columns))}, {"indexes", Json::array(std::move(indexes))}});
}

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

class Migration {
 public:
  Migration(Connection& connection, const Catalog& catalog)
      : connection_(connection), catalog_(catalog) {}

  Result<void> run() {
    BUREAU_TRY_VOID(read_definitions());
    for (const TableInfo* table : catalog_.tables()) BUREAU_TRY_VOID(bring_up(*table));
    return {};
  }

 private:
  Result<void> read_definitions() {
    BUREAU_TRY(const Statement statement,
               connection_.prepare("SELECT name,definition FROM bureau_catalog"));
    int code = statement.step();
    for (; code == SQLITE_ROW; code = statement.step()) {
      const std::string name(column_value(statement.get(), 0).as_text());
      auto definition = Json::parse(column_value(statement.get(), 1).as_text());
      if (!definition) {
        return fail(Code::corrupt,
                    fmt::format("{}: the stored definition of table '{}': {}", connection_.path(),
                                name, definition.error().message));
      }
      stored_.emplace(name, *std::move(definition));
    }
    if (code != SQLITE_DONE) return fail(connection_.error(code, migrating));
    return {};
  }

  Result<void> bring_up(const TableInfo& table) {
    const Json definition = definition_of(table);
    const auto stored = stored_.find(table.name);
    if (stored == stored_.end()) {
      BUREAU_TRY_VOID(create(table));
    } else if (stored->second == definition) {
      return {};
    } else {
      BUREAU_TRY_VOID(check_kept(table, stored->second));
      BUREAU_TRY_VOID(add_columns(table, stored->second));
      BUREAU_TRY_VOID(change_indexes(table, stored->second));
    }
    return store(table, definition);
  }

  Result<void> store(const TableInfo& table, const Json& definition) {
    const std::string text = definition.dump();
    BUREAU_TRY(const Statement statement,
               connection_.prepare("INSERT INTO bureau_catalog(name,definition) VALUES(?,?)"
                                   " ON CONFLICT(name) DO UPDATE SET definition="
                                   "excluded.definition"));
    statement.bind(1, Value::text(table.name));
    statement.bind(2, Value::text(text));
    const int code = statement.step();
    if (code != SQLITE_DONE) return fail(connection_.error(code, migrating));
    return {};
  }

  Result<void> execute(const std::string& sql) { return connection_.execute(sql, migrating); }

  /// No NOT NULL: check_row() holds that rule, and a column may later be allowed to be null.
  Result<void> create(const TableInfo& table) {
    std::string columns;
    for (const ColumnInfo& column : table.columns) {
      if (!columns.empty()) columns += ", ";
      columns += quoted(column.name);
      columns += column.index == 0 ? " INTEGER PRIMARY KEY"
                                   : fmt::format(" {}", storage_type(column.type));
    }
    BUREAU_TRY_VOID(
        execute(fmt::format("CREATE TABLE {}({}) STRICT", quoted(table.name), columns)));
    for (const IndexInfo& index : table.indexes) BUREAU_TRY_VOID(create(table, index));
    return {};
  }

  static std::string index_name(const TableInfo& table, std::string_view index) {
    return detail::sqlite::quoted(fmt::format("{}_{}", table.name, index));
  }

  Result<void> create(const TableInfo& table, const IndexInfo& index) {
    std::string columns;
    for (const std::uint16_t column : index.columns) {
      if (!columns.empty()) columns += ",";
      columns += quoted(table.columns[column].name);
    }
    std::string where;
    if (!index.where.empty()) {
      BUREAU_TRY(const Predicate condition, Predicate::parse(table, index.where, &catalog_));
      BUREAU_TRY_VOID(check_predicate(table, condition));
      where = " WHERE " + predicate_literal(condition);
    }
    auto made =
        execute(fmt::format("CREATE {}INDEX {} ON {}({}){}", index.unique ? "UNIQUE " : "",
                            index_name(table, index.name), quoted(table.name), columns, where));
    if (made || made.error().code != Code::exists) return made;
    const std::string_view last = table.columns[index.columns.back()].name;
    return fail(Code::conflict,
                fmt::format("{}: table '{}' holds values twice that index '{}' wants unique",
                            connection_.path(), table.name, index.name),
                std::string(last));
  }

  tl::unexpected<Error> refuse(const TableInfo& table, std::string_view column,
                               std::string_view rule) const {
    return fail(Code::conflict,
                fmt::format("{}: column {}.{} {}", connection_.path(), table.name, column, rule),
                std::string(column));
  }

  /// That no stored column would be lost or read as something else.
  Result<void> check_kept(const TableInfo& table, const Json& stored) const {
    for (const Json& old : list_member(stored, "columns")) {
      const std::string name = text_member(old, "name");
      const auto now = std::find_if(table.columns.begin(), table.columns.end(),
                                    [&](const ColumnInfo& column) { return column.name == name; });
      if (now == table.columns.end()) return refuse(table, name, "is no longer described");
      const std::string type = text_member(old, "type");
      if (type != to_string(now->type)) {
        return refuse(table, name,
                      fmt::format("was {} and is now described as {}", type, to_string(now->type)));
      }
      const Json* nullable = old.find("nullable");
      if (nullable != nullptr && *nullable == Json(true) && !now->nullable) {
        return refuse(table, name, "may hold nulls and is now described as one that may not");
      }
      const Json::Array& names = list_member(old, "names");
      const bool kept = names.size() <= now->names.size() &&
                        std::equal(names.begin(), names.end(), now->names.begin(),
                                   [](const Json& a, std::string_view b) { return a == Json(b); });
      if (!kept) return refuse(table, name, "has names that changed; names can only be appended");
    }
    return {};
  }

  Result<void> add_columns(const TableInfo& table, const Json& stored) {
    std::vector<bool> added(table.width());
    for (const ColumnInfo& column : table.columns) {
      const auto& old = list_member(stored, "columns");
      added[column.index] = std::none_of(old.begin(), old.end(), [&](const Json& one) {
        return text_member(one, "name") == column.name;
      });
      if (added[column.index]) BUREAU_TRY_VOID(add(table, column));
    }
    for (const ColumnInfo& column : table.columns) {
      if (!column.folded || !added[column.folded_index]) continue;
      BUREAU_TRY_VOID(execute(fmt::format("UPDATE {} SET {}=bureau_fold({})", quoted(table.name),
                                          quoted(table.columns[column.folded_index].name),
                                          quoted(column.name))));
    }
    return {};
  }

  Result<void> add(const TableInfo& table, const ColumnInfo& column) {
    std::string value;
    if (!column.nullable) {
      const std::string_view zero = natural_zero(column.type);
      if (zero.empty()) {
        return refuse(table, column.name,
                      fmt::format("is new, of type {} and not null: the rows that are there have "
                                  "no value for it",
                                  to_string(column.type)));
      }
      value = fmt::format(" DEFAULT {}", zero);
    }
    return execute(fmt::format("ALTER TABLE {} ADD COLUMN {} {}{}", quoted(table.name),
                               quoted(column.name), storage_type(column.type), value));
  }

  Result<void> change_indexes(const TableInfo& table, const Json& stored) {
    const Json::Array& old = list_member(stored, "indexes");
    const auto keeps = [&](const Json& one) {
      return std::any_of(table.indexes.begin(), table.indexes.end(), [&](const IndexInfo& index) {
        return definition_of(table, index) == one;
      });
    };
    for (const Json& one : old) {
      if (keeps(one)) continue;
      BUREAU_TRY_VOID(execute("DROP INDEX " + index_name(table, text_member(one, "name"))));
    }
    for (const IndexInfo& index : table.indexes) {
      if (std::find(old.begin(), old.end(), definition_of(table, index)) != old.end()) continue;
      BUREAU_TRY_VOID(create(table, index));
    }
    return {};
  }

  Connection& connection_;
  const Catalog& catalog_;
  std::map<std::string, Json, std::less<>> stored_;
};

}  // namespace

Result<void> migrate_tables(Connection& connection, const Catalog& catalog) {
  return Migration(connection, catalog).run();
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
