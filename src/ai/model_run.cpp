#include "bureau/ai/model_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ai/model_spending.hpp"
#include "bureau/work/outside_call.hpp"

BUREAU_BEGIN_NAMESPACE

Toolbox& Toolbox::add(ToolSpec spec, Work work) {
  tools_.push_back({std::move(spec), std::move(work), {}});
  return *this;
}

Toolbox& Toolbox::add(ToolSpec spec, UnitWork work) {
  spec.effect = Effect::database;
  tools_.push_back({std::move(spec), {}, std::move(work)});
  return *this;
}

std::vector<ToolSpec> Toolbox::specs() const {
  std::vector<ToolSpec> out;
  for (const Tool& tool : tools_) out.push_back(tool.spec);
  return out;
}

const Toolbox::Tool* Toolbox::find(std::string_view name) const {
  const auto found = std::find_if(tools_.begin(), tools_.end(),
                                  [&](const Tool& tool) { return tool.spec.name == name; });
  return found == tools_.end() ? nullptr : &*found;
}

namespace {

void add(std::optional<std::int64_t>& sum, std::optional<std::int64_t> part) {
  sum = sum && part ? std::optional(*sum + *part) : std::nullopt;
}

/// Whether the model is told of a tool's error, and may do better.
bool is_the_callers(Code code) {
  return code == Code::invalid || code == Code::not_found || code == Code::exists ||
         code == Code::conflict || code == Code::forbidden || code == Code::exhausted;
}

Result<Json> as_json(const Result<ModelReply>& reply) {
  if (!reply) return fail(reply.error());
  return to_json(*reply);
}

}  // namespace

Result<bool> deliver(const Runs& runs, std::string_view key, const Result<ModelReply>& reply) {
  return runs.answer(key, as_json(reply));
}

/// The conversation in progress.
class Conversation {
 public:
  Conversation(Run& run, LanguageModel& model, ModelRequest request, const Toolbox& tools,
               const ModelOptions& options)
      : run_(run), model_(model), request_(std::move(request)), tools_(tools), options_(options) {
    out_.usage = {0, 0};
  }

  Result<Conversed> hold() {
    for (;;) {
      BUREAU_TRY_VOID(ask());
      const ModelMessage& said = out_.reply.message;
      if (out_.reply.stop == StopReason::refused) {
        return fail(Code::forbidden, fmt::format("model: it refused: {}", said.text), "model");
      }
      if (!said.calls.empty()) {
        for (const ToolCall& call : std::vector(said.calls)) BUREAU_TRY_VOID(answer(call));
        continue;
      }
      auto output = check_output();
      if (output) {
        out_.output = std::move(*output);
        out_.messages = std::move(request_.messages);
        return std::move(out_);
      }
      if (++repairs_ > options_.repairs) {
        return fail(Code::exhausted,
                    fmt::format("model: its output breaks the schema after {} repairs: {}",
                                options_.repairs, output.error().message),
                    "output");
      }
      tell(ModelRole::user, "That does not meet the schema: " + output.error().message +
                                ". Answer again, with the JSON alone.");
    }
  }

 private:
  Result<void> ask() {
    if (out_.turns >= options_.max_turns) {
      return fail(Code::exhausted,
                  fmt::format("model: no answer within {} turns", options_.max_turns), "max_turns");
    }
    ++out_.turns;
    BUREAU_TRY(spend_, reservation());
    BUREAU_TRY(const Json recorded, model_.abilities().answers_later ? ask_later() : ask_now());
    BUREAU_TRY(out_.reply, model_reply_from_json(recorded));
    add(out_.usage.input_tokens, out_.reply.usage.input_tokens);
    add(out_.usage.output_tokens, out_.reply.usage.output_tokens);
    request_.messages.push_back(out_.reply.message);
    return {};
  }

  /// What one call may cost at most, as far as one can know.
  [[nodiscard]] Result<Spend> reservation() const {
    const std::int64_t input =
        options_.input_tokens ? options_.input_tokens(request_) : estimate_input_tokens(request_);
    BUREAU_TRY(Spend spend, detail::reservation(options_.price, input, request_.max_output_tokens));
    spend.most.time = options_.time;
    spend.exhausted = options_.exhausted;
    return spend;
  }

  /// What it used; what is not known stays as it was reserved.
  void count(const Result<ModelReply>& reply, Amounts& used) const {
    if (!reply) return detail::count_failure(reply.error().code, used);
    const auto& usage = reply->usage;
    if (!usage.input_tokens || !usage.output_tokens) return;
    detail::count_tokens(options_.price, *usage.input_tokens, *usage.output_tokens, used);
  }

