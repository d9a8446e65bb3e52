// Several processes share one server: their limits, schedules, calls to the outside and feed, while
// they are killed and stopped, and the server with them. What is true at the end: no limit was ever
// exceeded, each occurrence fired once, no call was made twice, a subscriber that was killed has
// heard of each change once, in order. `postgres_office_kill_test --rounds N --seed S`. After
// `--machines` each is on a machine of its own, whose clock is wrong and too fast or slow, whose
// cable loses and delays what it carries and is pulled out, and whose power is cut: the others hear
// nothing of its end. After `--standby` another server follows the first, and takes over for good
// when that crashes or, on machines, loses its power.

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kill/arguments.hpp"
#include "kill/processes.hpp"
#include "kill/watchdog.hpp"
#include "postgres/above/machines.hpp"
#include "postgres/above/office_workers.hpp"
#include "postgres/server.hpp"

BUREAU_DEFINE_ENTITY(office_kill::Mark);

namespace {

using namespace bureau;
using namespace std::chrono_literals;
using namespace office_kill;
using postgres_test::Machines;

constexpr std::size_t workers_at_a_time = 3;
constexpr std::uint64_t limit = 3;  // of the 9 threads
constexpr std::uint64_t open_at_most = 40;
constexpr std::int64_t clocks_wrong_by_seconds = 30;
constexpr Duration missed = 2min;  // by the schedule, before anybody works
constexpr Duration longest_settling = 2min;

// The judge --------------------------------------------------------------------------------------

class Trial {
 public:
  Trial(std::string program, std::uint64_t seed, std::unique_ptr<Machines> machines, bool standby)
      : machines_(std::move(machines)),
        server_(start_server(standby)),
        database_(server_->create_database()),
        program_(std::move(program)),
        random_(seed) {
    if (standby) start_standby();
    if (::mkdtemp(folder_.data()) == nullptr) give_up("no temporary folder to be had");
    prepare();
    engine_ = must(open(connection()));
    for (std::size_t i = 0; i < workers_at_a_time; ++i) start_worker();
    start_listener();
  }

  void round() {
    watchdog_.begin(fmt::format("round {}", rounds_ + 1));
    enqueue();
    watch(std::chrono::microseconds(random_.below(machines_ ? 800'000 : 80'000)));
    if (++rounds_ % 4 == 0) {
      crash_server();
      ++crashes;
      return;
    }
    if (rounds_ % 4 == 1) {
      kill(listener_);
      start_listener();
    }
    const std::size_t which = random_.below(workers_.size());
    if (random_.below(4) > 0) {
      kill(workers_[which]);
      workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(which));
      start_worker();
    } else {
      interrupt(workers_[which]);
    }
  }

  std::vector<std::string> judge() {
    if (machines_) {
      watchdog_.begin("a power cut in a write");
      lose_power_in_a_write();
    }
    settle();
    watchdog_.begin("the end of the others");
    expect(listener_.process->end(), "the subscriber did not end well");
    for (auto& worker : workers_) expect(worker.process->end(), "a worker did not end well");
    watchdog_.begin("the judgement");
    check_tasks();
    check_occurrences();
    check_feed();
    // Behind slow cables it may be that never so many are seen at once.
    expect(machines_ ? most_running_ <= limit : most_running_ == limit,
           fmt::format("G11: {} ran at a time at most, and {} may", most_running_, limit));
    return std::move(wrong_);
  }
  void clean() const { std::filesystem::remove_all(folder_); }

  int kills = 0, power_cuts = 0, stops = 0, cable_cuts = 0, crashes = 0;
  std::size_t occurrences = 0, calls = 0, doubts = 0, heard = 0;

 private:
  /// Who may be on a machine of its own.
  struct Other {
    std::unique_ptr<Process> process;
    int machine = 0;
  };

