#pragma once

#include <cstddef>
#include <memory>

#include "bureau/core/clock.hpp"
#include "bureau/core/log.hpp"
#include "bureau/core/result.hpp"

BUREAU_BEGIN_NAMESPACE

/// How much one poll may do.
struct PollLimit {
  std::size_t tasks = 1;            ///< handlers to run at most; 0: what recurs alone
  Duration time = Duration::max();  ///< no handler is begun once it has passed; 0: none
};
struct PollResult {
  std::size_t ran = 0;                      ///< pieces of work; 0: there was nothing to do
  Monotonic next_due = Monotonic::never();  ///< when there will be, if nothing comes earlier
};

/// What a scheduler drives: the engine. Thread-safe.
class Runner {
 public:
  virtual ~Runner() = default;
  virtual PollResult poll(const PollLimit& limit) = 0;
  /// A file descriptor that tells of commits by other processes, or -1; see on_wake_fd().
  [[nodiscard]] virtual int wake_fd() const = 0;
  /// To be called when wake_fd() is readable.
  virtual void on_wake_fd() = 0;
};

/// When, and on which thread, due work is called. A host with a loop of its own implements it.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// Begins to call runner.poll(). The runner outlives stop().
  virtual Result<void> start(Runner& runner) = 0;
  /// Something may be due now. From any thread, often; must not block.
  virtual void wake() = 0;
  /// A thread is lost to a handler that does not return: the scheduler may start another one.
  virtual void replace_thread() {}
  /// Returns when no poll runs any more, or `deadline` when one still did at that moment.
  virtual Result<void> stop(Monotonic deadline) = 0;
};

/// Forwards everything; derive from it to watch or disturb a scheduler.
class SchedulerWrapper : public Scheduler {
 public:
  explicit SchedulerWrapper(std::shared_ptr<Scheduler> inner) : inner_(std::move(inner)) {}
  Result<void> start(Runner& runner) override { return inner_->start(runner); }
  void wake() override { inner_->wake(); }
  void replace_thread() override { inner_->replace_thread(); }
  Result<void> stop(Monotonic deadline) override { return inner_->stop(deadline); }

 private:
  std::shared_ptr<Scheduler> inner_;
};

/// The default: `threads` threads of its own, one more that keeps the heartbeat while all of them
/// are inside handlers, and one that watches for other processes where the storage has a wake_fd.
/// Stuck threads are replaced up to four times.
[[nodiscard]] std::shared_ptr<Scheduler> make_thread_scheduler(std::size_t threads, Clock& clock,
                                                               LogSink log = {});

BUREAU_END_NAMESPACE
