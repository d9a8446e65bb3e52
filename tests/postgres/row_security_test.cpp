// Policies as row-level security: what a direct client of the server sees and may write as a
// restricted role is what a session of bureau sees and may write.

#include "bureau/access/row_security.hpp"

#include <fmt/format.h>

#include "access/model.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "counts.hpp"
#include "postgres/client.hpp"
#include "postgres/fixture.hpp"

using namespace bureau;
using namespace bureau::office;
using model::Kind;
using model::Person;
using model::World;

namespace {

constexpr const char* denied = "42501";  // insufficient_privilege

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

std::string acts_as(Id<Tenant> tenant, Id<User> user) {
  return fmt::format("SET bureau.acting_tenant = '{}'; SET bureau.acting_user = '{}'; ",
                     tenant.value, user.value);
}
std::string acts_as(const User& user) { return acts_as(user.tenant, user.id); }

std::string ids_in(const std::string& table) {
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

/// Generated policies, roles and rows of one office, one set of policies after the other.
class Comparison {
 public:
  explicit Comparison(Desk& desk) : desk_(desk), client_(desk.address("desk")) {
    Office& office = *desk_.office;
    other_ = must(office.access->create_tenant("Other")).id;
    for (const Id<Tenant> tenant : {office.tenant, other_}) make_people(tenant);
    for (int i = 0; i < 30; ++i) {
      const Id<Tenant> tenant = below(4) == 0 ? other_ : office.tenant;
      const Paper made = random_paper(tenant);
      world_.papers.push_back(must(Papers{office.access->system(tenant)}.insert(made)));
    }
  }

  /// With `text` in the SQL replaced `by` another nothing is checked, and differences are counted.
  void next(const std::string& text = {}, const std::string& by = {}) {
    counts_ = !text.empty();
    const Policies policies = make_policies();
    make_permissions();
    access_ = must(Access::open(*desk_.office->database, policies));
    RowSecurityOptions options = desk_.options();
    options.writable = {"papers"};
    std::string sql = must(row_security_sql(*access_, options));
    for (std::size_t at = sql.find(text); counts_ && at != std::string::npos;
         at = sql.find(text, at + by.size())) {
      sql.replace(at, text.size(), by);
    }
    desk_.owner->ask(sql);
    for (std::size_t who = 0; who < world_.people.size(); ++who) {
      who_ = who;
      compare_reads();
      for (int i = 0; i < 4; ++i) compare_writes();
    }
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_.below(n); }
  bool flip() { return below(2) == 0; }
  const User& user() const { return world_.people[who_].row; }

  void make_people(Id<Tenant> tenant) {
    const Session system = desk_.office->access->system(tenant);
    for (int r = 0; r < 3; ++r) {
      Role role;
      role.name = "r" + std::to_string(r);
      role.permissions = Json::array();
      roles_.push_back(must(Repository<Role>{system}.insert(role)));
    }
    for (int i = 0; i < 4; ++i) {
      Person person;
      const std::string name = fmt::format("u{}", world_.people.size());
      person.row = desk_.office->add_user(name, "r" + std::to_string(i % 3), tenant);
      world_.people.push_back(person);
    }
    Person& last = world_.people.back();
    last.row.status = UserStatus::disabled;
    last.row = must(Users{system}.update(last.row));
    for (const char* name : {"a", "b"}) {
      Room room;
      room.name = name;
      world_.rooms.push_back(must(Rooms{system}.insert(room)));
      Team team;
      team.name = name;
      teams_.push_back(must(Repository<Team>{system}.insert(team)));
    }
    for (const Person& person : world_.people) {
      if (person.row.tenant != tenant || flip()) continue;
      Membership member;
      member.user = person.row.id;
      member.team = teams_[teams_.size() - 1 - below(2)].id;
      world_.memberships.push_back(must(Repository<Membership>{system}.insert(member)));
    }
  }

  Paper random_paper(Id<Tenant> tenant) {
    Paper p = paper("p" + std::to_string(++titles_));
    change(p, tenant);
    return p;
  }
  void change(Paper& p, Id<Tenant> tenant) {
    p.level = static_cast<Level>(below(3));
    p.owner = pick<User>(tenant, world_.people, [](const Person& one) { return one.row; });
    p.team = pick<Team>(tenant, teams_, [](const Team& one) { return one; });
    p.room = pick<Room>(tenant, world_.rooms, [](const Room& one) { return one; });
    p.parent = pick<Paper>(tenant, world_.papers, [](const Paper& one) { return one; });
  }
  template <class T, class List, class Row>
  std::optional<Id<T>> pick(Id<Tenant> tenant, const List& list, Row row) {
    std::vector<Id<T>> ids;
    for (const auto& one : list) {
      if (row(one).tenant == tenant) ids.push_back(row(one).id);
    }
    if (ids.empty() || below(3) == 0) return {};
    return ids[below(ids.size())];
  }

  Policies make_policies() {
    Policies out;
    world_.policies.clear();
    const std::uint64_t count = 1 + below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      model::PolicyModel p;
      p.restrictive = i > 0 && below(3) == 0;
      if (flip()) p.command = static_cast<Command>(below(4));
      if (below(3) == 0) p.roles = {"r" + std::to_string(below(3))};
      p.using_rule = model::random_rule(random_);
      if ((!p.command || *p.command == Command::update) && flip()) {
        p.check_rule = model::random_rule(random_);
      }
      Policy policy;
      policy.name = fmt::format("the {}th \"policy\", it's called", i);
      policy.table = "papers";
      policy.command = p.command;
      policy.mode = p.restrictive ? PolicyMode::restrictive : PolicyMode::permissive;
      policy.using_rule = p.using_rule.text;
      if (p.check_rule) policy.check_rule = p.check_rule->text;
      policy.roles = p.roles;
      must(out.add(std::move(policy)));
      world_.policies.push_back(std::move(p));
    }
    world_.room_name.reset();
    if (flip()) world_.room_name = flip() ? "a" : "b";
    must(out.add(permit("rooms", "rooms", Command::select,
                        world_.room_name ? "name = \"" + *world_.room_name + "\"" : "true")));
    return out;
  }

  void make_permissions() {
    for (int r = 0; r < 3; ++r) {
      auto& permissions = world_.roles["r" + std::to_string(r)];
      permissions.clear();
      const std::uint64_t count = 1 + below(3);
      for (std::uint64_t i = 0; i < count; ++i) {
        model::PermissionModel p;
        p.resource = std::to_array({"*", "papers", "papers", "rooms"})[below(4)];
        if (flip()) p.command = static_cast<Command>(below(4));
        if (p.resource == "papers" && flip()) p.condition = model::random_rule(random_, 1);
        permissions.push_back(p);
      }
      if (flip()) permissions.push_back({"papers", {}, {}});
    }
    for (Role& role : roles_) {
      role.permissions = Json::array();
      for (const auto& p : world_.roles[role.name]) {
        Json json = Json::object(
            {{"resource", p.resource}, {"action", p.command ? to_string(*p.command) : "*"}});
        if (p.condition) json.set("condition", p.condition->text);
        role.permissions.push_back(json);
      }
      role = must(Repository<Role>{desk_.office->access->system(role.tenant)}.update(role));
    }
  }

  std::string about() const {
    std::string text = user().name + " (" + user().role + ")";
    for (const auto& p : world_.policies) {
      text += fmt::format("\n  {} {} using {} check {}", p.restrictive ? "restrict" : "permit",
                          p.command ? to_string(*p.command) : "all", p.using_rule.text,
                          p.check_rule ? p.check_rule->text : "");
    }
    return text;
  }

  void same(const std::string& there, const std::string& here) {
    differences += there == here ? 0 : 1;
    if (!counts_) CHECK(there == here);
  }

  void compare_reads() {
    const auto session = access_->session(user().tenant, user().id);
    client_.ask(acts_as(user()));
    INFO(about());
    same(client_.ask(ids_in("papers")), ids_of<Paper>(session));
    same(client_.ask(ids_in("rooms")), ids_of<Room>(session));
    same(client_.ask(ids_in("users")), ids_of<User>(session));
    same(client_.ask(ids_in("memberships")), ids_of<Membership>(session));
    same(client_.ask(ids_in("tenants")), ids_of<Tenant>(session));
    ++compared;
    seen += ids_of<Paper>(session).empty() ? 0 : 1;
  }

  static std::string text_of(const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : "NULL";
  }
  template <class T>
  static std::string text_of(const std::optional<Id<T>>& id) {
    return id ? std::to_string(id->value) : "NULL";
  }

  /// What a statement comes to, undone again: rows, or the server's error.
  std::string outcome(const std::string& statement) {
    client_.ask("BEGIN");
    const std::string state = client_.state_of("CREATE TEMP TABLE IF NOT EXISTS n(n int8)");
    REQUIRE(state.empty());
    std::string out = client_.state_of(statement);
    if (out.empty()) out = client_.ask("SELECT n FROM n");
    client_.ask("ROLLBACK");
    return out;
  }
  std::string changed_by(const std::string& statement) {
    return outcome("WITH changed AS (" + statement +
                   " RETURNING id) INSERT INTO n SELECT count(*) FROM changed");
  }

  void compare_writes() {
    INFO(about());
    const Person& me = world_.people[who_];
    Paper made = random_paper(user().tenant);
    made.tenant = user().tenant;
    made.id = Id<Paper>(1'000'000 + titles_);
    const std::string inserted = outcome(fmt::format(
        "INSERT INTO bureau.papers(id,tenant,title,level,owner,team,room,parent,token,about,"
        "version,created_at,updated_at) VALUES({},{},'{}',{},{},{},{},{},'t','',1,0,0);"
        "INSERT INTO n VALUES(1)",
        made.id.value, made.tenant.value, made.title, static_cast<int>(made.level),
        text_of(made.owner), text_of(made.team), text_of(made.room), text_of(made.parent)));
    const bool may_insert = world_.may(me, Kind::insert, made);
    same(inserted, may_insert ? "1" : denied);
    written += may_insert ? 1 : 0;

    const Paper& stored = world_.papers[below(world_.papers.size())];
    CAPTURE(stored.title);
    Paper after = stored;
    change(after, stored.tenant);
    const bool sees = world_.sees(me, stored);
    const bool may_update = sees && world_.may(me, Kind::update, stored);
    // What goes out of sight is not written by the server, though bureau lets it be handed on.
    const bool may_become = world_.may(me, Kind::update_check, after) && world_.sees(me, after);
    const std::string updated = changed_by(fmt::format(
        "UPDATE bureau.papers SET level={}, owner={}, team={}, room={}, parent={} WHERE id={}",
        static_cast<int>(after.level), text_of(after.owner), text_of(after.team),
        text_of(after.room), text_of(after.parent), stored.id.value));
    same(updated, !may_update ? "0" : may_become ? "1" : denied);
    written += may_update && may_become ? 1 : 0;

    const bool may_remove = sees && world_.may(me, Kind::remove, stored);
    same(changed_by(fmt::format("DELETE FROM bureau.papers WHERE id={}", stored.id.value)),
         may_remove ? "1" : "0");
    written += may_remove ? 1 : 0;
  }

 public:
  int compared = 0, seen = 0, written = 0, differences = 0;

 private:
  SeededRandom random_{11};
  Desk& desk_;
  postgres_test::Client client_;
  World world_;
  Id<Tenant> other_;
  std::vector<Role> roles_;
  std::vector<Team> teams_;
  std::unique_ptr<Access> access_;
  std::size_t who_ = 0;
  int titles_ = 0;
  bool counts_ = false;
};

Policies open_papers() {
  return policies(
      {permit("all", "papers", {}, Rule::always()), permit("all", "rooms", {}, Rule::always())});
}

Role role_named(Office& office, const std::string& name) {
  return *must(Repository<Role>{*office.system}.first(col(&Role::name) == name));
}

}  // namespace

