#include "bureau/store/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <set>

#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

Value ColumnTraits<Json>::to(const Json& m, Scratch& scratch) {
  m.dump_to(scratch.emplace_back());
  return Value::text(scratch.back());
}

void ColumnTraits<Json>::from(const Value& v, Json& m) {
  // A storage gives back what check_row let in; anything else reads as null.
  m = Json::parse(v.as_text()).value_or(Json());
}

Value ColumnTraits<std::vector<std::string>>::to(const std::vector<std::string>& m,
                                                 Scratch& scratch) {
  std::string& out = scratch.emplace_back("[");
  for (const std::string& item : m) {
    if (out.size() > 1) out += ',';
    append_json_string(out, item);
  }
  out += ']';
  return Value::text(out);
}

void ColumnTraits<std::vector<std::string>>::from(const Value& v, std::vector<std::string>& m) {
  m.clear();
  const auto json = Json::parse(v.as_text());
  const Json::Array* items = json ? json->as_array() : nullptr;
  if (items == nullptr) return;
  m.reserve(items->size());
  for (const Json& item : *items)
    if (const std::string* text = item.as_string()) m.push_back(*text);
}

namespace {

/// The words that a predicate's text reads as its own where a column may stand.
constexpr std::array predicate_words =
    std::to_array<std::string_view>({"and", "or", "not", "in", "is", "null", "true", "false"});

/// Names that are made while the program runs, kept for as long as it runs, as ColumnInfo promises.
std::string_view keep_name(std::string name) {
  static std::mutex mutex;
  static auto* names = new std::set<std::string>;  // never destroyed: tables outlive statics
  const std::lock_guard lock(mutex);
  return *names->insert(std::move(name)).first;
}

/// Remembers the first thing that is wrong.
void note(TableInfo& table, std::string text) {
  if (table.error.empty()) table.error = std::move(text);
}

void check_columns(TableInfo& table) {
  if (table.columns.empty() || table.columns[0].name != "id" || table.columns[0].type != Type::id ||
      table.columns[0].nullable)
    note(table, "the first column must be `id`, an Id that cannot be null");
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const ColumnInfo& column = table.columns[i];
    if (!is_plain_name(column.name))
      note(table, fmt::format("column '{}': a column's name is [a-z][a-z0-9_]*, at most 48 bytes",
                              column.name));
    if (std::find(predicate_words.begin(), predicate_words.end(), column.name) !=
        predicate_words.end())
      note(table, fmt::format("column '{}': the name is a word of predicates", column.name));
    if (!column.hidden && column.name.ends_with(detail::companion_suffix))
      note(table, fmt::format("column '{}': names that end in {} are kept for folded columns",
                              column.name, detail::companion_suffix));
    for (std::size_t j = 0; j < i; ++j)
      if (table.columns[j].name == column.name)
        note(table, fmt::format("two columns are named '{}'", column.name));
    if (column.folded && column.type != Type::text)
      note(table, fmt::format("column '{}': only text can be folded", column.name));
    if (column.searchable && column.type != Type::text)
      note(table, fmt::format("column '{}': only text can be searchable", column.name));
    if (column.type == Type::enumeration && column.names.empty())
      note(table, fmt::format("column '{}': the enumeration has no names", column.name));
  }
}

/// The position of a column that the library keeps, or `absent`.
int kept_column(TableInfo& table, std::string_view name, Type type) {
  const ColumnInfo* column = table.find(name);
  if (column == nullptr) return TableInfo::absent;
  if (column->type != type) {
    note(table, fmt::format("column '{}' is kept by the library and must be of type {}", name,
                            to_string(type)));
    return TableInfo::absent;
  }
  return column->index;
}

void add_companions(TableInfo& table) {
  const std::size_t declared = table.columns.size();
  for (std::size_t i = 0; i < declared; ++i) {
    if (!table.columns[i].folded || table.columns[i].type != Type::text) continue;
    ColumnInfo companion = table.columns[i];
    companion.name = keep_name(std::string(companion.name).append(detail::companion_suffix));
    companion.folded = companion.searchable = false;
    companion.hidden = true;
    companion.index = static_cast<std::uint16_t>(table.columns.size());
    table.columns[i].folded_index = companion.index;
    table.columns.push_back(companion);
  }
}

void add_index(TableInfo& table, const IndexDef& def) {
  IndexInfo index;
  index.name = def.name;
  index.unique = def.unique;
  index.where = def.condition;
  if (!is_plain_name(def.name))
    note(table, fmt::format("index '{}': an index's name is [a-z][a-z0-9_]*", def.name));
  for (const IndexInfo& other : table.indexes)
    if (other.name == def.name) note(table, fmt::format("two indexes are named '{}'", def.name));
  for (const std::string_view name : def.columns) {
    if (name.empty()) continue;
    const ColumnInfo* column = table.find(name);
    if (column == nullptr) {
      note(table, fmt::format("index '{}': there is no column '{}'", def.name, name));
      continue;
    }
    index.columns.push_back(column->index);
  }
  if (index.columns.empty()) note(table, fmt::format("index '{}' has no columns", def.name));
  table.indexes.push_back(std::move(index));
}

}  // namespace

ColumnInfo make_column(std::string_view name, Type type, bool nullable,
                       const ColumnOptions& options) {
  ColumnInfo column;
  column.name = name;
  column.type = type;
  column.nullable = nullable;
  column.secret = options.secret;
  column.personal = options.personal;
  column.searchable = options.searchable;
  column.folded = options.folded;
  column.immutable = options.immutable;
  column.max_length = options.max_length;
  return column;
}

void finish_table(TableInfo& table, std::span<const IndexDef> indexes) {
  constexpr std::size_t columns_max = 500;
  if (table.columns.size() > columns_max) note(table, "more than 500 columns");
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    table.columns[i].index = static_cast<std::uint16_t>(i);
  check_columns(table);
  add_companions(table);
  table.tenant = kept_column(table, "tenant", Type::id);
  table.version = kept_column(table, "version", Type::integer);
  table.created_at = kept_column(table, "created_at", Type::timestamp);
  table.updated_at = kept_column(table, "updated_at", Type::timestamp);
  if (table.personal_subject != TableInfo::absent &&
      table.columns[static_cast<std::size_t>(table.personal_subject)].type != Type::id)
    note(table, "the personal_subject column must be an id");
  table.has_sealed = std::any_of(table.columns.begin(), table.columns.end(),
                                 [](const ColumnInfo& c) { return c.secret || c.personal; });
  for (const IndexDef& def : indexes) add_index(table, def);
}

void fill_folded(const TableInfo& table, std::span<Value> row, Scratch& scratch) {
  for (const ColumnInfo& column : table.columns) {
    if (!column.folded) continue;
    const Value& value = row[column.index];
    Value& companion = row[column.folded_index];
    companion = Value();
    if (value.kind() != Value::Kind::text) continue;
    companion = Value::text(scratch.emplace_back(fold_case(value.as_text())));
  }
}

}  // namespace detail

BUREAU_END_NAMESPACE
