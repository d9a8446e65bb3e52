#include "bureau/engine.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "basics.hpp"
#include "bureau/store/memory_storage.hpp"
#include "bureau/store/sqlite_storage.hpp"
#include "bureau/work/tasks.hpp"
#include "engine/others_suite.hpp"

using namespace bureau;
using namespace std::chrono_literals;

namespace {

bool is_readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

constexpr auto idle_kind = task_kind<Nothing, Nothing>("idle", Effect::database, retry::never);

class Idler : public AgentOf<idle_kind> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run&, const Nothing&) override { return Nothing{}; }
};

/// Counts how often it is asked to do what it puts off, and wants that once a minute.
class Keeper : public StorageWrapper {
 public:
  using StorageWrapper::StorageWrapper;
  Result<Duration> maintain() override {
    ++calls;
    return Duration(1min);
  }
  std::atomic<int> calls{0};
};

struct Office {
  ManualClock clock;
  SeededRandom random{7};
  std::shared_ptr<Keeper> keeper = std::make_shared<Keeper>(make_memory_storage(clock));
  std::unique_ptr<Engine> engine = open();
  Tenant tenant = must(engine->access().create_tenant("Larkfield"));

  std::unique_ptr<Engine> open() {
    EngineOptions options;
    options.storage = keeper;
    options.clock = &clock;
    options.random = &random;
    return must(Engine::open(std::move(options)));
  }
  void commit(const std::string& name) {
    Team team;
    team.name = name;
    must(Repository<Team>(engine->system(tenant.id)).insert(team));
  }
  PollResult poll() { return engine->poll({1, Duration::max()}); }
};

}  // namespace

TEST_CASE("A commit rings only where somebody has something to do about it") {
  Office office;
  must(office.engine->start_polled());
  const int fd = must(office.engine->wake_handle());
  office.poll();
  office.clock.advance(100ms);  // commits were seen: maintenance looks once more, and rests
  office.poll();
  office.commit("the first after a quiet time");  // maintenance wants to know
  CHECK(is_readable(fd));
  office.poll();
  CHECK_FALSE(is_readable(fd));
  office.commit("nobody listens");
  CHECK_FALSE(is_readable(fd));
  int heard = 0;
  const auto subscription = must(office.engine->feed().subscribe<Team>(
      office.engine->system(office.tenant.id), {}, [&](const auto&) { ++heard; }));
  CHECK(is_readable(fd));
  office.poll();
  office.commit("heard");
  CHECK(is_readable(fd));
  office.commit("heard, and already rung");
  office.poll();
  CHECK_FALSE(is_readable(fd));
  CHECK(heard == 2);
}

TEST_CASE("An engine is told of what another process commits to its file") {
  const Folder folder;
  ManualClock clock;
  const auto open = [&] {
    SqliteOptions options;
    options.path = folder.file();
    options.clock = &clock;
    return must(open_sqlite(options));
  };
  const auto one = open();
  others_suite::told_of_others(one, open(), clock);
}

TEST_CASE("The deadline of a process's first write holds while another process writes") {
  const Folder folder;
  EngineOptions options;
  options.path = folder.file();
  const Id<Tenant> tenant = must(must(Engine::open(options))->access().create_tenant("L")).id;
  const auto engine = must(Engine::open(options));
  SqliteOptions same;
  same.path = folder.file();
  const auto beside = must(open_sqlite(same));  // to this one the engine is another process
  must(beside->write({}, [&](Writer&) -> Result<void> {
    const Session hasty = engine->system(tenant).with_timeouts(1s, 20ms);
    Team team;
    team.name = "late";
    const auto written = Repository<Team>(hasty).insert(team);
    REQUIRE_FALSE(written);
    CHECK(written.error().code == Code::deadline);
    return {};
  }));
}

TEST_CASE("A descriptor made late tells of what rang before") {
  Office office;
  must(office.engine->start_polled());
  while (office.poll().ran > 0) {
  }
  const auto subscription = must(office.engine->feed().subscribe<Team>(
      office.engine->system(office.tenant.id), {}, [](const auto&) {}));
  const int fd = must(office.engine->wake_handle());
  CHECK(is_readable(fd));
  office.poll();
  CHECK_FALSE(is_readable(fd));
}

