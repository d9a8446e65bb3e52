#include "access/generated.hpp"

#include <cstdlib>
#include <filesystem>

#include "counts.hpp"

// Generated policies, roles, queries and histories, compared with the model. A mismatch names the
// seed that plays it again.

using namespace bureau;
using namespace bureau::office;
using model::Kind;
using model::Person;
using model::World;

namespace {

/// Ways in which the library could be wrong: each must be found out by the comparison.
enum class Broken {
  nothing,
  policies_dropped,    // reads as the system does
  tenants_mixed,       // counts the rows of every tenant
  tells_hidden,        // a hidden row is a conflict
  writes_unchecked,    // a write is not asked about
  only_after,          // the feed looks at the row as it becomes alone
  no_resync,           // and does not tell of rights that change
  own_rights_dropped,  // a principal's sub-select reads as the system does
};

class Play {
 public:
  /// On SQLite when there is a path, else where tests keep their offices.
  Play(std::uint64_t seed, Broken broken, const std::string& path = {})
      : random_(seed), broken_(broken), office_(make_policies(), {}, path) {
    feed_.emplace(*office_.access);
    make_roles();
    make_people();
  }
  /// Plays steps and returns the first mismatch, empty when there is none.
  std::string run(int steps) {
    watch();
    for (int i = 0; i < steps && mismatch_.empty(); ++i) {
      step();
      if (random_.below(3) == 0) check_feed();
    }
    check_feed();
    return mismatch_;
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_.below(n); }
  void differ(const std::string& what) {
    if (mismatch_.empty()) mismatch_ = what;
  }
  bool flip() { return below(2) == 0; }

  Policies make_policies() {
    return model::generated_policies(random_, world_,
                                     [](std::uint64_t i) { return "p" + std::to_string(i); });
  }

  void make_roles() {
    other_ = must(office_.access->create_tenant("Other")).id;
    for (int r = 0; r < 3; ++r) {
      auto& permissions = world_.roles["r" + std::to_string(r)];
      permissions = model::generated_permissions(random_, 3);
      permissions.push_back({"papers", Command::select, {}});
      for (const Id<Tenant> tenant : {office_.tenant, other_}) add_role(tenant, r);
    }
  }
  void add_role(Id<Tenant> tenant, int number) {
    Role role;
    role.name = "r" + std::to_string(number);
    role.permissions = model::permissions_json(world_.roles[role.name]);
    must(Repository<Role>{office_.access->system(tenant)}.insert(role));
  }

  void make_people() {
    for (int i = 0; i < 4; ++i) {
      const Id<Tenant> tenant = i < 3 ? office_.tenant : other_;
      Person person;
      person.row =
          office_.add_user("u" + std::to_string(i), "r" + std::to_string(below(3)), tenant);
      world_.people.push_back(person);
      sessions_.push_back(office_.session(person.row));
    }
    for (int i = 0; i < 2; ++i) teams_.push_back(office_.add_team("t" + std::to_string(i)));
    for (const Id<Tenant> tenant : {office_.tenant, office_.tenant, other_}) {
      Room room;
      room.name = flip() ? "a" : "b";
      world_.rooms.push_back(must(Rooms{office_.access->system(tenant)}.insert(room)));
    }
    for (int i = 0; i < 8; ++i) {
      const Id<Tenant> tenant = i < 6 ? office_.tenant : other_;
      Paper p = random_paper(tenant);
      world_.papers.push_back(must(Papers{office_.access->system(tenant)}.insert(p)));
    }
  }

  template <class T>
  std::optional<Id<T>> pick(const std::vector<Id<T>>& from) {
    if (from.empty() || below(3) == 0) return {};
    return from[below(from.size())];
  }
  /// Refers only to rows of the tenant.
  Paper random_paper(Id<Tenant> tenant) {
    Paper p;
    p.title = "n" + std::to_string(titles_++);
    change(p, tenant);
    return p;
  }
  void change(Paper& p, Id<Tenant> tenant) {
    p.level = static_cast<Level>(below(3));
    std::vector<Id<User>> owners;
    for (const Person& person : world_.people) {
      if (person.row.tenant == tenant) owners.push_back(person.row.id);
    }
    std::vector<Id<Team>> teams;
    if (tenant == office_.tenant) {
      for (const Team& t : teams_) teams.push_back(t.id);
    }
    std::vector<Id<Room>> rooms;
    for (const Room& r : world_.rooms) {
      if (r.tenant == tenant) rooms.push_back(r.id);
    }
    std::vector<Id<Paper>> papers;
    for (const Paper& other : world_.papers) {
      if (other.tenant == tenant && other.id != p.id) papers.push_back(other.id);
    }
    p.owner = pick(owners);
    p.team = pick(teams);
    p.room = pick(rooms);
    p.parent = pick(papers);
  }

