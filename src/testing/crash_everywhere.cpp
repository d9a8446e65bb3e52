#include "bureau/testing/crash_everywhere.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bureau/store/memory_storage.hpp"
#include "bureau/testing/faulty_storage.hpp"
#include "bureau/testing/rerun_storage.hpp"
#include "bureau/work/schedule.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

namespace {

constexpr std::size_t trace_length = 20;

/// Writes down where each write came from.
class Tracer final : public StorageWrapper {
 public:
  Tracer(std::shared_ptr<Storage> inner, std::vector<std::string>& trace)
      : StorageWrapper(std::move(inner)), trace_(trace) {}
  Result<void> write(const WriteOptions& options, WriteClosure closure) override {
    std::string_view file = options.where.file;
    if (const auto folder = file.rfind('/'); folder != std::string_view::npos) {
      file.remove_prefix(folder + 1);
    }
    trace_.push_back(fmt::format("{} ({}:{})", options.where.function, file, options.where.line));
    return StorageWrapper::write(options, closure);
  }

 private:
  std::vector<std::string>& trace_;
};

/// When the process dies. After that nothing reaches the storage.
struct Death {
  std::uint64_t at = 0;  // the commit, from 1; 0: never
  Fault::At how = Fault::At::before;
  bool armed = false;
  bool dead = false;
  std::uint64_t commits = 0;

  std::optional<Fault> operator()(bool is_write) {
    if (dead) return Fault{Fault::At::before, 1, Code::unavailable};
    if (!is_write || !armed || ++commits != at) return std::nullopt;
    dead = true;
    return Fault{how, 1, Code::unavailable};
  }
};

class Trial {
 public:
  Trial(const CrashScenario& scenario, std::uint64_t dies_at, Fault::At how)
      : scenario_(scenario), random_(scenario.seed), storage_(make_memory_storage(clock_)) {
    death_.at = dies_at;
    death_.how = how;
  }

  /// The scenario's own error, or what does not hold in `broken`.
  Result<void> run(std::string& broken) {
    const Monotonic end = clock_.monotonic() + scenario_.horizon;
    BUREAU_TRY(auto first, open());
    BUREAU_TRY_VOID(scenario_.begin(*first));
    BUREAU_TRY_VOID(live(std::move(first), end));
    if (death_.dead) {
      death_.armed = death_.dead = false;
      BUREAU_TRY(auto second, open());
      BUREAU_TRY_VOID(live(std::move(second), end));
    }
    death_.armed = false;
    BUREAU_TRY(auto last, open());
    if (auto holds = scenario_.check(*last); !holds) broken = holds.error().message;
    return {};
  }
  [[nodiscard]] std::uint64_t commits() const { return death_.commits; }
  /// Where the last commits before the death came from.
  [[nodiscard]] std::vector<std::string> trace() const { return trace_of_death_; }

 private:
  Result<std::unique_ptr<Engine>> open() {
    trace_.clear();
    EngineOptions options;
    options.storage = std::make_shared<Tracer>(
        std::make_shared<FaultyStorage>(std::make_shared<RerunStorage>(storage_),
                                        [this](bool is_write, std::uint64_t) {
                                          const bool was_alive = !death_.dead;
                                          auto fault = death_(is_write);
                                          if (fault && was_alive) remember_death();
                                          return fault;
                                        }),
        trace_);
    options.tables = scenario_.tables;
    options.policies = scenario_.policies;
    options.clock = &clock_;
    options.random = &random_;
    // Who is dead is known at once; virtual time need not stop for heartbeats.
    options.work.heartbeat = std::chrono::hours(1);
    options.work.batch = 1;
    return Engine::open(std::move(options));
  }

  void remember_death() {
    const std::size_t from = trace_.size() > trace_length ? trace_.size() - trace_length : 0;
    trace_of_death_.assign(trace_.begin() + static_cast<std::ptrdiff_t>(from), trace_.end());
  }

  /// One life: until it dies, there is nothing more to do, or the time is over.
  Result<void> live(std::unique_ptr<Engine> engine, Monotonic end) {
    BUREAU_TRY_VOID(scenario_.agents(*engine));
    BUREAU_TRY_VOID(engine->start_polled());
    death_.armed = death_.commits == 0;
    while (!death_.dead) {
      const PollResult result = engine->poll({.tasks = 1});
      if (death_.dead) break;
      if (result.ran > 0) continue;
      BUREAU_TRY(const bool busy, has_work(*engine));
      if (!busy || result.next_due > end) break;
      clock_.advance(std::max(Duration(1), result.next_due - clock_.monotonic()));
    }
    return {};
  }

  /// Whether anything will happen by itself.
  static Result<bool> has_work(Engine& engine) {
    bool busy = false;
    BUREAU_TRY_VOID(engine.database().read(Monotonic::never(), [&](Reader& reader) -> Result<void> {
      const auto look = [&](const Select& which) {
        return reader.scan(which, [&](std::span<const Value>) -> Result<bool> {
          busy = true;
          return false;
        });
      };
      busy = false;
      BUREAU_TRY_VOID(
          look(select<Task>().where(col(&Task::status) < TaskStatus::in_doubt).limit(1)));
      if (busy) return {};
      return look(
          select<Schedule>().where(col(&Schedule::status) == ScheduleStatus::active).limit(1));
    }));
    return busy;
  }

  const CrashScenario& scenario_;
  ManualClock clock_;
  SeededRandom random_;
  std::shared_ptr<Storage> storage_;
  Death death_;
  std::vector<std::string> trace_, trace_of_death_;
};

}  // namespace

std::string CrashReport::to_string() const {
  if (good()) {
    return fmt::format("{} crashes at {} commits, seed {}: all held", crashes, commits, seed);
  }
  const Failure& first = failures.front();
  std::string text = first.commit == 0
                         ? fmt::format("without a crash, seed {}: {}\n", seed, first.error)
                         : fmt::format("crash {} commit {} of {}, seed {}: {}\n", first.how,
                                       first.commit, commits, seed, first.error);
  for (const auto& line : first.trace) text += "  " + line + "\n";
  return text;
}

Result<CrashReport> crash_everywhere(const CrashScenario& scenario) {
  CrashReport report;
  report.seed = scenario.seed;
  std::string broken;
  Trial whole(scenario, 0, Fault::At::before);
  BUREAU_TRY_VOID(whole.run(broken));
  report.commits = whole.commits();
  if (!broken.empty()) {
    report.failures.push_back({0, "", broken, {}});
    return report;
  }
  for (std::uint64_t at = 1; at <= report.commits; ++at) {
    for (const Fault::At how : {Fault::At::before, Fault::At::unknown_kept}) {
      broken.clear();
      Trial trial(scenario, at, how);
      BUREAU_TRY_VOID(trial.run(broken));
      ++report.crashes;
      if (broken.empty()) continue;
      report.failures.push_back(
          {at, how == Fault::At::before ? "before" : "after", broken, trial.trace()});
    }
  }
  return report;
}

}  // namespace testing

BUREAU_END_NAMESPACE
