#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bureau/ai/language_model.hpp"

BUREAU_BEGIN_NAMESPACE

/// What an embedder made of some texts.
struct EmbedReply {
  std::vector<std::vector<float>> vectors = {};   ///< one a text, in order
  std::optional<std::int64_t> input_tokens = {};  ///< absent: the provider does not say
};

/// What a host implements to bring embeddings. Thread-safe. It carries one call and knows nothing
/// of batches, retries or budgets: they live above it (ai/embed_run.hpp).
class Embedder {
 public:
  virtual ~Embedder() = default;
  /// Names provider, adapter and version, for logs.
  [[nodiscard]] virtual std::string_view identity() const = 0;
  /// How many numbers each of its vectors has: 1 to max_embedding_dimensions.
  [[nodiscard]] virtual std::size_t dimensions() const = 0;
  /// Errors as of LanguageModel::complete(); `call` has no on_text. The texts live during the call.
  virtual Result<EmbedReply> embed(std::span<const std::string> texts, const ModelCall& call) = 0;
};

inline constexpr std::size_t max_embedding_dimensions = 65'536;

/// Whether it answers so many texts: `invalid`, with field "vectors", names a wrong number of
/// vectors, or the first that has a wrong number of numbers or one that is not finite.
[[nodiscard]] Result<void> check_reply(const EmbedReply& reply, std::size_t texts,
                                       std::size_t dimensions);

/// How many input tokens texts may come to: a third of the bytes of each, rounded up, as of a
/// ModelRequest.
[[nodiscard]] std::int64_t estimate_input_tokens(std::span<const std::string> texts);

BUREAU_END_NAMESPACE
