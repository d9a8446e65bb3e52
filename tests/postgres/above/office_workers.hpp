#pragma once

// The processes of postgres_office_kill_test, and what their tasks do.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bureau/bureau.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "kill/processes.hpp"

namespace office_kill {

/// What a task has done, one row for each time: rows are added, and never looked up.
struct Mark {
  bureau::Id<Mark> id;
  bureau::Id<bureau::Tenant> tenant;
  std::int64_t task = 0;
  std::int64_t version = 0;
  bureau::Timestamp created_at, updated_at;
};

}  // namespace office_kill

template <>
inline constexpr auto bureau::schema<office_kill::Mark> = bureau::table(
    "marks", "mrk", bureau::journal::full, bureau::column("id", &office_kill::Mark::id),
    bureau::column("tenant", &office_kill::Mark::tenant),
    bureau::column("task", &office_kill::Mark::task),
    bureau::column("version", &office_kill::Mark::version),
    bureau::column("created_at", &office_kill::Mark::created_at),
    bureau::column("updated_at", &office_kill::Mark::updated_at));
BUREAU_DECLARE_ENTITY(office_kill::Mark);

namespace office_kill {

using namespace bureau;
using namespace std::chrono_literals;

inline constexpr auto narrow = task_kind<Nothing, Nothing>(
    "narrow", Effect::database, retry::fixed(1'000'000, 10ms), "narrow", 2min, RunAs::enqueuer);
inline constexpr auto tick = task_kind<Nothing, Nothing>(
    "tick", Effect::database, retry::fixed(1'000'000, 10ms), "default", 2min, RunAs::enqueuer);
inline constexpr auto call =
    task_kind<Nothing, Nothing>("call", Effect::external_unsafe, retry::never);

// What tasks do ----------------------------------------------------------------------------------

inline Result<Nothing> leave_mark(Run& run) {
  return run.complete([&](Unit& unit) -> Result<Nothing> {
    Mark mark;
    mark.task = run.task().id.value;
    BUREAU_TRY_VOID(Repository<Mark>(unit).insert(mark));
    return Nothing{};
  });
}

class Narrow final : public AgentOf<narrow> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    pause(5ms);
    return leave_mark(run);
  }
};
class Tick final : public AgentOf<tick> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override { return leave_mark(run); }
};

/// The outside world is a file: a line a call.
class Caller final : public AgentOf<call> {
 public:
  explicit Caller(const std::string& file)
      : file_(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) {}
  ~Caller() override { ::close(file_); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    const std::string line = fmt::format("{}\n", run.task().id.value);
    if (::write(file_, line.data(), line.size()) < 0) return fail(Code::internal, "no outside");
    pause(5ms);
    return Nothing{};
  }

 private:
  int file_;
};

// The processes ----------------------------------------------------------------------------------

/// The system's, so much ahead, and too fast by as many thousandths. Never destroyed.
class WrongClock final : public Clock {
 public:
  explicit WrongClock(std::chrono::seconds ahead) : ahead_(ahead) {}
  [[nodiscard]] Timestamp now() const override {
    return system().now() + ahead_ + (monotonic() - begun_) * ahead_.count() / 1000;
  }
  [[nodiscard]] Monotonic monotonic() const override { return system().monotonic(); }
  bool wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                  Monotonic deadline) override {
    return system().wait_until(lock, condition, deadline);
  }

 private:
  std::chrono::seconds ahead_;
  Monotonic begun_ = system().monotonic();
};

inline Result<std::unique_ptr<Engine>> open(const std::string& connection, Clock* clock = nullptr) {
  EngineOptions options;
  PostgresOptions server;
  server.connection = connection;
  BUREAU_TRY(options.storage, open_postgres(server));
  options.clock = clock;
  options.tables = {&table_of<Mark>()};
  options.threads = 3;
  options.work.heartbeat = 200ms;
  return Engine::open(std::move(options));
}

inline int work(const std::string& connection, const std::string& calls,
                std::chrono::seconds ahead) {
  static WrongClock clock(ahead);
  const auto engine = patiently([&]() -> Result<std::unique_ptr<Engine>> {
    BUREAU_TRY(auto begun, open(connection, &clock));
    BUREAU_TRY_VOID(begun->add(std::make_shared<Narrow>()));
    BUREAU_TRY_VOID(begun->add(std::make_shared<Tick>()));
    BUREAU_TRY_VOID(begun->add(std::make_shared<Caller>(calls)));
    BUREAU_TRY_VOID(begun->start());
    return begun;
  });
  wait_for_end_of_input();
  must(engine->stop());
  return 0;
}

struct Heard {
  std::int64_t sequence = 0, id = 0;
};
/// What a subscriber has written down, a line an event. It goes on behind the last one.
inline std::vector<Heard> heard_in(const std::string& file) {
  std::vector<Heard> all;
  std::ifstream lines(file);
  for (Heard one; lines >> one.sequence >> one.id;) all.push_back(one);
  return all;
}

inline int listen(const std::string& connection, const std::string& file, Id<Tenant> tenant) {
  const int log = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  FeedSubscription subscription;
  const auto engine = patiently([&]() -> Result<std::unique_ptr<Engine>> {
    BUREAU_TRY(auto begun, open(connection));
    const auto before = heard_in(file);
    BUREAU_TRY(subscription, begun->feed().subscribe(
                                 begun->system(tenant), table_of<Mark>(),
                                 {.after = before.empty() ? 0 : before.back().sequence},
                                 [log](const FeedEvent& event) {
                                   // Anything but a new row has no id.
                                   const auto id = event.kind == FeedKind::insert ? event.id : 0;
                                   const std::string line =
                                       fmt::format("{} {}\n", event.sequence, id);
                                   if (::write(log, line.data(), line.size()) < 0)
                                     give_up("cannot write down");
                                 }));
    BUREAU_TRY_VOID(begun->start());
    return begun;
  });
  wait_for_end_of_input();
  subscription.end();
  must(engine->stop());
  return 0;
}

/// Stands still for ever in the midst of a write, with a number of the journal: until it is over,
/// nobody hears of what was committed behind it.
inline int hold(const std::string& connection, const std::string& file) {
  PostgresOptions options;
  options.connection = connection;
  options.idle_in_transaction = {};
  const auto storage = patiently([&] { return open_postgres(options); });
  must(storage->write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY_VOID(writer.draw_sequence(1));
    std::ofstream(file) << "held";
    wait_for_end_of_input();
    return {};
  }));
  return 0;
}

}  // namespace office_kill
