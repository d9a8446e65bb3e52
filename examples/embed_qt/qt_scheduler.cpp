#include "qt_scheduler.hpp"

#include <QMetaObject>
#include <algorithm>

using namespace bureau;
using namespace std::chrono_literals;

QtScheduler::QtScheduler(Duration budget) : budget_(budget) {
  due_.setSingleShot(true);
  QObject::connect(&due_, &QTimer::timeout, this, [this] { poll(); });
}

QtScheduler::~QtScheduler() { (void)QtScheduler::stop(Monotonic::never()); }

Result<void> QtScheduler::start(Runner& runner) {
  runner_ = &runner;
  if (const int fd = runner.wake_fd(); fd >= 0) {
    other_processes_ = std::make_unique<QSocketNotifier>(fd, QSocketNotifier::Read);
    QObject::connect(other_processes_.get(), &QSocketNotifier::activated, this, [this] {
      if (runner_ == nullptr) return;
      runner_->on_wake_fd();
      wake();
    });
  }
  wake();
  return {};
}

void QtScheduler::wake() {
  if (woken_.exchange(true)) return;
  QMetaObject::invokeMethod(
      this, [this] { poll(); }, Qt::QueuedConnection);
}

Result<void> QtScheduler::stop(Monotonic) {
  // Polls run on this thread only, and this is not one of them.
  runner_ = nullptr;
  due_.stop();
  other_processes_.reset();
  return {};
}

void QtScheduler::poll() {
  woken_.store(false);  // what comes from here on asks for another one
  if (runner_ == nullptr) return;
  const PollResult result = runner_->poll({.tasks = 16, .time = budget_});
  if (runner_ == nullptr) return;  // a handler has stopped the office
  if (result.ran > 0) return wake();
  const Duration pause = result.next_due - Clock::system().monotonic();
  due_.start(std::chrono::milliseconds(std::clamp<std::int64_t>(pause / 1ms + 1, 0, 60'000)));
}
