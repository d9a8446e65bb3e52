#include "bureau/testing/scripted_embedder.hpp"

#include <cmath>

#include "core/stable_hash.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

namespace {

/// Letters, digits and what is no ASCII, in lower case as far as it is.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
    if (letter && !inside) words.emplace_back();
    if (letter) words.back() += c;
    inside = letter;
  }
  return words;
}

std::vector<float> vector_of(const std::vector<std::string>& words, std::size_t dimensions) {
  std::vector<float> vector(dimensions, 0.0F);
  for (const std::string& word : words) {
    const std::uint64_t hash = bureau::detail::stable_hash(word);
    vector[(hash >> 1U) % dimensions] += (hash & 1U) != 0 ? 1.0F : -1.0F;
  }
  float square = 0;
  for (const float number : vector) square += number * number;
  if (square == 0) {  // no word, or words that cancel one another out
    vector[0] = 1;
    return vector;
  }
  for (float& number : vector) number /= std::sqrt(square);
  return vector;
}

}  // namespace

ScriptedEmbedder& ScriptedEmbedder::fails(Error error) {
  std::lock_guard lock(mutex_);
  script_.emplace_back(fail(std::move(error)));
  return *this;
}

ScriptedEmbedder& ScriptedEmbedder::gives(EmbedReply reply) {
  std::lock_guard lock(mutex_);
  script_.emplace_back(std::move(reply));
  return *this;
}

ScriptedEmbedder& ScriptedEmbedder::says_no_usage() {
  std::lock_guard lock(mutex_);
  says_usage_ = false;
  return *this;
}

Result<EmbedReply> ScriptedEmbedder::embed(std::span<const std::string> texts,
                                           const ModelCall& call) {
  std::lock_guard lock(mutex_);
  calls_.emplace_back(texts.begin(), texts.end());
  keys_.push_back(call.key);
  if (calls_.size() <= script_.size()) return script_[calls_.size() - 1];
  EmbedReply reply;
  std::int64_t tokens = 0;
  for (const std::string& text : texts) {
    const auto words = words_of(text);
    tokens += static_cast<std::int64_t>(words.size());
    reply.vectors.push_back(vector_of(words, dimensions_));
  }
  if (says_usage_) reply.input_tokens = tokens;
  return reply;
}

std::vector<std::vector<std::string>> ScriptedEmbedder::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

std::vector<std::string> ScriptedEmbedder::keys() const {
  std::lock_guard lock(mutex_);
  return keys_;
}

}  // namespace testing

BUREAU_END_NAMESPACE