TEST_CASE("Maintenance follows commits, and rests when there are none") {
  Office office;
  must(office.engine->start_polled());
  office.poll();
  office.clock.advance(100ms);
  office.poll();
  const int begun = office.keeper->calls;
  CHECK(begun >= 1);
  // Idle: nothing is due before the rescue's five seconds, and no maintenance before its minute.
  for (int i = 0; i < 11; ++i) {
    const Monotonic due = office.poll().next_due;
    CHECK(due - office.clock.monotonic() >= 4s);
    office.clock.advance(5s);
  }
  CHECK(office.keeper->calls == begun);
  // Busy: ten times a second.
  for (int i = 0; i < 20; ++i) {
    office.commit("team " + std::to_string(i));
    CHECK(office.poll().next_due - office.clock.monotonic() <= 100ms);
    office.clock.advance(50ms);
  }
  CHECK(office.keeper->calls >= begun + 8);
  CHECK(office.keeper->calls <= begun + 11);
  // And idle again, after one last look.
  for (int i = 0; i < 3; ++i) {
    office.clock.advance(100ms);
    office.poll();
  }
  const int rested = office.keeper->calls;
  office.clock.advance(30s);
  office.poll();
  CHECK(office.keeper->calls == rested);
  office.clock.advance(31s);
  office.poll();
  CHECK(office.keeper->calls == rested + 1);
}

TEST_CASE("write_async returns at once; poll makes the write and tells of it") {
  Office office;
  must(office.engine->start_polled());
  office.poll();
  office.clock.advance(100ms);
  office.poll();
  const int fd = must(office.engine->wake_handle());
  const Session session = office.engine->system(office.tenant.id);
  const auto name_of = [](std::string name) {
    return [name](Unit& unit) -> Result<Team> {
      Team team;
      team.name = name;
      return Repository<Team>(unit).insert(team);
    };
  };
  std::vector<std::string> told;
  std::function<void(Result<Team>)> done = [&](Result<Team> team) {
    told.push_back(team ? team->name : std::string(to_string(team.error().code)));
    if (team && team->name == "first") {
      must(Repository<Team>(session).change(team->id, [](Team& row) { row.skills = {"x"}; }));
      must(session.write_async(name_of("second"), done));
    }
  };
  must(session.write_async(name_of("first"), done));
  must(session.write_async(name_of("first"), done));
  CHECK(told.empty());
  CHECK(must(Repository<Team>(session).count()) == 0);
  CHECK(is_readable(fd));
  while (office.poll().ran > 0) {
  }
  CHECK(told == std::vector<std::string>{"first", "exists", "second"});
  CHECK(must(Repository<Team>(session).count()) == 2);
}

TEST_CASE("rights of a write that was begun are judged when it is made") {
  Office office;
  must(office.engine->start_polled());
  const Session system = office.engine->system(office.tenant.id);
  User user;
  user.name = user.email = "mia";
  user.role = "manager";
  user.status = UserStatus::active;
  user = must(Repository<User>(system).insert(user));
  const Session mia = must(office.engine->session(office.tenant.id, user.id));
  Code code{};
  must(mia.write_async(
      [](Unit& unit) -> Result<Team> {
        Team team;
        team.name = "hers";
        return Repository<Team>(unit).insert(team);
      },
      [&](Result<Team> made) { code = made ? Code() : made.error().code; }));
  must(Repository<User>(system).change(user.id,
                                       [](User& row) { row.status = UserStatus::disabled; }));
  office.poll();
  CHECK(code == Code::forbidden);
  CHECK(must(Repository<Team>(system).count()) == 0);
}

TEST_CASE("stopping makes what was begun; an engine that nobody started drops it") {
  std::vector<bool> told;
  const auto begin = [&](Office& office) {
    return office.engine->system(office.tenant.id)
        .write_async(
            [](Unit& unit) -> Result<Team> {
              Team team;
              team.name = "late";
              return Repository<Team>(unit).insert(team);
            },
            [&](Result<Team> made) { told.push_back(made.has_value()); });
  };
  {
    Office office;
    must(office.engine->start());
    must(begin(office));
    must(office.engine->stop());
    CHECK(told == std::vector{true});
    const auto refused = begin(office);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unavailable);
  }
  Office office;
  must(begin(office));
  office.engine.reset();
  CHECK(told == std::vector{true, false});
}

