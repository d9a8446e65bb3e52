#include "bureau/access/row_security.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "access/postgres/acting_sql.hpp"
#include "access/rights.hpp"
#include "store/postgres/sql.hpp"
#include "store/value_rules.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::row_security {

namespace {

constexpr std::size_t name_bytes_max = 63;  // of the server's names
/// The comment on each policy by which the next run finds it.
constexpr std::string_view mark = "made by bureau policies --sql";
constexpr std::array<std::string_view, 5> identity = {"tenants", "users", "roles", "teams",
                                                      "memberships"};

Result<void> check_schema(const RowSecurityOptions& options) {
  if (is_plain_name(options.schema) && !options.schema.starts_with("pg_")) return {};
  return fail(Code::invalid, "schema: must be [a-z][a-z0-9_]*, not beginning with pg_", "schema");
}

Result<void> check_role(std::string_view role, const char* field) {
  if (!role.empty() && role.size() <= name_bytes_max && is_valid_text(role) && role != "public" &&
      !role.starts_with("pg_")) {
    return {};
  }
  return fail(
      Code::invalid,
      fmt::format("{}: '{}' cannot be a role of the server's: 1 to 63 bytes, not public, not "
                  "beginning with pg_",
                  field, role),
      field);
}

Result<void> check_options(const RowSecurityOptions& options) {
  BUREAU_TRY_VOID(check_schema(options));
  if (options.grantees.empty()) {
    return fail(Code::invalid, "grantees: name at least one role of the server", "grantees");
  }
  for (const auto& role : options.grantees) BUREAU_TRY_VOID(check_role(role, "grantees"));
  for (const auto& [login, user] : options.logins) BUREAU_TRY_VOID(check_role(login, "logins"));
  return {};
}

std::string roles_of(const RowSecurityOptions& options) {
  std::string out;
  for (const std::string& role : options.grantees) {
    if (!out.empty()) out += ", ";
    out += identifier(role);
  }
  return out;
}

/// What is about the office alone; the same every time.
std::string beginning(const RowSecurityOptions& options) {
  const std::string schema = quoted(options.schema);
  std::string checks;
  for (const std::string& role : options.grantees) {
    checks += fmt::format(
        "  IF EXISTS (SELECT FROM pg_roles WHERE rolname = {0} AND (rolsuper OR rolbypassrls))\n"
        "    OR pg_has_role({0}, current_user, 'MEMBER') THEN\n"
        "    RAISE EXCEPTION 'role % sees everything whatever the policies are', {0};\n"
        "  END IF;\n",
        text_literal(role));
  }
  return fmt::format(
      "BEGIN;\n"
      "SET LOCAL lock_timeout = '10s';\n"
      "SET LOCAL search_path = pg_catalog, pg_temp;\n"
      "DO {};\n",
      in_dollars(fmt::format(
          "\nBEGIN\n"
          "  IF NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass({0})\n"
          "      AND pg_get_userbyid(relowner) = current_user) THEN\n"
          "    RAISE EXCEPTION 'run this as the owner of the office in schema {1}, which is the "
          "user that bureau connects as';\n"
          "  END IF;\n"
          "{2}END ",
          text_literal(schema + ".bureau_meta"), options.schema, checks)));
}

std::string clean_up(const RowSecurityOptions& options) {
  const std::string schema = quoted(options.schema);
  return fmt::format("DO {};\n",
                     in_dollars(fmt::format(
                         "\nDECLARE\n  one record;\nBEGIN\n"
                         "  FOR one IN SELECT p.polname, p.polrelid::regclass::text AS held_by\n"
                         "      FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid\n"
                         "      WHERE c.relnamespace = to_regnamespace({0})\n"
                         "        AND obj_description(p.oid, 'pg_policy') = {1} LOOP\n"
                         "    EXECUTE format('DROP POLICY %I ON %s', one.polname, one.held_by);\n"
                         "  END LOOP;\n"
                         "  FOR one IN SELECT p.oid::regprocedure::text AS name FROM pg_proc p\n"
                         "      WHERE p.pronamespace = to_regnamespace({0})\n"
                         "        AND (p.proname LIKE 'bureau\\_acting%' OR p.proname LIKE "
                         "'bureau\\_rule\\_%') LOOP\n"
                         "    EXECUTE format('DROP FUNCTION %s', one.name);\n"
                         "  END LOOP;\n"
                         "END ",
                         text_literal(schema), text_literal(mark)))) +
         fmt::format("REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM {};\n", schema, roles_of(options));
}

/// For every table there is, also of those that have no policy: whoever is granted one by mistake
/// sees nothing.
std::string for_all_tables(std::string_view schema, std::string_view what) {
  return fmt::format(
      "DO {};\n",
      in_dollars(fmt::format("\nDECLARE\n  one record;\nBEGIN\n"
                             "  FOR one IN SELECT oid::regclass::text AS name FROM pg_class\n"
                             "      WHERE relnamespace = to_regnamespace({0}) AND relkind IN "
                             "('r', 'p') LOOP\n"
                             "    {1};\n"
                             "  END LOOP;\n"
                             "END ",
                             text_literal(schema), what)));
}

class Script {
 public:
  Script(const Access& access, const RowSecurityOptions& options)
      : access_(access.impl()),
        options_(options),
        catalog_(access.database().catalog()),
        schema_(quoted(options.schema)),
        to_(roles_of(options)) {}

