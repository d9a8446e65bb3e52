#pragma once

// How long a caller waits for its enqueue, and how soon an idle worker begins what was enqueued.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

#include "bench.hpp"
#include "queue_loop.hpp"

namespace queue_bench {

/// An agent as a user writes one, that says when it was called.
class Bell : public AgentOf<work> {
 public:
  explicit Bell(std::function<void(double)> rung) : rung_(std::move(rung)) {}
  using AgentOf::execute;
  Result<Nothing> execute(Run&, const Work&) override {
    rung_(bench::seconds_now());
    return Nothing();
  }

 private:
  std::function<void(double)> rung_;
};

/// Seconds until all of a backlog is completed by an agent under Engine::start().
inline double drain_by_agents(Engine& engine, const Tasks& tasks, int count) {
  std::atomic<int> begun{0};
  must(engine.add(std::make_shared<Bell>([&](double) { ++begun; })));
  const double start = bench::seconds_now();
  must(engine.start());
  // The store says when all are complete; it is not asked while handlers are still to begin.
  while (begun < count) std::this_thread::sleep_for(std::chrono::microseconds(200));
  while (must(tasks.count(col(&Task::status) < TaskStatus::completed)) > 0) {
  }
  const double seconds = bench::seconds_now() - start;
  must(engine.stop());
  return seconds;
}

inline EngineOptions options_of(const std::string& path, bool power_safe) {
  EngineOptions options;
  options.path = path;
  options.durability = power_safe ? Durability::power_safe : Durability::relaxed;
  return options;
}

/// Opens the office to be measured; another process calls it too.
using Opener = std::function<std::unique_ptr<Engine>()>;

inline Opener opener_of(const std::string& path, bool power_safe) {
  return [path, power_safe] { return must(Engine::open(options_of(path, power_safe))); };
}

/// One thread, each task durable by itself, beside the loop.
inline bench::Pairs enqueue_single(int count, int of_pairs) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), true);
  const Tasks tasks(office.system());
  must(tasks.enqueue(work, payload()));
  const std::string body = newest_bodies(office, 1);
  const Task like = must(tasks.list({.limit = 1})).at(0);
  QueueLoop loop(scratch.file(), office, true, true, body, body);
  const Work one = payload();
  return bench::measure_pairs(
      of_pairs, bench::Better::higher,
      [&] {
        const double start = bench::seconds_now();
        for (int i = 0; i < count; ++i) must(tasks.enqueue(work, one));
        return count / (bench::seconds_now() - start);
      },
      [&] {
        const double start = bench::seconds_now();
        for (int i = 0; i < count; ++i) loop.enqueue_one(like);
        return count / (bench::seconds_now() - start);
      });
}

struct Threads {
  double per_second = 0;
  double p99_ms = 0;
};

/// Many threads, each of which waits for each of its tasks to be durable.
inline Threads enqueue_threads(int threads, int each) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), true);
  std::vector<std::vector<double>> took(static_cast<std::size_t>(threads));
  std::vector<std::thread> pool;
  std::atomic<bool> go{false};
  for (auto& mine : took) {
    pool.emplace_back([&office, &mine, &go, each] {
      const Tasks tasks(office.system());
      const Work one = payload();
      while (!go) std::this_thread::yield();
      for (int i = 0; i < each; ++i) {
        const double start = bench::seconds_now();
        must(tasks.enqueue(work, one));
        mine.push_back(bench::seconds_now() - start);
      }
    });
  }
  const double start = bench::seconds_now();
  go = true;
  for (std::thread& thread : pool) thread.join();
  const double seconds = bench::seconds_now() - start;
  std::vector<double> all;
  for (const auto& mine : took) all.insert(all.end(), mine.begin(), mine.end());
  return {threads * each / seconds, bench::percentile(std::move(all), 99) * 1e3};
}

/// When each was called for, when the call returned, when the handler began: seconds of one clock.
struct Wakes {
  std::vector<double> from_return, from_call;
  void add(double called, double returned, double began) {
    from_return.push_back((began - returned) * 1e6);
    from_call.push_back((began - called) * 1e6);
  }
};

/// Lets the worker fall idle between two tasks.
inline void rest() { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }

/// A worker that waits in the same process.
inline Wakes wake_in_process(const Opener& open, int count) {
  const auto engine = open();
  const Tenant tenant = must(engine->access().create_tenant("bench"));
  std::atomic<double> began{0};
  must(engine->add(std::make_shared<Bell>([&](double at) { began = at; })));
  must(engine->start());
  const Tasks tasks(engine->system(tenant.id));
  const Work one = payload();
  Wakes wakes;
  for (int i = 0; i < count; ++i) {
    rest();
    began = 0;
    const double called = bench::seconds_now();
    must(tasks.enqueue(work, one));
    const double returned = bench::seconds_now();
    while (began == 0) std::this_thread::yield();
    wakes.add(called, returned, began);
  }
  must(engine->stop());
  return wakes;
}

/// The loop: two threads, a condition, the same rows.
inline Wakes wake_by_loop(int count) {
  bench::ScratchFolder scratch;
  auto office = bench::open_office(scratch.file(), true);
  const Tasks tasks(office.system());
  must(tasks.enqueue(work, payload()));
  const std::string enqueue_body = newest_bodies(office, 1);
  const Task like = must(tasks.list({.limit = 1})).at(0);
  TaskQueue queue(office.engine->database());
  if (drain(queue) != 1) bench::give_up("wake", "nothing to drain");
  const std::string complete_body = newest_bodies(office, 1);
  QueueLoop loop(scratch.file(), office, true, true, enqueue_body, complete_body);
  std::mutex mutex;  // of the one connection
  std::condition_variable condition;
  bool ended = false;
  int waiting = 0;
  std::atomic<double> began{0};
  std::thread worker([&] {
    std::unique_lock lock(mutex);
    for (;;) {
      condition.wait(lock, [&] { return waiting > 0 || ended; });
      if (waiting == 0) return;
      --waiting;
      const auto id = loop.claim_one();
      if (!id) bench::give_up("wake", "nothing to claim");
      began = bench::seconds_now();
      loop.complete(*id);
    }
  });
  Wakes wakes;
  for (int i = 0; i < count; ++i) {
    rest();
    began = 0;
    const double called = bench::seconds_now();
    {
      const std::lock_guard lock(mutex);
      loop.enqueue_one(like);
      ++waiting;
    }
    condition.notify_one();
    const double returned = bench::seconds_now();
    while (began == 0) std::this_thread::yield();
    wakes.add(called, returned, began);
  }
  {
    const std::lock_guard lock(mutex);
    ended = true;
  }
  condition.notify_one();
  worker.join();
  return wakes;
}

/// A worker that waits in another process on the same office.
inline Wakes wake_cross_process(const Opener& open, int count) {
  Id<Tenant> tenant;
  {
    const auto engine = open();
    tenant = must(engine->access().create_tenant("bench")).id;
  }
  int told[2], ended[2];
  if (::pipe(told) != 0 || ::pipe(ended) != 0) bench::give_up("wake", "no pipe to be had");
  const auto child = ::fork();
  if (child < 0) bench::give_up("wake", "no process to be had");
  if (child == 0) {
    ::close(ended[1]);
    const auto engine = open();
    must(engine->add(std::make_shared<Bell>([&](double at) {
      if (::write(told[1], &at, sizeof at) != sizeof at) ::_exit(1);
    })));
    must(engine->start());
    const double ready = 0;
    if (::write(told[1], &ready, sizeof ready) != sizeof ready) ::_exit(1);
    char byte = 0;
    while (::read(ended[0], &byte, 1) > 0) {
    }
    must(engine->stop());
    ::_exit(0);
  }
  ::close(told[1]);
  ::close(ended[0]);
  const auto hear = [&] {
    double at = 0;
    if (::read(told[0], &at, sizeof at) != sizeof at) bench::give_up("wake", "the worker died");
    return at;
  };
  hear();
  Wakes wakes;
  {
    const auto engine = open();
    const Tasks tasks(engine->system(tenant));
    const Work one = payload();
    for (int i = 0; i < count; ++i) {
      rest();
      const double called = bench::seconds_now();
      must(tasks.enqueue(work, one));
      const double returned = bench::seconds_now();
      wakes.add(called, returned, hear());
    }
  }
  ::close(ended[1]);
  int status = 0;
  if (::waitpid(child, &status, 0) != child || status != 0) bench::give_up("wake", "the worker");
  ::close(told[0]);
  return wakes;
}

}  // namespace queue_bench