TEST_CASE("A direct client sees and writes what generated policies let a session see and write") {
  BUREAU_NEED_POSTGRES(server);
  Desk desk(server);
  Comparison comparison(desk);
  const int cases = counts::cases(10, 600);
  for (int i = 0; i < cases; ++i) {
    CAPTURE(i);
    comparison.next();
  }
  // Policies that let nobody do anything would agree too.
  CHECK(comparison.seen > comparison.compared / 5);
  CHECK(comparison.written > comparison.compared / 5);
}

TEST_CASE("SQL that were wrong would be found out") {
  BUREAU_NEED_POSTGRES(server);
  Desk desk(server);
  Comparison comparison(desk);
  const std::pair<const char*, const char*> wrong[] = {
      {"AS RESTRICTIVE FOR SELECT", "AS PERMISSIVE FOR SELECT"},
      {"\"tenant\"=(SELECT \"bureau\".bureau_acting_tenant()) AND", "TRUE AND"},
      {"u.\"status\" = 1", "TRUE"},
      {"WITH CHECK (", "WITH CHECK (TRUE OR "},
      {"THEN TRUE ELSE FALSE END", "THEN TRUE END"},
      {"p.value->>'action' IN ('*', $2)", "TRUE"},
      {"m.\"user\" = a.acting_user", "TRUE"}};
  for (const auto& one : wrong) {
    const char* const text = one.first;
    CAPTURE(text);
    comparison.differences = 0;
    for (int i = 0; i < 40 && comparison.differences == 0; ++i) comparison.next(text, one.second);
    CHECK(comparison.differences > 0);
  }
}

