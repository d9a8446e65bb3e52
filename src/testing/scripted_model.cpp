#include "bureau/testing/scripted_model.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

namespace {

constexpr std::string_view replaying = "recorded";

std::size_t first_difference(std::string_view a, std::string_view b) {
  const auto pair = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(pair.first - a.begin());
}

std::string around(std::string_view text, std::size_t at) {
  constexpr std::size_t before = 20;
  return bureau::detail::shortened(
      bureau::detail::to_valid_text(text.substr(at > before ? at - before : 0)), 80);
}

}  // namespace

ScriptedModel& ScriptedModel::answers(Answer answer) {
  std::lock_guard lock(mutex_);
  script_.push_back(std::move(answer));
  return *this;
}

ScriptedModel& ScriptedModel::says(std::string text, ModelUsage usage) {
  ModelReply reply;
  reply.message = {ModelRole::assistant, std::move(text), {}, {}};
  reply.usage = usage;
  reply.model = std::string(identity());
  return answers([reply](const ModelRequest&) -> Result<ModelReply> { return reply; });
}

ScriptedModel& ScriptedModel::calls(std::string tool, Json arguments, ModelUsage usage) {
  ModelReply reply;
  reply.message.role = ModelRole::assistant;
  reply.message.calls.push_back({"call-" + tool, std::move(tool), std::move(arguments)});
  reply.stop = StopReason::tool_calls;
  reply.usage = usage;
  reply.model = std::string(identity());
  return answers([reply](const ModelRequest&) -> Result<ModelReply> { return reply; });
}

ScriptedModel& ScriptedModel::fails(Error error) {
  return answers([error](const ModelRequest&) -> Result<ModelReply> { return fail(error); });
}

Result<ModelReply> ScriptedModel::complete(const ModelRequest& request, const ModelCall& call) {
  Answer answer;
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (requests_.size() > script_.size()) {
      return fail(Code::exhausted,
                  fmt::format("model: the script has {} answers, and this is call {}",
                              script_.size(), requests_.size()),
                  "model");
    }
    answer = script_[requests_.size() - 1];
  }
  auto reply = answer(request);
  if (reply && call.on_text && !reply->message.text.empty()) call.on_text(reply->message.text);
  return reply;
}

ScriptedModel& ScriptedModel::answers_later(Clock& clock, Duration after, bool can_be_asked) {
  std::lock_guard lock(mutex_);
  clock_ = &clock;
  after_ = after;
  can_be_asked_ = can_be_asked;
  return *this;
}

ModelAbilities ScriptedModel::abilities() const {
  std::lock_guard lock(mutex_);
  return {clock_ != nullptr, can_be_asked_};
}

void ScriptedModel::begin(const ModelRequest& request, ModelCall call, Done done) {
  {
    std::lock_guard lock(mutex_);
    const auto known = begun_.find(call.key);
    if (known != begun_.end()) {
      known->second.call = std::move(call);
      known->second.done = std::move(done);
      return;
    }
  }
  if (!abilities().answers_later) return done(complete(request, call));
  auto reply = complete(request, {});
  std::lock_guard lock(mutex_);
  const std::string key = call.key.empty() ? fmt::format("call {}", begun_.size()) : call.key;
  begun_.emplace(key,
                 Begun{clock_->now() + after_, std::move(reply), std::move(call), std::move(done)});
}

Result<std::optional<ModelReply>> ScriptedModel::look(std::string_view key) {
  std::lock_guard lock(mutex_);
  const auto known = begun_.find(std::string(key));
  if (known == begun_.end()) {
    return fail(Code::not_found, fmt::format("model: no call was begun with key \"{}\"", key),
                "key");
  }
  if (known->second.due > clock_->now()) return std::optional<ModelReply>();
  if (!known->second.reply) return fail(known->second.reply.error());
  return std::optional<ModelReply>(*known->second.reply);
}

