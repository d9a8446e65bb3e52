#pragma once

// What a schedule's row must be, and how an occurrence becomes a task: what the API and the duty
// that fires them share.

#include "bureau/work/schedule.hpp"

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

/// Enqueues the schedule's task in the system's unit, in its owner's name. None: with
/// Overlap::skip, the task of one before has not ended; `present` is that one then.
[[nodiscard]] Result<std::optional<Id<Task>>> enqueue_occurrence(Unit& unit,
                                                                 const Schedule& schedule,
                                                                 Id<Task>* present = nullptr);

/// Fires what is due in all tenants, one occurrence a commit, at most `limit`. Returns when to look
/// again: when the next is due, or now when there was more.
[[nodiscard]] Result<Timestamp> fire_schedules(Access& access, std::size_t limit);

}  // namespace detail
BUREAU_END_NAMESPACE
