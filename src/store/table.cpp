#include "bureau/store/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bureau/store/predicate.hpp"
#include "store/predicate_parse.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// What SQLite or PostgreSQL will not take, or takes for something else, as a table's name. Sorted.
constexpr std::array sql_keywords = std::to_array<std::string_view>({
    "abort",      "add",         "all",       "alter",     "analyse",   "analyze",   "and",
    "any",        "array",       "as",        "asc",       "attach",    "begin",     "between",
    "both",       "by",          "case",      "cast",      "check",     "collate",   "column",
    "commit",     "constraint",  "create",    "cross",     "current",   "database",  "default",
    "deferrable", "delete",      "desc",      "detach",    "distinct",  "do",        "drop",
    "else",       "end",         "escape",    "except",    "exclusive", "exists",    "explain",
    "false",      "fetch",       "for",       "foreign",   "from",      "full",      "glob",
    "grant",      "group",       "having",    "if",        "ilike",     "in",        "index",
    "inner",      "insert",      "intersect", "into",      "is",        "isnull",    "join",
    "key",        "lateral",     "left",      "like",      "limit",     "match",     "natural",
    "no",         "not",         "nothing",   "notnull",   "null",      "of",        "offset",
    "on",         "only",        "or",        "order",     "outer",     "over",      "partition",
    "plan",       "pragma",      "primary",   "query",     "raise",     "recursive", "references",
    "regexp",     "reindex",     "release",   "rename",    "replace",   "returning", "right",
    "rollback",   "row",         "rows",      "savepoint", "select",    "set",       "similar",
    "some",       "symmetric",   "table",     "temp",      "temporary", "then",      "to",
    "trailing",   "transaction", "trigger",   "true",      "union",     "unique",    "update",
    "user",       "using",       "vacuum",    "values",    "variadic",  "view",      "virtual",
    "when",       "where",       "window",    "with",      "without",
});
static_assert(std::is_sorted(sql_keywords.begin(), sql_keywords.end()));

constexpr std::array reserved_prefixes = std::to_array<std::string_view>({"sqlite_", "pg_"});
constexpr std::string_view own_prefix = "bureau_";

tl::unexpected<Error> refuse(std::string_view table, std::string_view rule) {
  return fail(Code::invalid, fmt::format("table '{}': {}", table, rule), std::string(table));
}

Result<void> check_name(const TableInfo& table, bool internal) {
  const std::string_view name = table.name;
  if (!detail::is_plain_name(name))
    return refuse(name, "a table's name is [a-z][a-z0-9_]*, at most 48 bytes");
  if (std::binary_search(sql_keywords.begin(), sql_keywords.end(), name))
    return refuse(name, "the name is a keyword of SQL");
  for (const std::string_view prefix : reserved_prefixes)
    if (name.starts_with(prefix)) return refuse(name, fmt::format("'{}' is reserved", prefix));
  if (!internal && name.starts_with(own_prefix))
    return refuse(name, "'bureau_' is reserved for the library's own tables");
  if (!detail::is_plain_name(table.prefix))
    return refuse(name, fmt::format("the id prefix '{}' is not [a-z][a-z0-9_]*", table.prefix));
  return {};
}

Result<void> check_index(const TableInfo& table, const IndexInfo& index) {
  if (index.where.empty()) return {};
  auto condition = detail::parse_index_condition(table, index.where);
  if (condition) return {};
  return refuse(table.name, fmt::format("index '{}', where {}: {}", index.name, index.where,
                                        condition.error().message));
}

/// What goes with its month leaves no record of each row, and is unique in its month alone.
Result<void> check_by_month(const TableInfo& table) {
  if (table.journal != journal::Mode::none)
    return refuse(table.name, "a table by month has no journal (journal::none)");
  for (const IndexInfo& index : table.indexes)
    if (index.unique)
      return refuse(table.name,
                    fmt::format("a table by month has no unique index, and '{}' is", index.name));
  return {};
}

}  // namespace

const ColumnInfo* TableInfo::find(std::string_view column) const {
  for (const ColumnInfo& c : columns)
    if (c.name == column) return &c;
  return nullptr;
}

Result<void> Catalog::add(const TableInfo& table) { return add(table, false); }

Result<void> Catalog::add_internal(const TableInfo& table) { return add(table, true); }

Result<void> Catalog::add(const TableInfo& table, bool internal) {
  BUREAU_TRY_VOID(check_name(table, internal));
  if (!table.error.empty()) return refuse(table.name, table.error);
  for (const TableInfo* other : tables_) {
    if (other->name == table.name) return refuse(table.name, "the name is taken");
    if (other->prefix == table.prefix)
      return refuse(table.name, fmt::format("the id prefix '{}' is taken by table '{}'",
                                            table.prefix, other->name));
  }
  for (const IndexInfo& index : table.indexes) BUREAU_TRY_VOID(check_index(table, index));
  if (table.by_month) BUREAU_TRY_VOID(check_by_month(table));
  tables_.push_back(&table);
  return {};
}

const TableInfo* Catalog::find(std::string_view name) const {
  for (const TableInfo* table : tables_)
    if (table->name == name) return table;
  return nullptr;
}

BUREAU_END_NAMESPACE
