#include <algorithm>

#include "store/memory/key.hpp"
#include "store/memory/tables.hpp"
#include "store/predicate_parse.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail::memory {

namespace {

using Op = Predicate::Op;

/// The operand of a comparison of that column with one value, if the condition is one.
std::optional<Value> compared(const Predicate& condition, const ColumnInfo& column, Op op) {
  const Predicate::Node* node = condition.root();
  if (node->op != op || node->column == nullptr || node->column->index != column.index) return {};
  if (!node->path.empty() || node->operands.size() != 1) return {};
  const Value operand = node->operands[0].value.view();
  return operand.is_null() ? std::nullopt : std::optional(operand);
}

/// The same of the first condition that is one.
std::optional<Value> bound(const std::vector<Predicate>& conditions, const ColumnInfo& column,
                           std::initializer_list<Op> ops) {
  for (const Predicate& condition : conditions) {
    for (const Op op : ops) {
      if (const auto value = compared(condition, column, op)) return value;
    }
  }
  return std::nullopt;
}

/// Where a row stands in the index: its columns, and its id.
Key key_of(const IndexInfo& info, const Row& row) {
  Key key;
  for (const std::uint16_t column : info.columns) key.add(row[column]);
  key.add(row[0]);
  return key;
}

ColumnBits columns_of(const Predicate::Node* node) {
  if (node == nullptr) return 0;
  ColumnBits bits = node->column == nullptr ? 0 : bit_of(node->column->index);
  for (const auto& child : node->children) bits |= columns_of(child.get());
  return bits;
}

void add_conditions(const Predicate::NodePtr& node, std::vector<Predicate>& out) {
  if (node == nullptr) return;
  if (node->op != Op::all) {
    out.emplace_back(node);
    return;
  }
  for (const auto& child : node->children) add_conditions(child, out);
}

}  // namespace

std::vector<Predicate> conditions_of(const Predicate& where) {
  std::vector<Predicate> conditions;
  add_conditions(where.node(), conditions);
  return conditions;
}

Index::Index(const TableInfo& table, const IndexInfo& info) : table_(&table), info_(&info) {
  // The catalog has parsed it before.
  if (!info.where.empty()) {
    condition_ = parse_index_condition(table, info.where).value_or(Predicate());
  }
  conditions_ = conditions_of(condition_);
  decisive_ = columns_of(condition_.root());
  for (const std::uint16_t column : info.columns) decisive_ |= bit_of(column);
}

bool Index::covers(const Row& row) const {
  const auto covered = evaluate(condition_, row.values());
  return covered && *covered == Truth::yes;
}

std::optional<std::int64_t> Index::holder(const Row& row) const {
  Key key;
  for (const std::uint16_t column : info_->columns) {
    if (row[column].is_null()) return std::nullopt;  // as in SQL, nulls are never equal
    key.add(row[column]);
  }
  if (!covers(row)) return std::nullopt;
  for (auto at = rows_.lower_bound(key.view()); at != rows_.end(); ++at) {
    if (!at->first.starts_with(key.view())) break;
    if (at->second->first != row.id()) return at->second->first;
  }
  return std::nullopt;
}

void Index::add(const Slot& slot) {
  if (!covers(*slot.second)) return;
  rows_.emplace(key_of(*info_, *slot.second).view(), &slot);
}

void Index::remove(const Row& row) {
  const auto there = rows_.find(key_of(*info_, row).view());
  if (there != rows_.end()) rows_.erase(there);
}

void Index::replace(const Row& before, const Slot& slot) {
  if (!covers(before)) return add(slot);
  if (!covers(*slot.second)) return remove(before);
  auto node = rows_.extract(rows_.find(key_of(*info_, before).view()));
  node.key() = key_of(*info_, *slot.second).view();
  rows_.insert(std::move(node));
}

std::optional<Index::Range> Index::range(const std::vector<Predicate>& conditions,
                                         const std::vector<Order>& order,
                                         const std::vector<OwnedValue>& after) const {
  const auto is_given = [&](const Predicate& condition) {
    return std::find(conditions.begin(), conditions.end(), condition) != conditions.end();
  };
  if (!std::all_of(conditions_.begin(), conditions_.end(), is_given)) return std::nullopt;
  Range range;
  range.index = this;
  const auto column = [&](std::size_t i) -> const ColumnInfo& {
    return i < info_->columns.size() ? table_->columns[info_->columns[i]] : table_->columns[0];
  };
  std::size_t at = 0;
  for (; at < info_->columns.size(); ++at) {
    const auto value = bound(conditions, column(at), {Op::equal});
    if (!value) break;
    range.prefix.push_back(*value);
  }
  range.ordered = info_->columns.size() - at + 1 == order.size();
  for (std::size_t i = 0; i < order.size() && range.ordered; ++i) {
    range.ordered = !order[i].descending && order[i].column->index == column(at + i).index;
  }
  range.from = range.prefix;
  if (range.ordered && !after.empty()) {
    for (const OwnedValue& value : after) range.from.push_back(value.view());
  } else if (at < info_->columns.size()) {
    const auto low = bound(conditions, column(at), {Op::greater_equal, Op::greater});
    if (low) range.from.push_back(*low);
  }
  if (at < info_->columns.size()) {
    range.last = bound(conditions, column(at), {Op::less_equal, Op::less});
  }
  const bool narrows = !range.from.empty() || range.last || !conditions_.empty();
  return narrows ? std::optional(std::move(range)) : std::nullopt;
}

void Index::each(const Range& range, FunctionRef<bool(const RowPtr&)> visit) const {
  const Key from(range.from), prefix(range.prefix);
  Key last(range.prefix);
  if (range.last) last.add(*range.last);
  for (auto at = rows_.lower_bound(from.view()); at != rows_.end(); ++at) {
    const std::string_view key = at->first;
    if (!key.starts_with(prefix.view())) return;
    if (range.last && key.substr(0, last.view().size()) > last.view()) return;
    if (!visit(at->second->second)) return;
  }
}

}  // namespace detail::memory

BUREAU_END_NAMESPACE
