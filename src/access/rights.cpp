#include "access/rights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

BUREAU_BEGIN_NAMESPACE
namespace detail {

namespace {

/// `forbidden` when a node, also inside a sub-select, is about a column that the principal does not
/// see.
Result<void> refuse_unseen(const Rights& rights, const Predicate::NodePtr& node) {
  if (node == nullptr) return {};
  if (node->column != nullptr) BUREAU_TRY_VOID(rights.refuse_hidden(*node->column, "compare"));
  for (const auto& child : node->children) BUREAU_TRY_VOID(refuse_unseen(rights, child));
  if (node->select == nullptr) return {};
  if (node->select->column != nullptr) {
    BUREAU_TRY_VOID(rights.refuse_hidden(*node->select->column, "compare"));
  }
  return refuse_unseen(rights, node->select->where);
}

template <Entity T>
Result<std::optional<T>> find_row(Reader& reader, std::int64_t id) {
  std::optional<T> row;
  BUREAU_TRY_VOID(
      reader.find(table_of<T>(), id, [&](std::span<const Value> values) -> Result<bool> {
        from_values(values, row.emplace());
        return true;
      }));
  return row;
}

std::optional<Command> command_named(std::string_view name) {
  for (const Command c : {Command::select, Command::insert, Command::update, Command::remove}) {
    if (to_string(c) == name) return c;
  }
  return {};
}

Result<Permission> read_permission(const Json& json, const Catalog& catalog) {
  const auto refuse = [](std::string rule) {
    return fail(Code::invalid, "permissions: " + rule, "permissions");
  };
  const Json::Object* members = json.as_object();
  if (members == nullptr) return refuse("each must be an object with resource and action");
  Permission out;
  std::string action;
  for (const auto& [key, value] : *members) {
    const std::string* text = value.as_string();
    if (text == nullptr) return refuse(fmt::format("{}: expected a text", key));
    if (key == "resource") {
      out.resource = *text;
    } else if (key == "action") {
      action = *text;
    } else if (key == "condition") {
      out.condition = *text;
    } else {
      return refuse(fmt::format("{}: expected resource, action or condition", key));
    }
  }
  out.command = command_named(action);
  if (!out.command && action != "*") {
    return refuse(fmt::format("action '{}': expected select, insert, update, delete or *", action));
  }
  if (out.resource == "*") {
    if (out.condition.empty()) return out;
    return refuse("a condition is about the columns of one table, not of *");
  }
  const TableInfo* table = catalog.find(out.resource);
  if (table == nullptr) return refuse(fmt::format("resource: no table '{}'", out.resource));
  if (out.condition.empty()) return out;
  if (auto parsed = Rule(out.condition).resolve(*table, catalog); !parsed) {
    return refuse(fmt::format("condition on {}: {}", out.resource, parsed.error().message));
  }
  return out;
}

}  // namespace

Result<std::vector<Permission>> read_permissions(const Json& json, const Catalog& catalog) {
  std::vector<Permission> out;
  if (json.is_null()) return out;
  const Json::Array* items = json.as_array();
  if (items == nullptr) {
    return fail(Code::invalid, "permissions: expected a list of objects", "permissions");
  }
  for (const Json& item : *items) {
    BUREAU_TRY(Permission permission, read_permission(item, catalog));
    out.push_back(std::move(permission));
  }
  return out;
}

// Rights ---------------------------------------------------------------------------------------

Rights::Rights(const Access::Impl& access, Principal principal)
    : access_(access),
      principal_(std::move(principal)),
      rules_(access.policies.size() * rule_kinds) {
  if (!system()) hidden_ = access.policies.hidden_from(principal_.role);
}

Rights::~Rights() {
  for (auto& rule : rules_) delete rule.load(std::memory_order_relaxed);
}

bool Rights::hides(const ColumnInfo& column) const {
  if (system()) return false;
  return column.secret ||
         std::binary_search(hidden_.begin(), hidden_.end(), &column, std::less<>());
}

bool Rights::hides_some(const TableInfo& table) const {
  if (system()) return false;
  return has_secrets(table) ||
         (!hidden_.empty() && std::any_of(table.columns.begin(), table.columns.end(),
                                          [&](const ColumnInfo& c) { return hides(c); }));
}

Result<void> Rights::refuse_hidden(const ColumnInfo& column, std::string_view use) const {
  if (!hides(column)) return {};
  return fail(Code::forbidden,
              fmt::format("{}: a {} column cannot {} rows", column.name,
                          column.secret ? "secret" : "hidden", use),
              std::string(column.name));
}

void Rights::set_role(std::int64_t rank, std::vector<Permission> permissions) {
  rank_ = rank;
  permissions_ = std::move(permissions);
}

bool Rights::same_as(const Rights& other) const {
  return principal_.role == other.principal_.role && principal_.teams == other.principal_.teams &&
         rank_ == other.rank_ && permissions_ == other.permissions_ && denied_ == other.denied_;
}

Result<const BoundRule*> Rights::rule(const TableInfo& table, RuleKind kind) const {
  const PoliciesOfTable* policies = access_.policies.find(table);
  if (policies == nullptr) {
    return fail(Code::invalid, fmt::format("{}: this table is not in the catalog", table.name));
  }
  auto& place = rules_[policies->place * rule_kinds + static_cast<std::size_t>(kind)];
  if (const BoundRule* known = place.load(std::memory_order_acquire)) return known;
  BUREAU_TRY(Predicate predicate, make(table, kind));
  auto made = std::make_unique<BoundRule>();
  made->never = predicate.is_never();
  made->reads = predicate.reads();
  made->selects = !made->reads.empty();
  made->text = predicate.to_text();
  made->predicate = std::move(predicate);
  const BoundRule* expected = nullptr;
  if (place.compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) {
    return made.release();
  }
  return expected;  // another thread was faster
}

Result<Predicate> Rights::permitted(const TableInfo& table, Command command) const {
  Predicate any = Predicate::never();
  for (const Permission& p : permissions_) {
    if (p.resource != "*" && p.resource != table.name) continue;
    if (p.command && *p.command != command) continue;
    if (p.condition.empty()) return Predicate();
    BUREAU_TRY(Predicate condition, Rule(p.condition).resolve(table, access_.database.catalog()));
    BUREAU_TRY(condition, narrow_selects(condition, [&](const TableInfo& t) -> Result<Predicate> {
                 return tenant_rule(t, tenant(), true);
               }));
    any = any || condition;
  }
  return any;
}

Result<Predicate> Rights::make(const TableInfo& table, RuleKind kind) const {
  // The library's own tables hold keys, and records of all tenants.
  if (table.name.starts_with("bureau_")) return Predicate::never();
  if (tenant() == 0 && system()) {
    // The system of no tenant: only tables that have none.
    return tenant_rule(table, 0, true).is_always() ? Predicate() : Predicate::never();
  }
  Predicate rule = tenant_rule(table, tenant(), system());
  if (system() || rule.is_never()) return rule;
  Predicate permissive = Predicate::never();
  Predicate restrictive;
  for (const CompiledPolicy& policy : access_.policies.find(table)->policies) {
    const auto& part = policy.rules[static_cast<std::size_t>(kind)];
    if (!part || !policy.concerns(principal_)) continue;
    if (policy.mode == PolicyMode::permissive) {
      permissive = permissive || *part;
    } else {
      restrictive = restrictive && *part;
    }
  }
  BUREAU_TRY(Predicate permission, permitted(table, command_of(kind)));
  rule = rule && permission && permissive && restrictive;
  return rule.bind(bindings());
}

/// What $user is for an agent: an id that no row has. The last one there can be is not issued
/// before the year 2089.
static constexpr std::int64_t nobody = std::numeric_limits<std::int64_t>::max();

Bindings Rights::bindings() const {
  Bindings out;
  const auto integer = [](std::int64_t v) { return OwnedValue(Value::integer(v)); };
  out["tenant"] = {integer(tenant())};
  out["user"] = {integer(principal_.user ? principal_.user.value : nobody)};
  out["role"] = {OwnedValue::text(principal_.role)};
  auto& teams = out["teams"];
  for (const auto& team : principal_.teams) teams.push_back(integer(team.value));
  return out;
}

Result<Predicate> Rights::admit(const Predicate& written, Timestamp now) const {
  if (written.is_always()) return written;
  Predicate out = written;
  if (!system()) BUREAU_TRY_VOID(refuse_unseen(*this, out.node()));
  if (out.has_variables()) {
    BUREAU_TRY(out, out.bind(bindings()));
  }
  BUREAU_TRY(out, narrow_selects(out, [&](const TableInfo& table) -> Result<Predicate> {
               BUREAU_TRY(const BoundRule* rule, this->rule(table, RuleKind::select));
               return rule->predicate;
             }));
  return out.at(now);
}

// LiveRights -----------------------------------------------------------------------------------

namespace {

tl::unexpected<Error> no_user(const Principal& principal) {
  return fail(
      Code::not_found,
      fmt::format("users: no row {}", id::to_text(table_of<User>().prefix, principal.user.value)),
      "user");
}

/// Why nobody may do anything in a tenant; none: they may.
std::optional<Error> denial(const Tenant& tenant) {
  if (tenant.status == TenantStatus::active) return {};
  return Error(
      Code::forbidden,
      fmt::format("tenant {}: it is {}", id::to_text(table_of<Tenant>().prefix, tenant.id.value),
                  names<TenantStatus>[static_cast<std::size_t>(tenant.status)]),
      "tenant");
}

std::optional<Error> denial(const User& user) {
  if (user.status != UserStatus::active) {
    return Error(Code::forbidden,
                 fmt::format("user {}: the account is {}",
                             id::to_text(table_of<User>().prefix, user.id.value),
                             names<UserStatus>[static_cast<std::size_t>(user.status)]),
                 "user");
  }
  return {};
}

Result<std::optional<Role>> find_role(Reader& reader, std::int64_t tenant,
                                      const std::string& name) {
  Select which =
      select<Role>().where(col(&Role::tenant) == Id<Tenant>(tenant) && col(&Role::name) == name);
  std::optional<Role> role;
  BUREAU_TRY_VOID(reader.scan(which, [&](std::span<const Value> row) -> Result<bool> {
    from_values(row, role.emplace());
    return false;
  }));
  return role;
}

Result<std::vector<Id<Team>>> teams_of(Reader& reader, const User& user) {
  Select which =
      select<Membership>()
          .where(col(&Membership::user) == user.id && col(&Membership::tenant) == user.tenant)
          .order_by(col(&Membership::team));
  std::vector<Id<Team>> teams;
  BUREAU_TRY_VOID(reader.scan(which, [&](std::span<const Value> row) -> Result<bool> {
    Membership membership;
    from_values(row, membership);
    teams.push_back(membership.team);
    return true;
  }));
  return teams;
}

/// Gives the rights their role. Without one they come to nothing.
void take_role(Rights& rights, const Role& role, const Catalog& catalog) {
  auto permissions = read_permissions(role.permissions, catalog);
  if (permissions) return rights.set_role(role.rank, *std::move(permissions));
  // Denying is safe; going on with half of a role would not be.
  rights.deny(Error(
      Code::forbidden,
      fmt::format("role '{}' cannot be read: {}", role.name, permissions.error().message), "role"));
}

Result<std::shared_ptr<const Rights>> read_agent_rights(const Access::Impl& access, Reader& reader,
                                                        const Principal& who,
                                                        const std::optional<Tenant>& tenant) {
  auto rights = std::make_shared<Rights>(access, who);
  if (!tenant) {
    rights->deny(Error(Code::forbidden,
                       fmt::format("agent \"{}\": there is no tenant {}", who.agent,
                                   id::to_text(table_of<Tenant>().prefix, who.tenant.value)),
                       "tenant"));
    return std::shared_ptr<const Rights>(std::move(rights));
  }
  if (auto why = denial(*tenant)) rights->deny(std::move(*why));
  BUREAU_TRY(const auto role, find_role(reader, who.tenant.value, who.role));
  if (role) {
    take_role(*rights, *role, access.database.catalog());
  } else {
    rights->deny(Error(Code::forbidden,
                       fmt::format("agent \"{}\": the tenant has no role '{}', which it acts with",
                                   who.agent, who.role),
                       "role"));
  }
  return std::shared_ptr<const Rights>(std::move(rights));
}

Result<std::shared_ptr<const Rights>> read_rights(const Access::Impl& access, Reader& reader,
                                                  const Principal& who) {
  BUREAU_TRY(const auto tenant, find_row<Tenant>(reader, who.tenant.value));
  if (!who.agent.empty()) return read_agent_rights(access, reader, who, tenant);
  if (!tenant) {
    return fail(
        Code::not_found,
        fmt::format("tenants: no row {}", id::to_text(table_of<Tenant>().prefix, who.tenant.value)),
        "tenant");
  }
  BUREAU_TRY(const auto user, find_row<User>(reader, who.user.value));
  if (!user || user->tenant != who.tenant) return no_user(who);
  Principal principal{who.tenant, who.user, user->role, {}, false, {}};
  BUREAU_TRY(principal.teams, teams_of(reader, *user));
  BUREAU_TRY(const auto role, find_role(reader, who.tenant.value, user->role));
  auto rights = std::make_shared<Rights>(access, std::move(principal));
  if (auto why = denial(*user)) rights->deny(std::move(*why));
  if (auto why = denial(*tenant)) rights->deny(std::move(*why));
  if (role) take_role(*rights, *role, access.database.catalog());
  return std::shared_ptr<const Rights>(std::move(rights));
}

}  // namespace

LiveRights::LiveRights(const Access::Impl& access, Principal principal)
    : access_(access), principal_(std::move(principal)) {
  if (principal_.system) newest_ = std::make_shared<Rights>(access_, principal_);
}

Result<std::shared_ptr<const Rights>> LiveRights::as_of(Reader& reader) {
  if (principal_.system) return newest_;
  BUREAU_TRY(const std::int64_t epoch,
             access_.database.rights_epoch(reader, principal_.tenant.value));
  return as_of(reader, epoch);
}

LiveRights::Seen LiveRights::seen() const {
  const std::lock_guard lock(mutex_);
  if (losses_ != access_.database.storage().losses()) return {};
  return {newest_, epoch_};
}

Result<std::shared_ptr<const Rights>> LiveRights::as_of(Reader& reader, std::int64_t epoch) {
  if (principal_.system) return newest_;
  std::shared_ptr<const Rights> rights;
  bool current = false;
  const std::uint64_t losses = access_.database.storage().losses();
  {
    const std::lock_guard lock(mutex_);
    rights = newest_;
    current = epoch_ == epoch && losses_ == losses;
  }
  if (!current) {
    BUREAU_TRY(auto read, read_rights(access_, reader, principal_));
    const std::lock_guard lock(mutex_);
    if (!newest_ || !newest_->same_as(*read)) {
      rights = std::move(read);
    } else {
      rights = newest_;
    }
    // An older snapshot has its own rights, but does not displace newer ones; epochs that were lost
    // are given out again.
    if (epoch_ < epoch || losses_ != losses) {
      newest_ = rights;
      epoch_ = epoch;
      losses_ = losses;
    }
  }
  if (rights->denied()) return fail(*rights->denied());
  return rights;
}

}  // namespace detail
BUREAU_END_NAMESPACE
