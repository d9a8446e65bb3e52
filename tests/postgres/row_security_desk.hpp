#pragma once

#include <fmt/format.h>

#include "access/model.hpp"
#include "bureau/access/row_security.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"

namespace row_security_test {

using namespace bureau;
using namespace bureau::office;

inline constexpr const char* denied = "42501";  // insufficient_privilege

/// An office on the server beside a role that owns nothing there.
struct Desk {
  explicit Desk(postgres_test::Server& server, Policies policies = {})
      : database(server.create_database()), admin(database.admin()) {
    admin.ask("CREATE ROLE desk LOGIN PASSWORD 'plum'");
    admin.ask("CREATE ROLE clerk LOGIN PASSWORD 'plum' IN ROLE desk");
    const auto usual = std::exchange(tests::new_storage, [this](Clock& clock) {
      PostgresOptions options;
      options.connection = database.conninfo();
      options.clock = &clock;
      return must(open_postgres(std::move(options)));
    });
    office.emplace(std::move(policies));
    tests::new_storage = usual;
    owner.emplace(database.address());
  }
  ~Desk() {
    office.reset();
    for (const char* role : {"clerk", "desk"}) {
      PQclear(PQexec(admin.get(), fmt::format("DROP OWNED BY {0}; DROP ROLE {0}", role).c_str()));
    }
  }

  [[nodiscard]] postgres_test::Address address(const std::string& role) const {
    postgres_test::Address at = database.address();
    at.user = role;
    at.password = "plum";
    return at;
  }
  [[nodiscard]] RowSecurityOptions options() const {
    RowSecurityOptions options;
    options.grantees = {"desk"};
    return options;
  }
  void secure(const RowSecurityOptions& options) const {
    owner->ask(must(row_security_sql(*office->access, options)));
  }

  postgres_test::Database database;
  postgres_test::Client admin;
  std::optional<Office> office;
  mutable std::optional<postgres_test::Client> owner;
};

inline std::string acts_as(Id<Tenant> tenant, Id<User> user) {
  return fmt::format("SET bureau.acting_tenant = '{}'; SET bureau.acting_user = '{}'; ",
                     tenant.value, user.value);
}
inline std::string acts_as(const User& user) { return acts_as(user.tenant, user.id); }

inline std::string ids_in(const std::string& table) {
  return fmt::format("SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM bureau.{}",
                     table);
}

template <class T>
std::string ids_of(const Result<Session>& session) {
  if (!session) return {};
  auto rows = Repository<T>{*session}.list({{}, {}, 10'000, {}});
  if (!rows) return rows.error().code == Code::forbidden ? "" : to_string(rows.error());
  std::vector<std::int64_t> ids;
  for (const T& row : *rows) ids.push_back(row.id.value);
  std::sort(ids.begin(), ids.end());
  return fmt::format("{}", fmt::join(ids, ","));
}

}  // namespace row_security_test
