// Kills the help desk with SIGKILL at random moments and starts it again, until its office has done
// all of its work; then looks at what is there: every message has one ticket, one triage, one
// routing, one draft; nothing that was acknowledged is missing; all that is derived is what a
// recount says. `kill_test --rounds N --seed S`; a round is a kill.

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "bureau/core/clock.hpp"
#include "bureau/core/random.hpp"
#include "kill/arguments.hpp"
#include "tree.hpp"

extern char** environ;

namespace {

using bureau::Clock;
using bureau::Duration;
using bureau::Monotonic;

constexpr const char* inbox = BUREAU_SOURCE_DIR "/examples/helpdesk/data/inbox.csv";

int failures = 0;
void check(bool good, const std::string& what) {
  if (good) return;
  ++failures;
  fmt::print("FAILED: {}\n", what);
  std::fflush(stdout);
}

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "kill_test: {}\n", why);
  std::exit(1);
}

/// The help desk as a process of its own, and what it acknowledged on its output.
class Child {
 public:
  explicit Child(const std::string& office) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) give_up("no pipe to be had");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::vector<std::string> arguments = {
        BUREAU_HELPDESK, "--office", office, "--no-latency", "--print-imported", "--batch", "16",
        "--threads",     "4",        inbox};
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    const int error =
        ::posix_spawn(&pid_, BUREAU_HELPDESK, &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (error != 0) give_up(std::string("cannot start ") + BUREAU_HELPDESK);
    output_ = ends[0];
  }
  ~Child() { ::close(output_); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Reads what it prints until it ends or `deadline` comes; then kills it. True when it ended by
  /// itself, and well.
  bool run(Monotonic deadline) {
    const Clock& clock = Clock::system();
    bool killed = false;
    for (;;) {
      const Duration left =
          deadline == Monotonic::never() ? std::chrono::hours(1) : deadline - clock.monotonic();
      if (!killed && left <= Duration(0)) {
        ::kill(pid_, SIGKILL);
        killed = true;
      }
      pollfd fd{output_, POLLIN, 0};
      const auto wait = killed ? -1 : static_cast<int>(left.count() / 1000 + 1);
      if (::poll(&fd, 1, wait) <= 0) continue;
      char buffer[4096];
      const ssize_t got = ::read(output_, buffer, sizeof buffer);
      if (got <= 0) break;
      text_.append(buffer, static_cast<std::size_t>(got));
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    if (killed && WIFSIGNALED(status)) return false;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      give_up(fmt::format("the help desk ended with status {}:\n{}", status, text_));
    }
    return true;
  }
  /// The ids of the lines that were printed whole.
  void acknowledged(std::set<std::string>& ids) const {
    for (std::size_t at = 0; at < text_.size();) {
      const std::size_t end = text_.find('\n', at);
      if (end == std::string::npos) return;
      const std::string line = text_.substr(at, end - at);
      if (line.rfind("imported id-", 0) == 0) ids.insert(line.substr(9));
      at = end + 1;
    }
  }

 private:
  pid_t pid_ = 0;
  int output_ = -1;
  std::string text_;
};

