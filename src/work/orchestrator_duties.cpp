#include <fmt/format.h>

#include <algorithm>

#include "work/orchestrator_impl.hpp"
#include "work/schedule_rules.hpp"

BUREAU_BEGIN_NAMESPACE

namespace {

/// How long agents are not told of further commits.
constexpr Duration telling_pause = std::chrono::milliseconds(100);
/// How soon after a look at the schedules a commit, which may have made one, leads to the next.
constexpr Duration schedule_pause = std::chrono::seconds(1);
/// How many of them are fired before other duties have their turn.
constexpr std::size_t schedules_at_once = 64;

}  // namespace

void Orchestrator::Impl::expire_overdue(Monotonic now) {
  std::vector<std::pair<std::shared_ptr<Run>, KindInfo>> overdue;
  std::size_t threads = 0;  // that are lost to them for now
  std::function<void()> callback;
  {
    std::lock_guard lock(mutex);
    for (auto& [run, entry] : running) {
      if (entry.expired || entry.returned || entry.limit > now) continue;
      entry.expired = true;
      overdue.emplace_back(entry.run, by_kind.find(entry.run->task().kind)->second.info);
      if (!entry.agent->agent->holds_no_thread()) ++threads;
    }
    callback = stuck_callback;
  }
  for (const auto& [run, kind] : overdue) {
    const Error late(Code::deadline, fmt::format("the attempt took longer than its limit of {} ms",
                                                 run->task().time_limit.count() / 1000));
    run->ended(late);
    record_expired(run, kind, late);
  }
  while (callback && threads-- > 0) callback();
}

void Orchestrator::Impl::record_expired(const std::shared_ptr<Run>& run, const KindInfo& kind,
                                        const Error& late) {
  const Task& task = run->task();
  const Error recorded =
      task.effect == Effect::external_unsafe ? Error(Code::unknown_outcome, late.message) : late;
  auto became = queue.fail(task, recorded, kind.retry);
  const auto again = [this, run, kind, late] { record_expired(run, kind, late); };
  if (!became && owe(task, became.error(), again)) return;
  log(database.log(), LogLevel::warning, "orchestrator", "an attempt is past its time limit",
      {{"task", task.id.value},
       {"kind", std::string_view(task.kind)},
       {"recorded", became.has_value()}});
}

void Orchestrator::Impl::see_interrupts() {
  std::vector<TaskQueue::Attempt> attempts;
  {
    std::lock_guard lock(mutex);
    for (const auto& [run, entry] : running) {
      if (entry.expired || entry.returned) continue;
      attempts.push_back({run->task().id, run->task().attempt});
    }
    for (const Leased& leased : buffer) attempts.push_back({leased.task.id, leased.task.attempt});
  }
  if (attempts.empty()) return;
  const Monotonic began = clock().monotonic();
  auto hit = queue.interrupted(attempts);
  // A busy office commits all the time: this takes a twentieth of one thread's at most.
  const Monotonic now = clock().monotonic();
  next_interrupt_look = now + (now - began) * 20;
  if (!hit || hit->empty()) return;
  const auto is_hit = [&](const Task& task) {
    return std::find(hit->begin(), hit->end(), TaskQueue::Attempt{task.id, task.attempt}) !=
           hit->end();
  };
  std::vector<Task> unbegun;
  {
    std::lock_guard lock(mutex);
    for (auto& [run, entry] : running) {
      if (is_hit(run->task())) entry.run->stop_.store(true, std::memory_order_release);
    }
    const auto hits = std::stable_partition(buffer.begin(), buffer.end(),
                                            [&](const Leased& one) { return !is_hit(one.task); });
    for (auto one = hits; one != buffer.end(); ++one) unbegun.push_back(std::move(one->task));
    buffer.erase(hits, buffer.end());
  }
  for (const Task& task : unbegun) end_unbegun(task);
}

void Orchestrator::Impl::tell_of_commits(Monotonic now) {
  std::vector<std::shared_ptr<Agent>> told;
  {
    std::lock_guard lock(mutex);
    if (stopping) return;
    for (const auto& entry : agents) {
      if (entry->operational) told.push_back(entry->agent);
    }
  }
  next_telling = now + telling_pause;
  for (const auto& agent : told) {
    Result<void> outcome;
    try {
      outcome = agent->on_commits();
    } catch (const std::exception& e) {
      outcome = bureau::fail(Code::internal, fmt::format("on_commits threw: {}", e.what()));
    } catch (...) {
      outcome = bureau::fail(Code::internal, "on_commits threw what is no std::exception");
    }
    if (outcome) continue;
    log(database.log(), LogLevel::error, "orchestrator", "an agent could not see to commits",
        {{"agent", agent->name()}, {"error", std::string_view(outcome.error().message)}});
    next_telling = now + std::chrono::seconds(1);
    committed.store(true, std::memory_order_release);
  }
}

