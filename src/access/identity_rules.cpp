// The rules of the tables of identity.hpp: who may see and change tenants, users, roles and teams.

#include <fmt/format.h>

#include "access/rights.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

const std::vector<BuiltInRole>& built_in_roles() {
  // A permission alone opens nothing: policies do. What a customer or an agent sees of tickets is
  // said by the policies of tickets.
  static const std::vector<BuiltInRole> roles = {
      {"admin", 100, {"*"}},
      {"manager", 80, {"*"}},
      {"agent", 60, {"select", "insert", "update"}},
      {"user", 40, {"select", "insert", "update"}},
      {"customer", 20, {"select", "insert"}},
      {"viewer", 10, {"select"}},
  };
  return roles;
}

std::vector<Database::RightsTable> identity_tables() {
  // A new user, team or tenant has no session yet; so that an inbox full of new customers does not
  // make every session read its rights again, their inserts do not count.
  return {{&table_of<Tenant>(), false},
          {&table_of<User>(), false},
          {&table_of<Role>(), true},
          {&table_of<Team>(), false},
          {&table_of<Membership>(), true}};
}

Result<void> add_identity_policies(Policies& policies) {
  const auto permit = [&](const char* name, const char* table, std::optional<Command> command,
                          Rule rule, std::vector<std::string> roles) {
    return policies.add(
        {name, table, command, PolicyMode::permissive, std::move(rule), {}, std::move(roles)});
  };
  for (const char* table : {"tenants", "users", "roles", "teams", "memberships"}) {
    BUREAU_TRY_VOID(permit("bureau: members see it", table, Command::select, Rule::always(), {}));
  }
  BUREAU_TRY_VOID(
      permit("bureau: admins change it", "tenants", Command::update, Rule::always(), {"admin"}));
  BUREAU_TRY_VOID(permit("bureau: admins keep it", "roles", {}, Rule::always(), {"admin"}));
  for (const char* table : {"users", "teams", "memberships"}) {
    BUREAU_TRY_VOID(
        permit("bureau: managers keep it", table, {}, Rule::always(), {"admin", "manager"}));
  }
  BUREAU_TRY_VOID(permit("bureau: own account", "users", Command::update, "id = $user", {}));

  const auto narrow = [&](const char* table, Rule rule) {
    return policies.add({"bureau: customers see themselves",
                         table,
                         Command::select,
                         PolicyMode::restrictive,
                         std::move(rule),
                         {},
                         {"customer"}});
  };
  BUREAU_TRY_VOID(narrow("users", "id = $user"));
  BUREAU_TRY_VOID(narrow("memberships", "user = $user"));
  return narrow("teams", "id in ($teams)");
}

namespace {

Result<std::optional<std::int64_t>> rank_of(Reader& reader, std::int64_t tenant,
                                            std::string_view role) {
  Select which = select<Role>().where(col(&Role::tenant) == Id<Tenant>(tenant) &&
                                      col(&Role::name) == std::string(role));
  std::optional<std::int64_t> rank;
  BUREAU_TRY_VOID(reader.scan(which, [&](std::span<const Value> values) -> Result<bool> {
    Role row;
    from_values(values, row);
    rank = row.rank;
    return false;
  }));
  return rank;
}

Result<void> refuse_rank(const Rights& rights, std::string_view what, std::string_view role) {
  return fail(Code::forbidden,
              fmt::format("{}: only a role of a higher rank than '{}' may do this; '{}' is not",
                          what, role, rights.principal().role),
              "role");
}

Result<void> check_user(const Rights& rights, Reader& reader, const User* before,
                        const User* after) {
  std::int64_t rank = 0;
  for (const User* user : {before, after}) {
    if (user == nullptr) continue;
    BUREAU_TRY(const auto found, rank_of(reader, rights.tenant(), user->role));
    if (!found && user == after) {
      return fail(Code::not_found, fmt::format("role: no role '{}'", user->role), "role");
    }
    rank = std::max(rank, found.value_or(0));
  }
  if (rights.system()) return {};
  const bool self = before != nullptr && before->id == rights.principal().user;
  if (self && after != nullptr) {
    if (before->role == after->role && before->status == after->status) return {};
    return fail(Code::forbidden, "role: nobody changes his own role or status", "role");
  }
  if (self) return fail(Code::forbidden, "users: nobody removes himself", "id");
  if (rank < rights.rank()) return {};
  return refuse_rank(rights, "users", after != nullptr ? after->role : before->role);
}

Result<void> check_role(const Rights& rights, const Catalog& catalog, Reader& reader,
                        const Role* before, const Role* after) {
  if (after != nullptr) BUREAU_TRY_VOID(read_permissions(after->permissions, catalog));
  if (before != nullptr && after != nullptr && before->name != after->name) {
    return fail(Code::invalid, "name: users and policies refer to a role by its name; it stays",
                "name");
  }
  if (before != nullptr && after == nullptr) {
    Select holders =
        select<User>()
            .where(col(&User::tenant) == before->tenant && col(&User::role) == before->name)
            .limit(1);
    bool used = false;
    BUREAU_TRY_VOID(reader.scan(holders, [&](std::span<const Value>) -> Result<bool> {
      used = true;
      return false;
    }));
    if (used) {
      return fail(Code::conflict, fmt::format("roles: users have the role '{}'", before->name));
    }
  }
  if (rights.system()) return {};
  for (const Role* role : {before, after}) {
    if (role != nullptr && role->rank >= rights.rank()) {
      return refuse_rank(rights, "roles", role->name);
    }
  }
  return {};
}

template <Entity T>
std::optional<T> read_row(std::span<const Value> values) {
  if (values.empty()) return {};
  std::optional<T> row(std::in_place);
  from_values(values, *row);
  return row;
}

}  // namespace

Result<void> check_identity(const Rights& rights, const Access::Impl& access, Reader& reader,
                            const TableInfo& table, std::span<const Value> before,
                            std::span<const Value> after) {
  if (&table == &table_of<User>()) {
    const auto old = read_row<User>(before);
    const auto made = read_row<User>(after);
    return check_user(rights, reader, old ? &*old : nullptr, made ? &*made : nullptr);
  }
  if (&table == &table_of<Role>()) {
    const auto old = read_row<Role>(before);
    const auto made = read_row<Role>(after);
    return check_role(rights, access.database.catalog(), reader, old ? &*old : nullptr,
                      made ? &*made : nullptr);
  }
  if (&table == &table_of<Membership>()) {
    const auto made = read_row<Membership>(after);
    if (made && made->capacity < 0) {
      return fail(
          Code::invalid,
          fmt::format("capacity: {} tickets; it must be 0, for no limit, or more", made->capacity),
          "capacity");
    }
  }
  return {};
}

}  // namespace detail
BUREAU_END_NAMESPACE