  Result<std::string> write() {
    BUREAU_TRY_VOID(check_writable());
    BUREAU_TRY_VOID(read_office());
    for (const TableInfo* table : catalog_.tables()) BUREAU_TRY_VOID(add(*table));
    std::string text =
        "-- Who sees which rows of a bureau office, as row-level security of the server.\n"
        "-- Run it as the office's owner. What an earlier run has made is replaced.\n";
    text += beginning(options_) + clean_up(options_);
    text += acting_functions(schema_, fixed_, options_.office_roles, known_);
    text += rules_ + "\n";
    text += for_all_tables(
        schema_,
        "EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY',"
        " one.name)");
    text += policies_ + "\n";
    text += fmt::format("GRANT USAGE ON SCHEMA {} TO {};\n", schema_, to_);
    for (const std::string_view name :
         {acting_user, acting_tenant, acting_role, acting_teams, acting_may}) {
      callable_.emplace_back(name);
    }
    text += fmt::format("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {} FROM {};\n", schema_, to_);
    for (const std::string_view name : {"bureau_acting()", "bureau_acting_claim(text,text)"}) {
      text += fmt::format("REVOKE ALL ON FUNCTION {}.{} FROM PUBLIC;\n", schema_, name);
    }
    for (const std::string& name : callable_) {
      text += fmt::format(
          "REVOKE ALL ON FUNCTION {0}.{1} FROM PUBLIC;\nGRANT EXECUTE ON FUNCTION {0}.{1} TO "
          "{2};\n",
          schema_, name, to_);
    }
    return text + grants_ + "COMMIT;\n";
  }

 private:
  // What is read ------------------------------------------------------------------------------

  Result<void> check_writable() const {
    for (const std::string& name : options_.writable) {
      const TableInfo* table = catalog_.find(name);
      const auto refuse = [&](std::string_view rule) {
        return fail(Code::invalid, fmt::format("writable: {}: {}", name, rule), "writable");
      };
      if (table == nullptr) return refuse("there is no such table");
      if (!may_be_seen(*table)) return refuse("its rows belong to no tenant");
      const bool folds = std::any_of(table->columns.begin(), table->columns.end(),
                                     [](const ColumnInfo& c) { return c.folded; });
      if (folds) return refuse("bureau keeps a folded form of its texts, which SQL would not");
      if (std::find(identity.begin(), identity.end(), name) != identity.end() ||
          !access_.policies.find(*table)->required.empty()) {
        return refuse("what may be written there is not said by policies alone");
      }
    }
    return {};
  }

  Result<void> read_office() {
    for (const TableInfo* table : catalog_.tables()) {
      known_.resources.emplace_back(table->name);
    }
    const Monotonic deadline = access_.database.clock().monotonic() + Session::State().read_timeout;
    return access_.database.read(deadline, [&](Reader& reader) -> Result<void> {
      known_.conditions.clear();
      fixed_.clear();
      BUREAU_TRY_VOID(reader.scan(select<Role>(), [&](std::span<const Value> row) -> Result<bool> {
        Role role;
        from_values(row, role);
        // Who has a role that cannot be read may do nothing, there as here.
        const auto permissions = read_permissions(role.permissions, catalog_);
        for (const Permission& one : permissions ? *permissions : std::vector<Permission>()) {
          if (!one.condition.empty()) known_.conditions.emplace(one.resource, one.condition);
        }
        return true;
      }));
      for (const auto& [login, user] : options_.logins) {
        BUREAU_TRY_VOID(read_login(reader, login, user));
      }
      return {};
    });
  }