/// Fires what is due. Returns when to be called again.
Monotonic Orchestrator::Impl::see_to_schedules(Monotonic now) {
  const bool due = clock().now() >= next_schedule;
  const bool look = now >= next_schedule_look && schedules_changed.load(std::memory_order_acquire);
  if (due || look) {
    schedules_changed.store(false, std::memory_order_release);
    next_schedule_look = now + schedule_pause;
    auto next = detail::fire_schedules(access, schedules_at_once, metrics);
    if (next) {
      next_schedule = *next;
    } else {
      log(database.log(), LogLevel::error, "orchestrator", "the schedules could not be read",
          {{"error", std::string_view(next.error().message)}});
      next_schedule = Timestamp::never();
      schedules_changed.store(true, std::memory_order_release);
    }
  }
  Monotonic again =
      schedules_changed.load(std::memory_order_acquire) ? next_schedule_look : Monotonic::never();
  if (next_schedule != Timestamp::never()) {
    again = std::min(again, now + std::max(Duration(0), next_schedule - clock().now()));
  }
  return again;
}

/// What no thread has committed in time: each is inside a handler that takes longer than expected.
void Orchestrator::Impl::settle_late(Monotonic now) {
  {
    std::lock_guard lock(mutex);
    const bool late = !finished.empty() && now - finished_since >= options.gather;
    const bool again = !undecided.empty() && now >= next_try;
    if (!late && !again) return;
  }
  settle();
}

Monotonic Orchestrator::Impl::next_limit() const {
  Monotonic limit = Monotonic::never();
  std::lock_guard lock(mutex);
  for (const auto& [run, entry] : running) {
    if (!entry.expired && !entry.returned) limit = std::min(limit, entry.limit);
  }
  if (!buffer.empty()) limit = std::min(limit, last_taken + waits_at_most());
  if (!finished.empty()) limit = std::min(limit, finished_since + options.gather);
  if (!undecided.empty() || !owed.empty()) limit = std::min(limit, next_try);
  return limit;
}

Result<Monotonic> Orchestrator::duties() {
  Impl& self = *impl_;
  std::unique_lock duty(self.duty_mutex, std::try_to_lock);
  const Monotonic now = self.clock().monotonic();
  if (!duty) {
    const bool due = self.committed.load(std::memory_order_acquire);
    return now + (due ? std::min(telling_pause, self.options.heartbeat) : self.options.heartbeat);
  }
  bool holds = false;
  if (self.upgraded.load(std::memory_order_acquire)) return Monotonic::never();
  {
    std::lock_guard lock(self.mutex);
    if (!self.started) return Monotonic::never();
    holds =
        !self.running.empty() || !self.buffer.empty() || self.beginning > 0 || !self.owed.empty();
  }
  self.expire_overdue(now);
  if (holds && now >= self.next_heartbeat) {
    self.next_heartbeat = now + self.options.heartbeat;
    auto beat = self.queue.heartbeat();
    if (!beat && beat.error().code == Code::upgraded) self.retire(beat.error());
    BUREAU_TRY_VOID(std::move(beat));
    self.last_heartbeat.store(now.since_start.count(), std::memory_order_release);
  }
  if (now >= self.next_rescue) {
    self.next_rescue = now + self.options.heartbeat;
    BUREAU_TRY(auto taken, self.queue.rescue());
    self.metrics.rescued.add(taken);
    BUREAU_TRY(auto admitted, self.queue.admit());
    BUREAU_TRY(auto budgeted, self.queue.see_to_budgets());
    if (taken + admitted + budgeted > 0) notice();
  }
  self.hand_back_waiting(now);
  self.settle_late(now);
  self.pay();
  if (holds && now >= self.next_interrupt_look &&
      self.look_for_interrupts.exchange(false, std::memory_order_acq_rel)) {
    self.see_interrupts();
  }
  if (now >= self.next_telling && self.committed.exchange(false, std::memory_order_acq_rel)) {
    self.tell_of_commits(now);
  }
  Monotonic next = std::min(self.see_to_schedules(now), self.next_rescue);
  next = std::min(next, self.next_limit());
  if (self.committed.load(std::memory_order_acquire)) next = std::min(next, self.next_telling);
  if (holds) next = std::min(next, self.next_heartbeat);
  if (holds && self.look_for_interrupts.load(std::memory_order_acquire)) {
    next = std::min(next, std::max(now, self.next_interrupt_look));
  }
  const std::int64_t due = self.next_scheduled.load(std::memory_order_acquire);
  if (due != INT64_MAX) {
    const Duration wait = Timestamp::from_micros(due) - self.clock().now();
    next = std::min(next, now + std::max(Duration(0), wait));
  }
  return next;
}

BUREAU_END_NAMESPACE
