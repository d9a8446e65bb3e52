// Each change counts once: against a model, through restarts and faults, and through the task.

#include <algorithm>
#include <set>

#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "counts.hpp"
#include "rewards/office.hpp"
#include "rewards/rows.hpp"

using namespace rewards_test;

namespace {

constexpr std::int64_t cap = 25;
constexpr std::int64_t target = 3;
constexpr std::int64_t unlock_points = 50;
constexpr auto cooldown = std::chrono::minutes(10);
constexpr std::int64_t micros_per_day = 86'400'000'000;

/// What the library does in batches, done at once for each change, in the simplest way.
struct Model {
  struct Gift {
    std::string user;
    std::int64_t points = 0, day = 0;
  };
  struct Entry {
    std::string user;
    std::int64_t points = 0, day = 0;
    Timestamp at;
  };
  std::map<std::int64_t, std::string> achieved;  // visit -> for whom it counts
  std::map<std::int64_t, Gift> plain, capped;    // the same of two rules
  std::map<std::string, std::vector<std::int64_t>> unlock_days;
  std::map<std::string, std::set<std::int64_t>> upheld;
  std::map<std::string, Timestamp> last_capped;
  std::vector<Entry> ledger;

  static std::int64_t day_of(Timestamp at) { return at.micros() / micros_per_day; }
  void enter(const std::string& user, std::int64_t points, std::int64_t day, Timestamp at) {
    if (points != 0) ledger.push_back({user, points, day, at});
  }
  void refresh(const std::string& user, Timestamp at) {
    const auto count = static_cast<std::size_t>(std::count_if(
        achieved.begin(), achieved.end(), [&](const auto& entry) { return entry.second == user; }));
    auto& unlocked = unlock_days[user];
    while (unlocked.size() < count / target) {
      unlocked.push_back(day_of(at));
      enter(user, unlock_points, unlocked.back(), at);
    }
    while (unlocked.size() > count / target) {
      enter(user, -unlock_points, unlocked.back(), at);
      unlocked.pop_back();
    }
  }
  std::int64_t room(const std::string& user, Timestamp at) {
    if (last_capped.contains(user) && at < last_capped[user] + cooldown) return 0;
    std::int64_t given = 0;
    for (const auto& [visit, gift] : capped) {
      if (gift.user == user && gift.day == day_of(at)) given += gift.points;
    }
    return std::clamp<std::int64_t>(cap - given, 0, 10);
  }
  void take(std::map<std::int64_t, Gift>& gifts, std::int64_t visit, Timestamp at) {
    const auto found = gifts.find(visit);
    if (found == gifts.end()) return;
    enter(found->second.user, -found->second.points, found->second.day, at);
    gifts.erase(found);
  }
  /// The visit counts for `user` now; "": for nobody.
  void change(std::int64_t visit, const std::string& user, Timestamp at) {
    const std::string before = achieved.contains(visit) ? achieved[visit] : "";
    if (before == user) return;
    if (!before.empty()) {
      achieved.erase(visit);
      refresh(before, at);
      take(plain, visit, at);
      take(capped, visit, at);
    }
    if (user.empty()) return;
    upheld[user].insert(day_of(at));
    achieved[visit] = user;
    refresh(user, at);
    plain[visit] = {user, 7, day_of(at)};
    enter(user, 7, day_of(at), at);
    const std::int64_t points = room(user, at);
    if (points > 0) last_capped[user] = at;
    capped[visit] = {user, points, day_of(at)};
    enter(user, points, day_of(at), at);
  }
  [[nodiscard]] std::int64_t total(const std::string& user) const {
    std::int64_t sum = 0;
    for (const Entry& entry : ledger) sum += entry.user == user ? entry.points : 0;
    return sum;
  }
  [[nodiscard]] std::int64_t longest(const std::string& user) const {
    std::int64_t best = 0, run = 0, last = -2;
    const auto found = upheld.find(user);
    if (found == upheld.end()) return 0;
    for (const std::int64_t day : found->second) {
      run = day == last + 1 ? run + 1 : 1;
      best = std::max(best, run);
      last = day;
    }
    return best;
  }
};

const std::vector<std::string> owners = {"ada", "ben", "eve", "mia"};

void define(Office& office) {
  NewAchievement given = visitor(target);
  given.repeatable = true;
  given.points = unlock_points;
  must(office.achievements().save(given));
  NewPointRule plain = visit_rule();
  plain.key = "plain";
  plain.points = 7;
  must(office.points().save_rule(plain));
  NewPointRule capped = visit_rule();
  capped.cap_per_day = cap;
  capped.cooldown = cooldown;
  must(office.points().save_rule(capped));
}

/// Random changes of visits, told to the model too.
class Changes {
 public:
  Changes(Office& office, Model& model, std::uint64_t seed)
      : office_(office), model_(model), random_(seed) {}

