#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bureau/access/access.hpp"

BUREAU_BEGIN_NAMESPACE

/// Whom an office's policies are written for, as row-level security of a PostgreSQL server.
struct RowSecurityOptions {
  /// The schema that holds the office.
  std::string schema = "bureau";
  /// Roles of the server that read the office's tables. None is made: each must be there when the
  /// SQL is run, and be neither a superuser nor the office's owner. One at least.
  std::vector<std::string> grantees;
  /// Who logs in to the server as `first` acts as `second`, whatever he sets. All others act as
  /// their session's settings bureau.acting_tenant and bureau.acting_user say, which whoever may
  /// send SQL of his own can set to what he likes.
  std::vector<std::pair<std::string, Id<User>>> logins = {};
  /// Names of roles of the office: users with others see nothing. Empty: users with any role. A
  /// column that Policies::hide() hides from one of these is not granted.
  std::vector<std::string> office_roles = {};
  /// Tables in which the grantees may also insert, change and delete, as far as policies let them:
  /// past the journal, the feed and all that bureau keeps of a row itself (docs/access.md).
  std::vector<std::string> writable = {};
};

/// The policies of the office as SQL for a PostgreSQL server that holds it (13 or newer): what a
/// client sees there as one of the grantees is what a Session of the acting user sees. Each policy
/// becomes one of the same name; tenant, role and permissions are a restrictive one beside them.
/// One transaction, which replaces what an earlier one has made; to be read, then run as the
/// office's owner. The owner, which is bureau, is not bound by it (NO FORCE): a server refuses
/// COPY, by which bureau writes many rows, to whoever is. docs/access.md says what it does and when
/// to make it anew.
///
/// Reads the catalog, the policies, and of the rows only the conditions in permissions of roles and
/// the users of `logins`; the office may be on any storage. Errors: `invalid` with the field of an
/// option, `not_found` for a user of `logins`, those of reading.
[[nodiscard]] Result<std::string> row_security_sql(const Access& access,
                                                   const RowSecurityOptions& options);

/// What takes all of it away again: policies, functions, the grants to the grantees. Tables are
/// then without row-level security.
[[nodiscard]] Result<std::string> row_security_removal_sql(const RowSecurityOptions& options);

BUREAU_END_NAMESPACE
