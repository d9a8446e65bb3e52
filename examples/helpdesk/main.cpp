// A day at a help desk: messages of a CSV file become tickets, agents triage, route and answer them
// through the durable queue, and what they are not sure of is left for people. See README.md.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "latency.hpp"
#include "summary.hpp"

namespace {

using namespace bureau;
using namespace helpdesk;

struct Options {
  std::string inbox, train, office;
  bool json = false, skip_bad = false, latency = false, no_latency = false, print_imported = false;
  unsigned threads = 32;  // handlers wait for commits, and those who wait together share one
  std::size_t batch = 256;
};

constexpr std::uint64_t latency_tickets = 20'000;

/// A folder that goes when it does.
class ScratchFolder {
 public:
  static Result<std::unique_ptr<ScratchFolder>> make() {
    std::error_code error;
    std::string name = (std::filesystem::temp_directory_path(error) / "helpdesk-XXXXXX").string();
    if (error || ::mkdtemp(name.data()) == nullptr) {
      return fail(Code::unavailable, "no folder for temporary files can be made: " + name);
    }
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(std::move(name)));
  }
  ~ScratchFolder() {
    std::error_code error;
    std::filesystem::remove_all(name_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] std::string file(const char* name) const { return name_ + "/" + name; }

 private:
  explicit ScratchFolder(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

/// One line that is written over, on a terminal only.
class ProgressLine {
 public:
  ProgressLine() : shown_(::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() { clear(); }
  void show(const std::string& text) {
    if (!shown_) return;
    fmt::print(stderr, "\r\x1b[K{}", text);
    std::fflush(stderr);
    dirty_ = true;
  }
  void clear() {
    if (dirty_) fmt::print(stderr, "\r\x1b[K");
    dirty_ = false;
  }

 private:
  bool shown_, dirty_ = false;
};

/// The folder of the sample files: in the source tree, or beside the program.
std::string data_folder() {
  std::error_code error;
  if (std::filesystem::exists(std::string(HELPDESK_DATA) + "/inbox.csv", error)) {
    return HELPDESK_DATA;
  }
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / "data").string();
}

/// What people read goes to stdout; with --json that is kept for the last line.
class Voice {
 public:
  explicit Voice(bool json) : out_(json ? stderr : stdout) {}
  void say(const std::string& text) const {
    fmt::print(out_, "{}\n", text);
    std::fflush(out_);
  }

 private:
  std::FILE* out_;
};

template <class Row>
void report_bad(const Voice& voice, const CsvRows<Row>& rows) {
  for (const BadRow& bad : rows.bad) voice.say("left out: " + bad.what);
}

Result<void> run(const Options& options) {
  const Voice voice(options.json);
  ProgressLine line;
  const std::string data = data_folder();
  const std::string inbox_path = options.inbox.empty() ? data + "/inbox.csv" : options.inbox;
  const std::string train_path = options.train.empty() ? data + "/train.csv" : options.train;
  // All files are read, and every rule about them asked, before the office is touched.
  BUREAU_TRY(const auto inbox, read_inbox(inbox_path, options.skip_bad));
  BUREAU_TRY(const auto examples, read_examples(train_path, options.skip_bad));
  report_bad(voice, examples);
  report_bad(voice, inbox);

  const bool wanted = options.latency || options.json || !options.inbox.empty();
  const bool measure = wanted && !options.no_latency;
  std::unique_ptr<ScratchFolder> scratch;
  if (measure || options.office.empty()) {
    BUREAU_TRY(scratch, ScratchFolder::make());
  }
  DeskOptions desk_options;
  desk_options.path = options.office.empty() ? scratch->file("office.db") : options.office;
  desk_options.threads = options.threads;
  desk_options.log = [](const LogRecord& record) {
    if (record.level < LogLevel::error) return;
    std::string text =
        fmt::format("{}: {}: {}", to_string(record.level), record.source, record.message);
    for (const LogField& field : record.fields) {
      if (const auto* detail = std::get_if<std::string_view>(&field.value)) {
        text += fmt::format(", {}: {}", field.name, *detail);
      }
    }
    fmt::print(stderr, "{}\n", text);
  };
  BUREAU_TRY(auto desk, Desk::open(desk_options));

  line.show(fmt::format("learning from {} messages", examples.good.size()));
  BUREAU_TRY(const Learnt learnt, desk->learn(examples.good, 2));
  line.clear();
  const auto labels = learnt.classifier->labels();
  voice.say(fmt::format("learnt {} categories from {} messages in {:.1f} s", labels.size(),
                        examples.good.size(), learnt.training_seconds));
  Setup setup;
  if (options.train.empty()) {
    BUREAU_TRY(setup, sample_setup(data));
  } else {
    setup = plain_setup({labels.begin(), labels.end()});
  }
  BUREAU_TRY_VOID(desk->set_up(setup, learnt.classifier));

  const auto safe = [&](std::span<const InboxMessage* const> messages) {
    if (!options.print_imported) return;
    for (const InboxMessage* message : messages) fmt::print("imported {}\n", message->external_id);
    std::fflush(stdout);
  };
  BUREAU_TRY(const auto imported, desk->import(inbox.good, options.batch, safe));
  voice.say(fmt::format("imported {} messages{}", imported.made,
                        imported.known > 0 ? fmt::format(", {} were there", imported.known) : ""));

  const Clock& clock = Clock::system();
  const Monotonic begin = clock.monotonic();
  BUREAU_TRY_VOID(desk->listen());
  BUREAU_TRY_VOID(desk->start());
  BUREAU_TRY_VOID(desk->work_off([&](const helpdesk::Progress&) {
    const Seen seen = desk->seen();
    line.show(fmt::format("{} triaged, {} routed, {} drafted; {}", seen.counts.triaged,
                          seen.counts.routed, seen.counts.drafted, seen.newest));
  }));
  const double seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
  line.clear();
  const std::uint64_t handled = desk->progress().drafted;
  BUREAU_TRY_VOID(desk->stop());
  BUREAU_TRY(Summary summary, summarize(*desk, inbox.good));
  summary.tickets_per_second = static_cast<double>(handled) / seconds;
  summary.training_seconds = learnt.training_seconds;
  voice.say(to_table(summary));
  desk.reset();

  if (measure && handled > 0) {
    if (is_url(desk_options.path)) {
      desk_options.schema = "steady";  // beside the office, and made anew
    } else {
      desk_options.path = scratch->file("steady.db");
    }
    const double rate = summary.tickets_per_second / 2;
    const auto watch = [&](std::uint64_t n) {
      if (n % 64 == 0) line.show(fmt::format("{} of {} have arrived", n, latency_tickets));
    };
    BUREAU_TRY(const Latency latency, measure_latency(desk_options, setup, learnt.classifier,
                                                      inbox.good, latency_tickets, rate, watch));
    line.clear();
    summary.routed_ms_p50 = latency.p50_ms;
    summary.routed_ms_p99 = latency.p99_ms;
    voice.say(fmt::format(
        "{} tickets arriving at {:.0f} a second (wanted: {:.0f}): routed within {:.1f} ms for half "
        "of them, {:.1f} ms for 99 %; from when they were due, {:.1f} ms for 99 %",
        latency.tickets, static_cast<double>(latency.tickets) / latency.seconds, rate,
        latency.p50_ms, latency.p99_ms, latency.from_due_p99_ms));
  } else if (!options.no_latency) {
    voice.say("how fast tickets are routed while others arrive is measured with --latency");
  }
  if (options.json) fmt::print("{}\n", to_json_line(summary));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Passes the messages of a CSV file through an office of agents.", "helpdesk");
  app.add_option("inbox", options.inbox,
                 "CSV with text, and perhaps id, customer, email, subject, received_at, category; "
                 "the sample inbox by default");
  app.add_option("train", options.train, "CSV with text and category to learn from");
  app.add_option("--office", options.office,
                 "SQLite file, or URL of a PostgreSQL database, to work in and to go on with; a "
                 "temporary file by default");
  app.add_option("--threads", options.threads, "threads for the agents")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  app.add_option("--batch", options.batch, "messages imported in one commit")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_flag("--json", options.json, "the last line is one JSON object");
  app.add_flag("--skip-bad", options.skip_bad, "leave bad rows out, and list them");
  auto* latency = app.add_flag("--latency", options.latency,
                               "measure routing while tickets arrive, also for the sample inbox");
  app.add_flag("--no-latency", options.no_latency, "do not measure it")->excludes(latency);
  app.add_flag("--print-imported", options.print_imported,
               "print each message's id once its ticket is safe");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    if (auto done = run(options); !done) {
      fmt::print(stderr, "helpdesk: {}\n", done.error().message);
      return 1;
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "helpdesk: {}\n", error.what());
    return 1;
  }
  return 0;
}
