#include "work/workflow_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "bureau/work/workflow.hpp"
#include "core/text.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

tl::unexpected<Error> refuse_at(const std::string& place, std::string_view rule) {
  return fail(Code::invalid, fmt::format("{}: {}", place, rule), place);
}

tl::unexpected<Error> refuse_at(const std::string& place, const Error& error) {
  return fail(error.code, fmt::format("{}: {}", place, error.message), place);
}

// Shapes ---------------------------------------------------------------------------------------

std::optional<Type> json_type(Type type) {
  switch (type) {
    case Type::boolean:
    case Type::integer:
    case Type::real:
      return type;
    case Type::json:
      return std::nullopt;
    default:
      return Type::text;
  }
}

Shape Shape::of_columns(const TableInfo& table) {
  Shape shape;
  shape.closed = true;
  for (const ColumnInfo& column : table.columns) {
    if (column.hidden || column.secret || column.personal) continue;
    Shape member;
    member.type = json_type(column.type);
    shape.members.emplace(column.name, member);
  }
  return shape;
}

void Shape::meet(const Shape& other) {
  if (type != other.type || closed != other.closed) {
    *this = Shape();
    return;
  }
  for (auto& [name, member] : members) {
    const auto found = other.members.find(name);
    if (found == other.members.end()) {
      *this = Shape();
      return;
    }
    member.meet(found->second);
  }
  if (members.size() != other.members.size()) *this = Shape();
}

std::string Shape::to_text() const {
  if (closed) return "an object";
  if (!type) return "not known";
  return fmt::format("{} {}", *type == Type::integer ? "an" : "a", to_string(*type));
}

Result<Shape> Shape::at(std::span<const std::string> path) const {
  const Shape* shape = this;
  for (const std::string& member : path) {
    if (shape->type) {
      return fail(Code::invalid, fmt::format("\"{}\" leads into {}", member, shape->to_text()));
    }
    if (!shape->closed) return Shape();
    const auto found = shape->members.find(member);
    if (found == shape->members.end()) {
      std::vector<std::string_view> known;
      for (const auto& [name, of] : shape->members) known.push_back(name);
      const std::string near = nearest_names(member, known);
      return fail(Code::invalid,
                  fmt::format("there is no \"{}\"{}", shortened(member),
                              near.empty() ? "" : fmt::format("; did you mean {}?", near)));
    }
    shape = &found->second;
  }
  return *shape;
}

// Fields ---------------------------------------------------------------------------------------

namespace {

constexpr std::array field_types = std::to_array<std::pair<std::string_view, Type>>({
    {"text", Type::text},
    {"integer", Type::integer},
    {"real", Type::real},
    {"boolean", Type::boolean},
    {"timestamp", Type::timestamp},
    {"duration", Type::duration},
    {"json", Type::json},
    {"choice", Type::enumeration},
});

Result<Type> type_of(const Json& field, const std::string& place) {
  const Json* member = field.find("type");
  const std::string* text = member == nullptr ? nullptr : member->as_string();
  for (const auto& [name, type] : field_types) {
    if (text != nullptr && *text == name) return type;
  }
  return refuse_at(place + ".type",
                   "expected text, integer, real, boolean, timestamp, duration, json or choice");
}

Result<std::vector<std::string>> choices_of(const Json& field, const std::string& place) {
  std::vector<std::string> out;
  const Json* member = field.find("choices");
  const Json::Array* items = member == nullptr ? nullptr : member->as_array();
  for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
    const std::string* text = (*items)[i].as_string();
    if (text == nullptr || text->empty() || std::find(out.begin(), out.end(), *text) != out.end()) {
      return refuse_at(fmt::format("{}.choices.{}", place, i),
                       "expected a text that is not empty and not there yet");
    }
    out.push_back(*text);
  }
  if (out.empty()) return refuse_at(place + ".choices", "expected a list of texts");
  return out;
}

Result<std::uint32_t> max_length_of(const Json& field, const std::string& place) {
  const Json* member = field.find("max_length");
  if (member == nullptr) return 10'000;
  const std::int64_t* value = member->as_int();
  if (value == nullptr || *value < 1 || *value > 100'000) {
    return refuse_at(place + ".max_length", "expected an integer from 1 to 100000");
  }
  return static_cast<std::uint32_t>(*value);
}

