#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "bureau/core/json.hpp"
#include "bureau/store/predicate.hpp"
#include "store/predicate_check.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using Op = Predicate::Op;
using Node = Predicate::Node;
using Operand = Predicate::Operand;

Truth truth(bool b) { return b ? Truth::yes : Truth::no; }

Truth negate(Truth t) { return t == Truth::unknown ? t : truth(t == Truth::no); }

/// The value that a comparison is about, and the JSON that it may point into.
struct Subject {
  Value value;
  Json document;
  const Json* json = nullptr;  ///< where the path led; null when it led nowhere
};

Value typed(const Json& json, Type type) {
  if (const auto* b = json.as_bool(); b != nullptr && type == Type::boolean)
    return Value::integer(*b ? 1 : 0);
  if (const auto* i = json.as_int(); i != nullptr && type == Type::integer)
    return Value::integer(*i);
  if (const auto* d = json.as_double(); d != nullptr && type == Type::real) return Value::real(*d);
  if (const auto* s = json.as_string(); s != nullptr && type == Type::text) return Value::text(*s);
  return {};
}

void follow(const Node& node, const Value& column, Subject& subject) {
  if (column.kind() != Value::Kind::text) return;
  subject.document = Json::parse(column.as_text()).value_or(Json());
  subject.json = &subject.document;
  for (const std::string& member : node.path) {
    subject.json = subject.json->find(member);
    if (subject.json == nullptr) return;
  }
  if (!node.path.empty()) subject.value = typed(*subject.json, node.path_type);
}

Truth is_null(const Node& node, const Subject& subject) {
  if (node.path.empty()) return truth(subject.value.is_null());
  return truth(subject.json == nullptr || subject.json->is_null());
}

Truth has_element(const Subject& subject, std::string_view text) {
  const Json::Array* items = subject.json == nullptr ? nullptr : subject.json->as_array();
  if (items == nullptr) return Truth::unknown;
  return truth(std::any_of(items->begin(), items->end(), [&](const Json& item) {
    const std::string* s = item.as_string();
    return s != nullptr && *s == text;
  }));
}

Truth compare_values(Op op, const Value& value, const Value& operand) {
  const int order = compare(value, operand);
  switch (op) {
    case Op::equal:
      return truth(order == 0);
    case Op::not_equal:
      return truth(order != 0);
    case Op::less:
      return truth(order < 0);
    case Op::less_equal:
      return truth(order <= 0);
    case Op::greater:
      return truth(order > 0);
    case Op::greater_equal:
      return truth(order >= 0);
    case Op::prefix:
      return truth(value.as_text().starts_with(operand.as_text()));
    default:
      return truth(value.as_text().find(operand.as_text()) != std::string_view::npos);
  }
}

Truth in_list(const Value& value, const std::vector<Operand>& operands) {
  if (operands.empty()) return Truth::no;
  if (value.is_null()) return Truth::unknown;
  return truth(std::any_of(operands.begin(), operands.end(),
                           [&](const Operand& o) { return compare(value, o.value.view()) == 0; }));
}

class Evaluator {
 public:
  Evaluator(std::span<const Value> row, const SelectOracle* oracle) : row_(row), oracle_(oracle) {}

  Result<Truth> node(const Node& node) {
    switch (node.op) {
      case Op::always:
        return Truth::yes;
      case Op::never:
        return Truth::no;
      case Op::all:
        return several(node, Truth::no);
      case Op::any:
        return several(node, Truth::yes);
      case Op::negation: {
        BUREAU_TRY(const Truth inner, this->node(*node.children.at(0)));
        return negate(inner);
      }
      default:
        return comparison(node);
    }
  }

 private:
  /// `decisive` settles it; else unknown wins over the other.
  Result<Truth> several(const Node& node, Truth decisive) {
    Truth result = negate(decisive);
    for (const auto& child : node.children) {
      Truth part = Truth::unknown;
      if (const auto known = plain(*child)) {
        part = *known;
      } else {
        BUREAU_TRY(part, this->node(*child));
      }
      if (part == decisive) return part;
      if (part == Truth::unknown) result = part;
    }
    return result;
  }

