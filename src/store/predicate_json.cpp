#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bureau/core/json.hpp"
#include "bureau/store/predicate.hpp"
#include "store/predicate_check.hpp"
#include "store/predicate_parse.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

using Op = Predicate::Op;
using Node = Predicate::Node;
using NodePtr = Predicate::NodePtr;
using Operand = Predicate::Operand;

/// On a path a value is JSON as it is; prefix and contains take text; else the column says.
Type operand_type(const Node& node) {
  if (node.op == Op::contains || node.op == Op::prefix) return Type::text;
  return node.path.empty() ? node.column->type : node.path_type;
}

Json write_operand(const Node& node, const Operand& operand) {
  if (operand.kind == Operand::Kind::now) return Json::object({{"now", true}});
  if (operand.kind == Operand::Kind::variable) return Json::object({{"variable", operand.name}});
  const Value value = operand.value.view();
  switch (operand_type(node)) {
    case Type::boolean:
      return value.as_integer() != 0;
    case Type::integer:
      return value.as_integer();
    case Type::real:
      return value.as_real();
    case Type::text:
      return value.as_text();
    default:
      return to_text(*node.column, value);
  }
}

Json write(const NodePtr& node);

Json write_select(const Predicate::SubSelect& select) {
  Json out = Json::object({{"table", select.table->name}, {"column", select.column->name}});
  if (!Predicate(select.where).is_always()) out.set("where", write(select.where));
  return out;
}

Json write_comparison(const Node& node) {
  Json out = Json::object(
      {{"column", detail::visible_name(*node.column)}, {"op", detail::operator_name(node)}});
  if (!node.path.empty()) {
    Json path = Json::array();
    for (const std::string& member : node.path) path.push_back(member);
    out.set("path", std::move(path));
  }
  if (node.select != nullptr) {
    out.set("select", write_select(*node.select));
  } else if (node.op == Op::in || node.op == Op::not_in) {
    Json values = Json::array();
    for (const Operand& operand : node.operands) values.push_back(write_operand(node, operand));
    out.set("values", std::move(values));
  } else if (!node.operands.empty()) {
    out.set("value", write_operand(node, node.operands[0]));
  }
  return out;
}

Json write(const NodePtr& node) {
  switch (node == nullptr ? Op::always : node->op) {
    case Op::always:
      return true;
    case Op::never:
      return false;
    case Op::negation:
      return Json::object({{"not", write(node->children[0])}});
    case Op::all:
    case Op::any: {
      Json parts = Json::array();
      for (const NodePtr& child : node->children) parts.push_back(write(child));
      return Json::object({{node->op == Op::all ? "and" : "or", std::move(parts)}});
    }
    default:
      return write_comparison(*node);
  }
}

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
    {"in", Op::in},
    {"not in", Op::not_in},
    {"is null", Op::is_null},
    {"is not null", Op::is_not_null},
    {"prefix", Op::prefix},
    {"contains", Op::contains},
    {"ieq", Op::equal, true},
    {"iprefix", Op::prefix, true},
    {"icontains", Op::contains, true},
});

/// Reads the JSON form; `place` says where it is, for errors: "and[1].value".
class JsonReader {
 public:
  explicit JsonReader(const Catalog* catalog) : catalog_(catalog) {}

  Result<Predicate> read(const TableInfo& table, const Json& json, const std::string& place) {
    BUREAU_TRY_VOID(count(place));
    if (const bool* constant = json.as_bool()) return *constant ? Predicate() : Predicate::never();
    if (json.as_object() == nullptr) return refuse(place, "expected true, false or an object");
    if (const Json* parts = json.find("and")) return combine(table, json, *parts, place, "and");
    if (const Json* parts = json.find("or")) return combine(table, json, *parts, place, "or");
    if (const Json* inner = json.find("not")) {
      BUREAU_TRY_VOID(only_members(json, {"not"}, place));
      BUREAU_TRY(const Predicate predicate, read(table, *inner, at(place, "not")));
      return !predicate;
    }
    return comparison(table, json, place);
  }

 private:
  static constexpr std::size_t parts_max = 10'000;

  static std::string at(const std::string& place, std::string_view member) {
    return place.empty() ? std::string(member) : fmt::format("{}.{}", place, member);
  }

  static tl::unexpected<Error> refuse(const std::string& place, std::string_view message) {
    return fail(Code::invalid,
                place.empty() ? std::string(message) : fmt::format("{}: {}", place, message));
  }

