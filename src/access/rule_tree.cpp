// Predicates as rights use them: kept within a tenant, their sub-selects narrowed and answered.

#include <algorithm>

#include "access/rights.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

using Node = Predicate::Node;
using NodePtr = Predicate::NodePtr;
using Op = Predicate::Op;

bool selects(const NodePtr& node) {
  if (node == nullptr) return false;
  return node->select != nullptr ||
         std::any_of(node->children.begin(), node->children.end(), selects);
}

Result<NodePtr> narrow(const NodePtr& node,
                       FunctionRef<Result<Predicate>(const TableInfo&)> filter) {
  if (!selects(node)) return node;
  auto copy = std::make_shared<Node>(*node);
  for (NodePtr& child : copy->children) {
    BUREAU_TRY(child, narrow(child, filter));
  }
  if (copy->select != nullptr) {
    auto select = std::make_shared<Predicate::SubSelect>(*copy->select);
    BUREAU_TRY(NodePtr where, narrow(select->where, filter));
    BUREAU_TRY(Predicate added, filter(*select->table));
    select->where = (added && Predicate(std::move(where))).node();
    copy->select = std::move(select);
  }
  return NodePtr(std::move(copy));
}

}  // namespace

Predicate tenant_rule(const TableInfo& table, std::int64_t tenant, bool system) {
  const ColumnInfo* column = nullptr;
  if (table.tenant != TableInfo::absent) {
    column = &table.columns[static_cast<std::size_t>(table.tenant)];
  } else if (&table == &table_of<Tenant>()) {
    column = &table.columns[0];
  } else {
    return system ? Predicate() : Predicate::never();
  }
  if (tenant != 0) {
    return compare_column(*column, Op::equal, {OwnedValue(Value::integer(tenant))});
  }
  auto node = std::make_shared<Node>();
  node->op = Op::equal;
  node->column = column;
  node->operands.push_back({Predicate::Operand::Kind::variable, {}, "tenant"});
  return Predicate(std::move(node));
}

Result<Predicate> narrow_selects(const Predicate& predicate,
                                 FunctionRef<Result<Predicate>(const TableInfo&)> filter) {
  BUREAU_TRY(NodePtr narrowed, narrow(predicate.node(), filter));
  return Predicate(std::move(narrowed));
}

Result<SelectAnswer> answer_select(Reader& reader, const Predicate::SubSelect& select,
                                   const Value& value) {
  const auto any = [&](Predicate narrowing) -> Result<bool> {
    Select query;
    query.table = select.table;
    query.where = Predicate(select.where) && narrowing;
    query.limit = 1;
    bool found = false;
    BUREAU_TRY_VOID(reader.scan(query, [&](std::span<const Value>) -> Result<bool> {
      found = true;
      return false;
    }));
    return found;
  };
  SelectAnswer answer;
  const ColumnInfo& column = *select.column;
  if (value.is_null()) {
    BUREAU_TRY(answer.found, any(Predicate()));
    return answer;
  }
  BUREAU_TRY(answer.found, any(compare_column(column, Op::equal, {OwnedValue(value)})));
  if (!answer.found && column.nullable) {
    BUREAU_TRY(answer.has_null, any(compare_column(column, Op::is_null, {})));
  }
  return answer;
}

Result<bool> satisfies(const BoundRule& rule, Reader& reader, std::span<const Value> row) {
  if (rule.never) return false;
  if (!rule.selects) {
    BUREAU_TRY(const Truth truth, evaluate(rule.predicate, row));
    return truth == Truth::yes;
  }
  BUREAU_TRY(
      const Truth truth,
      evaluate(rule.predicate, row, [&](const Predicate::SubSelect& select, const Value& value) {
        return answer_select(reader, select, value);
      }));
  return truth == Truth::yes;
}

void RowCopy::assign(std::span<const Value> row) {
  std::size_t size = 0;
  for (const Value& v : row) {
    if (v.kind() == Value::Kind::text || v.kind() == Value::Kind::bytes) size += v.as_text().size();
  }
  values_.assign(row.begin(), row.end());
  text_.clear();
  text_.reserve(size);  // never grows below, so that views into it stay
  for (Value& v : values_) {
    if (v.kind() != Value::Kind::text && v.kind() != Value::Kind::bytes) continue;
    const std::string_view content = v.as_text();
    const std::size_t at = text_.size();
    text_.insert(text_.end(), content.begin(), content.end());
    const std::string_view kept(text_.data() + at, content.size());
    v = v.kind() == Value::Kind::text ? Value::text(kept) : Value::bytes(kept);
  }
}

bool has_secrets(const TableInfo& table) {
  return table.has_sealed && std::any_of(table.columns.begin(), table.columns.end(),
                                         [](const ColumnInfo& c) { return c.secret; });
}

}  // namespace detail
BUREAU_END_NAMESPACE
