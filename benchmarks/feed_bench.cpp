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

/// A writer's rate with one subscriber whose callback never returns, beside the same without.
void slow_subscriber(const bench::Arguments& arguments) {
  bench::ScratchFolder scratch;
  const int writes = arguments.quick ? 100 : arguments.long_run ? 20'000 : 3'000;
  auto plain = bench::open_office(scratch.file(), false);
  auto watched = bench::open_office(scratch.file(), false);
  std::mutex mutex;
  std::condition_variable released;
  bool over = false;
  auto subscription =
      must(watched.engine->feed().subscribe<Team>(watched.system(), {}, [&](const RowEvent<Team>&) {
        std::unique_lock lock(mutex);
        released.wait(lock, [&] { return over; });
      }));
  must(plain.engine->start());
  must(watched.engine->start());
  std::int64_t number = 0;
  auto rate = [&](const bench::Office& office) {
    const Repository<Team> teams(office.system());
    const double start = bench::seconds_now();
    for (int i = 0; i < writes; ++i) must(teams.insert(team_of(office, ++number)));
    return writes / (bench::seconds_now() - start);
  };
  const auto p = bench::measure_pairs(
      9, bench::Better::higher, [&] { return rate(watched); }, [&] { return rate(plain); });
  {
    std::lock_guard lock(mutex);
    over = true;
  }
  released.notify_all();
  subscription.end();
  must(plain.engine->stop());
  must(watched.engine->stop());
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