TEST_CASE("Who says nothing of himself, or something wrong, sees nothing") {
  BUREAU_NEED_POSTGRES(server);
  Desk desk(server, open_papers());
  Office& office = *desk.office;
  const User ann = office.add_user("ann", "agent");
  must(Papers{*office.system}.insert(paper("one")));
  const Id<Tenant> other = must(office.access->create_tenant("Other")).id;
  const User bob = office.add_user("bob", "agent", other);
  must(Papers{office.access->system(other)}.insert(paper("two")));
  desk.secure(desk.options());
  postgres_test::Client client(desk.address("desk"));
  const std::string titles = "SELECT coalesce(string_agg(title, ','), '') FROM bureau.papers";
  CHECK(client.ask(titles) == "");
  CHECK(client.ask(acts_as(ann) + titles) == "one");
  CHECK(client.ask(acts_as(bob) + titles) == "two");
  CHECK(client.ask(acts_as(office.tenant, bob.id) + titles) == "");
  CHECK(client.ask(acts_as(other, ann.id) + titles) == "");
  CHECK(client.ask(acts_as(office.tenant, Id<User>(12345)) + titles) == "");
  // The text form of ids, and what is none.
  CHECK(client.ask(fmt::format("SET bureau.acting_tenant='{}'; SET bureau.acting_user='{}'; {}",
                               id::to_text("ten", office.tenant.value),
                               id::to_text("usr", ann.id.value), titles)) == "one");
  CHECK(client.state_of("SET bureau.acting_user='ann'; " + titles) == "22023");
  CHECK(client.state_of("SET bureau.acting_user='usr_u000000000000'; " + titles) == "22023");
  CHECK(client.ask("SET bureau.acting_user=''; " + titles) == "");
  // A suspended tenant, an account that is not active.
  CHECK(client.ask(acts_as(ann) + titles) == "one");
  User changed = ann;
  changed.status = UserStatus::disabled;
  changed = must(Users{*office.system}.update(changed));
  CHECK(client.ask(titles) == "");
  changed.status = UserStatus::active;
  must(Users{*office.system}.update(changed));
  CHECK(client.ask(titles) == "one");
  Tenant tenant = must(Repository<Tenant>{*office.system}.find(office.tenant));
  tenant.status = TenantStatus::suspended;
  must(Repository<Tenant>{*office.system}.update(tenant));
  CHECK(client.ask(titles) == "");
}