  Result<void> read_login(Reader& reader, const std::string& login, Id<User> user) {
    BUREAU_TRY(
        const bool found,
        reader.find(table_of<User>(), user.value, [&](std::span<const Value> row) -> Result<bool> {
          User read;
          from_values(row, read);
          fixed_.push_back({login, user.value, read.tenant.value});
          return true;
        }));
    if (found) return {};
    return fail(Code::not_found,
                fmt::format("logins: {}: users: no row {}", login,
                            id::to_text(table_of<User>().prefix, user.value)),
                "logins");
  }

  [[nodiscard]] static bool may_be_seen(const TableInfo& table) {
    if (table.name.starts_with("bureau_")) return false;
    return table.tenant != TableInfo::absent || &table == &table_of<Tenant>();
  }
  [[nodiscard]] bool is_writable(const TableInfo& table) const {
    return std::find(options_.writable.begin(), options_.writable.end(), table.name) !=
           options_.writable.end();
  }

  // Predicates --------------------------------------------------------------------------------

  /// Asked once for a whole statement.
  [[nodiscard]] std::string acting(std::string_view function) const {
    return fmt::format("(SELECT {}.{})", schema_, function);
  }
  [[nodiscard]] std::string variable(std::string_view name) const {
    // The cast makes it an array; without it ANY would go through what the SELECT yields.
    if (name == "teams") return acting(acting_teams) + "::int8[]";
    return acting(name == "user" ? acting_user : name == "tenant" ? acting_tenant : acting_role);
  }
  std::string sql_of(const Predicate& predicate) {
    postgres::Sql sql(schema_);
    const postgres::PolicyTerms terms{
        [&](std::string_view name) { return variable(name); },
        [&](const ColumnInfo& column, const Predicate::SubSelect& select) {
          return among(column, select);
        }};
    postgres::append_policy_predicate(sql, predicate, terms);
    return std::move(sql.text);
  }

  /// Sub-selects of policies read with the system's rights. So each is a function that runs as the
  /// owner; and one that only says whether a value is among them, because whoever may call it could
  /// list what is hidden from him otherwise.
  std::string among(const ColumnInfo& column, const Predicate::SubSelect& select) {
    static const auto own_teams =
        Predicate::parse(table_of<Membership>(), "tenant = $tenant and user = $user");
    if (select.column == table_of<Membership>().find("team") && own_teams &&
        Predicate(select.where) == *own_teams) {
      return fmt::format("({}=ANY({}))", quoted(column.name), variable("teams"));
    }
    const std::string rule = rule_of(select);
    const auto [place, is_new] =
        rule_names_.try_emplace(rule, fmt::format("bureau_rule_{}", rule_names_.size() + 1));
    const std::string head =
        fmt::format("{}({},int8,int8)", place->second, postgres::type_name(*select.column));
    if (is_new) {
      callable_.push_back(head);
      rules_ += fmt::format(
          "CREATE FUNCTION {}.{} RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER"
          " SET search_path = pg_catalog, pg_temp AS {};\n",
          schema_, head, in_dollars(rule));
    }
    return fmt::format("{}.{}({},{},{})", schema_, place->second, quoted(column.name),
                       acting(acting_user), acting(acting_tenant));
  }

  /// "$1 IN (SELECT ...)", as an index on the column answers it.
  std::string rule_of(const Predicate::SubSelect& select) {
    postgres::Sql sql(schema_);
    sql << "FROM ";
    sql.table(select.table->name);
    sql << " WHERE ";
    const postgres::PolicyTerms terms{
        [&](std::string_view name) { return acting_inside(schema_, name); }};
    postgres::append_policy_predicate(sql, Predicate(select.where), terms);
    const std::string& from = sql.text;
    const std::string column = quoted(select.column->name);
    std::string text = fmt::format(
        " SELECT CASE WHEN NOT ({2}) THEN NULL"
        " WHEN $1 IS NULL THEN CASE WHEN EXISTS (SELECT {0}) THEN NULL ELSE FALSE END"
        " WHEN EXISTS (SELECT {0} AND {1}=$1) THEN TRUE",
        from, column, is_acting(fixed_));
    if (select.column->nullable) {
      text += fmt::format(" WHEN EXISTS (SELECT {} AND {} IS NULL) THEN NULL", from, column);
    }
    return text + " ELSE FALSE END ";
  }

  // Policies ----------------------------------------------------------------------------------

