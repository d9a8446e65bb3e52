#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "bureau/access/repository.hpp"
#include "bureau/work/task.hpp"

BUREAU_BEGIN_NAMESPACE

/// What a rule of flow control does with the tasks that it covers. Frozen.
enum class FlowRuleType {
  pause,        ///< none is begun
  concurrency,  ///< at most so many hold a lease at a time
  rate,         ///< at most so many are begun in a period: a token bucket
};
template <>
inline constexpr auto names<FlowRuleType> = enum_names("pause", "concurrency", "rate");

/// Which tasks of a tenant: those of a queue, of a kind, with a flow key, or of all that are named.
/// Empty names any.
struct FlowScope {
  std::string queue = {}, kind = {}, flow_key = {};
};

/// One rule of a tenant's flow control. A row like any other, changed while the office runs, from
/// any process: the next claim keeps to it. What a rule counts is derived from live leases.
struct FlowRule {
  Id<FlowRule> id;
  Id<Tenant> tenant;
  FlowRuleType type = FlowRuleType::pause;
  std::string queue, kind, flow_key;  ///< as FlowScope
  bool each_key = false;           ///< each flow key for itself; a task without one is free of it
  std::int64_t at_most = 0;        ///< how many; of a pause 0
  Duration period{0};              ///< of a rate
  std::int64_t burst = 0;          ///< of a rate: how many at once after a rest; 0: at_most
  std::optional<Timestamp> until;  ///< the rule is none from then on
  std::string reason;
  std::optional<Id<User>> made_by;  ///< who saved it last; none: the system
  std::int64_t version = 0;
  Timestamp created_at, updated_at;

  [[nodiscard]] FlowScope scope() const { return {queue, kind, flow_key}; }
  [[nodiscard]] bool covers(const Task& task) const;
};

template <>
inline constexpr auto schema<FlowRule> =
    table("flow_rules", "flo", journal::after, column("id", &FlowRule::id),
          column("tenant", &FlowRule::tenant), column("type", &FlowRule::type),
          column("queue", &FlowRule::queue, max_length(64)),
          column("kind", &FlowRule::kind, max_length(64)),
          column("flow_key", &FlowRule::flow_key, max_length(200)),
          column("each_key", &FlowRule::each_key), column("at_most", &FlowRule::at_most),
          column("period", &FlowRule::period), column("burst", &FlowRule::burst),
          column("until", &FlowRule::until), column("reason", &FlowRule::reason, max_length(500)),
          column("made_by", &FlowRule::made_by), column("version", &FlowRule::version),
          column("created_at", &FlowRule::created_at), column("updated_at", &FlowRule::updated_at),
          unique_index("scope", "tenant", "flow_key", "queue", "kind", "type", "each_key"),
          index("until", "until").where("until is not null"));

/// How much of each batch a tenant gets, beside the others that have ready tasks; without a row 1.
/// The system keeps it: no tenant gives itself more.
struct TenantShare {
  Id<TenantShare> id;
  Id<Tenant> tenant;
  std::int64_t weight = 1;  ///< 1 to 1000
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto schema<TenantShare> =
    table("tenant_shares", "shr", journal::after, column("id", &TenantShare::id),
          column("tenant", &TenantShare::tenant), column("weight", &TenantShare::weight),
          column("version", &TenantShare::version), column("created_at", &TenantShare::created_at),
          column("updated_at", &TenantShare::updated_at), unique_index("tenant", "tenant"));

struct PauseOptions {
  std::string reason = {};
  std::optional<Timestamp> until = {};  ///< resumes by itself then
};
struct ConcurrencyLimit {
  FlowScope scope = {};  ///< empty: all tasks of the tenant
  bool each_key = false;
  std::int64_t at_most = 1;
};

struct RateLimit {
  FlowScope scope = {};  ///< empty: all tasks of the tenant
  bool each_key = false;
  std::int64_t at_most = 1;  ///< begun in a period
  Duration period = std::chrono::seconds(1);
  std::int64_t burst = 0;  ///< how many at once after a rest; 0: at_most
};

/// The flow control of a tenant, with a session's rights (admins and managers keep its rules).
/// Errors: `invalid` names the field, `forbidden` as everywhere.
class FlowRules {
 public:
  explicit FlowRules(Scope scope) : rows_(std::move(scope)) {}

  /// None of these tasks is begun until resume(); what runs goes on. Paused already: with these
  /// options from now on. `invalid` when the scope names nothing.
  Result<FlowRule> pause(const FlowScope& scope, const PauseOptions& options = {}) const;
  /// `not_found` when exactly this scope is not paused.
  Result<void> resume(const FlowScope& scope) const;
  /// At most so many of these tasks hold a lease at a time; what runs beyond a limit that shrinks
  /// goes on. Replaces the limit of exactly this scope.
  Result<FlowRule> limit(const ConcurrencyLimit& limit) const;

  /// At most so many of these tasks are begun in a period, `burst` of them at once: a bucket that
  /// gets a token each period / at_most. A claim takes one for each task that it leases, and a task
  /// that is handed back unbegun has used its. Kept in the file, for all processes, by the time of
  /// the Clock. Replaces the rate of exactly this scope.
  Result<FlowRule> rate(const RateLimit& limit) const;
  /// The tenant's weight among the tenants; `invalid` unless it is 1 to 1000. For the system.
  Result<void> set_weight(std::int64_t weight) const;

  Result<std::vector<FlowRule>> list(const Query& query = {}) const;
  Result<void> remove(Id<FlowRule> id) const;

 private:
  Repository<FlowRule> rows_;
};

BUREAU_END_NAMESPACE

BUREAU_DECLARE_ENTITY(bureau::FlowRule);
BUREAU_DECLARE_ENTITY(bureau::TenantShare);
