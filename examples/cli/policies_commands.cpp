// `bureau policies`: the office's policies, for a server whose clients do not come through bureau.

#include <fmt/format.h>

#include <memory>

#include "commands.hpp"

#ifdef BUREAU_WITH_POSTGRES
#include "bureau/access/row_security.hpp"
#endif

namespace cli {

using namespace bureau;

namespace {

struct PoliciesCommand {
  bool sql = false, remove = false;
  std::string schema = "bureau";
  std::vector<std::string> roles, logins, serves, writable;
};

#ifdef BUREAU_WITH_POSTGRES
/// LOGIN=USER
Result<std::pair<std::string, Id<User>>> read_login(const std::string& text) {
  const std::size_t at = text.rfind('=');
  if (at == std::string::npos) {
    return fail(Code::invalid,
                fmt::format("--login: \"{}\"; expected LOGIN=USER, such as ann=usr_...", text),
                "login");
  }
  BUREAU_TRY(const Id<User> user, parse_id<User>(text.substr(at + 1)));
  return std::pair(text.substr(0, at), user);
}

Result<void> print_policies(const Office& office, const PoliciesCommand& command) {
  RowSecurityOptions options;
  options.schema = command.schema;
  options.grantees = command.roles;
  options.office_roles = command.serves;
  options.writable = command.writable;
  for (const std::string& login : command.logins) {
    BUREAU_TRY(options.logins.emplace_back(), read_login(login));
  }
  BUREAU_TRY(const std::string text, command.remove
                                         ? row_security_removal_sql(options)
                                         : row_security_sql(office.engine->access(), options));
  fmt::print("{}", text);
  return {};
}
#else
Result<void> print_policies(const Office&, const PoliciesCommand&) {
  return fail(Code::invalid, "policies: this program was built without PostgreSQL", "sql");
}
#endif

}  // namespace

void add_policies_commands(CLI::App& app, const InOffice& in_office) {
  auto command = std::make_shared<PoliciesCommand>();
  auto* policies = app.add_subcommand(
      "policies", "the office's policies as row-level security of a PostgreSQL server");
  policies->add_flag("--sql", command->sql, "as SQL, to be read and then run as the office's owner")
      ->required();
  policies
      ->add_option("--role", command->roles,
                   "a role of the server that they hold for; once for each")
      ->required();
  policies->add_option("--login", command->logins,
                       "LOGIN=USER: who logs in as LOGIN acts as that user, whatever he sets");
  policies->add_option("--serves", command->serves,
                       "only users with this role of the office; once for each");
  policies->add_option("--write", command->writable,
                       "a table that may also be written; once for each");
  policies->add_option("--schema", command->schema, "where the office is on the server")
      ->capture_default_str();
  policies->add_flag("--remove", command->remove, "what takes all of it away again");
  policies->callback(for_whole_office(in_office)(
      [command](Office& office) { return print_policies(office, *command); }));
}

}  // namespace cli
