#include "store/sqlite/alteration.hpp"

#include <fmt/format.h>

#include "store/altered_table.hpp"
#include "store/predicate_check.hpp"
#include "store/predicate_parse.hpp"
#include "store/sqlite/sql.hpp"
#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

constexpr std::string_view altering = "a migration";

using Kind = Alteration::Kind;

/// One alteration as statements. Two columns are kept in step by triggers: they see the writes of
/// all programs, whatever version those are. A row is changed after it was written, since SQLite's
/// triggers cannot change it before; no program reads the other column back from its own write.
class Altering {
 public:
  Altering(Connection& connection, const Alteration& alteration)
      : connection_(connection), alteration_(alteration), table_(quoted(alteration.table)) {}

  Result<void> run() {
    BUREAU_TRY(const auto stored, read_stored());
    BUREAU_TRY(made_, altered_table(connection_.path(), stored ? &*stored : nullptr, alteration_));
    BUREAU_TRY_VOID(check());
    // First, so that whoever undoes the write sees that something was changed.
    BUREAU_TRY_VOID(store_definition());
    return change();
  }

 private:
  Result<void> execute(const std::string& sql) { return connection_.execute(sql, altering); }

  Result<std::optional<Json>> read_stored() {
    BUREAU_TRY(const Statement statement,
               connection_.prepare("SELECT definition FROM bureau_catalog WHERE name=?"));
    statement.bind(1, Value::text(alteration_.table));
    const int code = statement.step();
    if (code == SQLITE_DONE) return std::optional<Json>();
    if (code != SQLITE_ROW) return fail(connection_.error(code, altering));
    BUREAU_TRY(Json definition, read_definition(connection_.path(), alteration_.table,
                                                column_value(statement.get(), 0).as_text()));
    return std::optional(std::move(definition));
  }

  Result<void> store_definition() {
    const bool gone = made_.after == nullptr;
    const std::string text = made_.definition.dump();
    BUREAU_TRY(const Statement statement,
               connection_.prepare(gone ? "DELETE FROM bureau_catalog WHERE name=?1"
                                        : "UPDATE bureau_catalog SET definition=?2 WHERE name=?1"));
    statement.bind(1, Value::text(alteration_.table));
    if (!gone) statement.bind(2, Value::text(text));
    const int code = statement.step();
    if (code != SQLITE_DONE) return fail(connection_.error(code, altering));
    return {};
  }

  Result<void> check() {
    if (alteration_.kind == Kind::require) {
      BUREAU_TRY(const std::int64_t nulls,
                 connection_.query_integer(
                     fmt::format("SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1", table_, column()),
                     altering));
      if (nulls != 0) return fail(holds_nulls(connection_.path(), alteration_));
    }
    return {};
  }

  /// What is not given is then null, and can be told from what is. SQLite has no word for it.
  Result<void> drop_default() {
    BUREAU_TRY(const std::int64_t defaults,
               connection_.query_integer(
                   fmt::format("SELECT count(*) FROM pragma_table_info({}) WHERE name={} AND "
                               "dflt_value IS NOT NULL",
                               text_literal(alteration_.table), text_literal(alteration_.column)),
                   altering));
    if (defaults == 0) return {};
    std::vector<const IndexInfo*> indexes;
    for (const IndexInfo& index : made_.before->indexes) {
      if (uses(*made_.before, index, *made_.column)) indexes.push_back(&index);
    }
    for (const IndexInfo* index : indexes) BUREAU_TRY_VOID(drop_index(index->name));
    const std::string was = quoted("bureau_was");
    BUREAU_TRY_VOID(
        execute(fmt::format("ALTER TABLE {} RENAME COLUMN {} TO {}", table_, column(), was)));
    BUREAU_TRY_VOID(add(*made_.column, Value()));
    BUREAU_TRY_VOID(execute(fmt::format("UPDATE {} SET {}={}", table_, column(), was)));
    BUREAU_TRY_VOID(execute(fmt::format("ALTER TABLE {} DROP COLUMN {}", table_, was)));
    for (const IndexInfo* index : indexes) {
      BUREAU_TRY_VOID(create_index(connection_, *made_.before, *index));
    }
    return {};
  }

  Result<void> drop_index(std::string_view index) {
    return execute("DROP INDEX IF EXISTS " +
                   quoted(fmt::format("{}_{}", alteration_.table, index)));
  }

