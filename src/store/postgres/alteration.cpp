#include "store/postgres/alteration.hpp"

#include <fmt/format.h>

#include "store/table_definition.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

using Kind = Alteration::Kind;

/// One alteration as statements. Two columns are kept in step by a trigger: it sees the writes of
/// all programs, whatever version those are, and before they are made.
class Altering {
 public:
  Altering(const AlteringServer& server, const Alteration& alteration)
      : server_(server),
        alteration_(alteration),
        table_(fmt::format("{}.{}", server.schema, quoted(alteration.table))) {}

  Result<void> run() {
    // Others wait behind whoever waits for a table: not for long.
    BUREAU_TRY_VOID(execute("SET LOCAL lock_timeout='5s'"));
    BUREAU_TRY(const auto stored, read_stored());
    BUREAU_TRY(made_, altered_table(server_.where, stored ? &*stored : nullptr, alteration_));
    BUREAU_TRY_VOID(change());
    BUREAU_TRY_VOID(store_definition());
    return execute("SET LOCAL lock_timeout=0");
  }

 private:
  [[nodiscard]] Sql new_sql() const { return Sql(server_.schema); }
  Result<void> execute(std::string text) {
    Sql sql = new_sql();
    sql.text = std::move(text);
    BUREAU_TRY_VOID(server_.run(sql));
    return {};
  }

  Result<std::optional<Json>> read_stored() {
    Sql sql = new_sql();
    sql << fmt::format("SELECT definition FROM {}.bureau_catalog WHERE name=", server_.schema);
    sql.parameter(Value::text(alteration_.table));
    BUREAU_TRY(const ResultPtr result, server_.run(sql));
    if (PQntuples(result.get()) == 0) return std::optional<Json>();
    BUREAU_TRY(Json definition, read_definition(server_.where, alteration_.table,
                                                value_at(result.get(), 0, 0).as_text()));
    return std::optional(std::move(definition));
  }

  Result<void> store_definition() {
    const bool gone = made_.after == nullptr;
    const std::string text = made_.definition.dump();
    Sql sql = new_sql();
    sql << (gone ? "DELETE FROM " : "UPDATE ") << server_.schema << ".bureau_catalog";
    if (!gone) {
      sql << " SET definition=";
      sql.parameter(Value::text(text));
    }
    sql << " WHERE name=";
    sql.parameter(Value::text(alteration_.table));
    BUREAU_TRY_VOID(server_.run(sql));
    return {};
  }

  Result<void> change() {
    switch (alteration_.kind) {
      case Kind::add_column:
        return add(*made_.added, alteration_.value.view());
      case Kind::mirror:
        BUREAU_TRY_VOID(add(*made_.added, Value()));
        BUREAU_TRY_VOID(drop_default());
        return mirror();
      case Kind::end_mirror:
        return end("mirror");
      case Kind::stand_in:
        return stand_in();
      case Kind::end_stand_in:
        return end("stand_in");
      case Kind::drop_column:
        return drop();
      case Kind::drop_table:
        return execute("DROP TABLE " + table_);
      case Kind::require:
        return check_nulls();
    }
    return {};
  }

  Result<void> add(const ColumnInfo& added, const Value& value) {
    Sql sql = new_sql();
    sql << "ALTER TABLE " << table_ << " ADD COLUMN " << quoted(added.name) << " "
        << column_type(added);
    if (!value.is_null()) {
      sql << " DEFAULT ";
      sql.literal(value);
    }
    return execute(std::move(sql.text));
  }

  Result<void> drop() {
    for (const std::string& index : made_.dropped) {
      BUREAU_TRY_VOID(execute(fmt::format("DROP INDEX IF EXISTS {}.{}", server_.schema,
                                          quoted(index_name(*made_.before, index)))));
    }
    return execute(fmt::format("ALTER TABLE {} DROP COLUMN {}", table_, column()));
  }

  Result<void> check_nulls() {
    Sql sql = new_sql();
    sql << "SELECT 1 FROM " << table_ << " WHERE " << column() << " IS NULL LIMIT 1";
    BUREAU_TRY(const ResultPtr result, server_.run(sql));
    if (PQntuples(result.get()) == 0) return {};
    return fail(holds_nulls(server_.where, alteration_));
  }

  Result<void> mirror() {
    const std::string from = column();
    const std::string to = quoted(alteration_.other);
    // Of an insert only one of the two is given.
    return make_trigger("mirror", "INSERT OR UPDATE",
                        fmt::format("IF TG_OP='INSERT' THEN IF NEW.{1} IS NULL THEN NEW.{1}:="
                                    "NEW.{0}; ELSE NEW.{0}:=NEW.{1}; END IF;"
                                    " ELSIF NEW.{0} IS DISTINCT FROM OLD.{0} THEN NEW.{1}:=NEW.{0};"
                                    " ELSIF NEW.{1} IS DISTINCT FROM OLD.{1} THEN NEW.{0}:=NEW.{1};"
                                    " END IF;",
                                    from, to));
  }

  /// What is not given is then null, and can be told from what is.
  Result<void> drop_default() {
    return execute(fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table_, column()));
  }

  Result<void> stand_in() {
    BUREAU_TRY_VOID(drop_default());
    if (alteration_.value.view().is_null()) return end("stand_in");
    Sql sql = new_sql();
    sql << "IF NEW." << column() << " IS NULL THEN NEW." << column() << ":=";
    sql.literal(alteration_.value.view());
    sql << "; END IF;";
    return make_trigger("stand_in", "INSERT", sql.text);
  }

  Result<void> make_trigger(std::string_view kind, std::string_view when, const std::string& body) {
    BUREAU_TRY_VOID(end(kind));
    BUREAU_TRY_VOID(
        execute(fmt::format("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS {}",
                            function(kind), text_literal("BEGIN " + body + " RETURN NEW; END"))));
    return execute(
        fmt::format("CREATE TRIGGER {} BEFORE {} ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
                    quoted(trigger(kind)), when, table_, function(kind)));
  }

  Result<void> end(std::string_view kind) {
    BUREAU_TRY_VOID(
        execute(fmt::format("DROP TRIGGER IF EXISTS {} ON {}", quoted(trigger(kind)), table_)));
    return execute(fmt::format("DROP FUNCTION IF EXISTS {}()", function(kind)));
  }

  [[nodiscard]] std::string column() const { return quoted(alteration_.column); }
  [[nodiscard]] std::string trigger(std::string_view kind) const {
    return index_name(*made_.before, fmt::format("{}.{}", kind, alteration_.column));
  }
  [[nodiscard]] std::string function(std::string_view kind) const {
    return fmt::format("{}.{}", server_.schema, quoted(trigger(kind)));
  }

  const AlteringServer& server_;
  const Alteration& alteration_;
  std::string table_;
  AlteredTable made_;
};

}  // namespace

Result<void> alter_table(const AlteringServer& server, const Alteration& alteration) {
  return Altering(server, alteration).run();
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