TEST_CASE("Secrets, the library's tables and lists behind policies are out of reach") {
  BUREAU_NEED_POSTGRES(server);
  Policies rules = open_papers();
  must(rules.add(restrict("not in b", "papers", Command::select,
                          "room not in (select id from rooms where name = \"b\")")));
  Desk desk(server, std::move(rules));
  Office& office = *desk.office;
  const User ann = office.add_user("ann", "agent");
  Paper one = paper("one");
  one.token = "s3cret";
  must(Papers{*office.system}.insert(one));
  desk.secure(desk.options());
  postgres_test::Client client(desk.address("desk"));
  client.ask(acts_as(ann));
  CHECK(client.ask("SELECT title FROM bureau.papers") == "one");
  for (const char* statement :
       {"SELECT token FROM bureau.papers",
        "SELECT * FROM bureau.papers",
        "SELECT p FROM bureau.papers p",
        "SELECT row_to_json(p) FROM bureau.papers p",
        "SELECT title FROM bureau.papers ORDER BY token",
        "SELECT count(*) FROM bureau.papers WHERE token > 'a'",
        "SELECT title FROM bureau.papers JOIN (SELECT 's3cret' AS token) x USING (token)",
        "COPY bureau.papers TO STDOUT",
        "SELECT * FROM bureau.bureau_settings",
        "SELECT * FROM bureau.bureau_journal",
        "SELECT * FROM bureau.bureau_meta",
        "SELECT * FROM bureau.plants",
        "INSERT INTO bureau.rooms(id) VALUES(1)",
        "UPDATE bureau.papers SET title='x'",
        "DELETE FROM bureau.papers",
        "TRUNCATE bureau.papers",
        "SELECT bureau.bureau_acting()",
        "SELECT bureau.bureau_acting_claim('user','usr')",
        "ALTER TABLE bureau.papers DISABLE ROW LEVEL SECURITY",
        "DROP POLICY \"all\" ON bureau.papers",
        "CREATE TABLE bureau.mine(x int)"}) {
    CAPTURE(statement);
    CHECK(client.state_of(statement) == denied);
  }
  // A function that listed rows would list them past the policies.
  CHECK(client.ask("SELECT count(*) FROM pg_proc p WHERE p.pronamespace='bureau'::regnamespace"
                   " AND p.proretset AND has_function_privilege(p.oid, 'execute')") == "0");
  CHECK(client.ask("SELECT count(*) FROM pg_proc p WHERE p.pronamespace='bureau'::regnamespace"
                   " AND p.proname LIKE 'bureau\\_rule\\_%'") == "1");
  // A schema of the client's own changes nothing of what the functions look at.
  CHECK(client.ask("SET search_path = pg_temp, bureau; CREATE TEMP VIEW users AS SELECT 1 AS id;"
                   "SELECT title FROM papers") == "one");
}