  // Steps -------------------------------------------------------------------------------------

  void step() {
    who_ = below(world_.people.size());
    switch (below(9)) {
      case 0:
      case 1:
        return compare_find();
      case 2:
      case 3:
        return compare_list();
      case 4:
        return compare_insert();
      case 5:
      case 6:
        return compare_update();
      case 7:
        return compare_remove();
      default:
        return change_rights();
    }
  }
  const Person& person() const { return world_.people[who_]; }
  const Session& session() const { return sessions_[who_]; }
  bool active() const { return person().row.status == UserStatus::active; }
  Id<Paper> any_id() {
    if (world_.papers.empty() || below(10) == 0) return Id<Paper>(12345);
    return world_.papers[below(world_.papers.size())].id;
  }
  std::string about() const {
    std::string text = "user " + person().row.name + " (" + person().row.role + ")";
    for (const auto& p : world_.policies) {
      text += std::string("\n  ") + (p.restrictive ? "restrict " : "permit ") +
              (p.command ? std::string(to_string(*p.command)) : "all") + " using " +
              p.using_rule.text + (p.check_rule ? " check " + p.check_rule->text : "");
    }
    return text;
  }
  void expect(Code expected, Code actual, const std::string& what) {
    if (expected == actual) return;
    const auto name = [](Code c) {
      return c == Code{} ? std::string("success") : std::string(to_string(c));
    };
    differ(what + ": expected " + name(expected) + ", got " + name(actual) + "\n  " + about());
  }

  void compare_find() {
    const Id<Paper> id = any_id();
    const Paper* paper = world_.find(id);
    Code expected = Code::not_found;
    if (!active()) {
      expected = Code::forbidden;
    } else if (paper != nullptr && world_.sees(person(), *paper)) {
      expected = Code{};
    }
    const Session system = office_.access->system(person().row.tenant);
    const bool dropped = broken_ == Broken::policies_dropped;
    Code actual = code_of(Papers{dropped ? system : session()}.find(id));
    if (broken_ == Broken::tells_hidden && actual == Code::not_found && paper != nullptr) {
      actual = Code::conflict;
    }
    expect(expected, actual, "find");
  }

  void compare_list() {
    const model::Rule written = model::random_rule(random_);
    auto where =
        must(Predicate::parse(table_of<Paper>(), written.text, &office_.database->catalog()));
    std::vector<Id<Paper>> expected;
    for (const Paper& p : world_.papers) {
      if (active() && world_.sees(person(), p) &&
          written.holds(world_, person(), p, &person()) == model::yes) {
        expected.push_back(p.id);
      }
    }
    if (broken_ == Broken::own_rights_dropped) return compare_broken_list(written, expected);
    Query query;
    query.where = where;
    query.limit = 1 + below(4);
    std::vector<Id<Paper>> actual;
    do {
      const auto page = Papers{session()}.page(query);
      if (!page) {
        return expect(active() ? Code{} : Code::forbidden, page.error().code, "list");
      }
      for (const Paper& p : page->items) actual.push_back(p.id);
      query.cursor = page->next;
    } while (!query.cursor.empty());
    std::sort(expected.begin(), expected.end());
    if (actual != expected) return differ("list where " + written.text + "\n  " + about());
    std::uint64_t count = must(Papers{session()}.count(where));
    if (broken_ == Broken::tenants_mixed) {
      count += must(Papers{office_.access->system(other_)}.count());
    }
    if (count != expected.size()) differ("count where " + written.text);
  }
  void compare_broken_list(const model::Rule& written, std::vector<Id<Paper>>& expected) {
    std::vector<Id<Paper>> actual;
    for (const Paper& p : world_.papers) {
      if (active() && world_.sees(person(), p) &&
          written.holds(world_, person(), p, nullptr) == model::yes) {
        actual.push_back(p.id);
      }
    }
    if (actual != expected) differ("list");
  }

  /// Whether the rows that a write newly names are all in sight.
  bool may_refer(const Paper& now, const Paper* before) {
    const Person& me = person();
    if (now.owner && (!before || before->owner != now.owner) && !world_.sees_table(me, "users")) {
      return false;
    }
    if (now.team && (!before || before->team != now.team) && !world_.sees_table(me, "teams")) {
      return false;
    }
    if (now.room && (!before || before->room != now.room)) {
      for (const Room& r : world_.rooms) {
        if (r.id == *now.room && !world_.sees(me, r)) return false;
      }
    }
    if (now.parent && (!before || before->parent != now.parent)) {
      const Paper* parent = world_.find(*now.parent);
      if (parent == nullptr || !world_.sees(me, *parent)) return false;
    }
    return true;
  }

