// Several processes share one server: their limits, schedules, calls to the outside and feed, while
// they are killed and stopped, and the server with them. What is true at the end: no limit was ever
// exceeded, each occurrence fired once, no call was made twice, a subscriber that was killed has
// heard of each change once, in order. `postgres_office_kill_test --rounds N --seed S`.

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "bureau/bureau.hpp"
#include "bureau/store/postgres_storage.hpp"
#include "kill/arguments.hpp"
#include "kill/processes.hpp"
#include "postgres/server.hpp"

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
BUREAU_DEFINE_ENTITY(office_kill::Mark);

namespace {

using namespace bureau;
using namespace std::chrono_literals;
using office_kill::Mark;

constexpr std::size_t workers_at_a_time = 3;
constexpr std::uint64_t limit = 3;  // of the 9 threads
constexpr std::uint64_t open_at_most = 40;
constexpr Duration missed = 2min;  // by the schedule, before anybody works
constexpr Duration longest_settling = 2min;

constexpr auto narrow = task_kind<Nothing, Nothing>(
    "narrow", Effect::database, retry::fixed(1'000'000, 10ms), "narrow", 2min, RunAs::enqueuer);
constexpr auto tick = task_kind<Nothing, Nothing>(
    "tick", Effect::database, retry::fixed(1'000'000, 10ms), "default", 2min, RunAs::enqueuer);
constexpr auto call = task_kind<Nothing, Nothing>("call", Effect::external_unsafe, retry::never);

// What tasks do ----------------------------------------------------------------------------------

Result<Nothing> leave_mark(Run& run) {
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

Result<std::unique_ptr<Engine>> open(const std::string& connection, Clock* clock = nullptr) {
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

int work(const std::string& connection, const std::string& calls) {
  const auto engine = begin_patiently([&]() -> Result<std::unique_ptr<Engine>> {
    BUREAU_TRY(auto begun, open(connection));
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
std::vector<Heard> heard_in(const std::string& file) {
  std::vector<Heard> all;
  std::ifstream lines(file);
  for (Heard one; lines >> one.sequence >> one.id;) all.push_back(one);
  return all;
}

int listen(const std::string& connection, const std::string& file, Id<Tenant> tenant) {
  const int log = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  FeedSubscription subscription;
  const auto engine = begin_patiently([&]() -> Result<std::unique_ptr<Engine>> {
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

// The judge --------------------------------------------------------------------------------------

class Trial {
 public:
  Trial(std::string program, std::uint64_t seed) : program_(std::move(program)), random_(seed) {
    if (::mkdtemp(folder_.data()) == nullptr) give_up("no temporary folder to be had");
    prepare();
    engine_ = must(open(connection()));
    for (std::size_t i = 0; i < workers_at_a_time; ++i) start_worker();
    start_listener();
  }

  void round() {
    enqueue();
    watch(std::chrono::microseconds(random_.below(80'000)));
    if (++rounds_ % 4 == 0) {
      server_.stop(postgres_test::Server::Stop::immediate);
      server_.start();
      ++crashes;
      return;
    }
    if (rounds_ % 4 == 1) {
      listener_->kill();
      start_listener();
      ++kills;
    }
    const std::size_t which = random_.below(workers_.size());
    if (random_.below(4) > 0) {
      workers_[which]->kill();
      workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(which));
      start_worker();
      ++kills;
    } else {
      workers_[which]->send(SIGSTOP);
      pause(std::chrono::milliseconds(random_.below(1000)));
      workers_[which]->send(SIGCONT);
      ++stops;
    }
  }

  std::vector<std::string> judge() {
    settle();
    expect(listener_->end(), "the subscriber did not end well");
    for (auto& worker : workers_) expect(worker->end(), "a worker did not end well");
    check_tasks();
    check_occurrences();
    check_feed();
    expect(most_running_ == limit,
           fmt::format("G11: {} ran at a time at most, and {} may", most_running_, limit));
    return std::move(wrong_);
  }
  void clean() const { std::filesystem::remove_all(folder_); }

  int kills = 0, stops = 0, crashes = 0;
  std::size_t occurrences = 0, calls = 0, doubts = 0, heard = 0;

 private:
  [[nodiscard]] std::string connection() const { return database_.conninfo(); }
  [[nodiscard]] std::string calls_file() const { return folder_ + "/calls"; }
  [[nodiscard]] std::string feed_file() const { return folder_ + "/feed"; }
  [[nodiscard]] Session system() const { return engine_->system(tenant_.id); }
  [[nodiscard]] std::uint64_t count(const Predicate& where) const {
    return must(Tasks(system()).count(where));
  }
  void expect(bool holds, const std::string& what) {
    if (!holds) wrong_.push_back(what);
  }

  /// Two minutes ago, by a clock of its own: what the schedule has missed is to be caught up with.
  void prepare() {
    ManualClock past(Clock::system().now() - missed);
    engine_ = must(open(connection(), &past));
    tenant_ = must(engine_->access().create_tenant("kills"));
    must(FlowRules(system()).limit({.scope = {.queue = "narrow"}, .at_most = limit}));
    schedule_ = must(Schedules(system()).save({.name = "every second",
                                               .expression = "* * * * * *",
                                               .catch_up = CatchUp::all,
                                               .overlap = Overlap::queue},
                                              tick, Nothing{}));
    engine_.reset();
  }
  void start_worker() {
    workers_.push_back(std::make_unique<Process>(
        Process::Arguments{program_, "--worker", connection(), calls_file()}));
  }
  void start_listener() {
    listener_ = std::make_unique<Process>(Process::Arguments{
        program_, "--listener", connection(), feed_file(), std::to_string(tenant_.id.value)});
  }

  void enqueue() {
    const Tasks tasks(system());
    const std::uint64_t open_now = count(col(&Task::status) < TaskStatus::in_doubt);
    for (std::uint64_t i = open_now; i < open_at_most; ++i) {
      must(i % 4 == 0 ? tasks.enqueue(call, Nothing{}) : tasks.enqueue(narrow, Nothing{}));
    }
  }

  /// Looks how many run at a time, for so long.
  void watch(Duration time) {
    const Clock& clock = Clock::system();
    const Monotonic end = clock.monotonic() + time;
    do {
      most_running_ = std::max(most_running_, count(col(&Task::kind) == std::string("narrow") &&
                                                    col(&Task::status) == TaskStatus::running));
    } while (clock.monotonic() < end);
  }

  /// Without further disturbance everything comes to its end.
  void settle() {
    const Clock& clock = Clock::system();
    const Monotonic deadline = clock.monotonic() + longest_settling;
    const auto in_time = [&] { return clock.monotonic() < deadline; };
    const auto next = [&] { return must(Schedules(system()).named("every second")).next_at; };
    while (next() < clock.now() && in_time()) watch(5ms);
    must(Schedules(system()).pause(schedule_.id));
    while (count(col(&Task::status) < TaskStatus::in_doubt) > 0 && in_time()) watch(5ms);
    const std::size_t marks = rows<Mark>().size();
    while (heard_in(feed_file()).size() < marks && in_time()) pause(5ms);
  }

  template <class T>
  std::vector<T> rows() {
    std::vector<T> all;
    must(engine_->database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      all.clear();
      return reader.scan(Select{&table_of<T>(), {}, {}},
                         [&](std::span<const Value> values) -> Result<bool> {
                           from_values(values, all.emplace_back());
                           return true;
                         });
    }));
    return all;
  }

  void check_tasks() {
    std::map<std::int64_t, int> marks, made;
    for (const Mark& mark : rows<Mark>()) ++marks[mark.task];
    std::ifstream lines(calls_file());
    for (std::int64_t task = 0; lines >> task;) ++made[task];
    for (const Task& task : rows<Task>()) {
      const std::string name =
          fmt::format("task {} ({}, {})", task.id.value, task.kind,
                      names<TaskStatus>[static_cast<std::size_t>(task.status)]);
      const bool completed = task.status == TaskStatus::completed;
      if (task.kind == "call") {
        calls += static_cast<std::size_t>(made[task.id.value]);
        doubts += completed ? 0 : 1;
        expect(completed || task.status == TaskStatus::in_doubt, "G7: " + name);
        expect(completed ? made[task.id.value] == 1 : made[task.id.value] <= 1,
               fmt::format("G7: {} made {} calls", name, made[task.id.value]));
        continue;
      }
      expect(completed, "G5: " + name + ": " + task.error.value_or("not finished in time"));
      expect(marks[task.id.value] == 1,
             fmt::format("G3: {} left {} marks", name, marks[task.id.value]));
    }
  }

  /// One after the other, a second apart, each with a task of its own.
  void check_occurrences() {
    auto all = rows<ScheduleOccurrence>();
    occurrences = all.size();
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.due_at < b.due_at; });
    std::set<std::int64_t> tasks;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::string name = "G12: the occurrence of " + all[i].due_at.to_string();
      expect(i == 0 || all[i].due_at - all[i - 1].due_at == 1s, name + " is not the next");
      expect(all[i].outcome == OccurrenceOutcome::fired && all[i].task, name + " did not fire");
      if (all[i].task)
        expect(tasks.insert(all[i].task->value).second, name + " has another's task");
    }
    const std::uint64_t ticks = count(col(&Task::kind) == std::string("tick"));
    expect(ticks == all.size() && ticks * 1s >= missed,
           fmt::format("G12: {} tasks of {} occurrences", ticks, all.size()));
  }

  void check_feed() {
    std::set<std::int64_t> marks;
    for (const Mark& mark : rows<Mark>()) marks.insert(mark.id.value);
    std::int64_t last = 0;
    for (const Heard& one : heard_in(feed_file())) {
      expect(one.sequence > last, fmt::format("G9: {} was told after {}", one.sequence, last));
      expect(marks.erase(one.id) == 1, fmt::format("G9: {} told of {}", one.sequence, one.id));
      last = one.sequence;
      ++heard;
    }
    expect(marks.empty(), fmt::format("G9: {} changes were not told", marks.size()));
  }

  postgres_test::Server server_;
  postgres_test::Database database_ = server_.create_database();
  std::string folder_ = (std::filesystem::temp_directory_path() / "office-kill-XXXXXX").string();
  std::string program_;
  SeededRandom random_;
  std::unique_ptr<Engine> engine_;
  Tenant tenant_;
  Schedule schedule_;
  std::vector<std::unique_ptr<Process>> workers_;
  std::unique_ptr<Process> listener_;
  int rounds_ = 0;
  std::uint64_t most_running_ = 0;
  std::vector<std::string> wrong_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--worker") return work(argv[2], argv[3]);
  if (argc == 5 && std::string_view(argv[1]) == "--listener") {
    return listen(argv[2], argv[3], Id<Tenant>(std::atoll(argv[4])));
  }
  const Arguments arguments = read_arguments(argc, argv, "postgres_office_kill_test", 12);
  fmt::print("postgres_office_kill_test: {} rounds, seed {}\n", arguments.rounds, arguments.seed);
  std::fflush(stdout);
  if (!postgres_test::Server::programs()) {
    fmt::print("skipped: no PostgreSQL server is installed (or set BUREAU_POSTGRES_BIN)\n");
    return 0;
  }
  ::signal(SIGPIPE, SIG_IGN);
  Trial trial(argv[0], arguments.seed);
  for (int i = 0; i < arguments.rounds; ++i) trial.round();
  const auto wrong = trial.judge();
  constexpr std::size_t most_shown = 20;
  for (std::size_t i = 0; i < std::min(wrong.size(), most_shown); ++i) {
    fmt::print("FAILED: {}\n", wrong[i]);
  }
  fmt::print(
      "postgres_office_kill_test: {} kills, {} stops, {} crashes of the server; {} occurrences, {} "
      "calls ({} tasks in doubt), {} changes heard; {} failures\n",
      trial.kills, trial.stops, trial.crashes, trial.occurrences, trial.calls, trial.doubts,
      trial.heard, wrong.size());
  if (wrong.empty()) trial.clean();
  return wrong.empty() ? 0 : 1;
}
