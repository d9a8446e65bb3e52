#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "bureau/ai/embedder.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

/// An embedder that needs no network and gives the same always: each word of a text adds to or
/// takes from one place of its vector, as the word's hash says, and the vector is brought to length
/// 1. So texts that share words are near one another; it knows nothing of what words mean. What
/// its script says comes first. Thread-safe.
class ScriptedEmbedder final : public Embedder {
 public:
  /// REQUIRES: at least one dimension.
  explicit ScriptedEmbedder(std::size_t dimensions = 64) : dimensions_(dimensions) {}

  ScriptedEmbedder& fails(Error error);
  ScriptedEmbedder& gives(EmbedReply reply);  ///< also what is no answer
  ScriptedEmbedder& says_no_usage();          ///< else each word is a token

  [[nodiscard]] std::string_view identity() const override { return "scripted"; }
  [[nodiscard]] std::size_t dimensions() const override { return dimensions_; }
  Result<EmbedReply> embed(std::span<const std::string> texts, const ModelCall& call) override;

  /// The texts of each call.
  [[nodiscard]] std::vector<std::vector<std::string>> calls() const;
  /// The keys of the calls.
  [[nodiscard]] std::vector<std::string> keys() const;

 private:
  std::size_t dimensions_;
  mutable std::mutex mutex_;
  std::vector<Result<EmbedReply>> script_;
  std::vector<std::vector<std::string>> calls_;
  std::vector<std::string> keys_;
  bool says_usage_ = true;
};

}  // namespace testing

BUREAU_END_NAMESPACE
