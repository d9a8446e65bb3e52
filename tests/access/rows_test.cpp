#include "access/office.hpp"

using namespace bureau;
using namespace bureau::office;

namespace {

Policies own_papers() {
  return policies({permit("own", "papers", {}, "owner = $user"),
                   permit("team", "papers", Command::select,
                          "team in (select team from memberships where user = $user)"),
                   permit("rooms", "rooms", Command::select, Rule::always())});
}

}  // namespace

TEST_CASE("a system session reads and writes its tenant") {
  Office office;
  const Papers papers{*office.system};
  Paper made = must(papers.insert(paper("plan")));
  CHECK(made.id);
  CHECK(made.tenant == office.tenant);
  CHECK(made.version == 1);
  CHECK(made.created_at == office.clock.now());
  CHECK(must(papers.find(made.id)).title == "plan");
  made.title = "better plan";
  office.clock.advance(std::chrono::seconds(1));
  const Paper changed = must(papers.update(made));
  CHECK(changed.version == 2);
  CHECK(changed.updated_at == changed.created_at + std::chrono::seconds(1));
  CHECK(code_of(papers.update(made)) == Code::conflict);
  CHECK(must(papers.count()) == 1);
  must(papers.remove(made.id));
  CHECK(code_of(papers.find(made.id)) == Code::not_found);
  CHECK(code_of(papers.remove(made.id)) == Code::not_found);
}

TEST_CASE("updated_at never lies before created_at, whatever the clock does") {
  Office office;
  const Papers papers{*office.system};
  Paper made = must(papers.insert(paper("plan")));
  office.clock.step(-std::chrono::hours(5));
  made = must(papers.update(made));
  CHECK(made.updated_at >= made.created_at);
}

TEST_CASE("no query crosses tenants, not even the system's") {
  Office office;
  const Id<Tenant> other = must(office.access->create_tenant("Other")).id;
  const Paper mine = must(Papers{*office.system}.insert(paper("mine")));
  const Session theirs = office.access->system(other);
  CHECK(code_of(Papers{theirs}.find(mine.id)) == Code::not_found);
  CHECK(must(Papers{theirs}.count()) == 0);
  CHECK(code_of(Papers{theirs}.remove(mine.id)) == Code::not_found);
  Paper child = paper("child");
  child.parent = mine.id;
  const auto refused = Papers{theirs}.insert(child);
  CHECK(code_of(refused) == Code::not_found);
  CHECK(refused.error().field == "parent");
  CHECK(must(Repository<Tenant>{theirs}.list({})).size() == 1);
  Paper moved = mine;
  moved.tenant = other;
  CHECK(code_of(Papers{*office.system}.update(moved)) == Code::invalid);
  // A sub-select stays within the tenant as well.
  const auto text = "parent is null and title in (select title from papers)";
  Catalog catalog = office.database->catalog();
  const auto where = must(Predicate::parse(table_of<Paper>(), text, &catalog));
  CHECK(must(Papers{theirs}.count(where)) == 0);
}

TEST_CASE("without a permissive policy nothing is allowed") {
  Office office;
  const User ann = office.add_user("ann", "admin");
  const Session session = office.session(ann);
  const Paper hidden = must(Papers{*office.system}.insert(paper("hidden")));
  CHECK(code_of(Papers{session}.find(hidden.id)) == Code::not_found);
  CHECK(must(Papers{session}.count()) == 0);
  CHECK(code_of(Papers{session}.insert(paper("new"))) == Code::forbidden);
  CHECK(code_of(Papers{session}.update(hidden)) == Code::not_found);
}

