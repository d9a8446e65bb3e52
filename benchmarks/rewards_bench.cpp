// Rewards: how many changes a second the evaluation keeps up with, through its task, and how long
// the leaderboard of a large office takes.

#include <condition_variable>
#include <mutex>

#include "bench.hpp"
#include "office.hpp"

namespace {

using namespace bureau;
using bench::must;

constexpr int people = 1'000;

Criteria criteria(const char* table, const char* where, const char* user,
                  CountedChange change = CountedChange::any) {
  return {table, change, where, user};
}

/// What an office counts: ten achievements and five point rules over tickets and deals.
void define(const Session& system) {
  int number = 0;
  const auto achievement = [&](const Criteria& of, std::int64_t target, bool repeatable) {
    NewAchievement given;
    given.key = "a" + std::to_string(++number);
    given.name = given.key;
    given.points = 50;
    given.criteria = of;
    given.target = target;
    given.repeatable = repeatable;
    must(Achievements{system}.save(given));
  };
  const auto solved = criteria("tickets", "state = \"resolved\"", "assignee");
  const auto won = criteria("deals", "state = \"won\"", "owner");
  achievement(solved, 1, false);
  achievement(solved, 10, false);
  achievement(solved, 100, true);
  achievement(criteria("tickets", "state = \"resolved\" and priority >= \"high\"", "assignee"), 10,
              true);
  achievement(criteria("tickets", "priority = \"urgent\"", "assignee"), 5, false);
  achievement(won, 1, false);
  achievement(won, 25, true);
  achievement(criteria("deals", "state = \"won\" and value_minor >= 1000000", "owner"), 5, false);
  achievement(criteria("deals", "state = \"lost\"", "owner"), 50, false);
  achievement(criteria("deals", "value_minor >= 500000", "owner", CountedChange::insert), 10,
              false);
  const auto rule = [&](const Criteria& of, std::int64_t points, std::int64_t cap) {
    NewPointRule given;
    given.key = "r" + std::to_string(++number);
    given.name = given.key;
    given.criteria = of;
    given.points = points;
    given.cap_per_day = cap;
    must(Points{system}.save_rule(given));
  };
  rule(solved, 5, 0);
  rule(won, 20, 0);
  rule(criteria("tickets", "state = \"resolved\" and priority = \"urgent\"", "assignee"), 10, 200);
  rule(criteria("deals", "value_minor >= 1000000", "owner", CountedChange::insert), 2, 100);
  rule(criteria("tickets", "first_response_at is not null", "assignee"), 1, 500);
}

/// Rows on their way through a ticket's or a deal's life, written as they would be: each change is
/// a record of its own.
class History {
 public:
  History(const bench::Office& office, const std::vector<Id<User>>& users)
      : office_(office), users_(users) {}

  /// About `changes` changes; returns how many. Half of them are of tickets; a tenth of what is
  /// done is undone.
  std::int64_t write(std::int64_t changes) {
    std::int64_t written = 0;
    while (written < changes) {
      must(office_.engine->database().write(
          {}, {office_.tenant.id.value, users_[0].value, 0},
          [&](Transaction& tx) -> Result<void> { return write_some(tx, written); }));
    }
    return written;
  }

 private:
  template <class T>
  Result<void> insert(Transaction& tx, T& row) {
    BUREAU_TRY(row.id.value, tx.next_id());
    row.tenant = office_.tenant.id;
    row.version = 1;
    row.created_at = row.updated_at = tx.now();
    std::vector<Value> values(table_of<T>().width());
    detail::Scratch scratch;
    to_values(row, values, scratch);
    return tx.insert(table_of<T>(), values);
  }
  template <class T>
  Result<void> update(Transaction& tx, const T& before, T& after) {
    after.version = before.version + 1;
    std::vector<Value> old(table_of<T>().width()), now(table_of<T>().width());
    detail::Scratch scratch;
    to_values(before, old, scratch);
    to_values(after, now, scratch);
    return tx.replace(table_of<T>(), old, now);
  }
  template <class T, class F>
  Result<void> change(Transaction& tx, T& row, F change) {
    const T before = row;
    change(row);
    return update(tx, before, row);
  }

