#pragma once

// The naive model that access/ is compared with: rights worked out row by row from plain structs,
// by code that shares nothing with the library.

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "access/office.hpp"

BUREAU_BEGIN_NAMESPACE
namespace office::model {

/// Kleene's logic: and is the smaller, or the larger, not the mirror.
enum Kleene : int { no = 0, unknown = 1, yes = 2 };
inline Kleene of(bool b) { return b ? yes : no; }
inline Kleene negate(Kleene k) { return static_cast<Kleene>(2 - k); }

enum class Kind { select, insert, update, update_check, remove };

struct World;
struct Person {
  User row;
  std::vector<std::int64_t> teams(const World& world) const;
};

/// An expression as text for the library and as code for the model. `written_by` is set where a
/// principal wrote it: his own rights narrow its sub-selects.
struct Rule {
  std::string text;
  std::function<Kleene(const World&, const Person&, const Paper&, const Person* written_by)> holds;
};
struct PolicyModel {
  bool restrictive = false;
  std::optional<Command> command;
  std::vector<std::string> roles;
  Rule using_rule;
  std::optional<Rule> check_rule;
};
struct PermissionModel {
  std::string resource;
  std::optional<Command> command;
  std::optional<Rule> condition;
};

struct World {
  std::vector<Person> people;
  std::vector<Room> rooms;
  std::vector<Paper> papers;
  std::vector<Membership> memberships;
  std::vector<PolicyModel> policies;     // of papers
  std::optional<std::string> room_name;  // whose rooms are in sight; none: all
  std::map<std::string, std::vector<PermissionModel>> roles;

  const Paper* find(Id<Paper> id) const {
    for (const Paper& p : papers) {
      if (p.id == id) return &p;
    }
    return nullptr;
  }

