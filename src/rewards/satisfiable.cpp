// Whether a predicate can be true of any row at all.

#include <fmt/format.h>

#include <algorithm>

#include "rewards/criteria.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards::inside {

namespace {

using Op = Predicate::Op;
using Node = Predicate::Node;

struct Literal {
  const Node* node = nullptr;
  bool negated = false;
};
using Conjunction = std::vector<Literal>;
using Cases = std::vector<Conjunction>;

/// More cases than that are not looked at: such a predicate passes for one that can be met.
constexpr std::size_t cases_max = 256;

/// The cases of which one must hold; none when there are too many.
std::optional<Cases> cases_of(const Node& node, bool negated);

std::optional<Cases> one_of(const std::vector<Predicate::NodePtr>& children, bool negated) {
  Cases all;
  for (const auto& child : children) {
    auto some = cases_of(*child, negated);
    if (!some || all.size() + some->size() > cases_max) return std::nullopt;
    all.insert(all.end(), some->begin(), some->end());
  }
  return all;
}

std::optional<Cases> each_of(const std::vector<Predicate::NodePtr>& children, bool negated) {
  Cases all = {{}};
  for (const auto& child : children) {
    const auto some = cases_of(*child, negated);
    if (!some || all.size() * some->size() > cases_max) return std::nullopt;
    Cases product;
    for (const Conjunction& left : all) {
      for (const Conjunction& right : *some) {
        product.push_back(left);
        product.back().insert(product.back().end(), right.begin(), right.end());
      }
    }
    all = std::move(product);
  }
  return all;
}

std::optional<Cases> cases_of(const Node& node, bool negated) {
  switch (node.op) {
    case Op::always:
    case Op::never:
      return (node.op == Op::always) != negated ? Cases{{}} : Cases{};
    case Op::negation:
      return cases_of(*node.children.at(0), !negated);
    case Op::all:
      return negated ? one_of(node.children, true) : each_of(node.children, false);
    case Op::any:
      return negated ? each_of(node.children, true) : one_of(node.children, false);
    default:
      return Cases{{{&node, negated}}};
  }
}

std::optional<Cases> cases_of(const Predicate& predicate) {
  if (predicate.root() == nullptr) return Cases{{}};
  return cases_of(*predicate.root(), false);
}

/// What one case leaves of the values of one column, or of what a path leads to.
struct Domain {
  const ColumnInfo* column = nullptr;
  std::vector<std::string> path = {};
  Type type = Type::text;
  bool null = false, not_null = false;
  std::optional<std::vector<Value>> among = {};
  std::vector<Value> except = {};
  std::optional<Value> low = {}, high = {};
  bool low_open = false, high_open = false;
  std::vector<std::string_view> prefixes = {};

  [[nodiscard]] std::string name() const {
    std::string text(column->name);
    for (const auto& member : path) text += "." + member;
    return text;
  }
  void allow(std::vector<Value> values) {
    if (among) {
      std::erase_if(values, [&](const Value& v) {
        return std::find(among->begin(), among->end(), v) == among->end();
      });
    }
    among = std::move(values);
  }
  void at_least(const Value& value, bool open) {
    const int order = low ? compare(value, *low) : 1;
    if (order < 0 || (order == 0 && !open)) return;
    low = value;
    low_open = open;
  }
  void at_most(const Value& value, bool open) {
    const int order = high ? compare(value, *high) : -1;
    if (order > 0 || (order == 0 && !open)) return;
    high = value;
    high_open = open;
  }
  [[nodiscard]] bool fits(const Value& value) const {
    if (low) {
      const int order = compare(value, *low);
      if (order < 0 || (order == 0 && low_open)) return false;
    }
    if (high) {
      const int order = compare(value, *high);
      if (order > 0 || (order == 0 && high_open)) return false;
    }
    if (std::find(except.begin(), except.end(), value) != except.end()) return false;
    return std::all_of(prefixes.begin(), prefixes.end(),
                       [&](std::string_view p) { return value.as_text().starts_with(p); });
  }
};

Op opposite(Op op) {
  switch (op) {
    case Op::equal:
      return Op::not_equal;
    case Op::not_equal:
      return Op::equal;
    case Op::less:
      return Op::greater_equal;
    case Op::less_equal:
      return Op::greater;
    case Op::greater:
      return Op::less_equal;
    case Op::greater_equal:
      return Op::less;
    case Op::in:
      return Op::not_in;
    case Op::not_in:
      return Op::in;
    case Op::is_null:
      return Op::is_not_null;
    case Op::is_not_null:
      return Op::is_null;
    default:
      return op;
  }
}

/// Takes what a comparison asks into the domain. What it does not know asks for nothing.
void narrow(Domain& domain, const Literal& literal) {
  const Node& node = *literal.node;
  const Op op = literal.negated ? opposite(node.op) : node.op;
  std::vector<Value> values;
  for (const auto& operand : node.operands) values.push_back(operand.value.view());
  if (op == Op::is_null) {
    domain.null = true;
    return;
  }
  if (op == Op::not_in && values.empty()) return;  // true of null too
  domain.not_null = true;
  const bool whole_json = node.column->type == Type::json && node.path.empty();
  if (whole_json) return;
  switch (op) {
    case Op::equal:
    case Op::in:
      domain.allow(std::move(values));
      break;
    case Op::not_equal:
    case Op::not_in:
      domain.except.insert(domain.except.end(), values.begin(), values.end());
      break;
    case Op::less:
    case Op::less_equal:
      domain.at_most(values.at(0), op == Op::less);
      break;
    case Op::greater:
    case Op::greater_equal:
      domain.at_least(values.at(0), op == Op::greater);
      break;
    case Op::prefix:
      if (!literal.negated) domain.prefixes.push_back(values.at(0).as_text());
      break;
    default:
      break;
  }
}

/// No whole number is left.
bool is_empty_of_integers(const Domain& domain) {
  std::int64_t low = INT64_MIN, high = INT64_MAX;
  if (domain.path.empty()) {
    if (domain.type == Type::boolean) low = 0, high = 1;
    if (domain.type == Type::id) low = 1;
    if (domain.type == Type::enumeration) {
      low = 0;
      high = static_cast<std::int64_t>(domain.column->names.size()) - 1;
    }
  }
  if (domain.low) {
    const std::int64_t least = domain.low->as_integer();
    if (domain.low_open && least == INT64_MAX) return true;
    low = std::max(low, least + (domain.low_open ? 1 : 0));
  }
  if (domain.high) {
    const std::int64_t most = domain.high->as_integer();
    if (domain.high_open && most == INT64_MIN) return true;
    high = std::min(high, most - (domain.high_open ? 1 : 0));
  }
  if (low > high) return true;
  const auto excluded = static_cast<std::uint64_t>(domain.except.size());
  if (static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) >= excluded) return false;
  for (std::int64_t value = low; value <= high; ++value) {
    if (domain.fits(Value::integer(value))) return false;
  }
  return true;
}