Result<void> check_field_members(const Json& field, const std::string& place) {
  if (field.as_object() == nullptr) return refuse_at(place, "expected an object with a type");
  for (const auto& [name, value] : *field.as_object()) {
    constexpr std::array known{"type", "optional", "max_length", "choices", "label"};
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return refuse_at(place, fmt::format("\"{}\" is not known here", shortened(name)));
    }
    const bool good = name == "optional" ? value.as_bool() != nullptr
                                         : name != "label" || value.as_string() != nullptr;
    if (!good) {
      return refuse_at(fmt::format("{}.{}", place, name),
                       name == "label" ? "expected a text" : "expected true or false");
    }
  }
  return {};
}

}  // namespace

Result<WorkflowFields> WorkflowFields::read(const Json& json, const std::string& place) {
  WorkflowFields out;
  out.info_.name = "fields";
  if (json.is_null()) return out;
  const Json::Object* members = json.as_object();
  if (members == nullptr) return refuse_at(place, "expected an object of fields");
  if (members->size() > max_workflow_fields) {
    return refuse_at(
        place, fmt::format("{} fields, the limit is {}", members->size(), max_workflow_fields));
  }
  for (const auto& [name, field] : *members) {
    const std::string at = fmt::format("{}.{}", place, name);
    if (!is_plain_name(name)) {
      return refuse_at(place, fmt::format("\"{}\" is no name of a field: [a-z][a-z0-9_]*, at most "
                                          "48 bytes",
                                          shortened(name)));
    }
    BUREAU_TRY_VOID(check_field_members(field, at));
    BUREAU_TRY(const Type type, type_of(field, at));
    ColumnOptions options;
    if (type == Type::text) {
      BUREAU_TRY(options.max_length, max_length_of(field, at));
    }
    const Json* optional = field.find("optional");
    const bool nullable = optional != nullptr && *optional->as_bool();
    ColumnInfo column = make_column(out.names_.emplace_back(name), type, nullable, options);
    if (type == Type::enumeration) {
      BUREAU_TRY(const auto choices, choices_of(field, at));
      auto& views = out.choices_.emplace_back();
      for (const std::string& choice : choices) views.push_back(out.names_.emplace_back(choice));
      column.names = views;
    }
    column.index = static_cast<std::uint16_t>(out.info_.columns.size());
    out.info_.columns.push_back(column);
  }
  return out;
}

Result<Json> WorkflowFields::check(const Json& given, const std::string& place) const {
  if (given.as_object() == nullptr) return refuse_at(place, "expected an object");
  for (const ColumnInfo& column : info_.columns) {
    // A record takes any JSON as null; a field that is not optional must be given.
    const Json* member = given.find(column.name);
    if (!column.nullable && (member == nullptr || member->is_null())) {
      return refuse_at(fmt::format("{}.{}", place, column.name), "is missing");
    }
  }
  const auto values = json_to_values(info_, given);
  if (!values) {
    const std::string& field = values.error().field;
    std::string message = values.error().message;
    if (message.starts_with(field + ": ")) message.erase(0, field.size() + 2);
    return refuse_at(field.empty() ? place : fmt::format("{}.{}", place, field), message);
  }
  Json out = Json::object();
  for (const ColumnInfo& column : info_.columns) {
    out.set(column.name, to_json(column, (*values)[column.index].view()));
  }
  return out;
}

// Templates ------------------------------------------------------------------------------------

Result<std::vector<std::string>> parse_path(std::string_view text, const std::string& place) {
  constexpr std::size_t parts_max = 16;
  std::vector<std::string> path;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    path.emplace_back(text.substr(begin, end - begin));
    if (path.back().empty() || path.size() > parts_max) {
      return refuse_at(place, fmt::format("\"{}\" is no path: names with dots between them, at "
                                          "most {}",
                                          shortened(text), parts_max));
    }
    if (end == text.size()) return path;
    begin = end + 1;
  }
}

