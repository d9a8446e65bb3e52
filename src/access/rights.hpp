#pragma once

// What a principal may do, worked out from roles and policies: the inside of access/.

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bureau/access/access.hpp"
#include "bureau/access/identity.hpp"
#include "bureau/access/policy.hpp"
#include "bureau/access/repository.hpp"
#include "bureau/access/session.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail {

/// What a rule is asked about: update has two, of the row as it is and as it becomes.
enum class RuleKind : std::uint8_t { select, insert, update, update_check, remove };
inline constexpr std::size_t rule_kinds = 5;
[[nodiscard]] constexpr Command command_of(RuleKind kind) {
  switch (kind) {
    case RuleKind::select:
      return Command::select;
    case RuleKind::insert:
      return Command::insert;
    case RuleKind::update:
    case RuleKind::update_check:
      return Command::update;
    case RuleKind::remove:
      return Command::remove;
  }
  return Command::select;
}

/// A policy that was read: its predicates still have their variables; their sub-selects stay within
/// $tenant.
struct CompiledPolicy {
  std::string name;
  PolicyMode mode = PolicyMode::permissive;
  std::vector<std::string> roles;
  std::optional<PrincipalKind> of;
  std::array<std::optional<Predicate>, rule_kinds> rules;  // those of the commands it is about
  [[nodiscard]] bool concerns(const Principal& principal) const;
};

/// Columns that some roles do not see.
struct CompiledHiding {
  std::vector<const ColumnInfo*> columns;
  std::vector<std::string> roles, except;
  [[nodiscard]] bool concerns(std::string_view role) const;
};

struct PoliciesOfTable {
  const TableInfo* table = nullptr;
  std::size_t place = 0;  // among the rules of Rights
  std::vector<CompiledPolicy> policies;
  std::vector<CompiledHiding> hidings = {};
  /// The columns that name rows of known tables; the tenant is not among them.
  std::vector<std::pair<std::uint16_t, const TableInfo*>> references = {};
  std::vector<RowRule> required = {};
};
/// The policies of every table of the catalog; fixed once open.
class PolicySet {
 public:
  [[nodiscard]] static Result<PolicySet> compile(const Catalog& catalog, const Policies& policies);
  /// Null for a table that is not in the catalog.
  [[nodiscard]] const PoliciesOfTable* find(const TableInfo& table) const;
  [[nodiscard]] std::size_t size() const { return tables_.size(); }
  /// What a role does not see, sorted.
  [[nodiscard]] std::vector<const ColumnInfo*> hidden_from(std::string_view role) const;
  /// The tables that sub-selects of policies read.
  [[nodiscard]] std::vector<const TableInfo*> reads() const;

 private:
  std::unordered_map<const TableInfo*, PoliciesOfTable> tables_;
};

/// One permission of a role.
struct Permission {
  std::string resource;            // a table or "*"
  std::optional<Command> command;  // none: all
  std::string condition;           // empty: always
  friend bool operator==(const Permission&, const Permission&) = default;
};
/// Reads Role::permissions. `invalid` says what is wrong, `field` is "permissions". A condition is
/// checked against its table.
[[nodiscard]] Result<std::vector<Permission>> read_permissions(const Json& json,
                                                               const Catalog& catalog);

/// A rule ready to be asked.
struct BoundRule {
  Predicate predicate;
  bool never = false;
  bool selects = false;                 // has sub-selects
  std::vector<const TableInfo*> reads;  // their tables
  std::string text;                     // what cursors are bound to
};

/// The rights of one principal as one snapshot has them. Immutable but for a cache; thread-safe.
class Rights {
 public:
  Rights(const Access::Impl& access, Principal principal);
  ~Rights();
  Rights(const Rights&) = delete;
  Rights& operator=(const Rights&) = delete;

