#include "store/postgres/index_build.hpp"

#include <fmt/format.h>

#include "bureau/store/interruption.hpp"
#include "bureau/store/predicate.hpp"
#include "core/stable_hash.hpp"
#include "store/interruptible_wait.hpp"
#include "store/predicate_check.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

constexpr Doing taking_turn = {"a migration"};

/// In the order in which generated SQL asks: nulls first, and after what the index is of, the id.
std::string index_columns(const TableInfo& table, const IndexInfo& index) {
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

Result<void> append_condition(Sql& sql, const Catalog& catalog, const TableInfo& table,
                              const IndexInfo& index) {
  BUREAU_TRY(const Predicate condition, Predicate::parse(table, index.where, &catalog));
  BUREAU_TRY_VOID(check_predicate(table, condition));
  append_predicate_literal(sql, condition);
  return {};
}

Result<Answers> ask(Connection& connection, Monotonic deadline) {
  Answers answers = connection.exchange(deadline);
  if (answers.good()) return answers;
  return fail(to_error(*answers.failure, connection.where(), taking_turn));
}

}  // namespace

Result<std::string> create_index(std::string_view schema, const Catalog& catalog,
                                 const TableInfo& table, const IndexInfo& index,
                                 bool concurrently) {
  Sql sql(schema);
  sql << (index.unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ")
      << (concurrently ? "CONCURRENTLY " : "") << quoted(index_name(table, index.name)) << " ON ";
  sql.table(table.name);
  sql << "(" << index_columns(table, index) << ")";
  if (!index.where.empty()) {
    sql << " WHERE ";
    BUREAU_TRY_VOID(append_condition(sql, catalog, table, index));
  }
  return std::move(sql.text);
}

Result<std::string> values_twice(std::string_view schema, const Catalog& catalog,
                                 const TableInfo& table, const IndexInfo& index) {
  std::string columns, given;
  for (const std::uint16_t column : index.columns) {
    const std::string name = quoted(table.columns[column].name);
    columns += (columns.empty() ? "" : ",") + name;
    given += (given.empty() ? "" : " AND ") + name + " IS NOT NULL";  // a null is no other's equal
  }
  Sql sql(schema);
  sql << "SELECT 1 FROM ";
  sql.table(table.name);
  sql << " WHERE " << given;
  if (!index.where.empty()) {
    sql << " AND (";
    BUREAU_TRY_VOID(append_condition(sql, catalog, table, index));
    sql << ")";
  }
  sql << " GROUP BY " << columns << " HAVING count(*)>1 LIMIT 1";
  return std::move(sql.text);
}

Result<ChangeTurn> ChangeTurn::open(const Settings& settings, Monotonic deadline) {
  BUREAU_TRY(auto connection, Connection::open(settings, deadline));
  // However long others take: who waits here holds up nobody.
  connection->add_once(
      "SELECT set_config('lock_timeout','0',false),set_config('statement_timeout','0',false)");
  BUREAU_TRY_VOID(ask(*connection, deadline));
  return ChangeTurn(std::move(connection));
}

Result<bool> ChangeTurn::try_take(Monotonic deadline) {
  const std::int64_t key =
      static_cast<std::int64_t>(stable_hash(connection_->settings().schema_name + " changes"));
  connection_->add_once(
      "SELECT pg_try_advisory_lock($1)",
      std::vector<Parameter>{{ParameterType::integer, false, Value::integer(key), {}}});
  BUREAU_TRY(const Answers answers, ask(*connection_, deadline));
  return answers.value().as_integer() != 0;
}

Result<void> ChangeTurn::take(Monotonic deadline) {
  std::mutex mutex;
  std::condition_variable nobody;
  std::unique_lock lock(mutex);
  for (;;) {
    BUREAU_TRY(const bool ours, try_take(deadline));
    if (ours) return {};
    wait_between_looks(lock, nobody);
    if (Interruption::is_wanted() || connection_->settings().clock->monotonic() >= deadline) {
      return fail(Code::deadline,
                  fmt::format("{}: another process changes the tables", connection_->where()));
    }
  }
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
