#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "store/duration_text.hpp"
#include "store/predicate_check.hpp"
#include "store/predicate_lexer.hpp"
#include "store/predicate_parse.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace detail {

namespace {

using Op = Predicate::Op;
using Node = Predicate::Node;
using Operand = Predicate::Operand;
using Kind = PredicateToken::Kind;

struct Operator {
  std::string_view text;
  Op op;
  bool folded = false;
};
constexpr std::array operators = std::to_array<Operator>({
    {"=", Op::equal},
    {"!=", Op::not_equal},
    {"<", Op::less},
    {"<=", Op::less_equal},
    {">", Op::greater},
    {">=", Op::greater_equal},
    {"prefix", Op::prefix},
    {"contains", Op::contains},
    {"ieq", Op::equal, true},
    {"iprefix", Op::prefix, true},
    {"icontains", Op::contains, true},
});

constexpr std::string_view expected_operator =
    "expected =, !=, <, <=, >, >=, in, not in, is, prefix, contains, ieq, iprefix or icontains";

/// Recursive descent over
///   or     := and ("or" and)*
///   and    := not ("and" not)*
///   not    := "not" not | "(" or ")" | "true" | "false" | test
///   test   := column ("." member)* (operator value | "is" ["not"] "null" | ["not"] "in" "(" ...
///   ")")
///   value  := string | number | duration | "true" | "false" | $name | "now" "(" ")"
class Parser {
 public:
  Parser(const TableInfo& table, std::string_view text, const Catalog* catalog, int depth,
         Author author)
      : table_(&table),
        text_(text),
        lexer_(text),
        catalog_(catalog),
        depth_left_(depth),
        author_(author) {}

  Result<Predicate> document() {
    BUREAU_TRY_VOID(advance());
    BUREAU_TRY(Predicate predicate, disjunction());
    if (token_.kind != Kind::end) return unexpected("expected 'and', 'or' or the end");
    return predicate;
  }

 private:
  Result<Predicate> disjunction() {
    BUREAU_TRY(Predicate left, conjunction());
    while (token_.is_word("or")) {
      BUREAU_TRY_VOID(advance());
      BUREAU_TRY(const Predicate right, conjunction());
      left = left || right;
    }
    return left;
  }

  Result<Predicate> conjunction() {
    BUREAU_TRY(Predicate left, factor());
    while (token_.is_word("and")) {
      BUREAU_TRY_VOID(advance());
      BUREAU_TRY(const Predicate right, factor());
      left = left && right;
    }
    return left;
  }

  Result<Predicate> factor() {
    if (token_.is_word("true") || token_.is_word("false")) {
      const bool yes = token_.is_word("true");
      BUREAU_TRY_VOID(advance());
      return yes ? Predicate() : Predicate::never();
    }
    const bool negative = token_.is_word("not");
    if (!negative && !token_.is("(")) return test();
    BUREAU_TRY_VOID(descend());
    BUREAU_TRY_VOID(advance());
    BUREAU_TRY(Predicate inner, negative ? factor() : disjunction());
    if (negative) {
      inner = !inner;
    } else {
      BUREAU_TRY_VOID(expect(")", "expected 'and', 'or' or ')'"));
    }
    ++depth_left_;
    return inner;
  }

  Result<Predicate> test() {
    auto node = std::make_shared<Node>();
    BUREAU_TRY_VOID(subject(*node));
    const PredicateToken op = token_;
    BUREAU_TRY_VOID(advance());
    if (op.is_word("is")) {
      BUREAU_TRY_VOID(null_test(*node, op));
    } else if (op.is_word("in")) {
      BUREAU_TRY_VOID(membership(*node, op, Op::in));
    } else if (op.is_word("not") && token_.is_word("in")) {
      BUREAU_TRY_VOID(advance());
      BUREAU_TRY_VOID(membership(*node, op, Op::not_in));
    } else {
      BUREAU_TRY_VOID(comparison(*node, op));
    }
    return Predicate(Predicate::NodePtr(std::move(node)));
  }

