#include "work/work_metrics.hpp"

#include "bureau/work/schedule.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

AttemptEnd end_of(TaskStatus became) {
  switch (became) {
    case TaskStatus::completed:
      return AttemptEnd::completed;
    case TaskStatus::scheduled:
    case TaskStatus::ready:
      return AttemptEnd::retried;
    case TaskStatus::dead:
      return AttemptEnd::dead;
    case TaskStatus::cancelled:
      return AttemptEnd::cancelled;
    case TaskStatus::in_doubt:
      return AttemptEnd::in_doubt;
    case TaskStatus::running:
    case TaskStatus::waiting:
      break;
  }
  return AttemptEnd::lost;
}

void WorkMetrics::attempt_ended(std::string_view kind, AttemptEnd end, Duration took) {
  const auto found = kinds.find(kind);
  if (found == kinds.end()) return;
  found->second.ends[static_cast<std::size_t>(end)].add();
  if (end != AttemptEnd::handed_back) found->second.seconds.observe(took);
}

void WorkMetrics::write(PrometheusText& text) const {
  using Type = PrometheusText::Type;
  text.family("bureau_task_attempts_total", Type::counter,
              "Attempts of this process that ended, by kind and by how.");
  for (const auto& [kind, of] : kinds) {
    for (std::size_t i = 0; i < of.ends.size(); ++i) {
      text.sample({{"kind", kind}, {"outcome", attempt_end_names[i]}}, of.ends[i].value());
    }
  }
  text.family("bureau_task_attempt_duration_seconds", Type::histogram,
              "How long attempts of this process took, from the call of the handler on.");
  for (const auto& [kind, of] : kinds) text.histogram({{"kind", kind}}, of.seconds);
  text.family("bureau_task_claim_batch_size", Type::histogram,
              "How many tasks each claim of this process leased, of those that leased any.");
  text.histogram({}, claimed);
  text.family("bureau_tasks_rescued_total", Type::counter,
              "Tasks that this process took from nodes that had died.");
  text.sample({}, rescued.value());
  text.family("bureau_schedule_occurrences_total", Type::counter,
              "Occurrences of schedules that this process saw to, by what became of them.");
  for (std::size_t i = 0; i < occurrences.size(); ++i) {
    text.sample({{"outcome", names<OccurrenceOutcome>[i]}}, occurrences[i].value());
  }
  text.family("bureau_schedule_failures_total", Type::counter,
              "Times that a schedule was due and could not be fired; it is tried again.");
  text.sample({}, schedule_failures.value());
}

}  // namespace detail
BUREAU_END_NAMESPACE
