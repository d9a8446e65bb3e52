#pragma once

#include <string>
#include <vector>

#include "bureau/store/schema.hpp"

BUREAU_BEGIN_NAMESPACE

enum class TenantStatus { active, suspended, closed };
template <>
inline constexpr auto names<TenantStatus> = enum_names("active", "suspended", "closed");

/// An organisation; every other row belongs to one.
struct Tenant {
  Id<Tenant> id;
  std::string name;
  TenantStatus status = TenantStatus::active;
  std::string zone = "UTC";  ///< IANA time zone
  Json settings;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

enum class UserStatus { invited, active, disabled, erased };
template <>
inline constexpr auto names<UserStatus> = enum_names("invited", "active", "disabled", "erased");

/// A person, or an AI agent with rights of its own, within one tenant.
struct User {
  Id<User> id;
  Id<Tenant> tenant;
  std::string email;  ///< unique within the tenant, whatever the case
  std::string name;
  std::string role;  ///< the name of a Role
  UserStatus status = UserStatus::active;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// A named set of permissions. Built in: admin, manager, agent, user, customer, viewer.
struct Role {
  Id<Role> id;
  Id<Tenant> tenant;
  std::string name;
  std::int64_t rank = 0;  ///< who may give a role to others: only those of a higher rank
  /// [{"resource": "tickets" or "*", "action": "select", "insert", "update", "delete" or "*",
  ///   "condition": a predicate's text (optional)}, ...]
  Json permissions;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

struct Team {
  Id<Team> id;
  Id<Tenant> tenant;
  std::string name;
  std::vector<std::string> skills;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// A user's place in a team.
struct Membership {
  Id<Membership> id;
  Id<Tenant> tenant;
  Id<Team> team;
  Id<User> user;
  std::int64_t capacity = 0;  ///< how many open tickets at most; 0: no limit
  bool available = true;      ///< takes new work
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

template <>
inline constexpr auto schema<Tenant> =
    table("tenants", "ten", journal::full, column("id", &Tenant::id),
          column("name", &Tenant::name, max_length(200)), column("status", &Tenant::status),
          column("zone", &Tenant::zone, max_length(64)), column("settings", &Tenant::settings),
          column("version", &Tenant::version), column("created_at", &Tenant::created_at),
          column("updated_at", &Tenant::updated_at));
template <>
inline constexpr auto schema<User> =
    table("users", "usr", journal::full, column("id", &User::id), column("tenant", &User::tenant),
          column("email", &User::email, max_length(320), personal, folded),
          column("name", &User::name, max_length(200), personal, searchable),
          column("role", &User::role, max_length(64)), column("status", &User::status),
          column("version", &User::version), column("created_at", &User::created_at),
          column("updated_at", &User::updated_at), unique_index("email", "tenant", "email_folded"),
          index("tenant", "tenant"));
template <>
inline constexpr auto schema<Role> =
    table("roles", "rol", journal::full, column("id", &Role::id), column("tenant", &Role::tenant),
          column("name", &Role::name, max_length(64)), column("rank", &Role::rank),
          column("permissions", &Role::permissions), column("version", &Role::version),
          column("created_at", &Role::created_at), column("updated_at", &Role::updated_at),
          unique_index("name", "tenant", "name"));
template <>
inline constexpr auto schema<Team> =
    table("teams", "tea", journal::full, column("id", &Team::id), column("tenant", &Team::tenant),
          column("name", &Team::name, max_length(200)), column("skills", &Team::skills),
          column("version", &Team::version), column("created_at", &Team::created_at),
          column("updated_at", &Team::updated_at), unique_index("name", "tenant", "name"));
template <>
inline constexpr auto schema<Membership> = table(
    "memberships", "mem", journal::full, column("id", &Membership::id),
    column("tenant", &Membership::tenant), column("team", &Membership::team),
    column("user", &Membership::user), column("capacity", &Membership::capacity),
    column("available", &Membership::available), column("version", &Membership::version),
    column("created_at", &Membership::created_at), column("updated_at", &Membership::updated_at),
    unique_index("member", "team", "user"), index("user", "user"));

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::Tenant);
BUREAU_DECLARE_ENTITY(bureau::User);
BUREAU_DECLARE_ENTITY(bureau::Role);
BUREAU_DECLARE_ENTITY(bureau::Team);
BUREAU_DECLARE_ENTITY(bureau::Membership);
