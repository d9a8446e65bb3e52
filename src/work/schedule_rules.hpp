#pragma once

// What a schedule's row must be, and how an occurrence becomes a task: what the API and the duty
// that fires them share.

#include "bureau/work/schedule.hpp"
#include "work/work_metrics.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// By what a schedule fires.
struct ScheduleRule {
  CronExpression expression;
  Zone zone;
  std::string text;  ///< of both: what Schedule::next_for holds
  /// The first moment after `after`; never() when there is none.
  [[nodiscard]] Timestamp next(Timestamp after) const;
};
/// `tenant_zone` is for a schedule that names none.
[[nodiscard]] Result<ScheduleRule> rule_of(const Schedule& schedule, std::string_view tenant_zone);

[[nodiscard]] KindInfo kind_of(const Schedule& schedule);

/// The RowRule of schedules.
[[nodiscard]] Result<void> check_schedule_row(std::span<const Value> before,
                                              std::span<const Value> after);

struct Enqueued {
  Id<Task> task;
  bool is_new = true;  ///< false: with Overlap::skip, the one before, which has not ended
};
/// Enqueues the schedule's task, in its owner's name.
[[nodiscard]] Result<Enqueued> enqueue_occurrence(Unit& unit, const Schedule& schedule);

[[nodiscard]] Result<Tenant> tenant_of(Reader& reader, Id<Tenant> id);

/// Fires what is due in all tenants, one occurrence a commit, at most `limit`. Returns when to look
/// again: when the next is due, or now when there was more. Counts what it did.
[[nodiscard]] Result<Timestamp> fire_schedules(Access& access, std::size_t limit,
                                               WorkMetrics& metrics);

}  // namespace detail
BUREAU_END_NAMESPACE