/// The file as SQLite alone sees it.
class File {
 public:
  explicit File(const std::string& path) {
    if (sqlite3_open_v2(path.c_str(), &file_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) {
      give_up("cannot open " + path);
    }
  }
  ~File() { sqlite3_close(file_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::vector<std::string> rows(const std::string& sql) {
    std::vector<std::string> out;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(file_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
      give_up(fmt::format("{}: {}", sqlite3_errmsg(file_), sql));
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      out.emplace_back(text == nullptr ? "" : text);
    }
    sqlite3_finalize(statement);
    return out;
  }
  /// The query finds what breaks a rule: there must be nothing.
  void none(const char* rule, const std::string& sql) {
    const auto found = rows(sql);
    check(found.empty(),
          fmt::format("{}: {} rows, first {}", rule, found.size(), found.empty() ? "" : found[0]));
  }

 private:
  sqlite3* file_ = nullptr;
};

constexpr std::size_t messages_in_inbox = 269;

void check_office(const std::string& path, const std::set<std::string>& acknowledged) {
  File file(path);
  const auto integrity = file.rows("PRAGMA integrity_check");
  check(integrity == std::vector<std::string>{"ok"}, "integrity_check: " + integrity.front());

  const auto ids = file.rows("SELECT external_id FROM messages WHERE external_id IS NOT NULL");
  check(ids.size() == messages_in_inbox, fmt::format("{} messages were taken", ids.size()));
  const std::set<std::string> there(ids.begin(), ids.end());
  check(there.size() == ids.size(), "a message was taken twice");
  for (const std::string& id : acknowledged) {
    check(there.contains(id), "an acknowledged message is missing: " + id);
  }
  const auto tickets = file.rows("SELECT id FROM tickets");
  check(tickets.size() == messages_in_inbox, fmt::format("{} tickets", tickets.size()));
  file.none("one first message a ticket",
            "SELECT t.id FROM tickets t WHERE 1 <> (SELECT count(*) FROM messages m WHERE "
            "m.ticket = t.id AND m.external_id IS NOT NULL)");
  file.none("one draft a ticket",
            "SELECT t.id FROM tickets t WHERE 1 <> (SELECT count(*) FROM messages m WHERE "
            "m.ticket = t.id AND m.kind = 2)");
  file.none("triaged and routed",
            "SELECT id FROM tickets WHERE triaged_at IS NULL OR routed_at IS NULL");
  file.none("all tasks completed", "SELECT id FROM tasks WHERE status <> 5");
  for (const char* kind : {"triage_ticket", "route_ticket", "draft_reply"}) {
    const auto tasks =
        file.rows(fmt::format("SELECT DISTINCT payload FROM tasks WHERE kind = '{}'", kind));
    const auto all = file.rows(fmt::format("SELECT id FROM tasks WHERE kind = '{}'", kind));
    check(tasks.size() == messages_in_inbox && all.size() == messages_in_inbox,
          fmt::format("{}: {} tasks for {} tickets", kind, all.size(), tasks.size()));
  }
  file.none("numbers without gaps",
            "SELECT max(number) FROM tickets HAVING max(number) <> count(*) OR max(number) <> "
            "(SELECT last_number FROM ticket_counters)");
  file.none("message_count",
            "SELECT t.id FROM tickets t WHERE t.message_count <> (SELECT count(*) FROM messages m "
            "WHERE m.ticket = t.id) OR t.message_count <> (SELECT max(sequence) FROM messages m "
            "WHERE m.ticket = t.id)");
  file.none("workloads",
            "SELECT w.id FROM workloads w WHERE w.open_tickets <> (SELECT count(*) FROM tickets t "
            "WHERE t.assignee = w.id AND t.state <= 4)");
  file.none("a person with tickets has a workload",
            "SELECT t.id FROM tickets t WHERE t.assignee IS NOT NULL AND t.state <= 4 AND "
            "t.assignee NOT IN (SELECT id FROM workloads)");
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = read_arguments(argc, argv, "kill_test", 5);
  fmt::print("kill_test: {} rounds, seed {}\n", arguments.rounds, arguments.seed);
  std::fflush(stdout);
  std::string folder = (std::filesystem::temp_directory_path() / "kill-test-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) give_up("no temporary folder to be had");
  bureau::SeededRandom random(arguments.seed);
  const Clock& clock = Clock::system();

  // How long an undisturbed run takes here: the moments are drawn from it.
  const Monotonic begin = clock.monotonic();
  {
    const std::string calm = folder + "/calm.db";
    std::set<std::string> ids;
    Child child(calm);
    child.run(Monotonic::never());
    child.acknowledged(ids);
    check(ids.size() == messages_in_inbox, fmt::format("calm run: {} acknowledged", ids.size()));
    check_office(calm, ids);
  }
  const auto whole = static_cast<std::uint64_t>((clock.monotonic() - begin).count());

  int kills = 0, offices = 0, finished_first = 0;
  while (kills < arguments.rounds) {
    const std::string office = fmt::format("{}/office-{}.db", folder, offices++);
    std::set<std::string> acknowledged;
    // Each life gets less time than a whole run, so that an office sees several.
    for (bool ended = false; !ended;) {
      const bool last = kills >= arguments.rounds;
      Child child(office);
      const Duration life(static_cast<std::int64_t>(random.below(whole + 1)));
      ended = child.run(last ? Monotonic::never() : clock.monotonic() + life);
      child.acknowledged(acknowledged);
      if (!ended) ++kills;
      if (ended && !last) ++finished_first;
    }
    check_office(office, acknowledged);
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (failures == 0) std::filesystem::remove(entry.path());
    }
  }
  fmt::print("kill_test: {} kills over {} offices, {} lives ended before their kill; {} failures\n",
             kills, offices, finished_first, failures);
  if (failures > 0) {
    fmt::print("kill_test: the files are in {}; seed {}\n", folder, arguments.seed);
    return 1;
  }
  std::filesystem::remove_all(folder);
  return 0;
}
