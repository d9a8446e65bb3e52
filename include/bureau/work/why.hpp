#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bureau/access/session.hpp"
#include "bureau/work/flow.hpp"

BUREAU_BEGIN_NAMESPACE

/// What keeps a task from being begun.
enum class WaitCause {
  not_due,      ///< until a moment: a delay, a retry, a snooze
  paused,       ///< by a rule, itself or with others
  concurrency,  ///< as many as a rule allows hold a lease, or will before its turn comes
  rate,         ///< as many as a rule allows have begun lately, or will before its turn comes
  suspended,    ///< its tenant is
  behind,       ///< better-ranked ones of its queue come first; it is claimed when workers are free
  no_worker,    ///< no live node has said that it does this kind
  running,      ///< it has been begun
  waiting,      ///< its run waits
  budget,       ///< its run waits until its budgets have room
  in_doubt,     ///< the outcome of an unsafe effect is not known: somebody has to say
  ended,
};
template <>
inline constexpr auto names<WaitCause> = enum_names("not_due", "paused", "concurrency", "rate",
                                                    "suspended", "behind", "no_worker", "running",
                                                    "waiting", "budget", "in_doubt", "ended");

struct WaitReason {
  WaitCause cause = WaitCause::ended;
  std::string text;                ///< in plain words
  std::optional<Timestamp> until;  ///< when it goes away by itself
  std::optional<FlowRule> rule;    ///< that is in the way
  std::vector<Id<Task>> tasks;     ///< those that use the rule up, in sight of who asks; 10 at most
  std::uint64_t count = 0;         ///< of the better-ranked, in sight of who asks
};

/// Why a task is not running.
struct Why {
  Id<Task> task;
  TaskStatus status = TaskStatus::ready;
  Timestamp at;
  /// The next claim of its queue and kind that asks for enough tasks takes it.
  bool claimable = false;
  std::vector<WaitReason> reasons;  ///< all that hold, what keeps it longest first
};

/// Worked out from the rules that a claim keeps to, on one snapshot. Who may see the task may ask;
/// of rules that he may not see he learns no more than that they are in the way.
/// Errors: `not_found`. Looks at all better-ranked tasks of the tenant's queue, at most 10,000.
[[nodiscard]] Result<Why> why(const Session& session, Id<Task> task);

[[nodiscard]] Json to_json(const Why& why);

BUREAU_END_NAMESPACE
