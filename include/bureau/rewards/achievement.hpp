#pragma once

#include <array>
#include <optional>
#include <string>

#include "bureau/access/identity.hpp"

BUREAU_BEGIN_NAMESPACE

enum class Rarity { common, uncommon, rare, epic, legendary };
template <>
inline constexpr auto names<Rarity> = enum_names("common", "uncommon", "rare", "epic", "legendary");

/// Through which change a row begins to count. Whatever it was, the row counts once, for as long as
/// it matches. The order is frozen.
enum class CountedChange {
  any,     ///< it is inserted and matches, or an update makes it match
  insert,  ///< only the first
  update,  ///< only the second
  remove,  ///< it matched and is removed, which nothing undoes
};
template <>
inline constexpr auto names<CountedChange> = enum_names("any", "insert", "update", "remove");

/// What is counted: rows of a table that come to match, and for whom. Stored in achievements and
/// point rules.
struct Criteria {
  std::string table = {};
  CountedChange change = CountedChange::any;
  /// Of rows of that table: the text of a predicate (a JSON string) or its JSON form; null: every
  /// row. Without now(), variables, sub-selects, personal and secret columns.
  Json where = {};
  /// The column that names the user who earns it (a row in which it is null counts for nobody);
  /// empty: whoever made the change.
  std::string user = {};
};

/// Something to be achieved. Criteria and target stay as they were made.
struct Achievement {
  Id<Achievement> id;
  Id<Tenant> tenant;
  std::string key;  ///< unique within the tenant
  std::string name;
  std::string description;
  std::string category;
  Rarity rarity = Rarity::common;
  std::int64_t points = 0;  ///< given at each unlocking
  bool secret = false;      ///< shown only to those who have it, and to managers
  bool repeatable = false;  ///< unlocked again at each multiple of the target
  bool active = true;       ///< inactive: nothing new counts; what is undone is still taken back
  std::optional<std::string> source_table;  ///< none: awarded by hand alone
  CountedChange change = CountedChange::any;
  Json predicate;  ///< the JSON form; null: every row
  std::optional<std::string> user_column;
  std::int64_t target = 1;
  std::int64_t counts_after = 0;  ///< the journal number after which changes count
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// How far a user is. The order is frozen.
enum class AchievementState { locked, in_progress, unlocked, revoked };
template <>
inline constexpr auto names<AchievementState> = enum_names("locked", "in_progress", "unlocked",
                                                           "revoked");

struct AchievementTransition {
  AchievementState from, to;
};
/// Every edge that there is (docs/rewards.md has the picture, made from this). A user without a row
/// is locked.
inline constexpr std::array achievement_transitions{
    AchievementTransition{AchievementState::locked, AchievementState::in_progress},
    AchievementTransition{AchievementState::locked, AchievementState::unlocked},
    AchievementTransition{AchievementState::in_progress, AchievementState::locked},
    AchievementTransition{AchievementState::in_progress, AchievementState::unlocked},
    AchievementTransition{AchievementState::unlocked, AchievementState::revoked},
    AchievementTransition{AchievementState::revoked, AchievementState::unlocked},
};

/// A user's way to an achievement; one row for both.
struct UserAchievement {
  Id<UserAchievement> id;
  Id<Tenant> tenant;
  Id<User> user;
  Id<Achievement> achievement;
  AchievementState state = AchievementState::locked;
  std::int64_t progress = 0;  ///< rows that count for him now
  std::int64_t target = 1;
  std::int64_t times = 0;  ///< how often it is unlocked now; above 1 only of repeatable ones
  std::optional<Timestamp> unlocked_at;  ///< the last time
  std::optional<Timestamp> revoked_at;   ///< the last time that its source was undone
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

template <>
inline constexpr auto schema<Achievement> = table(
    "achievements", "ach", journal::full, column("id", &Achievement::id),
    column("tenant", &Achievement::tenant), column("key", &Achievement::key, max_length(64)),
    column("name", &Achievement::name, max_length(200), searchable),
    column("description", &Achievement::description, max_length(1000)),
    column("category", &Achievement::category, max_length(100)),
    column("rarity", &Achievement::rarity), column("points", &Achievement::points),
    column("secret", &Achievement::secret), column("repeatable", &Achievement::repeatable),
    column("active", &Achievement::active),
    column("source_table", &Achievement::source_table, max_length(64)),
    column("change", &Achievement::change), column("predicate", &Achievement::predicate),
    column("user_column", &Achievement::user_column, max_length(64)),
    column("target", &Achievement::target), column("counts_after", &Achievement::counts_after),
    column("version", &Achievement::version), column("created_at", &Achievement::created_at),
    column("updated_at", &Achievement::updated_at), unique_index("key", "tenant", "key"));
template <>
inline constexpr auto schema<UserAchievement> = table(
    "user_achievements", "uac", journal::full, column("id", &UserAchievement::id),
    column("tenant", &UserAchievement::tenant), column("user", &UserAchievement::user),
    column("achievement", &UserAchievement::achievement), column("state", &UserAchievement::state),
    column("progress", &UserAchievement::progress), column("target", &UserAchievement::target),
    column("times", &UserAchievement::times), column("unlocked_at", &UserAchievement::unlocked_at),
    column("revoked_at", &UserAchievement::revoked_at),
    column("version", &UserAchievement::version),
    column("created_at", &UserAchievement::created_at),
    column("updated_at", &UserAchievement::updated_at),
    unique_index("holder", "achievement", "user"), index("user", "user"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Achievement);
BUREAU_DECLARE_ENTITY(bureau::UserAchievement);
