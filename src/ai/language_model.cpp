#include "bureau/ai/language_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

BUREAU_BEGIN_NAMESPACE

namespace {

template <class E>
std::string_view name_of(E value) {
  return names<E>[static_cast<std::size_t>(value)];
}

template <class E>
Result<E> value_of(std::string_view name, std::string_view field) {
  const auto& all = names<E>;
  const auto found = std::find(all.begin(), all.end(), name);
  if (found != all.end()) return static_cast<E>(found - all.begin());
  return fail(Code::invalid, fmt::format("{}: there is no \"{}\"", field, name),
              std::string(field));
}

Json to_json(const ModelMessage& message) {
  Json out = Json::object({{"role", name_of(message.role)}, {"text", message.text}});
  if (!message.call_id.empty()) out.set("call_id", message.call_id);
  if (message.calls.empty()) return out;
  Json calls = Json::array();
  for (const ToolCall& call : message.calls) {
    calls.push_back(
        Json::object({{"id", call.id}, {"name", call.name}, {"arguments", call.arguments}}));
  }
  out.set("calls", std::move(calls));
  return out;
}

/// A member that must be there, as a text.
Result<std::string> text_of(const Json& json, std::string_view name) {
  const Json* member = json.find(name);
  const std::string* text = member == nullptr ? nullptr : member->as_string();
  if (text != nullptr) return *text;
  return fail(Code::invalid, fmt::format("{}: a text is missing", name), std::string(name));
}

std::optional<std::int64_t> number_of(const Json& json, std::string_view name) {
  const Json* member = json.find(name);
  const std::int64_t* number = member == nullptr ? nullptr : member->as_int();
  if (number == nullptr) return std::nullopt;
  return *number;
}

Result<ModelMessage> message_from(const Json& json) {
  ModelMessage message;
  BUREAU_TRY(const std::string role, text_of(json, "role"));
  BUREAU_TRY(message.role, value_of<ModelRole>(role, "role"));
  BUREAU_TRY(message.text, text_of(json, "text"));
  if (json.find("call_id") != nullptr) {
    BUREAU_TRY(message.call_id, text_of(json, "call_id"));
  }
  const Json* calls = json.find("calls");
  if (calls == nullptr) return message;
  const Json::Array* list = calls->as_array();
  if (list == nullptr) return fail(Code::invalid, "calls: they are no list", "calls");
  for (const Json& item : *list) {
    ToolCall& call = message.calls.emplace_back();
    BUREAU_TRY(call.id, text_of(item, "id"));
    BUREAU_TRY(call.name, text_of(item, "name"));
    if (const Json* arguments = item.find("arguments")) call.arguments = *arguments;
  }
  return message;
}

/// Whether it is a schema at all; no value is judged.
Result<void> check_schema(const Json& schema) {
  auto checked = check_json(Json(), schema);
  if (!checked && checked.error().field == "schema") return checked;
  return {};
}

bool is_tool_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), good);
}

}  // namespace

void LanguageModel::begin(const ModelRequest& request, ModelCall call, Done done) {
  done(complete(request, call));
}

Result<std::optional<ModelReply>> LanguageModel::look(std::string_view) {
  return fail(Code::unavailable, "model: it cannot be asked what became of a call", "model");
}

Result<void> check_price(const ModelPrice& price) {
  const auto invalid = [](std::string_view field, const std::string& rule) {
    return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
  };
  if (price.input.minor < 0) return invalid("input", price.input.to_string() + " is below zero");
  if (price.output.minor < 0) return invalid("output", price.output.to_string() + " is below zero");
  if (price.input.currency != price.output.currency) {
    return invalid("output", fmt::format("{}, but input is {}: one currency",
                                         price.output.to_string(), price.input.to_string()));
  }
  if (price.input.currency.code().empty()) return invalid("input", "a price has a currency");
  if (price.per < 1) return invalid("per", fmt::format("{} is below 1", price.per));
  return {};
}

