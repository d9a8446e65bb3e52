#include <algorithm>

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

bool begins_with(const std::vector<Value>& key, const std::vector<Value>& prefix) {
  return std::equal(prefix.begin(), prefix.end(), key.begin(),
                    [](const Value& a, const Value& b) { return compare(a, b) == 0; });
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
}

bool Index::covers(const Row& row) const {
  const auto covered = evaluate(condition_, row.values);
  return covered && *covered == Truth::yes;
}

std::vector<Value> Index::key_of(const Row& row) const {
  std::vector<Value> key;
  key.reserve(info_->columns.size() + 1);
  for (const std::uint16_t column : info_->columns) key.push_back(row.values[column]);
  key.push_back(row.values[0]);
  return key;
}

std::optional<std::int64_t> Index::holder(const Row& row) const {
  std::vector<Value> key = key_of(row);
  key.pop_back();
  // As in SQL, nulls are never equal.
  const auto is_null = [](const Value& value) { return value.is_null(); };
  if (std::any_of(key.begin(), key.end(), is_null) || !covers(row)) return std::nullopt;
  for (auto at = rows_.lower_bound(key); at != rows_.end(); ++at) {
    if (!begins_with(at->first, key)) break;
    if (at->second->id() != row.id()) return at->second->id();
  }
  return std::nullopt;
}

void Index::replace(const RowPtr& before, const RowPtr& after) {
  auto there = before != nullptr ? rows_.find(key_of(*before)) : rows_.end();
  if (after == nullptr || !covers(*after)) {
    if (there != rows_.end()) rows_.erase(there);
    return;
  }
  std::vector<Value> key = key_of(*after);
  if (there == rows_.end()) {
    rows_.emplace(std::move(key), after);
    return;
  }
  // The old key points into the old row.
  const bool stays = begins_with(there->first, key);
  const auto next = stays ? std::next(there) : rows_.end();
  auto node = rows_.extract(there);
  node.key() = std::move(key);
  node.mapped() = after;
  if (stays) {
    rows_.insert(next, std::move(node));
  } else {
    rows_.insert(std::move(node));
  }
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
  const std::size_t fixed = range.prefix.size();
  for (auto at = rows_.lower_bound(range.from); at != rows_.end(); ++at) {
    const std::vector<Value>& key = at->first;
    if (!begins_with(key, range.prefix)) return;
    if (range.last && compare(key[fixed], *range.last) > 0) return;
    if (!visit(at->second)) return;
  }
}

}  // namespace detail::memory

BUREAU_END_NAMESPACE
