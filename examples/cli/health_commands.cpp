// What is stuck, and is all well: `bureau ps`, `bureau top`, `bureau doctor`.

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>

#include "commands.hpp"

namespace cli {

using namespace bureau;

namespace {

const std::map<std::string, Format> table_or_json{{"table", Format::table}, {"json", Format::json}};

void add_table_or_json(CLI::App& app, Format& format) {
  app.add_option("--format", format, "table or json")
      ->transform(CLI::CheckedTransformer(table_or_json, CLI::ignore_case))
      ->default_str("table");
}

std::string short_time(Duration time) {
  const double seconds = static_cast<double>(time.count()) / 1e6;
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 120) return fmt::format("{:.1f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

std::string megabytes(std::int64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

// --- ps and top ----------------------------------------------------------------------------------

std::string writer_line(const StorageState& storage) {
  if (!storage.writer) return "nobody";
  const StorageState::Writer& w = *storage.writer;
  std::string who = w.here       ? std::string("this process")
                    : w.pid == 0 ? std::string("another process")
                                 : fmt::format("process {}", w.pid);
  if (!w.function.empty()) who += " in " + w.function;
  if (!w.file.empty()) who += fmt::format(" at {}:{}", w.file, w.line);
  if (w.held.count() > 0) who += " for " + short_time(w.held);
  return who;
}

void print_title(std::string_view title) { fmt::print("\n{}\n", title); }

void print_tasks(const Snapshot& snapshot) {
  if (snapshot.tasks.empty()) return;
  print_title("Running tasks");
  RowPrinter printer(Format::table,
                     {"task", "kind", "agent", "attempt", "age", "limit", "node", "progress"});
  for (const HeldTask& held : snapshot.tasks) {
    printer.add(
        {id::to_text(schema<Task>.prefix, held.task.value), held.kind, held.agent,
         std::to_string(held.attempt), short_time(held.age), short_time(held.limit),
         fmt::format("{}{}", held.node, held.here ? " (here)" : ""),
         fmt::format("{:.0f} % {}", held.progress * 100,
                     held.step.empty() ? held.note : fmt::format("[{}] {}", held.step, held.note))},
        {});
  }
  printer.finish();
}

void print_nodes(const Snapshot& snapshot) {
  if (snapshot.nodes.empty()) return;
  print_title("Processes");
  RowPrinter printer(Format::table, {"node", "alive", "tasks", "heartbeats", "last", "agents"});
  for (const NodeState& node : snapshot.nodes) {
    printer.add({fmt::format("{}{}", node.node, node.here ? " (here)" : ""),
                 node.alive ? "yes" : "no", std::to_string(node.held), std::to_string(node.beats),
                 node.heartbeat ? short_time(*node.heartbeat) : "-",
                 fmt::format("{}", fmt::join(node.agents, " "))},
                {});
  }
  printer.finish();
}

void print_queues(const Snapshot& snapshot) {
  if (snapshot.queues.empty()) return;
  print_title("Queues");
  RowPrinter printer(Format::table, {"queue", "ready", "first in line", "waits"});
  for (const QueueState& queue : snapshot.queues) {
    printer.add({queue.queue, std::to_string(queue.ready),
                 id::to_text(schema<Task>.prefix, queue.first.value), short_time(queue.waits)},
                {});
  }
  printer.finish();
}

void print_dead(const Snapshot& snapshot) {
  if (snapshot.dead.empty()) return;
  print_title("Given up, or in doubt");
  RowPrinter printer(Format::table, {"status", "kind", "reason", "count"});
  for (const DeadLetters& letters : snapshot.dead) {
    printer.add({std::string(names<TaskStatus>[static_cast<std::size_t>(letters.status)]),
                 letters.kind, letters.error_code, std::to_string(letters.count)},
                {});
  }
  printer.finish();
}

void print_snapshot(const Snapshot& snapshot) {
  const StorageState& storage = snapshot.storage;
  fmt::print("{}\n", snapshot.at.to_string());
  fmt::print("write lock   {}; {} waiting here\n", without_controls(writer_line(storage)),
             storage.waiting_writers);
  fmt::print("readers      {} here, the longest for {}\n", storage.readers,
             short_time(storage.longest_reader));
  fmt::print("file         {}, log {} in use of {}\n", megabytes(storage.file_bytes),
             megabytes(storage.log_bytes), megabytes(storage.log_file_bytes));
  fmt::print("feed         change {}, {} subscriptions here, {} changes behind\n",
             snapshot.feed_head, snapshot.subscriptions, snapshot.feed_lag);
  fmt::print("scheduled    {}\n", snapshot.scheduled);
  for (const auto& handler : snapshot.stuck) {
    fmt::print("stuck        {}\n", without_controls(handler));
  }
  print_tasks(snapshot);
  print_nodes(snapshot);
  print_queues(snapshot);
  print_dead(snapshot);
}

/// What a log file can hold of a moment.
void print_line(const Snapshot& snapshot) {
  std::uint64_t ready = 0, dead = 0;
  Duration waits{};
  for (const QueueState& queue : snapshot.queues) {
    ready += queue.ready;
    waits = std::max(waits, queue.waits);
  }
  for (const DeadLetters& letters : snapshot.dead) dead += letters.count;
  fmt::print("{} running {} ready {} waits {} scheduled {} dead {} log {} writer {}\n",
             snapshot.at.to_string(), snapshot.tasks.size(), ready, short_time(waits),
             snapshot.scheduled, dead, megabytes(snapshot.storage.log_bytes),
             without_controls(writer_line(snapshot.storage)));
}

struct TopOptions {
  double seconds = 1;
  std::uint64_t count = 0;  ///< 0: until interrupted
};

Result<void> run_top(const Office& office, const TopOptions& options) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::mutex mutex;
  std::condition_variable never;
  const Duration pause(static_cast<std::int64_t>(options.seconds * 1e6));
  for (std::uint64_t shown = 1; !is_interrupted(); ++shown) {
    BUREAU_TRY(const Snapshot snapshot, office.engine->snapshot());
    if (terminal) {
      fmt::print("\x1b[H\x1b[2J");
      print_snapshot(snapshot);
    } else {
      print_line(snapshot);
    }
    std::fflush(stdout);
    if (shown == options.count) break;
    const Monotonic until = Clock::system().monotonic() + pause;
    while (!is_interrupted() && Clock::system().monotonic() < until) {
      std::unique_lock lock(mutex);
      Clock::system().wait_until(
          lock, never,
          std::min(until, Clock::system().monotonic() + std::chrono::milliseconds(100)));
    }
  }
  return {};
}

// --- doctor --------------------------------------------------------------------------------------

struct Finding {
  enum class Grade { good, warning, bad } grade = Grade::good;
  std::string check, text;
};
std::string_view grade_name(Finding::Grade grade) {
  return grade == Finding::Grade::good      ? "ok"
         : grade == Finding::Grade::warning ? "warning"
                                            : "bad";
}

class Doctor {
 public:
  Doctor(const Office& office, std::string path, Duration patience)
      : office_(office), path_(std::move(path)), patience_(patience) {}

  void look(std::int64_t pid) {
    versions();
    settings();
    permissions();
    integrity();
    space();
    clock();
    copies(pid);
    work();
  }
  [[nodiscard]] const std::vector<Finding>& findings() const { return findings_; }

 private:
  using Grade = Finding::Grade;
  void add(Grade grade, std::string check, std::string text) {
    findings_.push_back({grade, std::move(check), std::move(text)});
  }

  /// The rows of a statement of one column.
  Result<std::vector<std::string>> ask(std::string text) {
    SqlQuery query;
    query.text = std::move(text);
    query.timeout = patience_;
    std::vector<std::string> answers;
    BUREAU_TRY_VOID(office_.engine->sql(
        query, [&](std::span<const std::string>, std::span<const Value> row) -> Result<bool> {
          answers.push_back(row[0].kind() == Value::Kind::integer
                                ? std::to_string(row[0].as_integer())
                                : std::string(row[0].is_null() ? "" : row[0].as_text()));
          return true;
        }));
    return answers;
  }
  std::string one(const std::string& text) {
    auto answers = ask(text);
    if (!answers || answers->empty()) return "?";
    return answers->front();
  }

  void versions() {
    add(Grade::good, "version",
        fmt::format("bureau {}.{}.{}", BUREAU_VERSION_MAJOR, BUREAU_VERSION_MINOR,
                    BUREAU_VERSION_PATCH));
    const std::string version = one("SELECT sqlite_version()");
    std::array<int, 3> numbers{};
    const char* at = version.data();
    const char* const end = at + version.size();
    for (int& number : numbers) {
      at = std::from_chars(at, end, number).ptr;
      if (at != end) ++at;  // the dot
    }
    if (numbers <= std::array{3, 51, 2}) {
      add(Grade::good, "sqlite",
          fmt::format(
              "{}; it can lose pages when a checkpoint runs beside a commit that resets the "
              "log (up to 3.51.2): bureau's lock file keeps the two apart, other programs "
              "that write to the file do not",
              version));
    } else {
      add(Grade::good, "sqlite", version);
    }
  }

  void settings() {
    const std::string mode = one("PRAGMA journal_mode");
    add(mode == "wal" ? Grade::good : Grade::bad, "settings",
        fmt::format("journal_mode {}, format {}, pages of {} bytes, {} of them free of {}", mode,
                    one("PRAGMA user_version"), one("PRAGMA page_size"),
                    one("PRAGMA freelist_count"), one("PRAGMA page_count")));
  }

  void permissions() {
    bool all_good = true;
    for (const char* suffix : {"", "-wal", "-shm", "-lock", "-nodes", "-wake"}) {
      const std::string file = path_ + suffix;
      struct stat status {};
      if (::stat(file.c_str(), &status) != 0) continue;
      if ((status.st_mode & 077) == 0 && status.st_uid == ::geteuid()) continue;
      all_good = false;
      add(Grade::warning, "permissions",
          status.st_uid != ::geteuid()
              ? fmt::format("{}: it belongs to another user ({})", file, status.st_uid)
              : fmt::format("{}: mode {:04o}; chmod 600 keeps others out", file,
                            status.st_mode & 07777));
    }
    if (all_good) add(Grade::good, "permissions", "nobody but the owner may use the files");
  }

  void integrity() {
    auto answers = ask("PRAGMA integrity_check(10)");
    if (!answers) {
      const bool late = answers.error().code == Code::deadline;
      add(late ? Grade::warning : Grade::bad, "integrity",
          late ? "not finished in time; --seconds gives it more" : answers.error().message);
      return;
    }
    const bool good = answers->size() == 1 && answers->front() == "ok";
    add(good ? Grade::good : Grade::bad, "integrity",
        good ? "the file is whole"
             : fmt::format("damaged, restore a backup: {}", fmt::join(*answers, "; ")));
  }

  void space() {
    std::error_code error;
    const auto folder = std::filesystem::absolute(path_, error).parent_path();
    const auto space = std::filesystem::space(folder, error);
    if (error) return add(Grade::warning, "space", error.message());
    const auto free = static_cast<std::int64_t>(space.available);
    const std::int64_t least = 256 << 20;
    add(free < least ? Grade::warning : Grade::good, "space",
        fmt::format("{} free{}", megabytes(free),
                    free < least ? "; a log that cannot grow makes writes fail" : ""));
  }

  void clock() {
    const std::string newest = one("SELECT at FROM bureau_journal ORDER BY id DESC LIMIT 1");
    const Timestamp now = Clock::system().now();
    std::int64_t last = 0;
    std::from_chars(newest.data(), newest.data() + newest.size(), last);
    const Duration ahead(last - now.micros());
    if (ahead > std::chrono::minutes(1)) {
      add(Grade::bad, "clock",
          fmt::format("{}; the newest change was made {} later: the clock was set back, or a "
                      "machine's is wrong",
                      now.to_string(), short_time(ahead)));
    } else {
      add(Grade::good, "clock", now.to_string());
    }
  }

  /// Which files with SQLite in them a process has loaded.
  void copies(std::int64_t pid) {
    const std::string of = pid == 0 ? std::string("self") : std::to_string(pid);
    std::ifstream maps("/proc/" + of + "/maps");
    if (!maps) {
      return add(Grade::warning, "copies", fmt::format("process {} cannot be looked into", of));
    }
    std::set<std::string> found;
    for (std::string line; std::getline(maps, line);) {
      const auto slash = line.find('/');
      if (slash == std::string::npos) continue;
      const std::string file = line.substr(slash);
      const std::string name = file.substr(file.rfind('/') + 1);
      // The library, Python's module, Qt's plug-in; a database's own files are no copies.
      if (name.find(".so") != std::string::npos && name.find("sqlite") != std::string::npos) {
        found.insert(file);
      }
    }
    const bool several = found.size() > 1;
    add(several ? Grade::warning : Grade::good, "copies",
        fmt::format("process {} has loaded {}{}", of,
                    found.empty() ? std::string("no SQLite as a library")
                                  : fmt::format("{}", fmt::join(found, ", ")),
                    several ? "; only one of them may open the office (docs/sqlite.md)" : ""));
  }

  void work() {
    auto snapshot = office_.engine->snapshot();
    if (!snapshot) return add(Grade::bad, "work", snapshot.error().message);
    const std::int64_t log = snapshot->storage.log_bytes;
    add(log > (64 << 20) ? Grade::warning : Grade::good, "log",
        fmt::format("{} in use{}", megabytes(log),
                    log > (64 << 20) ? "; a reader that stays open keeps it from shrinking" : ""));
    std::uint64_t dead = 0, doubtful = 0;
    for (const DeadLetters& letters : snapshot->dead) {
      (letters.status == TaskStatus::dead ? dead : doubtful) += letters.count;
    }
    add(dead + doubtful > 0 ? Grade::warning : Grade::good, "tasks",
        fmt::format("{} running, {} given up, {} in doubt", snapshot->tasks.size(), dead,
                    doubtful));
  }

  const Office& office_;
  std::string path_;
  Duration patience_;
  std::vector<Finding> findings_;
};

struct DoctorOptions {
  std::int64_t pid = 0;
  double seconds = 60;
  Format format = Format::table;
};

Result<void> run_doctor(const Office& office, const Settings& settings,
                        const DoctorOptions& options) {
  if (settings.on_server()) {
    return fail(Code::invalid, "doctor: looks at an office's file; this one is on a server",
                "office");
  }
  Doctor doctor(office, settings.office,
                Duration(static_cast<std::int64_t>(options.seconds * 1e6)));
  doctor.look(options.pid);
  Json all = Json::array();
  std::size_t bad = 0;
  for (const Finding& finding : doctor.findings()) {
    const std::string grade(grade_name(finding.grade));
    if (finding.grade == Finding::Grade::bad) ++bad;
    if (options.format == Format::json) {
      all.push_back(
          Json::object({{"check", finding.check}, {"grade", grade}, {"text", finding.text}}));
    } else {
      fmt::print("{:<9}{:<13}{}\n", grade, finding.check, without_controls(finding.text));
    }
  }
  if (options.format == Format::json) fmt::print("{}\n", printable(all));
  std::fflush(stdout);
  if (bad == 0) return {};
  return fail(Code::corrupt, fmt::format("{}: {} of {} checks are bad", settings.office, bad,
                                         doctor.findings().size()));
}

}  // namespace

void add_health_commands(CLI::App& app, const InOffice& any, const Settings& settings) {
  const InOffice in_office = for_whole_office(any);
  auto format = std::make_shared<Format>(Format::table);
  auto* ps = app.add_subcommand("ps", "what runs, what waits, who holds the write lock");
  add_table_or_json(*ps, *format);
  ps->callback(in_office([format](Office& office) -> Result<void> {
    BUREAU_TRY(const Snapshot snapshot, office.engine->snapshot());
    if (*format == Format::json) {
      fmt::print("{}\n", printable(to_json(snapshot)));
    } else {
      print_snapshot(snapshot);
    }
    return {};
  }));

  auto top_options = std::make_shared<TopOptions>();
  auto* top = app.add_subcommand("top", "the same, again and again until interrupted");
  top->add_option("--seconds", top_options->seconds, "between two looks")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 3600.0));
  top->add_option("--count", top_options->count, "stop after so many looks; 0: never")
      ->capture_default_str();
  top->callback(in_office([top_options](Office& office) { return run_top(office, *top_options); }));

  auto doctor_options = std::make_shared<DoctorOptions>();
  auto* doctor = app.add_subcommand("doctor", "looks whether all is well; exit code 1 if not");
  doctor->add_option("--pid", doctor_options->pid, "a process whose copies of SQLite to look for");
  doctor->add_option("--seconds", doctor_options->seconds, "how long one check may take")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 86400.0));
  add_table_or_json(*doctor, doctor_options->format);
  doctor->callback(in_office([doctor_options, &settings](Office& office) {
    return run_doctor(office, settings, *doctor_options);
  }));
}

}  // namespace cli