bool is_empty_of_others(const Domain& domain) {
  if (domain.low && domain.high) {
    const int order = compare(*domain.low, *domain.high);
    if (order > 0 || (order == 0 && !domain.fits(*domain.low))) return true;
  }
  for (const std::string_view prefix : domain.prefixes) {
    if (domain.high && compare(*domain.high, Value::text(prefix)) < 0) return true;
    if (domain.low && compare(*domain.low, Value::text(prefix)) > 0 &&
        !domain.low->as_text().starts_with(prefix)) {
      return true;
    }
    for (const std::string_view other : domain.prefixes) {
      if (!prefix.starts_with(other) && !other.starts_with(prefix)) return true;
    }
  }
  return false;
}

std::string why_empty(const Domain& domain) {
  const bool may_be_null = domain.column->nullable || !domain.path.empty();
  if (domain.null && !may_be_null) return domain.name() + " is never null";
  if (domain.null && domain.not_null) {
    return domain.name() + " would have to be null and have a value";
  }
  if (!domain.not_null) return {};
  bool empty = false;
  if (domain.among) {
    empty = std::none_of(domain.among->begin(), domain.among->end(),
                         [&](const Value& v) { return domain.fits(v); });
  } else {
    switch (domain.type) {
      case Type::real:
      case Type::text:
      case Type::json:
      case Type::bytes:
        empty = is_empty_of_others(domain);
        break;
      default:
        empty = is_empty_of_integers(domain);
        break;
    }
  }
  return empty ? domain.name() + " has no value that is all that is asked of it" : std::string();
}

Domain& domain_of(std::vector<Domain>& domains, const ColumnInfo& column,
                  const std::vector<std::string>& path, Type path_type) {
  const Type type = path.empty() ? column.type : path_type;
  for (Domain& known : domains) {
    // What a path leads to has one type at a time: each question about another is its own domain.
    if (known.column == &column && known.path == path && known.type == type) return known;
  }
  Domain& made = domains.emplace_back();
  made.column = &column;
  made.path = path;
  made.type = type;
  return made;
}

std::string why_never(const Conjunction& conjunction, const ColumnInfo* user) {
  std::vector<Domain> domains;
  if (user != nullptr) domain_of(domains, *user, {}, user->type).not_null = true;
  for (const Literal& literal : conjunction) {
    const Node& node = *literal.node;
    if (node.column->hidden) continue;  // folded text: any case of it is left open
    narrow(domain_of(domains, *node.column, node.path, node.path_type), literal);
  }
  for (const Domain& domain : domains) {
    if (auto why = why_empty(domain); !why.empty()) return why;
  }
  return {};
}

}  // namespace

std::string why_never(const Predicate& predicate, const ColumnInfo* user) {
  const auto cases = cases_of(predicate);
  if (!cases) return {};
  if (cases->empty()) return "it is true of no row";
  std::string first;
  for (const Conjunction& conjunction : *cases) {
    std::string why = why_never(conjunction, user);
    if (why.empty()) return {};
    if (first.empty()) first = std::move(why);
  }
  return first;
}

std::optional<std::int64_t> rows_at_most(const Predicate& predicate) {
  const auto cases = cases_of(predicate);
  if (!cases) return std::nullopt;
  std::vector<std::int64_t> ids;
  for (const Conjunction& conjunction : *cases) {
    const Literal* pin = nullptr;
    for (const Literal& literal : conjunction) {
      const Op op = literal.negated ? opposite(literal.node->op) : literal.node->op;
      if (literal.node->column->index == 0 && (op == Op::equal || op == Op::in)) pin = &literal;
    }
    if (pin == nullptr) return std::nullopt;
    for (const auto& operand : pin->node->operands)
      ids.push_back(operand.value.view().as_integer());
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return static_cast<std::int64_t>(ids.size());
}

}  // namespace rewards::inside
BUREAU_END_NAMESPACE
