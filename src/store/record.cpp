#include "bureau/store/record.hpp"

#include <fmt/format.h>

BUREAU_BEGIN_NAMESPACE
namespace detail {

Json values_to_json(const TableInfo& info, std::span<const Value> values) {
  Json out = Json::object();
  for (const ColumnInfo& c : info.columns) {
    if (!values[c.index].is_null()) out.set(c.name, to_json(c, values[c.index]));
  }
  return out;
}

Result<std::vector<OwnedValue>> json_to_values(const TableInfo& info, const Json& json) {
  const Json::Object* members = json.as_object();
  if (members == nullptr) return fail(Code::invalid, "payload: must be a JSON object", "payload");
  for (const auto& [name, value] : *members) {
    if (info.find(name) == nullptr) {
      return fail(Code::invalid, fmt::format("{}: there is no such field", name), name);
    }
  }
  std::vector<OwnedValue> values;
  values.reserve(info.width());
  for (const ColumnInfo& c : info.columns) {
    const Json* member = json.find(c.name);
    if (member == nullptr || member->is_null()) {
      if (!c.nullable && c.type != Type::json) {
        return fail(Code::invalid, fmt::format("{}: is missing", c.name), std::string(c.name));
      }
      values.emplace_back();
      continue;
    }
    BUREAU_TRY(values.emplace_back(), from_json(c, *member));
    BUREAU_TRY_VOID(check_value(info, c, values.back().view()));
  }
  return values;
}

}  // namespace detail
BUREAU_END_NAMESPACE
