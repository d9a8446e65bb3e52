#include "office.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "bureau/store/sqlite_storage.hpp"

#ifdef BUREAU_WITH_POSTGRES
#include "bureau/store/postgres_storage.hpp"
#endif

namespace cli {

using namespace bureau;

bool Settings::on_server() const {
  return office.starts_with("postgresql://") || office.starts_with("postgres://");
}

std::string Settings::place() const {
  if (!on_server()) return office;
  // scheme://user:password@host/database?password=...
  const std::size_t user = office.find("//") + 2;
  // To libpq what comes before an @ that no / precedes is user and password, whatever is in it.
  const std::size_t stop = office.find_first_of("@/", user);
  const bool has_user = stop != std::string::npos && office[stop] == '@';
  std::string shown = office.substr(0, office.find('?', has_user ? stop : user));
  const std::size_t at = shown.rfind('@');
  if (at == std::string::npos) return shown;
  const std::size_t colon = shown.find(':', user);
  if (colon < at) shown.erase(colon, at - colon);
  return shown;
}

namespace {

Result<std::shared_ptr<Storage>> open_server([[maybe_unused]] const Settings& settings) {
#ifdef BUREAU_WITH_POSTGRES
  PostgresOptions options;
  options.connection = settings.office;
  options.direct = settings.direct;
  return open_postgres(std::move(options));
#else
  return fail(Code::invalid, "--office: this program was built without PostgreSQL", "office");
#endif
}

Result<void> check_is_there(const Settings& settings) {
  std::error_code ignored;
  if (settings.on_server() || std::filesystem::exists(settings.office, ignored)) return {};
  return fail(Code::not_found,
              fmt::format("{}: there is no such office; make one with `bureau init`, or name "
                          "another with --office FILE or BUREAU_OFFICE",
                          settings.office),
              "office");
}

Result<std::unique_ptr<Engine>> open_engine(const Settings& settings, std::size_t threads) {
  EngineOptions options;
  if (settings.on_server()) {
    BUREAU_TRY(options.storage, open_server(settings));
  } else {
    options.path = settings.office;
  }
  options.threads = threads;
  options.journal.keep =
      settings.journal_days == 0 ? Duration::max() : std::chrono::hours(24) * settings.journal_days;
  if (settings.program != nullptr) {
    options.tables = settings.program->tables;
    options.policies = settings.program->policies;
    options.migrations = settings.program->migrations;
    options.on_open = OnOpen::refuse;
  }
  return Engine::open(std::move(options));
}

Result<Tenant> choose(const std::vector<Tenant>& tenants, const Settings& settings) {
  if (tenants.empty()) {
    return fail(Code::not_found, fmt::format("{}: the office has no tenant yet; run `bureau init`",
                                             settings.place()));
  }
  if (settings.tenant.empty()) {
    if (tenants.size() == 1) return tenants.front();
    return fail(Code::invalid,
                fmt::format("tenant: {} has {} of them; name one with --tenant", settings.place(),
                            tenants.size()),
                "tenant");
  }
  for (const Tenant& tenant : tenants) {
    if (tenant.name == settings.tenant) return tenant;
  }
  return fail(Code::not_found, fmt::format("tenant: there is no \"{}\"", settings.tenant),
              "tenant");
}

}  // namespace

namespace {

/// An id, or an e-mail address.
Result<Id<User>> find_user(const Office& office, const std::string& who) {
  if (who.find('@') == std::string::npos) {
    auto value = id::from_text(schema<User>.prefix, who);
    if (!value) {
      return fail(Code::invalid,
                  fmt::format("--as: \"{}\" is neither an id ({}_...) nor an e-mail "
                              "address",
                              who, schema<User>.prefix),
                  "as");
    }
    return Id<User>(*value);
  }
  BUREAU_TRY(const auto user,
             Repository<User>(office.system()).first(col(&User::email).equals_folded(who)));
  if (!user)
    return fail(Code::not_found, fmt::format("--as: nobody has the address {}", who), "as");
  return user->id;
}

}  // namespace

Result<std::shared_ptr<Storage>> open_storage(const Settings& settings, bool make) {
  if (settings.on_server()) return open_server(settings);
  if (!make) BUREAU_TRY_VOID(check_is_there(settings));
  SqliteOptions options;
  options.path = settings.office;
  return open_sqlite(std::move(options));
}

Result<Migrator> open_migrator(const Settings& settings) {
  EngineOptions options;
  BUREAU_TRY(options.storage, open_storage(settings, false));
  if (settings.program != nullptr) {
    options.tables = settings.program->tables;
    options.migrations = settings.program->migrations;
  }
  return Engine::migrator(options);
}

Result<Office> open_office(const Settings& settings, std::size_t threads) {
  BUREAU_TRY_VOID(check_is_there(settings));
  Office office;
  BUREAU_TRY(office.engine, open_engine(settings, threads));
  BUREAU_TRY(auto tenants, office.engine->access().tenants());
  BUREAU_TRY(office.tenant, choose(tenants, settings));
  if (!settings.as.empty()) {
    BUREAU_TRY(const auto user, find_user(office, settings.as));
    BUREAU_TRY(office.as, office.engine->session(office.tenant.id, user));
  }
  return office;
}

Result<Office> create_office(const Settings& settings, const std::string& name) {
  Office office;
  BUREAU_TRY(office.engine, open_engine(settings, 1));
  BUREAU_TRY(auto tenants, office.engine->access().tenants());
  for (const Tenant& tenant : tenants) {
    if (tenant.name == name) {
      return fail(Code::exists, fmt::format("tenant: \"{}\" is there already", name), "name");
    }
  }
  BUREAU_TRY(office.tenant, office.engine->access().create_tenant(name));
  BUREAU_TRY_VOID(support::create_default_statuses(office.system()));
  // Without a general one every draft would die for want of words.
  BUREAU_TRY_VOID(save_template(office.system(), "*",
                                "Thank you for your message, {customer}. It has the number "
                                "{number}, and one of us will answer it."));
  return office;
}

Result<Id<Task>> parse_task(const std::string& text) {
  BUREAU_TRY(auto value, id::from_text(schema<Task>.prefix, text));
  return Id<Task>(value);
}

}  // namespace cli
