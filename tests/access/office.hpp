#pragma once

// An office for tests: a memory storage, a clock that stands still, one tenant with users.

#include <doctest/doctest.h>

#include "basics.hpp"
#include "bureau/access/access.hpp"
#include "bureau/access/feed.hpp"
#include "bureau/access/repository.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "storages.hpp"

BUREAU_BEGIN_NAMESPACE
namespace office {

enum class Level { low, middle, high };

struct Room {
  Id<Room> id;
  Id<Tenant> tenant;
  std::string name;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// Something with every kind of column that rights are about.
struct Paper {
  Id<Paper> id;
  Id<Tenant> tenant;
  std::string title;
  Level level = Level::low;
  std::optional<Id<User>> owner;
  std::optional<Id<Team>> team;
  std::optional<Id<Room>> room;
  std::optional<Id<Paper>> parent;
  std::string token;  ///< secret
  std::string about;  ///< personal
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// Its journal does not say what was.
struct Note {
  Id<Note> id;
  Id<Tenant> tenant;
  std::string text;
  std::optional<Id<User>> owner;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};

/// Belongs to no tenant.
struct Plant {
  Id<Plant> id;
  std::string name;
};

}  // namespace office
template <>
inline constexpr auto names<office::Level> = enum_names("low", "middle", "high");
template <>
inline constexpr auto schema<office::Room> = table("rooms", "rom", journal::full,
                                                   column("id", &office::Room::id),
                                                   column("tenant", &office::Room::tenant),
                                                   column("name", &office::Room::name),
                                                   column("version", &office::Room::version),
                                                   column("created_at", &office::Room::created_at),
                                                   column("updated_at", &office::Room::updated_at));
template <>
inline constexpr auto schema<office::Paper> = table(
    "papers", "pap", journal::full, column("id", &office::Paper::id),
    column("tenant", &office::Paper::tenant), column("title", &office::Paper::title),
    column("level", &office::Paper::level), column("owner", &office::Paper::owner),
    column("team", &office::Paper::team), column("room", &office::Paper::room),
    column("parent", &office::Paper::parent), column("token", &office::Paper::token, secret),
    column("about", &office::Paper::about, personal), column("version", &office::Paper::version),
    column("created_at", &office::Paper::created_at),
    column("updated_at", &office::Paper::updated_at), unique_index("title", "tenant", "title"));
template <>
inline constexpr auto schema<office::Note> = table("notes", "not", journal::after,
                                                   column("id", &office::Note::id),
                                                   column("tenant", &office::Note::tenant),
                                                   column("text", &office::Note::text),
                                                   column("owner", &office::Note::owner),
                                                   column("version", &office::Note::version),
                                                   column("created_at", &office::Note::created_at),
                                                   column("updated_at", &office::Note::updated_at));
template <>
inline constexpr auto schema<office::Plant> = table("plants", "pla", journal::full,
                                                    column("id", &office::Plant::id),
                                                    column("name", &office::Plant::name));

namespace office {

using Papers = Repository<Paper>;
using Rooms = Repository<Room>;
using Notes = Repository<Note>;
using Users = Repository<User>;

template <class T>
Code code_of(const Result<T>& result) {
  return result ? static_cast<Code>(0) : result.error().code;
}

struct Office {
  /// On the storage that is given; on a SQLite file when there is a path; else where tests
  /// keep their offices.
  explicit Office(Policies policies = {}, std::shared_ptr<Storage> given = {},
                  const std::string& path = {})
      : storage(given          ? std::move(given)
                : path.empty() ? tests::new_storage(clock)
                               : must(open_sqlite(sqlite(path, clock)))) {
    Catalog catalog;
    must(Access::add_tables(catalog));
    for (const TableInfo* table :
         {&table_of<Room>(), &table_of<Paper>(), &table_of<Note>(), &table_of<Plant>()}) {
      must(catalog.add(*table));
    }
    DatabaseOptions options;
    options.storage = storage;
    options.catalog = std::move(catalog);
    options.clock = &clock;
    options.random = &random;
    options.log = [this](const LogRecord& record) {
      const std::lock_guard lock(log_mutex);
      logged.emplace_back(record.message);
    };
    database = must(Database::open(std::move(options)));
    access = must(Access::open(*database, policies));
    tenant = must(access->create_tenant("Larkfield")).id;
    system.emplace(access->system(tenant));
  }

  static SqliteOptions sqlite(const std::string& path, Clock& clock) {
    SqliteOptions options;
    options.path = path;
    options.durability = Durability::relaxed;
    options.clock = &clock;
    return options;
  }

  User add_user(const std::string& name, const std::string& role, Id<Tenant> of = {}) {
    User user;
    user.email = name + "@example.com";
    user.name = name;
    user.role = role;
    user.status = UserStatus::active;
    return must(Users{access->system(of ? of : tenant)}.insert(user));
  }
  Session session(const User& user) { return must(access->session(user.tenant, user.id)); }
  Team add_team(const std::string& name) {
    Team team;
    team.name = name;
    return must(Repository<Team>{*system}.insert(team));
  }
  Membership join(const User& user, const Team& team) {
    Membership m;
    m.user = user.id;
    m.team = team.id;
    return must(Repository<Membership>{*system}.insert(m));
  }

  ManualClock clock;
  SeededRandom random{7};
  std::shared_ptr<Storage> storage;
  std::mutex log_mutex;
  std::vector<std::string> logged;
  std::unique_ptr<Database> database;
  std::unique_ptr<Access> access;
  Id<Tenant> tenant;
  std::optional<Session> system;
};

inline Paper paper(const std::string& title) {
  Paper p;
  p.title = title;
  return p;
}

/// A policy in one line.
inline Policy permit(std::string name, std::string table, std::optional<Command> command, Rule rule,
                     std::vector<std::string> roles = {}) {
  return {std::move(name), std::move(table), command, PolicyMode::permissive, std::move(rule), {},
          std::move(roles)};
}
inline Policy restrict(std::string name, std::string table, std::optional<Command> command,
                       Rule rule, std::vector<std::string> roles = {}) {
  return {std::move(name), std::move(table), command, PolicyMode::restrictive, std::move(rule), {},
          std::move(roles)};
}
inline Policies policies(std::vector<Policy> list) {
  Policies out;
  for (Policy& p : list) must(out.add(std::move(p)));
  return out;
}

}  // namespace office
BUREAU_END_NAMESPACE
