#include "store/predicate_sql.hpp"

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
  using PredicateWriter::PredicateWriter;

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

  void element(const Node& node) {
    const std::string_view element = node.operands[0].value.view().as_text();
    function_on_path(node, "bureau_json_has", &sql_.made.emplace_back(element));
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
};

}  // namespace

void append_predicate(Sql& sql, const Predicate& predicate) {
  PredicateInPostgres(sql, Operands::parameters).node(predicate.node());
}

void append_predicate_literal(Sql& sql, const Predicate& predicate) {
  PredicateInPostgres(sql, Operands::literals).node(predicate.node());
}

}  // namespace detail::postgres
BUREAU_END_NAMESPACE
