#pragma once

// Values of workflows: what is known of them before they are there (Shape), what people and
// starters give (WorkflowFields), and templates with references.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bureau/core/function_ref.hpp"
#include "bureau/store/record.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// `invalid` at a place of a definition, as "nodes.order.payload".
[[nodiscard]] tl::unexpected<Error> refuse_at(const std::string& place, std::string_view rule);
/// The same for an error that something inside gave.
[[nodiscard]] tl::unexpected<Error> refuse_at(const std::string& place, const Error& error);

/// What is known of a JSON value.
struct Shape {
  std::optional<Type> type;  ///< of a plain one: boolean, integer, real or text; none: not known
  bool closed = false;       ///< an object that has these members and no others
  std::map<std::string, Shape, std::less<>> members;

  [[nodiscard]] static Shape of(Type type) {
    Shape shape;
    shape.type = type;
    return shape;
  }
  [[nodiscard]] static Shape object(std::initializer_list<std::pair<std::string, Shape>> members) {
    Shape shape;
    shape.closed = true;
    for (const auto& [name, member] : members) shape.members.emplace(name, member);
    return shape;
  }
  /// Of a row or a record as JSON. Secret, personal and hidden columns are not in it.
  [[nodiscard]] static Shape of_columns(const TableInfo& table);
  /// What both are.
  void meet(const Shape& other);
  /// What the path leads to; the error says which member is not there.
  [[nodiscard]] Result<Shape> at(std::span<const std::string> path) const;
  /// "a text", "an object".
  [[nodiscard]] std::string to_text() const;
};

/// How a column's values look as JSON; none: any.
[[nodiscard]] std::optional<Type> json_type(Type type);

/// Fields with types, as an input or a form declares them:
///   {"amount": {"type": "integer"}, "note": {"type": "text", "optional": true}}
class WorkflowFields {
 public:
  WorkflowFields() = default;
  [[nodiscard]] static Result<WorkflowFields> read(const Json& json, const std::string& place);
  /// The value with each field in its form, optional ones that are not given as null. `invalid`
  /// names the field.
  [[nodiscard]] Result<Json> check(const Json& given, const std::string& place) const;
  [[nodiscard]] Shape shape() const { return Shape::of_columns(info_); }

 private:
  std::deque<std::string> names_;
  std::deque<std::vector<std::string_view>> choices_;
  TableInfo info_;
};

/// A reference: "order.lines.0.sku".
struct Reference {
  std::vector<std::string> path;  ///< the first is the root
  bool has_default = false;
};
[[nodiscard]] Result<std::vector<std::string>> parse_path(std::string_view text,
                                                          const std::string& place);

/// A template is JSON in which {"$": path} (with "default", if the path may lead nowhere) stands
/// for a value and {"$text": "Order {input.number}"} for a text.
[[nodiscard]] Result<void> each_reference(
    const Json& json, const std::string& place,
    FunctionRef<Result<void>(const Reference&, const std::string& place)> f);
/// What the template comes to; `root` says what is known of a reference's root.
[[nodiscard]] Shape shape_of(const Json& json, FunctionRef<Shape(const std::string& root)> root);
/// Its value. `values` is an object of the roots. `invalid` when a reference leads nowhere.
[[nodiscard]] Result<Json> fill(const Json& json, const Json& values);
/// A payload for the fields of a record: names, what is missing, and the types that are known.
[[nodiscard]] Result<void> check_payload_template(const Json& json, const TableInfo& fields,
                                                  const std::string& place,
                                                  FunctionRef<Shape(const std::string& root)> root);

}  // namespace detail
BUREAU_END_NAMESPACE
