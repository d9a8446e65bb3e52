// The one file that knows the JSON Schema library.

#include <fmt/format.h>

#include <algorithm>

#define VALIJSON_USE_EXCEPTIONS 1  // else it ends the program
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "bureau/ai/language_model.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

constexpr std::size_t max_schema_bytes = 256 * 1024;

std::string described(valijson::ValidationResults& results) {
  // The last error is the innermost: those before it say which rules failed because of it.
  std::string text;
  valijson::ValidationResults::Error error;
  while (results.popError(error)) {
    std::string place;
    for (const auto& part : error.context) place += part;
    text = fmt::format("{}: {}", place, error.description);
    break;
  }
  return text;
}

/// Regular expressions take a stack frame for each character: no longer text meets one.
constexpr std::size_t max_matched_bytes = 4096;
constexpr int max_references = 16;  // that lead to one another

/// What a reference within the document points to; null when it is none of those.
const Json* target_of(const Json& schema, std::string_view reference) {
  if (reference.empty() || reference[0] != '#') return nullptr;
  reference.remove_prefix(1);
  const Json* at = &schema;
  while (!reference.empty() && at != nullptr) {
    if (reference[0] != '/') return nullptr;
    reference.remove_prefix(1);
    const std::size_t end = std::min(reference.find('/'), reference.size());
    at = at->find(reference.substr(0, end));
    reference.remove_prefix(end);
  }
  return at;
}

struct SchemaTraits {
  bool matches = false;  // has patterns or formats
  bool circles = false;  // references lead to one another without end
};

void look_at(const Json& part, const Json& schema, SchemaTraits& traits) {
  if (const Json::Array* items = part.as_array()) {
    for (const Json& item : *items) look_at(item, schema, traits);
  }
  const Json::Object* members = part.as_object();
  if (members == nullptr) return;
  for (const auto& [name, value] : *members) {
    if (name == "pattern" || name == "patternProperties" || name == "format") traits.matches = true;
    look_at(value, schema, traits);
  }
  const Json* at = &part;
  for (int hops = 0; at != nullptr; ++hops) {
    const Json* reference = at->find("$ref");
    const std::string* text = reference == nullptr ? nullptr : reference->as_string();
    if (text == nullptr) return;
    if (hops == max_references) {
      traits.circles = true;
      return;
    }
    at = target_of(schema, *text);
  }
}

std::size_t longest_text(const Json& value) {
  std::size_t longest = 0;
  if (const std::string* text = value.as_string()) return text->size();
  if (const Json::Array* items = value.as_array()) {
    for (const Json& item : *items) longest = std::max(longest, longest_text(item));
  }
  if (const Json::Object* members = value.as_object()) {
    for (const auto& [name, member] : *members) {
      longest = std::max({longest, name.size(), longest_text(member)});
    }
  }
  return longest;
}

/// What the library would not survive.
Result<void> check_bounds(const Json& value, const Json& schema) {
  SchemaTraits traits;
  look_at(schema, schema, traits);
  if (traits.circles) {
    return fail(Code::invalid, "schema: its references lead to one another without end", "schema");
  }
  if (!traits.matches || longest_text(value) <= max_matched_bytes) return {};
  return fail(Code::invalid,
              fmt::format("a text is longer than {} bytes, which is what patterns and formats are "
                          "matched with",
                          max_matched_bytes),
              "output");
}

}  // namespace

Result<void> check_json(const Json& value, const Json& schema) {
  const std::string schema_text = schema.dump();
  if (schema_text.size() > max_schema_bytes) {
    return fail(
        Code::invalid,
        fmt::format("schema: {} bytes, the limit is {}", schema_text.size(), max_schema_bytes),
        "schema");
  }
  BUREAU_TRY_VOID(check_bounds(value, schema));
  try {
    valijson::Schema parsed;
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    const auto schema_json = nlohmann::json::parse(schema_text);
    const valijson::adapters::NlohmannJsonAdapter schema_adapter(schema_json);
    parser.populateSchema(schema_adapter, parsed);
    const auto json = nlohmann::json::parse(value.dump());
    const valijson::adapters::NlohmannJsonAdapter adapter(json);
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    valijson::ValidationResults results;
    if (validator.validate(parsed, adapter, &results)) return {};
    return fail(Code::invalid, described(results), "output");
  } catch (const std::exception& e) {
    return fail(Code::invalid, fmt::format("schema: {}", e.what()), "schema");
  }
}

BUREAU_END_NAMESPACE
