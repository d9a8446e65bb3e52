#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bureau/ai/language_model.hpp"
#include "bureau/work/run.hpp"
#include "bureau/work/runs.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a model may call in a conversation. Each call is a step of the run, of the tool's effect,
/// with arguments that meet the tool's schema. A plain value.
class Toolbox {
 public:
  using Work = std::function<Result<Json>(const Json& arguments)>;
  /// Changes rows in the step's own commit, with the run's rights.
  using UnitWork = std::function<Result<Json>(Unit&, const Json& arguments)>;

  Toolbox& add(ToolSpec spec, Work work);
  Toolbox& add(ToolSpec spec, UnitWork work);
  [[nodiscard]] std::vector<ToolSpec> specs() const;

 private:
  friend class Conversation;
  struct Tool {
    ToolSpec spec;
    Work work;
    UnitWork unit_work;
  };
  [[nodiscard]] const Tool* find(std::string_view name) const;
  std::vector<Tool> tools_;
};

struct ModelOptions {
  int max_turns = 10;  ///< calls of the model in one conversation
  int repairs = 2;     ///< of them to put right an answer that breaks `output`
  int repeats = 3;     ///< the same tool with the same arguments so often in a row is a loop
  /// Of a call whose outcome is not known. external_idempotent: it is asked again, and perhaps paid
  /// twice. external_unsafe: the task is in doubt, and a person decides.
  Effect effect = Effect::external_idempotent;

  /// What its tokens cost. Without one, a budget that limits money refuses the call, unless it
  /// allows what is unpriced (Budget::unpriced).
  std::optional<ModelPrice> price = {};
  /// When the run's budgets have no room for a call: an error, or the run rests.
  Spend::Exhausted exhausted = Spend::Exhausted::fail;
  /// Of each call, what is reserved of the budgets' time; what it took is settled.
  Duration time = std::chrono::minutes(1);
  /// How many input tokens are reserved for a request, beside its max_output_tokens; none:
  /// estimate_input_tokens().
  std::function<std::int64_t(const ModelRequest&)> input_tokens = {};

  /// Of a model that answers later: after so long a call has failed, with `deadline`.
  std::optional<Duration> within = {};
  /// How often the resting run looks after its call (OutsideCall::look_every).
  Duration look_every = std::chrono::minutes(1);
};

/// What a conversation came to.
struct Conversed {
  ModelReply reply;  ///< the last one
  Json output;       ///< its text as JSON, when the request has a schema; else null
  std::vector<ModelMessage> messages;  ///< all of them
  ModelUsage usage;                    ///< of all calls; absent when one did not say
  int turns = 0;
};

/// Asks a model within a run: each answer is a recorded step, so it is paid for once however often
/// the run is replayed; each tool call is a step of its own. An answer that breaks the output's
/// schema is sent back with what is wrong, a bounded number of times; so is a call of a tool that
/// is not there, whose arguments break its schema, or whose work says that the call was wrong
/// (invalid, not_found, exists, conflict, forbidden, exhausted). Other errors of tools and of the
/// model fail the attempt.
///
/// Before each call its tokens, one call, its time and its price are reserved from the run's
/// budgets (work/budget.hpp), and what the provider says it used is settled with the answer; where
/// it does not say, what was reserved. A call that surely was not made (unavailable, busy,
/// exhausted, invalid) costs a call and nothing else.
///
/// A model that answers later holds no thread: the call is begun, the run rests, and the answer
/// wakes it (Run::request()). Cancellation of the run reaches the call by `stop_requested`.
///
/// `exhausted` when max_turns or repairs were not enough, or the model goes round in a loop;
/// `forbidden` when it refused. The request must be made of the run's payload and steps, like
/// everything between steps.
[[nodiscard]] Result<Conversed> converse(Run& run, LanguageModel& model, ModelRequest request,
                                         const Toolbox& tools = {},
                                         const ModelOptions& options = {});

/// Says what a model answered to a call that was begun (ModelCall::key), from any thread or
/// process, as a provider's webhook does. Of one call the first answer counts (true: it was this).
Result<bool> deliver(const Runs& runs, std::string_view key, const Result<ModelReply>& reply);

/// One model after the other, until one answers: the next when one is unavailable, busy, exhausted
/// or past a deadline. One that failed `failures` times in a row is left out for `rest`, then tried
/// once (a circuit breaker). Thread-safe when its models are. `clock` is not owned.
struct BreakerOptions {
  int failures = 5;
  Duration rest = std::chrono::seconds(30);
};
[[nodiscard]] std::shared_ptr<LanguageModel> make_fallback_model(
    std::vector<std::shared_ptr<LanguageModel>> models, Clock& clock, BreakerOptions options = {});

/// Answers from memory what was answered before: by the canonical request, of the last `entries`
/// different ones, when its temperature is 0. Thread-safe when the model is.
[[nodiscard]] std::shared_ptr<LanguageModel> make_cached_model(std::shared_ptr<LanguageModel> model,
                                                               std::size_t entries = 1000);

/// The default that needs no network and invents nothing: it answers the last question with the
/// sentences of the messages before it (system and tool texts, documents that a host puts there)
/// that have most to do with it, unchanged, in their order; `refused` when none has. It calls no
/// tools and meets no schema (`invalid`).
[[nodiscard]] std::shared_ptr<LanguageModel> make_extractive_model(std::size_t sentences = 3);

BUREAU_END_NAMESPACE
