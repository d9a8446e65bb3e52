// A host's own log sink: one JSON object a line, from a level on, as log collectors want it.

#include <atomic>
#include <bureau/bureau.hpp>
#include <cstdio>
#include <mutex>

using namespace bureau;

/// Called from any thread, also at the same time. Must not throw and should not block, and keeps
/// no view: they are gone when the call returns.
class JsonLines {
 public:
  JsonLines(std::FILE* file, LogLevel from) : file_(file), from_(from) {}

  void write(const LogRecord& record) noexcept {
    if (record.level < from_) return;
    try {
      Json line = Json::object({{"level", to_string(record.level)},
                                {"source", record.source},
                                {"message", record.message}});
      for (const LogField& field : record.fields) {
        if (field.name == "task") continue;  // an id: each run of this example has another
        line.set(field.name,
                 std::visit([](const auto& value) { return Json(value); }, field.value));
      }
      const std::string text = line.dump();
      const std::lock_guard lock(mutex_);
      std::fprintf(file_, "%s\n", text.c_str());
    } catch (...) {
      lost_.fetch_add(1);  // a log that cannot be written must not stop the office
    }
  }
  [[nodiscard]] int lost() const { return lost_.load(); }

 private:
  std::FILE* file_;
  LogLevel from_;
  std::mutex mutex_;
  std::atomic<int> lost_{0};
};

inline constexpr auto sweep =
    task_kind<Nothing, Nothing>("sweep", Effect::database, retry::exponential(5));

/// What a handler logs goes the same way, with its task's name beside it.
class Sweeper : public AgentOf<sweep> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Nothing&) override {
    run.log(LogLevel::debug, "looking under the table");
    run.log(LogLevel::info, "swept");
    return Nothing{};
  }
};

inline constexpr auto polish =
    task_kind<Nothing, Nothing>("polish", Effect::database, retry::exponential(5));
class Polisher : public AgentOf<polish> {
 public:
  using AgentOf::execute;
  Result<void> on_start() override { return fail(Code::unavailable, "there is no wax"); }
  Result<Nothing> execute(Run&, const Nothing&) override { return Nothing{}; }
};

Result<void> clean_up(const char* path, JsonLines& lines) {
  EngineOptions options;
  options.path = path;
  options.log = [&lines](const LogRecord& record) { lines.write(record); };
  BUREAU_TRY(auto office, Engine::open(std::move(options)));
  BUREAU_TRY(auto tenant, office->access().create_tenant("Larkfield"));
  BUREAU_TRY_VOID(office->add(std::make_shared<Sweeper>()));
  BUREAU_TRY_VOID(office->add(std::make_shared<Polisher>()));
  BUREAU_TRY_VOID(office->start_polled());
  BUREAU_TRY_VOID(Tasks{office->system(tenant.id)}.enqueue(sweep, {}));
  while (office->poll({.tasks = 10}).ran > 0) {
  }
  return office->stop();
}

int main(int argc, char** argv) {
  JsonLines lines(stdout, LogLevel::info);
  const auto done = clean_up(argc > 1 ? argv[1] : "office.db", lines);
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done && lines.lost() == 0 ? 0 : 1;
}