std::size_t ScriptedModel::deliver() {
  std::vector<Begun> due;
  {
    std::lock_guard lock(mutex_);
    for (auto& [key, call] : begun_) {
      if (!call.done || call.due > clock_->now()) continue;
      due.push_back(call);
      call.done = {};
    }
  }
  for (const Begun& call : due) {  // outside the lock: whoever is told may begin the next
    if (call.call.stop_requested && call.call.stop_requested()) {
      {
        std::lock_guard lock(mutex_);
        ++cancelled_;
      }
      call.done(fail(Code::cancelled, "model: nobody wants the answer"));
    } else {
      call.done(call.reply);
    }
  }
  return due.size();
}

void ScriptedModel::forget_callers() {
  std::lock_guard lock(mutex_);
  for (auto& [key, call] : begun_) call.done = {};
}

std::size_t ScriptedModel::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

std::vector<ModelRequest> ScriptedModel::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

Result<std::shared_ptr<RecordedModel>> RecordedModel::replay(std::string_view recording) {
  std::shared_ptr<RecordedModel> model(new RecordedModel());
  for (std::size_t line = 1; !recording.empty(); ++line) {
    const std::size_t end = recording.find('\n');
    const std::string_view text = recording.substr(0, end);
    recording.remove_prefix(end == std::string_view::npos ? recording.size() : end + 1);
    if (text.empty()) continue;
    const auto read = [&]() -> Result<Entry> {
      BUREAU_TRY(const Json json, Json::parse(text));
      const Json* request = json.find("request");
      const Json* reply = json.find("reply");
      if (request == nullptr || reply == nullptr) {
        return fail(Code::invalid, "request and reply are needed", "recording");
      }
      BUREAU_TRY(ModelReply answer, model_reply_from_json(*reply));
      return Entry{request->dump(), std::move(answer)};
    };
    auto entry = read();
    if (!entry) {
      return fail(Code::invalid, fmt::format("recording: line {}: {}", line, entry.error().message),
                  "recording");
    }
    model->entries_.push_back(std::move(*entry));
  }
  return model;
}

std::string_view RecordedModel::identity() const { return model_ ? model_->identity() : replaying; }

Result<ModelReply> RecordedModel::complete(const ModelRequest& request, const ModelCall& call) {
  const std::string key = to_json(request).dump();
  {
    std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.request == key) return entry.reply;
    }
    if (!model_) return fail(miss(key));
  }
  BUREAU_TRY(ModelReply reply, model_->complete(request, call));
  std::lock_guard lock(mutex_);
  entries_.push_back({key, reply});
  return reply;
}

/// The nearest is the one with the longest common beginning and end.
Error RecordedModel::miss(const std::string& request) const {
  const Entry* nearest = nullptr;
  std::size_t common = 0;
  for (const Entry& entry : entries_) {
    const auto ends = std::mismatch(request.rbegin(), request.rend(), entry.request.rbegin(),
                                    entry.request.rend());
    const std::size_t same = first_difference(request, entry.request) +
                             static_cast<std::size_t>(ends.first - request.rbegin());
    if (nearest == nullptr || same > common) {
      nearest = &entry;
      common = same;
    }
  }
  if (nearest == nullptr) {
    return {Code::not_found, "model: nothing is recorded", "request"};
  }
  const std::size_t at = first_difference(request, nearest->request);
  return {Code::not_found,
          fmt::format("model: this request is not recorded; the nearest differs at byte {}: "
                      "recorded \"{}\", asked \"{}\"",
                      at, around(nearest->request, at), around(request, at)),
          "request"};
}

std::string RecordedModel::text() const {
  std::lock_guard lock(mutex_);
  std::string out;
  for (const Entry& entry : entries_) {
    out += "{\"reply\":";
    to_json(entry.reply).dump_to(out);
    out += ",\"request\":" + entry.request + "}\n";
  }
  return out;
}

}  // namespace testing

BUREAU_END_NAMESPACE
