#include "bureau/core/json.hpp"
#include "bureau/store/predicate.hpp"
#include "store/duration_text.hpp"
#include "store/predicate_check.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using Op = Predicate::Op;
using Node = Predicate::Node;
using Operand = Predicate::Operand;

void append_node(std::string& out, const Predicate::NodePtr& node, bool nested);

void append_literal(std::string& out, const Node& node, const Value& value) {
  const bool text = node.op == Op::contains || node.op == Op::prefix;
  const Type type = text ? Type::text : node.path.empty() ? node.column->type : node.path_type;
  switch (type) {
    case Type::boolean:
      out += value.as_integer() != 0 ? "true" : "false";
      return;
    case Type::integer:
      out += std::to_string(value.as_integer());
      return;
    case Type::real:
      Json(value.as_real()).dump_to(out);
      return;
    case Type::duration:
      out += detail::duration_to_text(value.as_integer());
      return;
    case Type::text:
      append_json_string(out, value.as_text());
      return;
    default:
      append_json_string(out, to_text(*node.column, value));
      return;
  }
}

void append_operand(std::string& out, const Node& node, const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::variable:
      out += '$';
      out += operand.name;
      return;
    case Operand::Kind::now:
      out += "now()";
      return;
    case Operand::Kind::literal:
      return append_literal(out, node, operand.value.view());
  }
}

void append_comparison(std::string& out, const Node& node) {
  out += detail::visible_name(*node.column);
  for (const std::string& member : node.path) {
    out += '.';
    if (detail::is_plain_name(member)) {
      out += member;
    } else {
      append_json_string(out, member);
    }
  }
  out += ' ';
  out += detail::operator_name(node);
  if (node.op == Op::is_null || node.op == Op::is_not_null) return;
  out += ' ';
  if (node.select != nullptr) {
    out += "(select ";
    out += node.select->column->name;
    out += " from ";
    out += node.select->table->name;
    if (!Predicate(node.select->where).is_always()) {
      out += " where ";
      append_node(out, node.select->where, false);
    }
    out += ')';
    return;
  }
  const bool list = node.op == Op::in || node.op == Op::not_in;
  if (list) out += '(';
  std::string_view separator;
  for (const Operand& operand : node.operands) {
    out += separator;
    separator = ", ";
    append_operand(out, node, operand);
  }
  if (list) out += ')';
}

/// `nested`: within a not or an and, where `or` (and, within a not, `and`) needs parentheses.
void append_children(std::string& out, const Node& node, bool nested) {
  const bool conjunction = node.op == Op::all;
  if (node.children.empty()) {
    out += conjunction ? "true" : "false";
    return;
  }
  if (nested) out += '(';
  std::string_view separator;
  for (const auto& child : node.children) {
    out += separator;
    separator = conjunction ? " and " : " or ";
    append_node(out, child, conjunction);
  }
  if (nested) out += ')';
}

void append_node(std::string& out, const Predicate::NodePtr& node, bool nested) {
  switch (node == nullptr ? Op::always : node->op) {
    case Op::always:
      out += "true";
      return;
    case Op::never:
      out += "false";
      return;
    case Op::all:
    case Op::any:
      return append_children(out, *node, nested);
    case Op::negation:
      out += "not ";
      return append_node(out, node->children[0], true);
    default:
      return append_comparison(out, *node);
  }
}

}  // namespace

std::string Predicate::to_text() const {
  std::string out;
  append_node(out, root_, false);
  return out;
}

BUREAU_END_NAMESPACE