TEST_CASE("Rights are live; a condition that the policies do not know is told") {
  BUREAU_NEED_POSTGRES(server);
  Desk desk(server, open_papers());
  Office& office = *desk.office;
  const User ann = office.add_user("ann", "viewer");
  Paper one = paper("one");
  one.owner = ann.id;
  must(Papers{*office.system}.insert(one));
  must(Papers{*office.system}.insert(paper("two")));
  desk.secure(desk.options());
  postgres_test::Client client(desk.address("desk"));
  client.ask(acts_as(ann));
  const std::string count = "SELECT count(*) FROM bureau.papers";
  CHECK(client.ask(count) == "2");
  const auto give = [&](const char* permissions) {
    Role role = role_named(office, "viewer");
    role.permissions = must(Json::parse(permissions));
    must(Repository<Role>{*office.system}.update(role));
  };
  give(R"([{"resource": "rooms", "action": "select"}])");
  CHECK(client.ask(count) == "0");
  give(R"([{"resource": "papers", "action": "select"}])");
  CHECK(client.ask(count) == "2");
  give(R"([{"resource": "papers", "action": "select", "condition": "owner = $user"}])");
  CHECK(client.state_of(count) == denied);
  desk.secure(desk.options());
  CHECK(client.ask(count) == "1");
  give(R"([{"resource": "papers", "action": "*", "condition": "owner = $user"}])");
  CHECK(client.ask(count) == "1");
  give("[]");
  CHECK(client.ask(count) == "0");
}

