// Kills processes that work on one office together, and stops others for a while, at random moments
// under load; then looks at what is there: each run has done each of its effects once, all have
// completed, nothing is left. `run_kill_test --rounds N --seed S`; a round is a kill or a stop.
//
// Built with BUREAU_KILL_POSTGRES the office is on a PostgreSQL server of the program's own, and
// one round in four is a restart of the server as after a crash.

#include <fmt/format.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "bureau/bureau.hpp"
#include "kill/arguments.hpp"
#include "kill/processes.hpp"
#include "kill/watchdog.hpp"
#ifdef BUREAU_KILL_POSTGRES
#include "bureau/store/postgres_storage.hpp"
#include "postgres/server.hpp"
#endif

namespace run_kill {

/// What a run has done, one row for each of its effects: rows are added, and never looked up.
struct Entry {
  bureau::Id<Entry> id;
  bureau::Id<bureau::Tenant> tenant;
  std::int64_t task = 0;
  std::string effect;
  std::int64_t version = 0;
  bureau::Timestamp created_at, updated_at;
};

struct Job {
  std::int64_t seed = 0, depth = 0;
};
struct Sum {
  std::int64_t value = 0;
};

}  // namespace run_kill

template <>
inline constexpr auto bureau::schema<run_kill::Entry> = bureau::table(
    "ledger", "lgr", bureau::journal::full, bureau::column("id", &run_kill::Entry::id),
    bureau::column("tenant", &run_kill::Entry::tenant),
    bureau::column("task", &run_kill::Entry::task),
    bureau::column("effect", &run_kill::Entry::effect, bureau::max_length(40)),
    bureau::column("version", &run_kill::Entry::version),
    bureau::column("created_at", &run_kill::Entry::created_at),
    bureau::column("updated_at", &run_kill::Entry::updated_at));
template <>
inline constexpr auto bureau::record<run_kill::Job> = bureau::fields(
    bureau::column("seed", &run_kill::Job::seed), bureau::column("depth", &run_kill::Job::depth));
template <>
inline constexpr auto bureau::record<run_kill::Sum> =
    bureau::fields(bureau::column("value", &run_kill::Sum::value));
BUREAU_DECLARE_ENTITY(run_kill::Entry);
BUREAU_DEFINE_ENTITY(run_kill::Entry);

namespace {

using namespace bureau;
using namespace std::chrono_literals;
using run_kill::Entry;
using run_kill::Job;
using run_kill::Sum;

constexpr Duration heartbeat = 200ms;
constexpr std::size_t workers_at_a_time = 3;
constexpr std::uint64_t open_at_most = 60;
constexpr Duration longest_settling = 2min;

constexpr auto job = task_kind<Job, Sum>("job", Effect::database, retry::fixed(1'000'000, 10ms),
                                         "default", 2min, RunAs::enqueuer);

// What a run does --------------------------------------------------------------------------------

enum class Op { work, effect, sleep, wait, children, approval };
enum class End { result, effects, effects_later };

struct Plan {
  std::vector<Op> ops;
  End end = End::result;
};

/// All follows from the payload: every attempt does the same, and the judge knows what.
Plan plan_of(const Job& payload) {
  SeededRandom random(static_cast<std::uint64_t>(payload.seed));
  Plan plan;
  const std::uint64_t count = random.below(5);  // none: a short task
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto op = static_cast<Op>(random.below(6));
    plan.ops.push_back(op == Op::children && payload.depth == 0 ? Op::effect : op);
  }
  plan.end = static_cast<End>(random.below(3));
  return plan;
}

