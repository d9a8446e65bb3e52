#include "store/predicate_check.hpp"

#include <fmt/format.h>

#include <limits>

#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

namespace {

using Op = Predicate::Op;
using Node = Predicate::Node;
using Operand = Predicate::Operand;

bool is_select(Op op) { return op == Op::in_select || op == Op::not_in_select; }
bool is_null_test(Op op) { return op == Op::is_null || op == Op::is_not_null; }
bool is_list(Op op) { return op == Op::in || op == Op::not_in; }
bool is_order(Op op) {
  return op == Op::less || op == Op::less_equal || op == Op::greater || op == Op::greater_equal;
}

tl::unexpected<Error> refuse(const Node& node, std::string_view rule) {
  const std::string name(visible_name(*node.column));
  return fail(Code::invalid, fmt::format("{} {}", name, rule), name);
}

/// A column that stands for what a path leads to, so that values are checked in one way.
ColumnInfo operand_column(const Node& node) {
  ColumnInfo column = *node.column;
  column.nullable = false;
  column.max_length = std::numeric_limits<std::uint32_t>::max();
  if (!node.path.empty()) column.type = node.path_type;
  if (node.op == Op::contains) column.type = Type::text;
  return column;
}

Result<void> check_node(const TableInfo& table, const Node& node);

Result<void> check_nodes(const TableInfo& table, const Predicate::NodePtr& node) {
  return node == nullptr ? Result<void>() : check_node(table, *node);
}

Result<void> check_bound(const Node& node) {
  for (const Operand& operand : node.operands) {
    if (operand.kind == Operand::Kind::variable && operand.name.empty())
      return refuse(node, "is not declared folded, which case-insensitive matching needs");
    if (operand.kind == Operand::Kind::variable)
      return fail(Code::invalid, fmt::format("${} is not bound", operand.name), operand.name);
    if (operand.kind == Operand::Kind::now)
      return fail(Code::internal, "now() reached a statement without being fixed");
  }
  return {};
}

Result<void> check_node(const TableInfo& table, const Node& node) {
  switch (node.op) {
    case Op::always:
    case Op::never:
      return {};
    case Op::all:
    case Op::any:
    case Op::negation:
      if (node.op == Op::negation && node.children.size() != 1)
        return fail(Code::invalid, "a negation of more or less than one predicate");
      for (const auto& child : node.children) BUREAU_TRY_VOID(check_nodes(table, child));
      return {};
    default:
      break;
  }
  const ColumnInfo* column = node.column;
  if (column == nullptr) return fail(Code::invalid, "a comparison without a column");
  if (column->index >= table.width() || &table.columns[column->index] != column)
    return refuse(node, fmt::format("is not a column of table '{}'", table.name));
  BUREAU_TRY_VOID(check_comparison(node));
  BUREAU_TRY_VOID(check_bound(node));
  return is_select(node.op) ? check_nodes(*node.select->table, node.select->where) : Result<void>();
}

Result<void> check_select(const Node& node) {
  const auto* select = node.select.get();
  if (select == nullptr || select->table == nullptr || select->column == nullptr)
    return refuse(node, "has no sub-select");
  const ColumnInfo& a = *node.column;
  const ColumnInfo& b = *select->column;
  if (b.index >= select->table->width() || &select->table->columns[b.index] != &b)
    return refuse(node,
                  fmt::format("meets '{}', which table '{}' lacks", b.name, select->table->name));
  if (!node.path.empty() || a.type == Type::json)
    return refuse(node, "is JSON; only whole columns of other types can be in a sub-select");
  const bool same = a.type == b.type &&
                    (a.references == b.references || a.references.empty() || b.references.empty());
  const bool same_names = a.type != Type::enumeration || std::equal(a.names.begin(), a.names.end(),
                                                                    b.names.begin(), b.names.end());
  if (!same || !same_names)
    return refuse(node, fmt::format("and {}.{} are of different types", select->table->name,
                                    visible_name(b)));
  return {};
}

}  // namespace

std::string_view visible_name(const ColumnInfo& column) {
  std::string_view name = column.name;
  if (column.hidden && name.ends_with(companion_suffix))
    name.remove_suffix(companion_suffix.size());
  return name;
}

std::string_view operator_name(const Node& node) {
  const bool folded = node.column != nullptr && node.column->hidden;
  switch (node.op) {
    case Op::equal:
      return folded ? "ieq" : "=";
    case Op::not_equal:
      return "!=";
    case Op::less:
      return "<";
    case Op::less_equal:
      return "<=";
    case Op::greater:
      return ">";
    case Op::greater_equal:
      return ">=";
    case Op::in:
    case Op::in_select:
      return "in";
    case Op::not_in:
    case Op::not_in_select:
      return "not in";
    case Op::is_null:
      return "is null";
    case Op::is_not_null:
      return "is not null";
    case Op::prefix:
      return folded ? "iprefix" : "prefix";
    case Op::contains:
      return folded ? "icontains" : "contains";
    default:
      return {};
  }
}

/// Of a path into a JSON column. SQLite's functions take 127 arguments, each member is one.
constexpr std::size_t max_path_members = 64;

Result<void> check_operator(const Node& node) {
  const Type type = node.column->type;
  if (!node.path.empty()) {
    if (type != Type::json)
      return refuse(node, fmt::format("is of type {} and has no members", to_string(type)));
    if (node.path.size() > max_path_members)
      return refuse(node, fmt::format("has a path of {} members; at most {} are allowed",
                                      node.path.size(), max_path_members));
    for (const std::string& member : node.path) {
      if (member.empty() || !is_valid_text(member) ||
          member.find_first_of("\"\\") != std::string::npos ||
          std::any_of(member.begin(), member.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
        return refuse(node,
                      "has a path with a member that is empty or holds a quote, a backslash or a "
                      "control character");
    }
  }
  if (is_null_test(node.op)) return {};
  if (is_select(node.op)) return check_select(node);
  if (node.op == Op::prefix) {
    if (!node.path.empty() || type == Type::text) return {};
    return refuse(node, fmt::format("is of type {}; prefix needs text", to_string(type)));
  }
  if (node.op == Op::contains) {
    if (type == Type::text || type == Type::json) return {};
    return refuse(
        node, fmt::format("is of type {}; contains needs text or a JSON list", to_string(type)));
  }
  if (is_order(node.op) && type == Type::json && node.path.empty())
    return refuse(node, "is JSON, which has no order; compare a member of it");
  return {};
}

Result<void> check_operand(const Node& node, const Value& value) {
  return check_column_value({}, operand_column(node), value);
}

Result<void> check_comparison(const Node& node) {
  BUREAU_TRY_VOID(check_operator(node));
  if (!is_list(node.op)) {
    const std::size_t wanted = is_null_test(node.op) || is_select(node.op) ? 0 : 1;
    if (node.operands.size() != wanted)
      return refuse(node, fmt::format("{} takes {} value{}, not {}", operator_name(node), wanted,
                                      wanted == 1 ? "" : "s", node.operands.size()));
  }
  for (const Operand& operand : node.operands) {
    if (operand.kind == Operand::Kind::literal)
      BUREAU_TRY_VOID(check_operand(node, operand.value.view()));
    if (operand.kind == Operand::Kind::now &&
        (node.column->type != Type::timestamp || !node.path.empty()))
      return refuse(node, "is no timestamp; now() can only be compared with one");
  }
  return {};
}

Result<void> check_predicate(const TableInfo& table, const Predicate& predicate) {
  return check_nodes(table, predicate.node());
}

}  // namespace detail

BUREAU_END_NAMESPACE
