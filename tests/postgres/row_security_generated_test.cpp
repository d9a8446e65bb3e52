// Policies as row-level security, generated: what a direct client of the server sees and may write
// as a restricted role is what a session of bureau sees and may write.

#include "access/generated.hpp"
#include "counts.hpp"
#include "postgres/row_security_desk.hpp"

using namespace row_security_test;
using model::Kind;
using model::Person;
using model::World;

namespace {

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
    return model::generated_policies(random_, world_, [](std::uint64_t i) {
      return fmt::format("the {}th \"policy\", it's called", i);
    });
  }

  void make_permissions() {
    for (int r = 0; r < 3; ++r) {
      auto& permissions = world_.roles["r" + std::to_string(r)];
      permissions = model::generated_permissions(random_, 2);
      if (flip()) permissions.push_back({"papers", {}, {}});
    }
    for (Role& role : roles_) {
      role.permissions = model::permissions_json(world_.roles[role.name]);
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