  Result<void> change() {
    switch (alteration_.kind) {
      case Kind::add_column:
        return add(*made_.added, alteration_.value.view());
      case Kind::mirror:
        BUREAU_TRY_VOID(drop_default());
        BUREAU_TRY_VOID(add(*made_.added, Value()));
        return mirror();
      case Kind::end_mirror:
        for (const char* when : {"insert", "old", "new"}) {
          BUREAU_TRY_VOID(execute("DROP TRIGGER IF EXISTS " + trigger("mirror", when)));
        }
        return {};
      case Kind::stand_in:
        return stand_in();
      case Kind::end_stand_in:
        return execute("DROP TRIGGER IF EXISTS " + trigger("stand_in", "insert"));
      case Kind::drop_column:
        for (const std::string& index : made_.dropped) BUREAU_TRY_VOID(drop_index(index));
        return execute(fmt::format("ALTER TABLE {} DROP COLUMN {}", table_, column()));
      case Kind::drop_table:
        return execute("DROP TABLE " + table_);
      case Kind::require:
        break;  // check_row() holds that rule
    }
    return {};
  }

  Result<void> add(const ColumnInfo& added, const Value& value) {
    Sql sql;
    sql << "ALTER TABLE " << table_ << " ADD COLUMN " << quoted(added.name) << " "
        << storage_type(added.type);
    if (!value.is_null()) {
      sql << " DEFAULT ";
      sql.literal(value);
    }
    return execute(sql.text);
  }

  Result<void> mirror() {
    const std::string from = column();
    const std::string to = quoted(alteration_.other);
    const auto make = [&](std::string_view when, const std::string& what, const std::string& set) {
      return execute(
          fmt::format("CREATE TRIGGER {} AFTER {} ON {} WHEN NEW.{} IS NOT NEW.{} BEGIN "
                      "UPDATE {} SET {} WHERE \"id\"=NEW.\"id\"; END",
                      trigger("mirror", when), what, table_, to, from, table_, set));
    };
    // Of an insert only one of the two is given.
    BUREAU_TRY_VOID(
        make("insert", "INSERT",
             fmt::format("{0}=coalesce(NEW.{1},NEW.{0}),{1}=coalesce(NEW.{1},NEW.{0})", from, to)));
    BUREAU_TRY_VOID(make("old", "UPDATE OF " + from, fmt::format("{}=NEW.{}", to, from)));
    return make("new", "UPDATE OF " + to, fmt::format("{}=NEW.{}", from, to));
  }

  Result<void> stand_in() {
    BUREAU_TRY_VOID(drop_default());
    BUREAU_TRY_VOID(execute("DROP TRIGGER IF EXISTS " + trigger("stand_in", "insert")));
    if (alteration_.value.view().is_null()) return {};
    Sql sql;
    sql << fmt::format("CREATE TRIGGER {} AFTER INSERT ON {} WHEN NEW.{} IS NULL BEGIN UPDATE {} ",
                       trigger("stand_in", "insert"), table_, column(), table_)
        << "SET " << column() << "=";
    sql.literal(alteration_.value.view());
    sql << " WHERE \"id\"=NEW.\"id\"; END";
    return execute(sql.text);
  }

  [[nodiscard]] std::string column() const { return quoted(alteration_.column); }
  [[nodiscard]] std::string trigger(std::string_view kind, std::string_view when) const {
    return quoted(
        fmt::format("bureau_{}_{}.{}.{}", kind, alteration_.table, alteration_.column, when));
  }

  Connection& connection_;
  const Alteration& alteration_;
  std::string table_;
  AlteredTable made_;
};

}  // namespace

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

Result<void> create_index(Connection& connection, const TableInfo& table, const IndexInfo& index) {
  std::string columns;
  for (const std::uint16_t column : index.columns) {
    if (!columns.empty()) columns += ",";
    columns += quoted(table.columns[column].name);
  }
  std::string where;
  if (!index.where.empty()) {
    BUREAU_TRY(const Predicate condition, parse_index_condition(table, index.where));
    BUREAU_TRY_VOID(check_predicate(table, condition));
    where = " WHERE " + predicate_literal(condition);
  }
  auto made =
      connection.execute(fmt::format("CREATE {}INDEX {} ON {}({}){}", index.unique ? "UNIQUE " : "",
                                     quoted(fmt::format("{}_{}", table.name, index.name)),
                                     quoted(table.name), columns, where),
                         altering);
  if (made || made.error().code != Code::exists) return made;
  return fail(breaks_index(connection.path(), table, index));
}

Result<void> alter_table(Connection& connection, const Alteration& alteration) {
  return Altering(connection, alteration).run();
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
