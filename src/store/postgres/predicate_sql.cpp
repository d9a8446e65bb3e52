#include <array>

#include "store/postgres/sql.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

using Op = Predicate::Op;
using Node = Predicate::Node;
using NodePtr = Predicate::NodePtr;

enum class Operands { parameters, literals };

/// Where the last code point of valid UTF-8 begins. REQUIRES: not empty.
std::size_t last_code_point(std::string_view text) {
  std::size_t at = text.size() - 1;
  while ((static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
  return at;
}

std::uint32_t decode(std::string_view one) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(one[i]); };
  if (one.size() == 1) return byte(0);
  std::uint32_t point = byte(0) & (0x7FU >> one.size());
  for (std::size_t i = 1; i < one.size(); ++i) point = (point << 6U) | (byte(i) & 0x3FU);
  return point;
}

void encode(std::uint32_t point, std::string& out) {
  const auto more = [&](unsigned shift) {
    out += static_cast<char>(0x80U | ((point >> shift) & 0x3FU));
  };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0U | (point >> 6U));
    more(0);
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0U | (point >> 12U));
    more(6);
    more(0);
  } else {
    out += static_cast<char>(0xF0U | (point >> 18U));
    more(12);
    more(6);
    more(0);
  }
}

/// The first text after all that begin with `text`, itself valid UTF-8, which a parameter must be:
/// its last code point is one more. Empty: there is none.
std::string after_prefix(std::string_view text) {
  constexpr std::uint32_t last = 0x10FFFF, surrogates = 0xD800, after_surrogates = 0xE000;
  while (!text.empty()) {
    const std::size_t at = last_code_point(text);
    std::uint32_t point = decode(text.substr(at));
    text = text.substr(0, at);
    if (point == last) continue;
    if (++point == surrogates) point = after_surrogates;
    std::string end(text);
    encode(point, end);
    return end;
  }
  return {};
}

class PredicateWriter {
 public:
  PredicateWriter(Sql& sql, Operands operands) : sql_(sql), operands_(operands) {}

  void node(const NodePtr& node) {
    if (node == nullptr) {
      sql_ << "TRUE";
    } else {
      this->node(*node);
    }
  }

 private:
  void node(const Node& node) {
    switch (node.op) {
      case Op::always:
        sql_ << "TRUE";
        break;
      case Op::never:
        sql_ << "FALSE";
        break;
      case Op::all:
        several(node, " AND ", "TRUE");
        break;
      case Op::any:
        several(node, " OR ", "FALSE");
        break;
      case Op::negation:
        sql_ << "NOT(";
        this->node(node.children[0]);
        sql_ << ")";
        break;
      default:
        comparison(node);
    }
  }

  void several(const Node& node, std::string_view between, std::string_view none) {
    if (node.children.empty()) {
      sql_ << none;
      return;
    }
    sql_ << "(";
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      if (i > 0) sql_ << between;
      this->node(node.children[i]);
    }
    sql_ << ")";
  }

  /// The planner uses a partial index only when it sees the index's condition in the query, so
  /// enumerations and booleans, of which such conditions are made, are never parameters.
  [[nodiscard]] bool wants_literals(const Node& node) const {
    const Type type = node.column->type;
    return operands_ == Operands::literals || type == Type::enumeration || type == Type::boolean;
  }

  void operand(const Node& node, const Value& value) {
    if (wants_literals(node)) {
      sql_.literal(value);
    } else {
      sql_.parameter(value);
    }
  }

  void text_operand(std::string_view text) {
    if (operands_ == Operands::literals) {
      sql_.literal(Value::text(text));
    } else {
      sql_.parameter(Value::text(text));
    }
  }

  /// bureau_json_get_...(column, member, member), or with `element` after the column.
  void function_on_path(const Node& node, std::string_view function,
                        const std::string* element = nullptr) {
    sql_.function(function);
    sql_ << "(";
    sql_.name(node.column->name);
    if (element != nullptr) {
      sql_ << ",";
      text_operand(*element);
    }
    sql_ << ",ARRAY[";
    for (std::size_t i = 0; i < node.path.size(); ++i) {
      if (i > 0) sql_ << ",";
      text_operand(node.path[i]);
    }
    sql_ << "]::text[])";
  }

  /// The column, or what its path leads to as a value of the operands' type.
  void subject(const Node& node) {
    if (node.path.empty()) return sql_.name(node.column->name);
    switch (node.path_type) {
      case Type::boolean:
        return function_on_path(node, "bureau_json_boolean");
      case Type::integer:
        return function_on_path(node, "bureau_json_integer");
      case Type::real:
        return function_on_path(node, "bureau_json_real");
      default:
        sql_ << "(";
        function_on_path(node, "bureau_json_text");
        sql_ << " COLLATE \"C\")";
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
      function_on_path(node, "bureau_json_exists");
    }
    sql_ << (node.op == Op::is_null ? " IS NULL" : " IS NOT NULL");
  }

  /// As one array: the text, and so the prepared statement, is the same for every length.
  void list(const Node& node) {
    const bool in = node.op == Op::in;
    if (node.operands.empty()) {
      sql_ << (in ? "FALSE" : "TRUE");
      return;
    }
    std::vector<Value> values;
    for (const auto& operand : node.operands) values.push_back(operand.value.view());
    subject(node);
    if (wants_literals(node)) {
      sql_ << (in ? " IN(" : " NOT IN(");
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (i > 0) sql_ << ",";
        sql_.literal(values[i]);
      }
    } else {
      sql_ << (in ? "=ANY(" : "<>ALL(");
      const ParameterType type = parameter_type(values[0].kind());
      sql_.parameter(std::move(values), type);
    }
    sql_ << ")";
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
    if (std::string end = after_prefix(text); !end.empty()) {
      sql_ << " AND ";
      subject(node);
      sql_ << "<";
      text_operand(sql_.made.emplace_back(std::move(end)));
    }
    sql_ << ")";
  }

  void contains(const Node& node) {
    if (node.column->type == Type::json) {
      const std::string element(node.operands[0].value.view().as_text());
      return function_on_path(node, "bureau_json_has", &sql_.made.emplace_back(element));
    }
    sql_ << "strpos(";
    sql_.name(node.column->name);
    sql_ << ",";
    text_operand(node.operands[0].value.view().as_text());
    sql_ << ")>0";
  }

  Sql& sql_;
  Operands operands_;
};

}  // namespace

void append_predicate(Sql& sql, const Predicate& predicate) {
  PredicateWriter(sql, Operands::parameters).node(predicate.node());
}

void append_predicate_literal(Sql& sql, const Predicate& predicate) {
  PredicateWriter(sql, Operands::literals).node(predicate.node());
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
