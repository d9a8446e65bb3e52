#include "access/postgres/acting_sql.hpp"

#include <fmt/format.h>

#include "bureau/access/identity.hpp"
#include "store/sql_text.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::row_security {

namespace {

/// Every function that runs as the owner looks nowhere else for what it names.
constexpr std::string_view as_owner =
    "STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp";

/// What the session claims to be, as a number. {0}: schema, {1}: logins that claim nothing, {2}:
/// digits of an id's text form.
constexpr std::string_view claim_function = R"(
DECLARE
  claim text;
  value int8 := 0;
BEGIN
  {1}
  IF claim IS NULL THEN
    claim := current_setting('bureau.acting_' || what, true);
  END IF;
  IF claim IS NULL OR claim = '' THEN
    RETURN NULL;
  END IF;
  IF claim ~ '^[1-9][0-9]{{0,18}}$' THEN
    RETURN claim::int8;
  END IF;
  IF claim !~ ('^' || prefix || '_[0-7][0-9a-hjkmnp-tv-z]{{12}}$') THEN
    RAISE EXCEPTION 'bureau.acting_%: "%" is neither a number nor an id with the prefix %',
      what, claim, prefix USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOR place IN length(prefix) + 2 .. length(claim) LOOP
    value := (value << 5) | (strpos('{2}', substr(claim, place, 1)) - 1);
  END LOOP;
  RETURN value;
END )";

/// Who acts, with the permissions of his role; no row for whoever may do nothing. {0}: schema, {1}:
/// status of an active user, {2}: of an active tenant, {3}: further conditions, {4}: what is known
/// of a permission.
constexpr std::string_view acting_function = R"(
DECLARE
  unknown text;
BEGIN
  SELECT u."id", u."tenant", u."role", r."permissions"::json
    INTO acting_user, acting_tenant, acting_role, acting_permissions
    FROM {0}."users" u
    JOIN {0}."tenants" t ON t."id" = u."tenant"
    JOIN {0}."roles" r ON r."tenant" = u."tenant" AND r."name" = u."role"
    WHERE u."id" = {0}.bureau_acting_claim('user', 'usr')
      AND u."tenant" = {0}.bureau_acting_claim('tenant', 'ten')
      AND u."status" = {1} AND t."status" = {2}{3};
  IF NOT FOUND OR json_typeof(acting_permissions) IS DISTINCT FROM 'array' THEN
    RETURN;
  END IF;
  SELECT p.value::text INTO unknown FROM json_array_elements(acting_permissions) p
    WHERE NOT coalesce({4}, false) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'role "%" has a permission that these policies do not know: %',
      acting_role, unknown USING ERRCODE = 'insufficient_privilege',
      HINT = 'Make them anew: bureau policies --sql';
  END IF;
  RETURN NEXT;
END )";

constexpr std::string_view may_function = R"(
  SELECT EXISTS (
    SELECT FROM {0}.bureau_acting() a, json_array_elements(a.acting_permissions) p
    WHERE p.value->>'resource' IN ('*', $1) AND p.value->>'action' IN ('*', $2)
      AND coalesce(p.value->>'condition', '') = $3) )";

constexpr std::string_view teams_function = R"(
  SELECT coalesce((SELECT array_agg(m."team") FROM {0}.bureau_acting() a
    JOIN {0}."memberships" m ON m."user" = a.acting_user AND m."tenant" = a.acting_tenant),
    '{{}}') )";

std::string known_permission(const KnownPermissions& known) {
  std::string text = fmt::format(
      "p.value->>'resource' IN ('*',{}) AND p.value->>'action' IN "
      "('*','select','insert','update','delete') AND (coalesce(p.value->>'condition','') = ''",
      literals(known.resources));
  for (const auto& [table, condition] : known.conditions) {
    text += fmt::format(" OR (p.value->>'resource' = {} AND p.value->>'condition' = {})",
                        text_literal(table), text_literal(condition));
  }
  return text + ")";
}

std::string claims_of(const std::vector<FixedLogin>& fixed) {
  std::string text;
  for (const FixedLogin& one : fixed) {
    text += fmt::format(
        "IF session_user = {} THEN claim := CASE what WHEN 'user' THEN '{}' ELSE '{}' END; END IF;"
        "\n  ",
        text_literal(one.login), one.user, one.tenant);
  }
  return text;
}

std::string function(std::string_view schema, std::string_view head, std::string_view language,
                     std::string_view body) {
  return fmt::format("CREATE FUNCTION {}.{} LANGUAGE {} {} AS {};\n", schema, head, language,
                     as_owner, in_dollars(body));
}

}  // namespace

std::string identifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += c;
    out += c;
  }
  return out + '"';
}

std::string in_dollars(std::string_view text) {
  std::string tag = "$bureau$";
  while (text.find(tag) != std::string_view::npos) tag.insert(tag.size() - 1, "_");
  return fmt::format("{}{}{}", tag, text, tag);
}

std::string literals(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    if (!out.empty()) out += ',';
    out += text_literal(text);
  }
  return out;
}

std::string acting_functions(std::string_view schema, const std::vector<FixedLogin>& fixed,
                             const std::vector<std::string>& office_roles,
                             const KnownPermissions& known) {
  constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";
  const std::string which =
      office_roles.empty() ? std::string()
                           : fmt::format("\n      AND u.\"role\" IN ({})", literals(office_roles));
  const auto scalar = [&](std::string_view name, std::string_view type, std::string_view column) {
    return function(schema, fmt::format("{} RETURNS {}", name, type), "sql",
                    fmt::format(" SELECT {} FROM {}.bureau_acting() ", column, schema));
  };
  return function(schema, "bureau_acting_claim(what text, prefix text) RETURNS int8", "plpgsql",
                  fmt::format(claim_function, schema, claims_of(fixed), digits)) +
         function(
             schema,
             "bureau_acting() RETURNS TABLE(acting_user int8, acting_tenant int8,"
             " acting_role text, acting_permissions json)",
             "plpgsql",
             fmt::format(acting_function, schema, static_cast<int>(UserStatus::active),
                         static_cast<int>(TenantStatus::active), which, known_permission(known))) +
         scalar(acting_user, "int8", "acting_user") +
         scalar(acting_tenant, "int8", "acting_tenant") +
         scalar(acting_role, "text", "acting_role") +
         function(schema, fmt::format("{} RETURNS int8[]", acting_teams), "sql",
                  fmt::format(teams_function, schema)) +
         function(schema, fmt::format("{} RETURNS boolean", acting_may), "sql",
                  fmt::format(may_function, schema));
}

std::string acting_inside(std::string_view schema, std::string_view variable) {
  if (variable == "user") return "$2";
  if (variable == "tenant") return "$3";
  if (variable == "teams") {
    return fmt::format(
        "ARRAY(SELECT m.\"team\" FROM {}.\"memberships\" m WHERE m.\"user\" = $2 AND "
        "m.\"tenant\" = $3)",
        schema);
  }
  return fmt::format(
      "(SELECT u.\"role\" FROM {}.\"users\" u WHERE u.\"id\" = $2 AND u.\"tenant\" = $3)", schema);
}

std::string is_acting(const std::vector<FixedLogin>& fixed) {
  if (fixed.empty()) return "TRUE";
  std::string text = "CASE session_user";
  for (const FixedLogin& one : fixed) {
    text += fmt::format(" WHEN {} THEN $2 = {} AND $3 = {}", text_literal(one.login), one.user,
                        one.tenant);
  }
  return text + " ELSE TRUE END";
}

}  // namespace detail::row_security
BUREAU_END_NAMESPACE