  /// The column, and the path behind it.
  Result<void> subject(Node& node) {
    if (token_.kind != Kind::word) return unexpected("expected a column, 'not' or '('");
    auto column = named_column(*table_, token_.raw, author_);
    if (!column) return error_at(token_, column.error().message);
    node.column = *column;
    BUREAU_TRY_VOID(advance());
    while (token_.is(".")) {
      BUREAU_TRY_VOID(advance());
      if (token_.kind != Kind::word && token_.kind != Kind::text)
        return unexpected("expected a member's name after '.'");
      node.path.push_back(token_.kind == Kind::text ? token_.value : std::string(token_.raw));
      const PredicateToken member = token_;
      node.op = Op::is_null;  // so that only the path is checked
      BUREAU_TRY_VOID(checked(member, check_operator(node)));
      BUREAU_TRY_VOID(advance());
    }
    return {};
  }

  Result<void> null_test(Node& node, const PredicateToken& op) {
    node.op = Op::is_null;
    if (token_.is_word("not")) {
      node.op = Op::is_not_null;
      BUREAU_TRY_VOID(advance());
    }
    if (!token_.is_word("null")) return unexpected("expected 'null' or 'not null' after 'is'");
    BUREAU_TRY_VOID(checked(op, check_operator(node)));
    return advance();
  }

  Result<void> comparison(Node& node, const PredicateToken& op) {
    const Operator* found = nullptr;
    for (const Operator& o : operators)
      if (op.is(o.text) || op.is_word(o.text)) found = &o;
    if (found == nullptr)
      return error_at(op, fmt::format("{}, found {}", expected_operator, op.shown()));
    node.op = found->op;
    if (found->folded) {
      if (!node.column->folded || !node.path.empty())
        return error_at(op, fmt::format("{} is not declared folded, which '{}' needs",
                                        node.column->name, found->text));
      node.column = &table_->columns[node.column->folded_index];
    }
    BUREAU_TRY_VOID(checked(op, check_operator(node)));
    return operand(node, fmt::format("after '{}'", found->text));
  }

  Result<void> membership(Node& node, const PredicateToken& op, Op kind) {
    node.op = kind;
    BUREAU_TRY_VOID(checked(op, check_operator(node)));
    BUREAU_TRY_VOID(expect("(", "expected '(' after 'in'"));
    if (token_.is_word("select")) return sub_select(node);
    if (token_.is(")")) return advance();
    for (;;) {
      BUREAU_TRY_VOID(operand(node, "in the list"));
      if (token_.is(")")) return advance();
      BUREAU_TRY_VOID(expect(",", "expected ',' or ')'"));
    }
  }

  Result<void> sub_select(Node& node) {
    const PredicateToken begin = token_;
    BUREAU_TRY_VOID(descend());
    BUREAU_TRY_VOID(advance());
    const PredicateToken column = token_;
    if (column.kind != Kind::word) return unexpected("expected a column after 'select'");
    BUREAU_TRY_VOID(advance());
    if (!token_.is_word("from")) return unexpected("expected 'from'");
    BUREAU_TRY_VOID(advance());
    if (token_.kind != Kind::word) return unexpected("expected a table after 'from'");
    auto select = std::make_shared<Predicate::SubSelect>();
    auto table = named_table(catalog_, token_.raw);
    if (!table) return error_at(token_, table.error().message);
    select->table = *table;
    auto selected = named_column(*select->table, column.raw, author_);
    if (!selected) return error_at(column, selected.error().message);
    select->column = *selected;
    BUREAU_TRY_VOID(advance());
    if (token_.is_word("where")) {
      BUREAU_TRY_VOID(advance());
      const TableInfo* outer = std::exchange(table_, select->table);
      BUREAU_TRY(const Predicate where, disjunction());
      table_ = outer;
      select->where = where.node();
    }
    node.op = node.op == Op::in ? Op::in_select : Op::not_in_select;
    node.select = std::move(select);
    BUREAU_TRY_VOID(checked(begin, check_operator(node)));
    ++depth_left_;
    return expect(")", "expected 'and', 'or' or ')'");
  }