TEST_CASE("Variables stand for the same in every kind of comparison") {
  BUREAU_NEED_POSTGRES(server);
  Desk desk(server);
  Office& office = *desk.office;
  const User ann = office.add_user("ann", "agent");
  const Team team = office.add_team("night");
  office.join(ann, team);
  for (const std::vector<std::string>& skills :
       {std::vector<std::string>{"agent", "night"}, {"day"}, {"ag\"ent"}}) {
    Team one;
    one.name = skills[0];
    one.skills = skills;
    must(Repository<Team>{*office.system}.insert(one));
  }
  for (const char* title : {"agent", "agents", "an agent", "manager"}) {
    Paper one = paper(title);
    one.owner = ann.id;
    if (title[0] == 'a') one.team = team.id;
    must(Papers{*office.system}.insert(one));
  }
  postgres_test::Client client(desk.address("desk"));
  client.ask(acts_as(ann));
  for (const char* rule :
       {"title = $role", "title != $role", "title > $role", "title prefix $role",
        "title contains $role", "title in ($role, \"manager\")", "title not in ($role)",
        "owner in ($user)", "team in ($teams)", "team not in ($teams)", "tenant in ($tenant)",
        "owner in (select id from users where email icontains $role or name = \"ann\")",
        "team in (select team from memberships where user = $user)",
        "team in (select team from memberships where user = $user and team in ($teams))",
        "owner in (select id from users where role = $role and tenant = $tenant)",
        "owner not in (select owner from papers where title = $role)"}) {
    CAPTURE(rule);
    const auto access = must(
        Access::open(*office.database, policies({permit("one", "papers", Command::select, rule)})));
    desk.owner->ask(must(row_security_sql(*access, desk.options())));
    CHECK(client.ask(ids_in("papers")) == ids_of<Paper>(access->session(ann.tenant, ann.id)));
  }
  for (const char* rule : {"skills contains $role", "not skills contains \"night\""}) {
    CAPTURE(rule);
    const auto access = must(Access::open(
        *office.database, policies({restrict("one", "teams", Command::select, rule)})));
    desk.owner->ask(must(row_security_sql(*access, desk.options())));
    CHECK(client.ask(ids_in("teams")) == ids_of<Team>(access->session(ann.tenant, ann.id)));
  }
}

TEST_CASE("A hidden column is granted only where nobody it is hidden from is served") {
  BUREAU_NEED_POSTGRES(server);
  Policies rules = open_papers();
  must(rules.hide({.name = "titles", .table = "papers", .columns = {"title"}, .roles = {"agent"}}));
  must(rules.hide({.name = "personal", .table = "papers", .personal = true, .except = {"admin"}}));
  Desk desk(server, std::move(rules));
  Office& office = *desk.office;
  const User agent = office.add_user("ann", "agent"), manager = office.add_user("bob", "manager");
  must(Papers{*office.system}.insert(paper("one")));
  postgres_test::Client client(desk.address("desk"));
  desk.secure(desk.options());
  client.ask(acts_as(manager));
  CHECK(client.state_of("SELECT title FROM bureau.papers") == denied);
  CHECK(client.state_of("SELECT about FROM bureau.papers") == denied);
  RowSecurityOptions managers = desk.options();
  managers.office_roles = {"manager"};
  desk.secure(managers);
  CHECK(client.ask("SELECT title FROM bureau.papers") == "one");
  CHECK(client.state_of("SELECT about FROM bureau.papers") == denied);
  client.ask(acts_as(agent));
  CHECK(client.ask("SELECT count(*) FROM bureau.papers") == "0");
}

TEST_CASE("A login that is one user stays him, whatever he sets") {
  BUREAU_NEED_POSTGRES(server);
  Desk desk(
      server,
      policies({permit("own", "papers", {}, "owner in (select id from users where id = $user)")}));
  Office& office = *desk.office;
  const User ann = office.add_user("ann", "agent"), bob = office.add_user("bob", "agent");
  for (const User& user : {ann, bob}) {
    Paper one = paper(user.name);
    one.owner = user.id;
    must(Papers{*office.system}.insert(one));
  }
  RowSecurityOptions options = desk.options();
  options.logins = {{"clerk", bob.id}};
  desk.secure(options);
  const std::string titles = "SELECT coalesce(string_agg(title, ','), '') FROM bureau.papers";
  postgres_test::Client clerk(desk.address("clerk")), client(desk.address("desk"));
  CHECK(clerk.ask(titles) == "bob");
  CHECK(clerk.ask(acts_as(ann) + titles) == "bob");
  CHECK(clerk.ask("SET ROLE desk; " + titles) == "bob");
  CHECK(client.ask(acts_as(ann) + titles) == "ann");
  // Nor does he ask as somebody else what is among a sub-select.
  const auto among = [&](const User& user, const User& as) {
    return fmt::format("SELECT bureau.bureau_rule_1({}, {}, {})", user.id.value, as.id.value,
                       as.tenant.value);
  };
  CHECK(clerk.ask(among(bob, bob)) == "t");
  CHECK(clerk.ask(among(ann, bob)) == "f");
  CHECK(clerk.ask(among(ann, ann)) == "");
  CHECK(client.ask(among(ann, ann)) == "t");
  options.logins = {{"clerk", Id<User>(4711)}};
  CHECK(code_of(row_security_sql(*office.access, options)) == Code::not_found);
}

