#include "bureau/rewards/achievements.hpp"

#include <fmt/format.h>

#include "access/library_rows.hpp"
#include "rewards/desk.hpp"

BUREAU_BEGIN_NAMESPACE

using namespace rewards::inside;

namespace {

constexpr std::int64_t target_max = 1'000'000'000;

Result<void> check(const NewAchievement& given) {
  BUREAU_TRY_VOID(check_key(given.key));
  BUREAU_TRY_VOID(check_text("name", given.name, 200));
  BUREAU_TRY_VOID(check_text("description", given.description, 1000, true));
  BUREAU_TRY_VOID(check_text("category", given.category, 100, true));
  BUREAU_TRY_VOID(check_range("points", given.points, 0, points_max));
  BUREAU_TRY_VOID(check_range("target", given.target, 1, target_max));
  if (given.criteria || (given.target == 1 && !given.repeatable)) return {};
  return fail(Code::invalid,
              fmt::format("criteria: \"{}\" has none: what is awarded by hand has the target 1 and "
                          "is not repeatable",
                          given.key),
              "criteria");
}

Result<Achievement> row_of(const Catalog& catalog, const NewAchievement& given) {
  BUREAU_TRY_VOID(check(given));
  Achievement row;
  row.key = given.key;
  row.name = given.name;
  row.description = given.description;
  row.category = given.category;
  row.rarity = given.rarity;
  row.points = given.points;
  row.secret = given.secret;
  row.repeatable = given.repeatable;
  row.active = given.active;
  row.target = given.target;
  if (!given.criteria) return row;
  BUREAU_TRY(const auto compiled, check_criteria(catalog, *given.criteria, given.target));
  row.source_table = given.criteria->table;
  row.change = given.criteria->change;
  if (!compiled.predicate.is_always()) row.predicate = compiled.predicate.to_json();
  if (compiled.user != nullptr) row.user_column = std::string(compiled.user->name);
  return row;
}

/// What was achieved once means what it meant then.
Result<void> check_same(const Achievement& was, const Achievement& is) {
  const auto refuse = [&](std::string_view field) {
    return fail(
        Code::conflict,
        fmt::format("{}: that of \"{}\" stays as it was made; make another achievement, and "
                    "this one inactive",
                    field, was.key),
        std::string(field));
  };
  if (was.source_table != is.source_table || was.change != is.change ||
      !(was.predicate == is.predicate) || was.user_column != is.user_column) {
    return refuse("criteria");
  }
  if (was.target != is.target) return refuse("target");
  if (was.repeatable != is.repeatable) return refuse("repeatable");
  if (was.points != is.points) return refuse("points");
  return {};
}

Result<Achievement> by_key(const Scope& scope, std::string_view key) {
  if (is_valid_text(key)) {
    BUREAU_TRY(auto found,
               Repository<Achievement>{scope}.first(col(&Achievement::key) == std::string(key)));
    if (found) return *std::move(found);
  }
  return fail(Code::not_found,
              fmt::format("key: there is no achievement \"{}\"",
                          is_valid_text(key) ? key : std::string_view("(not UTF-8)")),
              "key");
}

}  // namespace

Result<Achievement> Achievements::save(const NewAchievement& given) const {
  const Scope& scope = achievements_.rows().scope();
  BUREAU_TRY(const Achievement made, row_of(scope.session().database().catalog(), given));
  return scope.write([&](Unit& unit) -> Result<Achievement> {
    const Repository<Achievement> rows{Scope(unit)};
    BUREAU_TRY(const auto present, rows.first(col(&Achievement::key) == given.key));
    Achievement row = made;
    if (!present) {
      if (row.source_table) {
        BUREAU_TRY(row.counts_after, begin_counting(unit, given.history));
      }
      return rows.insert(std::move(row));
    }
    BUREAU_TRY_VOID(check_same(*present, made));
    bureau::detail::succeed(*present, row);
    row.counts_after = present->counts_after;
    return rows.update(std::move(row));
  });
}

Result<Achievement> Achievements::find(std::string_view key) const {
  return by_key(achievements_.rows().scope(), key);
}

Result<std::vector<Achievement>> Achievements::list(const Query& query) const {
  return achievements_.list(query);
}

Result<std::vector<UserAchievement>> Achievements::of(Id<User> user, std::uint64_t limit) const {
  Query query;
  query.where = col(&UserAchievement::user) == user;
  query.order = {{&col(&UserAchievement::unlocked_at).info(), true}};
  query.limit = limit;
  return holders_.list(query);
}

Result<std::vector<UserAchievement>> Achievements::holders(std::string_view key,
                                                           std::uint64_t limit) const {
  BUREAU_TRY(const Achievement achievement, find(key));
  Query query;
  query.where = col(&UserAchievement::achievement) == achievement.id &&
                col(&UserAchievement::state) == AchievementState::unlocked;
  query.order = {{&col(&UserAchievement::unlocked_at).info(), false}};
  query.limit = limit;
  return holders_.list(query);
}

// By hand --------------------------------------------------------------------------------------

namespace {

/// Gives or takes back one that is awarded by hand.
Result<UserAchievement> set_by_hand(Unit& unit, std::string_view key, Id<User> user, bool has) {
  BUREAU_TRY_VOID(require_manager(unit, has ? "award" : "revoke"));
  BUREAU_TRY(const Achievement achievement, by_key(Scope(unit), key));
  if (achievement.source_table) {
    return fail(Code::invalid,
                fmt::format("key: \"{}\" follows from its criteria; it is not given by hand", key),
                "key");
  }
  if (has) BUREAU_TRY_VOID(check_user(unit, user));
  // What is taken back may be of an earlier day, whose leaderboards may still be open.
  std::vector<std::int64_t> days;
  BUREAU_TRY(const auto given,
             rows_of<PointEntry>(
                 unit.transaction().reader(),
                 select<PointEntry>().where(col(&PointEntry::achievement) == achievement.id &&
                                            col(&PointEntry::user) == user)));
  for (const PointEntry& entry : given) days.push_back(days_of_date(entry.day));
  BUREAU_TRY(Books books, open_books(unit, user, std::move(days)));
  BUREAU_TRY_VOID(books.read_holders(achievement, {user.value}));
  if ((books.holder(achievement, user.value).times > 0) == has) {
    return fail(Code::conflict,
                fmt::format("user: {} {} \"{}\"", id::to_text(schema<User>.prefix, user.value),
                            has ? "has" : "does not have", key),
                "user");
  }
  Cause cause;
  cause.achievement = achievement.id;
  cause.at = unit.now();
  BUREAU_TRY_VOID(books.advance(achievement, user.value, has ? 1 : -1, cause));
  BUREAU_TRY_VOID(books.write());
  return Repository<UserAchievement>{Scope(unit)}
      .first(col(&UserAchievement::achievement) == achievement.id &&
             col(&UserAchievement::user) == user)
      .and_then([](std::optional<UserAchievement> row) -> Result<UserAchievement> {
        if (row) return *std::move(row);
        return fail(Code::internal, "user_achievements: what was just written is not there");
      });
}

}  // namespace

Result<UserAchievement> Achievements::award(std::string_view key, Id<User> user) const {
  return achievements_.rows().scope().write(
      [&](Unit& unit) { return set_by_hand(unit, key, user, true); });
}

Result<UserAchievement> Achievements::revoke(std::string_view key, Id<User> user) const {
  return achievements_.rows().scope().write(
      [&](Unit& unit) { return set_by_hand(unit, key, user, false); });
}

BUREAU_END_NAMESPACE