Result<Amounts> cost_of(const ModelPrice& price, std::int64_t input_tokens,
                        std::int64_t output_tokens) {
  BUREAU_TRY_VOID(check_price(price));
  if (input_tokens < 0 || output_tokens < 0) {
    return fail(
        Code::invalid,
        fmt::format("tokens: {} and {}; neither is below zero", input_tokens, output_tokens),
        "tokens");
  }
  constexpr std::int64_t micros = 1'000'000;
  __extension__ using Wide = __int128;
  const auto in_micros = [&](std::int64_t tokens, std::int64_t minor) {
    return (Wide{tokens} * minor * micros + price.per - 1) / price.per;
  };
  // Of 63 bits each, a product with 10^6 may not fit 127; such prices and numbers are refused.
  constexpr std::int64_t most = 1'000'000'000'000;
  if (std::max(input_tokens, output_tokens) > most ||
      std::max(price.input.minor, price.output.minor) > most) {
    return fail(Code::exhausted, "price: tokens and prices go up to 10^12", "price");
  }
  const Wide sum =
      in_micros(input_tokens, price.input.minor) + in_micros(output_tokens, price.output.minor);
  if (sum > INT64_MAX) {
    return fail(Code::exhausted, "price: what these tokens cost does not fit 64 bits", "price");
  }
  Amounts cost;
  cost.money = Money{static_cast<std::int64_t>(sum / micros), price.input.currency};
  cost.money_micros = static_cast<std::int64_t>(sum % micros);
  return cost;
}

std::int64_t estimate_input_tokens(const ModelRequest& request) {
  return static_cast<std::int64_t>((to_json(request).dump().size() + 2) / 3);
}

Json to_json(const ModelRequest& request) {
  Json messages = Json::array();
  for (const ModelMessage& message : request.messages) messages.push_back(to_json(message));
  Json tools = Json::array();
  for (const ToolSpec& tool : request.tools) {
    tools.push_back(Json::object(
        {{"name", tool.name}, {"description", tool.description}, {"parameters", tool.parameters}}));
  }
  return Json::object({{"messages", std::move(messages)},
                       {"tools", std::move(tools)},
                       {"output", request.output.value_or(Json())},
                       {"max_output_tokens", request.max_output_tokens},
                       {"temperature", request.temperature},
                       {"model", request.model}});
}

Json to_json(const ModelReply& reply) {
  Json usage = Json::object();
  if (reply.usage.input_tokens) usage.set("input_tokens", *reply.usage.input_tokens);
  if (reply.usage.output_tokens) usage.set("output_tokens", *reply.usage.output_tokens);
  return Json::object({{"message", to_json(reply.message)},
                       {"stop", name_of(reply.stop)},
                       {"usage", std::move(usage)},
                       {"model", reply.model}});
}

Result<ModelReply> model_reply_from_json(const Json& json) {
  ModelReply reply;
  const Json* message = json.find("message");
  if (message == nullptr) return fail(Code::invalid, "message: it is missing", "message");
  BUREAU_TRY(reply.message, message_from(*message));
  BUREAU_TRY(const std::string stop, text_of(json, "stop"));
  BUREAU_TRY(reply.stop, value_of<StopReason>(stop, "stop"));
  BUREAU_TRY(reply.model, text_of(json, "model"));
  if (const Json* usage = json.find("usage")) {
    reply.usage.input_tokens = number_of(*usage, "input_tokens");
    reply.usage.output_tokens = number_of(*usage, "output_tokens");
  }
  return reply;
}

Result<void> check_request(const ModelRequest& request) {
  const auto invalid = [](std::string_view field, std::string_view rule) {
    return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
  };
  if (request.messages.empty()) return invalid("messages", "a request needs one at least");
  if (request.max_output_tokens < 1) return invalid("max_output_tokens", "it is at least 1");
  if (!(request.temperature >= 0 && request.temperature <= 2)) {
    return invalid("temperature", "it is from 0 to 2");
  }
  std::set<std::string_view> seen;
  for (const ToolSpec& tool : request.tools) {
    if (!is_tool_name(tool.name)) {
      return invalid("tools",
                     fmt::format("\"{}\" is no name: 1 to 64 letters, digits, _ and -", tool.name));
    }
    if (!seen.insert(tool.name).second) {
      return invalid("tools", fmt::format("\"{}\" is there twice", tool.name));
    }
    if (auto good = check_schema(tool.parameters); !good) {
      return invalid("tools", fmt::format("\"{}\": {}", tool.name, good.error().message));
    }
  }
  if (request.output) {
    if (auto good = check_schema(*request.output); !good) {
      return invalid("output", good.error().message);
    }
  }
  return {};
}

BUREAU_END_NAMESPACE
