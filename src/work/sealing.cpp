#include "work/sealing.hpp"

#include <fmt/format.h>

#include "bureau/core/key_ring.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

/// Frozen: it is bound into every sealed value.
std::string context_of(Id<Tenant> tenant, std::string_view column) {
  return fmt::format("bureau task 1 {} {}", tenant.value, column);
}

Unexpected no_keys(std::string_view key) {
  return fail(Code::not_found, fmt::format("key: this program has no key \"{}\"", key), "key");
}

}  // namespace

Result<std::string> sealing_key(const Database& database, std::string_view kind) {
  const KeyRing* keys = database.keys();
  if (keys != nullptr && !keys->current().empty()) return keys->current();
  return fail(Code::invalid,
              fmt::format("kind \"{}\": its tasks are encrypted, and the office was opened without "
                          "a key (EngineOptions::keys)",
                          kind),
              "kind");
}

Result<Json> seal_json(const Database& database, Id<Tenant> tenant, std::string_view column,
                       std::string_view key, const Json& plain) {
  const KeyRing* keys = database.keys();
  if (keys == nullptr) return no_keys(key);
  BUREAU_TRY(std::string text,
             keys->seal(key, context_of(tenant, column), plain.dump(), database.random()));
  return Json(std::move(text));
}

Result<Json> open_json(const Database& database, Id<Tenant> tenant, std::string_view column,
                       std::string_view key, const Json& sealed) {
  const KeyRing* keys = database.keys();
  if (keys == nullptr) return no_keys(key);
  const std::string* text = sealed.as_string();
  if (text == nullptr) {
    return fail(Code::corrupt, fmt::format("{}: it is no sealed text", column),
                std::string(column));
  }
  BUREAU_TRY(const std::string plain, keys->open(key, context_of(tenant, column), *text));
  return Json::parse(plain);
}

Result<Json> payload_of(const Database& database, const Task& task) {
  if (!task.sealed_with) return task.payload;
  return open_json(database, task.tenant, "payload", *task.sealed_with, task.payload);
}

Result<Json> result_of(const Database& database, const Task& task) {
  if (!task.result) return Json();
  if (!task.sealed_with) return *task.result;
  return open_json(database, task.tenant, "result", *task.sealed_with, *task.result);
}

Result<Json> sealed_result(const Database& database, const Task& task, const Json& plain) {
  if (!task.sealed_with) return plain;
  return seal_json(database, task.tenant, "result", *task.sealed_with, plain);
}

bool is_sealed(const RunStep& step) {
  // The others' results name tasks and approvals, for those who look from outside.
  const bool is_answered = step.kind == StepKind::request && step.status == StepStatus::finished;
  const bool holds_values = step.kind == StepKind::step || step.kind == StepKind::signal ||
                            step.kind == StepKind::join || is_answered;
  return step.sealed_with && step.result && holds_values;
}

Result<RunStep> sealed(const Database& database, RunStep step) {
  BUREAU_TRY(step.result,
             seal_json(database, step.tenant, "step", *step.sealed_with, *step.result));
  return step;
}

Result<void> open_steps(const Database& database, std::vector<RunStep>& steps) {
  for (RunStep& step : steps) {
    if (!is_sealed(step)) continue;
    BUREAU_TRY(step.result,
               open_json(database, step.tenant, "step", *step.sealed_with, *step.result));
  }
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
