#pragma once

// The spans of one attempt that has ended.

#include "bureau/core/random.hpp"
#include "bureau/work/spans.hpp"
#include "work/work_metrics.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

struct EndedAttempt {
  const Task& task;
  Timestamp end;
  Duration took{};
  AttemptEnd how = AttemptEnd::lost;
  std::string_view error;  ///< the name of a Code; empty: none
};
/// Tells of the attempt, and before it, when it was the first, of the task's being enqueued:
/// whoever enqueued it may have had no sink.
void tell_of_attempt(const SpanSink& sink, Random& random, const EndedAttempt& attempt);

}  // namespace detail
BUREAU_END_NAMESPACE