TEST_CASE("a null table or agent, and what an agent throws at its beginning, are errors") {
  Office office;
  CHECK(office.engine->add(nullptr).error().code == Code::invalid);
  class Thrower : public Agent {
   public:
    [[nodiscard]] std::string_view name() const override { return "thrower"; }
    [[nodiscard]] std::vector<KindInfo> capabilities() const override { return {}; }
    [[nodiscard]] Result<void> validate(const Task&) const override { return {}; }
    Result<Json> execute(Run&, const Task&) override { return Json(); }
    Result<void> on_initialize() override { throw 5; }
  };
  CHECK(office.engine->add(std::make_shared<Thrower>()).error().code == Code::internal);
  EngineOptions options;
  options.storage = make_memory_storage(office.clock);
  options.clock = &office.clock;
  options.tables = {nullptr};
  CHECK(Engine::open(std::move(options)).error().field == "tables");
}

TEST_CASE("an engine that runs does not go through a fork") {
  const Folder folder;
  EngineOptions options;
  options.path = folder.file();
  auto engine = must(Engine::open(options));
  const Tenant tenant = must(engine->access().create_tenant("Larkfield"));
  must(engine->start());
  Team team;
  team.name = "before";
  const Repository<Team> teams(engine->system(tenant.id));
  must(teams.insert(team));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto written = teams.insert(team);
    const bool refused = !written && written.error().code == Code::invalid;
    const bool stopped = !engine->stop();
    engine.reset();  // must not wait for threads that are the parent's
    ::_exit(refused && stopped ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  team.name = "after";
  CHECK(teams.insert(team));
  must(engine->stop());
  engine.reset();
}

TEST_CASE("stop() ends in time also while another process keeps the write lock") {
  const Folder folder;
  EngineOptions options;
  options.path = folder.file();
  auto engine = must(Engine::open(options));
  const Tenant tenant = must(engine->access().create_tenant("Larkfield"));
  must(engine->add(std::make_shared<Idler>()));
  must(engine->start_polled());
  must(Tasks{engine->system(tenant.id)}.enqueue(idle_kind, {}));
  SqliteOptions same;
  same.path = folder.file();
  const auto beside = must(open_sqlite(same));  // to this one the engine is another process
  std::thread poller;
  must(beside->write({}, [&](Writer&) -> Result<void> {
    poller = std::thread([&] { (void)engine->poll({.tasks = 1}); });
    std::mutex mutex;
    std::condition_variable never;
    Clock& clock = Clock::system();
    {
      std::unique_lock lock(mutex);  // until it waits for the lock to claim the task
      clock.wait_until(lock, never, clock.monotonic() + 200ms);
    }
    const Monotonic begun = clock.monotonic();
    const auto stopped = engine->stop(100ms);
    CHECK(clock.monotonic() - begun < 10s);
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().code == Code::deadline);
    CHECK(stopped.error().message.find("a claim of tasks") != std::string::npos);
    return {};
  }));
  poller.join();
  // What was claimed then is not begun.
  CHECK(must(Tasks{engine->system(tenant.id)}.count(col(&Task::status) == TaskStatus::completed)) ==
        0);
}

TEST_CASE("an engine that is destroyed while it works ends what runs first") {
  for (int round = 0; round < 20; ++round) {
    EngineOptions options;
    options.storage = make_memory_storage(Clock::system());
    auto engine = must(Engine::open(std::move(options)));
    const Tenant tenant = must(engine->access().create_tenant("Larkfield"));
    must(engine->add(std::make_shared<Idler>()));
    must(engine->system(tenant.id).write([&](Unit& unit) -> Result<void> {
      for (int i = 0; i < 100; ++i) BUREAU_TRY_VOID(Tasks{unit}.enqueue(idle_kind, {}));
      return {};
    }));
    must(engine->start());
    engine.reset();
  }
}
