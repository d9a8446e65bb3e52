#pragma once

// What an engine is told of another's commits: the same on a file and on a server.

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>

#include "basics.hpp"
#include "bureau/engine.hpp"
#include "bureau/work/tasks.hpp"

namespace others_suite {

using namespace bureau;
using namespace std::chrono_literals;

inline constexpr auto wave_kind =
    task_kind<Nothing, Nothing>("wave", Effect::database, retry::never);

class Waver : public AgentOf<wave_kind> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run&, const Nothing&) override { return Nothing{}; }
};

inline std::unique_ptr<Engine> open(std::shared_ptr<Storage> storage, Clock& clock) {
  EngineOptions options;
  options.storage = std::move(storage);
  options.clock = &clock;
  return must(Engine::open(std::move(options)));
}
inline bool is_readable(int fd, Duration patience) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, static_cast<int>(patience / 1ms)) == 1;
}
/// Until nothing more rings. Nobody else may be writing.
inline void settle(Engine& engine, int handle) {
  int polls = 0;
  do {
    engine.poll({});
    REQUIRE(++polls < 20);  // it does not ring for itself
  } while (is_readable(handle, 20ms));
}

/// `one` and `other` are two storages over the same rows. Their clock stands still, so that nothing
/// becomes due by itself.
inline void told_of_others(std::shared_ptr<Storage> one, std::shared_ptr<Storage> other,
                           ManualClock& clock) {
  const auto here = open(std::move(one), clock), there = open(std::move(other), clock);
  const Id<Tenant> tenant = must(there->access().create_tenant("Larkfield")).id;
  int heard = 0;
  const auto subscription = must(here->feed().subscribe<Team>(
      here->system(tenant), {}, [&](const RowEvent<Team>&) { ++heard; }));
  std::atomic<int> hinted{0};
  const auto hints = must(here->database().storage().on_commit([&] { ++hinted; }));
  must(here->add(std::make_shared<Waver>()));
  must(here->start_polled());
  const int handle = must(here->wake_handle());
  settle(*here, handle);
  heard = 0;

  hinted = 0;
  Team team;
  team.name = "of another process";
  must(Repository<Team>(there->system(tenant)).insert(team));
  while (heard == 0) {
    REQUIRE(is_readable(handle, 10s));
    here->poll({});
  }
  CHECK(heard == 1);
  CHECK(hinted > 0);
  settle(*here, handle);

  // And work, for a host that polls only when it is rung for.
  const Id<Task> task = must(Tasks(there->system(tenant)).enqueue(wave_kind, {})).id;
  while (must(Tasks(there->system(tenant)).find(task)).status != TaskStatus::completed) {
    REQUIRE(is_readable(handle, 10s));
    here->poll({});
  }
  must(here->stop());
}

}  // namespace others_suite
