#pragma once

#include <chrono>
#include <string_view>

#include "bureau/store/record.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

/// How often an attempt is repeated, and how long it waits: base * factor^(attempt - 1), at most
/// `cap`, of which a random half is taken off when `jitter` is on.
struct Retry {
  int max_attempts = 1;
  Duration base{0};
  Duration cap{0};
  double factor = 1;
  bool jitter = false;
};

namespace retry {
inline constexpr Retry never{};
[[nodiscard]] constexpr Retry fixed(int attempts, Duration pause) {
  return {attempts, pause, pause, 1, false};
}
[[nodiscard]] constexpr Retry exponential(int attempts, Duration base = std::chrono::seconds(1),
                                          Duration cap = std::chrono::hours(1)) {
  return {attempts, base, cap, 2, true};
}
}  // namespace retry

/// What every kind has, whatever its types.
struct KindInfo {
  std::string_view name;
  Effect effect = Effect::pure;
  Retry retry;
  std::string_view queue = "default";
  Duration time_limit = std::chrono::minutes(2);  ///< of one attempt
  RunAs run_as = RunAs::agent;
};

/// Empty when the kind keeps the rules, else what is wrong: also for kinds that come from data.
[[nodiscard]] constexpr std::string_view check_kind(const KindInfo& kind) {
  if (kind.name.empty()) return "a kind needs a name";
  if (kind.name.size() > 64) return "a kind's name has at most 64 bytes";
  if (kind.queue.empty() || kind.queue.size() > 64) return "a queue's name has 1 to 64 bytes";
  if (kind.retry.max_attempts < 1) return "a kind has at least one attempt";
  if (kind.retry.max_attempts > 1 && kind.effect == Effect::external_unsafe) {
    return "an external_unsafe effect must not be retried blindly: use retry::never";
  }
  if (kind.retry.base < Duration(0) || kind.retry.cap < kind.retry.base || kind.retry.factor < 1) {
    return "a retry waits base to cap, both not negative, and its factor is at least 1";
  }
  if (kind.time_limit <= Duration(0)) return "a time limit is positive";
  return {};
}

/// A kind of task, known to the compiler: payload, result, what it may touch.
template <Recorded Payload, Recorded Output>
struct TaskKind : KindInfo {
  using PayloadType = Payload;
  using ResultType = Output;
};

/// inline constexpr auto triage =
///     task_kind<TriagePayload, TriageResult>("triage", Effect::database, retry::exponential(5));
/// A combination that could repeat an unsafe effect does not compile.
template <Recorded Payload, Recorded Output>
[[nodiscard]] consteval TaskKind<Payload, Output> task_kind(
    std::string_view name, Effect effect, Retry retry, std::string_view queue = "default",
    Duration time_limit = std::chrono::minutes(2), RunAs run_as = RunAs::agent) {
  TaskKind<Payload, Output> kind{{name, effect, retry, queue, time_limit, run_as}};
  if (!check_kind(kind).empty()) throw "this combination breaks a rule of check_kind()";
  return kind;
}

BUREAU_END_NAMESPACE