  Result<void> count(const std::string& place) {
    if (++parts_ > parts_max)
      return refuse(place, fmt::format("more than {} parts and values", parts_max));
    return {};
  }

  static Result<void> only_members(const Json& json, std::initializer_list<std::string_view> known,
                                   const std::string& place) {
    for (const auto& [name, value] : *json.as_object())
      if (std::find(known.begin(), known.end(), name) == known.end())
        return refuse(place, fmt::format("the member '{}' does not belong here", name));
    return {};
  }

  Result<Predicate> combine(const TableInfo& table, const Json& json, const Json& parts,
                            const std::string& place, std::string_view name) {
    BUREAU_TRY_VOID(only_members(json, {name}, place));
    const Json::Array* items = parts.as_array();
    if (items == nullptr) return refuse(at(place, name), "expected a list of predicates");
    const bool conjunction = name == "and";
    Predicate all = conjunction ? Predicate() : Predicate::never();
    for (std::size_t i = 0; i < items->size(); ++i) {
      BUREAU_TRY(const Predicate part,
                 read(table, (*items)[i], fmt::format("{}[{}]", at(place, name), i)));
      all = conjunction ? all && part : all || part;
    }
    return all;
  }

  Result<Predicate> comparison(const TableInfo& table, const Json& json, const std::string& place) {
    BUREAU_TRY_VOID(
        only_members(json, {"column", "op", "path", "value", "values", "select"}, place));
    auto node = std::make_shared<Node>();
    BUREAU_TRY_VOID(column(table, json, place, *node));
    BUREAU_TRY_VOID(operator_of(table, json, place, *node));
    const bool list = node->op == Op::in || node->op == Op::not_in;
    if (const Json* select = json.find("select")) {
      if (!list) return refuse(at(place, "select"), "only 'in' and 'not in' take one");
      BUREAU_TRY_VOID(sub_select(*select, at(place, "select"), *node));
    } else if (list) {
      BUREAU_TRY_VOID(values(json, place, *node));
    } else if (const Json* value = json.find("value")) {
      BUREAU_TRY_VOID(operand(*value, at(place, "value"), *node));
    }
    if (json.find("values") != nullptr && (!list || node->select != nullptr))
      return refuse(at(place, "values"), "does not belong here");
    if (json.find("value") != nullptr && list)
      return refuse(at(place, "value"), "'in' and 'not in' take 'values', a list");
    if (auto checked = detail::check_comparison(*node); !checked)
      return refuse(place, checked.error().message);
    return Predicate(NodePtr(std::move(node)));
  }

  static Result<void> column(const TableInfo& table, const Json& json, const std::string& place,
                             Node& node) {
    const Json* member = json.find("column");
    const std::string* name = member == nullptr ? nullptr : member->as_string();
    if (name == nullptr) return refuse(at(place, "column"), "expected a column's name");
    auto column = detail::named_column(table, *name, detail::Author::user);
    if (!column) return refuse(at(place, "column"), column.error().message);
    node.column = *column;
    const Json* path = json.find("path");
    if (path == nullptr) return {};
    const Json::Array* members = path->as_array();
    if (members == nullptr || members->empty())
      return refuse(at(place, "path"), "expected a list of members' names");
    for (const Json& item : *members) {
      if (item.as_string() == nullptr)
        return refuse(at(place, "path"), "expected a list of members' names");
      node.path.push_back(*item.as_string());
    }
    return {};
  }

  static Result<void> operator_of(const TableInfo& table, const Json& json,
                                  const std::string& place, Node& node) {
    const Json* member = json.find("op");
    const std::string* text = member == nullptr ? nullptr : member->as_string();
    const auto* found = text == nullptr
                            ? operators.end()
                            : std::find_if(operators.begin(), operators.end(),
                                           [&](const Operator& o) { return o.text == *text; });
    if (found == operators.end()) {
      std::vector<std::string_view> names;
      for (const Operator& o : operators) names.push_back(o.text);
      return refuse(at(place, "op"), fmt::format("expected one of {}", fmt::join(names, ", ")));
    }
    node.op = found->op;
    if (!found->folded) return {};
    if (!node.column->folded || !node.path.empty())
      return refuse(at(place, "op"), fmt::format("{} is not declared folded, which '{}' needs",
                                                 node.column->name, found->text));
    node.column = &table.columns[node.column->folded_index];
    return {};
  }