TEST_CASE("G10_an error does not tell a hidden row from an absent one") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "agent");
  const Session session = office.session(ann);
  Paper hidden = must(Papers{*office.system}.insert(paper("hidden")));
  Paper absent = hidden;
  absent.id.value += 1;
  const auto same = [&](const Error& of_hidden, const Error& of_absent) {
    CHECK(of_hidden.code == of_absent.code);
    CHECK(of_hidden.field == of_absent.field);
    std::string message = of_hidden.message;
    const std::string id = id::to_text("pap", hidden.id.value);
    const auto at = message.find(id);
    REQUIRE(at != std::string::npos);
    message.replace(at, id.size(), id::to_text("pap", absent.id.value));
    CHECK(message == of_absent.message);
  };
  const Papers papers{session};
  same(papers.find(hidden.id).error(), papers.find(absent.id).error());
  same(papers.remove(hidden.id).error(), papers.remove(absent.id).error());
  same(papers.update(hidden).error(), papers.update(absent).error());
  hidden.version = absent.version = 99;  // a conflict, were it in sight
  same(papers.update(hidden).error(), papers.update(absent).error());
  Paper child = paper("child");
  child.owner = ann.id;
  child.parent = hidden.id;
  const Error of_hidden = papers.insert(child).error();
  child.parent = absent.id;
  const Error of_absent = papers.insert(child).error();
  same(of_hidden, of_absent);
  CHECK(of_hidden.field == "parent");
}

TEST_CASE("a policy of a sub-select reads with the system's rights, a principal's with his own") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "customer");
  const User bob = office.add_user("bob", "customer");
  const Team team = office.add_team("front");
  Paper shared = paper("shared");
  shared.team = team.id;
  shared = must(Papers{*office.system}.insert(shared));
  const Session session = office.session(ann);
  CHECK(code_of(Papers{session}.find(shared.id)) == Code::not_found);
  office.join(ann, team);
  CHECK(must(Papers{session}.find(shared.id)).title == "shared");
  // Customers see no account but their own, so Bob's cannot be found out through a sub-select.
  Paper owned = paper("owned");
  owned.owner = ann.id;
  must(Papers{session}.insert(owned));
  const auto where = must(
      Predicate::parse(table_of<Paper>(),
                       "title = \"owned\" and tenant in (select tenant from users where email = "
                       "\"bob@example.com\")",
                       &office.database->catalog()));
  CHECK(must(Papers{session}.count(where)) == 0);
  CHECK(must(Papers{*office.system}.count(where)) == 1);
}

TEST_CASE("rights are judged by what the snapshot says now") {
  Office office(own_papers());
  User ann = office.add_user("ann", "agent");
  const Session session = office.session(ann);
  Paper mine = paper("mine");
  mine.owner = ann.id;
  mine = must(Papers{session}.insert(mine));
  ann.role = "viewer";
  ann = must(Users{*office.system}.update(ann));
  CHECK(must(Papers{session}.find(mine.id)).title == "mine");
  CHECK(code_of(Papers{session}.update(mine)) == Code::forbidden);
  ann.status = UserStatus::disabled;
  ann = must(Users{*office.system}.update(ann));
  CHECK(code_of(Papers{session}.find(mine.id)) == Code::forbidden);
  CHECK(code_of(session.write([](Unit&) -> Result<void> { return {}; })) == Code::forbidden);
  CHECK(code_of(office.access->session(office.tenant, ann.id)) == Code::forbidden);
  ann.status = UserStatus::active;
  ann = must(Users{*office.system}.update(ann));
  CHECK(must(Papers{session}.find(mine.id)).title == "mine");
  Tenant tenant = must(Repository<Tenant>{*office.system}.find(office.tenant));
  tenant.status = TenantStatus::suspended;
  must(Repository<Tenant>{*office.system}.update(tenant));
  CHECK(code_of(Papers{session}.find(mine.id)) == Code::forbidden);
}

