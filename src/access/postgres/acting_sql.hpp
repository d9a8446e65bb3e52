#pragma once

// The functions by which the server knows who asks it: part of row_security_sql().

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bureau/access/row_security.hpp"

BUREAU_BEGIN_NAMESPACE
namespace detail::row_security {

/// Any name as SQL has it.
[[nodiscard]] std::string identifier(std::string_view name);
/// A text between dollars that it does not hold.
[[nodiscard]] std::string in_dollars(std::string_view text);
/// "'a','b'"
[[nodiscard]] std::string literals(const std::vector<std::string>& texts);

/// Who logs in as `login` is always this user.
struct FixedLogin {
  std::string login;
  std::int64_t user = 0, tenant = 0;
};
/// What permissions of roles may say without being unknown to the policies.
struct KnownPermissions {
  std::vector<std::string> resources;                          ///< tables
  std::set<std::pair<std::string, std::string>> conditions{};  ///< of a table, and a text
};

/// Of the functions below, those that the grantees call; the others are called by these.
inline constexpr std::string_view acting_user = "bureau_acting_user()",
                                  acting_tenant = "bureau_acting_tenant()",
                                  acting_role = "bureau_acting_role()",
                                  acting_teams = "bureau_acting_teams()",
                                  acting_may = "bureau_acting_may(text,text,text)";

/// CREATE FUNCTION for all of them; `schema` is in quotes.
///   bureau_acting_user(), _tenant(), _role(), _teams()   null, but no teams at all, for whoever
///   may
///                                                        do nothing
///   bureau_acting_may(table, action, condition)          whether a permission of his role says so
[[nodiscard]] std::string acting_functions(std::string_view schema,
                                           const std::vector<FixedLogin>& fixed,
                                           const std::vector<std::string>& office_roles,
                                           const KnownPermissions& known);
/// What a predicate's $name is inside a function that is called for each row, with the acting user
/// and tenant as $2 and $3: asked for once in the statement, they are given on.
[[nodiscard]] std::string acting_inside(std::string_view schema, std::string_view variable);
/// Whether $2 and $3 may be theirs: a fixed login cannot ask for another user. Whoever is free to
/// say who he is may as well say it here.
[[nodiscard]] std::string is_acting(const std::vector<FixedLogin>& fixed);

}  // namespace detail::row_security
BUREAU_END_NAMESPACE
