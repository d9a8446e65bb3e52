#pragma once

// What an orchestrator counts. Counting takes no lock.

#include <array>
#include <map>
#include <string>

#include "bureau/core/metrics.hpp"
#include "bureau/work/task_kind.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// How an attempt ended.
enum class AttemptEnd {
  completed,
  retried,  ///< failed; its task is scheduled again
  dead,     ///< failed, and was the last
  cancelled,
  in_doubt,
  timed_out,    ///< past its time limit
  lost,         ///< the lease was gone, or the outcome could not be recorded
  handed_back,  ///< not taken, or of a suspended tenant: no attempt at all
  rested,       ///< a run that waits; it goes on in another attempt
};
inline constexpr std::array<std::string_view, 9> attempt_end_names{
    "completed", "retried", "dead",        "cancelled", "in_doubt",
    "timed_out", "lost",    "handed_back", "rested"};
[[nodiscard]] AttemptEnd end_of(TaskStatus became);

inline constexpr std::array<std::int64_t, 9> batch_bounds{1, 2, 4, 8, 16, 32, 64, 128, 256};

struct KindMetrics {
  std::array<Counter, attempt_end_names.size()> ends;
  Histogram seconds{duration_bounds(), 1e-6};
};

struct WorkMetrics {
  /// By kind: filled before the orchestrator starts, and only read from then on.
  std::map<std::string, KindMetrics, std::less<>> kinds;
  Histogram claimed{batch_bounds, 1};
  Counter rescued;
  std::array<Counter, 3> occurrences;  ///< of schedules, by OccurrenceOutcome
  Counter schedule_failures;

  void attempt_ended(std::string_view kind, AttemptEnd end, Duration took);
  void write(PrometheusText& text) const;
};

}  // namespace detail
BUREAU_END_NAMESPACE
