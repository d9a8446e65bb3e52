#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "bureau/access/access.hpp"
#include "bureau/rewards/points.hpp"
#include "bureau/store/retention.hpp"
#include "bureau/work/agent.hpp"
#include "bureau/work/tasks.hpp"

BUREAU_BEGIN_NAMESPACE

/// What one batch came to.
struct RewardsEvaluated {
  std::int64_t changes = 0;  ///< of tables that criteria are about
  std::int64_t counted = 0;  ///< rows that began to count, or ceased to
  std::int64_t through = 0;  ///< the journal number through which all is counted
  bool more = false;         ///< there is more; the next batch is enqueued
};
template <>
inline constexpr auto record<RewardsEvaluated> = fields(
    column("changes", &RewardsEvaluated::changes), column("counted", &RewardsEvaluated::counted),
    column("through", &RewardsEvaluated::through), column("more", &RewardsEvaluated::more));

inline constexpr auto evaluate_rewards = task_kind<Nothing, RewardsEvaluated>(
    "evaluate_rewards", Effect::database, retry::exponential(5), "rewards");

/// Evaluates what the journal says of the tables that criteria are about, a batch a task, each
/// batch enqueuing the next. How far it is, is written in the commit of what follows from it: each
/// change counts once. At most one such task of a tenant has not ended at a time. It is made when
/// a commit, of this process or another, touched one of those tables.
class RewardsAgent final : public AgentOf<evaluate_rewards> {
 public:
  /// `access` outlives it.
  explicit RewardsAgent(Access& access);
  ~RewardsAgent() override;
  using AgentOf::execute;
  Result<RewardsEvaluated> execute(Run& run, const Nothing&) override;
  Result<void> on_commits() override;

 private:
  struct Watch;
  Access& access_;
  std::unique_ptr<Watch> watch_;
};

namespace rewards {

/// Evaluates, in the caller's thread, all that the journal has now, and closes leaderboards whose
/// period is over: for hosts that want today's figures before they show them. May run beside the
/// agent. `forbidden` unless the session is the system's.
Result<RewardsEvaluated> catch_up(const Session& system);

/// Which changes are still to be evaluated. `database` outlives it.
[[nodiscard]] JournalReader journal_reader(Database& database);

}  // namespace rewards

BUREAU_END_NAMESPACE

extern template class bureau::AgentOf<bureau::evaluate_rewards>;