TEST_CASE("secret columns are the system's") {
  Office office(policies({permit("all", "papers", {}, Rule::always())}));
  const User ann = office.add_user("ann", "manager");
  const Session session = office.session(ann);
  Paper made = paper("plan");
  made.token = "hush";
  made = must(Papers{*office.system}.insert(made));
  Paper seen = must(Papers{session}.find(made.id));
  CHECK(seen.token.empty());
  CHECK(must(Papers{session}.list({}))[0].token.empty());
  seen.title = "plan b";
  seen = must(Papers{session}.update(seen));
  CHECK(must(Papers{*office.system}.find(made.id)).token == "hush");
  seen.token = "new";
  must(Papers{session}.update(seen));
  CHECK(must(Papers{*office.system}.find(made.id)).token == "new");
  CHECK(code_of(Papers{session}.count(col(&Paper::token) == "new")) == Code::forbidden);
  CHECK(code_of(Papers{session}.count(!(col(&Paper::token) == "new"))) == Code::forbidden);
  Query query;
  query.order = {{table_of<Paper>().find("token"), false}};
  CHECK(code_of(Papers{session}.list(query)) == Code::forbidden);
  Aggregate figure;
  figure.measures = {{Aggregate::Function::minimum, table_of<Paper>().find("token")}};
  CHECK(code_of(Rows(session, table_of<Paper>()).aggregate(figure, [](std::span<const Value>) {
          return Result<bool>(true);
        })) == Code::forbidden);
}

TEST_CASE("tables without tenants are the system's") {
  Office office(policies({permit("all", "plants", {}, Rule::always())}));
  const Session session = office.session(office.add_user("ann", "admin"));
  const Plant fern = must(Repository<Plant>{*office.system}.insert({{}, "fern"}));
  CHECK(code_of(Repository<Plant>{session}.find(fern.id)) == Code::not_found);
  CHECK(code_of(Repository<Plant>{session}.insert({{}, "ivy"})) == Code::forbidden);
}

TEST_CASE("G10_the library's own tables, with keys and every tenant's records, are no session's") {
  Office office;
  for (const char* name : {"bureau_settings", "bureau_keys", "bureau_journal", "bureau_rights"}) {
    const TableInfo& table = *office.database->catalog().find(name);
    CAPTURE(name);
    CHECK(must(Rows(*office.system, table).count({})) == 0);
    const Session none = office.access->system({});
    CHECK(must(Rows(none, table).count({})) == 0);
  }
}

TEST_CASE("a principal does not choose ids, and a tenant cannot be given away") {
  Office office(policies({permit("all", "papers", {}, Rule::always())}));
  const Session session = office.session(office.add_user("ann", "manager"));
  Paper made = paper("plan");
  made.id = Id<Paper>(4711);
  CHECK(code_of(Papers{session}.insert(made)) == Code::invalid);
  CHECK(must(Papers{*office.system}.insert(made)).id == Id<Paper>(4711));
}

TEST_CASE("a unique value that is taken says so") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "agent");
  must(Papers{*office.system}.insert(paper("plan")));
  Paper mine = paper("plan");
  mine.owner = ann.id;
  CHECK(code_of(Papers{office.session(ann)}.insert(mine)) == Code::exists);
  User twin = ann;
  twin.id = {};
  twin.email = "ANN@example.com";
  const auto taken = Users{*office.system}.insert(twin);
  REQUIRE(code_of(taken) == Code::exists);
  CHECK(taken.error().field == "email");  // and not the column that keeps its folded form
  CHECK(taken.error().message.find("folded") == std::string::npos);
}

TEST_CASE("a membership's capacity is no negative number") {
  Office office;
  Membership membership = office.join(office.add_user("ann", "agent"), office.add_team("desk"));
  membership.capacity = -1;
  const auto refused = Repository<Membership>{*office.system}.update(membership);
  REQUIRE(code_of(refused) == Code::invalid);
  CHECK(refused.error().field == "capacity");
}

