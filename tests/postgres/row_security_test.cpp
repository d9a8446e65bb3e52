// Policies as row-level security: single cases. Generated ones are in row_security_generated_test.

#include "postgres/row_security_desk.hpp"

using namespace row_security_test;

namespace {

Policies open_papers() {
  return policies(
      {permit("all", "papers", {}, Rule::always()), permit("all", "rooms", {}, Rule::always())});
}

Role role_named(Office& office, const std::string& name) {
  return *must(Repository<Role>{*office.system}.first(col(&Role::name) == name));
}

}  // namespace

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
