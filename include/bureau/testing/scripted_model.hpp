#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bureau/ai/language_model.hpp"
#include "bureau/core/clock.hpp"

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

  /// From now on it answers so long after a call was begun, when deliver() is called then. As a
  /// provider it keeps its calls: one that is begun again with its key is the same call. With
  /// `can_be_asked` it tells what became of one. `clock` is not owned.
  ScriptedModel& answers_later(Clock& clock, Duration after, bool can_be_asked = false);
  [[nodiscard]] ModelAbilities abilities() const override;
  void begin(const ModelRequest& request, ModelCall call, Done done) override;
  Result<std::optional<ModelReply>> look(std::string_view key) override;
  /// Brings the answers that are due; a call that is not wanted any more is `cancelled` instead.
  /// Returns how many of both.
  std::size_t deliver();
  /// As when the process died that had begun them: nobody is told of what is under way, while the
  /// provider goes on with it.
  void forget_callers();

  /// The requests that it got; one that was begun again counts once.
  [[nodiscard]] std::vector<ModelRequest> requests() const;
  /// How many calls ended because nobody wanted their answers any more.
  [[nodiscard]] std::size_t cancelled() const;

 private:
  struct Begun {
    Timestamp due;
    Result<ModelReply> reply;
    ModelCall call;
    Done done;  // empty: nobody is to be told
  };
  mutable std::mutex mutex_;
  std::vector<Answer> script_;
  std::vector<ModelRequest> requests_;
  Clock* clock_ = nullptr;
  Duration after_{0};
  bool can_be_asked_ = false;
  std::map<std::string, Begun> begun_;  // by key
  std::size_t cancelled_ = 0;
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