  [[nodiscard]] const Principal& principal() const { return principal_; }
  [[nodiscard]] bool system() const { return principal_.system; }
  [[nodiscard]] std::int64_t tenant() const { return principal_.tenant.value; }
  [[nodiscard]] std::int64_t rank() const { return rank_; }
  /// Whether the principal does not see the column: it is secret, or hidden from his role.
  [[nodiscard]] bool hides(const ColumnInfo& column) const;
  [[nodiscard]] bool hides_some(const TableInfo& table) const;
  /// `forbidden` when he does not: it cannot be used to `use` rows ("order or measure").
  [[nodiscard]] Result<void> refuse_hidden(const ColumnInfo& column, std::string_view use) const;
  /// Set when the principal may do nothing at all, and why.
  [[nodiscard]] const std::optional<Error>& denied() const { return denied_; }
  /// Lives as long as this.
  [[nodiscard]] Result<const BoundRule*> rule(const TableInfo& table, RuleKind kind) const;
  /// A predicate that the principal wrote: variables bound, sub-selects filtered by his rights,
  /// now() fixed; no secret columns.
  [[nodiscard]] Result<Predicate> admit(const Predicate& written, Timestamp now) const;

  /// The same user with the same role and teams: what was worked out still holds.
  [[nodiscard]] bool same_as(const Rights& other) const;

  void set_role(std::int64_t rank, std::vector<Permission> permissions);
  void deny(Error error) { denied_ = std::move(error); }

 private:
  [[nodiscard]] Result<Predicate> permitted(const TableInfo& table, Command command) const;
  [[nodiscard]] Result<Predicate> make(const TableInfo& table, RuleKind kind) const;
  [[nodiscard]] Bindings bindings() const;

  const Access::Impl& access_;
  Principal principal_;
  std::int64_t rank_ = 0;
  std::vector<Permission> permissions_;
  std::vector<const ColumnInfo*> hidden_;  // sorted; secret ones are not among them
  std::optional<Error> denied_;
  mutable std::vector<std::atomic<const BoundRule*>> rules_;  // by table and kind; made when asked
};

/// The rights of one user, agent or system, kept up to date for all sessions that share it.
class LiveRights {
 public:
  LiveRights(const Access::Impl& access, Principal principal);
  /// As the snapshot has them. The same object as long as nothing changes.
  [[nodiscard]] Result<std::shared_ptr<const Rights>> as_of(Reader& reader);
  /// The same, where the tenant's epoch in this snapshot is already known.
  [[nodiscard]] Result<std::shared_ptr<const Rights>> as_of(Reader& reader, std::int64_t epoch);
  /// As they were when last looked at, and the tenant's epoch then; -1: they are to be looked at
  /// anew.
  struct Seen {
    std::shared_ptr<const Rights> rights;
    std::int64_t epoch = -1;
  };
  [[nodiscard]] Seen seen() const;

 private:
  const Access::Impl& access_;
  Principal principal_;  // tenant and user, or an agent's name and role; the rest is read
  mutable std::mutex mutex_;
  std::shared_ptr<const Rights> newest_;
  std::int64_t epoch_ = -1;   // of newest_
  std::uint64_t losses_ = 0;  // of the storage, then
};

/// The rows of `table` that belong to the tenant, as $tenant or bound; for a table without tenants,
/// all for the system and none for others.
[[nodiscard]] Predicate tenant_rule(const TableInfo& table, std::int64_t tenant, bool system);
/// The same predicate with each sub-select's rows narrowed by `filter`; inside out, what a filter
/// brings in is left alone.
[[nodiscard]] Result<Predicate> narrow_selects(
    const Predicate& predicate, FunctionRef<Result<Predicate>(const TableInfo&)> filter);
/// Whether the row satisfies the rule; sub-selects are answered by the reader.
[[nodiscard]] Result<bool> satisfies(const BoundRule& rule, Reader& reader,
                                     std::span<const Value> row);
/// Answers a sub-select from the reader.
[[nodiscard]] Result<SelectAnswer> answer_select(Reader& reader, const Predicate::SubSelect& select,
                                                 const Value& value);

/// A copy of a row that outlives the callback that gave it. Two allocations.
class RowCopy {
 public:
  RowCopy() = default;
  explicit RowCopy(std::span<const Value> row) { assign(row); }
  void assign(std::span<const Value> row);
  [[nodiscard]] bool empty() const { return values_.empty(); }
  [[nodiscard]] std::span<const Value> values() const { return values_; }
  [[nodiscard]] std::span<Value> values() { return values_; }

