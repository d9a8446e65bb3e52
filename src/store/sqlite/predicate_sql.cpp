#include "store/predicate_sql.hpp"

#include <algorithm>

#include "store/sqlite/sql.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

class PredicateInSqlite : public PredicateWriter<Sql, PredicateInSqlite> {
 public:
  using PredicateWriter::node;
  using PredicateWriter::PredicateWriter;

  static constexpr std::string_view yes = "1", no = "0", find = "instr";

  /// Without parentheses where the negated has its own, or needs none: each is a place on the stack
  /// of SQLite's parser.
  void negation(const Node& negated) {
    const bool closed =
        negated.op == Op::negation || negated.op == Op::all || negated.op == Op::any;
    sql_ << (closed ? "NOT " : "NOT(");
    this->node(negated);
    if (!closed) sql_ << ")";
  }

  void range(const Node& node, std::string_view between) {
    range(node, between, 0, node.children.size());
  }

  void at_path(const Node& node) {
    switch (node.path_type) {
      case Type::boolean:
        return function_on_path(node, "bureau_json_get", "b");
      case Type::integer:
        return function_on_path(node, "bureau_json_get", "i");
      case Type::real:
        return function_on_path(node, "bureau_json_get", "r");
      default:
        return function_on_path(node, "bureau_json_get", "t");
    }
  }

  void exists(const Node& node) { function_on_path(node, "bureau_json_get", "x"); }

  void element(const Node& node) {
    function_on_path(node, "bureau_json_has", node.operands[0].value.view().as_text());
  }

  void list(const Node& node) {
    subject(node);
    sql_ << (node.op == Op::in ? " IN(" : " NOT IN(");
    for (std::size_t i = 0; i < node.operands.size(); ++i) {
      if (i > 0) sql_ << ",";
      operand(node, node.operands[i].value.view());
    }
    sql_ << ")";
  }

  /// SQLite takes each equality for as rare as any other, and would as soon look through all of a
  /// tenant's rows as through those of one customer. That a tenant has many is a hint to its
  /// planner.
  bool left_open(const Node& node) {
    if (operands() == Operands::literals || node.op != Op::equal || !node.path.empty() ||
        node.column->type != Type::id || node.column->name != "tenant") {
      return false;
    }
    sql_ << "likelihood(";
    subject(node);
    sql_ << "=";
    operand(node, node.operands[0].value.view());
    sql_ << ",0.05)";
    return true;
  }

  /// Valid UTF-8 never ends in the byte 255, so that one more than the last byte always exists.
  [[nodiscard]] static std::string end_of_prefix(std::string_view text) {
    std::string end(text);
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
  }

 private:
  /// In halves: SQLite's tree of a flat chain is as deep as the chain is long, and it has a limit.
  void range(const Node& node, std::string_view between, std::size_t begin, std::size_t end) {
    constexpr std::size_t flat = 32;
    sql_ << "(";
    if (end - begin > flat) {
      const std::size_t middle = begin + (end - begin) / 2;
      range(node, between, begin, middle);
      sql_ << between;
      range(node, between, middle, end);
    } else {
      const std::size_t first = deepest(node, begin, end);
      this->node(node.children[first]);
      for (std::size_t i = begin; i < end; ++i) {
        if (i == first) continue;
        sql_ << between;
        this->node(node.children[i]);
      }
    }
    sql_ << ")";
  }

  /// Which child comes first. In shallow trees the first does, as it was written. In deep ones the
  /// deepest: what stands before a child waits on the stack of SQLite's parser, which has 100
  /// places, until that child is read.
  [[nodiscard]] static std::size_t deepest(const Node& node, std::size_t begin, std::size_t end) {
    constexpr std::size_t shallow = 8;
    std::size_t found = begin, most = shallow;
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t levels = height(node.children[i]);
      if (levels > most) {
        found = i;
        most = levels;
      }
    }
    return found;
  }
  [[nodiscard]] static std::size_t height(const NodePtr& node) {
    std::size_t most = 0;
    if (node == nullptr) return most;
    for (const auto& child : node->children) most = std::max(most, height(child));
    return most + 1;
  }

  void function_on_path(const Node& node, std::string_view function, std::string_view argument) {
    sql_ << function << "(";
    sql_.name(node.column->name);
    sql_ << ",";
    text_operand(argument);
    for (const std::string& member : node.path) {
      sql_ << ",";
      text_operand(member);
    }
    sql_ << ")";
  }
};

}  // namespace

void Sql::literal(const Value& value) { *this << value_literal(value, {"", "x'", "'"}); }

void append_predicate(Sql& sql, const Predicate& predicate) {
  PredicateInSqlite(sql, Operands::parameters).node(predicate.node());
}

std::string predicate_literal(const Predicate& predicate) {
  Sql sql;
  PredicateInSqlite(sql, Operands::literals).node(predicate.node());
  return std::move(sql.text);
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
