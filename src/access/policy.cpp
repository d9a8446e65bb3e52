#include "bureau/access/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

#include "access/rights.hpp"

BUREAU_BEGIN_NAMESPACE

std::string_view to_string(Command command) noexcept {
  switch (command) {
    case Command::select:
      return "select";
    case Command::insert:
      return "insert";
    case Command::update:
      return "update";
    case Command::remove:
      return "delete";
  }
  return "select";
}

namespace {

using Node = Predicate::Node;
using NodePtr = Predicate::NodePtr;

/// The first variable that policies do not know; empty when there is none.
std::string_view unknown_variable(const NodePtr& node) {
  if (node == nullptr) return {};
  for (const auto& operand : node->operands) {
    if (operand.kind != Predicate::Operand::Kind::variable) continue;
    constexpr auto known = std::to_array<std::string_view>({"user", "tenant", "role", "teams"});
    if (std::find(known.begin(), known.end(), operand.name) == known.end()) return operand.name;
  }
  for (const NodePtr& child : node->children) {
    if (const auto found = unknown_variable(child); !found.empty()) return found;
  }
  return node->select == nullptr ? std::string_view() : unknown_variable(node->select->where);
}

/// The first secret column that is compared; empty when there is none.
std::string_view secret_column(const NodePtr& node) {
  if (node == nullptr) return {};
  if (node->column != nullptr && node->column->secret) return node->column->name;
  for (const NodePtr& child : node->children) {
    if (const auto found = secret_column(child); !found.empty()) return found;
  }
  if (node->select == nullptr) return {};
  if (node->select->column->secret) return node->select->column->name;
  return secret_column(node->select->where);
}

}  // namespace

Result<Predicate> Rule::resolve(const TableInfo& table, const Catalog& catalog) const {
  Predicate predicate;
  if (predicate_) predicate = *predicate_;
  if (text_) {
    BUREAU_TRY(predicate, Predicate::parse(table, *text_, &catalog));
  }
  if (predicate.uses_now()) {
    return fail(Code::invalid,
                "now(): rights do not change with time alone; compare a column "
                "that a task sets",
                "now");
  }
  if (const auto name = secret_column(predicate.node()); !name.empty()) {
    return fail(Code::invalid,
                fmt::format("{}: a secret column is not in the journal, so that the feed could not "
                            "judge by it",
                            name),
                std::string(name));
  }
  if (const auto name = unknown_variable(predicate.node()); !name.empty()) {
    return fail(Code::invalid, fmt::format("${}: expected $user, $tenant, $role or $teams", name),
                std::string(name));
  }
  return predicate;
}

Result<void> Policies::add(Policy policy) {
  const auto refuse = [&](std::string_view rule, std::string field) {
    return fail(Code::invalid,
                fmt::format("policy '{}' of {}: {}", policy.name, policy.table, rule),
                std::move(field));
  };
  if (policy.name.empty()) return refuse("a policy needs a name", "name");
  for (const Policy& other : policies_) {
    if (other.table == policy.table && other.name == policy.name) {
      return fail(Code::exists,
                  fmt::format("policy '{}' of {}: the table has a policy of that name", policy.name,
                              policy.table),
                  "name");
    }
  }
  const bool insert = policy.command == Command::insert;
  const bool checks = !policy.command || insert || policy.command == Command::update;
  if (!policy.using_rule.given() && !(insert && policy.check_rule.given())) {
    return refuse("using_rule must be given", "using_rule");
  }
  if (insert && policy.using_rule.given() && policy.check_rule.given()) {
    return refuse("an insert has one rule, check_rule", "using_rule");
  }
  if (!checks && policy.check_rule.given()) {
    return refuse("only an insert or an update has a check_rule", "check_rule");
  }
  if (policy.of == PrincipalKind::system) {
    return refuse("no policy is about the system", "of");
  }
  policies_.push_back(std::move(policy));
  return {};
}

Result<void> Policies::hide(HiddenColumns columns) {
  const auto refuse = [&](Code code, std::string_view rule, std::string field) {
    return fail(code,
                fmt::format("hidden columns '{}' of {}: {}", columns.name, columns.table, rule),
                std::move(field));
  };
  if (columns.name.empty()) return refuse(Code::invalid, "a name must be given", "name");
  for (const HiddenColumns& other : hidden_) {
    if (other.table == columns.table && other.name == columns.name) {
      return refuse(Code::exists, "the table hides columns under that name already", "name");
    }
  }
  if (columns.columns.empty() && !columns.personal) {
    return refuse(Code::invalid, "no column is named", "columns");
  }
  hidden_.push_back(std::move(columns));
  return {};
}

void Policies::require(std::string table, RowRule rule) {
  required_.emplace_back(std::move(table), std::move(rule));
}