TEST_CASE("a write is all or nothing, also inside a unit") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "agent");
  const Session session = office.session(ann);
  Paper mine = paper("a");
  mine.owner = ann.id;
  Paper foreign = paper("b");
  CHECK(code_of(Papers{session}.insert_all({mine, foreign})) == Code::forbidden);
  const auto outcome = session.write([&](Unit& unit) -> Result<void> {
    CHECK(code_of(Papers{unit}.insert_all({mine, foreign})) == Code::forbidden);
    return {};
  });
  CHECK(outcome.has_value());
  CHECK(must(Papers{*office.system}.count()) == 0);
}

TEST_CASE("ranks: nobody raises himself, and only a higher rank gives a role") {
  Office office;
  const User admin = office.add_user("admin", "admin");
  const User manager = office.add_user("manager", "manager");
  const User agent = office.add_user("agent", "agent");
  const Users by_manager{office.session(manager)};
  User made;
  made.email = "new@example.com";
  made.role = "agent";
  made = must(by_manager.insert(made));
  made.role = "manager";
  CHECK(code_of(by_manager.update(made)) == Code::forbidden);
  made.role = "nobody";
  CHECK(code_of(by_manager.update(made)) == Code::not_found);
  User self = manager;
  self.role = "admin";
  CHECK(code_of(by_manager.update(self)) == Code::forbidden);
  self = manager;
  self.name = "M.";
  CHECK(by_manager.update(self).has_value());
  User other = admin;
  other.email = "mine@example.com";  // an account taken over
  CHECK(code_of(by_manager.update(other)) == Code::forbidden);
  CHECK(code_of(by_manager.remove(admin.id)) == Code::forbidden);
  CHECK(code_of(Users{office.session(agent)}.update(made)) == Code::forbidden);
  User role_of_self = agent;
  role_of_self.role = "admin";
  CHECK(code_of(Users{office.session(agent)}.update(role_of_self)) == Code::forbidden);

  using Roles = Repository<Role>;
  const Roles by_admin{office.session(admin)};
  Role role;
  role.name = "clerk";
  role.rank = 30;
  role.permissions = must(Json::parse(R"([{"resource":"papers","action":"select"}])"));
  role = must(by_admin.insert(role));
  role.rank = 100;
  CHECK(code_of(by_admin.update(role)) == Code::forbidden);
  role.rank = 30;
  role.permissions = must(Json::parse(R"([{"resource":"papers","action":"fly"}])"));
  CHECK(code_of(by_admin.update(role)) == Code::invalid);
  CHECK(code_of(Roles{office.session(manager)}.remove(role.id)) == Code::forbidden);
  role.name = "other";
  CHECK(code_of(by_admin.update(role)) == Code::invalid);
}

TEST_CASE("whose role may update changes his own account, and no other; not its role or status") {
  Policies hidden;
  must(hidden.hide({"address", "users", {"email"}, false, {"customer"}, {}}));
  Office office(std::move(hidden));
  const User boss = office.add_user("boss", "admin");
  const auto renamed = [&](const User& who) -> Result<User> {
    const Users users{office.session(who)};
    BUREAU_TRY(User self, users.find(who.id));
    self.name = "New";
    return users.update(self);
  };
  for (const char* role : {"admin", "manager", "agent", "user"}) {
    CAPTURE(role);
    CHECK(must(renamed(office.add_user(role, role))).name == "New");
  }
  const User cora = office.add_user("cora", "customer");
  const User vera = office.add_user("vera", "viewer");
  CHECK(code_of(renamed(cora)) == Code::forbidden);
  CHECK(code_of(renamed(vera)) == Code::forbidden);

  // As docs/access.md says that a role is given it.
  const Repository<Role> roles{office.session(boss)};
  for (const char* name : {"customer", "viewer"}) {
    Query query;
    query.where = col(&Role::name) == std::string(name);
    Role role = must(roles.list(query)).at(0);
    role.permissions.push_back(must(
        Json::parse(R"({"resource": "users", "action": "update", "condition": "id = $user"})")));
    must(roles.update(role));
  }
  CHECK(must(renamed(cora)).name == "New");
  CHECK(must(renamed(vera)).name == "New");
  CHECK(must(Users{*office.system}.find(cora.id)).email == "cora@example.com");
  const Users by_cora{office.session(cora)};
  const Users by_vera{office.session(vera)};
  const auto change = [&](const Users& users, const User& who, auto&& how) {
    User row = must(Users{*office.system}.find(who.id));
    how(row);
    return code_of(users.update(row));
  };
  const Code done = static_cast<Code>(0);
  CHECK(change(by_cora, cora, [](User& row) { row.email = "other@example.com"; }) ==
        Code::forbidden);
  CHECK(change(by_vera, vera, [](User& row) { row.email = "other@example.com"; }) == done);
  CHECK(change(by_vera, vera, [](User& row) { row.role = "admin"; }) == Code::forbidden);
  CHECK(change(by_vera, vera, [](User& row) { row.status = UserStatus::disabled; }) ==
        Code::forbidden);
  CHECK(change(by_vera, cora, [](User& row) { row.name = "Hers"; }) == Code::forbidden);
  CHECK(change(by_cora, vera, [](User& row) { row.name = "Hers"; }) == Code::not_found);
}