  Result<void> operand(Node& node, std::string_view where) {
    const PredicateToken at = token_;
    if (at.kind == Kind::variable) {
      node.operands.push_back({Operand::Kind::variable, {}, at.value});
      return advance();
    }
    if (at.is_word("now")) {
      BUREAU_TRY_VOID(advance());
      BUREAU_TRY_VOID(expect("(", "expected '(' after 'now'"));
      BUREAU_TRY_VOID(expect(")", "expected ')' after 'now('"));
      node.operands.push_back({Operand::Kind::now, {}, {}});
      return checked(at, check_now(node));
    }
    BUREAU_TRY(OwnedValue value, literal(node, where));
    if (node.column->hidden) value = OwnedValue::text(fold_case(value.view().as_text()));
    BUREAU_TRY_VOID(checked(at, check_operand(node, value.view())));
    node.operands.push_back({Operand::Kind::literal, std::move(value), {}});
    return advance();
  }

  static Result<void> check_now(const Node& node) {
    if (node.column->type == Type::timestamp) return {};
    return fail(Code::invalid,
                fmt::format("now() can only be compared with a timestamp; {} is of type {}",
                            visible_name(*node.column), to_string(node.column->type)));
  }

  /// Reads the token as a value of the node's type; does not pass it.
  Result<OwnedValue> literal(Node& node, std::string_view where) {
    if (token_.is_word("null"))
      return error_at(token_, "no comparison with null is ever true; write 'is null'");
    if (!node.path.empty() && node.op != Op::contains && node.op != Op::prefix)
      BUREAU_TRY_VOID(settle_path(node, where));
    const bool text = node.op == Op::contains || node.op == Op::prefix;
    const Type type = text ? Type::text : node.path.empty() ? node.column->type : node.path_type;
    switch (type) {
      case Type::boolean:
        if (token_.is_word("true") || token_.is_word("false"))
          return OwnedValue(Value::integer(token_.is_word("true") ? 1 : 0));
        break;
      case Type::integer:
        if (token_.kind == Kind::integer) return integer();
        break;
      case Type::real:
        if (token_.kind == Kind::integer || token_.kind == Kind::real) return real();
        break;
      case Type::duration:
        if (token_.kind != Kind::duration) break;
        if (const auto micros = duration_from_text(token_.raw))
          return OwnedValue(Value::integer(*micros));
        break;
      default:
        if (token_.kind != Kind::text) break;
        if (auto value = literal_from_text(node, token_.value)) {
          return value;
        } else {
          return error_at(token_, value.error().message);
        }
    }
    return wanted(text || !node.path.empty() ? to_string(type)
                                             : std::string_view(expected_form(*node.column)),
                  type, where);
  }

  /// On a path the first literal says what type is compared.
  Result<void> settle_path(Node& node, std::string_view where) {
    Type type = Type::text;
    if (token_.is_word("true") || token_.is_word("false")) {
      type = Type::boolean;
    } else if (token_.kind == Kind::integer) {
      type = Type::integer;
    } else if (token_.kind == Kind::real) {
      type = Type::real;
    } else if (token_.kind != Kind::text) {
      return unexpected(fmt::format("expected a text, a number, true or false {}", where));
    }
    for (const Operand& operand : node.operands)
      if (operand.kind == Operand::Kind::literal && type != node.path_type)
        return error_at(token_, "values of two types in one list");
    node.path_type = type;
    return {};
  }

  Result<OwnedValue> integer() {
    std::int64_t value = 0;
    const auto read =
        std::from_chars(token_.raw.data(), token_.raw.data() + token_.raw.size(), value);
    if (read.ec == std::errc()) return OwnedValue(Value::integer(value));
    return error_at(token_, fmt::format("{} does not fit 64 bits", token_.shown()));
  }

  Result<OwnedValue> real() {
    double value = 0;
    const auto read =
        std::from_chars(token_.raw.data(), token_.raw.data() + token_.raw.size(), value);
    if (read.ec == std::errc() && std::isfinite(value)) return OwnedValue(Value::real(value));
    return error_at(token_, fmt::format("{} is beyond the range of a real", token_.shown()));
  }

  tl::unexpected<Error> wanted(std::string_view form, Type type, std::string_view where) {
    if (token_.kind == Kind::end || token_.kind == Kind::symbol)
      return unexpected(fmt::format("expected a value {}", where));
    const bool quoted = type != Type::boolean && type != Type::integer && type != Type::real &&
                        type != Type::duration;
    return unexpected(fmt::format("expected {}{} {}", form, quoted ? " in quotes" : "", where));
  }

  Result<void> advance() {
    auto token = lexer_.next();
    if (!token) return fail(std::move(token).error());
    token_ = *std::move(token);
    return {};
  }

