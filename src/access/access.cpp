#include "bureau/access/access.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "access/rights.hpp"

BUREAU_BEGIN_NAMESPACE

Access::Access(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Access::~Access() = default;

Database& Access::database() const { return impl_->database; }

Result<void> Access::add_tables(Catalog& catalog) {
  for (const TableInfo* table : {&table_of<Tenant>(), &table_of<User>(), &table_of<Role>(),
                                 &table_of<Team>(), &table_of<Membership>()}) {
    BUREAU_TRY_VOID(catalog.add(*table));
  }
  return {};
}

Result<std::unique_ptr<Access>> Access::open(Database& database, const Policies& policies) {
  Policies all = policies;
  BUREAU_TRY_VOID(detail::add_identity_policies(all));
  auto impl = std::make_unique<Impl>(database);
  BUREAU_TRY(impl->policies, detail::PolicySet::compile(database.catalog(), all));
  std::vector<Database::RightsTable> watched = detail::identity_tables();
  for (const TableInfo* table : impl->policies.reads()) {
    const bool known = std::any_of(watched.begin(), watched.end(),
                                   [&](const auto& w) { return w.table == table; });
    if (!known) watched.push_back({table, true, false});
  }
  for (const std::string& name : policies.followed()) {
    const TableInfo* table = database.catalog().find(name);
    if (table == nullptr) {
      return fail(Code::invalid, fmt::format("policies: no table '{}' to follow", name), "table");
    }
    watched.push_back({table, true, true});
  }
  database.watch_rights(std::move(watched));
  return std::unique_ptr<Access>(new Access(std::move(impl)));
}

std::shared_ptr<detail::LiveRights> Access::Impl::live(const Principal& principal) {
  Key key{principal.tenant.value, principal.user.value, {}};
  if (!principal.agent.empty()) key.agent = principal.role + '\n' + principal.agent;
  const std::lock_guard lock(mutex);
  if (const auto found = kept.find(key); found != kept.end()) return found->second;
  if (kept.size() >= max_kept) kept.clear();
  return kept.emplace(std::move(key), std::make_shared<detail::LiveRights>(*this, principal))
      .first->second;
}

Result<Tenant> Access::create_tenant(std::string_view name) {
  if (name.empty()) return fail(Code::invalid, "name: a tenant needs a name", "name");
  Tenant tenant;
  auto create = [&](Transaction& transaction) -> Result<void> {
    tenant = {};
    BUREAU_TRY(tenant.id.value, transaction.next_id());
    tenant.name = name;
    tenant.version = 1;
    tenant.created_at = tenant.updated_at = transaction.now();
    transaction.attribution().tenant = tenant.id.value;
    const auto insert = [&](const auto& row) -> Result<void> {
      using T = std::remove_cvref_t<decltype(row)>;
      std::vector<Value> values(table_of<T>().width());
      detail::Scratch scratch;
      to_values(row, values, scratch);
      return transaction.insert(table_of<T>(), values);
    };
    BUREAU_TRY_VOID(insert(tenant));
    for (const detail::BuiltInRole& built_in : detail::built_in_roles()) {
      Role role;
      BUREAU_TRY(role.id.value, transaction.next_id());
      role.tenant = tenant.id;
      role.name = built_in.name;
      role.rank = built_in.rank;
      role.permissions = Json::array();
      for (const std::string_view action : built_in.actions) {
        role.permissions.push_back(Json::object({{"resource", "*"}, {"action", action}}));
      }
      role.version = 1;
      role.created_at = role.updated_at = transaction.now();
      BUREAU_TRY_VOID(insert(role));
    }
    return {};
  };
  BUREAU_TRY_VOID(impl_->database.write({}, {}, create));
  return tenant;
}

namespace {

Result<std::vector<Tenant>> read_tenants(Database& database, const Select& which) {
  std::vector<Tenant> tenants;
  const Monotonic deadline = database.clock().monotonic() + Session::State().read_timeout;
  BUREAU_TRY_VOID(database.read(deadline, [&](Reader& reader) -> Result<void> {
    tenants.clear();
    return reader.scan(which, [&](std::span<const Value> row) -> Result<bool> {
      from_values(row, tenants.emplace_back());
      return true;
    });
  }));
  return tenants;
}

}  // namespace

Result<std::vector<Tenant>> Access::tenants() const {
  return read_tenants(impl_->database, select<Tenant>().order_by(col(&Tenant::id)));
}

Result<Tenant> Access::tenant_named(std::string_view name) const {
  if (!is_valid_text(name)) {
    return fail(Code::invalid, "name: it is not valid UTF-8 without NUL", "name");
  }
  BUREAU_TRY(auto found,
             read_tenants(impl_->database, select<Tenant>()
                                               .where(col(&Tenant::name) == std::string(name))
                                               .order_by(col(&Tenant::id))
                                               .limit(1)));
  if (!found.empty()) return std::move(found.front());
  return fail(Code::not_found, fmt::format("name: there is no tenant \"{}\"", name), "name");
}

Session Access::agent(Id<Tenant> tenant, std::string_view name, std::string_view role) {
  auto state = std::make_shared<Session::State>();
  state->access = impl_.get();
  state->principal.tenant = tenant;
  state->principal.role = role;
  state->principal.agent = name.empty() ? std::string_view("agent") : name;
  state->live = impl_->live(state->principal);
  return Session(std::move(state));
}

Session Access::system(Id<Tenant> tenant) { return detail::system_of(*impl_, tenant); }

Result<Session> Access::session(Id<Tenant> tenant, Id<User> user) {
  if (!user) return fail(Code::invalid, "user: 0 is no id", "user");
  auto state = std::make_shared<Session::State>();
  state->access = impl_.get();
  state->live = impl_->live({tenant, user, {}, {}, false, {}});
  const Monotonic deadline = impl_->database.clock().monotonic() + state->read_timeout;
  BUREAU_TRY_VOID(impl_->database.read(deadline, [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const auto rights, state->live->as_of(reader));
    state->principal = rights->principal();
    return {};
  }));
  return Session(std::move(state));
}

BUREAU_END_NAMESPACE
