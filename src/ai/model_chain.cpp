// Language models made of others: fallback with a circuit breaker, and a cache.

#include <fmt/format.h>

#include <list>
#include <map>
#include <mutex>

#include "bureau/ai/model_run.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

class FallbackModel final : public LanguageModel {
 public:
  FallbackModel(std::vector<std::shared_ptr<LanguageModel>> models, Clock& clock,
                BreakerOptions options)
      : clock_(clock), options_(options) {
    for (auto& model : models) {
      identity_ += (identity_.empty() ? "" : ", ") + std::string(model->identity());
      members_.push_back({std::move(model), 0, {}});
    }
  }
  [[nodiscard]] std::string_view identity() const override { return identity_; }

  Result<ModelReply> complete(const ModelRequest& request, const ModelCall& call) override {
    std::string why;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (!may_try(i)) {
        note(why, i, "left out after failures in a row");
        continue;
      }
      auto reply = members_[i].model->complete(request, call);
      if (reply || !is_its_own(reply.error().code)) {
        settle(i, true);
        return reply;
      }
      settle(i, false);
      note(why, i, reply.error().message);
    }
    return fail(Code::unavailable, fmt::format("model: none answers ({})", why), "model");
  }

 private:
  struct Member {
    std::shared_ptr<LanguageModel> model;
    int failures = 0;  // in a row
    Monotonic again;   // when it may be tried, once it is left out
  };

  /// Errors of the model, not of the request.
  static bool is_its_own(Code code) {
    return code == Code::unavailable || code == Code::busy || code == Code::exhausted ||
           code == Code::deadline;
  }

  bool may_try(std::size_t i) {
    std::lock_guard lock(mutex_);
    Member& member = members_[i];
    if (member.failures < options_.failures) return true;
    const Monotonic now = clock_.monotonic();
    if (now < member.again) return false;
    member.again = now + options_.rest;  // one tries, the others wait for what it finds
    return true;
  }

  void settle(std::size_t i, bool good) {
    std::lock_guard lock(mutex_);
    Member& member = members_[i];
    member.failures = good ? 0 : member.failures + 1;
    if (member.failures >= options_.failures) member.again = clock_.monotonic() + options_.rest;
  }

  void note(std::string& why, std::size_t i, std::string_view what) const {
    why += fmt::format("{}{}: {}", why.empty() ? "" : "; ", members_[i].model->identity(), what);
  }

  Clock& clock_;
  BreakerOptions options_;
  std::string identity_;
  std::mutex mutex_;
  std::vector<Member> members_;
};

class CachedModel final : public LanguageModel {
 public:
  CachedModel(std::shared_ptr<LanguageModel> model, std::size_t entries)
      : model_(std::move(model)), entries_(entries) {}
  [[nodiscard]] std::string_view identity() const override { return model_->identity(); }

  Result<ModelReply> complete(const ModelRequest& request, const ModelCall& call) override {
    if (request.temperature != 0 || entries_ == 0) return model_->complete(request, call);
    const std::string key = to_json(request).dump();
    {
      std::lock_guard lock(mutex_);
      if (const auto known = replies_.find(key); known != replies_.end()) {
        order_.splice(order_.begin(), order_, known->second.place);
        ModelReply reply = known->second.reply;
        reply.usage = {0, 0};  // nothing was used
        return reply;
      }
    }
    BUREAU_TRY(ModelReply reply, model_->complete(request, call));
    std::lock_guard lock(mutex_);
    if (replies_.contains(key)) return reply;
    order_.push_front(key);
    replies_.emplace(key, Entry{reply, order_.begin()});
    if (replies_.size() > entries_) {
      replies_.erase(order_.back());
      order_.pop_back();
    }
    return reply;
  }

 private:
  struct Entry {
    ModelReply reply;
    std::list<std::string>::iterator place;
  };
  std::shared_ptr<LanguageModel> model_;
  std::size_t entries_;
  std::mutex mutex_;
  std::list<std::string> order_;  // the last used first
  std::map<std::string, Entry> replies_;
};

}  // namespace

std::shared_ptr<LanguageModel> make_fallback_model(
    std::vector<std::shared_ptr<LanguageModel>> models, Clock& clock, BreakerOptions options) {
  return std::make_shared<FallbackModel>(std::move(models), clock, options);
}

std::shared_ptr<LanguageModel> make_cached_model(std::shared_ptr<LanguageModel> model,
                                                 std::size_t entries) {
  return std::make_shared<CachedModel>(std::move(model), entries);
}

BUREAU_END_NAMESPACE
