// Columns that some roles do not see.

#include "access/office.hpp"

using namespace bureau;
using namespace bureau::office;

namespace {

/// Managers see all of a paper; agents neither what it is about (personal) nor its level and owner.
Policies hiding() {
  Policies out = policies({permit("all", "papers", {}, Rule::always()),
                           permit("rooms", "rooms", {}, "name in (select about from papers)")});
  must(out.hide({.name = "private",
                 .table = "papers",
                 .columns = {"level", "owner"},
                 .personal = true,
                 .except = {"admin", "manager"}}));
  must(out.hide({.name = "mail", .table = "users", .columns = {"email"}, .roles = {"agent"}}));
  return out;
}

struct Desk : Office {
  Desk() : Office(hiding()) {
    stored = paper("plan");
    stored.level = Level::high;
    stored.owner = mia.id;
    stored.about = "Cora's money";
    stored.token = "s3cret";
    stored = must(Papers{*system}.insert(stored));
  }
  Paper now() { return must(Papers{*system}.find(stored.id)); }
  User ada = add_user("ada", "agent");
  User mia = add_user("mia", "manager");
  Paper stored;
};

void blank(const Paper& row) {
  CHECK(row.title == "plan");
  CHECK(row.level == Level::low);
  CHECK_FALSE(row.owner);
  CHECK(row.about.empty());
  CHECK(row.token.empty());
}

}  // namespace

TEST_CASE("G10_a hidden column is read as null or zero, however one reads") {
  Desk desk;
  const Session agent = desk.session(desk.ada);
  const Papers papers{agent};
  blank(must(papers.find(desk.stored.id)));
  for (const Paper& row : must(papers.list({}))) blank(row);
  blank(must(agent.read([&](View& view) { return Papers{view}.find(desk.stored.id); })));
  CHECK(must(Users{agent}.find(desk.mia.id)).email.empty());
  CHECK(must(Users{agent}.find(desk.mia.id)).name == "mia");

  const Session manager = desk.session(desk.mia);
  const Paper seen = must(Papers{manager}.find(desk.stored.id));
  CHECK(seen.level == Level::high);
  CHECK(seen.owner == desk.mia.id);
  CHECK(seen.about == "Cora's money");
  CHECK(seen.token.empty());  // secret all the same
  CHECK(must(Users{manager}.find(desk.mia.id)).email == "mia@example.com");
  // An agent that is no person has its role's view too.
  blank(must(Papers{desk.access->agent(desk.tenant, "robot")}.find(desk.stored.id)));
}

TEST_CASE("G10_a hidden column cannot be asked about") {
  Desk desk;
  const Session agent = desk.session(desk.ada);
  const Papers papers{agent};
  const Predicate about = col(&Paper::about) == "Cora's money";
  CHECK(code_of(papers.list({about})) == Code::forbidden);
  CHECK(code_of(papers.count(!about || col(&Paper::title) == "plan")) == Code::forbidden);
  CHECK(code_of(papers.list({col(&Paper::owner).is_null()})) == Code::forbidden);
  CHECK(code_of(papers.list({{}, {{&col(&Paper::level).info(), false}}})) == Code::forbidden);
  Aggregate by_level;
  by_level.group_by = {table_of<Paper>().find("level")};
  by_level.measures = {{Aggregate::Function::count, nullptr}};
  const auto ignore = [](std::span<const Value>) -> Result<bool> { return true; };
  CHECK(code_of(papers.rows().aggregate(by_level, ignore)) == Code::forbidden);
  Aggregate most;
  most.measures = {{Aggregate::Function::maximum, table_of<Paper>().find("about")}};
  CHECK(code_of(papers.rows().aggregate(most, ignore)) == Code::forbidden);
  const Catalog& catalog = desk.database->catalog();
  for (const char* text : {"title in (select about from papers)",
                           "title in (select title from papers where level = \"high\")"}) {
    const Predicate where = must(Predicate::parse(table_of<Paper>(), text, &catalog));
    CHECK(code_of(papers.count(where)) == Code::forbidden);
    CHECK(must(Papers{desk.session(desk.mia)}.count(where)) <= 1);
  }
  const Predicate mail = must(Predicate::parse(table_of<User>(), "email icontains \"MIA\""));
  CHECK(code_of(Users{agent}.count(mail)) == Code::forbidden);
  CHECK(must(Users{desk.session(desk.mia)}.count(mail)) == 1);
  // A policy may be about it: it is the office's rule.
  Room room;
  room.name = "Cora's money";
  must(Rooms{*desk.system}.insert(room));
  CHECK(must(Rooms{agent}.count()) == 1);
}

TEST_CASE("a row is written back without its hidden columns, which stay as they are") {
  Desk desk;
  const Session agent = desk.session(desk.ada);
  Paper row = must(Papers{agent}.find(desk.stored.id));
  row.title = "plan B";
  row = must(Papers{agent}.update(row));
  CHECK(desk.now().title == "plan B");
  CHECK(desk.now().level == Level::high);
  CHECK(desk.now().owner == desk.mia.id);
  CHECK(desk.now().about == "Cora's money");
  CHECK(desk.now().token == "s3cret");
  Paper changed = row;
  changed.about = "mine";
  CHECK(code_of(Papers{agent}.update(changed)) == Code::forbidden);
  changed = row;
  changed.owner = desk.ada.id;
  CHECK(code_of(Papers{agent}.update(changed)) == Code::forbidden);
  changed = row;
  changed.token = "new";  // a secret may be set by whoever may write
  must(Papers{agent}.update(changed));
  CHECK(desk.now().token == "new");
  CHECK(desk.now().about == "Cora's money");
}

