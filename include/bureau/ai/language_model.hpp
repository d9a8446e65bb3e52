#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/core/json.hpp"
#include "bureau/core/money.hpp"
#include "bureau/work/budget.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

enum class ModelRole { system, user, assistant, tool };
template <>
inline constexpr auto names<ModelRole> = enum_names("system", "user", "assistant", "tool");

/// What a model wants done.
struct ToolCall {
  std::string id;  ///< the model's, by which the answer names it
  std::string name;
  Json arguments = Json::object();
};

struct ModelMessage {
  ModelRole role = ModelRole::user;
  std::string text;
  std::vector<ToolCall> calls = {};  ///< of an assistant
  std::string call_id = {};          ///< of a tool: the call that it answers
};

/// A tool that a model may ask for.
struct ToolSpec {
  std::string name;  ///< letters, digits, _ and -; 1 to 64
  std::string description;
  Json parameters = Json::object({{"type", "object"}});  ///< JSON Schema of its arguments
  Effect effect = Effect::pure;                          ///< what its work touches
};

struct ModelRequest {
  std::vector<ModelMessage> messages;
  std::vector<ToolSpec> tools = {};
  std::optional<Json> output = {};  ///< JSON Schema that the answer's text must meet, as JSON
  std::int64_t max_output_tokens = 1024;
  double temperature = 0;
  std::string model = {};  ///< which of the provider's; empty: its default
};

enum class StopReason {
  finished,
  tool_calls,  ///< the message asks for some
  length,      ///< max_output_tokens were not enough
  refused,     ///< the model does not want to answer
};
template <>
inline constexpr auto names<StopReason> = enum_names("finished", "tool_calls", "length", "refused");

/// What a call has used. What a provider does not say is absent.
struct ModelUsage {
  std::optional<std::int64_t> input_tokens, output_tokens;
};

struct ModelReply {
  ModelMessage message;
  StopReason stop = StopReason::finished;
  ModelUsage usage = {};
  std::string model = {};  ///< which one answered
};

/// How a caller follows and ends a call.
struct ModelCall {
  std::function<bool()> stop_requested = {};  ///< polled; none: never
  std::function<void(std::string_view delta)> on_text =
      {};  ///< of a model that streams; may be none
  /// The same when the call is made again after a crash: for providers that know idempotency keys.
  /// Empty: the caller has none.
  std::string key = {};
};

/// What a model can do beside complete().
struct ModelAbilities {
  bool answers_later = false;  ///< begin() returns before the answer is there
  bool can_be_asked = false;   ///< look() knows what became of a call, also of another process's
};

/// What a host implements to bring a model. Thread-safe. It carries one request and knows nothing
/// of retries, tools, schemas or budgets: they live above it (ai/model_run.hpp).
class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  /// Names provider, adapter and version, for logs and recordings.
  [[nodiscard]] virtual std::string_view identity() const = 0;
  /// `unavailable`: no answer came, nothing was used. `busy`: asked too often. `exhausted`: a
  /// quota. `unknown_outcome`: it may have been answered, and paid for. `invalid`: the request
  /// breaks the provider's rules. `cancelled`: by stop_requested.
  virtual Result<ModelReply> complete(const ModelRequest& request, const ModelCall& call) = 0;

  [[nodiscard]] virtual ModelAbilities abilities() const { return {}; }
  using Done = std::function<void(Result<ModelReply>)>;
  /// Begins a call; `done` is called once, on any thread, perhaps inside this call. For adapters
  /// with a loop of their own, whose abilities() say so; this default completes it at once. `call`
  /// and `done` may outlive the office: then they do nothing. A call that was begun with this key
  /// before is the same call.
  virtual void begin(const ModelRequest& request, ModelCall call, Done done);
  /// What became of the call that was begun with this key: the answer, or none while it goes on.
  /// `not_found`: it was never begun. For models that can_be_asked.
  virtual Result<std::optional<ModelReply>> look(std::string_view key);
};

/// What tokens cost: so much for each `per` of them. Amounts are exact; less than a millionth of
/// the minor unit is rounded up.
struct ModelPrice {
  Money input, output;
  std::int64_t per = 1'000'000;
};
/// `invalid` names the field: below zero, two currencies, or per below 1.
[[nodiscard]] Result<void> check_price(const ModelPrice& price);
/// What so many tokens cost, in `money` and `money_micros`. `exhausted` when it does not fit.
[[nodiscard]] Result<Amounts> cost_of(const ModelPrice& price, std::int64_t input_tokens,
                                      std::int64_t output_tokens);

/// How many input tokens a request may come to: a third of its bytes as canonical JSON, rounded up.
/// English has about four bytes to a token, so that is more than it needs; texts of which a
/// character is a token and has three bytes or more come out about right.
[[nodiscard]] std::int64_t estimate_input_tokens(const ModelRequest& request);

/// The request as JSON; its dump() is canonical: equal requests have equal texts.
[[nodiscard]] Json to_json(const ModelRequest& request);
[[nodiscard]] Json to_json(const ModelReply& reply);
/// What to_json() made. `invalid` names the member.
[[nodiscard]] Result<ModelReply> model_reply_from_json(const Json& json);
/// Names, schemas and limits of a request. `invalid` names the field.
[[nodiscard]] Result<void> check_request(const ModelRequest& request);

/// Whether the value meets the schema (JSON Schema, draft 7; no remote references). `invalid` names
/// the place in the value and the rule; a schema that is none is `invalid` with field "schema". A
/// schema with patterns or formats is met by no value with a text over 4,096 bytes.
[[nodiscard]] Result<void> check_json(const Json& value, const Json& schema);

BUREAU_END_NAMESPACE