namespace detail {

namespace {
bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
}  // namespace

bool CompiledHiding::concerns(std::string_view role) const {
  return (roles.empty() || contains(roles, role)) && !contains(except, role);
}

bool CompiledPolicy::concerns(const Principal& principal) const {
  if (of && *of != principal.kind()) return false;
  return roles.empty() || std::find(roles.begin(), roles.end(), principal.role) != roles.end();
}

namespace {

Result<CompiledPolicy> compile_policy(const Policy& policy, const TableInfo& table,
                                      const Catalog& catalog) {
  CompiledPolicy out{policy.name, policy.mode, policy.roles, policy.of, {}};
  const auto read = [&](const Rule& rule, std::string_view field) -> Result<Predicate> {
    auto predicate = rule.resolve(table, catalog);
    if (!predicate) {
      return fail(predicate.error().code,
                  fmt::format("policy '{}' of {}: {}: {}", policy.name, policy.table, field,
                              predicate.error().message),
                  std::string(field));
    }
    // The system's rights, but never those of another tenant.
    return narrow_selects(*predicate, [](const TableInfo& read_table) -> Result<Predicate> {
      return tenant_rule(read_table, 0, true);
    });
  };
  Predicate check;
  if (policy.using_rule.given()) {
    BUREAU_TRY(Predicate using_rule, read(policy.using_rule, "using_rule"));
    check = using_rule;
    for (const RuleKind kind : {RuleKind::select, RuleKind::update, RuleKind::remove}) {
      if (!policy.command || *policy.command == command_of(kind)) {
        out.rules[static_cast<std::size_t>(kind)] = using_rule;
      }
    }
  }
  if (policy.check_rule.given()) {
    BUREAU_TRY(check, read(policy.check_rule, "check_rule"));
  }
  for (const RuleKind kind : {RuleKind::insert, RuleKind::update_check}) {
    if (!policy.command || *policy.command == command_of(kind)) {
      out.rules[static_cast<std::size_t>(kind)] = check;
    }
  }
  return out;
}

}  // namespace

namespace {

Result<CompiledHiding> compile_hiding(const HiddenColumns& hidden, const TableInfo& table) {
  CompiledHiding out{{}, hidden.roles, hidden.except};
  for (const std::string& name : hidden.columns) {
    const ColumnInfo* column = table.find(name);
    const auto refuse = [&](std::string_view rule) {
      return fail(
          Code::invalid,
          fmt::format("hidden columns '{}' of {}: {}: {}", hidden.name, hidden.table, name, rule),
          "columns");
    };
    if (column == nullptr || column->hidden) return refuse("the table has no such column");
    const int place = column->index;
    if (place == 0 || place == table.tenant || place == table.version) {
      return refuse("rows cannot be told apart or written back without it");
    }
    out.columns.push_back(column);
  }
  for (const ColumnInfo& column : table.columns) {
    if (hidden.personal && column.personal && !column.hidden) out.columns.push_back(&column);
  }
  for (std::size_t i = 0, count = out.columns.size(); i < count; ++i) {
    const ColumnInfo& column = *out.columns[i];
    if (column.folded) out.columns.push_back(&table.columns[column.folded_index]);
  }
  return out;
}

}  // namespace

Result<PolicySet> PolicySet::compile(const Catalog& catalog, const Policies& policies) {
  PolicySet set;
  for (const TableInfo* table : catalog.tables()) {
    const std::size_t place = set.tables_.size();
    PoliciesOfTable of_table{table, place, {}, {}, {}, {}};
    for (const ColumnInfo& column : table->columns) {
      const TableInfo* target = catalog.find(column.references);
      const bool refers = column.type == Type::id && target != nullptr && column.index != 0 &&
                          static_cast<int>(column.index) != table->tenant;
      if (refers) of_table.references.emplace_back(column.index, target);
    }
    set.tables_.emplace(table, std::move(of_table));
  }
  for (const HiddenColumns& hidden : policies.hidden()) {
    const TableInfo* table = catalog.find(hidden.table);
    if (table == nullptr) {
      return fail(
          Code::invalid,
          fmt::format("hidden columns '{}': there is no table '{}'", hidden.name, hidden.table),
          "table");
    }
    BUREAU_TRY(CompiledHiding compiled, compile_hiding(hidden, *table));
    set.tables_.at(table).hidings.push_back(std::move(compiled));
  }
  for (const Policy& policy : policies.all()) {
    const TableInfo* table = catalog.find(policy.table);
    if (table == nullptr) {
      return fail(Code::invalid,
                  fmt::format("policy '{}': there is no table '{}'", policy.name, policy.table),
                  "table");
    }
    BUREAU_TRY(CompiledPolicy compiled, compile_policy(policy, *table, catalog));
    set.tables_.at(table).policies.push_back(std::move(compiled));
  }
  for (const auto& [name, rule] : policies.required()) {
    const TableInfo* table = catalog.find(name);
    if (table == nullptr || rule == nullptr) {
      return fail(Code::invalid,
                  fmt::format("rows of '{}': {}", name,
                              table == nullptr ? "there is no such table" : "the rule is empty"),
                  "table");
    }
    set.tables_.at(table).required.push_back(rule);
  }
  return set;
}

std::vector<const ColumnInfo*> PolicySet::hidden_from(std::string_view role) const {
  std::vector<const ColumnInfo*> out;
  for (const auto& [table, of_table] : tables_) {
    for (const CompiledHiding& hiding : of_table.hidings) {
      if (!hiding.concerns(role)) continue;
      out.insert(out.end(), hiding.columns.begin(), hiding.columns.end());
    }
  }
  std::sort(out.begin(), out.end(), std::less<>());
  return out;
}

std::vector<const TableInfo*> PolicySet::reads() const {
  std::vector<const TableInfo*> out;
  for (const auto& [table, of_table] : tables_) {
    for (const CompiledPolicy& policy : of_table.policies) {
      for (const auto& rule : policy.rules) {
        if (!rule) continue;
        for (const TableInfo* read : rule->reads()) {
          if (std::find(out.begin(), out.end(), read) == out.end()) out.push_back(read);
        }
      }
    }
  }
  return out;
}

const PoliciesOfTable* PolicySet::find(const TableInfo& table) const {
  const auto found = tables_.find(&table);
  return found == tables_.end() ? nullptr : &found->second;
}

}  // namespace detail

BUREAU_END_NAMESPACE
