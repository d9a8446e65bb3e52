#include "latency.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <unordered_map>

namespace helpdesk {

using namespace bureau;

namespace {

/// When each ticket came and when it was routed: written by the agents' threads.
class Stopwatch {
 public:
  void arrived(Id<Ticket> ticket, Monotonic due, Monotonic at) {
    const std::lock_guard lock(mutex_);
    Times& times = times_[ticket.value];
    times.due = due;
    times.arrived = at;
  }
  void routed(Id<Ticket> ticket, Monotonic at) {
    const std::lock_guard lock(mutex_);
    times_[ticket.value].routed = at;
    ++routed_;
  }
  [[nodiscard]] std::uint64_t routed() const {
    const std::lock_guard lock(mutex_);
    return routed_;
  }
  void evaluate(Latency& out) const {
    const std::lock_guard lock(mutex_);
    std::vector<double> waits, from_due;
    for (const auto& [ticket, t] : times_) {
      // The agents may be quicker than the thread that opened the ticket learns of its commit.
      waits.push_back(std::max(0.0, ms(t.routed - t.arrived)));
      from_due.push_back(ms(t.routed - t.due));
    }
    out.p50_ms = quantile(waits, 0.5);
    out.p99_ms = quantile(waits, 0.99);
    out.from_due_p99_ms = quantile(from_due, 0.99);
  }

 private:
  struct Times {
    Monotonic due, arrived, routed;
  };
  static double ms(Duration d) { return static_cast<double>(d.count()) / 1000; }
  /// The nearest rank.
  static double quantile(std::vector<double>& values, double q) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(rank, 1) - 1];
  }
  mutable std::mutex mutex_;
  std::unordered_map<std::int64_t, Times> times_;
  std::uint64_t routed_ = 0;
};

void wait_until(Clock& clock, Monotonic moment) {
  std::mutex mutex;
  std::condition_variable nobody;
  std::unique_lock lock(mutex);
  while (clock.monotonic() < moment) clock.wait_until(lock, nobody, moment);
}

}  // namespace

Result<Latency> measure_latency(const DeskOptions& options, const Setup& setup,
                                std::shared_ptr<const TextClassifier> classifier,
                                const std::vector<InboxMessage>& messages, std::uint64_t tickets,
                                double per_second,
                                const std::function<void(std::uint64_t)>& watch) {
  constexpr std::size_t most_at_once = 64;
  Clock& clock = Clock::system();
  Stopwatch stopwatch;
  BUREAU_TRY(auto desk, Desk::open(options));
  BUREAU_TRY_VOID(desk->set_up(setup, std::move(classifier), [&](Id<Ticket> ticket) {
    stopwatch.routed(ticket, clock.monotonic());
  }));
  BUREAU_TRY_VOID(desk->start());

  const Duration gap(static_cast<std::int64_t>(1e6 / per_second));
  const Monotonic begin = clock.monotonic();
  const auto due = [&](std::uint64_t i) {
    return begin + Duration(static_cast<std::int64_t>(static_cast<double>(i) * 1e6 / per_second));
  };
  Latency latency;
  std::vector<InboxMessage> now;
  while (latency.tickets < tickets) {
    wait_until(clock, due(latency.tickets));
    // Those whose time has come: one, unless the commit before took longer than the gap.
    now.clear();
    for (std::uint64_t i = latency.tickets;
         i < tickets && now.size() < most_at_once && due(i) <= clock.monotonic(); ++i) {
      now.push_back(messages[i % messages.size()]);
      now.back().external_id += fmt::format("-{}", i);
    }
    std::vector<const InboxMessage*> pointers;
    for (const InboxMessage& message : now) pointers.push_back(&message);
    BUREAU_TRY(const auto opened, desk->open_tickets(pointers));
    const Monotonic at = clock.monotonic();
    for (std::size_t i = 0; i < opened.size(); ++i) {
      stopwatch.arrived(opened[i].id, due(latency.tickets + i), at);
    }
    latency.tickets += opened.size();
    watch(latency.tickets);
  }
  latency.seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
  while (stopwatch.routed() < latency.tickets) wait_until(clock, clock.monotonic() + gap * 10);
  BUREAU_TRY_VOID(desk->work_off([](const Progress&) {}));
  BUREAU_TRY_VOID(desk->stop());
  stopwatch.evaluate(latency);
  return latency;
}

}  // namespace helpdesk
