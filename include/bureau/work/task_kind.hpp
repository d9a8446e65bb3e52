#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "bureau/store/record.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

/// How long one pause is: base * factor^(attempt - 1), at most `cap`.
struct RetryPause {
  Duration base{0};
  Duration cap{0};
  double factor = 1;
};

/// How often an attempt is repeated, and how long it waits: base * factor^(attempt - 1), at most
/// `cap`, of which a random half is taken off when `jitter` is on. An error of code `invalid` or
/// `forbidden` is never repeated.
struct Retry {
  int max_attempts = 1;
  Duration base{0};
  Duration cap{0};
  double factor = 1;
  bool jitter = false;
  /// What is otherwise for an error of one code.
  struct ForCode {
    Code code = Code::internal;
    bool repeats = false;
    RetryPause pause;
  };
  static constexpr std::size_t codes_max = 8;
  std::array<ForCode, codes_max> for_codes = {};
  std::size_t codes = 0;  ///< of for_codes; more than codes_max is refused by check_kind()

  /// retry::exponential(5).never_on(Code::not_found).pausing_on(Code::busy, {30s, 5min, 2})
  [[nodiscard]] constexpr Retry never_on(Code code) const { return with({code, false, {}}); }
  [[nodiscard]] constexpr Retry pausing_on(Code code, RetryPause pause) const {
    return with({code, true, pause});
  }
  /// What is said of this code; null: nothing.
  [[nodiscard]] constexpr const ForCode* on(Code code) const {
    for (std::size_t i = 0; i < std::min(codes, codes_max); ++i) {
      if (for_codes[i].code == code) return &for_codes[i];
    }
    return nullptr;
  }
  [[nodiscard]] constexpr bool repeats(Code code) const {
    if (code == Code::invalid || code == Code::forbidden) return false;
    const ForCode* said = on(code);
    return said == nullptr || said->repeats;
  }

  [[nodiscard]] constexpr Retry with(ForCode said) const {
    Retry copy = *this;
    if (codes < codes_max) copy.for_codes[codes] = said;
    copy.codes = codes + 1;
    return copy;
  }
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

namespace detail {

constexpr bool is_good(const RetryPause& pause) {
  return pause.base >= Duration(0) && pause.cap >= pause.base && pause.factor >= 1;
}

constexpr std::string_view check_retry_codes(const Retry& retry) {
  if (retry.codes > Retry::codes_max) return "a retry speaks of at most 8 error codes";
  for (std::size_t i = 0; i < retry.codes; ++i) {
    const Retry::ForCode& said = retry.for_codes[i];
    if (retry.on(said.code) != &said) return "a retry speaks of an error code once";
    if (said.repeats && (said.code == Code::invalid || said.code == Code::forbidden)) {
      return "an error of code invalid or forbidden is never repeated";
    }
    if (!is_good(said.pause)) {
      return "a retry waits base to cap, both not negative, and its factor is at least 1";
    }
  }
  return {};
}

}  // namespace detail

/// What every kind has, whatever its types.
struct KindInfo {
  std::string_view name;
  Effect effect = Effect::pure;
  Retry retry;
  std::string_view queue = "default";
  Duration time_limit = std::chrono::minutes(2);  ///< of one attempt
  RunAs run_as = RunAs::agent;
  /// Its payload, its result and what its steps give rest encrypted in the database.
  bool is_encrypted = false;
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
  if (!detail::is_good({kind.retry.base, kind.retry.cap, kind.retry.factor})) {
    return "a retry waits base to cap, both not negative, and its factor is at least 1";
  }
  if (const auto wrong = detail::check_retry_codes(kind.retry); !wrong.empty()) return wrong;
  if (kind.time_limit <= Duration(0)) return "a time limit is positive";
  return {};
}

/// A kind of task, known to the compiler: payload, result, what it may touch.
template <Recorded Payload, Recorded Output>
struct TaskKind : KindInfo {
  using PayloadType = Payload;
  using ResultType = Output;

  /// The same kind, whose tasks rest encrypted with the program's key (EngineOptions::keys).
  [[nodiscard]] consteval TaskKind encrypted() const {
    TaskKind kind = *this;
    kind.is_encrypted = true;
    return kind;
  }
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
