#include <fmt/format.h>

#include <array>

#include "store/sqlite/sql.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::sqlite {

namespace {

using Op = Predicate::Op;
using Node = Predicate::Node;
using NodePtr = Predicate::NodePtr;

enum class Operands { parameters, literals };

void append_text_literal(Sql& sql, std::string_view text) {
  sql << "'";
  for (const char c : text) sql << (c == '\'' ? std::string_view("''") : std::string_view(&c, 1));
  sql << "'";
}

void append_literal(Sql& sql, const Value& value) {
  switch (value.kind()) {
    case Value::Kind::null:
      sql << "NULL";
      break;
    // The smallest integer has no literal of its own: SQL reads a minus and a number too large.
    case Value::Kind::integer:
      sql << (value.as_integer() == INT64_MIN ? std::string("(-9223372036854775807-1)")
                                              : fmt::format("{}", value.as_integer()));
      break;
    case Value::Kind::real:
      sql << fmt::format("{:.17e}", value.as_real());
      break;
    case Value::Kind::text:
      append_text_literal(sql, value.as_text());
      break;
    case Value::Kind::bytes:
      sql << "x'";
      for (const char c : value.as_text()) {
        sql << fmt::format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
      }
      sql << "'";
      break;
  }
}

class PredicateWriter {
 public:
  PredicateWriter(Sql& sql, Operands operands) : sql_(sql), operands_(operands) {}

  void node(const NodePtr& node) {
    if (node == nullptr) {
      sql_ << "1";
    } else {
      this->node(*node);
    }
  }

 private:
  void node(const Node& node) {
    switch (node.op) {
      case Op::always:
        sql_ << "1";
        break;
      case Op::never:
        sql_ << "0";
        break;
      case Op::all:
        several(node, " AND ", "1");
        break;
      case Op::any:
        several(node, " OR ", "0");
        break;
      case Op::negation:
        negation(*node.children[0]);
        break;
      default:
        comparison(node);
    }
  }

  /// Without parentheses where the negated has its own, or needs none: each is a place on the stack
  /// of SQLite's parser.
  void negation(const Node& negated) {
    const bool closed =
        negated.op == Op::negation || negated.op == Op::all || negated.op == Op::any;
    sql_ << (closed ? "NOT " : "NOT(");
    this->node(negated);
    if (!closed) sql_ << ")";
  }

  void several(const Node& node, std::string_view between, std::string_view none) {
    if (node.children.empty()) {
      sql_ << none;
    } else {
      range(node, between, 0, node.children.size());
    }
  }

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

  /// The planner uses a partial index only when it sees the index's condition in the query, so
  /// enumerations and booleans, of which such conditions are made, are never parameters.
  void operand(const Node& node, const Value& value) {
    const Type type = node.column->type;
    if (operands_ == Operands::literals || type == Type::enumeration || type == Type::boolean) {
      append_literal(sql_, value);
    } else {
      sql_.parameter(value);
    }
  }

  void text_operand(std::string_view text) {
    const Value value = Value::text(text);
    if (operands_ == Operands::literals) {
      append_literal(sql_, value);
    } else {
      sql_.parameter(value);
    }
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

  /// The column, or what its path leads to as a value of the operands' type.
  void subject(const Node& node) {
    if (node.path.empty()) return sql_.name(node.column->name);
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

  void comparison(const Node& node) {
    switch (node.op) {
      case Op::is_null:
      case Op::is_not_null:
        return null_test(node);
      case Op::in:
      case Op::not_in:
        return list(node);
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
    static constexpr std::array<std::string_view, 6> signs = {"=", "<>", "<", "<=", ">", ">="};
    subject(node);
    sql_ << signs[static_cast<std::size_t>(node.op) - static_cast<std::size_t>(Op::equal)];
    operand(node, node.operands[0].value.view());
  }

  void null_test(const Node& node) {
    if (node.path.empty()) {
      sql_.name(node.column->name);
    } else {
      function_on_path(node, "bureau_json_get", "x");
    }
    sql_ << (node.op == Op::is_null ? " IS NULL" : " IS NOT NULL");
  }

  void list(const Node& node) {
    if (node.operands.empty()) {
      sql_ << (node.op == Op::in ? "0" : "1");
      return;
    }
    subject(node);
    sql_ << (node.op == Op::in ? " IN(" : " NOT IN(");
    for (std::size_t i = 0; i < node.operands.size(); ++i) {
      if (i > 0) sql_ << ",";
      operand(node, node.operands[i].value.view());
    }
    sql_ << ")";
  }

  void sub_select(const Node& node) {
    sql_.name(node.column->name);
    sql_ << (node.op == Op::in_select ? " IN(SELECT " : " NOT IN(SELECT ");
    sql_.name(node.select->column->name);
    sql_ << " FROM ";
    sql_.name(node.select->table->name);
    if (node.select->where != nullptr) {
      sql_ << " WHERE ";
      this->node(node.select->where);
    }
    sql_ << ")";
  }

  /// A range, which an index serves. Valid UTF-8 never ends in the byte 255, so that one more than
  /// the last byte always exists.
  void prefix(const Node& node) {
    const std::string_view text = node.operands[0].value.view().as_text();
    sql_ << "(";
    subject(node);
    sql_ << ">=";
    text_operand(text);
    if (!text.empty()) {
      std::string& end = sql_.made.emplace_back(text);
      end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
      sql_ << " AND ";
      subject(node);
      sql_ << "<";
      text_operand(end);
    }
    sql_ << ")";
  }

  void contains(const Node& node) {
    const std::string_view text = node.operands[0].value.view().as_text();
    if (node.column->type == Type::json) return function_on_path(node, "bureau_json_has", text);
    sql_ << "instr(";
    sql_.name(node.column->name);
    sql_ << ",";
    text_operand(text);
    sql_ << ")>0";
  }

  Sql& sql_;
  Operands operands_;
};

}  // namespace

void Sql::name(std::string_view column) {
  text += '"';
  text += column;
  text += '"';
}

void append_predicate(Sql& sql, const Predicate& predicate) {
  PredicateWriter(sql, Operands::parameters).node(predicate.node());
}

std::string predicate_literal(const Predicate& predicate) {
  Sql sql;
  PredicateWriter(sql, Operands::literals).node(predicate.node());
  return std::move(sql.text);
}

}  // namespace detail::sqlite
BUREAU_END_NAMESPACE
