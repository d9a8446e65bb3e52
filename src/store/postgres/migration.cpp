#include <fmt/format.h>

#include <map>

#include "bureau/store/predicate.hpp"
#include "store/postgres/functions.hpp"
#include "store/postgres/months.hpp"
#include "store/postgres/office_schema.hpp"
#include "store/predicate_check.hpp"
#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

constexpr std::string_view migrating = "a migration";

class Migration {
 public:
  Migration(Connection& connection, const Catalog& catalog, Monotonic deadline)
      : connection_(connection), catalog_(catalog), deadline_(deadline) {}

  Result<bool> run() {
    BUREAU_TRY_VOID(begin_alone(connection_, deadline_));
    auto done = bring_all_up();
    connection_.add_once(done ? "COMMIT" : "ROLLBACK");
    const Answers ended = connection_.exchange(deadline_);
    if (done && !ended.good()) {
      Error error = to_error(*ended.failure, where(), {migrating});
      if (connection_.is_broken()) error.code = Code::unknown_outcome;
      return fail(std::move(error));
    }
    BUREAU_TRY_VOID(std::move(done));
    return changed_;
  }

 private:
  [[nodiscard]] const std::string& where() const { return connection_.where(); }
  [[nodiscard]] std::string table_name(const TableInfo& table) const {
    return fmt::format("{}.{}", connection_.settings().schema, quoted(table.name));
  }

  Result<void> execute(std::string_view text, std::span<const Parameter> parameters = {}) {
    connection_.add_once(text, parameters);
    const Answers answers = connection_.exchange(deadline_);
    if (!answers.good()) return fail(to_error(*answers.failure, where(), {migrating}));
    return {};
  }

  Result<void> bring_all_up() {
    BUREAU_TRY_VOID(read_stored());
    for (const TableInfo* table : catalog_.tables()) BUREAU_TRY_VOID(bring_up(*table));
    return {};
  }

  Result<void> read_stored() {
    BUREAU_TRY(auto tables, read_definitions(connection_, deadline_));
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
    changed_ = true;
    const std::string text = definition.dump();
    const std::vector<Parameter> parameters = {
        {ParameterType::text, false, Value::text(table.name), {}},
        {ParameterType::text, false, Value::text(text), {}}};
    return execute(fmt::format("INSERT INTO {}.bureau_catalog(name,definition) VALUES($1,$2) ON "
                               "CONFLICT(name) DO UPDATE SET definition=excluded.definition",
                               connection_.settings().schema),
                   parameters);
  }

  Result<void> create(const TableInfo& table) {
    std::string columns;
    for (const ColumnInfo& column : table.columns) {
      if (!columns.empty()) columns += ", ";
      columns += quoted(column.name) + " " + column_type(column);
      if (column.index == 0) columns += " PRIMARY KEY";
    }
    BUREAU_TRY_VOID(execute(fmt::format("CREATE TABLE {}({}){}", table_name(table), columns,
                                        table.by_month ? by_range_of_ids : "")));
    if (table.by_month) {
      BUREAU_TRY_VOID(execute(default_partition(connection_.settings().schema, table.name)));
    }
    for (const IndexInfo& index : table.indexes) BUREAU_TRY_VOID(create(table, index));
    return {};
  }

  /// In the order in which generated SQL asks: nulls first, and after what the index is of, the id.
  [[nodiscard]] static std::string index_columns(const TableInfo& table, const IndexInfo& index) {
    std::string columns;
    bool has_id = false;
    for (const std::uint16_t column : index.columns) {
      if (!columns.empty()) columns += ",";
      columns += quoted(table.columns[column].name);
      if (column != 0) columns += " NULLS FIRST";
      has_id = has_id || column == 0;
    }
    if (!index.unique && !has_id) columns += ",\"id\"";
    return columns;
  }

  Result<void> create(const TableInfo& table, const IndexInfo& index) {
    Sql sql(connection_.settings().schema);
    sql << (index.unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ")
        << quoted(index_name(table, index.name)) << " ON " << table_name(table) << "("
        << index_columns(table, index) << ")";
    if (!index.where.empty()) {
      BUREAU_TRY(const Predicate condition, Predicate::parse(table, index.where, &catalog_));
      BUREAU_TRY_VOID(check_predicate(table, condition));
      sql << " WHERE ";
      append_predicate_literal(sql, condition);
    }
    auto made = execute(sql.text);
    if (made || made.error().code != Code::exists) return made;
    return fail(breaks_index(where(), table, index));
  }

  Result<void> change(const TableInfo& table, const Json& stored) {
    BUREAU_TRY(const TableChange change, change_of(where(), table, stored));
    for (const ColumnInfo* column : change.columns) BUREAU_TRY_VOID(add(table, *column));
    for (const ColumnInfo* column : change.folded) {
      BUREAU_TRY_VOID(execute(fmt::format("UPDATE {} SET {}={}", table_name(table),
                                          quoted(table.columns[column->folded_index].name),
                                          folded_sql(quoted(column->name)))));
    }
    for (const std::string& index : change.dropped) {
      BUREAU_TRY_VOID(execute(fmt::format("DROP INDEX {}.{}", connection_.settings().schema,
                                          quoted(index_name(table, index)))));
    }
    for (const IndexInfo* index : change.indexes) BUREAU_TRY_VOID(create(table, *index));
    return {};
  }

  Result<void> add(const TableInfo& table, const ColumnInfo& column) {
    Sql sql(connection_.settings().schema);
    sql << "ALTER TABLE " << table_name(table) << " ADD COLUMN " << quoted(column.name) << " "
        << column_type(column);
    if (!column.nullable) {
      sql << " DEFAULT ";
      sql.literal(natural_zero(column));
    }
    return execute(sql.text);
  }

  Connection& connection_;
  const Catalog& catalog_;
  Monotonic deadline_;
  std::map<std::string, Json, std::less<>> stored_;
  bool changed_ = false;
};

}  // namespace

Result<std::vector<StoredTable>> read_definitions(Connection& connection, Monotonic deadline) {
  connection.add_once(fmt::format("SELECT name,definition FROM {}.bureau_catalog ORDER BY name",
                                  connection.settings().schema));
  const Answers answers = connection.exchange(deadline);
  if (!answers.good()) {
    return fail(to_error(*answers.failure, connection.where(), {"reading what it holds"}));
  }
  std::vector<StoredTable> tables;
  const PGresult* const result = answers.results.back().get();
  for (int row = 0; row < PQntuples(result); ++row) {
    const std::string name(value_at(result, row, 0).as_text());
    BUREAU_TRY(Json definition, detail::read_definition(connection.where(), name,
                                                        value_at(result, row, 1).as_text()));
    tables.push_back({name, std::move(definition)});
  }
  return tables;
}

Result<bool> migrate_tables(Connection& connection, const Catalog& catalog, Monotonic deadline) {
  return Migration(connection, catalog, deadline).run();
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
