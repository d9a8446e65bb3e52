#pragma once

#include <array>

#include "bureau/store/predicate.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What becomes of a predicate's operands.
enum class Operands { parameters, literals };

/// Writes a predicate as SQL, with the meaning of docs/predicates.md. `Sql` is the statement in the
/// making of one of the databases. `Derived` is the class that derives from this one and says what
/// is that database's own:
/// - `yes`, `no`: the texts of what always and never holds
/// - negation(node): NOT of the node
/// - range(node, between): its children in parentheses; there is one at least
/// - at_path(node): what its path leads to as a value of its type
/// - exists(node): null unless there is something other than null at its path
/// - list(node): IN or NOT IN of operands; there is one at least
/// - end_of_prefix(text): the first text after all that begin with `text`; empty: there is none
/// - element(node): whether a JSON array has the operand
/// - find: the function that tells where in a text another one begins, 0: nowhere
/// It may hide left_open(node), which writes a comparison in a way of its own, or does nothing and
/// says false.
template <class Sql, class Derived>
class PredicateWriter {
 public:
  PredicateWriter(Sql& sql, Operands operands) : sql_(sql), operands_(operands) {}

  void node(const Predicate::NodePtr& node) {
    if (node == nullptr) {
      sql_ << Derived::yes;
    } else {
      this->node(*node);
    }
  }

 protected:
  using Op = Predicate::Op;
  using Node = Predicate::Node;
  using NodePtr = Predicate::NodePtr;

  void node(const Node& node) {
    switch (node.op) {
      case Op::always:
        sql_ << Derived::yes;
        break;
      case Op::never:
        sql_ << Derived::no;
        break;
      case Op::all:
        several(node, " AND ", Derived::yes);
        break;
      case Op::any:
        several(node, " OR ", Derived::no);
        break;
      case Op::negation:
        derived().negation(*node.children[0]);
        break;
      default:
        comparison(node);
    }
  }

  /// The planner uses a partial index only when it sees the index's condition in the query, so
  /// enumerations and booleans, of which such conditions are made, are never parameters.
  [[nodiscard]] bool wants_literals(const Node& node) const {
    const Type type = node.column->type;
    return operands_ == Operands::literals || type == Type::enumeration || type == Type::boolean;
  }

  [[nodiscard]] Operands operands() const { return operands_; }

  void operand(const Node& node, const Value& value) { append(value, wants_literals(node)); }

  [[nodiscard]] static std::string_view sign_of(Op op) {
    static constexpr std::array<std::string_view, 6> signs = {"=", "<>", "<", "<=", ">", ">="};
    return signs[static_cast<std::size_t>(op) - static_cast<std::size_t>(Op::equal)];
  }

  static bool left_open(const Node&) { return false; }

  void text_operand(std::string_view text) {
    append(Value::text(text), operands_ == Operands::literals);
  }

  /// The column, or what its path leads to.
  void subject(const Node& node) {
    if (node.path.empty()) {
      sql_.name(node.column->name);
    } else {
      derived().at_path(node);
    }
  }

  Sql& sql_;

 private:
  [[nodiscard]] Derived& derived() { return static_cast<Derived&>(*this); }

  void append(const Value& value, bool literal) {
    if (literal) {
      sql_.literal(value);
    } else {
      sql_.parameter(value);
    }
  }

  void several(const Node& node, std::string_view between, std::string_view none) {
    if (node.children.empty()) {
      sql_ << none;
    } else {
      derived().range(node, between);
    }
  }

  void comparison(const Node& node) {
    if (derived().left_open(node)) return;
    switch (node.op) {
      case Op::is_null:
      case Op::is_not_null:
        return null_test(node);
      case Op::in:
      case Op::not_in:
        if (!node.operands.empty()) return derived().list(node);
        sql_ << (node.op == Op::in ? Derived::no : Derived::yes);
        return;
      case Op::in_select:
      case Op::not_in_select:
        return sub_select(node);
      case Op::prefix:
        return prefix(node);
      case Op::contains:
        return contains(node);
      default:
        break;
    }
    subject(node);
    sql_ << sign_of(node.op);
    operand(node, node.operands[0].value.view());
  }

  void null_test(const Node& node) {
    if (node.path.empty()) {
      sql_.name(node.column->name);
    } else {
      derived().exists(node);
    }
    sql_ << (node.op == Op::is_null ? " IS NULL" : " IS NOT NULL");
  }

  void sub_select(const Node& node) {
    sql_.name(node.column->name);
    sql_ << (node.op == Op::in_select ? " IN(SELECT " : " NOT IN(SELECT ");
    sql_.name(node.select->column->name);
    sql_ << " FROM ";
    sql_.table(node.select->table->name);
    if (node.select->where != nullptr) {
      sql_ << " WHERE ";
      this->node(node.select->where);
    }
    sql_ << ")";
  }

  /// A range, which an index serves.
  void prefix(const Node& node) {
    const std::string_view text = node.operands[0].value.view().as_text();
    sql_ << "(";
    subject(node);
    sql_ << ">=";
    text_operand(text);
    if (std::string end = Derived::end_of_prefix(text); !end.empty()) {
      sql_ << " AND ";
      subject(node);
      sql_ << "<";
      text_operand(sql_.made.emplace_back(std::move(end)));
    }
    sql_ << ")";
  }

  void contains(const Node& node) {
    if (node.column->type == Type::json) return derived().element(node);
    sql_ << Derived::find << "(";
    sql_.name(node.column->name);
    sql_ << ",";
    text_operand(node.operands[0].value.view().as_text());
    sql_ << ")>0";
  }

  Operands operands_;
};

}  // namespace detail
BUREAU_END_NAMESPACE
