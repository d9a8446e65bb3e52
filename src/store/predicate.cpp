#include "bureau/store/predicate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "store/predicate_check.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using Op = Predicate::Op;
using Node = Predicate::Node;
using NodePtr = Predicate::NodePtr;
using Operand = Predicate::Operand;

NodePtr leaf_of(Op op) {
  auto node = std::make_shared<Node>();
  node->op = op;
  return node;
}

/// `a op b` as one flat node.
NodePtr join(Op op, const NodePtr& a, const NodePtr& b) {
  auto node = std::make_shared<Node>();
  node->op = op;
  for (const NodePtr& part : {a, b}) {
    if (part->op == op) {
      node->children.insert(node->children.end(), part->children.begin(), part->children.end());
    } else {
      node->children.push_back(part);
    }
  }
  return node;
}

/// Calls `visit` with every node, those of sub-selects too. Stops when it returns true, and then
/// returns true itself.
bool any_node(const NodePtr& node, FunctionRef<bool(const Node&)> visit) {
  if (node == nullptr) return false;
  if (visit(*node)) return true;
  for (const NodePtr& child : node->children)
    if (any_node(child, visit)) return true;
  return node->select != nullptr && any_node(node->select->where, visit);
}

bool any_operand(const NodePtr& node, Operand::Kind kind) {
  return any_node(node, [kind](const Node& n) {
    return std::any_of(n.operands.begin(), n.operands.end(),
                       [kind](const Operand& o) { return o.kind == kind; });
  });
}

/// The same tree with every node's operands replaced by what `change` makes of the node; parts
/// without operands of `kind` are shared with the old tree.
using Change = FunctionRef<Result<void>(Node&)>;
Result<NodePtr> rewrite(const NodePtr& node, Operand::Kind kind, Change change) {
  if (!any_operand(node, kind)) return node;
  auto copy = std::make_shared<Node>(*node);
  for (NodePtr& child : copy->children) {
    BUREAU_TRY(child, rewrite(child, kind, change));
  }
  if (copy->select != nullptr) {
    auto select = std::make_shared<Predicate::SubSelect>(*copy->select);
    BUREAU_TRY(select->where, rewrite(select->where, kind, change));
    copy->select = std::move(select);
  }
  BUREAU_TRY_VOID(change(*copy));
  return NodePtr(std::move(copy));
}

bool equal_nodes(const NodePtr& a, const NodePtr& b);

bool equal_selects(const Predicate::SubSelect* a, const Predicate::SubSelect* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->table == b->table && a->column == b->column && equal_nodes(a->where, b->where);
}

bool equal_nodes(const NodePtr& a, const NodePtr& b) {
  if (a == b) return true;
  const bool a_always = a == nullptr || a->op == Op::always;
  const bool b_always = b == nullptr || b->op == Op::always;
  if (a_always || b_always) return a_always && b_always;
  return a->op == b->op && a->column == b->column && a->path == b->path &&
         (a->path.empty() || a->path_type == b->path_type) && a->operands == b->operands &&
         std::equal(a->children.begin(), a->children.end(), b->children.begin(), b->children.end(),
                    equal_nodes) &&
         equal_selects(a->select.get(), b->select.get());
}

/// The operands that a $name stands for.
Result<void> bind_operand(const Node& node, const Operand& operand, const Bindings& bindings,
                          std::vector<Operand>& out) {
  const auto found = bindings.find(operand.name);
  if (found == bindings.end())
    return fail(Code::invalid, fmt::format("${} is not bound", operand.name), operand.name);
  if (node.op != Op::in && node.op != Op::not_in && found->second.size() != 1)
    return fail(Code::invalid,
                fmt::format("${} is bound to {} values; '{}' takes one", operand.name,
                            found->second.size(), detail::operator_name(node)),
                operand.name);
  for (const OwnedValue& value : found->second) {
    Operand bound{Operand::Kind::literal, value, {}};
    if (node.column->hidden && value.view().kind() == Value::Kind::text)
      bound.value = OwnedValue::text(fold_case(value.view().as_text()));
    out.push_back(std::move(bound));
  }
  return {};
}