  /// Of the server, and of the one that follows it if there is any.
  [[nodiscard]] postgres_test::Address address() const {
    auto address = database_.address();
    if (standby_) {
      const auto other = standby_->admin();
      address.more = fmt::format("host='{},{}' port={},{} ", address.host, other.host, address.port,
                                 other.port);
    }
    return address;
  }
  [[nodiscard]] std::string connection() const { return address().conninfo(); }
  /// What has lost its power is noticed sooner than usual.
  [[nodiscard]] std::string connection_from_afar() const {
    auto from_afar = address();
    if (machines_) {
      from_afar.more +=
          "keepalives_idle=1 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=4000 "
          "connect_timeout=4";
    }
    return from_afar.conninfo();
  }
  [[nodiscard]] std::string calls_file() const { return folder_ + "/calls"; }
  [[nodiscard]] std::string feed_file() const { return folder_ + "/feed"; }
  [[nodiscard]] Session system() const { return engine_->system(tenant_.id); }
  [[nodiscard]] std::uint64_t count(const Predicate& where) const {
    return patiently([&] { return Tasks(system()).count(where); });
  }
  void expect(bool holds, const std::string& what) {
    if (!holds) wrong_.push_back(what);
  }

  /// On a machine of its own where there are any and another is to follow it.
  [[nodiscard]] std::unique_ptr<postgres_test::Server> start_server(bool standby) {
    if (!machines_) return std::make_unique<postgres_test::Server>();
    postgres_test::ServerOptions options;
    options.address = Machines::server;
    options.network = Machines::network;
    if (!standby) return std::make_unique<postgres_test::Server>(options);
    machine_of_server_ = machines_->add();
    options.address = Machines::address(machine_of_server_);
    std::unique_ptr<postgres_test::Server> server;
    machines_->at(machine_of_server_,
                  [&] { server = std::make_unique<postgres_test::Server>(options); });
    return server;
  }
  void start_standby() {
    postgres_test::ServerOptions options;
    options.primary = server_.get();
    if (machines_) {
      options.address = Machines::server;
      options.network = Machines::network;
    }
    standby_ = std::make_unique<postgres_test::Server>(options);
    server_->wait_for_standby();
  }
  /// What was acknowledged is on the standby too.
  void crash_server() {
    if (!standby_ || taken_over_) {
      auto& server = taken_over_ ? *standby_ : *server_;
      server.stop(postgres_test::Server::Stop::immediate);
      server.start();
      return;
    }
    if (machines_) machines_->cut(machine_of_server_);
    server_->crash();
    standby_->promote();
    taken_over_ = true;
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
  Other start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program_);
    Other other;
    const auto spawn = [&] { other.process = std::make_unique<Process>(std::move(arguments)); };
    if (!machines_) {
      spawn();
      return other;
    }
    other.machine = machines_->add();
    machines_->on(other.machine, spawn);
    return other;
  }
  void start_worker() {
    const std::int64_t ahead =
        machines_ ? static_cast<std::int64_t>(random_.below(clocks_wrong_by_seconds * 2)) -
                        clocks_wrong_by_seconds
                  : 0;
    workers_.push_back(
        start({"--worker", connection_from_afar(), calls_file(), std::to_string(ahead)}));
  }
  void start_listener() {
    listener_ = start(
        {"--listener", connection_from_afar(), feed_file(), std::to_string(tenant_.id.value)});
  }
  void kill(Other& other) {
    if (machines_ && random_.below(3) == 0) return cut_power(other);
    other.process->kill();
    if (machines_) {
      pause(10ms);  // the end of its connections is on the way
      machines_->remove(other.machine);
    }
    ++kills;
  }
  void cut_power(Other& other) {
    machines_->cut(other.machine);
    other.process->kill();
    machines_->remove(other.machine);
    ++power_cuts;
  }
  /// Only the server can find out; the subscriber has to hear of what is enqueued afterwards. Not
  /// before: who met too many others waits for this write, and keeps all out who come later.
  void lose_power_in_a_write() {
    const std::string file = folder_ + "/held";
    Other holder = start({"--holder", connection_from_afar(), file});
    const Clock& clock = Clock::system();
    const Monotonic deadline = clock.monotonic() + longest_settling;
    while (!std::filesystem::exists(file)) {
      if (clock.monotonic() >= deadline) give_up("nobody began a write on a machine");
      pause(1ms);
    }
    cut_power(holder);
    enqueue();
  }
  void interrupt(Other& other) {
    const bool cable = machines_ && random_.below(2) == 0;
    if (cable) {
      machines_->cut(other.machine);
      pause(std::chrono::milliseconds(random_.below(6000)));
      machines_->join(other.machine);
      ++cable_cuts;
      return;
    }
    other.process->send(SIGSTOP);
    pause(std::chrono::milliseconds(random_.below(1000)));
    other.process->send(SIGCONT);
    ++stops;
  }

  void enqueue() {
    const Tasks tasks(system());
    const std::uint64_t open_now = count(col(&Task::status) < TaskStatus::in_doubt);
    for (std::uint64_t i = open_now; i < open_at_most; ++i) {
      patiently([&] {
        return i % 4 == 0 ? tasks.enqueue(call, Nothing{}) : tasks.enqueue(narrow, Nothing{});
      });
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
    watchdog_.begin("settling");
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

  std::unique_ptr<Machines> machines_;  ///< null: all are on this one
  int machine_of_server_ = 0;
  std::unique_ptr<postgres_test::Server> server_, standby_;
  std::atomic<bool> taken_over_{false};
  postgres_test::Database database_;
  Watchdog watchdog_{[this] { return (taken_over_ ? standby_ : server_)->sessions(); }};
  std::string folder_ = (std::filesystem::temp_directory_path() / "office-kill-XXXXXX").string();
  std::string program_;
  SeededRandom random_;
  std::unique_ptr<Engine> engine_;
  Tenant tenant_;
  Schedule schedule_;
  std::vector<Other> workers_;
  Other listener_;
  int rounds_ = 0;
  std::uint64_t most_running_ = 0;
  std::vector<std::string> wrong_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string program = argv[0];
  if (argc == 5 && std::string_view(argv[1]) == "--worker") {
    return work(argv[2], argv[3], std::chrono::seconds(std::atoll(argv[4])));
  }
  if (argc == 4 && std::string_view(argv[1]) == "--holder") return hold(argv[2], argv[3]);
  if (argc == 5 && std::string_view(argv[1]) == "--listener") {
    return listen(argv[2], argv[3], Id<Tenant>(std::atoll(argv[4])));
  }
  bool on_machines = false, standby = false;
  for (; argc > 1; --argc, ++argv) {
    const std::string_view flag = argv[1];
    if (flag != "--machines" && flag != "--standby") break;
    (flag == "--machines" ? on_machines : standby) = true;
  }
  const Arguments arguments =
      read_arguments(argc, argv, "postgres_office_kill_test [--machines] [--standby]", 12);
  fmt::print("postgres_office_kill_test: {} rounds, seed {}\n", arguments.rounds, arguments.seed);
  std::fflush(stdout);
  if (!postgres_test::Server::programs()) {
    fmt::print("skipped: no PostgreSQL server is installed (or set BUREAU_POSTGRES_BIN)\n");
    return 0;
  }
  if (standby && !postgres_test::Server::can_follow()) {
    fmt::print("no standby: there is no pg_basebackup beside the server\n");
    standby = false;
  }
  ::signal(SIGPIPE, SIG_IGN);
  auto machines = on_machines ? Machines::make() : nullptr;
  if (on_machines && !machines) {
    fmt::print("skipped: network namespaces take root's rights and the program ip\n");
    return 0;
  }
  Trial trial(program, arguments.seed, std::move(machines), standby);
  for (int i = 0; i < arguments.rounds; ++i) trial.round();
  const auto wrong = trial.judge();
  constexpr std::size_t most_shown = 20;
  for (std::size_t i = 0; i < std::min(wrong.size(), most_shown); ++i) {
    fmt::print("FAILED: {}\n", wrong[i]);
  }
  fmt::print(
      "postgres_office_kill_test: {} kills, {} power cuts, {} stops, {} cables pulled, {} crashes "
      "of "
      "the server; {} occurrences, {} calls ({} tasks in doubt), {} changes heard; {} failures\n",
      trial.kills, trial.power_cuts, trial.stops, trial.cable_cuts, trial.crashes,
      trial.occurrences, trial.calls, trial.doubts, trial.heard, wrong.size());
  if (wrong.empty()) trial.clean();
  return wrong.empty() ? 0 : 1;
}
