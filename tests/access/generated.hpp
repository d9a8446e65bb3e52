#pragma once

// Policies and permissions by chance, in the library's form and in the model's.

#include "access/model.hpp"

BUREAU_BEGIN_NAMESPACE
namespace office::model {

/// Those of papers, which become the world's, and one of rooms. `name_of(i)` names the i-th.
template <class NameOf>
Policies generated_policies(Random& random, World& world, NameOf name_of) {
  const auto flip = [&] { return random.below(2) == 0; };
  Policies out;
  world.policies.clear();
  const std::uint64_t count = 1 + random.below(4);
  for (std::uint64_t i = 0; i < count; ++i) {
    PolicyModel p;
    p.restrictive = i > 0 && random.below(3) == 0;
    if (flip()) p.command = static_cast<Command>(random.below(4));
    if (random.below(3) == 0) p.roles = {"r" + std::to_string(random.below(3))};
    p.using_rule = random_rule(random);
    const bool checks = !p.command || *p.command == Command::update;
    if (checks && flip()) p.check_rule = random_rule(random);
    Policy policy;
    policy.name = name_of(i);
    policy.table = "papers";
    policy.command = p.command;
    policy.mode = p.restrictive ? PolicyMode::restrictive : PolicyMode::permissive;
    policy.using_rule = p.using_rule.text;
    if (p.check_rule) policy.check_rule = p.check_rule->text;
    policy.roles = p.roles;
    must(out.add(std::move(policy)));
    world.policies.push_back(std::move(p));
  }
  world.room_name.reset();
  if (flip()) world.room_name = flip() ? "a" : "b";
  must(out.add(permit("rooms", "rooms", Command::select,
                      world.room_name ? "name = \"" + *world.room_name + "\"" : "true")));
  return out;
}

/// Of one role; one in `conditions` of those for papers has a condition.
inline std::vector<PermissionModel> generated_permissions(Random& random,
                                                          std::uint64_t conditions) {
  std::vector<PermissionModel> permissions;
  const std::uint64_t count = 1 + random.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    PermissionModel p;
    p.resource = std::to_array({"*", "papers", "papers", "rooms"})[random.below(4)];
    if (random.below(2) == 0) p.command = static_cast<Command>(random.below(4));
    if (p.resource == "papers" && random.below(conditions) == 0) {
      p.condition = random_rule(random, 1);
    }
    permissions.push_back(std::move(p));
  }
  return permissions;
}

/// As a role's row has them.
inline Json permissions_json(const std::vector<PermissionModel>& permissions) {
  Json out = Json::array();
  for (const PermissionModel& p : permissions) {
    Json json = Json::object(
        {{"resource", p.resource}, {"action", p.command ? to_string(*p.command) : "*"}});
    if (p.condition) json.set("condition", p.condition->text);
    out.push_back(json);
  }
  return out;
}

}  // namespace office::model
BUREAU_END_NAMESPACE