TEST_CASE("G10_the feed tells nothing of hidden columns") {
  Desk desk;
  Feed feed(*desk.access);
  std::vector<std::string> heard;
  const auto hear = [&](const FeedEvent& event) {
    std::string text(to_string(event.kind));
    for (const auto& row : {event.before, event.after}) {
      if (row.empty()) continue;
      Paper p;
      from_values(row, p);
      text += " " + p.title + "/" + p.about + "/" + (p.owner ? "owned" : "");
    }
    for (const std::uint16_t place : event.changed) {
      text += " ";
      text += event.table->columns[place].name;
    }
    heard.push_back(text);
  };
  const Session agent = desk.session(desk.ada);
  const auto subscription = must(feed.subscribe(agent, table_of<Paper>(), {}, hear));
  CHECK(code_of(feed.subscribe(agent, table_of<Paper>(), {col(&Paper::about) == "x"}, hear)) ==
        Code::forbidden);
  Paper row = desk.now();
  row.title = "q";
  row.about = "other";
  must(Papers{*desk.system}.update(row));
  while (feed.pump()) {
  }
  REQUIRE(heard.size() == 1);
  CHECK(heard[0] == "update plan// q// title version");
  const auto page =
      must(feed.poll_changes(agent, table_of<Paper>(), {}, subscription.position() - 1, 10));
  REQUIRE(page.events.size() == 1);
  const std::size_t about = table_of<Paper>().find("about")->index;
  CHECK(page.events[0].before[about].view().is_null());
  CHECK(page.events[0].after[about].view().is_null());
  // With other rights he is told to read anew, and then hears all.
  heard.clear();
  must(Users{*desk.system}.change(desk.ada.id, [](User& user) { user.role = "manager"; }));
  row = desk.now();
  row.title = "r";
  must(Papers{*desk.system}.update(row));
  while (feed.pump()) {
  }
  CHECK(heard ==
        std::vector<std::string>{"resync", "update q/other/owned r/other/owned title version"});
}

TEST_CASE("a subscription that asks about a column hears nothing once that is hidden") {
  Desk desk;
  Feed feed(*desk.access);
  int updates = 0;
  int resyncs = 0;
  const auto subscription = must(feed.subscribe<Paper>(
      desk.session(desk.mia), {col(&Paper::about) == "Cora's money"},
      [&](const auto& event) { event.kind == FeedKind::resync ? ++resyncs : ++updates; }));
  must(Users{*desk.system}.change(desk.mia.id, [](User& user) { user.role = "agent"; }));
  must(Papers{*desk.system}.change(desk.stored.id, [](Paper& p) { p.title = "q"; }));
  while (feed.pump()) {
  }
  CHECK(resyncs == 1);
  CHECK(updates == 0);
  CHECK(subscription.active());
}

TEST_CASE("what is hidden is checked before the office opens") {
  Policies some;
  CHECK(code_of(some.hide({.name = "", .table = "papers", .columns = {"about"}})) == Code::invalid);
  CHECK(code_of(some.hide({.name = "n", .table = "papers"})) == Code::invalid);
  must(some.hide({.name = "n", .table = "papers", .columns = {"about"}}));
  CHECK(code_of(some.hide({.name = "n", .table = "papers", .personal = true})) == Code::exists);
  Office office;
  for (const auto& named : {std::pair("papers", "abuot"), std::pair("papers", "id"),
                            std::pair("papers", "tenant"), std::pair("papers", "version"),
                            std::pair("nowhere", "about"), std::pair("users", "email_folded")}) {
    Policies wrong;
    must(wrong.hide({.name = "n", .table = named.first, .columns = {named.second}}));
    CAPTURE(named.second);
    CHECK(code_of(Access::open(*office.database, wrong)) == Code::invalid);
  }
}

TEST_CASE("when a row was changed is kept also by who does not see it") {
  Policies out = policies({permit("all", "papers", {}, Rule::always())});
  must(out.hide({.name = "when", .table = "papers", .columns = {"created_at", "updated_at"}}));
  Office office(std::move(out));
  const Paper stored = must(Papers{*office.system}.insert(paper("plan")));
  office.clock.advance(std::chrono::hours(1));
  const Papers mine{office.session(office.add_user("ada", "agent"))};
  Paper seen = must(mine.find(stored.id));
  CHECK(seen.updated_at == Timestamp());
  seen.title = "better plan";
  must(mine.update(seen));
  const Paper now = must(Papers{*office.system}.find(stored.id));
  CHECK(now.title == "better plan");
  CHECK(now.created_at == stored.created_at);
  CHECK(now.updated_at == office.clock.now());
}

TEST_CASE("a host lists its tenants, and finds one by name") {
  Office office;
  const Tenant second = must(office.access->create_tenant("Ashgrove"));
  must(Repository<Tenant>{office.access->system(second.id)}.change(
      second.id, [](Tenant& t) { t.status = TenantStatus::closed; }));
  const auto all = must(office.access->tenants());
  REQUIRE(all.size() == 2);
  CHECK(all[0].id == office.tenant);
  CHECK(all[0].name == "Larkfield");
  CHECK(all[1].name == "Ashgrove");
  CHECK(all[1].status == TenantStatus::closed);
  CHECK(must(office.access->tenant_named("Ashgrove")).id == second.id);
  CHECK(code_of(office.access->tenant_named("ashgrove")) == Code::not_found);
  CHECK(code_of(office.access->tenant_named(std::string("a\0b", 3))) == Code::invalid);
  // A session lists its own alone, the system's too.
  CHECK(must(Repository<Tenant>{*office.system}.list({})).size() == 1);
}
