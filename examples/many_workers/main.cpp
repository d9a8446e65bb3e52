// Several processes work on one office file. Each opens it and starts; there is nothing between
// them but the file:
//   many_workers OFFICE            enqueues letters, starts three workers, waits for them
//   many_workers --worker OFFICE   one of them, until its standard input ends

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bureau/bureau.hpp>
#include <cstdio>
#include <string>
#include <thread>

extern char** environ;

using namespace bureau;
using namespace std::chrono_literals;

/// What a handler leaves: one row a letter.
struct Stamp {
  Id<Stamp> id;
  Id<Tenant> tenant;
  std::int64_t letter = 0;
  std::int64_t process = 0;
  std::int64_t version = 0;
  Timestamp created_at, updated_at;
};
template <>
inline constexpr auto bureau::schema<Stamp> =
    table("stamps", "stp", journal::full, column("id", &Stamp::id),
          column("tenant", &Stamp::tenant), column("letter", &Stamp::letter),
          column("process", &Stamp::process), column("version", &Stamp::version),
          column("created_at", &Stamp::created_at), column("updated_at", &Stamp::updated_at));

struct Letter {
  std::int64_t number = 0;
};
template <>
inline constexpr auto bureau::record<Letter> = fields(column("number", &Letter::number));

inline constexpr auto stamp_letter = task_kind<Letter, Nothing>(
    "stamp_letter", Effect::database, retry::exponential(5), "default", 1min, RunAs::enqueuer);

class Stamper final : public AgentOf<stamp_letter> {
 public:
  using AgentOf::execute;
  Result<Nothing> execute(Run& run, const Letter& letter) override {
    // The stamp and the task's end are one commit, which many short tasks share. What it needs is
    // copied: it runs when this function has returned.
    return run.complete_later([letter](Unit& unit) -> Result<Nothing> {
      Stamp stamp;
      stamp.letter = letter.number;
      stamp.process = ::getpid();
      BUREAU_TRY_VOID(Repository<Stamp>(unit).insert(stamp));
      return Nothing();
    });
  }
};

Result<std::unique_ptr<Engine>> open(const char* path) {
  EngineOptions options;
  options.path = path;
  options.tables = {&table_of<Stamp>()};
  return Engine::open(std::move(options));
}

Result<void> work(const char* path) {
  BUREAU_TRY(auto office, open(path));
  BUREAU_TRY_VOID(office->add(std::make_shared<Stamper>()));
  BUREAU_TRY_VOID(office->start());
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return office->stop();  // hands back what it had leased and not begun
}

/// A worker, and the pipe whose end ends it.
Result<pid_t> start_worker(const char* program, const char* path, const int (&pipe)[2]) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[0], STDIN_FILENO);
  posix_spawn_file_actions_addclose(&actions, pipe[1]);
  std::string arguments[] = {program, "--worker", path};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  pid_t worker = 0;
  const int error = ::posix_spawn(&worker, program, &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail(Code::unavailable, "no process to be had");
  return worker;
}

Result<void> many_workers(const char* program, const char* path) {
  constexpr int letters = 600;
  BUREAU_TRY(auto office, open(path));
  BUREAU_TRY(const Tenant tenant, office->access().create_tenant("Larkfield"));
  const Session desk = office->system(tenant.id);

  int pipe[2];
  if (::pipe(pipe) != 0) return fail(Code::unavailable, "no pipe to be had");
  std::vector<pid_t> workers;
  for (int i = 0; i < 3; ++i) {
    BUREAU_TRY(const pid_t worker, start_worker(program, path, pipe));
    workers.push_back(worker);
  }
  std::vector<Letter> post;
  for (int i = 0; i < letters; ++i) post.push_back({i});
  BUREAU_TRY_VOID(Tasks(desk).enqueue_all(stamp_letter, post));

  for (;;) {
    BUREAU_TRY(const auto left, Tasks(desk).count(col(&Task::status) < TaskStatus::completed));
    if (left == 0) break;
    std::this_thread::sleep_for(10ms);
  }
  ::close(pipe[1]);
  for (const pid_t worker : workers) {
    int status = 0;
    if (::waitpid(worker, &status, 0) != worker || status != 0) {
      return fail(Code::internal, "a worker did not end well");
    }
  }
  for (int i = 0; i < letters; ++i) {
    BUREAU_TRY(const auto stamps, Repository<Stamp>(desk).count(col(&Stamp::letter) == i));
    if (stamps != 1) return fail(Code::internal, "a letter was not stamped once");
  }
  std::printf("%d letters, each stamped once, by %zu workers on one file\n", letters,
              workers.size());
  return {};
}

int main(int argc, char** argv) {
  const bool worker = argc == 3 && std::string(argv[1]) == "--worker";
  if (argc != 2 && !worker) {
    std::fprintf(stderr, "usage: many_workers [--worker] OFFICE\n");
    return 2;
  }
  const auto done = worker ? work(argv[2]) : many_workers(argv[0], argv[1]);
  if (!done) std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return done ? 0 : 1;
}