/// On a path the operands say what type it is; the first one decides.
void settle_path_type(Node& node) {
  if (node.path.empty() || node.operands.empty()) return;
  const Value value = node.operands[0].value.view();
  if (node.path_type == Type::boolean && value.kind() == Value::Kind::integer) return;
  if (value.kind() == Value::Kind::integer) node.path_type = Type::integer;
  if (value.kind() == Value::Kind::real) node.path_type = Type::real;
  if (value.kind() == Value::Kind::text) node.path_type = Type::text;
}

}  // namespace

Predicate Predicate::never() { return Predicate(leaf_of(Op::never)); }

Result<Predicate> Predicate::bind(const Bindings& bindings) const {
  auto bound = rewrite(root_, Operand::Kind::variable, [&](Node& node) -> Result<void> {
    std::vector<Operand> operands;
    for (Operand& operand : node.operands) {
      if (operand.kind == Operand::Kind::variable) {
        BUREAU_TRY_VOID(bind_operand(node, operand, bindings, operands));
      } else {
        operands.push_back(std::move(operand));
      }
    }
    node.operands = std::move(operands);
    if (node.column == nullptr) return {};
    settle_path_type(node);
    return detail::check_comparison(node);
  });
  if (!bound) return fail(std::move(bound).error());
  return Predicate(*std::move(bound));
}

Predicate Predicate::at(Timestamp now) const {
  auto fixed = rewrite(root_, Operand::Kind::now, [&](Node& node) -> Result<void> {
    for (Operand& operand : node.operands) {
      if (operand.kind != Operand::Kind::now) continue;
      operand = {Operand::Kind::literal, OwnedValue(Value::integer(now.micros())), {}};
    }
    return {};
  });
  return Predicate(*std::move(fixed));  // the change above does not fail
}

bool Predicate::uses_now() const { return any_operand(root_, Operand::Kind::now); }

bool Predicate::has_variables() const { return any_operand(root_, Operand::Kind::variable); }

std::vector<const TableInfo*> Predicate::reads() const {
  std::vector<const TableInfo*> tables;
  any_node(root_, [&](const Node& node) {
    if (node.select != nullptr &&
        std::find(tables.begin(), tables.end(), node.select->table) == tables.end())
      tables.push_back(node.select->table);
    return false;
  });
  return tables;
}

Predicate operator&&(const Predicate& a, const Predicate& b) {
  if (a.is_always() || b.is_never()) return b;
  if (b.is_always() || a.is_never()) return a;
  return Predicate(join(Op::all, a.root_, b.root_));
}

Predicate operator||(const Predicate& a, const Predicate& b) {
  if (a.is_never() || b.is_always()) return b;
  if (b.is_never() || a.is_always()) return a;
  return Predicate(join(Op::any, a.root_, b.root_));
}

Predicate operator!(const Predicate& a) {
  if (a.is_always()) return Predicate::never();
  if (a.is_never()) return Predicate();
  if (a.root_->op == Op::negation) return Predicate(a.root_->children[0]);
  auto node = std::make_shared<Node>();
  node->op = Op::negation;
  node->children.push_back(a.root_);
  return Predicate(std::move(node));
}

bool operator==(const Predicate& a, const Predicate& b) { return equal_nodes(a.root_, b.root_); }

namespace detail {

Predicate compare_column(const ColumnInfo& column, Op op, std::vector<OwnedValue> operands) {
  auto node = std::make_shared<Node>();
  node->op = op;
  node->column = &column;
  for (OwnedValue& value : operands)
    node->operands.push_back({Operand::Kind::literal, std::move(value), {}});
  return Predicate(std::move(node));
}

Predicate compare_folded(const TableInfo& table, const ColumnInfo& column, Op op,
                         std::string_view text) {
  if (column.folded)
    return compare_column(table.columns[column.folded_index], op,
                          {OwnedValue::text(fold_case(text))});
  // A nameless variable: no binding can satisfy it, and check_predicate says what is wrong.
  auto node = std::make_shared<Node>();
  node->op = op;
  node->column = &column;
  node->operands.push_back({Operand::Kind::variable, {}, {}});
  return Predicate(std::move(node));
}

}  // namespace detail

BUREAU_END_NAMESPACE
