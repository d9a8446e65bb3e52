#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bureau/store/predicate.hpp"

BUREAU_BEGIN_NAMESPACE

/// What acts: a person with an account, an agent on its own behalf, or the system itself.
enum class PrincipalKind : std::uint8_t { user, agent, system };

/// What rights are asked about.
enum class Command : std::uint8_t { select, insert, update, remove };
/// "select", "insert", "update", "delete": the names in the permissions of roles.
[[nodiscard]] std::string_view to_string(Command command) noexcept;

/// The condition of a policy: a predicate, or its text, which is read when the office opens. Its
/// variables are $user, $tenant, $role and, for `in`, $teams; now() is refused.
class Rule {
 public:
  Rule() = default;                                     ///< not given
  Rule(std::string text) : text_(std::move(text)) {}    // NOLINT
  Rule(const char* text) : text_(std::string(text)) {}  // NOLINT
  Rule(Predicate predicate) : predicate_(predicate) {}  // NOLINT
  /// The rule that every row satisfies.
  [[nodiscard]] static Rule always() { return Predicate(); }

  [[nodiscard]] bool given() const { return text_ || predicate_; }
  /// `invalid` when the text does not parse for the table, uses now(), a secret column or an
  /// unknown variable.
  [[nodiscard]] Result<Predicate> resolve(const TableInfo& table, const Catalog& catalog) const;

 private:
  std::optional<std::string> text_;
  std::optional<Predicate> predicate_;
};

enum class PolicyMode : std::uint8_t {
  permissive,   ///< one that holds is enough; without any, nothing is allowed
  restrictive,  ///< each must hold besides
};

/// One named rule about the rows of one table. A principal may do what a permission of his role
/// allows, at least one permissive policy allows and no restrictive policy forbids, within his
/// tenant. Sub-selects inside a policy read with the system's rights, within the tenant.
struct Policy {
  std::string name;  ///< unique per table
  std::string table;
  std::optional<Command> command = {};  ///< none: all four
  PolicyMode mode = PolicyMode::permissive;
  /// About the row as it is: select, update, delete. For an insert it stands in for check_rule.
  Rule using_rule = {};
  /// About the row as it becomes: insert, update. Not given: the same as using_rule.
  Rule check_rule = {};
  std::vector<std::string> roles = {};  ///< names of roles; empty: of every role, customers too
  /// Whom it is about, users or agents; none: both. An agent has no account and no teams: its $user
  /// is an id that no row has, its $teams is empty.
  std::optional<PrincipalKind> of = {};
};

/// Columns of a table that some do not see. They read them as null or the type's zero, cannot name
/// them in a predicate, an order or a figure (`forbidden`), and hear of no change of theirs. In an
/// update null or zero leaves them as they are; another value than the stored one is `forbidden`.
/// The system sees everything, and so do rules of policies.
struct HiddenColumns {
  std::string name;  ///< unique per table
  std::string table;
  std::vector<std::string> columns = {};  ///< not id, tenant and version
  bool personal = false;                  ///< also all that are declared personal
  std::vector<std::string> roles = {};    ///< from whom; empty: from every role
  std::vector<std::string> except = {};   ///< but not from these roles
};

/// What the rows of a table must be beyond what their columns say: `invalid` names field, value and
/// rule. Values stand as the table's columns do; `before` is empty for a new row. Judges by these
/// two alone; called from any thread.
using RowRule =
    std::function<Result<void>(std::span<const Value> before, std::span<const Value> after)>;

/// The policies of a program, collected before the office opens. A plain value.
class Policies {
 public:
  /// `exists` when the table has a policy of that name, also one that means the same; `invalid`
  /// when a name or the rules that the command needs are missing.
  Result<void> add(Policy policy);
  /// `exists` when the table hides columns under that name already, `invalid` when the name or the
  /// columns are missing. Names of tables and columns are checked when the office opens.
  Result<void> hide(HiddenColumns columns);
  /// Every insert and update through a session asks it, whoever writes, the system too. What was
  /// there before may be worse: a rule should judge what changes.
  void require(std::string table, RowRule rule);
  /// Changes of this table's rows count as changes of rights (Database::rights_epoch()): who keeps
  /// something worked out from them sees by that number that it is old.
  void follow(std::string table) { followed_.push_back(std::move(table)); }
  [[nodiscard]] std::span<const Policy> all() const { return policies_; }
  [[nodiscard]] std::span<const std::string> followed() const { return followed_; }
  [[nodiscard]] std::span<const HiddenColumns> hidden() const { return hidden_; }
  [[nodiscard]] std::span<const std::pair<std::string, RowRule>> required() const {
    return required_;
  }

 private:
  std::vector<Policy> policies_;
  std::vector<HiddenColumns> hidden_;
  std::vector<std::string> followed_;
  std::vector<std::pair<std::string, RowRule>> required_;
};

BUREAU_END_NAMESPACE
