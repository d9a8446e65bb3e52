#pragma once

#include "bureau/work/tasks.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// The row of a task that is enqueued now. REQUIRES: options that are in order.
[[nodiscard]] Task new_task(const KindInfo& kind, Json payload, const EnqueueOptions& options,
                            Timestamp now, std::optional<Id<User>> enqueuer);
/// Tasks::enqueue_json(), for a run: `parent` is the run that spawns them. `takes_over`, or with a
/// parent: the budget is the run's to give, whoever sees it.
[[nodiscard]] Result<std::vector<Task>> enqueue_tasks(const Scope& scope, const KindInfo& kind,
                                                      const std::vector<Json>& payloads,
                                                      const EnqueueOptions& options,
                                                      std::optional<Id<Task>> parent = {},
                                                      bool awaited = false,
                                                      bool takes_over = false);
/// `invalid` when it is over max_payload_bytes.
[[nodiscard]] Result<void> check_payload(const Json& payload);
/// Writes a task that the principal may change, with what the queue has worked out for it; returns
/// it as it is stored.
[[nodiscard]] Result<Task> write_task(Unit& unit, const Task& task);
/// The task of that kind with that key that has not ended.
[[nodiscard]] Predicate holds_key(std::string_view kind, std::string_view unique_key);

}  // namespace detail
BUREAU_END_NAMESPACE