  /// What nearly all comparisons are: a column and null, or one value of its kind. They run for
  /// every row. Nothing: it is another, or none.
  std::optional<Truth> plain(const Node& node) const {
    const bool is_whole =
        node.column != nullptr && node.column->index < row_.size() && node.path.empty();
    if (!is_whole) return std::nullopt;
    const Value& value = row_[node.column->index];
    const bool tests_null = node.op == Op::is_null || node.op == Op::is_not_null;
    if (tests_null && node.operands.empty()) {
      return truth(value.is_null() == (node.op == Op::is_null));
    }
    const bool compares =
        node.op >= Op::equal && node.op <= Op::greater_equal && node.operands.size() == 1 &&
        node.operands[0].kind == Operand::Kind::literal && node.column->type != Type::json;
    if (!compares) return std::nullopt;
    const Value operand = node.operands[0].value.view();
    if (operand.kind() != detail::kind_of(node.column->type)) return std::nullopt;
    return value.is_null() ? Truth::unknown : compare_values(node.op, value, operand);
  }

  Result<Truth> comparison(const Node& node) {
    if (const auto answer = plain(node)) return *answer;
    BUREAU_TRY_VOID(check(node));
    Subject subject;
    const Value& column = row_[node.column->index];
    if (node.column->type == Type::json && (!node.path.empty() || node.op == Op::contains)) {
      follow(node, column, subject);
    } else {
      subject.value = column;
    }
    switch (node.op) {
      case Op::is_null:
        return is_null(node, subject);
      case Op::is_not_null:
        return negate(is_null(node, subject));
      case Op::in:
        return in_list(subject.value, node.operands);
      case Op::not_in:
        return negate(in_list(subject.value, node.operands));
      case Op::in_select:
        return in_select(node, subject.value);
      case Op::not_in_select: {
        BUREAU_TRY(const Truth found, in_select(node, subject.value));
        return negate(found);
      }
      default:
        break;
    }
    const Value operand = node.operands[0].value.view();
    if (node.op == Op::contains && node.column->type == Type::json)
      return has_element(subject, operand.as_text());
    if (subject.value.is_null()) return Truth::unknown;
    return compare_values(node.op, subject.value, operand);
  }

  Result<Truth> in_select(const Node& node, const Value& value) {
    if (oracle_ == nullptr)
      return fail(Code::invalid, "a sub-select cannot be evaluated on a row alone");
    BUREAU_TRY(const SelectAnswer answer, (*oracle_)(*node.select, value));
    if (value.is_null()) return answer.found ? Truth::unknown : Truth::no;
    if (answer.found) return Truth::yes;
    return answer.has_null ? Truth::unknown : Truth::no;
  }

  /// What REQUIRES asks for, so that a mistake is an error and not an answer.
  Result<void> check(const Node& node) const {
    if (node.column == nullptr || node.column->index >= row_.size())
      return fail(Code::invalid, "a comparison with a column that the row does not have");
    for (const Operand& operand : node.operands) {
      if (operand.kind == Operand::Kind::variable && !operand.name.empty())
        return fail(Code::invalid, fmt::format("${} is not bound", operand.name), operand.name);
      if (operand.kind == Operand::Kind::now)
        return fail(Code::invalid, "now() is not fixed; Predicate::at() fixes it");
      if (operand.kind == Operand::Kind::variable)
        return fail(Code::invalid,
                    fmt::format("{} is not declared folded, which case-insensitive matching needs",
                                node.column->name),
                    std::string(node.column->name));
    }
    // The plain cases cheaply: this runs for every row.
    const bool lists = node.path.empty() && node.column->type != Type::json &&
                       (node.op == Op::in || node.op == Op::not_in);
    const Value::Kind kind = detail::kind_of(node.column->type);
    if (lists && std::all_of(node.operands.begin(), node.operands.end(),
                             [&](const Operand& o) { return o.value.view().kind() == kind; }))
      return {};
    return detail::check_comparison(node);
  }

  std::span<const Value> row_;
  const SelectOracle* oracle_;
};

Result<Truth> run(const Predicate& predicate, std::span<const Value> row,
                  const SelectOracle* oracle) {
  if (predicate.root() == nullptr) return Truth::yes;
  return Evaluator(row, oracle).node(*predicate.root());
}

}  // namespace

Result<Truth> evaluate(const Predicate& predicate, std::span<const Value> row) {
  return run(predicate, row, nullptr);
}

Result<Truth> evaluate(const Predicate& predicate, std::span<const Value> row,
                       SelectOracle oracle) {
  return run(predicate, row, &oracle);
}

BUREAU_END_NAMESPACE