  void compare_insert() {
    Paper p = random_paper(person().row.tenant);
    Paper as_stored = p;
    as_stored.tenant = person().row.tenant;
    Code expected{};
    if (!active()) {
      expected = Code::forbidden;
    } else if (!may_refer(p, nullptr)) {
      expected = Code::not_found;
    } else if (!world_.may(person(), Kind::insert, as_stored)) {
      expected = Code::forbidden;
    }
    const Session system = office_.access->system(person().row.tenant);
    const auto made = Papers{broken_ == Broken::writes_unchecked ? system : session()}.insert(p);
    if (made) world_.papers.push_back(*made);
    // Who may insert nothing at all is told so before his references are looked at.
    if (expected == Code::not_found && code_of(made) == Code::forbidden &&
        !world_.may(person(), Kind::insert, as_stored)) {
      return;
    }
    expect(expected, code_of(made), "insert");
  }

  void compare_update() {
    const Id<Paper> id = any_id();
    const Paper* stored = world_.find(id);
    Paper p = stored != nullptr ? *stored : paper("absent");
    p.id = id;
    change(p, person().row.tenant);
    if (stored != nullptr && stored->tenant != person().row.tenant) p.tenant = {};
    const bool stale = below(5) == 0;
    if (stale) p.version += 1;
    Code expected{};
    if (!active()) {
      expected = Code::forbidden;
    } else if (stored == nullptr || !world_.sees(person(), *stored)) {
      expected = Code::not_found;
    } else if (!world_.may(person(), Kind::update, *stored)) {
      expected = Code::forbidden;
    } else if (stale) {
      expected = Code::conflict;
    } else if (!may_refer(p, stored)) {
      expected = Code::not_found;
    } else if (!world_.may(person(), Kind::update_check, p)) {
      expected = Code::forbidden;
    }
    const auto changed = Papers{session()}.update(p);
    Code actual = code_of(changed);
    if (broken_ == Broken::tells_hidden && stale && actual == Code::not_found) {
      actual = Code::conflict;
    }
    expect(expected, actual, "update");
    if (!changed) return;
    for (Paper& known : world_.papers) {
      if (known.id == id) known = *changed;
    }
  }

  void compare_remove() {
    const Id<Paper> id = any_id();
    const Paper* stored = world_.find(id);
    Code expected{};
    if (!active()) {
      expected = Code::forbidden;
    } else if (stored == nullptr || !world_.sees(person(), *stored)) {
      expected = Code::not_found;
    } else if (!world_.may(person(), Kind::remove, *stored)) {
      expected = Code::forbidden;
    }
    const auto removed = Papers{session()}.remove(id);
    expect(expected, removed ? Code{} : removed.error().code, "remove");
    if (removed) std::erase_if(world_.papers, [&](const Paper& p) { return p.id == id; });
  }

  void change_rights() {
    Person& person = world_.people[who_];
    const Session system = office_.access->system(person.row.tenant);
    switch (below(4)) {
      case 0: {
        person.row.role = "r" + std::to_string(below(3));
        person.row = must(Users{system}.update(person.row));
        return;
      }
      case 1: {
        person.row.status = below(3) == 0 ? UserStatus::disabled : UserStatus::active;
        person.row = must(Users{system}.update(person.row));
        return;
      }
      case 2: {
        if (person.row.tenant != office_.tenant) return;
        const Team& team = teams_[below(2)];
        const auto held = std::find_if(
            world_.memberships.begin(), world_.memberships.end(),
            [&](const Membership& m) { return m.user == person.row.id && m.team == team.id; });
        if (held == world_.memberships.end()) {
          world_.memberships.push_back(office_.join(person.row, team));
        } else {
          must(Repository<Membership>{system}.remove(held->id));
          world_.memberships.erase(held);
        }
        return;
      }
      default: {
        Room& room = world_.rooms[below(world_.rooms.size())];
        room.name = flip() ? "a" : "b";
        room = must(Rooms{office_.access->system(room.tenant)}.update(room));
      }
    }
  }

  // The feed ----------------------------------------------------------------------------------

  /// A subscriber keeps a copy of what it sees by what it hears.
  struct Copy {
    std::size_t who = 0;
    model::Rule where;
    Predicate predicate;
    std::map<std::int64_t, std::string> rows;
    std::int64_t last = 0;
    bool resync = false;
    FeedSubscription subscription;
  };