  Result<void> sub_select(const Json& json, const std::string& place, Node& node) {
    if (json.as_object() == nullptr) return refuse(place, "expected an object");
    BUREAU_TRY_VOID(only_members(json, {"table", "column", "where"}, place));
    const Json* table = json.find("table");
    if (table == nullptr || table->as_string() == nullptr)
      return refuse(at(place, "table"), "expected a table's name");
    auto select = std::make_shared<Predicate::SubSelect>();
    auto named = detail::named_table(catalog_, *table->as_string());
    if (!named) return refuse(at(place, "table"), named.error().message);
    select->table = *named;
    Node selected;
    BUREAU_TRY_VOID(column(*select->table, json, place, selected));
    select->column = selected.column;
    if (const Json* where = json.find("where")) {
      BUREAU_TRY(const Predicate inner, read(*select->table, *where, at(place, "where")));
      select->where = inner.node();
    }
    node.op = node.op == Op::in ? Op::in_select : Op::not_in_select;
    node.select = std::move(select);
    return {};
  }

  Result<void> values(const Json& json, const std::string& place, Node& node) {
    const Json* member = json.find("values");
    const Json::Array* items = member == nullptr ? nullptr : member->as_array();
    if (items == nullptr) return refuse(at(place, "values"), "expected a list");
    for (std::size_t i = 0; i < items->size(); ++i)
      BUREAU_TRY_VOID(operand((*items)[i], fmt::format("{}[{}]", at(place, "values"), i), node));
    return {};
  }

  Result<void> operand(const Json& json, const std::string& place, Node& node) {
    BUREAU_TRY_VOID(count(place));
    if (json.as_object() != nullptr) return reference(json, place, node);
    if (json.is_null())
      return refuse(place, "no comparison with null is ever true; write \"is null\"");
    auto value = literal(json, node);
    if (!value) return refuse(place, value.error().message);
    Operand operand{Operand::Kind::literal, *std::move(value), {}};
    if (node.column->hidden)
      operand.value = OwnedValue::text(fold_case(operand.value.view().as_text()));
    node.operands.push_back(std::move(operand));
    return {};
  }

  static Result<void> reference(const Json& json, const std::string& place, Node& node) {
    const Json* now = json.find("now");
    const Json* variable = json.find("variable");
    const bool one = json.as_object()->size() == 1;
    if (one && now != nullptr && *now == Json(true)) {
      node.operands.push_back({Operand::Kind::now, {}, {}});
      return {};
    }
    const std::string* name = variable == nullptr ? nullptr : variable->as_string();
    const bool plain =
        name != nullptr && !name->empty() && std::all_of(name->begin(), name->end(), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '_';
        });
    if (!one || !plain)
      return refuse(place, R"(expected a value, {"variable": "name"} or {"now": true})");
    node.operands.push_back({Operand::Kind::variable, {}, *name});
    return {};
  }

  /// A value as write_operand writes it.
  static Result<OwnedValue> literal(const Json& json, Node& node) {
    const bool text = node.op == Op::contains || node.op == Op::prefix;
    if (!node.path.empty() && !text) {
      BUREAU_TRY_VOID(settle_path(json, node));
    }
    ColumnInfo column = *node.column;
    column.nullable = false;
    column.max_length = std::numeric_limits<std::uint32_t>::max();
    column.type = operand_type(node);
    if (column.type != Type::json) return from_json(column, json);
    // A whole JSON column is compared with JSON text, so that an object is never a value.
    if (const std::string* json_text = json.as_string())
      return detail::literal_from_text(node, *json_text);
    return fail(Code::invalid, fmt::format("{}: expected JSON in a string", column.name));
  }

  static Result<void> settle_path(const Json& json, Node& node) {
    Type type = Type::text;
    if (json.as_bool() != nullptr) type = Type::boolean;
    if (json.as_int() != nullptr) type = Type::integer;
    if (json.as_double() != nullptr) type = Type::real;
    if (json.as_array() != nullptr)
      return fail(Code::invalid, "expected a text, a number, true or false");
    for (const Operand& operand : node.operands)
      if (operand.kind == Operand::Kind::literal && type != node.path_type)
        return fail(Code::invalid, "values of two types in one list");
    node.path_type = type;
    return {};
  }

  const Catalog* catalog_;
  std::size_t parts_ = 0;
};

}  // namespace

Json Predicate::to_json() const { return write(root_); }

Result<Predicate> Predicate::from_json(const TableInfo& table, const Json& json,
                                       const Catalog* catalog) {
  return JsonReader(catalog).read(table, json, {});
}

BUREAU_END_NAMESPACE