 private:
  std::vector<Value> values_;
  std::vector<char> text_;
};

[[nodiscard]] bool has_secrets(const TableInfo& table);

/// Rules of the tables of identity.hpp that predicates cannot say: ranks, names of roles. `before`
/// is empty for an insert, `after` for a removal.
[[nodiscard]] Result<void> check_identity(const Rights& rights, const Access::Impl& access,
                                          Reader& reader, const TableInfo& table,
                                          std::span<const Value> before,
                                          std::span<const Value> after);
[[nodiscard]] Result<void> add_identity_policies(Policies& policies);
/// The tables that say what a user may do.
[[nodiscard]] std::vector<Database::RightsTable> identity_tables();
struct BuiltInRole {
  std::string_view name;
  std::int64_t rank;
  std::vector<std::string_view> actions;  // on every resource
};
[[nodiscard]] const std::vector<BuiltInRole>& built_in_roles();

/// The way from repositories into sessions.
struct SessionDoor {
  static Result<void> write(const Session& session, FunctionRef<Result<void>(Unit&)> closure,
                            CodeLocation where, bool portable);
  static Result<void> write(const Scope& scope, FunctionRef<Result<void>(Unit&)> closure,
                            bool portable);
  static WriteOptions options(const Session::State& state, CodeLocation where, bool portable);
  static Attribution attribution(const Session::State& state);
  static Result<void> in_unit(const Session& session, Transaction& transaction,
                              FunctionRef<Result<void>(Unit&)> closure);
  static Result<void> read(const Session& session, FunctionRef<Result<void>(View&)> closure);
  /// Runs with a reader and the rights as it has them.
  static Result<void> read(const Scope& scope,
                           FunctionRef<Result<void>(Reader&, const Rights&)> closure);
  /// One scan, which `write` writes for the rights that it is given: a Select of its own, which
  /// lives as long as the call. Where each question costs a turn of a network it is asked together
  /// with whether those rights are still what was seen last; if not, `write` is called again.
  /// `sink` sees nothing before that is known.
  static Result<void> scan(const Scope& scope,
                           FunctionRef<Result<const Select*>(const Rights&)> write, RowSink sink);
  /// Whether a scan() of it saves a turn of the network.
  static bool is_remote(const Scope& scope);
  static Result<const Rights*> rights(View& view);
  static Result<const Rights*> rights(Unit& unit);
};

/// The system's session of the same tenant: for what follows from something that a principal was
/// allowed to do, in a Unit of its own on the same transaction.
[[nodiscard]] Session system_beside(const Session& session);
/// The same of a tenant.
[[nodiscard]] Session system_of(Access::Impl& access, Id<Tenant> tenant);

}  // namespace detail

struct Access::Impl {
  explicit Impl(Database& db) : database(db) {}
  Database& database;
  detail::PolicySet policies;

  std::mutex mutex;
  struct Key {
    std::int64_t tenant, user;
    std::string agent;  // role and name
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return std::hash<std::uint64_t>{}(static_cast<std::uint64_t>(key.tenant) * 31 +
                                        static_cast<std::uint64_t>(key.user)) ^
             std::hash<std::string>{}(key.agent);
    }
  };
  /// Emptied when it grows too large; sessions keep what they use.
  static constexpr std::size_t max_kept = 10'000;
  std::unordered_map<Key, std::shared_ptr<detail::LiveRights>, KeyHash> kept;
  [[nodiscard]] std::shared_ptr<detail::LiveRights> live(const Principal& principal);

  /// What layers above keep for as long as the office is open.
  std::mutex slots_mutex;
  detail::TypedSlots slots;
};

struct Session::State {
  Access::Impl* access = nullptr;
  Principal principal;
  std::shared_ptr<detail::LiveRights> live;
  Duration read_timeout = std::chrono::seconds(5);
  Duration write_timeout = Duration::max();
  std::int64_t task = 0;
};

BUREAU_END_NAMESPACE