  Kleene permitted(const Person& who, const std::string& table, Command command,
                   const Paper* paper) const {
    Kleene any = no;
    for (const auto& p : roles.at(who.row.role)) {
      if (p.resource != "*" && p.resource != table) continue;
      if (p.command && *p.command != command) continue;
      any = std::max(any, p.condition ? p.condition->holds(*this, who, *paper, nullptr) : yes);
    }
    return any;
  }
  bool may(const Person& who, Kind kind, const Paper& paper) const {
    if (who.row.status != UserStatus::active || paper.tenant != who.row.tenant) return false;
    const Command command = kind == Kind::select   ? Command::select
                            : kind == Kind::insert ? Command::insert
                            : kind == Kind::remove ? Command::remove
                                                   : Command::update;
    Kleene permissive = no;
    Kleene restrictive = yes;
    for (const auto& policy : policies) {
      if (policy.command && *policy.command != command) continue;
      if (!policy.roles.empty() &&
          std::find(policy.roles.begin(), policy.roles.end(), who.row.role) == policy.roles.end()) {
        continue;
      }
      const bool check = kind == Kind::insert || kind == Kind::update_check;
      const Rule& rule = check && policy.check_rule ? *policy.check_rule : policy.using_rule;
      const Kleene holds = rule.holds(*this, who, paper, nullptr);
      if (policy.restrictive) {
        restrictive = std::min(restrictive, holds);
      } else {
        permissive = std::max(permissive, holds);
      }
    }
    return std::min({permissive, restrictive, permitted(who, "papers", command, &paper)}) == yes;
  }
  bool sees(const Person& who, const Paper& paper) const { return may(who, Kind::select, paper); }
  bool sees(const Person& who, const Room& room) const {
    return room.tenant == who.row.tenant && (!room_name || room.name == *room_name) &&
           permitted(who, "rooms", Command::select, nullptr) == yes;
  }
  bool sees_table(const Person& who, const std::string& table) const {
    return permitted(who, table, Command::select, nullptr) == yes;
  }
};

inline std::vector<std::int64_t> Person::teams(const World& world) const {
  std::vector<std::int64_t> out;
  for (const auto& m : world.memberships) {
    if (m.user == row.id) out.push_back(m.team.value);
  }
  return out;
}

template <class T>
Kleene in(const std::optional<Id<T>>& value, const std::vector<std::int64_t>& list) {
  if (list.empty()) return no;
  if (!value) return unknown;
  return of(std::find(list.begin(), list.end(), value->value) != list.end());
}

inline std::vector<std::int64_t> rooms_named_a(const World& world, const Person& who,
                                               const Person* writer) {
  std::vector<std::int64_t> out;
  for (const Room& r : world.rooms) {
    if (r.tenant == who.row.tenant && r.name == "a" && (!writer || world.sees(*writer, r))) {
      out.push_back(r.id.value);
    }
  }
  return out;
}

/// The building blocks of rules. Numbers 0 to 4 have no sub-selects.
inline Rule atom(std::uint64_t number) {
  switch (number) {
    case 0:
      return {"owner = $user", [](const World&, const Person& who, const Paper& p, const Person*) {
                return p.owner ? of(*p.owner == who.row.id) : unknown;
              }};
    case 1:
      return {"owner is null", [](const World&, const Person&, const Paper& p, const Person*) {
                return of(!p.owner);
              }};
    case 2:
      return {"level >= \"middle\"", [](const World&, const Person&, const Paper& p,
                                        const Person*) { return of(p.level >= Level::middle); }};
    case 3:
      return {"owner != $user", [](const World&, const Person& who, const Paper& p, const Person*) {
                return p.owner ? of(*p.owner != who.row.id) : unknown;
              }};
    case 4:
      return {"team in ($teams)", [](const World& w, const Person& who, const Paper& p,
                                     const Person*) { return in(p.team, who.teams(w)); }};
    case 5:
      return {"team in (select team from memberships where user = $user)",
              [](const World& w, const Person& who, const Paper& p, const Person* writer) {
                const bool sees = !writer || w.sees_table(*writer, "memberships");
                return in(p.team, sees ? who.teams(w) : std::vector<std::int64_t>());
              }};
    case 6:
      return {"room in (select id from rooms where name = \"a\")",
              [](const World& w, const Person& who, const Paper& p, const Person* writer) {
                return in(p.room, rooms_named_a(w, who, writer));
              }};
    case 7:
      return {"room not in (select id from rooms where name = \"a\")",
              [](const World& w, const Person& who, const Paper& p, const Person* writer) {
                return negate(in(p.room, rooms_named_a(w, who, writer)));
              }};
    default:
      return {"parent in (select id from papers where level = \"high\")",
              [](const World& w, const Person& who, const Paper& p, const Person* writer) {
                std::vector<std::int64_t> high;
                for (const Paper& other : w.papers) {
                  if (other.tenant == who.row.tenant && other.level == Level::high &&
                      (!writer || w.sees(*writer, other))) {
                    high.push_back(other.id.value);
                  }
                }
                return in(p.parent, high);
              }};
  }
}
inline constexpr std::uint64_t atoms = 9;

inline Rule random_rule(Random& random, int depth = 2) {
  const std::uint64_t choice = depth == 0 ? 0 : random.below(6);
  if (choice < 3) return atom(random.below(atoms));
  const Rule a = random_rule(random, depth - 1);
  if (choice == 3) {
    return {"not (" + a.text + ")",
            [a](const World& w, const Person& who, const Paper& p, const Person* writer) {
              return negate(a.holds(w, who, p, writer));
            }};
  }
  const Rule b = random_rule(random, depth - 1);
  const bool both = choice == 4;
  return {"(" + a.text + (both ? ") and (" : ") or (") + b.text + ")",
          [a, b, both](const World& w, const Person& who, const Paper& p, const Person* writer) {
            const Kleene left = a.holds(w, who, p, writer);
            const Kleene right = b.holds(w, who, p, writer);
            return both ? std::min(left, right) : std::max(left, right);
          }};
}

}  // namespace office::model
BUREAU_END_NAMESPACE