TEST_CASE("a role's permissions are or-ed, with their conditions") {
  Office office(policies({permit("all", "papers", {}, Rule::always())}));
  Role role;
  role.name = "clerk";
  role.permissions = must(Json::parse(R"([
      {"resource": "papers", "action": "select", "condition": "level = \"low\""},
      {"resource": "papers", "action": "select", "condition": "owner = $user"},
      {"resource": "papers", "action": "insert", "condition": "level <= \"middle\""}])"));
  must(Repository<Role>{*office.system}.insert(role));
  const User ann = office.add_user("ann", "clerk");
  const Session session = office.session(ann);
  Paper high = paper("high");
  high.level = Level::high;
  Paper owned = paper("owned");
  owned.level = Level::high;
  owned.owner = ann.id;
  must(Papers{*office.system}.insert_all({paper("low"), high, owned}));
  CHECK(must(Papers{session}.count()) == 2);
  CHECK(code_of(Papers{session}.insert(paper("new"))) == static_cast<Code>(0));
  high.title = "new high";
  CHECK(code_of(Papers{session}.insert(high)) == Code::forbidden);
}

TEST_CASE("policies are refused before the office opens") {
  Policies list;
  CHECK(code_of(list.add(permit("", "papers", {}, "true"))) == Code::invalid);
  CHECK(code_of(list.add(permit("a", "papers", {}, Rule()))) == Code::invalid);
  must(list.add(permit("a", "papers", {}, "owner = $user")));
  CHECK(code_of(list.add(permit("a", "papers", Command::select, "level = \"low\""))) ==
        Code::exists);
  Policy removal = permit("b", "papers", Command::remove, Rule::always());
  removal.check_rule = Rule::always();
  CHECK(code_of(list.add(removal)) == Code::invalid);

  Office office;
  for (const auto& refused :
       std::vector<std::pair<const char*, const char*>>{{"created_at < now()", "papers"},
                                                        {"owner = $somebody", "papers"},
                                                        {"token = \"x\"", "papers"},
                                                        {"no_column = 1", "papers"},
                                                        {"true", "no_table"}}) {
    const char* const text = refused.first;
    const char* const table = refused.second;
    CAPTURE(text);
    CHECK(code_of(Access::open(*office.database, policies({permit("p", table, {}, text)}))) ==
          Code::invalid);
  }
}