  /// Twenty tickets and twenty deals at a time, a step of each in turn.
  Result<void> write_some(Transaction& tx, std::int64_t& written) {
    constexpr std::size_t at_a_time = 20;
    std::vector<Ticket> tickets(at_a_time);
    std::vector<Deal> deals(at_a_time);
    for (int step = 0; step < 5; ++step) {
      for (std::size_t i = 0; i < at_a_time; ++i) {
        BUREAU_TRY_VOID(ticket_step(tx, tickets[i], step));
        BUREAU_TRY_VOID(deal_step(tx, deals[i], step));
        written += 2;
      }
    }
    return {};
  }
  Result<void> ticket_step(Transaction& tx, Ticket& row, int step) {
    if (step == 0) {
      row.number = ++number_;
      row.subject = "The printer on the third floor prints in one colour only";
      row.customer = users_[random_.below(users_.size())];
      row.status = "open";
      row.state = TicketState::open;
      row.priority = static_cast<Priority>(random_.below(4));
      row.custom = Json::object({{"floor", 3}});
      return insert(tx, row);
    }
    return change(tx, row, [&](Ticket& t) {
      if (step == 1) t.assignee = users_[random_.below(users_.size())];
      if (step == 2) t.first_response_at = tx.now();
      if (step == 3) t.state = TicketState::resolved;
      if (step == 4 && random_.below(10) == 0) t.state = TicketState::open;  // reopened
      ++t.message_count;
    });
  }
  Result<void> deal_step(Transaction& tx, Deal& row, int step) {
    if (step == 0) {
      row.title = "Forty anvils, delivered in spring";
      row.pipeline = Id<Pipeline>(1);
      row.stage = Id<Stage>(1);
      row.currency = "USD";
      row.value_minor = static_cast<std::int64_t>(random_.below(2'000'000));
      row.owner = users_[random_.below(users_.size())];
      row.custom = Json::object();
      row.opened_at = row.stage_entered_at = row.last_activity_at = tx.now();
      return insert(tx, row);
    }
    return change(tx, row, [&](Deal& d) {
      if (step == 3) d.state = random_.below(3) == 0 ? StageCategory::lost : StageCategory::won;
      if (step == 4 && random_.below(10) == 0) d.state = StageCategory::open;  // reopened
      ++d.stage_count;
      d.last_activity_at = tx.now();
    });
  }

  const bench::Office& office_;
  const std::vector<Id<User>>& users_;
  SeededRandom random_{11};
  std::int64_t number_ = 0;
};

std::vector<Id<User>> add_people(const bench::Office& office, int count) {
  std::vector<User> rows(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].name = "person " + std::to_string(i);
    rows[i].email = "p" + std::to_string(i) + "@example.com";
    rows[i].role = "agent";
  }
  std::vector<Id<User>> ids;
  for (const User& user : must(Repository<User>(office.system()).insert_all(std::move(rows)))) {
    ids.push_back(user.id);
  }
  return ids;
}

std::int64_t sum_of_points(const bench::Office& office) {
  std::int64_t sum = 0;
  for (const TableInfo* table : {&table_of<PointEntry>(), &table_of<UserStats>()}) {
    Aggregate total;
    total.measures = {{Aggregate::Function::sum, table->find("points")}};
    must(Rows(Scope(office.system()), *table)
             .aggregate(total, [&](std::span<const Value> row) -> Result<bool> {
               const std::int64_t points = row[0].is_null() ? 0 : row[0].as_integer();
               if (table == &table_of<UserStats>() && points != sum) {
                 bench::give_up("rewards", "the statistics are not what the ledger comes to");
               }
               sum = points;
               return true;
             }));
  }
  return sum;
}