  Result<void> expect(std::string_view symbol, std::string_view expected) {
    if (!token_.is(symbol)) return unexpected(expected);
    return advance();
  }

  Result<void> descend() {
    if (depth_left_ > 0) {
      --depth_left_;
      return {};
    }
    return error_at(token_, "nested too deeply");
  }

  [[nodiscard]] tl::unexpected<Error> error_at(const PredicateToken& token,
                                               std::string_view message) const {
    return predicate_error(text_, token.offset, message);
  }
  [[nodiscard]] tl::unexpected<Error> unexpected(std::string_view expected) const {
    return error_at(token_, fmt::format("{}, found {}", expected, token_.shown()));
  }
  /// Puts the place in front of another function's error.
  [[nodiscard]] Result<void> checked(const PredicateToken& token,
                                     const Result<void>& result) const {
    if (result) return {};
    return error_at(token, result.error().message);
  }

  const TableInfo* table_;
  std::string_view text_;
  PredicateLexer lexer_;
  const Catalog* catalog_;
  int depth_left_;
  Author author_;
  PredicateToken token_;
};

Result<Predicate> parse(const TableInfo& table, std::string_view text, const Catalog* catalog,
                        Predicate::ParseLimits limits, Author author) {
  if (text.size() > limits.bytes)
    return fail(Code::invalid, fmt::format("the predicate has {} bytes; at most {} are allowed",
                                           text.size(), limits.bytes));
  if (!is_valid_text(text))
    return fail(Code::invalid, "the predicate is not valid UTF-8 without NUL");
  return Parser(table, text, catalog, limits.depth, author).document();
}

}  // namespace

Result<const ColumnInfo*> named_column(const TableInfo& table, std::string_view name,
                                       Author author) {
  const auto visible = [&](const ColumnInfo& c) {
    return !c.hidden && (author == Author::program || !c.secret);
  };
  const ColumnInfo* column = table.find(name);
  if (column != nullptr && visible(*column)) return column;
  if (column != nullptr && column->secret && !column->hidden)
    return fail(Code::invalid, fmt::format("{} is secret; nothing may be asked about it", name),
                std::string(name));
  std::vector<std::string_view> names;
  for (const ColumnInfo& c : table.columns)
    if (visible(c)) names.push_back(c.name);
  const std::string near = nearest_names(name, names);
  return fail(Code::invalid,
              fmt::format("table '{}' has no column '{}'; {} {}", table.name, name,
                          near.empty() ? "its columns are" : "the nearest are",
                          near.empty() ? fmt::format("{}", fmt::join(names, ", ")) : near),
              std::string(name));
}

Result<const TableInfo*> named_table(const Catalog* catalog, std::string_view name) {
  if (catalog == nullptr) return fail(Code::invalid, "sub-selects are not possible here");
  if (const TableInfo* table = catalog->find(name)) return table;
  std::vector<std::string_view> names;
  for (const TableInfo* table : catalog->tables()) names.push_back(table->name);
  const std::string near = nearest_names(name, names);
  return fail(Code::invalid, fmt::format("there is no table '{}'{}{}", name,
                                         near.empty() ? "" : "; the nearest are ", near));
}

Result<OwnedValue> literal_from_text(const Node& node, std::string_view text) {
  // A column's limit of length is for what it holds, not for what it is compared with.
  ColumnInfo column = *node.column;
  column.nullable = false;
  column.max_length = std::numeric_limits<std::uint32_t>::max();
  if (!node.path.empty() || node.op == Op::contains) column.type = Type::text;
  return from_text(column, text);
}

Result<Predicate> parse_index_condition(const TableInfo& table, std::string_view text) {
  BUREAU_TRY(Predicate condition, parse(table, text, nullptr, {}, Author::program));
  if (condition.uses_now()) return fail(Code::invalid, "now() changes without a write");
  if (condition.has_variables()) return fail(Code::invalid, "nothing binds variables here");
  return condition;
}

}  // namespace detail

Result<Predicate> Predicate::parse(const TableInfo& table, std::string_view text,
                                   const Catalog* catalog, ParseLimits limits) {
  return detail::parse(table, text, catalog, limits, detail::Author::user);
}

BUREAU_END_NAMESPACE
