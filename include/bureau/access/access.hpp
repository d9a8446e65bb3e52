#pragma once

#include <memory>
#include <string_view>

#include "bureau/access/identity.hpp"
#include "bureau/access/policy.hpp"
#include "bureau/access/session.hpp"
#include "bureau/store/database.hpp"

BUREAU_BEGIN_NAMESPACE

/// Who may do what in an office: tenants, users, roles and policies over a database. Thread-safe;
/// outlives its sessions and is outlived by its database.
class Access {
 public:
  /// Adds the tables of identity.hpp to a catalog, before the database opens.
  [[nodiscard]] static Result<void> add_tables(Catalog& catalog);
  /// Reads the policies, and adds those of the tables of identity.hpp. `invalid` names the policy
  /// and the place in its text.
  [[nodiscard]] static Result<std::unique_ptr<Access>> open(Database& database,
                                                            const Policies& policies);
  ~Access();
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  [[nodiscard]] Database& database() const;

  /// A new tenant with the built-in roles.
  Result<Tenant> create_tenant(std::string_view name);
  /// All tenants of the office, whatever their status, by id (in the order in which they were
  /// made). For the host: no session sees another tenant than its own.
  [[nodiscard]] Result<std::vector<Tenant>> tenants() const;
  /// The first with that name; `not_found` when there is none. Names need not be unique.
  [[nodiscard]] Result<Tenant> tenant_named(std::string_view name) const;
  /// `not_found` when there is no such tenant or user in it; `forbidden` when the user is not
  /// active or the tenant is suspended or closed. Later changes of the user, his role or his teams
  /// count at once, also for a session that is already open.
  [[nodiscard]] Result<Session> session(Id<Tenant> tenant, Id<User> user);
  /// What an agent may do in a tenant on its own behalf: as far as policies let one of its kind and
  /// role. Nothing is read yet: where there is no such tenant or role, or the tenant is suspended
  /// or closed, each call of the session says so (`forbidden`).
  [[nodiscard]] Session agent(Id<Tenant> tenant, std::string_view name,
                              std::string_view role = "agent");
  /// The system's rights: no policies, but bound to the tenant all the same.
  [[nodiscard]] Session system(Id<Tenant> tenant);

  struct Impl;
  [[nodiscard]] Impl& impl() const { return *impl_; }

 private:
  explicit Access(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

BUREAU_END_NAMESPACE
