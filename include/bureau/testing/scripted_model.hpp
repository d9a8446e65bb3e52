#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bureau/ai/language_model.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

/// A model that says what its script says, in order. Beyond the script every call is `exhausted`,
/// so that a test sees what it did not foresee. Thread-safe.
class ScriptedModel final : public LanguageModel {
 public:
  using Answer = std::function<Result<ModelReply>(const ModelRequest&)>;
  ScriptedModel() = default;

  ScriptedModel& says(std::string text, ModelUsage usage = {});
  ScriptedModel& calls(std::string tool, Json arguments, ModelUsage usage = {});
  ScriptedModel& fails(Error error);
  ScriptedModel& answers(Answer answer);

  [[nodiscard]] std::string_view identity() const override { return "scripted"; }
  Result<ModelReply> complete(const ModelRequest& request, const ModelCall& call) override;

  /// The requests that it got.
  [[nodiscard]] std::vector<ModelRequest> requests() const;

 private:
  mutable std::mutex mutex_;
  std::vector<Answer> script_;
  std::vector<ModelRequest> requests_;
};

/// Asks a model and remembers its answers by the canonical request; or, without a model, gives the
/// remembered ones. A request that is not remembered is `not_found`, and names the nearest one that
/// is and the first difference. Thread-safe.
class RecordedModel final : public LanguageModel {
 public:
  /// Records what `model` answers.
  explicit RecordedModel(std::shared_ptr<LanguageModel> model) : model_(std::move(model)) {}
  /// Replays; `recording` is what text() gave. `invalid` with the line.
  [[nodiscard]] static Result<std::shared_ptr<RecordedModel>> replay(std::string_view recording);

  [[nodiscard]] std::string_view identity() const override;
  Result<ModelReply> complete(const ModelRequest& request, const ModelCall& call) override;

  /// The recording: a JSON object a line, in the order of the first calls.
  [[nodiscard]] std::string text() const;

 private:
  RecordedModel() = default;
  [[nodiscard]] Error miss(const std::string& request) const;
  struct Entry {
    std::string request;  // canonical
    ModelReply reply;
  };
  std::shared_ptr<LanguageModel> model_;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace testing

BUREAU_END_NAMESPACE
