#include <fmt/format.h>

#include <map>

#include "bureau/store/stored_catalog.hpp"
#include "store/sqlite/alteration.hpp"
#include "store/sqlite/backup_file.hpp"
#include "store/sqlite/file_format.hpp"
#include "store/sqlite/sql.hpp"
#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

constexpr std::string_view migrating = "a migration";

class Migration {
 public:
  Migration(Connection& connection, const Catalog& catalog)
      : connection_(connection), catalog_(catalog) {}

  Result<void> run() {
    BUREAU_TRY_VOID(read_stored());
    for (const TableInfo* table : catalog_.tables()) BUREAU_TRY_VOID(bring_up(*table));
    return {};
  }

 private:
  Result<void> read_stored() {
    BUREAU_TRY(auto tables, read_definitions(connection_));
    for (StoredTable& one : tables) {
      stored_.emplace(std::move(one.name), std::move(one.definition));
    }
    return {};
  }

  Result<void> bring_up(const TableInfo& table) {
    const Json definition = definition_of(table);
    const auto stored = stored_.find(table.name);
    if (stored == stored_.end()) {
      BUREAU_TRY_VOID(create(table));
    } else if (same_definition(stored->second, definition)) {
      return {};
    } else {
      BUREAU_TRY_VOID(change(table, stored->second));
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
    for (const IndexInfo& index : table.indexes)
      BUREAU_TRY_VOID(create_index(connection_, table, index));
    return {};
  }

  static std::string index_name(const TableInfo& table, std::string_view index) {
    return detail::quoted(fmt::format("{}_{}", table.name, index));
  }

  Result<void> change(const TableInfo& table, const Json& stored) {
    BUREAU_TRY(const TableChange change, change_of(connection_.path(), table, stored));
    for (const ColumnInfo* column : change.columns) BUREAU_TRY_VOID(add(table, *column));
    for (const ColumnInfo* column : change.folded) {
      BUREAU_TRY_VOID(execute(fmt::format("UPDATE {} SET {}=bureau_fold({})", quoted(table.name),
                                          quoted(table.columns[column->folded_index].name),
                                          quoted(column->name))));
    }
    for (const std::string& index : change.dropped) {
      BUREAU_TRY_VOID(execute("DROP INDEX " + index_name(table, index)));
    }
    for (const IndexInfo* index : change.indexes)
      BUREAU_TRY_VOID(create_index(connection_, table, *index));
    return {};
  }

  Result<void> add(const TableInfo& table, const ColumnInfo& column) {
    Sql sql;
    sql << fmt::format("ALTER TABLE {} ADD COLUMN {} {}", quoted(table.name), quoted(column.name),
                       storage_type(column.type));
    if (!column.nullable) {
      sql << " DEFAULT ";
      sql.literal(natural_zero(column));
    }
    return execute(sql.text);
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
