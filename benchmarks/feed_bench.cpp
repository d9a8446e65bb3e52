// The change feed: how soon subscribers hear, and what one that never reads costs a writer.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "bench.hpp"
#include "office.hpp"

namespace {

using namespace bureau;
using bench::must;

constexpr int subscribers = 100;

Team team_of(const bench::Office& office, std::int64_t number) {
  Team team;
  team.tenant = office.tenant.id;
  team.name = "team " + std::to_string(number);
  return team;
}

/// From the return of a commit to each subscriber's callback; a callback that came before the
/// return counts as 0.
void commit_to_callback(const bench::Arguments& arguments) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), true);
  const int commits = arguments.quick ? 20 : arguments.long_run ? 5'000 : 1'000;
  const auto pause = std::chrono::milliseconds(5);
  std::mutex mutex;
  std::condition_variable heard;
  std::vector<double> committed(static_cast<std::size_t>(commits), 0.0);
  std::vector<std::vector<double>> arrivals(static_cast<std::size_t>(commits));
  std::size_t left = static_cast<std::size_t>(commits) * subscribers;
  std::vector<FeedSubscription> subscriptions;
  subscriptions.reserve(subscribers);
  for (int i = 0; i < subscribers; ++i) {
    subscriptions.push_back(must(office.engine->feed().subscribe<Team>(
        office.system(), {}, [&](const RowEvent<Team>& event) {
          if (!event.after) return;
          const double now = bench::seconds_now();
          const auto number = std::stoul(event.after->name.substr(5));
          std::lock_guard lock(mutex);
          arrivals[number].push_back(now);
          if (--left == 0) heard.notify_all();
        })));
  }
  must(office.engine->start());
  const Repository<Team> teams(office.system());
  for (int i = 0; i < commits; ++i) {
    must(teams.insert(team_of(office, i)));
    const double now = bench::seconds_now();
    {
      std::lock_guard lock(mutex);
      committed[static_cast<std::size_t>(i)] = now;
    }
    std::this_thread::sleep_for(pause);
  }
  {
    std::unique_lock lock(mutex);
    if (!heard.wait_for(lock, std::chrono::seconds(30), [&] { return left == 0; })) {
      bench::give_up("feed", "not every subscriber heard of every commit");
    }
  }
  must(office.engine->stop());
  std::vector<double> delays;
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    for (const double at : arrivals[i]) delays.push_back(std::max(0.0, at - committed[i]) * 1e6);
  }
  for (const auto& [name, p] : {std::pair("commit_to_callback_p50_us", 50.0),
                                std::pair("commit_to_callback_p99_us", 99.0)}) {
    bench::print_metric(arguments, {.bench = "feed",
                                    .metric = name,
                                    .storage = "sqlite",
                                    .durability = "power_safe",
                                    .value = bench::percentile(delays, p),
                                    .unit = "us"});
  }
}

/// A subscriber whose callback does not return until it is told to.
class SlowSubscriber {
 public:
  explicit SlowSubscriber(const bench::Office& office)
      : subscription_(
            must(office.engine->feed().subscribe<Team>(office.system(), {}, [this](const auto&) {
              std::unique_lock lock(mutex_);
              stuck_ = true;
              changed_.notify_all();
              changed_.wait(lock, [this] { return over_; });
            }))) {}
  ~SlowSubscriber() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    subscription_.end();
  }
  void wait_until_stuck() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stuck_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stuck_ = false, over_ = false;
  FeedSubscription subscription_;
};

/// A writer's rate with one subscriber whose callback never returns, beside the same without. Both
/// write to one file, in short turns, so that its growth and the machine's moods meet both alike.
void slow_subscriber(const bench::Arguments& arguments) {
  bench::ScratchFolder scratch;
  const int writes = arguments.quick ? 10 : 150;
  const int turns = arguments.quick ? 2 : arguments.long_run ? 200 : 50;
  auto office = bench::open_office(scratch.file(), false);
  must(office.engine->start());
  const Repository<Team> teams(office.system());
  std::int64_t number = 0;
  const auto write = [&](int count) {
    const double start = bench::seconds_now();
    for (int i = 0; i < count; ++i) must(teams.insert(team_of(office, ++number)));
    return count / (bench::seconds_now() - start);
  };
  const auto watched = [&] {
    SlowSubscriber slow(office);
    write(1);
    slow.wait_until_stuck();
    write(writes / 10);
    return write(writes);
  };
  const auto alone = [&] {
    write(1 + writes / 10);
    return write(writes);
  };
  if (!arguments.quick) write(2'000);
  // Each of the nine pairs is of the medians of many turns.
  double with = 0, without = 0;
  bool measured = false;
  const auto pair = [&] {
    measured = !measured;
    if (!measured) return;
    std::vector<double> mine, theirs;
    for (int i = 0; i < turns; ++i) {
      if (i % 2 == 0) mine.push_back(watched());
      theirs.push_back(alone());
      if (i % 2 == 1) mine.push_back(watched());
    }
    with = bench::median(mine);
    without = bench::median(theirs);
  };
  const auto p = bench::measure_pairs(
      9, bench::Better::higher,
      [&] {
        pair();
        return with;
      },
      [&] {
        pair();
        return without;
      });
  must(office.engine->stop());
  bench::print_metric(arguments, {.bench = "feed",
                                  .metric = "slow_subscriber_cost",
                                  .storage = "sqlite",
                                  .durability = "relaxed",
                                  .value = (1 - p.ratio) * 100,
                                  .unit = "percent",
                                  .baseline = p.baseline,
                                  .ratio = p.ratio,
                                  .spread = p.spread});
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse_arguments(argc, argv);
  commit_to_callback(arguments);
  slow_subscriber(arguments);
}
