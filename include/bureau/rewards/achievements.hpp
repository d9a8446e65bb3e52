#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/rewards/points.hpp"

BUREAU_BEGIN_NAMESPACE

struct NewAchievement {
  std::string key = {};  ///< [a-z][a-z0-9_-]*, at most 64 bytes
  std::string name = {};
  std::string description = {};
  std::string category = {};
  Rarity rarity = Rarity::common;
  std::int64_t points = 0;
  bool secret = false;
  bool repeatable = false;
  bool active = true;
  std::optional<Criteria> criteria = {};  ///< none: it is awarded by hand
  std::int64_t target = 1;                ///< how many rows must count
  /// Changes that are still in the journal count too; else those from now on. Only of a new one.
  bool history = false;
};

/// What there is to achieve in a tenant, and who has it, with a session's rights. What follows from
/// criteria is written by the evaluation of changes (rewards_agent.hpp) alone.
///
/// Bad input is `invalid` and names field, value and rule; nothing is written then.
class Achievements {
 public:
  explicit Achievements(Scope scope) : achievements_(scope), holders_(scope) {}

  /// A new one, or the one with that key as it is described now. `invalid` also for criteria that
  /// never can be met; `conflict` when criteria, target or repeatable of one that is there would
  /// become others.
  Result<Achievement> save(const NewAchievement& given) const;
  /// `not_found`.
  Result<Achievement> find(std::string_view key) const;
  Result<std::vector<Achievement>> list(const Query& query) const;
  /// Of a user, the last unlocked first; what he never came near to has no row.
  Result<std::vector<UserAchievement>> of(Id<User> user, std::uint64_t limit = 1000) const;
  /// Who has it, the first to unlock it first.
  Result<std::vector<UserAchievement>> holders(std::string_view key,
                                               std::uint64_t limit = 1000) const;

  // By hand, for managers: only one without criteria (`invalid` otherwise).
  /// `conflict` when he has it; `invalid` when he is no active user.
  Result<UserAchievement> award(std::string_view key, Id<User> user) const;
  /// Takes it back, and exactly the points that it gave. `conflict` unless he has it.
  Result<UserAchievement> revoke(std::string_view key, Id<User> user) const;

  [[nodiscard]] const Repository<Achievement>& repository() const { return achievements_; }

 private:
  Repository<Achievement> achievements_;
  Repository<UserAchievement> holders_;
};

namespace rewards {

/// What a file of achievements and point rules says: {"achievements": [{"key", "name",
/// "description", "category", "rarity", "points", "secret", "repeatable", "active", "target",
/// "criteria": {"table", "change", "where", "user"}}], "rules": [{"key", "name", "points",
/// "cap_per_day", "cooldown_s", "active", "criteria"}]}. All or none; `invalid` names the entry and
/// what is wrong with it.
struct Imported {
  std::size_t achievements = 0, rules = 0;
};
Result<Imported> import_rewards(const Session& session, const Json& file, bool history = false);

/// The tables of rewards/, for a catalog.
Result<void> add_tables(Catalog& catalog);
/// Who may see what: docs/rewards.md.
Result<void> add_policies(Policies& policies);

}  // namespace rewards

BUREAU_END_NAMESPACE