  Result<void> add(const TableInfo& table) {
    if (!may_be_seen(table)) return {};
    const PoliciesOfTable& of_table = *access_.policies.find(table);
    std::vector<RuleKind> kinds = {RuleKind::select};
    if (is_writable(table))
      kinds = {RuleKind::select, RuleKind::insert, RuleKind::update, RuleKind::remove};
    const auto is_about = [&](const CompiledPolicy& policy, RuleKind kind) {
      return policy.rules[static_cast<std::size_t>(kind)] && concerns(policy);
    };
    const bool shown = std::any_of(
        of_table.policies.begin(), of_table.policies.end(), [&](const CompiledPolicy& policy) {
          return policy.mode == PolicyMode::permissive && is_about(policy, RuleKind::select);
        });
    if (!shown && kinds.size() == 1) return {};
    policies_ += fmt::format("\n-- {}\n", table.name);
    for (const RuleKind kind : kinds) BUREAU_TRY_VOID(add_rights(table, kind));
    for (const CompiledPolicy& policy : of_table.policies) {
      if (concerns(policy)) add_policy(table, policy, kinds);
    }
    grant(table, of_table);
    return {};
  }

  /// Tenant, role and permissions: besides what the policies say.
  Result<void> add_rights(const TableInfo& table, RuleKind kind) {
    const std::string_view action = to_string(command_of(kind));
    const auto may = [&](std::string_view condition) {
      return fmt::format("(SELECT {}.bureau_acting_may({},{},{}))", schema_,
                         text_literal(table.name), text_literal(action), text_literal(condition));
    };
    std::string permitted = may("");
    for (const auto& [resource, text] : known_.conditions) {
      if (resource != table.name) continue;
      BUREAU_TRY(Predicate condition, Rule(text).resolve(table, catalog_));
      BUREAU_TRY(condition,
                 narrow_selects(condition, [](const TableInfo& read) -> Result<Predicate> {
                   return tenant_rule(read, 0, true);
                 }));
      permitted += fmt::format("\n    OR ({} AND {})", may(text), sql_of(condition));
    }
    const std::string rule =
        fmt::format("{} AND ({})", sql_of(tenant_rule(table, 0, true)), permitted);
    const bool reads = kind != RuleKind::insert;
    const bool writes = kind == RuleKind::insert || kind == RuleKind::update;
    create(table, fmt::format("bureau: rights to {}", action),
           fmt::format("RESTRICTIVE FOR {} TO {}", command_text(kind), to_), reads ? rule : "",
           writes ? rule : "");
    return {};
  }

  void add_policy(const TableInfo& table, const CompiledPolicy& policy,
                  const std::vector<RuleKind>& kinds) {
    const bool restrictive = policy.mode == PolicyMode::restrictive;
    const auto text = [&](RuleKind kind) -> std::string {
      const auto& rule = policy.rules[static_cast<std::size_t>(kind)];
      if (!rule) return {};
      const std::string sql = sql_of(*rule);
      if (policy.roles.empty()) return sql;
      return fmt::format("{}{} IN ({}) {} ({})", acting(acting_role), restrictive ? " NOT" : "",
                         literals(policy.roles), restrictive ? "OR" : "AND", sql);
    };
    std::vector<RuleKind> about;
    for (const RuleKind kind : kinds) {
      if (policy.rules[static_cast<std::size_t>(kind)]) about.push_back(kind);
    }
    if (about.empty()) return;
    const bool all = about.size() == 4;
    const RuleKind first = all ? RuleKind::update : about.front();
    const bool reads = first != RuleKind::insert;
    const bool writes = first == RuleKind::insert || first == RuleKind::update;
    create(table, policy.name,
           fmt::format("{} FOR {} TO {}", restrictive ? "RESTRICTIVE" : "PERMISSIVE",
                       all ? "ALL" : command_text(first), to_),
           reads ? text(first) : "",
           !writes                     ? ""
           : first == RuleKind::insert ? text(RuleKind::insert)
                                       : text(RuleKind::update_check));
  }

  /// Agents are no clients of the server.
  [[nodiscard]] bool concerns(const CompiledPolicy& policy) const {
    if (policy.of && *policy.of != PrincipalKind::user) return false;
    if (policy.roles.empty() || options_.office_roles.empty()) return true;
    return std::any_of(policy.roles.begin(), policy.roles.end(), [&](const std::string& role) {
      return std::find(options_.office_roles.begin(), options_.office_roles.end(), role) !=
             options_.office_roles.end();
    });
  }

  [[nodiscard]] static std::string_view command_text(RuleKind kind) {
    switch (command_of(kind)) {
      case Command::select:
        return "SELECT";
      case Command::insert:
        return "INSERT";
      case Command::update:
        return "UPDATE";
      case Command::remove:
        return "DELETE";
    }
    return "SELECT";
  }

