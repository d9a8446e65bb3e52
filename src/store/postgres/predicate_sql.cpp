#include "store/predicate_sql.hpp"

#include <algorithm>

#include "store/postgres/functions.hpp"
#include "store/postgres/sql.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::postgres {

namespace {

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

class PredicateInPostgres : public PredicateWriter<Sql, PredicateInPostgres> {
 public:
  using PredicateWriter::node;

  explicit PredicateInPostgres(Sql& sql, Operands operands, const PolicyTerms* terms = nullptr)
      : PredicateWriter(sql, operands), terms_(terms) {}

  static constexpr std::string_view yes = "TRUE", no = "FALSE", find = "strpos";

  void negation(const Node& negated) {
    sql_ << "NOT(";
    node(negated);
    sql_ << ")";
  }

  void range(const Node& node, std::string_view between) {
    sql_ << "(";
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      if (i > 0) sql_ << between;
      this->node(node.children[i]);
    }
    sql_ << ")";
  }

  void at_path(const Node& node) {
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

  void exists(const Node& node) { function_on_path(node, "bureau_json_exists"); }

  void element(const Node& node) { function_on_path(node, "bureau_json_has", &node.operands[0]); }

  /// What policies leave open.
  bool left_open(const Node& node) {
    if (terms_ == nullptr) return false;
    if (node.select != nullptr && terms_->among) {
      if (node.op == Op::not_in_select) sql_ << "NOT ";
      sql_ << terms_->among(*node.column, *node.select);
      return true;
    }
    const bool open = std::any_of(node.operands.begin(), node.operands.end(), is_variable);
    if (open) with_variables(node);
    return open;
  }

  /// As one array: the text, and so the prepared statement, is the same for every length.
  void list(const Node& node) {
    const bool in = node.op == Op::in;
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

  [[nodiscard]] static std::string end_of_prefix(std::string_view text) {
    return after_prefix(text);
  }

 private:
  using Operand = Predicate::Operand;
  static bool is_variable(const Operand& operand) {
    return operand.kind == Operand::Kind::variable;
  }
  /// $teams is several.
  static bool is_list(const Operand& operand) { return operand.name == "teams"; }

  void one_operand(const Node& node, const Operand& one) {
    if (!is_variable(one)) return operand(node, one.value.view());
    const std::string text = terms_->variable(one.name);
    sql_ << (node.column->hidden ? folded_sql(text) : text);
  }

  void with_variables(const Node& written) {
    Node node = written;
    // As Predicate::bind() does: on a path the first operand says what type it is.
    const bool is_text = node.operands[0].name == "role";
    if (is_variable(node.operands[0])) node.path_type = is_text ? Type::text : Type::integer;
    switch (node.op) {
      case Op::in:
      case Op::not_in:
        return list_with_variables(node);
      case Op::prefix:
        return call(node, "starts_with", "");
      case Op::contains:
        return node.column->type == Type::json ? element(node) : call(node, find, ">0");
      default:
        subject(node);
        sql_ << sign_of(node.op);
        one_operand(node, node.operands[0]);
    }
  }

  void call(const Node& node, std::string_view function, std::string_view after) {
    sql_ << function << "(";
    subject(node);
    sql_ << ",";
    one_operand(node, node.operands[0]);
    sql_ << ")" << after;
  }

  void list_with_variables(const Node& node) {
    const Type type = node.path.empty() ? node.column->type : node.path_type;
    subject(node);
    sql_ << (node.op == Op::in ? "=ANY(" : "<>ALL(");
    for (std::size_t i = 0; i < node.operands.size(); ++i) {
      const Operand& one = node.operands[i];
      if (i > 0) sql_ << "||";
      if (!is_list(one)) sql_ << "ARRAY[";
      one_operand(node, one);
      if (!is_list(one)) sql_ << "]::" << type_name(parameter_type(kind_of(type))) << "[]";
    }
    sql_ << ")";
  }

  /// bureau_json_get_...(column, member, member), or with `element` after the column.
  void function_on_path(const Node& node, std::string_view function,
                        const Operand* element = nullptr) {
    sql_.function(function);
    sql_ << "(";
    sql_.name(node.column->name);
    if (element != nullptr) {
      sql_ << ",";
      if (is_variable(*element)) {
        sql_ << terms_->variable(element->name);
      } else {
        text_operand(sql_.made.emplace_back(element->value.view().as_text()));
      }
    }
    sql_ << ",ARRAY[";
    for (std::size_t i = 0; i < node.path.size(); ++i) {
      if (i > 0) sql_ << ",";
      text_operand(node.path[i]);
    }
    sql_ << "]::text[])";
  }

  const PolicyTerms* terms_;
};

}  // namespace

void append_predicate(Sql& sql, const Predicate& predicate) {
  PredicateInPostgres(sql, Operands::parameters).node(predicate.node());
}

void append_predicate_literal(Sql& sql, const Predicate& predicate) {
  PredicateInPostgres(sql, Operands::literals).node(predicate.node());
}

void append_policy_predicate(Sql& sql, const Predicate& predicate, const PolicyTerms& terms) {
  PredicateInPostgres(sql, Operands::literals, &terms).node(predicate.node());
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
