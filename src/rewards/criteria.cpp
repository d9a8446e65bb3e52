#include "rewards/criteria.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/core/json.hpp"
#include "core/text.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

namespace {

using Node = Predicate::Node;

tl::unexpected<Error> refuse(std::string_view field, std::string rule) {
  return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
}

std::string shortened(std::string_view text) { return bureau::detail::shortened(text, 80); }

void columns_of(const Predicate::NodePtr& node, std::vector<const ColumnInfo*>& out) {
  if (node == nullptr) return;
  if (node->column != nullptr && std::find(out.begin(), out.end(), node->column) == out.end()) {
    out.push_back(node->column);
  }
  for (const auto& child : node->children) columns_of(child, out);
}

/// The tables that the evaluation itself writes: criteria over them would feed themselves.
bool feeds_itself(std::string_view table) {
  for (const std::string_view own :
       {"tasks", "achievements", "user_achievements", "point_rules", "point_entries", "user_stats",
        "streak_days", "leaderboard_scores", "leaderboard_snapshots", "reward_credits",
        "point_usage", "reward_cursors"}) {
    if (table == own) return true;
  }
  return false;
}

Result<const TableInfo*> table_named(const Catalog& catalog, const std::string& name) {
  const TableInfo* table = name.starts_with("bureau_") ? nullptr : catalog.find(name);
  if (table == nullptr) {
    return refuse("table", fmt::format("there is no table \"{}\"", shortened(name)));
  }
  if (table->journal == journal::Mode::none) {
    return refuse("table", fmt::format("\"{}\" has no journal: nothing can be counted", name));
  }
  if (table->tenant == TableInfo::absent) {
    return refuse("table", fmt::format("\"{}\" belongs to no tenant", name));
  }
  if (feeds_itself(name)) {
    return refuse(
        "table",
        fmt::format("\"{}\" is written by the evaluation itself, which would never rest", name));
  }
  return table;
}

Result<const ColumnInfo*> user_of(const TableInfo& table, const std::string& name) {
  if (name.empty()) return nullptr;
  const ColumnInfo* column = table.find(name);
  if (column == nullptr || column->hidden) {
    return refuse("user", fmt::format("\"{}\" is no column of {}", shortened(name), table.name));
  }
  if (column->type != Type::id || column->references != table_of<User>().name) {
    return refuse("user", fmt::format("{}.{} does not name users", table.name, name));
  }
  return column;
}

Result<Predicate> predicate_of(const TableInfo& table, const Catalog& catalog, const Json& where) {
  if (where.is_null()) return Predicate();
  const std::string* text = where.as_string();
  auto read = text != nullptr ? Predicate::parse(table, *text, &catalog)
                              : Predicate::from_json(table, where, &catalog);
  if (!read) return refuse("where", read.error().message);
  if (read->has_variables()) return refuse("where", "a variable has no value here");
  if (read->uses_now()) {
    return refuse("where", "now(): rows would begin to count without a change");
  }
  if (read->has_select()) {
    return refuse("where", "a sub-select: rows would begin to count without a change of theirs");
  }
  std::vector<const ColumnInfo*> columns;
  columns_of(read->node(), columns);
  for (const ColumnInfo* column : columns) {
    if (column->secret) {
      return refuse("where", fmt::format("{} is secret: changes do not tell it", column->name));
    }
    if (column->personal) {
      return refuse("where",
                    fmt::format("{} is personal: its history may be erased", column->name));
    }
  }
  return read;
}

/// A row comes to match by an update only if something changes that is asked about.
Result<void> check_update(const CompiledCriteria& criteria) {
  if (criteria.change != CountedChange::update) return {};
  const TableInfo& table = *criteria.table;
  const auto may_change = [&](const ColumnInfo& column) {
    return !column.immutable && column.index != 0 && int{column.index} != table.tenant &&
           int{column.index} != table.created_at;
  };
  std::vector<const ColumnInfo*> columns;
  columns_of(criteria.predicate.node(), columns);
  if (criteria.user != nullptr && criteria.user->nullable) columns.push_back(criteria.user);
  if (std::any_of(columns.begin(), columns.end(), [&](const auto* c) { return may_change(*c); })) {
    return {};
  }
  return refuse("change",
                columns.empty()
                    ? "\"update\" without a condition never can be met: every row matches already "
                      "when it is inserted"
                    : "\"update\" never can be met: nothing that is asked about ever changes");
}

}  // namespace

Result<CompiledCriteria> compile_criteria(const Catalog& catalog, const std::string& table,
                                          CountedChange change, const Json& predicate,
                                          const std::optional<std::string>& user_column) {
  CompiledCriteria compiled;
  compiled.change = change;
  BUREAU_TRY(compiled.table, table_named(catalog, table));
  BUREAU_TRY(compiled.predicate, predicate_of(*compiled.table, catalog, predicate));
  BUREAU_TRY(compiled.user, user_of(*compiled.table, user_column.value_or("")));
  std::vector<const ColumnInfo*> columns;
  columns_of(compiled.predicate.node(), columns);
  if (compiled.user != nullptr) columns.push_back(compiled.user);
  for (const ColumnInfo* column : columns) compiled.asks.push_back(column->index);
  return compiled;
}

Result<CompiledCriteria> check_criteria(const Catalog& catalog, const Criteria& criteria,
                                        std::int64_t target) {
  BUREAU_TRY(CompiledCriteria compiled, compile_criteria(catalog, criteria.table, criteria.change,
                                                         criteria.where, criteria.user));
  const auto text = [&] { return shortened(compiled.predicate.to_text()); };
  if (const auto why = why_never(compiled.predicate, compiled.user); !why.empty()) {
    return refuse("where", fmt::format("\"{}\" never can be met: {}", text(), why));
  }
  if (const auto most = rows_at_most(compiled.predicate); most && *most < target) {
    return refuse("target",
                  fmt::format("{} never can be met: at most {} {} \"{}\" at a time", target, *most,
                              *most == 1 ? "row satisfies" : "rows satisfy", text()));
  }
  BUREAU_TRY_VOID(check_update(compiled));
  return compiled;
}

Result<void> check_text(std::string_view field, std::string_view text, std::size_t max_code_points,
                        bool may_be_empty) {
  if (!is_valid_text(text)) {
    return refuse(field, fmt::format("{} bytes that are not valid UTF-8 without NUL", text.size()));
  }
  if (const std::size_t size = count_code_points(text); size > max_code_points) {
    return refuse(field, fmt::format("{} characters, the limit is {}", size, max_code_points));
  }
  if (!may_be_empty && text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos) {
    return refuse(field, "it is empty; it must say something");
  }
  return {};
}

Result<void> check_key(std::string_view key) {
  const auto inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  const bool good = !key.empty() && key.size() <= 64 && key[0] >= 'a' && key[0] <= 'z' &&
                    std::all_of(key.begin(), key.end(), inner);
  if (good) return {};
  return refuse("key", fmt::format("\"{}\" is none; a key is [a-z][a-z0-9_-]*, at most 64 bytes",
                                   is_valid_text(key) ? shortened(key) : "(not UTF-8)"));
}

Result<void> check_range(std::string_view field, std::int64_t value, std::int64_t least,
                         std::int64_t most) {
  if (value >= least && value <= most) return {};
  return refuse(field, fmt::format("{} is not between {} and {}", value, least, most));
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