  void one() {
    office_.clock.advance(std::chrono::minutes(random_.below(240)));
    const auto kind = random_.below(10);
    if (visits_.empty() || kind < 4) {
      Visit visit;
      visit.state = static_cast<VisitState>(random_.below(3));
      visit.owner = owner();
      visits_.push_back(must(rows().insert(visit)));
      told(visits_.back());
      return;
    }
    const std::size_t which = random_.below(visits_.size());
    Visit& visit = visits_[which];
    if (kind == 4) {
      must(rows().remove(visit.id));
      model_.change(visit.id.value, "", office_.clock.now());
      visits_.erase(visits_.begin() + static_cast<std::ptrdiff_t>(which));
      return;
    }
    if (kind == 5) visit.owner = owner();
    if (kind == 6) visit.value = static_cast<std::int64_t>(random_.below(100));
    if (kind > 6) visit.state = static_cast<VisitState>(random_.below(3));
    visit = must(rows().update(visit));
    told(visit);
  }
  [[nodiscard]] SeededRandom& random() { return random_; }

 private:
  Repository<Visit> rows() { return Repository<Visit>{office_.system()}; }
  std::optional<Id<User>> owner() {
    const auto which = random_.below(owners.size() + 1);
    if (which == owners.size()) return {};
    return office_.people[owners[which]];
  }
  void told(const Visit& visit) {
    std::string user;
    for (const auto& name : owners) {
      if (visit.owner == office_.people[name]) user = name;
    }
    model_.change(visit.id.value, visit.state == VisitState::made ? user : "", office_.clock.now());
  }
  Office& office_;
  Model& model_;
  SeededRandom random_;
  std::vector<Visit> visits_;
};

void check_board(Office& office, const Model& model, LeaderboardPeriod period, std::int64_t day) {
  const auto date = CivilDate::from_days(static_cast<std::int32_t>(day));
  const auto around = rewards::period_around(period, date);
  struct Line {
    std::string user;
    std::int64_t points = 0;
    Timestamp reached_at;
  };
  std::vector<Line> expected;
  for (const std::string& user : owners) {
    Line line{user, 0, {}};
    for (const auto& entry : model.ledger) {
      if (entry.user != user || entry.day < around.start.days() || entry.day >= around.end.days() ||
          Model::day_of(entry.at) >= around.end.days()) {
        continue;
      }
      line.points += entry.points;
      line.reached_at = entry.at;
    }
    if (line.points > 0) expected.push_back(line);
  }
  std::sort(expected.begin(), expected.end(), [&](const Line& a, const Line& b) {
    if (a.points != b.points) return a.points > b.points;
    if (a.reached_at != b.reached_at) return a.reached_at < b.reached_at;
    return office.people[a.user] < office.people[b.user];
  });
  const Leaderboard board = must(Leaderboards{office.system()}.board(period, date));
  CAPTURE(around.start.to_string());
  REQUIRE(board.lines.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto better = std::count_if(expected.begin(), expected.end(), [&](const Line& line) {
      return line.points > expected[i].points;
    });
    CHECK(board.lines[i].user == office.people[expected[i].user]);
    CHECK(board.lines[i].points == expected[i].points);
    CHECK(board.lines[i].reached_at == expected[i].reached_at);
    CHECK(board.lines[i].rank == better + 1);
  }
}

/// All that the office has, against the model.
void check_all(Office& office, const Model& model) {
  for (const std::string& user : owners) {
    CAPTURE(user);
    const Id<User> id = office.people[user];
    const UserStats stats = must(office.points().of(id));
    CHECK(stats.points == model.total(user));
    CHECK(stats.level == level_of(stats.points));
    std::int64_t sum = 0;
    for (const PointEntry& entry : must(office.points().entries(id, 100'000))) sum += entry.points;
    CHECK(sum == stats.points);
    CHECK(stats.points >= 0);
    CHECK(stats.longest_streak == model.longest(user));
    const auto holder = office.has(user, "visitor");
    const auto count = std::count_if(model.achieved.begin(), model.achieved.end(),
                                     [&](const auto& entry) { return entry.second == user; });
    CHECK((holder ? holder->progress : 0) == count);
    CHECK((holder ? holder->times : 0) == count / target);
    CHECK(stats.achievements == (count >= target ? 1 : 0));
  }
  CHECK(must(Repository<PointEntry>{office.system()}.count()) == model.ledger.size());
  if (model.ledger.empty()) return;
  std::set<std::int64_t> days;
  for (const auto& entry : model.ledger) days.insert(entry.day);
  for (const std::int64_t day : days) {
    for (const auto period : {LeaderboardPeriod::day, LeaderboardPeriod::week,
                              LeaderboardPeriod::month, LeaderboardPeriod::year}) {
      check_board(office, model, period, day);
    }
  }
}

}  // namespace

TEST_CASE(
    "points, achievements, streaks and leaderboards follow random changes, as a model has it") {
  for (int seed = 1; seed <= counts::cases(12, 200); ++seed) {
    CAPTURE(seed);
    Office office;
    define(office);
    Model model;
    Changes changes(office, model, static_cast<std::uint64_t>(seed));
    for (int i = 0; i < 120; ++i) {
      changes.one();
      if (changes.random().below(8) == 0) office.evaluate();
    }
    office.evaluate();
    check_all(office, model);
  }
}

TEST_CASE("each change counts once, through faults, reruns and restarts") {
  for (int seed = 1; seed <= counts::cases(12, 200); ++seed) {
    CAPTURE(seed);
    Office office;
    define(office);
    Model model;
    Changes changes(office, model, static_cast<std::uint64_t>(seed));
    SeededRandom faults(static_cast<std::uint64_t>(seed) + 1000);
    bool faulty = false;
    const auto plan = [&](bool is_write, std::uint64_t) -> std::optional<testing::Fault> {
      if (!faulty || faults.below(3) == 0) return {};
      using At = testing::Fault::At;
      if (!is_write) return testing::Fault{At::statement, static_cast<int>(faults.below(6)) + 1};
      static constexpr At kinds[] = {At::before, At::statement, At::commit, At::unknown_kept,
                                     At::unknown_undone};
      return testing::Fault{kinds[faults.below(5)], static_cast<int>(faults.below(40)) + 1};
    };
    const auto disturbed = std::make_shared<testing::FaultyStorage>(
        std::make_shared<testing::RerunStorage>(office.storage), plan);
    int failures = 0;
    for (int round = 0; round < 20; ++round) {
      for (int i = 0; i < 6; ++i) changes.one();
      // Another process, as after a crash, evaluates what it finds.
      Process other(disturbed, office.clock, office.random);
      faulty = true;
      for (int attempt = 0; attempt < 5; ++attempt) {
        if (!rewards::catch_up(other.access->system(office.tenant))) ++failures;
      }
      faulty = false;
    }
    CHECK(failures > 10);
    office.evaluate();
    check_all(office, model);
  }
}

TEST_CASE("a batch that another was faster with changes nothing") {
  Office office;
  define(office);
  office.visit("ada");
  int writes = 0;
  bool armed = false;
  Process other(office.storage, office.clock, office.random);
  // Between the read and the write of one evaluation another does the same work.
  const auto plan = [&](bool is_write, std::uint64_t) -> std::optional<testing::Fault> {
    if (armed && is_write && ++writes == 1)
      must(rewards::catch_up(other.access->system(office.tenant)));
    return {};
  };
  Process late(std::make_shared<testing::FaultyStorage>(office.storage, plan), office.clock,
               office.random);
  armed = true;
  must(rewards::catch_up(late.access->system(office.tenant)));
  CHECK(writes >= 2);
  CHECK(office.points_of("ada") == 17);
}

TEST_CASE("what is committed while a batch is evaluated is not left for the next change") {
  // Whoever hears of it makes no task, since the one that evaluates has not ended.
  Office office;
  define(office);
  office.visit("ada");
  int writes = 0;
  bool armed = false;
  const auto plan = [&](bool is_write, std::uint64_t) -> std::optional<testing::Fault> {
    if (armed && is_write && ++writes == 1) office.visit("ada");
    return {};
  };
  Process process(std::make_shared<testing::FaultyStorage>(office.storage, plan), office.clock,
                  office.random);
  armed = true;
  const auto done = must(rewards::catch_up(process.access->system(office.tenant)));
  CHECK(writes >= 2);
  CHECK(done.changes == 2);
}

TEST_CASE(
    "changes that were trimmed before they counted are missing, and it is kept that they are") {
  Office office;
  define(office);
  office.visit("ada");
  office.evaluate();
  office.visit("ben");
  must(office.process.database->trim_journal(office.changes()));
  office.visit("eve");
  must(office.process.database->trim_journal(office.changes() - 1));
  office.evaluate();
  CHECK(office.points_of("ada") == 17);
  CHECK(office.points_of("ben") == 0);
  CHECK(office.points_of("eve") == 17);
}

TEST_CASE("the journal's retention leaves what is still to be counted, and only that") {
  Office office;
  define(office);
  JournalKeeper keeper(*office.process.database, {});
  must(keeper.add(rewards::journal_reader(*office.process.database)));
  const auto tail_after = [&](Duration time) {
    office.clock.advance(time);
    while (must(keeper.step()) == JournalKeeping{}.pause) {
    }
    std::int64_t tail = 0;
    must(office.process.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      BUREAU_TRY(tail, office.process.database->journal_tail(reader));
      return {};
    }));
    return tail;
  };
  const std::int64_t before = office.changes();
  office.visit("ada");
  must(Repository<User>{office.system()}.change(office.people.at("vic"),
                                                [](User& row) { row.name = "Victor"; }));
  CHECK(tail_after(std::chrono::hours(24 * 40)) <= before + 1);
  office.evaluate();
  CHECK(office.points_of("ada") == 17);
  // From here on nothing counts: the cursor need not be where the end is.
  must(Repository<User>{office.system()}.change(office.people.at("vic"),
                                                [](User& row) { row.name = "Vic"; }));
  office.evaluate();
  const std::int64_t end = office.changes();
  CHECK(tail_after(std::chrono::hours(24 * 40)) >= end);
  office.visit("ben");
  CHECK(office.evaluate().changes == 1);
  CHECK(office.points_of("ben") == 17);
  must(office.process.database->read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
    BUREAU_TRY(const auto cursor,
               rewards::inside::row_with_id<rewards::inside::Cursor>(reader, office.tenant.value));
    CHECK(cursor->missed == 0);
    return {};
  }));
}

