// The one file that knows the JSON Schema library.

#include <fmt/format.h>

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

}  // namespace

Result<void> check_json(const Json& value, const Json& schema) {
  const std::string schema_text = schema.dump();
  if (schema_text.size() > max_schema_bytes) {
    return fail(
        Code::invalid,
        fmt::format("schema: {} bytes, the limit is {}", schema_text.size(), max_schema_bytes),
        "schema");
  }
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
