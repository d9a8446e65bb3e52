// Achievements and point rules from JSON.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bureau/rewards/achievements.hpp"
#include "bureau/rewards/ledger.hpp"
#include "rewards/criteria.hpp"

BUREAU_BEGIN_NAMESPACE
namespace rewards {

namespace {

tl::unexpected<Error> refuse(std::string_view field, std::string rule) {
  return fail(Code::invalid, fmt::format("{}: {}", field, rule), std::string(field));
}

/// The members of one object; what was not asked for is a mistake.
class Members {
 public:
  static Result<Members> of(std::string_view field, const Json& json) {
    if (json.as_object() == nullptr) return refuse(field, "it is no object");
    return Members(json);
  }
  const Json* take(std::string_view name) {
    known_.push_back(name);
    const Json* found = json_.find(name);
    return found == nullptr || found->is_null() ? nullptr : found;
  }
  Result<void> text(std::string_view name, std::string& out) {
    const Json* found = take(name);
    if (found == nullptr) return {};
    if (found->as_string() == nullptr) return refuse(name, found->dump() + " is no text");
    out = *found->as_string();
    return {};
  }
  Result<void> number(std::string_view name, std::int64_t& out) {
    const Json* found = take(name);
    if (found == nullptr) return {};
    if (found->as_int() == nullptr) return refuse(name, found->dump() + " is no whole number");
    out = *found->as_int();
    return {};
  }
  Result<void> flag(std::string_view name, bool& out) {
    const Json* found = take(name);
    if (found == nullptr) return {};
    if (found->as_bool() == nullptr) return refuse(name, found->dump() + " is not true or false");
    out = *found->as_bool();
    return {};
  }
  template <class E>
  Result<void> choice(std::string_view name, E& out) {
    std::string text;
    BUREAU_TRY_VOID(this->text(name, text));
    if (text.empty()) return {};
    const auto found = std::find(names<E>.begin(), names<E>.end(), text);
    if (found == names<E>.end()) {
      return refuse(name, fmt::format("\"{}\" is none of {}", text, fmt::join(names<E>, ", ")));
    }
    out = static_cast<E>(found - names<E>.begin());
    return {};
  }
  /// `invalid` for members that were not asked for.
  Result<void> no_more() const {
    for (const auto& [name, value] : *json_.as_object()) {
      if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
        return refuse(name,
                      fmt::format("it is not known here; there are {}", fmt::join(known_, ", ")));
      }
    }
    return {};
  }

 private:
  explicit Members(const Json& json) : json_(json) {}
  const Json& json_;
  std::vector<std::string_view> known_;
};

Result<Criteria> criteria_of(const Json& json) {
  Criteria criteria;
  BUREAU_TRY(Members members, Members::of("criteria", json));
  BUREAU_TRY_VOID(members.text("table", criteria.table));
  BUREAU_TRY_VOID(members.choice("change", criteria.change));
  BUREAU_TRY_VOID(members.text("user", criteria.user));
  if (const Json* where = members.take("where")) criteria.where = *where;
  BUREAU_TRY_VOID(members.no_more());
  return criteria;
}

Result<NewAchievement> achievement_of(const Json& json) {
  NewAchievement made;
  BUREAU_TRY(Members members, Members::of("achievement", json));
  BUREAU_TRY_VOID(members.text("key", made.key));
  BUREAU_TRY_VOID(members.text("name", made.name));
  BUREAU_TRY_VOID(members.text("description", made.description));
  BUREAU_TRY_VOID(members.text("category", made.category));
  BUREAU_TRY_VOID(members.choice("rarity", made.rarity));
  BUREAU_TRY_VOID(members.number("points", made.points));
  BUREAU_TRY_VOID(members.flag("secret", made.secret));
  BUREAU_TRY_VOID(members.flag("repeatable", made.repeatable));
  BUREAU_TRY_VOID(members.flag("active", made.active));
  BUREAU_TRY_VOID(members.number("target", made.target));
  if (const Json* criteria = members.take("criteria")) {
    BUREAU_TRY(made.criteria, criteria_of(*criteria));
  }
  BUREAU_TRY_VOID(members.no_more());
  return made;
}

Result<NewPointRule> rule_of(const Json& json) {
  NewPointRule made;
  std::int64_t cooldown_s = 0;
  BUREAU_TRY(Members members, Members::of("rule", json));
  BUREAU_TRY_VOID(members.text("key", made.key));
  BUREAU_TRY_VOID(members.text("name", made.name));
  BUREAU_TRY_VOID(members.number("points", made.points));
  BUREAU_TRY_VOID(members.number("cap_per_day", made.cap_per_day));
  BUREAU_TRY_VOID(members.number("cooldown_s", cooldown_s));
  BUREAU_TRY_VOID(members.flag("active", made.active));
  if (const Json* criteria = members.take("criteria")) {
    BUREAU_TRY(made.criteria, criteria_of(*criteria));
  }
  BUREAU_TRY_VOID(members.no_more());
  BUREAU_TRY_VOID(inside::check_range("cooldown_s", cooldown_s, 0, std::int64_t{366} * 86'400));
  made.cooldown = std::chrono::seconds(cooldown_s);
  return made;
}

/// The second entry of a key would change, without a word, what the first one made.
Result<void> refuse_twin(std::set<std::string>& keys, const std::string& key) {
  if (keys.insert(key).second) return {};
  return refuse("key", fmt::format("an entry before it is \"{}\" too", key));
}

/// Calls `save` with each entry of a list; an error says which one it was.
template <class F>
Result<std::size_t> each_of(const Json* list, std::string_view what, F save) {
  if (list == nullptr) return 0;
  if (list->as_array() == nullptr) return refuse(what, "it is no list");
  std::size_t count = 0;
  for (const Json& entry : *list->as_array()) {
    if (auto saved = save(entry); !saved) {
      Error error = saved.error();
      error.message = fmt::format("{}[{}], {}", what, count, error.message);
      return fail(std::move(error));
    }
    ++count;
  }
  return count;
}

}  // namespace

Result<Imported> import_rewards(const Session& session, const Json& file, bool history) {
  BUREAU_TRY(Members members, Members::of("file", file));
  const Json* achievements = members.take("achievements");
  const Json* rules = members.take("rules");
  BUREAU_TRY_VOID(members.no_more());
  return session.write([&](Unit& unit) -> Result<Imported> {
    Imported imported;
    std::set<std::string> achievement_keys, rule_keys;
    const auto save_achievement = [&](const Json& entry) -> Result<void> {
      BUREAU_TRY(NewAchievement given, achievement_of(entry));
      BUREAU_TRY_VOID(refuse_twin(achievement_keys, given.key));
      given.history = history;
      BUREAU_TRY_VOID(Achievements{Scope(unit)}.save(given));
      return {};
    };
    const auto save_rule = [&](const Json& entry) -> Result<void> {
      BUREAU_TRY(NewPointRule given, rule_of(entry));
      BUREAU_TRY_VOID(refuse_twin(rule_keys, given.key));
      given.history = history;
      BUREAU_TRY_VOID(Points{Scope(unit)}.save_rule(given));
      return {};
    };
    BUREAU_TRY(imported.achievements, each_of(achievements, "achievements", save_achievement));
    BUREAU_TRY(imported.rules, each_of(rules, "rules", save_rule));
    return imported;
  });
}

}  // namespace rewards
BUREAU_END_NAMESPACE