// Through the task -----------------------------------------------------------------------------

namespace {

/// The orchestrator of one process, driven by hand.
struct Desk {
  explicit Desk(Process& process) : orchestrator(*process.database, *process.access, {}) {
    must(orchestrator.add(std::make_shared<RewardsAgent>(*process.access)));
    must(orchestrator.start());
  }
  /// As the engine does after commits; returns how many tasks ran.
  int settle(Office& office) {
    int ran = 0;
    for (int quiet = 0; quiet < 3; ++quiet) {
      office.clock.advance(std::chrono::milliseconds(200));
      orchestrator.notice();
      must(orchestrator.duties());
      while (must(orchestrator.step())) ++ran, quiet = 0;
    }
    return ran;
  }
  Orchestrator orchestrator;
};

std::uint64_t open_tasks(Office& office) {
  return must(Tasks{office.system()}.count(col(&Task::status) < TaskStatus::completed));
}

}  // namespace

TEST_CASE("commits that touch what criteria are about wake the task, and nothing else does") {
  Office office;
  define(office);
  Desk desk(office.process);
  CHECK(desk.settle(office) <= 1);  // criteria are new
  office.visit("ada");
  CHECK(desk.settle(office) == 1);
  CHECK(office.points_of("ada") == 17);
  CHECK(open_tasks(office) == 0);
  const std::int64_t before = office.changes();
  for (int i = 0; i < 10; ++i) CHECK(desk.settle(office) == 0);  // its own writes wake nobody
  Team team;
  team.name = "north";
  must(Repository<Team>{office.system()}.insert(team));
  CHECK(desk.settle(office) == 0);
  CHECK(office.changes() == before + 1);
  must(office.points().give(office.people["ben"], 5, "a good talk"));
  CHECK(desk.settle(office) == 0);
  // Criteria that come later are known too.
  NewPointRule calls = visit_rule();
  calls.key = "call";
  calls.criteria = Criteria{"calls", CountedChange::insert, {}, "owner"};
  must(office.points().save_rule(calls));
  desk.settle(office);
  Call call;
  call.owner = office.people["ben"];
  must(Repository<Call>{office.system()}.insert(call));
  CHECK(desk.settle(office) == 1);
  CHECK(office.points_of("ben") == 15);
}