TEST_CASE("what rows must be is asked of everybody who writes them") {
  Policies some = policies({permit("all", "papers", {}, Rule::always())});
  some.require("papers", [](std::span<const Value> before, std::span<const Value> after) {
    const std::uint16_t title = col(&Paper::title).info().index;
    const bool same = !before.empty() && before[title] == after[title];
    if (same || after[title].as_text() != "blank") return Result<void>();
    return Result<void>(fail(Code::invalid, "title: it is \"blank\"", "title"));
  });
  Office office(some);
  const User ada = office.add_user("ada", "manager");
  for (const Session& session : {*office.system, office.session(ada)}) {
    const Papers papers{session};
    CHECK(code_of(papers.insert(paper("blank"))) == Code::invalid);
    const std::vector<Paper> two = {paper("good"), paper("blank")};
    CHECK(code_of(papers.insert_all(two)) == Code::invalid);
    CHECK(must(papers.count()) == 0);
    Paper stored = must(papers.insert(paper("good")));
    stored.title = "blank";
    CHECK(code_of(papers.update(stored)) == Code::invalid);
    // What was there before the rule does not keep the rest from being written.
    must(office.database->write({}, {}, [&](Transaction& transaction) -> Result<void> {
      BUREAU_TRY_VOID(
          transaction.update({select<Paper>().where(col(&Paper::id) == stored.id),
                              {{table_of<Paper>().find("title"), Value::text("blank"), false}}}));
      return {};
    }));
    stored.level = Level::high;
    CHECK(must(papers.update(stored)).version == 2);
    must(papers.remove(stored.id));
  }
  Policies wrong;
  wrong.require("nowhere", [](auto, auto) { return Result<void>(); });
  CHECK(code_of(Access::open(*office.database, wrong)) == Code::invalid);
  Policies empty;
  empty.require("papers", {});
  CHECK(code_of(Access::open(*office.database, empty)) == Code::invalid);
}

TEST_CASE("G10_pages follow one another, and a cursor is good for its query and principal alone") {
  Office office(policies({permit("own", "papers", {}, "owner = $user"),
                          permit("see rooms", "rooms", Command::select, Rule::always())}));
  const User ann = office.add_user("ann", "agent");
  const User bob = office.add_user("bob", "agent");
  std::vector<Paper> rows;
  for (int i = 0; i < 25; ++i) {
    Paper p = paper("p" + std::to_string(i));
    p.level = static_cast<Level>(i % 3);
    p.owner = i % 5 == 0 ? bob.id : ann.id;
    rows.push_back(p);
  }
  must(Papers{*office.system}.insert_all(rows));
  const Session session = office.session(ann);
  Query query;
  query.order = {{table_of<Paper>().find("level"), true}};
  const auto whole = must(Papers{session}.list(query));
  REQUIRE(whole.size() == 20);
  query.limit = 7;
  std::vector<Id<Paper>> seen;
  std::string first;
  do {
    const auto page = must(Papers{session}.page(query));
    for (const Paper& p : page.items) seen.push_back(p.id);
    query.cursor = page.next;
    if (first.empty()) first = page.next;
  } while (!query.cursor.empty());
  REQUIRE(seen.size() == whole.size());
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == whole[i].id);

  query.cursor = first;
  CHECK(Papers{session}.page(query).has_value());
  CHECK(code_of(Papers{office.session(bob)}.page(query)) == Code::invalid);
  CHECK(code_of(Papers{*office.system}.page(query)) == Code::invalid);
  Query other = query;
  other.order[0].descending = false;
  CHECK(code_of(Papers{session}.page(other)) == Code::invalid);
  other = query;
  other.where = col(&Paper::level) == Level::high;
  CHECK(code_of(Papers{session}.page(other)) == Code::invalid);
  for (std::size_t i = 0; i < first.size(); ++i) {
    query.cursor = first;
    query.cursor[i] = query.cursor[i] == 'A' ? 'B' : 'A';
    CHECK(code_of(Papers{session}.page(query)) == Code::invalid);
  }
  query.cursor = "not a cursor!";
  CHECK(code_of(Papers{session}.page(query)) == Code::invalid);
}
