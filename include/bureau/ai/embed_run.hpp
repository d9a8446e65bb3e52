#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bureau/ai/embedder.hpp"
#include "bureau/work/run.hpp"

BUREAU_BEGIN_NAMESPACE

struct EmbedOptions {
  /// How many texts go into one call at most. Fewer do where their vectors would not fit into what
  /// a step records (max_step_vector_bytes).
  std::size_t batch = 64;
  /// Of a call whose outcome is not known, as of ModelOptions.
  Effect effect = Effect::external_idempotent;
  /// What its tokens cost; its `output` is not used. Without one, a budget that limits money
  /// refuses the call, unless it allows what is unpriced.
  std::optional<ModelPrice> price = {};
  Spend::Exhausted exhausted = Spend::Exhausted::fail;
  Duration time = std::chrono::minutes(1);  ///< of each call, reserved of the budgets' time
  /// How many input tokens are reserved for a call; none: estimate_input_tokens().
  std::function<std::int64_t(std::span<const std::string>)> input_tokens = {};
};

/// What texts came to.
struct Embedded {
  std::vector<std::vector<float>> vectors;   ///< one a text, in order, all of one dimension
  std::optional<std::int64_t> input_tokens;  ///< of all calls; absent when one did not say
};

/// Of the vectors of one call, four bytes a number: what a recorded step has room for.
inline constexpr std::size_t max_step_vector_bytes = 768'000;
/// Of all vectors of one embed(): the run reads them whenever it is replayed.
inline constexpr std::size_t max_embedding_bytes = 16U << 20U;

/// Asks an embedder within a run, a batch of texts at a time. Each batch is a recorded step, so it
/// is paid for once however often the run is replayed; what it may cost is reserved from the run's
/// budgets before the call and settled with its record. The vectors are recorded as they are, in
/// four bytes a number.
///
/// `invalid` for a text that is empty or no valid UTF-8, for vectors of more than
/// max_embedding_bytes together, for an answer that check_reply() refuses, which is not asked for
/// again, and when the run was another when a batch was recorded: other texts, or another
/// dimension. Other errors are the embedder's, or those of Run::spend(). Another size of batches is
/// fine. The texts must be made of the run's payload and steps, like everything between steps.
[[nodiscard]] Result<Embedded> embed(Run& run, Embedder& embedder,
                                     std::span<const std::string> texts,
                                     const EmbedOptions& options = {});

BUREAU_END_NAMESPACE