TEST_CASE("a process that starts finds what was left") {
  Office office;
  define(office);
  office.visit("ada");
  {
    Desk desk(office.process);
    CHECK(desk.settle(office) == 1);
  }
  office.visit("ben");
  Process other(office.storage, office.clock, office.random);
  Desk desk(other);
  CHECK(desk.settle(office) == 1);
  CHECK(office.points_of("ada") == 17);
  CHECK(office.points_of("ben") == 17);
}

TEST_CASE("many changes are several batches, each a task that makes the next, one at a time") {
  Office office;
  NewPointRule rule = visit_rule();
  must(office.points().save_rule(rule));
  const int rounds = counts::sanitized ? 2 : 4;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Visit> rows(2'500);
    for (Visit& row : rows) {
      row.state = VisitState::made;
      row.owner = office.people["ada"];
    }
    must(Repository<Visit>{office.system()}.insert_all(std::move(rows)));
  }
  Desk first(office.process);
  Process other(office.storage, office.clock, office.random);
  Desk second(other);
  int ran = 0;
  std::uint64_t most = 0;
  for (int i = 0; i < 20; ++i) {
    office.clock.advance(std::chrono::milliseconds(200));
    for (Desk* desk : {&first, &second}) {
      desk->orchestrator.notice();
      must(desk->orchestrator.duties());
      most = std::max(most, open_tasks(office));
      if (must(desk->orchestrator.step())) ++ran;
      most = std::max(most, open_tasks(office));
    }
  }
  CHECK(ran >= rounds / 2);
  CHECK(most == 1);
  CHECK(office.points_of("ada") == rounds * 25'000);
}

TEST_CASE("a tenant's changes count in that tenant alone") {
  Office office;
  define(office);
  const Id<Tenant> other = must(office.process.access->create_tenant("Elsewhere")).id;
  const Session there = office.process.access->system(other);
  User user;
  user.name = "zoe";
  user.email = "zoe@example.com";
  user.role = "agent";
  user = must(Repository<User>{there}.insert(user));
  must(Points{there}.save_rule(visit_rule()));
  office.visit("ada");
  Desk desk(office.process);
  desk.settle(office);
  CHECK(office.points_of("ada") == 17);
  CHECK(must(Points{there}.of(user.id)).points == 0);
  CHECK(must(Leaderboards{there}.board(LeaderboardPeriod::all_time)).users == 0);
}
