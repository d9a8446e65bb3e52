#pragma once

#include <span>

#include "bureau/store/database.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What follows from the end of `task`, in the transaction that ends it: a parent that waits for it
/// is woken when it was the last one, and the children of a cancelled one are cancelled.
[[nodiscard]] Result<void> after_end(Transaction& transaction, Id<Task> task,
                                     std::optional<Id<Task>> parent, bool awaited,
                                     TaskStatus status);
[[nodiscard]] inline Result<void> after_end(Transaction& transaction, const Task& task) {
  return after_end(transaction, task.id, task.parent, task.awaited, task.status);
}

/// Whether a run has begun an unsafe step of which nobody knows what it came to.
[[nodiscard]] Result<bool> has_intent(Reader& reader, Id<Task> task);
/// What a run's unsafe step had begun is done again: the record that it began is removed.
[[nodiscard]] Result<void> forget_intents(Transaction& transaction, Id<Task> task);

/// Nobody need decide any more what the run has asked.
[[nodiscard]] Result<void> withdraw_approvals(Transaction& transaction, Id<Task> task);

/// The lease of a task, as it was read, has ended: whoever waits behind it is let through.
[[nodiscard]] Result<void> lease_ended(Transaction& transaction, const Task& task);

/// Makes a run that rests ready, if it rests.
[[nodiscard]] Result<void> wake(Transaction& transaction, Id<Task> task);

/// What belongs to tasks that are removed, to go with them.
[[nodiscard]] Result<void> remove_parts(Transaction& tx, std::span<const Id<Task>> tasks);

}  // namespace detail
BUREAU_END_NAMESPACE
