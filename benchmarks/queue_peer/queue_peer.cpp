// The workload of the queue's peers, done by bureau: one JSON line for each durability of SQLite,
// and for PostgreSQL where the component is built and QB_PG is set. Run by their run.sh, which sets
// QB_DATA (an empty folder), QB_PG (a server's URL, to which the name of the database, "ours", is
// appended), QB_N_A and QB_N_B (QB_N_D wakes, 1000 by default):
//   OURS=build/release/benchmarks/queue_peer ./run.sh

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <thread>

#include "queue_latency.hpp"
#ifdef BUREAU_BENCH_POSTGRES
#include "bureau/store/postgres_storage.hpp"
#endif

namespace {

using namespace queue_bench;

/// How many are claimed and completed together.
constexpr std::uint64_t claim_batch = 1000;
constexpr double wakes_a_second = 100;

int number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

/// What a line says of itself, and where its offices are: a fresh one for each phase.
struct Configuration {
  const char* peer;
  const char* durability;
  std::function<EngineOptions(int phase)> options;
};

class Peer {
 public:
  explicit Peer(Configuration configuration) : configuration_(std::move(configuration)) {}

  void run() {
    const int one_by_one = number("QB_N_A", 10'000);
    const int backlog = number("QB_N_B", 100'000);
    const double a = enqueue_single(one_by_one);
    const double b = enqueue_bulk(backlog);
    const double c = drain_by_queue(backlog);
    const double agents = drain_by_agents(backlog);
    const std::vector<double> d = wake();
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    std::printf(
        R"j({"peer":"%s","version":"bureau %d.%d.%d","durability":"%s","config":"TaskQueue: claim )j"
        R"j(%d, complete %d, one thread; journal on; D: an agent under Engine::start()","A":%.0f,)j"
        R"j("B":%.0f,"C":%.0f,"D50":%.3f,"D99":%.3f,"E":%.1f,"extra":{"C_agents":%.0f}})j"
        "\n",
        configuration_.peer, BUREAU_VERSION_MAJOR, BUREAU_VERSION_MINOR, BUREAU_VERSION_PATCH,
        configuration_.durability, static_cast<int>(claim_batch), static_cast<int>(claim_batch), a,
        b, c, bench::percentile(d, 50), bench::percentile(d, 99),
        static_cast<double>(used.ru_maxrss) / 1024, agents);
    std::fflush(stdout);
  }

 private:
  struct Office {
    std::unique_ptr<Engine> engine;
    Tenant tenant;
    [[nodiscard]] Tasks tasks() const { return Tasks(engine->system(tenant.id)); }
  };

  Office open() {
    Office office{must(Engine::open(configuration_.options(phases_++))), {}};
    office.tenant = must(office.engine->access().create_tenant("peers"));
    return office;
  }

  double enqueue_single(int count) {
    const Office office = open();
    const Tasks tasks = office.tasks();
    const Work one = payload();
    const double start = bench::seconds_now();
    for (int i = 0; i < count; ++i) must(tasks.enqueue(work, one));
    return count / (bench::seconds_now() - start);
  }

  static void fill(const Tasks& tasks, int count) {
    std::vector<Work> payloads(1000, payload());
    for (int done = 0; done < count; done += 1000) {
      payloads.resize(static_cast<std::size_t>(std::min(1000, count - done)));
      must(tasks.enqueue_all(work, payloads));
    }
  }

  double enqueue_bulk(int count) {
    const Office office = open();
    const double start = bench::seconds_now();
    fill(office.tasks(), count);
    return count / (bench::seconds_now() - start);
  }

  static std::uint64_t unfinished(const Tasks& tasks) {
    return must(tasks.count(col(&Task::status) < TaskStatus::completed));
  }

  double drain_by_queue(int count) {
    const Office office = open();
    fill(office.tasks(), count);
    TaskQueue queue(office.engine->database());
    const double start = bench::seconds_now();
    std::vector<TaskQueue::Completion> done;
    for (;;) {
      const auto claimed = must(queue.claim({"default", {"work"}, claim_batch, "peer"}));
      if (claimed.empty()) break;
      done.clear();
      for (const Task& task : claimed) done.push_back({task.id, task.attempt, Json::object()});
      if (!must(queue.complete(done)).empty()) bench::give_up("drain", "a lease was lost");
    }
    if (unfinished(office.tasks()) > 0) bench::give_up("drain", "something is left");
    return count / (bench::seconds_now() - start);
  }

  double drain_by_agents(int count) {
    const Office office = open();
    fill(office.tasks(), count);
    return count / queue_bench::drain_by_agents(*office.engine, office.tasks(), count);
  }

  /// Milliseconds from just before the call of enqueue to the handler's start.
  std::vector<double> wake() {
    const Office office = open();
    std::atomic<double> began{0};
    must(office.engine->add(std::make_shared<Bell>([&](double at) { began = at; })));
    must(office.engine->start());
    const Tasks tasks = office.tasks();
    const Work one = payload();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    std::vector<double> out;
    const double start = bench::seconds_now();
    const int wakes = number("QB_N_D", 1000);
    for (int i = 0; i < wakes; ++i) {
      const double wait = start + i / wakes_a_second - bench::seconds_now();
      if (wait > 0) std::this_thread::sleep_for(std::chrono::duration<double>(wait));
      began = 0;
      const double called = bench::seconds_now();
      must(tasks.enqueue(work, one));
      while (began == 0) std::this_thread::yield();
      out.push_back((began - called) * 1e3);
    }
    must(office.engine->stop());
    return out;
  }

  Configuration configuration_;
  int phases_ = 0;
};

/// In a process of its own, whose memory is what the line tells.
void run(const Configuration& configuration) {
  const auto child = ::fork();
  if (child < 0) bench::give_up("queue_peer", "no process to be had");
  if (child == 0) {
    Peer(configuration).run();
    ::_exit(0);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || status != 0) {
    bench::give_up("queue_peer", configuration.peer);
  }
}

Configuration on_sqlite(const std::string& folder, bool power_safe) {
  return {power_safe ? "ours-power-safe" : "ours-relaxed",
          power_safe ? "WAL synchronous=FULL" : "WAL synchronous=NORMAL",
          [folder, power_safe](int phase) {
            return options_of(folder + "/office" + std::to_string(phase) + ".db", power_safe);
          }};
}

#ifdef BUREAU_BENCH_POSTGRES
Configuration on_postgres(const std::string& url) {
  return {"ours-postgres", "PostgreSQL synchronous_commit=on", [url](int phase) {
            PostgresOptions options;
            options.connection = url + "ours";
            options.schema = "phase" + std::to_string(phase);
            EngineOptions engine;
            engine.storage = must(open_postgres(std::move(options)));
            return engine;
          }};
}
#endif

}  // namespace

int main() {
  const char* folder = std::getenv("QB_DATA");
  if (folder == nullptr) bench::give_up("queue_peer", "QB_DATA names no folder");
  for (const bool power_safe : {true, false}) {
    const std::string own = std::string(folder) + (power_safe ? "/full" : "/normal");
    std::filesystem::create_directories(own);
    run(on_sqlite(own, power_safe));
    std::filesystem::remove_all(own);
  }
#ifdef BUREAU_BENCH_POSTGRES
  if (const char* url = std::getenv("QB_PG")) run(on_postgres(url));
#endif
}