namespace {

/// A text in parts: those with a path stand for what it leads to.
struct TextPart {
  std::string text;
  std::vector<std::string> path;
};

/// `{{` is a brace.
Result<std::vector<TextPart>> parse_text(std::string_view text, const std::string& place) {
  std::vector<TextPart> parts(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{' || (i + 1 < text.size() && text[i + 1] == '{')) {
      if (text[i] == '{') ++i;
      parts.back().text += text[i];
      continue;
    }
    const std::size_t end = text.find('}', i);
    if (end == std::string_view::npos) {
      return refuse_at(place, "a { that no } ends; write {{ for the brace itself");
    }
    BUREAU_TRY(parts.back().path, parse_path(text.substr(i + 1, end - i - 1), place));
    parts.emplace_back();
    i = end;
  }
  return parts;
}

enum class Form { plain, reference, text };

Result<Form> form_of(const Json& json, const std::string& place) {
  const Json::Object* members = json.as_object();
  if (members == nullptr) return Form::plain;
  if (const Json* text = json.find("$text")) {
    if (members->size() == 1 && text->as_string() != nullptr) return Form::text;
    return refuse_at(place, "expected {\"$text\": \"... {path} ...\"} and nothing beside it");
  }
  if (const Json* path = json.find("$")) {
    const bool good = members->size() == 1 || (members->size() == 2 && json.find("default"));
    if (good && path->as_string() != nullptr) return Form::reference;
    return refuse_at(place, "expected {\"$\": \"path\"}, with \"default\" or nothing beside it");
  }
  return Form::plain;
}

const Json* follow(const Json& values, std::span<const std::string> path) {
  const Json* at = &values;
  for (const std::string& member : path) {
    if (const Json::Array* items = at->as_array()) {
      std::size_t index = 0;
      const auto read = std::from_chars(member.data(), member.data() + member.size(), index);
      const bool whole = read.ec == std::errc() && read.ptr == member.data() + member.size();
      if (!whole || index >= items->size()) return nullptr;
      at = &(*items)[index];
      continue;
    }
    at = at->find(member);
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::string joined(std::span<const std::string> path) {
  std::string out;
  for (const std::string& part : path) out += (out.empty() ? "" : ".") + part;
  return out;
}

tl::unexpected<Error> leads_nowhere(std::span<const std::string> path) {
  return fail(Code::invalid, fmt::format("\"{}\" leads nowhere", joined(path)), joined(path));
}

}  // namespace

Result<void> each_reference(
    const Json& json, const std::string& place,
    FunctionRef<Result<void>(const Reference&, const std::string& place)> f) {
  BUREAU_TRY(const Form form, form_of(json, place));
  if (form == Form::text) {
    BUREAU_TRY(const auto parts, parse_text(*json.find("$text")->as_string(), place));
    for (const TextPart& part : parts) {
      if (!part.path.empty()) BUREAU_TRY_VOID(f({part.path, false}, place));
    }
    return {};
  }
  if (form == Form::reference) {
    BUREAU_TRY(auto path, parse_path(*json.find("$")->as_string(), place));
    return f({std::move(path), json.find("default") != nullptr}, place);
  }
  if (const Json::Array* items = json.as_array()) {
    for (std::size_t i = 0; i < items->size(); ++i) {
      BUREAU_TRY_VOID(each_reference((*items)[i], fmt::format("{}.{}", place, i), f));
    }
  }
  if (const Json::Object* members = json.as_object()) {
    for (const auto& [name, member] : *members) {
      BUREAU_TRY_VOID(each_reference(member, fmt::format("{}.{}", place, name), f));
    }
  }
  return {};
}

Shape shape_of(const Json& json, FunctionRef<Shape(const std::string& root)> root) {
  const auto form = form_of(json, "");
  if (form && *form == Form::text) return Shape::of(Type::text);
  if (form && *form == Form::reference) {
    const auto path = parse_path(*json.find("$")->as_string(), "");
    if (!path || json.find("default") != nullptr) return {};
    return root(path->front()).at(std::span(*path).subspan(1)).value_or(Shape());
  }
  switch (json.kind()) {
    case Json::Kind::boolean:
      return Shape::of(Type::boolean);
    case Json::Kind::integer:
      return Shape::of(Type::integer);
    case Json::Kind::real:
      return Shape::of(Type::real);
    case Json::Kind::string:
      return Shape::of(Type::text);
    case Json::Kind::object:
      break;
    default:
      return {};
  }
  Shape shape;
  shape.closed = true;
  for (const auto& [name, member] : *json.as_object()) {
    shape.members.emplace(name, shape_of(member, root));
  }
  return shape;
}

Result<Json> fill(const Json& json, const Json& values) {
  BUREAU_TRY(const Form form, form_of(json, "template"));
  if (form == Form::text) {
    BUREAU_TRY(const auto parts, parse_text(*json.find("$text")->as_string(), "template"));
    std::string out;
    for (const TextPart& part : parts) {
      out += part.text;
      if (part.path.empty()) continue;
      const Json* value = follow(values, part.path);
      if (value == nullptr) return leads_nowhere(part.path);
      const std::string* text = value->as_string();
      if (!value->is_null()) out += text != nullptr ? *text : value->dump();
    }
    return Json(std::move(out));
  }
  if (form == Form::reference) {
    BUREAU_TRY(const auto path, parse_path(*json.find("$")->as_string(), "template"));
    if (const Json* value = follow(values, path)) return *value;
    if (const Json* otherwise = json.find("default")) return *otherwise;
    return leads_nowhere(path);
  }
  if (const Json::Array* items = json.as_array()) {
    Json out = Json::array();
    for (const Json& item : *items) {
      BUREAU_TRY(Json filled, fill(item, values));
      out.push_back(std::move(filled));
    }
    return out;
  }
  if (const Json::Object* members = json.as_object()) {
    Json out = Json::object();
    for (const auto& [name, member] : *members) {
      BUREAU_TRY(Json filled, fill(member, values));
      out.set(name, std::move(filled));
    }
    return out;
  }
  return json;
}

namespace {

bool has_references(const Json& json) {
  bool found = false;
  const auto note = [&](const Reference&, const std::string&) -> Result<void> {
    found = true;
    return {};
  };
  return !each_reference(json, "", note) || found;
}

bool fits(const Shape& shape, Type wanted) {
  const auto type = json_type(wanted);
  if (!type) return true;
  if (shape.closed) return false;
  return !shape.type || shape.type == type || (*type == Type::real && shape.type == Type::integer);
}

}  // namespace

Result<void> check_payload_template(const Json& json, const TableInfo& fields,
                                    const std::string& place,
                                    FunctionRef<Shape(const std::string& root)> root) {
  BUREAU_TRY(const Form form, form_of(json, place));
  if (form == Form::reference) return {};  // what it leads to is checked when it is there
  if (form == Form::text || json.as_object() == nullptr) {
    return refuse_at(place, "expected an object");
  }
  for (const auto& [name, member] : *json.as_object()) {
    const std::string at = fmt::format("{}.{}", place, name);
    const ColumnInfo* column = fields.find(name);
    if (column == nullptr) {
      std::vector<std::string_view> known;
      for (const ColumnInfo& c : fields.columns) known.push_back(c.name);
      const std::string near = nearest_names(name, known);
      return refuse_at(at,
                       fmt::format("the kind has no such field{}",
                                   near.empty() ? "" : fmt::format("; did you mean {}?", near)));
    }
    if (!has_references(member)) {
      BUREAU_TRY(const Json said, fill(member, Json::object()));
      if (said.is_null() && (column->nullable || column->type == Type::json)) continue;
      if (auto value = from_json(*column, said); !value) return refuse_at(place, value.error());
      continue;
    }
    const Shape shape = shape_of(member, root);
    if (!fits(shape, column->type)) {
      return refuse_at(
          at, fmt::format("it is {}, the kind wants {}", shape.to_text(), expected_form(*column)));
    }
  }
  for (const ColumnInfo& column : fields.columns) {
    if (column.nullable || column.type == Type::json || json.find(column.name)) continue;
    return refuse_at(fmt::format("{}.{}", place, column.name), "is missing");
  }
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