Job child_of(const Job& payload, std::size_t place, int which) {
  const auto at = static_cast<std::int64_t>(place);
  return {(payload.seed * 31 + at * 7 + which) % 1'000'000'007, payload.depth - 1};
}

Result<void> note(Unit& unit, Id<Task> task, const std::string& effect) {
  Entry entry;
  entry.task = task.value;
  entry.effect = effect;
  BUREAU_TRY_VOID(Repository<Entry>(unit).insert(entry));
  return {};
}

Result<std::int64_t> perform(Run& run, const Job& payload, Op op, std::size_t place) {
  const std::string name = "op " + std::to_string(place);
  const Id<Task> self = run.task().id;
  switch (op) {
    case Op::work:
      return run.step(name, []() -> Result<std::int64_t> { return 1; });
    case Op::effect:
      return run.step(name, [&](Unit& unit) -> Result<std::int64_t> {
        BUREAU_TRY_VOID(note(unit, self, name));
        return 1;
      });
    case Op::sleep:
      BUREAU_TRY_VOID(run.sleep(20ms));
      return 1;
    case Op::wait: {
      BUREAU_TRY(const auto said, run.wait_for(Signal<Sum>{name}));
      return said ? said->value : 0;
    }
    case Op::children: {
      std::vector<Child<Sum>> children;
      for (int i = 0; i < 2; ++i) {
        BUREAU_TRY(const auto child, run.spawn(job, child_of(payload, place, i)));
        children.push_back(child);
      }
      BUREAU_TRY(const auto ends, run.join_all(children));
      std::int64_t value = 1;
      for (const auto& end : ends) {
        BUREAU_TRY(const Sum part, end);
        value += part.value;
      }
      return value;
    }
    case Op::approval: {
      const Json what = Json::object({{"op", static_cast<std::int64_t>(place)}});
      BUREAU_TRY(const Verdict verdict, run.approval({.title = name, .subject = what}, name));
      return run.step("use " + name, [&](Unit& unit) -> Result<std::int64_t> {
        BUREAU_TRY_VOID(Approvals::use(unit, verdict.approval, what));
        BUREAU_TRY_VOID(note(unit, self, name));
        return 1;
      });
    }
  }
  return 0;
}

class Doer final : public AgentOf<job> {
 public:
  using AgentOf::execute;
  Result<Sum> execute(Run& run, const Job& payload) override {
    const Plan plan = plan_of(payload);
    Sum sum{1};
    for (std::size_t place = 0; place < plan.ops.size(); ++place) {
      BUREAU_TRY(const std::int64_t value, perform(run, payload, plan.ops[place], place));
      sum.value += value;
    }
    const auto last = [sum, self = run.task().id](Unit& unit) -> Result<Sum> {
      BUREAU_TRY_VOID(note(unit, self, "end"));
      return sum;
    };
    if (plan.end == End::effects) return run.complete(last);
    if (plan.end == End::effects_later) return run.complete_later(last);
    return sum;
  }
};

Result<std::unique_ptr<Engine>> open(const std::string& path) {
  EngineOptions options;
#ifdef BUREAU_KILL_POSTGRES
  PostgresOptions server;
  server.connection = path;
  BUREAU_TRY(options.storage, open_postgres(server));
#else
  options.path = path;
  options.durability = Durability::relaxed;  // a kill is no power cut
#endif
  options.tables = {&table_of<Entry>()};
  options.threads = 3;
  options.work.heartbeat = heartbeat;
  return Engine::open(std::move(options));
}

Result<std::unique_ptr<Engine>> begin(const std::string& path) {
  BUREAU_TRY(auto engine, open(path));
  BUREAU_TRY_VOID(engine->add(std::make_shared<Doer>()));
  BUREAU_TRY_VOID(engine->start());
  return engine;
}

int work(const std::string& path) {
  const auto engine = patiently([&] { return begin(path); });
  wait_for_end_of_input();
  must(engine->stop());
  return 0;
}

// Where the offices are --------------------------------------------------------------------------

/// Gives each office a place, which open() takes.
class Places {
 public:
#ifdef BUREAU_KILL_POSTGRES
  std::string next() {
    databases_.push_back(server_.create_database());
    return databases_.back().conninfo();
  }
  /// True when it did something.
  bool disturb() {
    if (++rounds_ % 4 != 0) return false;
    server_.stop(postgres_test::Server::Stop::immediate);
    server_.start();
    return true;
  }
  void clean() { databases_.clear(); }
  /// For a test that hangs.
  [[nodiscard]] std::string sessions() const { return server_.sessions(); }
  [[nodiscard]] static std::string name() { return "the server has gone"; }

 private:
  postgres_test::Server server_;
  std::vector<postgres_test::Database> databases_;
  int rounds_ = 0;
#else
  Places() {
    if (::mkdtemp(folder_.data()) == nullptr) give_up("no temporary folder to be had");
  }
  std::string next() { return fmt::format("{}/office-{}.db", folder_, ++offices_); }
  static bool disturb() { return false; }
  void clean() const { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::string sessions() const { return name(); }
  [[nodiscard]] std::string name() const { return "the files are in " + folder_; }

 private:
  std::string folder_ = (std::filesystem::temp_directory_path() / "run-kill-XXXXXX").string();
  int offices_ = 0;
#endif
};

// The judge --------------------------------------------------------------------------------------

class Trial {
 public:
  Trial(std::string program, Places& places, std::uint64_t seed)
      : places_(places), program_(std::move(program)), path_(places.next()), random_(seed) {
    engine_ = must(open(path_));
    tenant_ = must(engine_->access().create_tenant("kills"));
    for (std::size_t i = 0; i < workers_at_a_time; ++i) start_one();
  }

  void round() {
    enqueue();
    speak();
    pause(std::chrono::microseconds(random_.below(60'000)));
    if (places_.disturb()) {
      ++crashes;
      return;
    }
    const std::size_t which = random_.below(workers_.size());
    if (random_.below(3) > 0) {
      workers_[which]->kill();
      workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(which));
      start_one();
      ++kills;
      return;
    }
    // Half of the stops are so long that its tasks are taken from it while it stands still. Nothing
    // is written from here meanwhile: it may hold the lock of the file.
    workers_[which]->send(SIGSTOP);
    pause(std::chrono::milliseconds(random_.below(1000)));
    workers_[which]->send(SIGCONT);
    ++stops;
  }

  /// Without further disturbance everything comes to its end. Returns what does not hold.
  std::vector<std::string> judge() {
    const Clock& clock = Clock::system();
    const Monotonic deadline = clock.monotonic() + longest_settling;
    while (count(col(&Task::status) < TaskStatus::completed) > 0) {
      if (clock.monotonic() >= deadline) {
        say_why();
        break;
      }
      speak();
      pause(5ms);
    }
    for (auto& worker : workers_) {
      if (!worker->end()) wrong_.emplace_back("a worker did not end well");
    }
    workers_.clear();
    check();
    return std::move(wrong_);
  }

  int kills = 0, stops = 0, crashes = 0;
  std::size_t effects = 0;

 private:
  [[nodiscard]] Session system() const { return engine_->system(tenant_.id); }
  [[nodiscard]] std::uint64_t count(const Predicate& where) const {
    return must(Tasks(system()).count(where));
  }

  /// Of each task that has not come to its end, before the workers give back what they hold.
  void say_why() {
    Query open_ones;
    open_ones.where = col(&Task::status) < TaskStatus::completed;
    for (const Task& task : must(Tasks(system()).list(open_ones))) {
      wrong_.push_back(fmt::format("{} {}, attempt {}: {}", task.id.value,
                                   names<TaskStatus>[static_cast<std::size_t>(task.status)],
                                   task.attempt, to_json(must(why(system(), task.id))).dump()));
    }
  }

  void start_one() {
    workers_.push_back(std::make_unique<Process>(Process::Arguments{program_, "--worker", path_}));
  }

  void enqueue() {
    const std::uint64_t open_now = count(col(&Task::status) < TaskStatus::completed);
    for (std::uint64_t i = open_now; i < open_at_most; ++i) {
      const Job payload{static_cast<std::int64_t>(random_.below(1'000'000'007)), 1};
      tasks_.emplace(must(Tasks(system()).enqueue(job, payload)).id.value, payload);
    }
  }

  /// Says to runs what they wait for or will, and decides what they ask.
  void speak() {
    Query open_ones;
    open_ones.where = col(&Task::status) < TaskStatus::completed;
    open_ones.limit = 1000;
    for (const Task& task : must(Tasks(system()).list(open_ones))) {
      if (!spoken_to_.insert(task.id.value).second) continue;
      const Plan plan = plan_of(must(record_from_json<Job>(task.payload)));
      for (std::size_t place = 0; place < plan.ops.size(); ++place) {
        if (plan.ops[place] != Op::wait) continue;
        const std::string name = "op " + std::to_string(place);
        auto said = Runs(system()).signal(task.id, Signal<Sum>{name}, Sum{1}, name);
        if (!said && said.error().code != Code::conflict) must(std::move(said));
      }
    }
    for (const Approval& asked : must(Approvals(system()).list())) {
      auto decided = Approvals(system()).decide(asked.id, true);
      if (!decided && decided.error().code != Code::conflict) must(std::move(decided));
    }
  }

  using Effects = std::map<std::string, int>;

  /// What a task with this payload must have left; its value.
  static std::int64_t expected(const Job& payload, Effects& effects_of_it) {
    const Plan plan = plan_of(payload);
    std::int64_t value = 1;
    for (std::size_t place = 0; place < plan.ops.size(); ++place) {
      const Op op = plan.ops[place];
      ++value;
      if (op == Op::effect || op == Op::approval) ++effects_of_it["op " + std::to_string(place)];
      if (op != Op::children) continue;
      for (int i = 0; i < 2; ++i) {
        Effects of_child;  // the child's own affair
        value += expected(child_of(payload, place, i), of_child);
      }
    }
    if (plan.end != End::result) ++effects_of_it["end"];
    return value;
  }
  static std::size_t tasks_of(const Job& payload) {
    const Plan plan = plan_of(payload);
    std::size_t tasks = 1;
    for (std::size_t place = 0; place < plan.ops.size(); ++place) {
      if (plan.ops[place] != Op::children) continue;
      for (int i = 0; i < 2; ++i) tasks += tasks_of(child_of(payload, place, i));
    }
    return tasks;
  }

  void check() {
    std::map<std::int64_t, Effects> done;
    std::size_t rows = 0;
    must(system().read([&](View& view) -> Result<int> {
      BUREAU_TRY_VOID(view.reader().scan(Select{&table_of<Entry>(), {}, {}},
                                         [&](std::span<const Value> values) -> Result<bool> {
                                           Entry entry;
                                           from_values(values, entry);
                                           ++done[entry.task][entry.effect];
                                           ++rows;
                                           return true;
                                         }));
      return 0;
    }));
    std::size_t tasks = 0, wanted = 0;
    must(system().read([&](View& view) -> Result<int> {
      BUREAU_TRY_VOID(view.reader().scan(Select{&table_of<Task>(), {}, {}},
                                         [&](std::span<const Value> values) -> Result<bool> {
                                           Task task;
                                           from_values(values, task);
                                           ++tasks;
                                           check(task, done[task.id.value], wanted);
                                           return true;
                                         }));
      return 0;
    }));
    std::size_t all_tasks = 0;
    for (const auto& [id, payload] : tasks_) all_tasks += tasks_of(payload);
    if (tasks != all_tasks) wrong_.push_back(fmt::format("{} tasks, not {}", tasks, all_tasks));
    if (rows != wanted) wrong_.push_back(fmt::format("{} effects, not {}", rows, wanted));
    effects = rows;
  }

  void check(const Task& task, const Effects& done, std::size_t& wanted) {
    const Job payload = must(record_from_json<Job>(task.payload));
    Effects effects_of_it;
    const std::int64_t value = expected(payload, effects_of_it);
    for (const auto& [name, times] : effects_of_it) wanted += static_cast<std::size_t>(times);
    const std::string name = fmt::format("task {} (seed {})", task.id.value, payload.seed);
    if (task.status != TaskStatus::completed) {
      wrong_.push_back(fmt::format("{} is {}: {}", name,
                                   names<TaskStatus>[static_cast<std::size_t>(task.status)],
                                   task.error.value_or("it was not finished in time")));
    } else if (must(record_from_json<Sum>(*task.result)).value != value) {
      wrong_.push_back(name + " has a wrong result");
    }
    if (done != effects_of_it) {
      std::string had;
      for (const auto& [effect, times] : done) had += fmt::format(" {} x {}", times, effect);
      wrong_.push_back(fmt::format("{} has made{}", name, had));
    }
  }

  Places& places_;
  std::string program_, path_;
  SeededRandom random_;
  std::unique_ptr<Engine> engine_;
  Tenant tenant_;
  std::vector<std::unique_ptr<Process>> workers_;
  std::map<std::int64_t, Job> tasks_;
  std::set<std::int64_t> spoken_to_;
  std::vector<std::string> wrong_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--worker") return work(argv[2]);
  const Arguments arguments = read_arguments(argc, argv, "run_kill_test", 8);
  fmt::print("run_kill_test: {} rounds, seed {}\n", arguments.rounds, arguments.seed);
  std::fflush(stdout);
#ifdef BUREAU_KILL_POSTGRES
  if (!postgres_test::Server::programs()) {
    fmt::print("skipped: no PostgreSQL server is installed (or set BUREAU_POSTGRES_BIN)\n");
    return 0;
  }
#endif
  ::signal(SIGPIPE, SIG_IGN);
  Places places;
  Watchdog watchdog([&] { return places.sessions(); });
  constexpr int rounds_of_an_office = 50;
  int kills = 0, stops = 0, crashes = 0;
  std::size_t effects = 0;
  std::vector<std::string> wrong;
  for (int done = 0; done < arguments.rounds && wrong.empty();) {
    Trial trial(argv[0], places, arguments.seed + static_cast<std::uint64_t>(done));
    for (int i = 0; i < rounds_of_an_office && done < arguments.rounds; ++i, ++done) {
      watchdog.begin(fmt::format("round {}", done + 1));
      trial.round();
    }
    watchdog.begin("the judgement");
    wrong = trial.judge();
    kills += trial.kills;
    stops += trial.stops;
    crashes += trial.crashes;
    effects += trial.effects;
  }
  for (const std::string& what : wrong) fmt::print("FAILED: {}\n", what);
  fmt::print(
      "run_kill_test: {} kills, {} stops, {} crashes of a server, {} effects, each once; {} "
      "failures\n",
      kills, stops, crashes, effects, wrong.size());
  if (wrong.empty()) {
    places.clean();
    return 0;
  }
  fmt::print("run_kill_test: {}; seed {}\n", places.name(), arguments.seed);
  return 1;
}