/// The journal is written first; then an office opens it, with the agent, and the clock runs until
/// its tasks have ended.
void evaluation(const bench::Arguments& arguments) {
  bench::ScratchFolder scratch;
  const std::int64_t wanted = arguments.quick ? 2'000 : arguments.long_run ? 1'000'000 : 200'000;
  bench::Office office = bench::open_office(scratch.file(), false);
  const auto users = add_people(office, people);
  define(office.system());
  const std::int64_t changes = History(office, users).write(wanted);
  office.engine.reset();

  EngineOptions options;
  options.path = office.path;
  options.durability = Durability::power_safe;
  office.engine = must(Engine::open(std::move(options)));
  std::mutex mutex;
  std::condition_variable heard;
  bool done = false;
  const auto watched = must(office.engine->feed().subscribe<Task>(
      office.system(), {.where = col(&Task::status) == TaskStatus::completed},
      [&](const RowEvent<Task>& event) {
        if (!event.after || !event.after->result) return;
        const auto result = record_from_json<RewardsEvaluated>(*event.after->result);
        if (!result || result->more) return;
        const std::lock_guard lock(mutex);
        done = true;
        heard.notify_all();
      }));
  must(office.engine->add(std::make_shared<RewardsAgent>(office.engine->access())));
  const double start = bench::seconds_now();
  must(office.engine->start());
  {
    std::unique_lock lock(mutex);
    if (!heard.wait_for(lock, std::chrono::seconds(100), [&] { return done; })) {
      bench::give_up("rewards", "the evaluation did not come to an end");
    }
  }
  const double took = bench::seconds_now() - start;
  must(office.engine->stop());
  if (sum_of_points(office) == 0) bench::give_up("rewards", "nobody has earned anything");
  bench::print_metric(arguments, {.bench = "rewards",
                                  .metric = "changes_per_second",
                                  .storage = "sqlite",
                                  .durability = "power_safe",
                                  .value = static_cast<double>(changes) / took,
                                  .unit = "1/s"});
}

/// The board of a week in which everybody has points; all of it, and its first hundred lines.
void leaderboard(const bench::Arguments& arguments) {
  bench::ScratchFolder scratch;
  const int users = arguments.quick ? 1'000 : 100'000;
  bench::Office office = bench::open_office(scratch.file(), false);
  const auto around =
      rewards::period_around(LeaderboardPeriod::week, must(CivilDate::parse("2026-03-04")));
  SeededRandom random(5);
  must(office.engine->database().write(
      {}, {office.tenant.id.value, 0, 0}, [&](Transaction& tx) -> Result<void> {
        const std::size_t width = table_of<LeaderboardScore>().width();
        std::vector<Value> values(static_cast<std::size_t>(users) * width);
        detail::Scratch texts;
        for (std::size_t i = 0; i < static_cast<std::size_t>(users); ++i) {
          LeaderboardScore row;
          BUREAU_TRY(row.id.value, tx.next_id());
          row.tenant = office.tenant.id;
          row.period = LeaderboardPeriod::week;
          row.start = must(Timestamp::parse(around.start.to_string()));
          BUREAU_TRY(row.user.value, tx.next_id());  // nobody looks for them
          row.points = static_cast<std::int64_t>(random.below(10'000)) + 1;
          row.reached_at = row.start + std::chrono::seconds(random.below(600'000));
          to_values(row, std::span(values).subspan(i * width, width), texts);
        }
        return tx.insert(table_of<LeaderboardScore>(), values);
      }));
  const User viewer = office.add_user("viewer", "agent");
  const Leaderboards boards{must(office.engine->session(office.tenant.id, viewer.id))};
  std::vector<double> took;
  for (int i = 0; i < (arguments.quick ? 2 : 15); ++i) {
    const double start = bench::seconds_now();
    const auto board = must(boards.board(LeaderboardPeriod::week, around.start, 1'000'000));
    took.push_back((bench::seconds_now() - start) * 1e3);
    if (board.users < static_cast<std::size_t>(users)) {
      bench::give_up("rewards", "the leaderboard is not whole");
    }
  }
  bench::print_metric(arguments, {.bench = "rewards",
                                  .metric = "leaderboard_ms",
                                  .storage = "sqlite",
                                  .durability = "power_safe",
                                  .value = bench::median(took),
                                  .unit = "ms"});
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse_arguments(argc, argv);
  evaluation(arguments);
  leaderboard(arguments);
}