  [[nodiscard]] std::string name_of(const TableInfo& table) const {
    return schema_ + "." + quoted(table.name);
  }

  void create(const TableInfo& table, const std::string& name, std::string_view head,
              const std::string& using_rule, const std::string& check) {
    std::string made = postgres::short_name(name);
    for (int i = 2; !names_.emplace(table.name, made).second; ++i) {
      made = postgres::short_name(fmt::format("{} ({})", name, i));
    }
    policies_ +=
        fmt::format("CREATE POLICY {} ON {} AS {}", identifier(made), name_of(table), head);
    if (!using_rule.empty()) policies_ += fmt::format("\n  USING ({})", using_rule);
    if (!check.empty()) policies_ += fmt::format("\n  WITH CHECK ({})", check);
    policies_ += fmt::format(";\nCOMMENT ON POLICY {} ON {} IS {};\n", identifier(made),
                             name_of(table), text_literal(mark));
  }

  // Columns -----------------------------------------------------------------------------------

  [[nodiscard]] bool hides(const CompiledHiding& hiding) const {
    const auto is_excepted = [&](const std::string& role) {
      return std::find(hiding.except.begin(), hiding.except.end(), role) != hiding.except.end();
    };
    if (!options_.office_roles.empty()) {
      return std::any_of(options_.office_roles.begin(), options_.office_roles.end(),
                         [&](const std::string& role) { return hiding.concerns(role); });
    }
    return hiding.roles.empty() ||
           !std::all_of(hiding.roles.begin(), hiding.roles.end(), is_excepted);
  }

  void grant(const TableInfo& table, const PoliciesOfTable& of_table) {
    const auto is_hidden = [&](const ColumnInfo& column) {
      return std::any_of(
          of_table.hidings.begin(), of_table.hidings.end(), [&](const CompiledHiding& hiding) {
            return hides(hiding) && std::find(hiding.columns.begin(), hiding.columns.end(),
                                              &column) != hiding.columns.end();
          });
    };
    std::string read, inserted, changed;
    const auto add_to = [](std::string& list, const ColumnInfo& column) {
      if (!list.empty()) list += ", ";
      list += quoted(column.name);
    };
    for (const ColumnInfo& column : table.columns) {
      if (column.hidden) continue;
      const int place = column.index;
      const bool hidden = is_hidden(column);
      if (!column.secret && !hidden) add_to(read, column);
      add_to(inserted, column);
      const bool stays = place == 0 || place == table.tenant || place == table.created_at ||
                         column.immutable || hidden;
      if (!stays) add_to(changed, column);
    }
    grants_ += fmt::format("GRANT SELECT ({}) ON {} TO {};\n", read, name_of(table), to_);
    if (!is_writable(table)) return;
    grants_ += fmt::format("GRANT INSERT ({}) ON {} TO {};\n", inserted, name_of(table), to_);
    if (!changed.empty()) {
      grants_ += fmt::format("GRANT UPDATE ({}) ON {} TO {};\n", changed, name_of(table), to_);
    }
    grants_ += fmt::format("GRANT DELETE ON {} TO {};\n", name_of(table), to_);
  }

  const Access::Impl& access_;
  const RowSecurityOptions& options_;
  const Catalog& catalog_;
  std::string schema_, to_;
  std::vector<FixedLogin> fixed_;
  KnownPermissions known_;
  std::map<std::string, std::string> rule_names_;  // of the functions, by what they do
  std::vector<std::string> callable_;
  std::set<std::pair<std::string_view, std::string>> names_;  // of a table's policies
  std::string rules_, policies_, grants_;
};

}  // namespace

}  // namespace detail::row_security

Result<std::string> row_security_sql(const Access& access, const RowSecurityOptions& options) {
  BUREAU_TRY_VOID(detail::row_security::check_options(options));
  return detail::row_security::Script(access, options).write();
}

Result<std::string> row_security_removal_sql(const RowSecurityOptions& options) {
  namespace security = detail::row_security;
  BUREAU_TRY_VOID(security::check_options(options));
  return "-- Takes away what bureau policies --sql has made.\n" + security::beginning(options) +
         security::clean_up(options) +
         security::for_all_tables(
             detail::quoted(options.schema),
             "EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL "
             "SECURITY', one.name)") +
         fmt::format("REVOKE USAGE ON SCHEMA {} FROM {};\nCOMMIT;\n",
                     detail::quoted(options.schema), security::roles_of(options));
}

BUREAU_END_NAMESPACE
