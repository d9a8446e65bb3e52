#pragma once

// A Scheduler on Qt's event loop: handlers and feed callbacks run on the thread that owns it,
// between Qt's own events. No thread is started.

#include <QObject>
#include <QSocketNotifier>
#include <QTimer>
#include <atomic>
#include <bureau/work/scheduler.hpp>
#include <memory>

/// start() and stop() are to be called on the thread where it was made; wake() from any.
class QtScheduler final : public QObject, public bureau::Scheduler {
 public:
  /// `budget`: how long the office may keep Qt waiting before other events have their turn.
  explicit QtScheduler(bureau::Duration budget = std::chrono::milliseconds(4));
  ~QtScheduler() override;

  bureau::Result<void> start(bureau::Runner& runner) override;
  void wake() override;
  bureau::Result<void> stop(bureau::Monotonic deadline) override;

 private:
  void poll();

  bureau::Duration budget_;
  bureau::Runner* runner_ = nullptr;
  std::atomic<bool> woken_{false};  // a poll is among Qt's events already
  QTimer due_;
  std::unique_ptr<QSocketNotifier> other_processes_;
};