  static std::string face(const Paper& p) {
    return std::to_string(p.version) + "/" + std::to_string(p.id.value);
  }
  void watch() {
    for (std::size_t who = 0; who < 2; ++who) {
      auto& copy = *copies_.emplace_back(std::make_unique<Copy>());
      copy.who = who;
      copy.where = model::random_rule(random_, 1);
      copy.predicate =
          must(Predicate::parse(table_of<Paper>(), copy.where.text, &office_.database->catalog()));
      subscribe(copy, {});
      read_anew(copy);
    }
  }
  void subscribe(Copy& copy, std::optional<std::int64_t> after) {
    auto subscribed =
        feed_->subscribe<Paper>(sessions_[copy.who], {copy.predicate, after},
                                [this, &copy](const RowEvent<Paper>& event) { hear(copy, event); });
    if (subscribed) copy.subscription = *std::move(subscribed);
  }
  void read_anew(Copy& copy) {
    copy.rows.clear();
    Query query;
    query.where = copy.predicate;
    if (auto list = Papers{sessions_[copy.who]}.list(query)) {
      for (const Paper& p : *list) copy.rows[p.id.value] = face(p);
    }
    copy.resync = false;
  }
  bool in_sight(const Copy& copy, const Paper& p) const {
    const Person& who = world_.people[copy.who];
    return world_.sees(who, p) && copy.where.holds(world_, who, p, &who) == model::yes;
  }
  void hear(Copy& copy, const RowEvent<Paper>& event) {
    if (event.sequence < copy.last ||
        (event.sequence == copy.last && event.kind != FeedKind::resync)) {
      differ("feed: out of order, or twice");
    }
    copy.last = event.sequence;
    if (event.kind == FeedKind::gone) return differ("feed: gone");
    if (event.kind == FeedKind::resync) {
      copy.resync = broken_ != Broken::no_resync;
      return;
    }
    for (const auto* image : {&event.before, &event.after}) {
      if (*image && !in_sight(copy, **image))
        differ("feed: a row that is not in sight\n  " + about());
    }
    if (event.kind == FeedKind::remove) {
      if (broken_ != Broken::only_after) copy.rows.erase(event.id.value);
    } else {
      copy.rows[event.id.value] = face(*event.after);
    }
  }
  void check_feed() {
    for (int i = 0; feed_->pump(1 + below(20)); ++i) {
      if (i > 10'000) return differ("feed: never done");
    }
    for (const auto& copy : copies_) {
      if (copy->resync) read_anew(*copy);
      std::map<std::int64_t, std::string> expected;
      for (const Paper& p : world_.papers) {
        if (in_sight(*copy, p)) expected[p.id.value] = face(p);
      }
      if (copy->rows != expected) {
        who_ = copy->who;
        return differ("feed: the copy differs, where " + copy->where.text + "\n  " + about());
      }
      if (below(8) == 0 && world_.people[copy->who].row.status == UserStatus::active) {
        const std::int64_t place = copy->subscription.position();
        copy->subscription.end();
        subscribe(*copy, place);  // goes on where it was
      }
    }
  }

  SeededRandom random_;
  Broken broken_;
  World world_;
  Office office_;
  std::optional<Feed> feed_;
  Id<Tenant> other_;
  std::vector<Session> sessions_;
  std::vector<Team> teams_;
  std::vector<std::unique_ptr<Copy>> copies_;
  std::size_t who_ = 0;
  int titles_ = 0;
  std::string mismatch_;
};

constexpr int steps_a_play = 100;

/// Which of `plays` seeds found a mismatch.
int found(Broken broken, int plays) {
  int count = 0;
  for (int seed = 1; seed <= plays; ++seed) {
    if (!Play(static_cast<std::uint64_t>(seed), broken).run(steps_a_play).empty()) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("G9_G10_generated policies, queries and histories agree with the model") {
  const int plays = tests::fewer(counts::cases(2'000, 50'000));  // of 100 steps each
  for (int seed = 1; seed <= plays; ++seed) {
    const std::string mismatch =
        Play(static_cast<std::uint64_t>(seed), Broken::nothing).run(steps_a_play);
    if (!mismatch.empty()) FAIL("seed " << seed << ": " << mismatch);
  }
}

TEST_CASE("G9_G10_generated policies, queries and histories agree with the model on SQLite") {
  const Folder folder;
  const int plays = counts::cases(200, 5'000);
  for (int seed = 1; seed <= plays; ++seed) {
    const std::string path = folder.file(std::to_string(seed) + ".db");
    const std::string mismatch =
        Play(static_cast<std::uint64_t>(seed), Broken::nothing, path).run(steps_a_play);
    for (const char* suffix : {"", "-wal", "-shm", "-lock", "-nodes", "-wake"})
      std::filesystem::remove(path + suffix);
    if (!mismatch.empty()) FAIL("seed " << seed << ": " << mismatch);
  }
}

TEST_CASE("G9_G10_a library that were wrong would be found out") {
  const int plays = 20;
  CHECK(found(Broken::policies_dropped, plays) > 0);
  CHECK(found(Broken::tenants_mixed, plays) > 0);
  CHECK(found(Broken::tells_hidden, plays) > 0);
  CHECK(found(Broken::writes_unchecked, plays) > 0);
  CHECK(found(Broken::only_after, plays) > 0);
  CHECK(found(Broken::no_resync, plays) > 0);
  CHECK(found(Broken::own_rights_dropped, plays) > 0);
}