TEST_CASE("bureau itself goes on, and all of it can be taken away") {
  BUREAU_NEED_POSTGRES(server);
  Desk desk(server, open_papers());
  Office& office = *desk.office;
  const User ann = office.add_user("ann", "agent");
  int titles = 0;
  std::uint64_t rows = 0;
  const auto work = [&] {
    std::vector<Paper> many;
    for (int i = 0; i < 300; ++i) many.push_back(paper("p" + std::to_string(++titles)));
    many = must(Papers{office.session(ann)}.insert_all(many));
    must(Papers{office.session(ann)}.change(many[0].id, [](Paper& p) { p.about = "changed"; }));
    CHECK(must(Papers{*office.system}.count()) == (rows += 300));
    must(Papers{*office.system}.remove(many[1].id));
    --rows;
  };
  desk.secure(desk.options());
  work();
  // That binds the owner too, and is taken back.
  desk.owner->ask("ALTER TABLE bureau.papers FORCE ROW LEVEL SECURITY");
  CHECK(code_of(Papers{*office.system}.insert(paper("refused"))) != Code{});
  desk.secure(desk.options());
  work();
  // Policies of somebody else's stay.
  desk.owner->ask("CREATE POLICY audit ON bureau.papers FOR SELECT TO clerk USING (true)");
  desk.secure(desk.options());
  desk.owner->ask(must(row_security_removal_sql(desk.options())));
  CHECK(desk.owner->ask("SELECT string_agg(polname, ',') FROM pg_policy") == "audit");
  CHECK(desk.owner->ask("SELECT count(*) FROM pg_class WHERE relrowsecurity OR "
                        "relforcerowsecurity") == "0");
  CHECK(desk.owner->ask("SELECT count(*) FROM pg_proc WHERE proname LIKE 'bureau\\_acting%'") ==
        "0");
  CHECK(desk.owner->ask("SELECT has_table_privilege('desk', 'bureau.papers', 'select') OR "
                        "has_any_column_privilege('desk', 'bureau.papers', 'select')") == "f");
  desk.owner->ask("DROP POLICY audit ON bureau.papers");
  work();
}

TEST_CASE("What could not hold is refused before anything is changed") {
  BUREAU_NEED_POSTGRES(server);
  Desk desk(server, open_papers());
  const Access& access = *desk.office->access;
  const auto field_of = [&](const RowSecurityOptions& options) {
    const auto made = row_security_sql(access, options);
    return made ? std::string() : made.error().field;
  };
  CHECK(field_of({}) == "grantees");
  for (const char* role : {"", "public", "pg_read_all_data"}) {
    CHECK(field_of({.grantees = {role}}) == "grantees");
  }
  CHECK(field_of({.schema = "Bureau", .grantees = {"desk"}}) == "schema");
  for (const char* table : {"absent", "plants", "users", "roles", "bureau_settings"}) {
    CAPTURE(table);
    CHECK(field_of({.grantees = {"desk"}, .writable = {table}}) == "writable");
  }
  const auto refused = [&](postgres_test::Client& client, const RowSecurityOptions& options) {
    const std::string state = client.state_of(must(row_security_sql(access, options)));
    client.ask("ROLLBACK");
    CHECK(desk.owner->ask("SELECT count(*) FROM pg_policy") == "0");
    return state;
  };
  CHECK(refused(desk.admin, desk.options()) == "P0001");  // not the owner
  CHECK(refused(*desk.owner, {.grantees = {"postgres"}}) == "P0001");
  CHECK(refused(*desk.owner, {.grantees = {"tester"}}) == "P0001");
  CHECK(refused(*desk.owner, {.grantees = {"nobody there"}}) == "42704");
  CHECK(refused(*desk.owner, {.schema = "elsewhere", .grantees = {"desk"}}) == "P0001");
}