  Result<Json> ask_now() {
    return run_.spend("model", options_.effect, spend_, [&](Amounts& used) -> Result<Json> {
      ModelCall call;
      call.stop_requested = [&] { return run_.stop_requested(); };
      call.key = run_.idempotency_key();
      const auto reply = model_.complete(request_, call);
      count(reply, used);
      if (!reply) return fail(reply.error());
      return to_json(*reply);
    });
  }

  /// No thread waits for the answer.
  Result<Json> ask_later() {
    OutsideCall call;
    call.effect = options_.effect;
    call.spend = spend_;
    call.within = options_.within;
    call.look_every = options_.look_every;
    call.begin = [&](const PendingCall& pending) -> Result<void> {
      ModelCall of_model;
      of_model.stop_requested = [pending] { return !pending.wanted(); };
      of_model.key = pending.key();
      model_.begin(request_, std::move(of_model), [pending](const Result<ModelReply>& reply) {
        static_cast<void>(pending.answer(as_json(reply)));
      });
      return {};
    };
    if (model_.abilities().can_be_asked) {
      call.look = [&](const std::string& key) -> Result<std::optional<Json>> {
        BUREAU_TRY(const auto reply, model_.look(key));
        if (!reply) return std::optional<Json>();
        return std::optional<Json>(to_json(*reply));
      };
    }
    call.used = [&](const Result<Json>& answer, Amounts& used) {
      if (!answer) return count(fail(answer.error()), used);
      count(model_reply_from_json(*answer), used);
    };
    return run_.request("model", call);
  }

  /// Does what the model asks for, or tells it why not.
  Result<void> answer(const ToolCall& call) {
    const std::string key = call.name + call.arguments.dump();
    repeats_ = key == last_call_ ? repeats_ + 1 : 1;
    last_call_ = key;
    if (repeats_ >= options_.repeats) {
      return fail(Code::exhausted,
                  fmt::format("model: it goes round in a loop: it has called {} {} times in a row "
                              "with the same arguments",
                              call.name, repeats_),
                  "tools");
    }
    auto result = do_call(call);
    if (!result && !is_the_callers(result.error().code)) return fail(std::move(result).error());
    ModelMessage message;
    message.role = ModelRole::tool;
    message.call_id = call.id;
    message.text = result ? result->dump() : "error: " + to_string(result.error());
    request_.messages.push_back(std::move(message));
    return {};
  }

  Result<Json> do_call(const ToolCall& call) {
    const auto* tool = tools_.find(call.name);
    if (tool == nullptr) {
      return fail(Code::not_found, fmt::format("there is no tool \"{}\"", call.name), "name");
    }
    if (auto good = check_json(call.arguments, tool->spec.parameters); !good) {
      return fail(Code::invalid, "arguments: " + good.error().message, "arguments");
    }
    const std::string name = "tool " + call.name;
    if (tool->unit_work) {
      return run_.step(name, [&](Unit& unit) { return tool->unit_work(unit, call.arguments); });
    }
    return run_.step(name, tool->spec.effect, [&] { return tool->work(call.arguments); });
  }

  Result<Json> check_output() const {
    if (!request_.output) return Json();
    if (out_.reply.stop == StopReason::length) {
      return fail(Code::invalid, "it was cut off: max_output_tokens were not enough", "output");
    }
    BUREAU_TRY(Json value, Json::parse(out_.reply.message.text));
    BUREAU_TRY_VOID(check_json(value, *request_.output));
    return value;
  }

  void tell(ModelRole role, std::string text) {
    request_.messages.push_back({role, std::move(text), {}, {}});
  }

  Run& run_;
  LanguageModel& model_;
  ModelRequest request_;
  const Toolbox& tools_;
  const ModelOptions& options_;
  Conversed out_;
  Spend spend_;
  int repairs_ = 0;
  int repeats_ = 0;
  std::string last_call_;
};

Result<Conversed> converse(Run& run, LanguageModel& model, ModelRequest request,
                           const Toolbox& tools, const ModelOptions& options) {
  if (request.tools.empty()) request.tools = tools.specs();
  BUREAU_TRY_VOID(check_request(request));
  if (options.price) BUREAU_TRY_VOID(check_price(*options.price));
  return Conversation(run, model, std::move(request), tools, options).hold();
}

BUREAU_END_NAMESPACE
